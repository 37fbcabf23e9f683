//! Memory that a served bundle takes, against the length of its files.

use super::{
    full_size::{self, SIDE},
    row,
};
use homolog_backbone::{catalog, export::export, random};
use homolog_core::bundle::{Bundle, Feature, Precision};
use homolog_tests::{heads::tiny, options, process::mib, root, service::Service};
use std::path::Path;

/// A service with each bundle beside a tiny one, less a service with the tiny one alone. What is resident after the first run, at
/// the default resolution, and what of it is mapped from no file: a second worker takes that again, and shares the rest.
pub fn bundles() {
    let folder = tempfile::tempdir().unwrap();
    let base = measure(folder.path(), "none", |_| {});
    let demo = |out: &Path| {
        std::fs::create_dir(out).unwrap();
        for file in std::fs::read_dir(root().join("models/demo")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), out.join(file.file_name())).unwrap();
        }
    };
    report(folder.path(), "demo", "demo at 224", base, demo);
    for precision in [Precision::Fp32, Precision::Int8] {
        let network = catalog::find("dinov2-vitb14").unwrap();
        let weights = random::weights(&network.family, 0);
        let write = |out: &Path| full_size::export(&weights, out, precision);
        let label = format!("ViT-B/14 {precision} at {SIDE}");
        report(folder.path(), &format!("vitb14-{precision}"), &label, base, write);
    }
}

/// Resident and anonymous memory, MiB, of a service with a tiny bundle and the one that `write` writes; and the length of its files.
fn measure(folder: &Path, id: &str, write: impl Fn(&Path)) -> ([f64; 2], f64) {
    let models = folder.join(format!("with-{id}"));
    let network = tiny();
    let options = options(1, Feature::PreNorm, Precision::Fp32);
    export(&network, &random::weights(&network.family, 1), &models.join("tiny"), &options, |_| {}).unwrap();
    let out = models.join(id);
    write(&out);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Service::start_with(&models, &["--log", "warn"]));
    let memory = ["VmRSS", "RssAnon"].map(|size| mib(service.process(), size));
    let length = |bundle: Bundle| bundle.manifest().files.values().map(|file| file.bytes).sum::<u64>();
    let length = Bundle::open(&out).map_or(0, length) as f64 / f64::from(1 << 20);
    (memory, length)
}

fn report(folder: &Path, id: &str, label: &str, (base, _): ([f64; 2], f64), write: impl Fn(&Path)) {
    let (memory, length) = measure(folder, id, write);
    row(&format!("bundle {label}, MiB resident : MiB of files"), memory[0] - base[0], length);
    row("  the same, mapped from no file", memory[1] - base[1], length);
}
