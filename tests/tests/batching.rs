//! Images that are run together, and tensors that are bound as on a device: the same answers as alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use futures::future::join_all;
use homolog_core::{bundle::Bundle, features::FeatureMap, geometry::Size, image::Pixels};
use homolog_engine::{Engine, EngineConfig, Error, Priority, ProviderChoice, WhenFull};
use homolog_tests::root;

fn engine(max_batch: usize, bind_on_host: bool) -> Engine {
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, max_batch, bind_on_host, ..EngineConfig::default() };
    Engine::start(&config, vec![Bundle::open(&root().join("models/demo")).unwrap()]).unwrap()
}

fn image(side: u32, seed: u32) -> Pixels {
    let size = Size::new(side, side);
    let data = (0..3 * size.pixels() as u32).map(|i| ((i ^ (seed * 977)) as f32 * 0.37).sin()).collect();
    Pixels::from_chw(size, data).unwrap()
}

/// Twelve images of three sizes, all at once, and the sizes of the batches that they were in.
async fn all(engine: &Engine, priority: Priority) -> (Vec<FeatureMap<'static>>, Vec<usize>) {
    let model = engine.model("demo").unwrap();
    let calls = (0..12).map(|seed| {
        engine.describe_together(std::slice::from_ref(&model), image(112 + 56 * (seed % 3), seed), priority)
    });
    let answers = join_all(calls).await;
    answers
        .into_iter()
        .map(|answer| answer.unwrap().remove(0))
        .map(|described| (described.features, described.batch))
        .unzip()
}

fn error(ours: &FeatureMap<'_>, theirs: &FeatureMap<'_>) -> f32 {
    assert_eq!(ours.grid(), theirs.grid());
    let square = |value: f32| value * value;
    let distance: f32 = ours.data().iter().zip(theirs.data()).map(|(a, b)| square(a - b)).sum();
    (distance / theirs.data().iter().map(|value| square(*value)).sum::<f32>()).sqrt()
}

#[tokio::test]
async fn an_image_has_the_same_descriptors_alone_and_in_a_batch() {
    let (alone, together) = (engine(1, false), engine(8, false));
    for priority in [Priority::Interactive(WhenFull::Wait), Priority::Background] {
        let (expected, ones) = all(&alone, priority).await;
        let (found, batches) = all(&together, priority).await;
        assert!(ones.iter().all(|batch| *batch == 1), "{ones:?}");
        assert!(batches.iter().any(|batch| *batch > 1), "{batches:?}");
        for (found, expected) in found.iter().zip(&expected) {
            let error = error(found, expected);
            assert!(error < 1e-5, "{error}");
        }
    }
}

#[tokio::test]
async fn bound_tensors_are_those_of_a_plain_run_to_the_bit() {
    let (plain, bound) = (engine(1, false), engine(1, true));
    let priority = Priority::Interactive(WhenFull::Wait);
    assert_eq!(all(&plain, priority).await.0, all(&bound, priority).await.0);
}

#[tokio::test]
async fn who_leaves_a_batch_leaves_the_others_in_it() {
    let engine = engine(8, false);
    let model = engine.model("demo").unwrap();
    let call = |seed| engine.describe(model, image(448, seed));
    let mut kept: Vec<_> = (0..6).map(|seed| Box::pin(call(seed))).collect();
    let mut left: Vec<_> = (6..12).map(|seed| Box::pin(call(seed))).collect();
    for future in kept.iter_mut().chain(&mut left) {
        assert!(futures::poll!(future.as_mut()).is_pending());
    }
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    drop(left);
    assert!(join_all(kept).await.into_iter().all(|answer| answer.is_ok()));
}

#[tokio::test]
async fn images_whose_run_together_fails_are_all_told_and_the_worker_goes_on() {
    let engine = engine(8, false);
    let model = engine.model("demo").unwrap();
    for priority in [Priority::Interactive(WhenFull::Wait), Priority::Background] {
        // not a whole patch
        let call = |seed| engine.describe_together(std::slice::from_ref(&model), image(10, seed), priority);
        for answer in join_all((0..12).map(call)).await {
            assert!(matches!(answer, Err(Error::Run { .. })), "{answer:?}");
        }
        assert!(engine.describe(model, image(112, 0)).await.is_ok());
    }
    assert_eq!((engine.waiting(), engine.waiting_behind(), engine.running()), (0, 0, 0));
}
