//! Batches of rendered objects, without end: no picture is shown twice.

use homolog_adapt::{Batch, BatchPair, Batches, Error, PointPair, data::random};
use homolog_core::{
    geometry::{Fit, FitMode, Point, Size},
    image::{Interpolation, Normalisation, Photo, prepare},
};
use homolog_synth::{Category, Cells, Frame, Rendered, Sample, Split, correspondences};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What pre-training sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// The seed of the pictures.
    pub seed: u64,
    /// Points of a pair.
    pub points: usize,
    /// The extent of the cells whose prototypes tokens are drawn to, as a share of the object's.
    pub cell: f32,
    /// Steps that count as an epoch.
    pub epoch: u64,
    /// One after another; the last one lasts.
    pub stages: Vec<Stage>,
}

/// Steps that see pictures of one kind: small and mild ones first, since a network that begins with nothing learns most from many
/// of them and does not learn from strong variation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// How many.
    pub steps: u64,
    /// Side of a picture, px: a multiple of the patch.
    pub side: u32,
    /// Categories in a step, drawn anew for each.
    pub categories: usize,
    /// Instances of each. All ordered pairs of a category's pictures are trained on.
    pub instances: usize,
    /// How many times larger than the picture the scene may be drawn that it is cut out of, from 1: the network sees things as large as
    /// in pictures of that side, for a small one's cost.
    pub zoom: f32,
    /// How much pictures vary at the stage's beginning and at its end, from 0 to 1, the benchmark's variation.
    pub strength: [f32; 2],
}

/// See [`Pictures`].
pub struct SynthBatches {
    pictures: Pictures,
    patch: u32,
    cells: Cells,
}

impl SynthBatches {
    /// Batches of these pictures for a network with patches of `patch` px.
    ///
    /// # Errors
    /// [`Error::Setting`] when nothing can be made of the settings.
    pub fn new(pictures: Pictures, patch: u32) -> Result<SynthBatches, Error> {
        let wrong = |field, reason: &str| Err(Error::Setting { field, reason: reason.into() });
        if pictures.points == 0 || pictures.epoch == 0 || !(pictures.cell > 0.0 && pictures.cell <= 1.0) {
            return wrong("pictures", "a pair has a point, an epoch a step, and a cell an extent above 0 and up to 1");
        }
        if pictures.stages.is_empty() {
            return wrong("pictures.stages", "at least one");
        }
        for Stage { side, categories, instances, zoom, .. } in &pictures.stages {
            if *side == 0 || !side.is_multiple_of(patch) {
                return wrong("pictures.stages.side", &format!("{side} is not a multiple of the patch, {patch}"));
            }
            if !(1..=Category::ALL.len()).contains(categories) {
                return wrong("pictures.stages.categories", &format!("there are {}", Category::ALL.len()));
            }
            if *instances < 2 {
                return wrong("pictures.stages.instances", "a pair has two pictures");
            }
            if !(1.0..=MOST_ZOOM).contains(zoom) {
                return wrong("pictures.stages.zoom", &format!("{zoom} is not from 1 to {MOST_ZOOM}"));
            }
        }
        let cells = Cells::new(pictures.cell);
        Ok(SynthBatches { pictures, patch, cells })
    }

    /// Classes of tokens: what is no object is the first.
    pub fn classes(&self) -> usize {
        self.cells.count() + 1
    }

    /// The stage of a step and how much pictures vary in it.
    fn stage(&self, step: u64) -> (&Stage, f32) {
        let mut first = 0;
        let stages = &self.pictures.stages;
        for (index, stage) in stages.iter().enumerate() {
            if step < first + stage.steps || index + 1 == stages.len() {
                let share = ((step - first) as f32 / stage.steps.max(1) as f32).min(1.0);
                let [from, to] = stage.strength;
                return (stage, from + (to - from) * share);
            }
            first += stage.steps;
        }
        (&stages[0], stages[0].strength[0])
    }

    /// What each token shows at its centre.
    fn classes_of(&self, picture: &Rendered, fit: &Fit) -> Vec<Option<u32>> {
        let (grid, patch) = (fit.grid(), self.patch as usize);
        let at = |token: usize| {
            let (row, column) = (token / grid.width, token % grid.width);
            let pixel = (row * patch + patch / 2) * picture.width as usize + column * patch + patch / 2;
            match picture.semantic.get(pixel).copied().flatten() {
                None => Some(0),
                Some(semantic) => Some(self.cells.of(picture.category, semantic)? as u32 + 1),
            }
        };
        (0..grid.len()).map(at).collect()
    }
}

impl Batches for SynthBatches {
    fn steps_per_epoch(&self) -> u64 {
        self.pictures.epoch
    }

    fn batch(&self, step: u64) -> Result<Vec<Batch>, Error> {
        let Pictures { seed, points, .. } = self.pictures;
        let (&Stage { side, categories, instances, zoom, .. }, strength) = self.stage(step);
        let fit = Fit::new(FitMode::Squash, Size::new(side, side), side, self.patch)
            .map_err(|error| Error::Compute(error.into()))?;
        let mut random = random::stream("pictures", &[seed, step]);
        let mut left = Category::ALL.to_vec();
        let chosen: Vec<Category> =
            (0..categories).map(|_| left.swap_remove(random.random_range(0..left.len()))).collect();
        let rendered: Vec<Rendered> = (0..categories * instances)
            .into_par_iter()
            .map(|place| {
                let index = step * instances as u64 + (place % instances) as u64;
                let sample = Sample { category: chosen[place / instances], split: Split::Trn, index, seed, strength };
                let mut random = random::stream("cut", &[seed, step, place as u64]);
                let drawn = (side as f32 * zoom.powf(random.random())).round() as u32;
                cut(sample.render(Frame::Exact { width: drawn, height: drawn }), side, strength, &mut random)
            })
            .collect();
        let mut pairs = Vec::new();
        for (source, target) in ordered(categories, instances) {
            let found = correspondences(&rendered[source], &rendered[target], points, &mut random);
            let token = |[x, y]: [f32; 2]| fit.to_token(Point::new(x.into(), y.into()));
            let points: Vec<PointPair> =
                found.iter().map(|(a, b)| PointPair { source: token(*a), target: token(*b) }).collect();
            if !points.is_empty() {
                pairs.push(BatchPair { source, target, points, weight: 0.0 });
            }
        }
        let share = (pairs.len().max(1) as f32).recip();
        pairs.iter_mut().for_each(|pair| pair.weight = share);
        let classes = rendered.iter().flat_map(|picture| self.classes_of(picture, &fit)).collect();
        let mut inputs = Vec::with_capacity(rendered.len() * 3 * (side * side) as usize);
        for picture in rendered {
            let photo = Photo::from_rgb(Size::new(side, side), picture.rgb);
            let pixels =
                photo.and_then(|photo| prepare(&photo, &fit, Interpolation::Bicubic, &Normalisation::IMAGENET));
            inputs.extend_from_slice(pixels.map_err(|error| Error::Compute(error.into()))?.data());
        }
        Ok(vec![Batch { images: categories * instances, inputs, grid: fit.grid(), pairs, classes }])
    }
}

/// The largest zoom: beyond it a picture shows a detail of a part.
const MOST_ZOOM: f32 = 4.0;
/// The most that a picture's colours are multiplied or divided by, at full strength.
const TINT: f32 = 1.5;

/// `side` by `side` pixels of a picture, with some of the object in them, in other colours.
fn cut(picture: Rendered, side: u32, strength: f32, random: &mut impl rand::Rng) -> Rendered {
    let mut unit = || random.random::<f32>();
    let tints: [f32; 3] = std::array::from_fn(|_| TINT.powf((0.3 + 0.7 * strength) * (2.0 * unit() - 1.0)));
    let [left, top, right, bottom] = picture.bounds.map(|bound| bound as f32);
    // a place in the object's box, anywhere in the cut
    let mut start = |low: f32, high: f32, size: u32| {
        let (place, margin) = (low + (high - low) * unit(), (size - side) as f32);
        (place - side as f32 * unit()).clamp(0.0, margin).round() as usize
    };
    let (x, y) = (start(left, right, picture.width), start(top, bottom, picture.height));
    let (width, side) = (picture.width as usize, side as usize);
    let (mut rgb, mut semantic) = (Vec::with_capacity(3 * side * side), Vec::with_capacity(side * side));
    for row in y..y + side {
        let line = row * width + x..row * width + x + side;
        semantic.extend_from_slice(&picture.semantic[line.clone()]);
        let samples = picture.rgb[3 * line.start..3 * line.end].iter().enumerate();
        rgb.extend(samples.map(|(index, sample)| (f32::from(*sample) * tints[index % 3]).min(255.0) as u8));
    }
    // What is known of the whole picture is not asked for any more.
    Rendered { width: side as u32, height: side as u32, rgb, semantic, ..picture }
}

/// Ordered pairs of different pictures of a category.
fn ordered(categories: usize, count: usize) -> impl Iterator<Item = (usize, usize)> {
    let within = move |category: usize| {
        (0..count * count)
            .filter(move |place| place / count != place % count)
            .map(move |place| (category * count + place / count, category * count + place % count))
    };
    (0..categories).flat_map(within)
}
