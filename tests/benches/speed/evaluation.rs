//! What an evaluation costs beside the bare encoding of its images: reading, decoding, matching and the runner's own work.

use super::{compare, engine, jpeg, photo};
use homolog_backbone::{catalog, export::export, random};
use homolog_core::{
    bundle::{Bundle, Feature, Precision},
    geometry::{Point, Size},
    image::{DecodeLimits, Photo},
    matching,
};
use homolog_engine::EvalEncoder;
use homolog_eval::{
    Dataset,
    readers::{ReadOptions, Split, spair71k},
    runner::{self, Cancel, Settings, Task},
};
use homolog_tests::{options, root, spair_tree};
use std::{collections::BTreeSet, hint::black_box, ops::ControlFlow};

/// Size of the photos, px: what SPair-71k's mostly have. The tree's own are tiny.
const PHOTO: (u32, u32) = (500, 375);
/// Keypoints of a pair; SPair-71k has 7.2 on average.
const KEYPOINTS: usize = 8;
/// Pairs an image: the test split's pairs over the dataset's 1,800 images.
const SPAIR: f64 = 6.8;
/// The same over the 540 images that those pairs use.
const DENSE: f64 = 22.7;
/// Categories that are run, of 30 images each.
const CATEGORIES: [&str; 2] = ["bird", "cat"];

/// A run over a part of a tree of SPair-71k's shape against the same engine on prepared pixels of the same images.
pub fn evaluation() {
    let folder = tempfile::tempdir().unwrap();
    spair_tree::write(folder.path(), spair_tree::Splits::Test, 71).unwrap();
    let read = ReadOptions { strict: true, check_images: true };
    let dataset = enlarged(spair71k::read(folder.path(), spair71k::Layout::Large, Split::Test, &read).unwrap());

    let network = catalog::find("dinov2-vits14").unwrap();
    let out = folder.path().join("vits");
    let mut options = options(12, Feature::PreNorm, Precision::Fp32);
    options.resolutions = vec![224];
    export(&network, &random::weights(&network.family, 0), &out, &options, |_| {}).unwrap();
    for (name, bundle, density) in [
        ("demo", root().join("models/demo"), SPAIR),
        ("demo", root().join("models/demo"), DENSE),
        ("ViT-S/14", out, SPAIR),
    ] {
        one(name, Bundle::open(&bundle).unwrap(), &dataset, density);
    }
}

fn one(name: &str, bundle: Bundle, dataset: &Dataset, density: f64) {
    let (pairs, images) = part(dataset, density);
    let engine = engine(bundle);
    let model = engine.models().next().unwrap();
    let file = jpeg(&detailed());
    let limits = DecodeLimits::default();
    let encoder = EvalEncoder::new(&engine, &[(model, 224)], limits).unwrap().with_source(|_| Ok(file.clone()));
    let tasks = [Task { model: 0, matching: matching::Settings::default() }];
    let settings = Settings { encoders: encoder.at_a_time(), ..Settings::default() };
    let photo = Photo::decode(&file, &limits).unwrap();
    let (pixels, _) = model.manifest().preparation(224).prepare(&photo).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    compare(
        &format!("evaluation, {name} at 224, {images} images, {} pairs : bare", pairs.len()),
        3,
        || {
            let run = runner::run(dataset, &pairs, &tasks, &encoder, &settings, &Cancel::default(), |done| {
                black_box(done.results.into_iter().map(Result::unwrap).count());
                ControlFlow::Continue(())
            });
            assert_eq!(run.unwrap().statistics.encodes, images);
        },
        || {
            for _ in 0..images {
                black_box(runtime.block_on(engine.describe(model, pixels.clone())).unwrap());
            }
        },
    );
}

/// A picture with so much noise that its JPEG has the length of a photo's, which its decoding takes time by: some 100 kB.
fn detailed() -> Photo {
    let smooth = photo(PHOTO.0, PHOTO.1);
    let mut state = 7u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 26) as u8
    });
    let rgb = smooth.rgb().iter().zip(noise).map(|(value, noise)| value.saturating_add(noise)).collect();
    Photo::from_rgb(smooth.size(), rgb).unwrap()
}

/// The tree with photos of real size, and with so many keypoints a pair.
fn enlarged(mut dataset: Dataset) -> Dataset {
    let (width, height) = spair_tree::SIDE;
    let (x, y) = (f64::from(PHOTO.0) / f64::from(width), f64::from(PHOTO.1) / f64::from(height));
    let larger = |point: Point| Point::new(point.x * x, point.y * y);
    for image in &mut dataset.images {
        image.size = Size::new(PHOTO.0, PHOTO.1);
    }
    for pair in &mut dataset.pairs {
        pair.keypoints.truncate(KEYPOINTS);
        for keypoint in &mut pair.keypoints {
            (keypoint.source, keypoint.target) = (larger(keypoint.source), larger(keypoint.target));
        }
    }
    dataset
}

/// Pairs of the categories that are run, `density` an image and spread evenly, and how many images they have.
fn part(dataset: &Dataset, density: f64) -> (Vec<usize>, usize) {
    let images = |pairs: &[usize]| {
        let ends = pairs.iter().flat_map(|&pair| [dataset.pairs[pair].source, dataset.pairs[pair].target]);
        ends.collect::<BTreeSet<usize>>().len()
    };
    let named = |pair: &usize| CATEGORIES.contains(&dataset.categories[dataset.pairs[*pair].category].name.as_str());
    let all: Vec<usize> = (0..dataset.pairs.len()).filter(named).collect();
    let wanted = ((images(&all) as f64 * density) as usize).min(all.len());
    let pairs: Vec<usize> = (0..wanted).map(|index| all[index * all.len() / wanted]).collect();
    let images = images(&pairs);
    (pairs, images)
}
