//! Random numbers by what they are for, so that no draw depends on how many were made before it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The stream of random numbers for this purpose: the same for the same name and numbers, and independent of every other.
pub fn stream(purpose: &str, numbers: &[u64]) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(purpose);
    hash.update([0]);
    for number in numbers {
        hash.update(number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// The stream's next number in 0 ≤ x < 1.
pub fn unit(stream: &mut ChaCha8Rng) -> f64 {
    // the 53 bits that a double holds
    (stream.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_its_name_and_on_each_of_its_numbers() {
        let first = |purpose, numbers: &[u64]| stream(purpose, numbers).next_u64();
        assert_eq!(first("flip", &[1, 2]), first("flip", &[1, 2]));
        let others = [first("flop", &[1, 2]), first("flip", &[2, 1]), first("flip", &[1, 2, 0]), first("flip", &[1])];
        assert!(others.iter().all(|&other| other != first("flip", &[1, 2])));
    }

    #[test]
    fn unit_numbers_are_spread_over_zero_to_one() {
        let mut stream = stream("test", &[]);
        let drawn: Vec<f64> = (0..1000).map(|_| unit(&mut stream)).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
        assert!((drawn.iter().sum::<f64>() / 1000.0 - 0.5).abs() < 0.05);
    }
}
