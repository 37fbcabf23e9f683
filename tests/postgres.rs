//! A PostgreSQL of the test's own, on a free port, gone with it.

use std::{
    ffi::OsString,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running PostgreSQL; stopped when dropped.
pub struct Postgres {
    server: Child,
    programs: PathBuf,
    /// `postgresql://…` of an empty database.
    pub url: String,
}

impl Postgres {
    /// Starts one, where Debian's package or the like is installed (`make test` sees to that); else says that the test is skipped.
    pub fn start() -> Option<Postgres> {
        let Some(programs) = programs() else {
            assert!(std::env::var_os("HOMOLOG_REQUIRE_POSTGRES").is_none(), "PostgreSQL is required and not here");
            eprintln!("skipped: there is no PostgreSQL here (initdb and postgres; Debian: apt-get install postgresql)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap().keep();
        let data = folder.join("data");
        std::fs::create_dir(&data).unwrap();
        if is_root() {
            // it refuses to run as root; the package has brought the user
            std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            run(Command::new("chown").arg("postgres").arg(&data));
        }
        run(program(&programs, "initdb").args(["--auth=trust", "--username=homolog", "--no-sync", "-D"]).arg(&data));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // a shell ends it when our end of the pipe is closed, however this process ends
        let guard = "\"$@\" & read -r _; kill -INT $!; wait $!; rm -rf \"$FOLDER\"";
        let server = Command::new("sh")
            .args(["-c", guard, "sh"])
            .args(words(&programs, "postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-c", "max_connections=200"])
            .env("FOLDER", &folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("postgresql://homolog@127.0.0.1:{port}/postgres");
        let started = Postgres { server, programs, url };
        // it listens before it answers
        let answers = || {
            let mut ask = program(&started.programs, "pg_isready");
            ask.arg("--quiet").arg("--dbname").arg(&started.url).status().unwrap().success()
        };
        let answered = (0..600).any(|_| {
            answers() || {
                std::thread::sleep(Duration::from_millis(50));
                false
            }
        });
        assert!(answered, "PostgreSQL did not start");
        Some(started)
    }
}

impl Postgres {
    /// Makes another empty database and gives its URL.
    pub fn database(&self, name: &str) -> String {
        run(program(&self.programs, "createdb").arg("--maintenance-db").arg(&self.url).arg(name));
        self.url.replace("/postgres", &format!("/{name}"))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
        versions.sort();
        folders.splice(0..0, versions.into_iter().rev());
    }
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// The program, under the user whom PostgreSQL asks for.
fn words(programs: &Path, name: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    if is_root() {
        words.extend(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"].map(OsString::from));
    }
    words.push(programs.join(name).into());
    words
}

fn program(programs: &Path, name: &str) -> Command {
    let words = words(programs, name);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir("/");
    command
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
