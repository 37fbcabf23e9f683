//! A disk that is full: told, survived, and gone on from.

use super::{Data, assert_matches, assert_same, several_runs};
use homolog_tests::service::assert_problem;
use sqlx::{Connection, SqliteConnection};
use std::{
    fs::File,
    io::Write,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tempfile::TempDir;

/// A disk of the test's own, which fills in no time.
struct Disk {
    folder: TempDir,
    filling: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Disk {
    /// Mounts one where that is allowed; else says that the test is skipped.
    fn mount() -> Option<Disk> {
        let folder = tempfile::tempdir().unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m", "homolog"]).arg(folder.path()).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Disk { folder, filling: None });
        }
        eprintln!("skipped: no disk can be mounted here (`mount -t tmpfs` wants root)");
        None
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Leaves no room, and takes at once whatever the database gives back.
    fn fill(&mut self) {
        let mut file = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let mut take_all = move || while file.write_all(&[1; 512]).is_ok() {};
        take_all();
        let on = Arc::new(AtomicBool::new(true));
        let still = on.clone();
        let filling = std::thread::spawn(move || {
            while still.load(Ordering::Relaxed) {
                take_all();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        self.filling = Some((on, filling));
    }

    fn make_room(&mut self) {
        if let Some((on, filling)) = self.filling.take() {
            on.store(false, Ordering::Relaxed);
            filling.join().unwrap();
            std::fs::remove_file(self.ballast()).unwrap();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.make_room();
        let _ = Command::new("umount").args(["--lazy"]).arg(self.folder.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_same_evaluation_is_finished_when_there_is_room() {
    let Some(mut disk) = Disk::mount() else { return };
    let data = Data::write(4, 30, 8);
    let body = several_runs();
    let expected = data.undisturbed(&body).await;
    let store = disk.folder.path().join("evaluations.sqlite");
    let service = data.serve(&["--eval-store", &store.display().to_string()]).await;

    disk.fill();
    for _ in 0..12 {
        // more often than there are connections
        let refused = service.post_eval(&body).await;
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_problem(refused, 507, "storage-full", None).await;
    }
    assert_matches(&service).await;
    disk.make_room();

    let id = service.evaluate(&body).await;
    service.evaluation_until(&id, |now| now["progress"]["pairs_done"].as_u64() > Some(100)).await;
    disk.fill();
    let troubled = service.evaluation_until(&id, |now| !now["trouble"].is_null() || now["state"] == "done").await;
    assert!(troubled["trouble"].as_str().unwrap().contains("full"), "{troubled}");
    assert_eq!(troubled["state"], "running");
    assert_matches(&service).await;
    // as long as there is no room there is no progress, and no end
    tokio::time::sleep(Duration::from_secs(3)).await;
    let still = service.evaluation(&id).await;
    assert_eq!(still["progress"]["pairs_done"], troubled["progress"]["pairs_done"]);
    assert!(still["trouble"].as_str().unwrap().contains("full"), "{still}");
    disk.make_room();
    assert_same(&service.result(&id).await, &expected, "after a full disk");
    assert!(service.evaluation(&id).await["trouble"].is_null());

    // a process that ends on a full disk leaves a whole database, too; in a new one, which has no room of its own
    service.signal_stop();
    assert!(service.ended().success());
    let second_store = disk.folder.path().join("second.sqlite");
    std::fs::remove_file(&store).unwrap();
    let store = second_store;
    let service = data.serve(&["--eval-store", &store.display().to_string()]).await;
    let second = service.evaluate(&body).await;
    service.evaluation_until(&second, |now| now["progress"]["pairs_done"].as_u64() > Some(100)).await;
    disk.fill();
    service.evaluation_until(&second, |now| !now["trouble"].is_null()).await;
    service.kill();
    disk.make_room();
    let service = data.serve(&["--eval-store", &store.display().to_string()]).await;
    assert_same(&service.result(&second).await, &expected, "after a kill on a full disk");
    service.signal_stop();
    assert!(service.ended().success());

    let mut database = SqliteConnection::connect(&format!("sqlite://{}", store.display())).await.unwrap();
    let found: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut database).await.unwrap();
    assert_eq!(found, "ok");
}
