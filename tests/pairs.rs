//! A small dataset in Homolog's own format: pictures with squares, of which some lie where the keypoints are.

use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use std::{io::Cursor, path::Path};

/// Width and height of every picture, px.
pub const SIZE: (u32, u32) = (96, 72);

/// A picture of noise-free colours that depend on its number.
pub fn picture(number: u32) -> Vec<u8> {
    let colour = |x: u32, y: u32| {
        let square = 1 + (x / 12 + number) % 8 + 8 * ((y / 12 + 2 * number) % 6);
        Rgb([(37 * square % 256) as u8, (91 * square % 256) as u8, (153 * square % 256) as u8])
    };
    let picture = RgbImage::from_fn(SIZE.0, SIZE.1, colour);
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// The pair of two pictures that are called so: three keypoints, of which the target shows two.
pub fn pair(source: &str, target: &str) -> Value {
    json!({
        "source": source, "target": target, "category": "square",
        "source_keypoints": [[20.0, 20.0], [60.0, 50.0], [70.0, 10.0]],
        "target_keypoints": [[18.0, 22.0], [66.5, 50.0], null],
        "target_box": [10.0, 10.0, 80.0, 60.0],
    })
}

/// Writes `images` pictures and the pairs of each with the next `partners` into `folder`. Returns the number of pairs.
pub fn write(folder: &Path, images: u32, partners: u32) -> usize {
    write_groups(folder, 1, images, partners)
}

/// As [`write`], `groups` times over: no pair is of two groups, so that so many replicas can share them.
pub fn write_groups(folder: &Path, groups: u32, images: u32, partners: u32) -> usize {
    let mut lines = String::new();
    let name = |number: u32| format!("{number}.png");
    for (first, number) in (0..groups).flat_map(|group| (0..images).map(move |number| (group * images, number))) {
        std::fs::write(folder.join(name(first + number)), picture(first + number)).unwrap();
        for partner in 1..=partners {
            let target = first + (number + partner) % images;
            lines += &format!("{}\n", pair(&name(first + number), &name(target)));
        }
    }
    std::fs::write(folder.join("pairs.jsonl"), &lines).unwrap();
    lines.lines().count()
}
