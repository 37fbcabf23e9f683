//! The benchmark on disk, in SPair-71k's layout.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;
use serde::Serialize;

use crate::annotation::{ImageAnnotation, PairAnnotation};
use crate::random::Dice;
use crate::sample::{Frame, Rendered, Sample, Split};
use crate::{Category, Error};

/// Fewest keypoints that both images of a pair show.
const COMMON: usize = 3;

/// One in so many pairs is in the small layout too, as it is in SPair-71k.
const SMALL: usize = 5;

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The categories.
    pub categories: Vec<Category>,
    /// The seed of everything.
    pub seed: u64,
    /// Images of each category in `trn`, `val` and `test`.
    pub images: [usize; 3],
    /// Pairs of each category in them, both directions counted; fewer where fewer pairs have three keypoints in common.
    pub pairs: [usize; 3],
    /// Least and greatest long side of an image, px.
    pub sides: [u32; 2],
    /// How much viewpoint, scale, colours, light and surroundings vary, from 0 to 1.
    pub strength: f32,
}

impl Default for Options {
    /// All categories with SPair-71k's share of images, and a tenth of its pairs.
    fn default() -> Options {
        Options {
            categories: Category::ALL.to_vec(),
            seed: 0,
            images: [60, 15, 25],
            pairs: [300, 30, 70],
            sides: [320, 400],
            strength: 1.0,
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), Error> {
        let [low, high] = self.sides;
        if low < 64 || high > 4096 || low > high {
            return Err(Error::Sides { low, high });
        }
        self.check_scene()?;
        for (split, (images, pairs)) in Split::ALL.iter().zip(self.images.into_iter().zip(self.pairs)) {
            let most = images.saturating_mul(images.saturating_sub(1));
            if pairs > most {
                return Err(Error::TooManyPairs { split: split.name(), pairs, images, most });
            }
        }
        Ok(())
    }

    /// Checks what every picture depends on.
    pub(crate) fn check_scene(&self) -> Result<(), Error> {
        if !(0.0..=1.0).contains(&self.strength) {
            return Err(Error::Strength(self.strength));
        }
        if self.categories.is_empty() {
            return Err(Error::NoCategory);
        }
        Ok(())
    }
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Images in `trn`, `val` and `test`.
    pub images: [usize; 3],
    /// Pairs in them.
    pub pairs: [usize; 3],
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |i: usize| format!("{} images and {} pairs", self.images[i], self.pairs[i]);
        write!(f, "trn: {}; val: {}; test: {}", part(0), part(1), part(2))
    }
}

/// Writes the benchmark into a folder, which is made where it is missing. The bytes depend on the options alone. `progress`
/// is told how many of how many images are done, from any thread.
///
/// # Errors
/// [`Error::NotEmpty`] for a folder that holds something, [`Error::TooManyPairs`], [`Error::Sides`], [`Error::Strength`],
/// [`Error::NoCategory`]; [`Error::Write`] and [`Error::Encode`] for what the disk or an encoder refuses.
pub fn write(folder: &Path, options: &Options, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Summary, Error> {
    options.check()?;
    let taken = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        return Err(Error::NotEmpty(folder.to_path_buf()));
    }
    for kind in ["JPEGImages", "ImageAnnotation", "Segmentation"] {
        for category in &options.categories {
            make(&folder.join(kind).join(category.name()))?;
        }
    }
    for split in Split::ALL {
        make(&folder.join("PairAnnotation").join(split.name()))?;
    }
    for layout in ["large", "small"] {
        make(&folder.join("Layout").join(layout))?;
    }
    let total = (options.images.iter().sum::<usize>() * options.categories.len()) as u64;
    let done = AtomicU64::new(0);
    let mut summary = Summary::default();
    for (number, split) in Split::ALL.into_iter().enumerate() {
        let mut pairs = Vec::new();
        for category in &options.categories {
            let images: Vec<ImageAnnotation> = (0..options.images[number])
                .into_par_iter()
                .map(|index| {
                    let sample = Sample {
                        category: *category,
                        split,
                        index: index as u64,
                        seed: options.seed,
                        strength: options.strength,
                    };
                    let annotation = image(folder, &sample, options.sides)?;
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                    Ok(annotation)
                })
                .collect::<Result<_, Error>>()?;
            let mut dice = Dice::new(options.seed, 0, *category as u8, split as u8, 128);
            for (source, target) in choose(&images, options.pairs[number], &mut dice) {
                pairs.push(PairAnnotation::new(pairs.len() + 1, &images[source], &images[target]));
            }
            summary.images[number] += images.len();
        }
        summary.pairs[number] = pairs.len();
        list(folder, split, &pairs)?;
    }
    Ok(summary)
}

/// Draws and writes one image with its mask and annotation.
fn image(folder: &Path, sample: &Sample, [low, high]: [u32; 2]) -> Result<ImageAnnotation, Error> {
    let picture = sample.render(Frame::Photo { low, high });
    let name = format!("{}_{:06}", sample.split.name(), sample.index);
    let file =
        |kind: &str, ending: &str| folder.join(kind).join(sample.category.name()).join(format!("{name}.{ending}"));
    let quality =
        78 + Dice::new(sample.seed, sample.index, sample.category as u8, sample.split as u8, 65).below(18) as u8;
    save(&file("JPEGImages", "jpg"), |path| jpeg(path, &picture, quality))?;
    save(&file("Segmentation", "png"), |path| mask(path, &picture))?;
    let annotation = ImageAnnotation::new(&name, &picture);
    json(&file("ImageAnnotation", "json"), &annotation)?;
    Ok(annotation)
}

fn jpeg(path: &Path, picture: &Rendered, quality: u8) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&picture.rgb, picture.width, picture.height, ExtendedColorType::Rgb8)
        .map_err(|error| Error::Encode { path: path.to_path_buf(), reason: error.to_string() })?;
    Ok(bytes)
}

/// An indexed mask with PASCAL VOC's numbers and colours of the classes.
fn mask(path: &Path, picture: &Rendered) -> Result<Vec<u8>, Error> {
    let refused = |error: png::EncodingError| Error::Encode { path: path.to_path_buf(), reason: error.to_string() };
    let class = picture.category.voc_class();
    let pixels: Vec<u8> = picture.semantic.iter().map(|pixel| if pixel.is_some() { class } else { 0 }).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width, picture.height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_palette((0..=20_u8).flat_map(voc_colour).collect::<Vec<u8>>());
    let mut writer = encoder.write_header().map_err(refused)?;
    writer.write_image_data(&pixels).map_err(refused)?;
    writer.finish().map_err(refused)?;
    Ok(bytes)
}

/// PASCAL VOC's colour of a class: the bits of its number, from the least, become the highest bits of red, green and blue in turn
/// (the VOC devkit's VOClabelcolormap).
fn voc_colour(class: u8) -> [u8; 3] {
    let mut colour = [0; 3];
    for bit in 0..8 {
        colour[bit % 3] |= (class >> bit & 1) << (7 - bit / 3);
    }
    colour
}

/// Ordered pairs of images with enough in common, in both directions, at random.
fn choose(images: &[ImageAnnotation], count: usize, dice: &mut Dice) -> Vec<(usize, usize)> {
    let all = (0..images.len()).flat_map(|a| (a + 1..images.len()).map(move |b| (a, b)));
    let mut fit: Vec<(usize, usize)> = all.filter(|(a, b)| images[*a].common(&images[*b]) >= COMMON).collect();
    for place in (1..fit.len()).rev() {
        fit.swap(place, dice.below(place + 1));
    }
    let mut chosen: Vec<(usize, usize)> = fit.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]).take(count).collect();
    chosen.sort_unstable();
    chosen
}

fn list(folder: &Path, split: Split, pairs: &[PairAnnotation]) -> Result<(), Error> {
    let annotations = folder.join("PairAnnotation").join(split.name());
    pairs.par_iter().try_for_each(|pair| json(&annotations.join(format!("{}.json", pair.filename)), pair))?;
    for (layout, step) in [("large", 1), ("small", SMALL)] {
        let lines: String = pairs.iter().step_by(step).map(|pair| format!("{}\n", pair.filename)).collect();
        save(&folder.join(format!("Layout/{layout}/{}.txt", split.name())), |_| Ok(lines.into_bytes()))?;
    }
    Ok(())
}

fn json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let encode = |path: &Path| {
        serde_json::to_vec(value).map_err(|error| Error::Encode { path: path.to_path_buf(), reason: error.to_string() })
    };
    save(path, encode)
}

fn save(path: &Path, encode: impl FnOnce(&Path) -> Result<Vec<u8>, Error>) -> Result<(), Error> {
    std::fs::write(path, encode(path)?).map_err(|source| Error::Write { path: path.to_path_buf(), source })
}

fn make(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: PathBuf::from(folder), source })
}
