//! The benchmark on disk, read by the project's own reader and recomputed from its files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::Path;

use homolog_eval::readers::spair71k::{ImageAnnotation, Layout, PairAnnotation};
use homolog_eval::readers::{ReadOptions, Split, spair71k};
use homolog_eval::symmetry::Symmetry;
use homolog_synth::{Category, Error, Options, Summary, write};

fn options() -> Options {
    Options { images: [4, 3, 5], pairs: [6, 2, 10], sides: [110, 150], seed: 5, ..Options::default() }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn written(folder: &Path, threads: usize) -> Summary {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| write(folder, &options(), &|_, _| {})).unwrap()
}

#[test]
fn the_bytes_depend_on_the_options_and_not_on_the_threads() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(written(one.path(), 1), written(two.path(), 2));
    let (one, two) = (files(one.path()), files(two.path()));
    assert!(one.keys().eq(two.keys()));
    for (name, bytes) in &one {
        assert!(*bytes == two[name], "{name} differs");
    }
}

#[test]
fn the_reader_reads_it_strictly_and_its_annotations_follow_from_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let summary = written(folder.path(), 2);
    let strict = ReadOptions { strict: true, check_images: true };
    for (number, split) in [Split::Trn, Split::Val, Split::Test].into_iter().enumerate() {
        let large = spair71k::read(folder.path(), Layout::Large, split, &strict).unwrap();
        assert_eq!(large.pairs.len(), summary.pairs[number]);
        let small = spair71k::read(folder.path(), Layout::Small, split, &strict).unwrap();
        assert!(!small.pairs.is_empty() && small.pairs.len() < large.pairs.len());
    }
    let images = images(folder.path());
    assert_eq!(images.len(), summary.images.iter().sum::<usize>());
    let tables = Symmetry::spair71k().unwrap();
    for ((category, name), annotation) in &images {
        check_image(folder.path(), category, name, annotation);
        for (id, _) in annotation.visible() {
            assert!(tables[category].name(&id).is_some(), "{category} has no keypoint {id}");
        }
    }
    let mut pairs = 0;
    for (name, text) in files(&folder.path().join("PairAnnotation")) {
        let pair = PairAnnotation::parse(Path::new(&name), &text).unwrap();
        let image = |image: &str| &images[&(pair.category.clone(), image.trim_end_matches(".jpg").to_owned())];
        check_pair(&pair, image(&pair.src_imname), image(&pair.trg_imname));
        pairs += 1;
    }
    assert_eq!(pairs, summary.pairs.iter().sum::<usize>());
}

fn images(folder: &Path) -> BTreeMap<(String, String), ImageAnnotation> {
    let annotations = files(&folder.join("ImageAnnotation")).into_iter().map(|(name, text)| {
        let annotation = ImageAnnotation::parse(Path::new(&name), &text).unwrap();
        let (category, file) = name.split_once('/').unwrap();
        ((category.to_owned(), file.trim_end_matches(".json").to_owned()), annotation)
    });
    annotations.collect()
}

/// Sizes, box and keypoints against the photo and the mask.
fn check_image(folder: &Path, category: &str, name: &str, annotation: &ImageAnnotation) {
    let file = |kind: &str, ending: &str| folder.join(format!("{kind}/{category}/{name}.{ending}"));
    let photo = image::open(file("JPEGImages", "jpg")).unwrap().to_rgb8();
    assert_eq!(photo.dimensions(), (annotation.image_width, annotation.image_height));
    let reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(file("Segmentation", "png")).unwrap()));
    let mut reader = reader.read_info().unwrap();
    let mut mask = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut mask).unwrap();
    assert_eq!((info.width, info.height), photo.dimensions());
    assert_eq!(info.color_type, png::ColorType::Indexed);
    let class = category.parse::<Category>().unwrap().voc_class();
    assert!(mask.iter().all(|pixel| *pixel == 0 || *pixel == class));

    let (w, h) = (info.width as usize, info.height as usize);
    let on: Vec<(usize, usize)> = (0..w * h).filter(|i| mask[*i] > 0).map(|i| (i % w, i / w)).collect();
    let bounds = [
        on.iter().map(|p| p.0).min().unwrap() as f64,
        on.iter().map(|p| p.1).min().unwrap() as f64,
        on.iter().map(|p| p.0).max().unwrap() as f64 + 1.0,
        on.iter().map(|p| p.1).max().unwrap() as f64 + 1.0,
    ];
    assert_eq!(annotation.bndbox, bounds, "{category} {name}");
    for (id, point) in annotation.visible() {
        // rounding moves a point by half a pixel in each direction, and so perhaps over the outline
        let near = on.iter().any(|(x, y)| {
            let (dx, dy) = (*x as f64 + 0.5 - point.x, *y as f64 + 0.5 - point.y);
            dx.hypot(dy) <= 1.5
        });
        assert!(near, "keypoint {id} of {category} {name} is not on the object");
    }
}

/// Every field of a pair from the annotations of its images.
fn check_pair(pair: &PairAnnotation, source: &ImageAnnotation, target: &ImageAnnotation) {
    let common: Vec<String> =
        source.visible().into_iter().map(|(id, _)| id).filter(|id| target.kps[id].is_some()).collect();
    assert_eq!(pair.kps_ids, common);
    assert!(common.len() >= 3);
    for (i, id) in common.iter().enumerate() {
        assert_eq!(Some(pair.src_kps[i]), source.kps[id]);
        assert_eq!(Some(pair.trg_kps[i]), target.kps[id]);
    }
    assert_eq!((pair.src_bndbox, pair.trg_bndbox), (source.bndbox, target.bndbox));
    assert_eq!((&pair.src_pose, &pair.trg_pose), (&source.pose, &target.pose));
    let turn = (i32::from(source.azimuth_id) - i32::from(target.azimuth_id)).rem_euclid(8);
    assert_eq!(pair.viewpoint_variation, [0, 0, 1, 2, 2, 2, 1, 0][turn as usize]);
    let area = |[left, top, right, bottom]: [f64; 4]| (right - left) * (bottom - top);
    let ratio = area(source.bndbox) / area(target.bndbox);
    let ratio = ratio.max(1.0 / ratio);
    assert_eq!(pair.scale_variation, if ratio > 4.0 { 2 } else { u8::from(ratio > 2.0) });
    assert_eq!(pair.truncation, source.truncated + 2 * target.truncated);
    assert_eq!(pair.occlusion, source.occluded + 2 * target.occluded);
    let stem = |name: &str| name.trim_end_matches(".jpg").to_owned();
    let (from, to) = (stem(&pair.src_imname), stem(&pair.trg_imname));
    assert_eq!(pair.filename, format!("{:06}-{from}-{to}:{}", pair.pair_id, pair.category));
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "mine").unwrap();
    let refused = write(folder.path(), &options(), &|_, _| {});
    assert!(matches!(refused, Err(Error::NotEmpty(_))));
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn more_pairs_than_images_have_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let asked = Options { images: [3, 0, 0], pairs: [7, 0, 0], ..options() };
    let refused = write(folder.path(), &asked, &|_, _| {}).unwrap_err();
    assert!(refused.to_string().contains("3 images make at most 6"), "{refused}");
}
