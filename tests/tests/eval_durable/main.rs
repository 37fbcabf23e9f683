//! Evaluations outlive what happens to a service: kills, full disks, replicas that are gone. Requests go first meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod kills;
mod readonly;
mod replicas;
mod requests;
mod storage;

use homolog_tests::{golden, pairs, root, service::Service, service::form};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A generated dataset.
struct Data {
    folder: TempDir,
    pairs: usize,
}

impl Data {
    /// So many groups of so many pictures, each with so many partners in its group.
    fn write(groups: u32, images: u32, partners: u32) -> Data {
        let folder = tempfile::tempdir().unwrap();
        let pairs = pairs::write_groups(folder.path(), groups, images, partners);
        Data { folder, pairs }
    }

    /// A service that knows it as `squares`, with further flags.
    async fn serve(&self, flags: &[&str]) -> Service {
        self.serve_under(&[], flags).await
    }

    /// The same, started by a launcher.
    async fn serve_under(&self, launcher: &[&str], flags: &[&str]) -> Service {
        let register = format!("squares=simple@{}", self.folder.path().display());
        Service::start_under(launcher, &root().join("models"), &[&["--register", &register], flags].concat()).await
    }

    /// The result of an evaluation that nothing happens to.
    async fn undisturbed(&self, body: &Value) -> String {
        let service = self.serve(&[]).await;
        let id = service.evaluate(body).await;
        let begun = std::time::Instant::now();
        let result = service.result(&id).await;
        println!("undisturbed, {} pairs take {:.1?}", self.pairs, begun.elapsed());
        result
    }
}

/// An evaluation of `squares` in several ways at two resolutions.
fn several_runs() -> Value {
    let argmax = json!({"kind": "argmax"});
    json!({"dataset": "squares", "pck": {"bootstrap": {"resamples": 20, "seed": 1}}, "runs": [
        {"resolution": 224},
        {"resolution": 224, "matcher": argmax, "cycle": true},
        {"resolution": 112, "matcher": {"kind": "kernel_soft_argmax"}},
    ]})
}

/// Results are long: only where they part is shown.
fn assert_same(found: &str, expected: &str, what: &str) {
    let at = found.bytes().zip(expected.bytes()).position(|(a, b)| a != b).unwrap_or(found.len().min(expected.len()));
    let around = |text: &str| text.chars().skip(at.saturating_sub(100)).take(200).collect::<String>();
    assert!(found == expected, "{what}: from byte {at} on\n{}\nwhere there was\n{}", around(found), around(expected));
}

/// `POST /match` is answered.
async fn assert_matches(service: &Service) {
    let photo = std::fs::read(golden("images/rgb.jpg")).unwrap();
    let request = json!({"points": [[1, 1]], "resolution": 112});
    assert_eq!(service.post_form(form(&photo, &photo, &request)).await.status(), 200);
}
