//! Evaluations beside requests in one engine: who goes first, who gives way, and that no answer is lost or given twice.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use homolog_backbone::{export::export, random};
use homolog_core::{
    bundle::{Bundle, Feature, Precision},
    features::FeatureMap,
    geometry::Size,
    image::Pixels,
};
use homolog_engine::{Described, Engine, EngineConfig, Error, Priority, ProviderChoice, WhenFull};
use homolog_tests::{heads::tiny, options, root};
use std::{collections::HashSet, path::Path};

fn engine(bundles: Vec<Bundle>, workers: usize) -> Engine {
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers, threads: 1, queue: 8, ..EngineConfig::default() };
    Engine::start(&config, bundles).unwrap()
}

fn demo(workers: usize) -> Engine {
    engine(vec![Bundle::open(&root().join("models/demo")).unwrap()], workers)
}

/// An image that no other seed gives.
fn image(side: u32, seed: u32) -> Pixels {
    let size = Size::new(side, side);
    let data = (0..3 * size.pixels() as u32).map(|i| ((i ^ (seed * 977)) as f32 * 0.37).sin()).collect();
    Pixels::from_chw(size, data).unwrap()
}

async fn background(engine: &Engine, pixels: Pixels) -> Result<FeatureMap<'static>, Error> {
    let model = engine.model("demo").unwrap();
    let mut described = engine.describe_together(&[model], pixels, Priority::Background).await?;
    assert_eq!(described.len(), 1);
    Ok(described.remove(0).features)
}

#[tokio::test]
async fn an_interactive_image_is_answered_before_the_background_images_that_wait() {
    let engine = demo(1);
    let model = engine.model("demo").unwrap();
    let calls = FuturesUnordered::new();
    for seed in 0..20 {
        let mut call = background(&engine, image(448, seed)).map(move |map| (Some(seed), map)).boxed_local();
        // Polled once, it waits in the engine.
        assert!(futures::poll!(call.as_mut()).is_pending());
        calls.push(call);
    }
    calls.push(engine.describe(model, image(448, 99)).map(|map| (None, map)).boxed_local());
    let answers: Vec<Option<u32>> = calls.map(|(who, map)| map.map(|_| who).unwrap()).collect().await;
    assert_eq!(answers.len(), 21);
    let place = answers.iter().position(Option::is_none).unwrap();
    assert!(place < 10, "{place} of 20 background images came before it");
    // Among themselves they keep their order, the one that gave way included.
    assert!(answers.iter().flatten().is_sorted(), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn background_images_that_give_way_are_all_answered_once_while_requests_go_on() {
    const IMAGES: u32 = 6;
    for workers in [1, 2] {
        let engine = demo(workers);
        let model = engine.model("demo").unwrap();
        let mut expected = Vec::new();
        for seed in 0..IMAGES {
            expected.push(engine.describe(model, image(448, seed)).await.unwrap());
        }
        let small = engine.describe(model, image(112, 77)).await.unwrap();
        let before = engine.statistics();
        let calls = futures::future::join_all((0..IMAGES).map(|seed| background(&engine, image(448, seed))));
        let mut calls = std::pin::pin!(calls);
        let mut interactive = 0;
        // The next request comes as soon as the last is answered, until all background images are.
        let answers = loop {
            if let std::task::Poll::Ready(answers) = futures::poll!(calls.as_mut()) {
                break answers;
            }
            assert_eq!(engine.describe(model, image(112, 77)).await.unwrap(), small);
            interactive += 1;
        };
        for (answer, expected) in answers.into_iter().zip(expected) {
            assert_eq!(answer.unwrap(), expected);
        }
        let after = engine.statistics();
        let preemptions = after.preemptions - before.preemptions;
        eprintln!("{workers} workers: {interactive} requests, {preemptions} preemptions");
        assert!(preemptions > 0 && preemptions <= 3 * u64::from(IMAGES), "{preemptions}");
        assert_eq!(after.heads - before.heads, u64::from(IMAGES) + interactive);
    }
}

#[tokio::test]
async fn a_background_image_of_a_caller_that_left_is_not_run_again() {
    let engine = demo(1);
    let model = engine.model("demo").unwrap();
    for seed in 0..20 {
        let mut call = Box::pin(background(&engine, image(448, seed)));
        assert!(futures::poll!(call.as_mut()).is_pending());
    }
    let before = engine.statistics();
    engine.describe(model, image(112, 77)).await.unwrap();
    assert!(background(&engine, image(112, 77)).await.is_ok());
    let after = engine.statistics();
    // The first may have come to its end before it was stopped.
    assert!(after.heads - before.heads <= 3, "{before:?} {after:?}");
}

#[tokio::test]
async fn a_shutdown_answers_the_interactive_images_and_gives_the_background_up() {
    let engine = demo(1);
    let model = engine.model("demo").unwrap();
    let mut interactive: Vec<_> = (0..3).map(|seed| Box::pin(engine.describe(model, image(448, seed)))).collect();
    let mut behind: Vec<_> = (3..6).map(|seed| Box::pin(background(&engine, image(448, seed)))).collect();
    for call in &mut interactive {
        assert!(futures::poll!(call.as_mut()).is_pending());
    }
    for call in &mut behind {
        assert!(futures::poll!(call.as_mut()).is_pending());
    }
    engine.shutdown();
    for call in behind {
        assert!(matches!(call.await, Err(Error::Stopped)));
    }
    for call in interactive {
        assert_eq!(call.await.unwrap().channels(), 192);
    }
    assert!(matches!(background(&engine, image(112, 0)).await, Err(Error::Stopped)));
    assert!(matches!(engine.describe(model, image(112, 0)).await, Err(Error::Stopped)));
    let wait = Priority::Interactive(WhenFull::Wait);
    assert!(matches!(engine.describe_together(&[model], image(112, 0), wait).await, Err(Error::Stopped)));
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_background_images_that_run() {
    let engine = demo(1);
    let mut calls: Vec<_> = (0..8).map(|seed| Box::pin(background(&engine, image(448, seed)))).collect();
    for call in &mut calls {
        assert!(futures::poll!(call.as_mut()).is_pending());
    }
    // One of them runs now, or is about to.
    engine.shutdown();
    let mut answered = 0;
    for call in calls {
        match call.await {
            Ok(_) => answered += 1,
            Err(error) => assert!(matches!(error, Error::Stopped), "{error}"),
        }
    }
    assert!(answered < 8);
}

/// Two heads over one backbone, and a third model on another: `pre`, `post` and `other`.
fn three(folder: &Path) -> Vec<Bundle> {
    let write = |name: &str, seed: u64, feature: Feature| {
        let out = folder.join(name);
        let network = tiny();
        let options = options(1, feature, Precision::Fp32);
        export(&network, &random::weights(&network.family, seed), &out, &options, |_| {}).unwrap();
        Bundle::open(&out).unwrap()
    };
    vec![write("pre", 1, Feature::PreNorm), write("post", 1, Feature::PostNorm), write("other", 2, Feature::PreNorm)]
}

#[tokio::test]
async fn models_on_one_backbone_share_its_run_and_answer_to_the_bit_as_alone() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(three(folder.path()), 1);
    let model = |id: &str| engine.model(id).unwrap();
    let keys: HashSet<&str> = engine.models().map(|model| model.backbone_key()).collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(model("pre").backbone_key(), model("post").backbone_key());
    let models = [model("pre"), model("other"), model("post"), model("pre")];
    for priority in [Priority::Background, Priority::Interactive(WhenFull::Refuse)] {
        let mut alone = Vec::new();
        for model in models {
            alone.push(engine.describe(model, image(70, 5)).await.unwrap());
        }
        assert!(alone[0] != alone[1] && alone[0] != alone[2] && alone[1] != alone[2]);
        let before = engine.statistics();
        let together: Vec<Described> = engine.describe_together(&models, image(70, 5), priority).await.unwrap();
        let after = engine.statistics();
        let together: Vec<FeatureMap> = together.into_iter().map(|described| described.features).collect();
        assert_eq!(together, alone);
        assert_eq!((after.backbones - before.backbones, after.heads - before.heads), (2, 4));
    }
    assert!(engine.describe_together(&[], image(70, 5), Priority::Background).await.unwrap().is_empty());
}
