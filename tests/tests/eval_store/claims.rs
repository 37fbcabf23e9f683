//! Who works on what.

use super::{done, lease, on_each, progress, take};
use homolog_jobs::{Lease, Shard, State};
use std::time::Duration;

#[tokio::test]
async fn shards_are_claimed_once_in_the_order_of_the_jobs() {
    on_each(|store| async move {
        let first = take(&store, "first", 2).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let second = take(&store, "second", 1).await;
        let (one, other) = (lease("one"), lease("other"));
        let shard = |job: &str, number| vec![Shard { job: job.to_owned(), number }];
        assert_eq!(store.claim(&one, 1, &[]).await.unwrap(), shard(&first, 0));
        assert_eq!(store.claim(&other, 1, &[]).await.unwrap(), shard(&first, 1));
        assert_eq!(store.job(&first).await.unwrap().state, State::Running);
        assert_eq!(store.job(&second).await.unwrap().state, State::Waiting);
        assert_eq!(store.claim(&one, 9, std::slice::from_ref(&second)).await.unwrap(), []);
        assert_eq!(store.claim(&one, 9, &[]).await.unwrap(), shard(&second, 0));
        assert_eq!(store.claim(&one, 9, &[]).await.unwrap(), []);
        store.release(&one, &first).await.unwrap();
        assert_eq!(store.claim(&other, 9, &[]).await.unwrap(), shard(&first, 0));
    })
    .await;
}

#[tokio::test]
async fn claims_at_the_same_time_share_nothing() {
    on_each(|store| async move {
        let job = take(&store, "d", 40).await;
        let claims = (0..8).map(|index| {
            let (store, lease) = (store.clone(), lease(&format!("replica {index}")));
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    match store.claim(&lease, 1, &[]).await.unwrap() {
                        shards if shards.is_empty() => return mine,
                        shards => mine.extend(shards),
                    }
                }
            })
        });
        let mut all = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            all.extend(claim.await.unwrap().into_iter().map(|shard| shard.number));
        }
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>(), "{job}");
    })
    .await;
}

#[tokio::test]
async fn a_claim_whose_lease_ran_out_is_another_s_and_its_first_owner_keeps_nothing() {
    on_each(|store| async move {
        let job = take(&store, "d", 1).await;
        let (dead, heir) = (Lease { time: Duration::ZERO, ..lease("dead") }, lease("heir"));
        let shards = store.claim(&dead, 1, &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(store.claim(&heir, 1, &[]).await.unwrap(), shards);
        assert!(!store.record(&dead, &job, &[done(0, 1)], &progress(1, &[(0, 2)])).await.unwrap());
        assert!(!store.finish(&dead, &shards).await.unwrap());
        assert_eq!(store.job(&job).await.unwrap().progress.pairs_done, 0);
        assert!(store.record(&heir, &job, &[done(0, 1)], &progress(1, &[(0, 2)])).await.unwrap());
        assert!(store.finish(&heir, &shards).await.unwrap());
        assert_eq!(store.job(&job).await.unwrap().state, State::Done);
    })
    .await;
}

#[tokio::test]
async fn a_renewed_claim_stays_and_a_cancelled_job_is_learned_of() {
    on_each(|store| async move {
        let job = take(&store, "d", 1).await;
        let brief = Lease { time: Duration::from_millis(600), ..lease("brief") };
        store.claim(&brief, 1, &[]).await.unwrap();
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            assert!(store.renew(&brief, &job).await.unwrap());
            assert_eq!(store.claim(&lease("other"), 1, &[]).await.unwrap(), []);
        }
        assert!(store.end(&job, State::Cancelled, None).await.unwrap());
        assert!(!store.renew(&brief, &job).await.unwrap());
        assert!(!store.record(&brief, &job, &[done(0, 1)], &progress(1, &[])).await.unwrap());
        assert!(!store.end(&job, State::Failed, Some("too late")).await.unwrap());
        let job = store.job(&job).await.unwrap();
        assert_eq!((job.state, job.reason), (State::Cancelled, None));
    })
    .await;
}

#[tokio::test]
async fn the_last_two_shards_may_be_finished_at_the_same_time() {
    on_each(|store| async move {
        for round in 0..20 {
            let job = take(&store, &format!("d{round}"), 2).await;
            let mut finishing = Vec::new();
            for owner in ["one", "other"] {
                let (store, lease) = (store.clone(), lease(owner));
                let shards = store.claim(&lease, 1, &[]).await.unwrap();
                finishing.push(tokio::spawn(async move { store.finish(&lease, &shards).await.unwrap() }));
            }
            for finished in finishing {
                assert!(finished.await.unwrap());
            }
            assert_eq!(store.job(&job).await.unwrap().state, State::Done);
        }
    })
    .await;
}
