//! What a picture says about itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use homolog_synth::{Category, Frame, Part, Rendered, Sample, Split, correspondences};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const FRAME: Frame = Frame::Exact { width: 128, height: 112 };

fn drawn(category: Category, index: u64, strength: f32) -> Rendered {
    Sample { category, split: Split::Trn, index, seed: 3, strength }.render(FRAME)
}

#[test]
fn every_category_is_drawn_at_the_size_asked_for_and_shows_its_object() {
    for category in Category::ALL {
        for index in 0..4 {
            let picture = drawn(category, index, 1.0);
            assert_eq!((picture.width, picture.height, picture.rgb.len()), (128, 112, 128 * 112 * 3));
            let share = picture.mask().iter().filter(|on| **on).count() as f32 / (128.0 * 112.0);
            assert!(share > 0.02, "{category} {index} fills {share}");
            assert!(picture.visible().count() >= 3, "{category} {index}");
            assert!((0..8).contains(&picture.azimuth_id()));
        }
    }
}

#[test]
fn visible_keypoints_lie_on_the_object() {
    for category in Category::ALL {
        for index in 0..4 {
            let picture = drawn(category, index, 1.0);
            let mask = picture.mask();
            for keypoint in picture.visible() {
                let pixel = keypoint.y as usize * picture.width as usize + keypoint.x as usize;
                assert!(mask[pixel], "keypoint {} of {category} {index}", keypoint.id);
            }
        }
    }
}

#[test]
fn the_same_sample_is_the_same_picture_and_another_split_another_instance() {
    for category in [Category::Cat, Category::Car, Category::PottedPlant] {
        let sample = Sample { category, split: Split::Trn, index: 7, seed: 1, strength: 0.6 };
        assert_eq!(sample.render(FRAME), sample.render(FRAME));
        let other = Sample { split: Split::Test, ..sample };
        assert_ne!(sample.render(FRAME).semantic, other.render(FRAME).semantic);
        let other = Sample { seed: 2, ..sample };
        assert_ne!(sample.render(FRAME).semantic, other.render(FRAME).semantic);
    }
}

#[test]
fn strength_leaves_the_instance_alone() {
    let sample = Sample { category: Category::Dog, split: Split::Trn, index: 1, seed: 0, strength: 0.0 };
    let (mild, strong) = (sample.render(FRAME), Sample { strength: 1.0, ..sample }.render(FRAME));
    let ids = |picture: &Rendered| picture.keypoints.iter().map(|keypoint| keypoint.id).collect::<Vec<u8>>();
    assert_eq!(ids(&mild), ids(&strong));
    assert!(!mild.truncated && !mild.occluded);
}

#[test]
fn correspondences_join_pixels_of_the_same_part_and_place() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for category in Category::ALL {
        let (source, target) = (drawn(category, 0, 0.2), drawn(category, 1, 0.2));
        let found = correspondences(&source, &target, 50, &mut rng);
        assert!(found.len() >= 10, "{category}: {}", found.len());
        for (from, to) in found {
            let of = |picture: &Rendered, [x, y]: [f32; 2]| picture.semantic[y as usize * 128 + x as usize].unwrap();
            let (a, b) = (of(&source, from), of(&target, to));
            assert_eq!(a.part, b.part);
            let apart = a.place.iter().zip(b.place).map(|(a, b)| f64::from(a.abs_diff(b)).powi(2)).sum::<f64>().sqrt();
            assert!(apart <= 12.0, "{category}: {apart}");
        }
    }
    let cat = drawn(Category::Cat, 0, 0.0);
    assert!(correspondences(&cat, &drawn(Category::Dog, 0, 0.0), 50, &mut rng).is_empty());
}

#[test]
fn a_picture_corresponds_to_itself_pixel_by_pixel_or_nearly() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for category in Category::ALL {
        let picture = drawn(category, 2, 0.5);
        let found = correspondences(&picture, &picture, 100, &mut rng);
        let mut apart: Vec<f32> = found.iter().map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).collect();
        apart.sort_by(f32::total_cmp);
        // repeated things of one part, such as leaves, share places
        assert!(apart[apart.len() / 2] <= 1.0, "{category}: median {} px", apart[apart.len() / 2]);
    }
}

#[test]
fn mirroring_a_part_twice_gives_it_back() {
    for number in 0..=255 {
        assert_eq!(Part(number).mirrored().mirrored(), Part(number));
    }
    assert_eq!(Part(70).mirrored(), Part(134));
    assert_eq!(Part(3).mirrored(), Part(3));
}

#[test]
fn the_nearest_place_leads_from_keypoint_to_keypoint() {
    let frame = Frame::Exact { width: 160, height: 160 };
    let drawn = |category, index| Sample { category, split: Split::Val, index, seed: 1, strength: 0.4 }.render(frame);
    let (mut right, mut all) = (0, 0);
    for category in Category::ALL {
        for index in 0..6 {
            let (source, target) = (drawn(category, 2 * index), drawn(category, 2 * index + 1));
            let [left, top, end, bottom] = target.bounds.map(|v| v as f32);
            let allowed = 0.1 * (end - left).max(bottom - top);
            for keypoint in source.visible() {
                let Some(truth) = target.visible().find(|other| other.id == keypoint.id) else { continue };
                let here = source.semantic[keypoint.y as usize * 160 + keypoint.x as usize].unwrap();
                let apart = |place: [u8; 3]| -> i32 {
                    (0..3).map(|i| (i32::from(place[i]) - i32::from(here.place[i])).pow(2)).sum()
                };
                let same = target.semantic.iter().enumerate().filter_map(|(i, s)| s.map(|s| (i, s)));
                let best = same.filter(|(_, s)| s.part == here.part).min_by_key(|(_, s)| apart(s.place));
                let Some((at, _)) = best.filter(|(_, s)| apart(s.place) <= 400) else { continue };
                let (x, y) = ((at % 160) as f32 + 0.5, (at / 160) as f32 + 0.5);
                right += usize::from((x - truth.x).hypot(y - truth.y) <= allowed);
                all += 1;
            }
        }
    }
    // the rest are points on the border of two parts
    assert!(all > 500 && right * 100 >= all * 90, "{right} of {all}");
}
