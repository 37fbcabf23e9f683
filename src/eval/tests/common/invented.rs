//! A dataset like SPair-71k without photos, and runs whose predictions are the truth with something done to it.

#![allow(dead_code, reason = "each test file uses a part")]

use std::path::Path;
use std::sync::Arc;

use homolog_core::geometry::{Point, Size};
use homolog_core::matching::{Match, Settings as Matching};
use homolog_eval::dataset::{Bounds, Category, Dataset, Difficulty, Image, Keypoint, Pair};
use homolog_eval::document::{Evaluation, Finished, Model};
use homolog_eval::pck::{Bootstrap, Settings, Threshold};
use homolog_eval::readers::{Format, Split, spair71k::Layout};
use homolog_eval::result::PairResult;
use homolog_eval::symmetry::Symmetry;
use image::ImageFormat;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Numbers in [0, 1) that are the same in every run.
pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn roll(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A step of about `length` px.
    fn step(&mut self, length: f64) -> Point {
        let (angle, far) = (self.roll() * std::f64::consts::TAU, -(1.0 - self.roll()).ln());
        Point::new(angle.cos() * far * length, angle.sin() * far * length)
    }
}

/// Three categories with five images each and ordered pairs of them, with the symmetries of SPair-71k.
pub fn dataset() -> Dataset {
    let tables = Symmetry::spair71k().unwrap();
    let mut dice = Dice::new(7);
    let (mut images, mut categories, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for (category, name) in ["aeroplane", "cat", "horse"].into_iter().enumerate() {
        let symmetry = tables[name].clone();
        let ids: Vec<String> = (0..symmetry.names().len()).map(|id| id.to_string()).collect();
        let ids: Vec<&String> = ids.iter().filter(|id| symmetry.name(id).is_some()).take(10).collect();
        let first = images.len();
        let mut places: Vec<Vec<(String, Point)>> = Vec::new();
        for number in 0..5 {
            let size = Size::new(400 + 20 * number, 300);
            images.push(Image { path: format!("/data/{name}/{number}.png").into(), size });
            let mut place = || Point::new((40.0 + dice.roll() * 320.0).round(), (30.0 + dice.roll() * 240.0).round());
            places.push(ids.iter().map(|id| ((*id).clone(), place())).collect());
        }
        // fewer aeroplanes, and seven to ten keypoints: all averages differ
        let ordered = (0..5).flat_map(|a| (0..5).map(move |b| (a, b)));
        for (one, other) in ordered.filter(|(a, b)| a != b && (category > 0 || *a < 4)) {
            let keypoints = places[one].iter().zip(&places[other]).take(10 - (one + 2 * other) % 4);
            pairs.push(Pair {
                id: format!("{:03}-{name}-{one}-{other}", pairs.len()),
                source: first + one,
                target: first + other,
                category,
                keypoints: keypoints
                    .map(|((id, source), (_, target))| Keypoint { id: id.clone(), source: *source, target: *target })
                    .collect(),
                source_box: None,
                target_box: Bounds::from_corners([30.0, 20.0, 370.0, 280.0]),
                difficulty: Difficulty {
                    viewpoint: Some((one % 3) as u8),
                    scale: Some((other % 3) as u8),
                    truncation: Some(0),
                    occlusion: Some((one % 4) as u8),
                },
                target_visible: Some(Arc::from(places[other].clone())),
            });
        }
        categories.push(Category { name: name.to_owned(), symmetry: Some(symmetry) });
    }
    let listed = pairs.len();
    let name = "spair71k/test".to_owned();
    Dataset { name, images, categories, pairs, problems: Vec::new(), listed, threshold: Threshold::Box }
}

pub fn format() -> Format {
    Format::Spair71k { layout: Layout::default(), split: Split::Test }
}

/// Every pair, its keypoints found about `noise` px from the truth, and one in `swaps` at its partner's place.
pub fn results(dataset: &Dataset, seed: u64, noise: f64, swaps: u64) -> Vec<PairResult> {
    let mut dice = Dice::new(seed);
    let mut found = |pair: &Pair, keypoint: &Keypoint, hard: f64| {
        let step = dice.step(noise * hard);
        let partner = dataset.categories[pair.category].symmetry.as_ref().and_then(|table| table.partner(&keypoint.id));
        let other = pair.keypoints.iter().find(|other| Some(other.id.as_str()) == partner);
        let truth = match other {
            Some(other) if dice.roll() * (swaps as f64) < 1.0 => other.target,
            _ => keypoint.target,
        };
        let point = Point::new(truth.x + step.x, truth.y + step.y).clamped_to(dataset.images[pair.target].size);
        let confidence = (1.0 / (1.0 + point.distance(keypoint.target) / 40.0) * (0.6 + 0.5 * dice.roll())) as f32;
        Match {
            point,
            similarity: 0.8,
            confidence: confidence.clamp(0.0, 1.0),
            ratio: None,
            cycle_error: None,
            candidates: Vec::new(),
        }
    };
    let pairs = dataset.pairs.iter().enumerate();
    pairs
        .map(|(number, pair)| {
            let hard = 0.4 + (number % 7) as f64 * 0.25;
            let matches: Vec<Match> = pair.keypoints.iter().map(|keypoint| found(pair, keypoint, hard)).collect();
            PairResult::new(dataset, pair, &matches)
        })
        .collect()
}

pub fn finished(name: &str, results: Vec<PairResult>) -> Finished {
    let model = Model {
        id: "demo".to_owned(),
        digest: "5f".repeat(32),
        description: "Random weights; it shows that everything works.".to_owned(),
        resolution: 336,
    };
    Finished { name: name.to_owned(), model, matching: Matching::default(), results, failures: Vec::new() }
}

/// Two runs over the dataset, the second better.
pub fn evaluation(dataset: &Dataset) -> Evaluation {
    let runs =
        vec![finished("first@336", results(dataset, 1, 25.0, 4)), finished("second@448", results(dataset, 2, 15.0, 9))];
    Evaluation::new(dataset, &format(), Path::new("/data"), &settings(), runs).unwrap()
}

pub fn settings() -> Settings {
    Settings { bootstrap: Some(Bootstrap { resamples: 200, seed: 0 }), ..Settings::default() }
}

/// A picture of stripes of the image's size.
pub fn photo(image: &Image) -> Option<Vec<u8>> {
    let picture = image::RgbImage::from_fn(image.size.width, image.size.height, |x, y| {
        image::Rgb([(x / 2) as u8, (y / 2) as u8, if (x + y) / 24 % 2 == 0 { 90 } else { 140 }])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).ok()?;
    Some(bytes.into_inner())
}
