//! The categories' objects, each put together of parts whose numbers, places and keypoints are the same on every instance.
//!
//! All are about one unit large, with x forward, y up and z to the object's own right.

pub(crate) mod aeroplane;
pub(crate) mod bicycle;
pub(crate) mod bird;
pub(crate) mod boat;
pub(crate) mod bottle;
pub(crate) mod bus;
pub(crate) mod car;
pub(crate) mod chair;
pub(crate) mod motorbike;
pub(crate) mod person;
pub(crate) mod pottedplant;
pub(crate) mod quadruped;
pub(crate) mod train;
pub(crate) mod tvmonitor;
pub(crate) mod wheel;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::collections::BTreeSet;

    use glam::Vec3;

    use crate::object::Part;
    use crate::random::Dice;
    use crate::{Category, Split};

    fn built(category: Category, split: Split, index: u64) -> crate::object::Object {
        category.build(&mut Dice::new(0, index, category as u8, split as u8, 0))
    }

    #[test]
    fn what_is_rigid_has_left_keypoints_that_mirror_the_right_ones() {
        // with the ids of SPair-71k's pairs of left and right
        let rigid: [(Category, &[[u8; 2]]); 7] = [
            (Category::Aeroplane, &[[8, 9], [12, 13], [14, 15], [16, 17], [18, 19], [20, 21]]),
            (Category::Boat, &[[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12]]),
            (Category::Bus, &[[0, 1], [2, 3], [5, 6], [11, 21], [14, 24], [16, 17], [28, 29]]),
            (Category::Car, &[[0, 1], [2, 3], [6, 7], [10, 20], [15, 25], [18, 19], [26, 27]]),
            (Category::Chair, &[[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]),
            (Category::Train, &[[0, 1], [2, 3], [4, 5], [8, 9], [12, 13], [16, 17]]),
            (Category::TvMonitor, &[[0, 2], [3, 7], [4, 6], [8, 10], [11, 15], [12, 14]]),
        ];
        for (category, pairs) in rigid {
            let object = built(category, Split::Trn, 1);
            let at = |id: u8| object.landmarks.iter().find(|l| l.id == id).map(|l| l.at);
            for [right, left] in pairs {
                let (right, left) = (at(*right).unwrap(), at(*left).unwrap());
                assert!((right * Vec3::new(1.0, 1.0, -1.0) - left).length() < 1e-5, "{category}");
            }
        }
    }

    #[test]
    fn a_part_of_one_side_has_a_partner_on_the_other() {
        for category in Category::ALL {
            let object = built(category, Split::Val, 2);
            let parts: BTreeSet<Part> = object.faces.iter().map(|face| face.part).collect();
            for part in &parts {
                assert!(parts.contains(&part.mirrored()), "{category} {part:?}");
            }
            for number in 64..128 {
                let centre = |part: Part| {
                    let faces: Vec<_> = object.faces.iter().filter(|face| face.part == part).collect();
                    let points = faces.iter().map(|face| object.positions[face.vertices[0] as usize].z);
                    points.sum::<f32>() / faces.len() as f32
                };
                if parts.contains(&Part(number)) {
                    let (right, left) = (centre(Part(number)), centre(Part(number + 64)));
                    assert!(right > left, "{category} {number}: {right} {left}");
                }
            }
        }
    }

    #[test]
    fn no_two_instances_are_alike_within_or_between_splits() {
        for category in Category::ALL {
            let mut seen = BTreeSet::new();
            for split in Split::ALL {
                for index in 0..5 {
                    let object = built(category, split, index);
                    let shape: Vec<u32> = object.positions.iter().map(|p| p.x.to_bits() ^ p.y.to_bits()).collect();
                    assert!(seen.insert(shape), "{category} {split:?} {index}");
                }
            }
        }
    }

    #[test]
    fn surfaces_are_finite_and_their_places_within_bounds() {
        for category in Category::ALL {
            for index in 0..6 {
                let object = built(category, Split::Trn, index);
                assert!(object.positions.iter().chain(&object.normals).all(|v| v.is_finite()), "{category} {index}");
                let inside = |v: &Vec3| v.cmpge(Vec3::splat(-1e-4)).all() && v.cmple(Vec3::splat(1.0001)).all();
                assert!(object.places.iter().all(inside), "{category} {index}");
                let (low, high) = object.bounds();
                assert!((0.5..3.5).contains(&(high - low).length()), "{category} {index}: {low} {high}");
            }
        }
    }
}
