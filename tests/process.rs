//! What the system says of a process.

/// A size of `/proc/PROCESS/status` in MiB: `VmRSS`, all that is resident; `RssAnon`, what of it is mapped from no file; `VmHWM`, the
/// most that was resident at once.
pub fn mib(process: u32, size: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let found = status.lines().find_map(|line| line.strip_prefix(size)?.strip_prefix(':'));
    let kib = found.unwrap_or_else(|| panic!("no {size} in {status}")).trim().trim_end_matches("kB").trim();
    kib.parse::<f64>().unwrap() / 1024.0
}
