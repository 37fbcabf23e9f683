//! Cosine similarities of descriptors to the tokens of a map.

use gemm::{Parallelism, gemm};

use crate::Error;
use crate::features::{Descriptors, FeatureMap};

/// Queries multiplied at once. The order in which a product sums depends on the shape of the matrices; with one shape for all,
/// a query's similarities are the same bits whether it comes alone or among a hundred.
const BLOCK: usize = 24;

/// The dot products of every query with every token: `[k, h * w]`, row-major; cosines if both sides are L2-normalised.
///
/// The same bits on the same processor for the same query and map, on one thread.
///
/// # Errors
/// [`Error::ChannelMismatch`] if queries and map are not of the same width.
pub fn similarity(queries: &Descriptors, map: &FeatureMap<'_>) -> Result<Vec<f32>, Error> {
    let channels = map.channels();
    if queries.channels() != channels {
        return Err(Error::ChannelMismatch { queries: queries.channels(), map: channels });
    }
    let tokens = map.grid().len();
    let mut result = vec![0.0; queries.len() * tokens];
    let blocks = queries.data().chunks(BLOCK * channels).zip(result.chunks_mut(BLOCK * tokens));
    for (block, rows) in blocks {
        if rows.len() == BLOCK * tokens {
            multiply(block, map.data(), rows, channels);
        } else {
            let mut padded = block.to_vec();
            padded.resize(BLOCK * channels, 0.0);
            let mut all = vec![0.0; BLOCK * tokens];
            multiply(&padded, map.data(), &mut all, channels);
            rows.copy_from_slice(&all[..rows.len()]);
        }
    }
    Ok(result)
}

/// `result[k, n] = queries[k, c] · tokens[n, c]ᵀ`, all row-major.
fn multiply(queries: &[f32], tokens: &[f32], result: &mut [f32], channels: usize) {
    let (k, n) = (queries.len() / channels, tokens.len() / channels);
    assert_eq!(result.len(), k * n);
    let (row, across) = (channels as isize, n as isize);
    // SAFETY: the three buffers hold k·c, n·c and k·n numbers, checked or computed above, and each is addressed with the
    // strides (row, column) of that very shape: (c, 1), transposed (1, c), and (n, 1). `result` is borrowed exclusively and
    // so overlaps neither of the others; with `read_dst` false its old content is not read.
    unsafe {
        gemm(
            k,
            n,
            channels,
            result.as_mut_ptr(),
            1,
            across,
            false,
            queries.as_ptr(),
            1,
            row,
            tokens.as_ptr(),
            row,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
