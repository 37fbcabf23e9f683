//! What is particular to a file.

use super::{lease, take};
use homolog_jobs::{Address, Error, Store};

#[tokio::test]
async fn a_file_is_one_process_s_and_its_successor_takes_over_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Sqlite(folder.path().join("jobs.sqlite"));
    let store = Store::open(&address).await.unwrap();
    let job = take(&store, "d", 1).await;
    let shards = store.claim(&lease("gone"), 1, &[]).await.unwrap();
    assert!(matches!(Store::open(&address).await, Err(Error::InUse { .. })));
    store.close().await;
    drop(store);
    let store = Store::open(&address).await.unwrap();
    assert_eq!(store.claim(&lease("new"), 1, &[]).await.unwrap(), shards, "{job}");
}

#[test]
fn an_address_is_a_file_or_a_url_and_shows_no_password() {
    assert!(matches!("eval.sqlite".parse(), Ok(Address::Sqlite(_))));
    let url: Address = "postgres://me:secret@host/db".parse().unwrap();
    assert_eq!(url.to_string(), "postgres://…@host/db");
    assert!(!format!("{url:?}").contains("secret"));
    for wrong in ["", "mysql://me:secret@host/db", "http://host"] {
        let error = wrong.parse::<Address>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.sqlite");
    std::fs::write(&path, "this is not a database, and it is long enough to be looked at".repeat(100)).unwrap();
    let error = Store::open(&Address::Sqlite(path)).await.unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
}
