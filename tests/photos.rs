//! Photos to send, as many different ones as are wanted.

use crate::root;

const NAMES: [&str; 8] =
    ["a.jpg", "b.jpg", "boats/0.jpg", "boats/1.jpg", "boats/2.jpg", "boats/3.jpg", "boats/4.jpg", "boats/5.jpg"];

/// The pictures of the documentation: JPEG files of some 430 × 350 px and 20 kB.
pub fn examples() -> Vec<Vec<u8>> {
    let folder = root().join("openapi/examples");
    NAMES.iter().map(|name| std::fs::read(folder.join(name)).unwrap()).collect()
}

/// The same picture in a file of its own for each number, by a comment in the JPEG: nobody can have seen it before, and decoding it
/// takes as long.
pub fn numbered(jpeg: &[u8], number: u64) -> Vec<u8> {
    let (start_of_image, rest) = jpeg.split_at(2);
    // its length counts itself
    let comment = [0xff, 0xfe, 0, 10];
    [start_of_image, &comment, &number.to_be_bytes(), rest].concat()
}

/// Photos that were not seen before, one after the other.
pub struct New {
    examples: Vec<Vec<u8>>,
    next: u64,
}

impl New {
    /// Numbers from `first` on.
    pub fn from(first: u64) -> New {
        New { examples: examples(), next: first }
    }
}

impl Iterator for New {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let number = self.next;
        self.next += 1;
        Some(numbered(&self.examples[number as usize % self.examples.len()], number))
    }
}
