//! Batches of rendered objects, without end: no picture is shown twice.

use homolog_adapt::{Batch, BatchPair, Batches, Error, PointPair, data::random};
use homolog_core::{
    geometry::{Fit, FitMode, Point, Size},
    image::{Interpolation, Normalisation, Photo, prepare},
};
use homolog_synth::{Category, Frame, Rendered, Sample, Split, correspondences};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What a step of pre-training sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// The seed of the pictures.
    pub seed: u64,
    /// Side of a picture, px: a multiple of the patch.
    pub side: u32,
    /// Categories in a step, drawn anew for each.
    pub categories: usize,
    /// Instances of each.
    pub instances: usize,
    /// Views of each instance: the picture, cut and tinted anew. All ordered pairs of different pictures of a category are trained on:
    /// those of one instance are what a network learns first.
    pub views: usize,
    /// Points of a pair.
    pub points: usize,
    /// How much the first pictures vary, from 0 to 1.
    pub mild: f32,
    /// Steps after which they vary as the benchmark's do. A network that begins with nothing does not learn from strong variation:
    /// its loss stays at chance.
    pub curriculum: u64,
    /// Steps that count as an epoch.
    pub epoch: u64,
}

/// See [`Pictures`].
pub struct SynthBatches {
    pictures: Pictures,
    fit: Fit,
}

impl SynthBatches {
    /// Batches of these pictures for a network with patches of `patch` px.
    ///
    /// # Errors
    /// [`Error::Setting`] when nothing can be made of the settings.
    pub fn new(pictures: Pictures, patch: u32) -> Result<SynthBatches, Error> {
        let Pictures { side, categories, instances, views, points, epoch, .. } = pictures;
        let wrong = |field, reason: &str| Err(Error::Setting { field, reason: reason.into() });
        if side == 0 || !side.is_multiple_of(patch) {
            return wrong("pictures.side", &format!("{side} is not a multiple of the patch, {patch}"));
        }
        if !(1..=Category::ALL.len()).contains(&categories) {
            return wrong("pictures.categories", &format!("there are {}", Category::ALL.len()));
        }
        if instances * views < 2 || points == 0 || epoch == 0 {
            return wrong("pictures", "a pair has two pictures and a point, an epoch a step");
        }
        let fit = Fit::new(FitMode::Squash, Size::new(side, side), side, patch)
            .map_err(|error| Error::Compute(error.into()))?;
        Ok(SynthBatches { pictures, fit })
    }

    /// How much the pictures of a step vary.
    fn strength(&self, step: u64) -> f32 {
        let Pictures { mild, curriculum, .. } = self.pictures;
        let share = (step as f32 / curriculum.max(1) as f32).min(1.0);
        mild + (1.0 - mild) * share
    }
}

impl Batches for SynthBatches {
    fn steps_per_epoch(&self) -> u64 {
        self.pictures.epoch
    }

    fn batch(&self, step: u64) -> Result<Vec<Batch>, Error> {
        let Pictures { seed, side, categories, instances, views, points, .. } = self.pictures;
        let count = instances * views;
        let mut random = random::stream("pictures", &[seed, step]);
        let mut left = Category::ALL.to_vec();
        let chosen: Vec<Category> =
            (0..categories).map(|_| left.swap_remove(random.random_range(0..left.len()))).collect();
        let strength = self.strength(step);
        let rendered: Vec<Rendered> = (0..categories * count)
            .into_par_iter()
            .map(|place| {
                let index = step * instances as u64 + (place % count / views) as u64;
                let sample = Sample { category: chosen[place / count], split: Split::Trn, index, seed, strength };
                let picture = sample.render(Frame::Exact { width: side, height: side });
                view(picture, strength, &mut random::stream("view", &[seed, step, place as u64]))
            })
            .collect();
        let mut pairs = Vec::new();
        for (source, target) in ordered(categories, count) {
            let found = correspondences(&rendered[source], &rendered[target], points, &mut random);
            let token = |[x, y]: [f32; 2]| self.fit.to_token(Point::new(x.into(), y.into()));
            let points: Vec<PointPair> =
                found.iter().map(|(a, b)| PointPair { source: token(*a), target: token(*b) }).collect();
            if !points.is_empty() {
                pairs.push(BatchPair { source, target, points, weight: 0.0 });
            }
        }
        let share = (pairs.len().max(1) as f32).recip();
        pairs.iter_mut().for_each(|pair| pair.weight = share);
        let mut inputs = Vec::with_capacity(rendered.len() * 3 * (side * side) as usize);
        for picture in rendered {
            let photo = Photo::from_rgb(Size::new(side, side), picture.rgb);
            let pixels =
                photo.and_then(|photo| prepare(&photo, &self.fit, Interpolation::Bicubic, &Normalisation::IMAGENET));
            inputs.extend_from_slice(pixels.map_err(|error| Error::Compute(error.into()))?.data());
        }
        Ok(vec![Batch { images: categories * count, inputs, grid: self.fit.grid(), pairs }])
    }
}

/// Most of a picture's side that is cut away, and most that its colours are multiplied or divided by, at full strength.
const CUT: f32 = 0.35;
const TINT: f32 = 1.5;

/// A part of the picture in its whole size, in other colours.
fn view(mut picture: Rendered, strength: f32, random: &mut impl rand::Rng) -> Rendered {
    let mut unit = || random.random::<f32>();
    let kept = 1.0 - CUT * (0.3 + 0.7 * strength) * unit();
    let (left, top) = ((1.0 - kept) * unit(), (1.0 - kept) * unit());
    let tints: [f32; 3] = std::array::from_fn(|_| TINT.powf((0.3 + 0.7 * strength) * (2.0 * unit() - 1.0)));
    let (width, height) = (picture.width as usize, picture.height as usize);
    let from =
        |at: usize, size: usize, start: f32| ((start + kept * (at as f32 + 0.5) / size as f32) * size as f32) as usize;
    let (mut rgb, mut semantic) = (Vec::with_capacity(picture.rgb.len()), Vec::with_capacity(width * height));
    for y in 0..height {
        for x in 0..width {
            let place = from(y, height, top).min(height - 1) * width + from(x, width, left).min(width - 1);
            rgb.extend((0..3).map(|c| (f32::from(picture.rgb[3 * place + c]) * tints[c]).min(255.0) as u8));
            semantic.push(picture.semantic[place]);
        }
    }
    // What is known of the whole picture is not asked for any more.
    (picture.rgb, picture.semantic) = (rgb, semantic);
    picture
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
