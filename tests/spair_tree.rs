//! A tree of SPair-71k's real size and shape, with tiny pictures: 18 categories, 1,800 images, the real numbers of pairs.
//!
//! Everything follows from a seed. A part of an object has a place of its own on every object, moved by the image: so that a
//! keypoint can be predicted from its id, and a pair has the keypoints that both images show.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Result;
use std::path::Path;

/// Name, pairs in the test split, and number of keypoints of the categories.
pub const CATEGORIES: [(&str, usize, u32); 18] = [
    ("aeroplane", 690, 25),
    ("bicycle", 650, 11),
    ("bird", 702, 17),
    ("boat", 702, 14),
    ("bottle", 870, 10),
    ("bus", 644, 28),
    ("car", 564, 30),
    ("cat", 600, 15),
    ("chair", 646, 14),
    ("cow", 640, 21),
    ("dog", 600, 16),
    ("horse", 600, 20),
    ("motorbike", 702, 13),
    ("person", 650, 20),
    ("pottedplant", 862, 9),
    ("sheep", 664, 21),
    ("train", 756, 18),
    ("tvmonitor", 692, 16),
];

/// Pairs of the large layout: training, validation, test.
pub const LARGE: [(&str, usize); 3] = [("trn", 53_340), ("val", 5_384), ("test", 12_234)];

/// Pairs of the small layout.
pub const SMALL: [(&str, usize); 3] = [("trn", 10_652), ("val", 1_070), ("test", 2_438)];

/// Images of a category in each split, the fewest that have so many ordered pairs. (Validation and test share three; in the real
/// dataset they share none.)
const IMAGES: [(&str, std::ops::Range<usize>); 3] = [("trn", 0..55), ("val", 55..73), ("test", 70..100)];

/// Which splits' pairs are written; all images always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splits {
    /// 12,234 pairs.
    Test,
    /// 70,958 pairs.
    All,
}

/// Width and height of every picture, px.
pub const SIDE: (u32, u32) = (48, 36);

/// Writes the tree into `folder`.
pub fn write(folder: &Path, splits: Splits, seed: u64) -> Result<()> {
    let mut random = Random(seed);
    let mut kps: HashMap<(usize, usize), Vec<Option<[i64; 2]>>> = HashMap::new();
    for (category, (name, _, keypoints)) in CATEGORIES.iter().enumerate() {
        fs::create_dir_all(folder.join("ImageAnnotation").join(name))?;
        fs::create_dir_all(folder.join("JPEGImages").join(name))?;
        for image in 0..100 {
            let points = points(&mut random, *keypoints);
            write_image(folder, name, image, &points, &mut random)?;
            kps.insert((category, image), points);
        }
    }
    for ((split, large), (_, small)) in LARGE.into_iter().zip(SMALL) {
        if splits == Splits::Test && split != "test" {
            continue;
        }
        let mut names = Vec::with_capacity(large);
        fs::create_dir_all(folder.join("PairAnnotation").join(split))?;
        for (category, count) in counts(split, large).into_iter().enumerate() {
            for (source, target) in pairs(split, count, category, &kps) {
                names.push(write_pair(folder, split, names.len() + 1, category, source, target, &kps, &mut random)?);
            }
        }
        assert_eq!(names.len(), large, "{split}");
        write_list(folder, "large", split, names.iter())?;
        write_list(folder, "small", split, names.iter().step_by(large / small).take(small))?;
    }
    Ok(())
}

/// Test pairs as they are; the others spread evenly.
fn counts(split: &str, total: usize) -> Vec<usize> {
    if split == "test" {
        return CATEGORIES.iter().map(|(_, pairs, _)| *pairs).collect();
    }
    (0..CATEGORIES.len()).map(|index| total * (index + 1) / 18 - total * index / 18).collect()
}

/// Ordered pairs of a split's images of which both show a keypoint.
fn pairs(
    split: &str,
    count: usize,
    category: usize,
    kps: &HashMap<(usize, usize), Vec<Option<[i64; 2]>>>,
) -> Vec<(usize, usize)> {
    let range = IMAGES.iter().find(|(name, _)| *name == split).map(|(_, range)| range.clone()).unwrap_or(0..100);
    let common = |a: usize, b: usize| {
        kps[&(category, a)].iter().zip(&kps[&(category, b)]).any(|(a, b)| a.is_some() && b.is_some())
    };
    let all: Vec<(usize, usize)> = range
        .clone()
        .flat_map(|a| range.clone().map(move |b| (a, b)))
        .filter(|(a, b)| a != b && common(*a, *b))
        .collect();
    assert!(all.len() >= count, "{split}: {} of {count}", all.len());
    // spread over the images, not the first rows alone
    (0..count).map(|index| all[index * all.len() / count]).collect()
}

fn points(random: &mut Random, keypoints: u32) -> Vec<Option<[i64; 2]>> {
    let (dx, dy) = (random.below(12) as i64, random.below(8) as i64);
    let mut points: Vec<Option<[i64; 2]>> = (0..keypoints)
        .map(|id| (random.below(3) > 0).then(|| [6 + i64::from(id % 6) * 4 + dx, 5 + i64::from(id / 6) * 4 + dy]))
        .collect();
    // two parts that every object shows, so that every pair has a keypoint
    for id in [0, 1] {
        points[id] = Some([6 + id as i64 * 4 + dx, 5 + dy]);
    }
    points
}

fn stem(image: usize) -> String {
    format!("2008_{:06}", 7 * image + 11)
}

fn bounds(points: &[Option<[i64; 2]>]) -> [i64; 4] {
    let seen = || points.iter().flatten();
    let (left, right) = (seen().map(|p| p[0]).min().unwrap_or(0), seen().map(|p| p[0]).max().unwrap_or(0));
    let (top, bottom) = (seen().map(|p| p[1]).min().unwrap_or(0), seen().map(|p| p[1]).max().unwrap_or(0));
    [left - 3, top - 3, right + 3, bottom + 3]
}

fn write_image(
    folder: &Path,
    category: &str,
    image: usize,
    points: &[Option<[i64; 2]>],
    random: &mut Random,
) -> Result<()> {
    let stem = stem(image);
    let mut kps = String::new();
    for id in 0..30 {
        let point = points.get(id).copied().flatten();
        let point = point.map_or("null".to_owned(), |[x, y]| format!("[{x}, {y}]"));
        write!(kps, "{}\"{id}\": {point}", if id > 0 { ", " } else { "" }).map_err(std::io::Error::other)?;
    }
    let (width, height) = SIDE;
    let json = format!(
        "{{\"filename\": \"{stem}.jpg\", \"src_database\": \"The VOC2008 Database\", \"src_annotation\": \"PASCAL VOC2008\", \
         \"src_image\": \"flickr\", \"image_width\": {width}, \"image_height\": {height}, \"image_depth\": 3, \
         \"category\": \"{category}\", \"pose\": \"Left\", \"truncated\": 0, \"occluded\": 0, \"difficult\": 0, \
         \"bndbox\": {:?}, \"kps\": {{{kps}}}, \"azimuth_id\": {}}}",
        bounds(points),
        random.below(8)
    );
    fs::write(folder.join(format!("ImageAnnotation/{category}/{stem}.json")), json)?;
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    let (a, b) = (random.below(200) as u32, random.below(200) as u32);
    for y in 0..height {
        for x in 0..width {
            rgb.extend([(a + 3 * x) as u8, (b + 4 * y) as u8, (x * y) as u8]);
        }
    }
    let mut jpeg = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 80);
    encoder.encode(&rgb, width, height, image::ExtendedColorType::Rgb8).map_err(std::io::Error::other)?;
    fs::write(folder.join(format!("JPEGImages/{category}/{stem}.jpg")), jpeg)
}

#[allow(clippy::too_many_arguments, reason = "the parts of a file's text")]
fn write_pair(
    folder: &Path,
    split: &str,
    number: usize,
    category: usize,
    source: usize,
    target: usize,
    kps: &HashMap<(usize, usize), Vec<Option<[i64; 2]>>>,
    random: &mut Random,
) -> Result<String> {
    let (name, _, _) = CATEGORIES[category];
    let (from, to) = (&kps[&(category, source)], &kps[&(category, target)]);
    let common: Vec<(usize, [i64; 2], [i64; 2])> =
        from.iter().zip(to).enumerate().filter_map(|(id, (a, b))| Some((id, (*a)?, (*b)?))).collect();
    let ids: Vec<String> = common.iter().map(|(id, _, _)| id.to_string()).collect();
    let sources: Vec<[i64; 2]> = common.iter().map(|(_, source, _)| *source).collect();
    let targets: Vec<[i64; 2]> = common.iter().map(|(_, _, target)| *target).collect();
    let stem = format!("{number:06}-{}-{}:{name}", self::stem(source), self::stem(target));
    let (width, height) = SIDE;
    let json = format!(
        "{{\"pair_id\": {number}, \"filename\": \"{stem}\", \"src_imname\": \"{}.jpg\", \"trg_imname\": \"{}.jpg\", \
         \"src_imsize\": [{width}, {height}, 3], \"trg_imsize\": [{width}, {height}, 3], \"src_bndbox\": {:?}, \
         \"trg_bndbox\": {:?}, \"category\": \"{name}\", \"src_pose\": \"Left\", \"trg_pose\": \"Right\", \
         \"src_kps\": {sources:?}, \"trg_kps\": {targets:?}, \"kps_ids\": {ids:?}, \"mirror\": 0, \
         \"viewpoint_variation\": {}, \"scale_variation\": {}, \"truncation\": {}, \"occlusion\": {}}}",
        self::stem(source),
        self::stem(target),
        bounds(from),
        bounds(to),
        random.below(3),
        random.below(3),
        random.below(4),
        random.below(4)
    );
    fs::write(folder.join(format!("PairAnnotation/{split}/{stem}.json")), json)?;
    Ok(stem)
}

fn write_list<'a>(folder: &Path, layout: &str, split: &str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let folder = folder.join("Layout").join(layout);
    fs::create_dir_all(&folder)?;
    let text: String = names.map(|name| format!("{name}\n")).collect();
    fs::write(folder.join(format!("{split}.txt")), text)
}

/// SplitMix64: enough for test data, and the same on every machine and in every version.
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
