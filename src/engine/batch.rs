//! Which of the images that wait are run together.
//!
//! What waits is taken, and nothing is waited for: a timer would make every lone request slower, and under load images wait anyway.
//! Only images that are alike (the same models, the same size) can be run together.

/// The places of those to be run with the first that waits, itself among them: those alike, in the order in which they came, `most` at
/// most and one at least. Ascending; empty only if nothing waits.
///
/// Since the first is always taken, an image is overtaken by no more batches than images stood before it when it came.
pub fn together<K: PartialEq>(waiting: impl IntoIterator<Item = K>, most: usize) -> Vec<usize> {
    let mut waiting = waiting.into_iter().enumerate();
    let Some((place, first)) = waiting.next() else { return Vec::new() };
    let alike = waiting.filter(|(_, kind)| *kind == first).map(|(place, _)| place);
    std::iter::once(place).chain(alike.take(most.saturating_sub(1))).collect()
}
