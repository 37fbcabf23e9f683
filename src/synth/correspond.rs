//! Which pixel of one picture shows the same place of the object as a pixel of another.

use rand::Rng;

use crate::object::Part;
use crate::sample::Rendered;

/// Two continuous pixels, source and target, that show the same place of the object.
pub type Correspondence = ([f32; 2], [f32; 2]);

/// Farthest distance of two places that count as the same, in steps of 1/255 of a part: no more than one pixel's extent
/// on a part that is some twenty pixels wide.
const SAME: i32 = 12;

/// Draws up to `count` correspondences of two pictures of one category: pixels of the source whose place is visible in the
/// target, with the target's pixel of the same part and the nearest place. Half are drawn evenly over pixels and half
/// evenly over parts, so that small parts are not lost beside large ones. Fewer come back where little is visible in both,
/// none where nothing is or the categories differ.
pub fn correspondences(source: &Rendered, target: &Rendered, count: usize, rng: &mut impl Rng) -> Vec<Correspondence> {
    if source.category != target.category {
        return Vec::new();
    }
    let targets = by_part(target);
    let sources: Vec<Pixels> =
        by_part(source).into_iter().filter(|(part, _)| find(&targets, *part).is_some()).collect();
    let total: usize = sources.iter().map(|(_, pixels)| pixels.len()).sum();
    let mut below = |bound: usize| (rng.next_u64() % bound.max(1) as u64) as usize;
    let mut found = Vec::with_capacity(count);
    if total == 0 {
        return found;
    }
    for attempt in 0..count * 4 {
        if found.len() == count {
            break;
        }
        let (part, pixel) = if attempt % 2 == 0 {
            let mut at = below(total);
            let holds = |(_, pixels): &&Pixels| {
                let here = at < pixels.len();
                at -= if here { 0 } else { pixels.len() };
                here
            };
            let Some((part, pixels)) = sources.iter().find(holds) else { continue };
            (*part, pixels[at])
        } else {
            let (part, pixels) = &sources[below(sources.len())];
            (*part, pixels[below(pixels.len())])
        };
        let Some(candidates) = find(&targets, part) else { continue };
        let distance =
            |place: [u8; 3]| -> i32 { (0..3).map(|i| (i32::from(place[i]) - i32::from(pixel.1[i])).pow(2)).sum() };
        let nearest = candidates.iter().min_by_key(|candidate| distance(candidate.1));
        if let Some(nearest) = nearest
            && distance(nearest.1) <= SAME * SAME
        {
            found.push((centre(pixel.0, source.width), centre(nearest.0, target.width)));
        }
    }
    found
}

/// A part and its pixels, each with its place.
type Pixels = (Part, Vec<(u32, [u8; 3])>);

fn by_part(rendered: &Rendered) -> Vec<Pixels> {
    let mut parts: Vec<Vec<(u32, [u8; 3])>> = vec![Vec::new(); 256];
    for (index, semantic) in rendered.semantic.iter().enumerate() {
        if let Some(semantic) = semantic {
            parts[usize::from(semantic.part.0)].push((index as u32, semantic.place));
        }
    }
    let numbered = parts.into_iter().enumerate().filter(|(_, pixels)| !pixels.is_empty());
    numbered.map(|(part, pixels)| (Part(part as u8), pixels)).collect()
}

fn find(parts: &[Pixels], part: Part) -> Option<&[(u32, [u8; 3])]> {
    parts.iter().find(|(other, _)| *other == part).map(|(_, pixels)| pixels.as_slice())
}

fn centre(index: u32, width: u32) -> [f32; 2] {
    [(index % width) as f32 + 0.5, (index / width) as f32 + 0.5]
}
