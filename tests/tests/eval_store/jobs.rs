//! Jobs and their results.

use super::{done, lease, on_each, progress, specification, summary, take};
use homolog_core::geometry::Size;
use homolog_eval::runner::Failure;
use homolog_jobs::{Created, Done, Error, Key, NewJob, State};
use std::time::Duration;

#[tokio::test]
async fn a_request_is_taken_once_under_its_key_and_another_under_it_is_refused() {
    on_each(|store| async move {
        let key = Key { name: "a key".into(), digest: None };
        let (one, other, summary) = (specification("one"), specification("other"), summary(4));
        let new = |specification| NewJob { specification, dataset: &summary, key: Some(&key), shards: 1, images: &[] };
        let Created::New(id) = store.create(&new(&one), 1).await.unwrap() else { panic!("it is new") };
        // even where there is no room for a new one
        assert_eq!(store.create(&new(&one), 1).await.unwrap(), Created::Before(id));
        assert!(matches!(store.create(&new(&other), 1).await, Err(Error::KeyReused { .. })));
        let without = NewJob { key: None, ..new(&one) };
        assert!(matches!(store.create(&without, 1).await, Err(Error::TooMany { limit: 1 })));
        assert!(matches!(store.create(&without, 2).await, Ok(Created::New(_))));
    })
    .await;
}

#[tokio::test]
async fn results_come_back_to_the_bit_and_count_once() {
    on_each(|store| async move {
        let job = take(&store, "d", 1).await;
        let owner = lease("one");
        let shards = store.claim(&owner, 1, &[]).await.unwrap();
        let failed = Done { pair: 3, results: vec![(Err(Failure { reason: "no such image".into() }), 0)] };
        let batch = [done(2, 1), done(0, 4), failed];
        for _ in 0..2 {
            assert!(store.record(&owner, &job, &batch, &progress(1, &[(0, 5)])).await.unwrap());
        }
        let stored = store.results(&job, 0).await.unwrap();
        let expected = [&batch[1], &batch[0], &batch[2]].map(|done| (done.pair, done.results[0].0.clone()));
        assert_eq!(stored.into_iter().map(|stored| (stored.pair, stored.result)).collect::<Vec<_>>(), expected);
        assert_eq!(store.done(&job, 1).await.unwrap(), [0, 2, 3].into());
        let found = store.job(&job).await.unwrap();
        let progress = found.progress;
        assert_eq!((progress.pairs_done, progress.pairs_total), (3, 4));
        assert_eq!((progress.images_done, progress.images_total, progress.images_per_second), (5, 8, Some(8.0)));
        assert_eq!(progress.seconds_left, Some(3.0 / 8.0));
        let pck = &progress.running_pck[0];
        assert_eq!((pck.per_image, pck.per_point, pck.failures), (Some(0.625), Some(0.625), 1));
        assert!(store.finish(&owner, &shards).await.unwrap());
        let found = store.job(&job).await.unwrap();
        assert_eq!((found.state, found.progress.images_per_second), (State::Done, None));
        assert!(found.ended.unwrap() >= found.started.unwrap() && found.started.unwrap() >= found.created);
    })
    .await;
}

#[tokio::test]
async fn jobs_are_listed_newest_first_and_forgotten_with_everything() {
    on_each(|store| async move {
        let mut ids = Vec::new();
        for name in ["a", "b", "c"] {
            ids.push(take(&store, name, 2).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let listed = |jobs: Vec<homolog_jobs::Job>| jobs.into_iter().map(|job| job.id).collect::<Vec<_>>();
        assert_eq!(listed(store.jobs(0, 10).await.unwrap()), [&ids[2], &ids[1], &ids[0]].map(String::clone));
        assert_eq!(listed(store.jobs(1, 1).await.unwrap()), [ids[1].clone()]);
        assert!(!store.forget(&ids[0]).await.unwrap(), "it is not finished");
        assert!(store.end(&ids[0], State::Failed, Some("because")).await.unwrap());
        assert_eq!(store.job(&ids[0]).await.unwrap().reason.as_deref(), Some("because"));
        assert!(store.forget(&ids[0]).await.unwrap());
        assert!(matches!(store.job(&ids[0]).await, Err(Error::UnknownJob { .. })));
    })
    .await;
}

#[tokio::test]
async fn images_are_kept_once_bounded_and_as_long_as_a_job_needs_them() {
    on_each(|store| async move {
        let (file, size) = ([7u8; 100], Size::new(4, 3));
        let image = store.keep_image(&file, size, 150).await.unwrap();
        assert_eq!(store.keep_image(&file, size, 150).await.unwrap(), image);
        assert!(matches!(
            store.keep_image(&[8; 60], size, 150).await,
            Err(Error::ImagesFull { bytes: 100, limit: 150 })
        ));
        assert_eq!(store.image(&image.id).await.unwrap(), file);
        let (specification, summary) = (specification("d"), summary(1));
        let images = [image.id.clone()];
        let new = NewJob { specification: &specification, dataset: &summary, key: None, shards: 1, images: &images };
        let Created::New(job) = store.create(&new, 9).await.unwrap() else { panic!("it is new") };
        let unknown = ["f".repeat(64)];
        let wrong = NewJob { images: &unknown, ..new };
        assert!(matches!(store.create(&wrong, 9).await, Err(Error::UnknownImage { .. })));
        assert_eq!(store.jobs(0, 9).await.unwrap().len(), 1, "nothing is left of a job that was refused");
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(!store.forget_image(&image.id).await.unwrap());
        assert_eq!(store.expire_images(Duration::ZERO).await.unwrap(), 0);
        store.end(&job, State::Cancelled, None).await.unwrap();
        store.forget(&job).await.unwrap();
        assert_eq!(store.expire_images(Duration::from_secs(3600)).await.unwrap(), 0);
        assert_eq!(store.expire_images(Duration::ZERO).await.unwrap(), 1);
        assert!(matches!(store.image(&image.id).await, Err(Error::UnknownImage { .. })));
    })
    .await;
}

#[tokio::test]
async fn a_job_that_failed_is_taken_up_again_with_what_it_has() {
    on_each(|store| async move {
        let job = take(&store, "d", 1).await;
        let owner = lease("one");
        store.claim(&owner, 1, &[]).await.unwrap();
        assert!(store.record(&owner, &job, &[done(0, 4)], &progress(1, &[(0, 2)])).await.unwrap());
        store.note(&job, "left to others").await.unwrap();
        assert_eq!(store.job(&job).await.unwrap().reason.as_deref(), Some("left to others"));
        store.end(&job, State::Failed, Some("because")).await.unwrap();
        store.release(&owner, &job).await.unwrap();
        store.note(&job, "too late").await.unwrap();
        store.reopen(&job).await.unwrap();
        let found = store.job(&job).await.unwrap();
        assert_eq!((found.state, found.reason, found.ended), (State::Waiting, None, None));
        assert_eq!(found.progress.pairs_done, 1);
        assert_eq!(store.claim(&owner, 1, &[]).await.unwrap().len(), 1);
    })
    .await;
}
