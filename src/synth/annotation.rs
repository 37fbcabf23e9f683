//! SPair-71k's annotations, as its devkit writes them.

use serde::{Serialize, Serializer};

use crate::sample::Rendered;

/// Keypoint ids of an image's annotation: `"0"` to `"29"`, whatever the category has.
const IDS: usize = 30;

/// What `ImageAnnotation/CATEGORY/IMAGE.json` holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ImageAnnotation {
    pub(crate) filename: String,
    src_database: &'static str,
    src_annotation: &'static str,
    src_image: &'static str,
    image_width: u32,
    image_height: u32,
    image_depth: u32,
    category: &'static str,
    pose: &'static str,
    truncated: u8,
    occluded: u8,
    difficult: u8,
    bndbox: [u32; 4],
    kps: Places,
    azimuth_id: u8,
}

/// Places by id, in the order of the ids.
#[derive(Clone, Debug)]
struct Places([Option<[u32; 2]>; IDS]);

impl Serialize for Places {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().enumerate().map(|(id, place)| (id.to_string(), place)))
    }
}

/// What `PairAnnotation/SPLIT/PAIR.json` holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PairAnnotation {
    pair_id: usize,
    pub(crate) filename: String,
    src_imname: String,
    trg_imname: String,
    src_imsize: [u32; 3],
    trg_imsize: [u32; 3],
    src_bndbox: [u32; 4],
    trg_bndbox: [u32; 4],
    category: &'static str,
    src_pose: &'static str,
    trg_pose: &'static str,
    src_kps: Vec<[u32; 2]>,
    trg_kps: Vec<[u32; 2]>,
    kps_ids: Vec<String>,
    mirror: u8,
    pub(crate) viewpoint_variation: u8,
    pub(crate) scale_variation: u8,
    pub(crate) truncation: u8,
    pub(crate) occlusion: u8,
}

/// PASCAL VOC's word for a view, by eighths of a turn.
fn pose(azimuth_id: u8) -> &'static str {
    match azimuth_id {
        0 => "Frontal",
        1..=3 => "Left",
        4 => "Rear",
        _ => "Right",
    }
}

impl ImageAnnotation {
    /// The annotation of a picture whose file is called `name`, without its ending. Keypoints are rounded to whole pixels,
    /// as SPair-71k's are.
    pub(crate) fn new(name: &str, picture: &Rendered) -> ImageAnnotation {
        let mut places = [None; IDS];
        for keypoint in picture.visible() {
            let whole = |v: f32, size: u32| (v.round().max(0.0) as u32).min(size - 1);
            if let Some(place) = places.get_mut(usize::from(keypoint.id)) {
                *place = Some([whole(keypoint.x, picture.width), whole(keypoint.y, picture.height)]);
            }
        }
        ImageAnnotation {
            filename: format!("{name}.jpg"),
            src_database: "Homolog synthetic",
            src_annotation: "Homolog synthetic",
            src_image: "rendered",
            image_width: picture.width,
            image_height: picture.height,
            image_depth: 3,
            category: picture.category.name(),
            pose: pose(picture.azimuth_id()),
            truncated: picture.truncated.into(),
            occluded: picture.occluded.into(),
            difficult: 0,
            bndbox: picture.bounds,
            kps: Places(places),
            azimuth_id: picture.azimuth_id(),
        }
    }

    /// Keypoints that are visible in both.
    pub(crate) fn common(&self, other: &ImageAnnotation) -> usize {
        self.kps.0.iter().zip(&other.kps.0).filter(|(a, b)| a.is_some() && b.is_some()).count()
    }

    fn area(&self) -> u64 {
        let [left, top, right, bottom] = self.bndbox.map(u64::from);
        (right - left) * (bottom - top)
    }
}

impl PairAnnotation {
    /// The annotation of a pair. Its levels of difficulty follow from the images': SPair-71k's paper names them without
    /// giving their bounds, and these agree with the pairs that the project has looked at.
    pub(crate) fn new(pair_id: usize, source: &ImageAnnotation, target: &ImageAnnotation) -> PairAnnotation {
        let stem = |image: &ImageAnnotation| image.filename.trim_end_matches(".jpg").to_owned();
        let kps = source.kps.0.iter().zip(&target.kps.0).enumerate();
        let common: Vec<(usize, [u32; 2], [u32; 2])> =
            kps.filter_map(|(id, (a, b))| Some((id, (*a)?, (*b)?))).collect();
        PairAnnotation {
            pair_id,
            filename: format!("{pair_id:06}-{}-{}:{}", stem(source), stem(target), source.category),
            src_imname: source.filename.clone(),
            trg_imname: target.filename.clone(),
            src_imsize: [source.image_width, source.image_height, source.image_depth],
            trg_imsize: [target.image_width, target.image_height, target.image_depth],
            src_bndbox: source.bndbox,
            trg_bndbox: target.bndbox,
            category: source.category,
            src_pose: source.pose,
            trg_pose: target.pose,
            src_kps: common.iter().map(|(_, place, _)| *place).collect(),
            trg_kps: common.iter().map(|(_, _, place)| *place).collect(),
            kps_ids: common.iter().map(|(id, _, _)| id.to_string()).collect(),
            mirror: 0,
            viewpoint_variation: viewpoint_variation(source.azimuth_id, target.azimuth_id),
            scale_variation: scale_variation(source.area(), target.area()),
            truncation: source.truncated + 2 * target.truncated,
            occlusion: source.occluded + 2 * target.occluded,
        }
    }
}

/// 0 up to an eighth of a turn between the views, 1 for a quarter, 2 beyond.
pub(crate) fn viewpoint_variation(source: u8, target: u8) -> u8 {
    let apart = source.abs_diff(target) % 8;
    apart.min(8 - apart).saturating_sub(1).min(2)
}

/// 0 while the larger box has at most twice the area of the smaller, 1 up to four times, 2 beyond.
pub(crate) fn scale_variation(source: u64, target: u64) -> u8 {
    let (small, large) = (source.min(target), source.max(target));
    u8::from(large > 2 * small) + u8::from(large > 4 * small)
}
