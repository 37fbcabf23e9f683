//! Evaluations through the engine: the same numbers as a request's, the image's faults told from the engine's, and an end soon
//! after it was asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_backbone::{export::export, random};
use homolog_core::{
    bundle::{Bundle, Feature, Precision},
    features::Sampling,
    geometry::{FitMode, Point, Size},
    image::{DecodeLimits, Photo, Pixels},
    matching::{self, Matcher, View},
};
use homolog_engine::{Engine, EngineConfig, Error, EvalEncoder, Model, Priority, ProviderChoice};
use homolog_eval::{
    Dataset,
    dataset::{Bounds, Category, Difficulty, Image, Keypoint, Pair},
    pck::Threshold,
    result::PairResult,
    runner::{self, Cancel, EncodeError, Encoder, Failure, Settings, Task},
};
use homolog_tests::{heads::tiny, options, root};
use std::{collections::HashMap, ops::ControlFlow, path::Path};

const SIZES: [(u32, u32); 6] = [(90, 60), (64, 64), (40, 120), (77, 51), (120, 90), (33, 80)];

fn engine(bundles: Vec<Bundle>) -> Engine {
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 1, queue: 8, ..EngineConfig::default() };
    Engine::start(&config, bundles).unwrap()
}

/// `pre`, `post` and `aspect` over one backbone, the last with a fit of its own, and `other` on another.
fn bundles(folder: &Path) -> Vec<Bundle> {
    let write = |name: &str, seed: u64, feature: Feature, fit: FitMode| {
        let (out, network) = (folder.join(name), tiny());
        let mut options = options(1, feature, Precision::Fp32);
        (options.fit, options.resolutions) = (fit, vec![70, 84]);
        export(&network, &random::weights(&network.family, seed), &out, &options, |_| {}).unwrap();
        Bundle::open(&out).unwrap()
    };
    vec![
        write("pre", 1, Feature::PreNorm, FitMode::Squash),
        write("post", 1, Feature::PostNorm, FitMode::Squash),
        write("aspect", 1, Feature::PreNorm, FitMode::Aspect),
        write("other", 2, Feature::PreNorm, FitMode::Squash),
    ]
}

fn png(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let at = |x: u32, y: u32| [(x * 5 + seed * 31) as u8, (y * 7 + seed * 17) as u8, ((x * y) >> 2) as u8 ^ seed as u8];
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb(at(x, y)));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// All ordered pairs of six generated images, three keypoints each.
fn dataset(folder: &Path) -> Dataset {
    let images: Vec<Image> = SIZES
        .iter()
        .enumerate()
        .map(|(index, &(width, height))| {
            let path = folder.join(format!("{index}.png"));
            std::fs::write(&path, png(width, height, index as u32)).unwrap();
            Image { path, size: Size::new(width, height) }
        })
        .collect();
    let point = |image: usize, k: usize| {
        let (width, height) = SIZES[image];
        Point::new((k * 29 + image * 7) as f64 % f64::from(width), (k * 13 + image * 11) as f64 % f64::from(height))
    };
    let all = (0..SIZES.len()).flat_map(|source| (0..SIZES.len()).map(move |target| (source, target)));
    let pairs: Vec<Pair> = all
        .filter(|(source, target)| source != target)
        .map(|(source, target)| Pair {
            id: format!("{source}-{target}"),
            source,
            target,
            category: 0,
            keypoints: (0..3)
                .map(|k| Keypoint { id: k.to_string(), source: point(source, k), target: point(target, k) })
                .collect(),
            source_box: None,
            target_box: Bounds::from_corners([0.0, 0.0, 30.0, 40.0]),
            difficulty: Difficulty::default(),
            target_visible: None,
        })
        .collect();
    Dataset {
        name: "generated".into(),
        listed: pairs.len(),
        images,
        categories: vec![Category { name: "all".into(), symmetry: None }],
        pairs,
        problems: Vec::new(),
        threshold: Threshold::Box,
    }
}

/// The models of the tests, each at a side: two that share tokens, one at another side, one with other pixels, one on another
/// backbone.
fn models(engine: &Engine) -> Vec<(&Model, u32)> {
    let model = |id: &str| engine.model(id).unwrap();
    vec![(model("pre"), 70), (model("other"), 70), (model("post"), 70), (model("pre"), 84), (model("aspect"), 70)]
}

type Results = HashMap<usize, Vec<Result<PairResult, Failure>>>;

fn evaluate(dataset: &Dataset, tasks: &[Task], encoder: &EvalEncoder<'_>) -> Results {
    let pairs: Vec<usize> = (0..dataset.pairs.len()).collect();
    let settings = Settings { encoders: encoder.at_a_time(), ..Settings::default() };
    let mut results = Results::new();
    let outcome = runner::run(dataset, &pairs, tasks, encoder, &settings, &Cancel::default(), |done| {
        assert!(results.insert(done.pair, done.results).is_none());
        ControlFlow::Continue(())
    });
    let outcome = outcome.unwrap();
    assert!(outcome.complete);
    assert_eq!(outcome.statistics.encodes, dataset.images.len());
    results
}

/// One pair as `POST /match` does it: each image by itself through the engine.
fn directly(engine: &Engine, dataset: &Dataset, pair: &Pair, model: &Model, side: u32, task: &Task) -> PairResult {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let [source, target] = [pair.source, pair.target].map(|image| {
        let bytes = std::fs::read(&dataset.images[image].path).unwrap();
        let photo = Photo::decode(&bytes, &DecodeLimits::default()).unwrap();
        let (pixels, fit) = model.manifest().preparation(side).prepare(&photo).unwrap();
        (runtime.block_on(engine.describe(model, pixels)).unwrap(), fit)
    });
    let points: Vec<Point> = pair.keypoints.iter().map(|keypoint| keypoint.source).collect();
    let (source, target) = (View { features: &source.0, fit: &source.1 }, View { features: &target.0, fit: &target.1 });
    PairResult::new(dataset, pair, &matching::run(&source, &target, &points, &task.matching).unwrap())
}

#[test]
fn an_evaluation_gives_the_results_of_direct_matching_and_shares_what_can_be_shared() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(bundles(folder.path()));
    let dataset = dataset(folder.path());
    let models = models(&engine);
    let matching =
        matching::Settings { matcher: Matcher::default(), sampling: Sampling::Bilinear, top_k: 0, cycle: true };
    let tasks: Vec<Task> = (0..models.len()).map(|model| Task { model, matching: matching.clone() }).collect();
    let encoder = EvalEncoder::new(&engine, &models, DecodeLimits::default()).unwrap();
    let before = engine.statistics();
    let results = evaluate(&dataset, &tasks, &encoder);
    let after = engine.statistics();
    // An image: one backbone for pre and post, one each for other, the larger side and the other fit.
    let images = SIZES.len() as u64;
    assert_eq!((after.backbones - before.backbones, after.heads - before.heads), (4 * images, 5 * images));
    assert_eq!(results.len(), dataset.pairs.len());
    for (index, found) in results {
        for ((task, found), (model, side)) in tasks.iter().zip(found).zip(&models) {
            let expected = directly(&engine, &dataset, &dataset.pairs[index], model, *side, task);
            assert_eq!(found.unwrap(), expected);
        }
    }
}

#[test]
fn the_bytes_of_an_image_are_those_of_its_maps() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(bundles(folder.path()));
    let dataset = dataset(folder.path());
    let encoder = EvalEncoder::new(&engine, &models(&engine), DecodeLimits::default()).unwrap();
    assert_eq!(encoder.models(), 5);
    for image in &dataset.images {
        for models in [vec![0], vec![4], vec![1, 3], vec![4, 0, 2], vec![0, 1, 2, 3, 4]] {
            let maps = encoder.encode(image, &models, &Cancel::default()).unwrap();
            assert_eq!(maps.len(), models.len());
            assert_eq!(maps.iter().map(|map| map.bytes()).sum::<u64>(), encoder.bytes(image, &models));
        }
    }
}

#[test]
fn a_bad_image_fails_its_pairs_with_a_sentence_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(bundles(folder.path()));
    let dataset = dataset(folder.path());
    std::fs::remove_file(&dataset.images[0].path).unwrap();
    std::fs::write(&dataset.images[1].path, &png(64, 64, 1)[..300]).unwrap();
    std::fs::write(&dataset.images[2].path, png(41, 120, 2)).unwrap();
    let encoder = EvalEncoder::new(&engine, &models(&engine), DecodeLimits::default()).unwrap();
    let tasks = [Task { model: 4, matching: matching::Settings::default() }];
    for (index, found) in evaluate(&dataset, &tasks, &encoder) {
        let pair = &dataset.pairs[index];
        let sentences = ["No such file", "truncated", "it is 41×120 px and annotated as 40×120"];
        let bad: Vec<&str> = [pair.source, pair.target].iter().filter_map(|i| sentences.get(*i).copied()).collect();
        match &found[0] {
            Ok(_) => assert!(bad.is_empty(), "{}", pair.id),
            Err(failure) => assert!(bad.iter().any(|bad| failure.reason.contains(bad)), "{}: {failure}", pair.id),
        }
    }
}

#[test]
fn images_may_come_from_elsewhere_than_their_paths() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(bundles(folder.path()));
    let dataset = dataset(folder.path());
    let encoder = EvalEncoder::new(&engine, &models(&engine), DecodeLimits::default()).unwrap();
    let read = encoder.encode(&dataset.images[3], &[0], &Cancel::default()).unwrap();
    let stored: HashMap<&str, Vec<u8>> = HashMap::from([("b3", png(77, 51, 3))]);
    let encoder = encoder.with_source(|image| {
        let name = image.path.to_str().unwrap_or_default();
        stored.get(name).cloned().ok_or_else(|| EncodeError::Image(format!("there is no blob {name}")))
    });
    let image = Image { path: "b3".into(), size: Size::new(77, 51) };
    let given = encoder.encode(&image, &[0], &Cancel::default()).unwrap();
    assert_eq!(given[0].features, read[0].features);
    let missing = encoder.encode(&Image { path: "b4".into(), ..image }, &[0], &Cancel::default());
    assert_eq!(missing.unwrap_err().to_string(), "there is no blob b4");
}

#[test]
fn a_side_that_is_not_offered_is_refused_and_an_engine_that_stopped_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(bundles(folder.path()));
    let dataset = dataset(folder.path());
    let pre = engine.model("pre").unwrap();
    let refused = EvalEncoder::new(&engine, &[(pre, 98)], DecodeLimits::default()).err().unwrap();
    assert!(matches!(refused, Error::Resolution { .. }));
    assert_eq!(refused.to_string(), "98 is not offered by pre; choose one of 70, 84");
    let encoder = EvalEncoder::new(&engine, &[(pre, 84)], DecodeLimits::default()).unwrap();
    engine.shutdown();
    let stopped = encoder.encode(&dataset.images[0], &[0], &Cancel::default());
    assert!(matches!(stopped, Err(EncodeError::Fatal(_))));
}

#[tokio::test]
async fn a_cancelled_encoder_returns_while_its_image_waits() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let engine = engine(vec![Bundle::open(&root().join("models/demo")).unwrap()]);
    let model = engine.model("demo").unwrap();
    let encoder = EvalEncoder::new(&engine, &[(model, 448)], DecodeLimits::default()).unwrap();
    let size = Size::new(448, 448);
    let grey = || Pixels::from_chw(size, vec![0.1; 3 * size.pixels() as usize]).unwrap();
    // So many that they are not done when the encoder has returned.
    let models = [model];
    let mut before: Vec<_> =
        (0..100).map(|_| Box::pin(engine.describe_together(&models, grey(), Priority::Background))).collect();
    for call in &mut before {
        assert!(futures::poll!(call.as_mut()).is_pending());
    }
    let cancel = Cancel::default();
    std::thread::scope(|scope| {
        let encoding = scope.spawn(|| encoder.encode(&dataset.images[0], &[0], &cancel));
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!encoding.is_finished());
        cancel.cancel();
        assert!(encoding.join().unwrap().is_err());
    });
    assert!(futures::poll!(before.last_mut().unwrap().as_mut()).is_pending());
    // What was dropped does not hold the worker up.
    drop(before);
    assert!(encoder.encode(&dataset.images[0], &[0], &Cancel::default()).is_ok());
}
