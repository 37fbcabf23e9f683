//! Photos made small, each once in the page.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use homolog_core::geometry::Size;
use homolog_core::image::{DecodeLimits, Interpolation, Photo, resize};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use maud::{Markup, html};

use crate::Dataset;
use crate::dataset::Image;

/// Longer side of a photo in the page, px.
pub(super) const SIDE: u32 = 320;

const QUALITY: u8 = 80;

/// The photos of a page. Those that are used are embedded once and drawn by reference.
pub(super) struct Photos<'a> {
    dataset: &'a Dataset,
    bytes: &'a dyn Fn(&Image) -> Option<Vec<u8>>,
    /// Data URIs by index of the image; none for a photo that cannot be had.
    made: BTreeMap<usize, Option<String>>,
}

impl<'a> Photos<'a> {
    pub fn new(dataset: &'a Dataset, bytes: &'a dyn Fn(&Image) -> Option<Vec<u8>>) -> Photos<'a> {
        Photos { dataset, bytes, made: BTreeMap::new() }
    }

    /// Whose photos they are.
    pub fn dataset(&self) -> &'a Dataset {
        self.dataset
    }

    /// Size of an image in the page, px, and what its pixels are multiplied by to get there.
    pub fn scaled(&self, index: usize) -> Option<(Size, f64)> {
        let size = self.dataset.images.get(index)?.size;
        let scale = f64::from(SIDE) / f64::from(size.width.max(size.height).max(1));
        let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        Some((Size::new(side(size.width), side(size.height)), scale))
    }

    /// The photo at this place, or a box that says that it is missing.
    pub fn draw(&mut self, index: usize, size: Size, left: u32) -> Markup {
        let made = self.made.contains_key(&index);
        if !made {
            let photo = self.make(index, size);
            self.made.insert(index, photo);
        }
        let there = self.made.get(&index).is_some_and(Option::is_some);
        html! {
            @if there {
                use href={ "#photo-" (index) } x=(left) {}
            } @else {
                rect class="missing" x=(left) width=(size.width) height=(size.height) {}
                text class="missing" x=(left + size.width / 2) y=(size.height / 2) { "photo not available" }
            }
        }
    }

    fn make(&self, index: usize, size: Size) -> Option<String> {
        let image = self.dataset.images.get(index)?;
        let photo = Photo::decode(&(self.bytes)(image)?, &DecodeLimits::default()).ok()?;
        // keypoints of another picture would be drawn beside what they mean
        if photo.size() != image.size {
            return None;
        }
        let small = resize(&photo, size, Interpolation::Bicubic).ok()?;
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
            .encode(small.rgb(), size.width, size.height, ExtendedColorType::Rgb8)
            .ok()?;
        Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
    }

    /// What [`draw`](Photos::draw) refers to.
    pub fn definitions(&self) -> Markup {
        let there = self.made.iter().filter_map(|(index, photo)| Some((index, photo.as_ref()?)));
        html! {
            svg class="definitions" width="0" height="0" aria-hidden="true" {
                defs {
                    @for (index, photo) in there {
                        @if let Some((size, _)) = self.scaled(*index) {
                            image id={ "photo-" (index) } href=(photo) width=(size.width) height=(size.height) {}
                        }
                    }
                }
            }
        }
    }
}
