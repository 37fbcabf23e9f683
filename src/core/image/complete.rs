//! Whether a file is there to its end, told from its container alone.
//!
//! Needed because decoders are lenient: of a JPEG cut in half, zune-jpeg (in the lenient mode that `image` fixes) paints the
//! rest grey and reports success, and a keypoint in the grey would be matched with confidence. The WebP check comes before
//! its decoder too, which would make room for whatever length a chunk claims.

/// Whether a JPEG's markers lead to its end-of-image marker.
///
/// A thumbnail inside a segment has such a marker as well; segments are stepped over by their length, so it is not taken for
/// the picture's own. What follows the end (a second picture, a camera's padding) does not matter.
pub(super) fn jpeg(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2; // behind start-of-image
    // in headers and in entropy-coded data alike, what is no marker is stepped over: stray bytes between segments occur
    while let Some(&[mark, code]) = bytes.get(at..at + 2).and_then(<[u8]>::first_chunk) {
        match (mark, code) {
            (0xFF, END_OF_IMAGE) => return true,
            // fill byte: the next one may be the marker's code
            (0xFF, 0xFF) => at += 1,
            // a stuffed 0xFF of the data, or a marker without a segment (TEM, RST0 to RST7, SOI)
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, _) => match bytes.get(at + 2..at + 4).and_then(<[u8]>::first_chunk) {
                Some(&length) => at += 2 + usize::from(u16::from_be_bytes(length)),
                None => return false,
            },
            _ => at += 1,
        }
    }
    false
}

/// Whether every chunk of a WebP, and the RIFF container itself, lies within the file.
pub(super) fn webp(bytes: &[u8]) -> bool {
    let length_at = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize);
    let Some(end) = length_at(4).map(|length| length.saturating_add(8)) else {
        return false;
    };
    // some writers leave out the byte that pads the last chunk to an even length
    if end > bytes.len() + 1 {
        return false;
    }
    let mut at: usize = 12;
    while at + 8 <= end {
        let Some(length) = length_at(at + 4) else {
            return false;
        };
        at = at.saturating_add(8).saturating_add(length);
        if at > bytes.len() {
            return false;
        }
        at += length % 2;
    }
    true
}
