//! Surfaces divided into cells: which of a finite number of places a pixel shows.

use std::collections::BTreeMap;

use glam::Vec3;

use crate::Category;
use crate::object::{Object, Part};
use crate::random::Dice;
use crate::sample::{Semantic, Split};

/// Instances that are looked at to learn which parts a category has and how large they are.
const LOOKED_AT: u64 = 24;

/// A division of all categories' surfaces: the same place of every instance of a category is in the same cell.
#[derive(Clone, Debug)]
pub struct Cells {
    parts: BTreeMap<(Category, Part), Divided>,
    count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Divided {
    first: usize,
    /// Cells along each of a place's coordinates.
    sides: [usize; 3],
}

impl Cells {
    /// Divides surfaces into cells that are about `size` of their object's extent long, from above 0 to 1.
    pub fn new(size: f32) -> Cells {
        let mut extents: BTreeMap<(Category, Part), [f32; 3]> = BTreeMap::new();
        for category in Category::ALL {
            for index in 0..LOOKED_AT {
                let object = category.build(&mut Dice::new(0, index, category as u8, Split::Trn as u8, 0));
                for (part, extent) in extents_of(&object) {
                    let most = extents.entry((category, part)).or_default();
                    *most = std::array::from_fn(|axis| most[axis].max(extent[axis]));
                }
            }
        }
        let mut count = 0;
        let parts = extents.into_iter().map(|(part, extent)| {
            let sides = extent.map(|extent| (extent / size.clamp(0.01, 1.0)).round().max(1.0) as usize);
            let first = count;
            count += sides.iter().product::<usize>();
            (part, Divided { first, sides })
        });
        let parts = parts.collect();
        Cells { parts, count }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The number, below [`Cells::count`], of the cell that a pixel of the object shows; none for a part that hardly an instance has.
    pub fn of(&self, category: Category, pixel: Semantic) -> Option<usize> {
        let Divided { first, sides } = self.parts.get(&(category, pixel.part))?;
        let along = |axis: usize| usize::from(pixel.place[axis]) * sides[axis] / 256;
        Some(first + (along(0) * sides[1] + along(1)) * sides[2] + along(2))
    }
}

/// How far each part reaches along its three coordinates, as a share of the object's diagonal: the distance between the middle of
/// its upper and that of its lower third, and half as much again.
fn extents_of(object: &Object) -> BTreeMap<Part, [f32; 3]> {
    let (low, high) = object.bounds();
    let whole = (high - low).length().max(f32::EPSILON);
    let mut ends: BTreeMap<Part, [[(Vec3, f32); 2]; 3]> = BTreeMap::new();
    for face in &object.faces {
        let ends = ends.entry(face.part).or_default();
        for vertex in face.vertices.map(|vertex| vertex as usize) {
            let place = object.places[vertex].to_array();
            for axis in 0..3 {
                let end = match place[axis] {
                    ..0.334 => &mut ends[axis][0],
                    0.666.. => &mut ends[axis][1],
                    _ => continue,
                };
                *end = (end.0 + object.positions[vertex], end.1 + 1.0);
            }
        }
    }
    let between = |[a, b]: [(Vec3, f32); 2]| match a.1 > 0.0 && b.1 > 0.0 {
        true => 1.5 * (a.0 / a.1 - b.0 / b.1).length() / whole,
        false => 0.0,
    };
    ends.into_iter().map(|(part, ends)| (part, ends.map(between))).collect()
}

#[cfg(test)]
mod tests {
    use super::Cells;
    use crate::{Category, Frame, Sample, Split};

    #[test]
    fn nearly_all_of_an_object_is_in_some_cell_and_finer_cells_are_more() {
        let (coarse, fine) = (Cells::new(0.5), Cells::new(0.1));
        assert!(coarse.count() < fine.count());
        for category in Category::ALL {
            let sample = Sample { category, split: Split::Val, index: 3, seed: 1, strength: 0.5 };
            let picture = sample.render(Frame::Exact { width: 64, height: 64 });
            let pixels: Vec<_> = picture.semantic.iter().flatten().collect();
            let known: Vec<usize> = pixels.iter().filter_map(|pixel| fine.of(category, **pixel)).collect();
            assert!(known.len() * 100 >= pixels.len() * 95, "{category}: {} of {}", known.len(), pixels.len());
            assert!(known.iter().all(|cell| *cell < fine.count()));
        }
    }
}
