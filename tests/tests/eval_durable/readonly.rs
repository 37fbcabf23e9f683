//! A store that can be read only: evaluations say so, matching goes on.

use super::{Data, assert_matches, assert_same, several_runs};
use homolog_tests::{
    root,
    service::{Service, assert_problem, binary},
};
use serde_json::Value;
use std::{
    fs::Permissions,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

/// Nobody, on every Unix.
const USER: u32 = 65_534;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Everything in `folder` becomes readable for all.
fn open_up(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        set_mode(&path, 0o755);
        if path.is_dir() {
            open_up(&path);
        }
    }
}

/// A script that starts a copy of the program under a user to whom permissions mean something. Its first argument is the
/// program itself, which that user may not reach.
fn script(folder: &Path) -> String {
    let (program, library) = (folder.join("homolog"), "libonnxruntime.so.1.31.1");
    std::fs::copy(binary(), &program).unwrap();
    let named = std::env::var_os("ORT_DYLIB_PATH").map_or_else(|| root().join(".runtime").join(library), Into::into);
    std::fs::copy(named, folder.join(library)).unwrap();
    let drop = format!("setpriv --reuid={USER} --regid={USER} --clear-groups");
    let library = folder.join(library);
    format!("shift; ORT_DYLIB_PATH={} exec {drop} {} \"$@\"", library.display(), program.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_written_is_told_and_matching_goes_on() {
    let data = Data::write(1, 6, 2);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    std::fs::create_dir(&store).unwrap();
    let models = folder.path().join("models");
    std::fs::create_dir_all(models.join("demo")).unwrap();
    for file in std::fs::read_dir(root().join("models/demo")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), models.join("demo").join(file.file_name())).unwrap();
    }
    let is_root = std::fs::metadata(folder.path()).unwrap().uid() == 0;
    let script = if is_root { script(folder.path()) } else { String::new() };
    for path in [folder.path(), data.folder.path()] {
        set_mode(path, 0o755);
        open_up(path);
    }
    let launcher = ["sh", "-c", script.as_str(), "sh"];
    let launcher = if is_root { &launcher[..] } else { &[] };
    let database = store.join("evaluations.sqlite");
    let register = format!("squares=simple@{}", data.folder.path().display());
    let address = database.display().to_string();
    let flags = ["--register", &register, "--eval-store", &address];
    let start = || Service::start_under(launcher, &models, &flags);
    let owned_by = |user: u32| {
        if is_root {
            chown(&store, Some(user), None).unwrap();
        }
    };

    owned_by(USER);
    let service = start().await;
    let id = service.evaluate(&several_runs()).await;
    let expected = service.result(&id).await;
    service.signal_stop();
    assert!(service.ended().success());

    // the file; then the folder, in which nothing can be made beside it
    for (file, mode) in [(&database, 0o444), (&store, 0o555)] {
        set_mode(file, mode);
        if is_root && file == &database {
            chown(file, Some(0), None).unwrap();
        } else {
            owned_by(0);
        }
        let service = start().await;
        let refused = service.post_eval(&several_runs()).await;
        assert_eq!(refused.headers()["retry-after"], "1");
        let text = refused.text().await.unwrap();
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["status"], 503, "{text}");
        let detail = problem["detail"].as_str().unwrap();
        println!("{detail}");
        assert!(detail.contains("cannot be written") || detail.contains("unable to open"), "{detail}");
        assert_problem(service.get("/eval").await, 503, "storage-unavailable", None).await;
        assert_matches(&service).await;

        // the same service takes evaluations as soon as it can; what SQLite made beside its file has the file's own mode
        set_mode(file, 0o755);
        open_up(&store);
        if is_root && file == &database {
            chown(file, Some(USER), None).unwrap();
        } else {
            owned_by(USER);
        }
        let back = async {
            while service.get("/eval").await.status() != 200 {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        };
        let opened = tokio::time::timeout(std::time::Duration::from_secs(60), back).await;
        assert!(opened.is_ok(), "not opened again: {:?}", service.log_line(&["tried again"]));
        assert_same(&service.result(&id).await, &expected, "an evaluation from before");
        let again = service.evaluate(&several_runs()).await;
        assert_same(&service.result(&again).await, &expected, "an evaluation from after");
        service.signal_stop();
        assert!(service.ended().success());
    }
}
