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
    /// Pictures of each; all ordered pairs of different ones are trained on.
    pub pictures: usize,
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
        let Pictures { side, categories, pictures: count, points, epoch, .. } = pictures;
        let wrong = |field, reason: &str| Err(Error::Setting { field, reason: reason.into() });
        if side == 0 || !side.is_multiple_of(patch) {
            return wrong("pictures.side", &format!("{side} is not a multiple of the patch, {patch}"));
        }
        if !(1..=Category::ALL.len()).contains(&categories) {
            return wrong("pictures.categories", &format!("there are {}", Category::ALL.len()));
        }
        if count < 2 || points == 0 || epoch == 0 {
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
        let Pictures { seed, side, categories, pictures: count, points, .. } = self.pictures;
        let mut random = random::stream("pictures", &[seed, step]);
        let mut left = Category::ALL.to_vec();
        let chosen: Vec<Category> =
            (0..categories).map(|_| left.swap_remove(random.random_range(0..left.len()))).collect();
        let strength = self.strength(step);
        let rendered: Vec<Rendered> = (0..categories * count)
            .into_par_iter()
            .map(|place| {
                let index = step * count as u64 + (place % count) as u64;
                let sample = Sample { category: chosen[place / count], split: Split::Trn, index, seed, strength };
                sample.render(Frame::Exact { width: side, height: side })
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

/// Ordered pairs of different pictures of a category.
fn ordered(categories: usize, count: usize) -> impl Iterator<Item = (usize, usize)> {
    let within = move |category: usize| {
        (0..count * count)
            .filter(move |place| place / count != place % count)
            .map(move |place| (category * count + place / count, category * count + place % count))
    };
    (0..categories).flat_map(within)
}
