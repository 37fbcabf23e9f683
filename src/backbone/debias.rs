//! Positional debiasing, without training: directions in which descriptors tell where a token lies rather than what it shows
//! are found on an image that shows nothing, and taken out at the end of `head.onnx`.

use crate::{
    Error,
    checkpoint::Tensor,
    emit::transposed,
    onnx::{Attribute, GraphBuilder, Value},
};
use nalgebra::{DMatrix, SymmetricEigen};

/// Singular values below this part of the largest are rounding, and their directions arbitrary.
const NOISE: f64 = 1e-6;
/// What the official code's normalisation puts in place of a norm of zero.
const SMALLEST_NORM: f32 = 1e-12;

/// The directions of a network's descriptors that position alone moves: an orthonormal basis `[channels, directions]`.
///
/// With E the descriptors of a black image, each of unit length, their mean taken off, it is the first left singular vectors U
/// of `Eᵀ [channels, tokens]`; a descriptor f becomes `norm((I − UUᵀ) norm(f))`. It holds for the resolution it was found at.
/// Source: visinf/INSID3, `models/insid3.py` (Cuttano et al. 2026), which has the features after the final norm and for
/// correspondence 20 directions.
#[derive(Clone, Debug)]
pub struct PositionBasis {
    basis: Tensor,
}

impl PositionBasis {
    /// Finds the `directions` strongest directions of a black image's `descriptors [tokens, channels]`, row-major.
    ///
    /// # Errors
    /// [`Error::Option`] when so many cannot be told apart from rounding, or nothing would be left.
    pub fn of_black_image(descriptors: &[f32], channels: usize, directions: usize) -> Result<PositionBasis, Error> {
        let refuse = |reason: String| Err(Error::Option { field: "debias", reason });
        if !(1..channels).contains(&directions) {
            return refuse(format!("{directions} directions of descriptors of {channels} channels"));
        }
        if descriptors.is_empty() || !descriptors.len().is_multiple_of(channels) {
            return refuse(format!("{} values are no descriptors of {channels} channels", descriptors.len()));
        }
        if !descriptors.iter().all(|value| value.is_finite()) {
            return refuse("the network's descriptors of a black image are not finite".into());
        }
        let tokens = descriptors.len() / channels;
        let mut rows = DMatrix::from_row_iterator(tokens, channels, descriptors.iter().map(|value| f64::from(*value)));
        for mut row in rows.row_iter_mut() {
            let norm = row.norm().max(f64::from(SMALLEST_NORM));
            row /= norm;
        }
        for mut column in rows.column_iter_mut() {
            let mean = column.mean();
            column.add_scalar_mut(-mean);
        }
        // Left singular vectors of Eᵀ are eigenvectors of EᵀE. Squaring costs half the digits of fp64, which leaves those of fp32.
        let eigen = SymmetricEigen::new(rows.transpose() * &rows);
        let mut order: Vec<usize> = (0..channels).collect();
        order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
        let value = |place: usize| order.get(place).map_or(0.0, |at| eigen.eigenvalues[*at].max(0.0).sqrt());
        let told = (0..channels).take_while(|place| value(*place) > value(0) * NOISE).count();
        if told < directions {
            return refuse(format!(
                "a black image shows {told} directions at this resolution ({tokens} tokens), not {directions}"
            ));
        }
        let kept = order.get(..directions).unwrap_or_default();
        let data = (0..channels).flat_map(|row| kept.iter().map(move |at| (row, *at)));
        let data = data.map(|(row, at)| eigen.eigenvectors[(row, at)] as f32).collect();
        Ok(PositionBasis { basis: Tensor::new(vec![channels, directions], data)? })
    }

    /// The basis, `[channels, directions]`.
    pub fn basis(&self) -> &Tensor {
        &self.basis
    }

    /// Emits descriptors `[batch, h, w, channels]`, in single precision → the same without the directions, of unit length.
    ///
    /// Their length before is of no account to the result, so it is not divided out first. As two thin products, 20 of 768
    /// directions take a nineteenth of the arithmetic of one product with I − UUᵀ.
    pub fn emit(&self, graph: &mut GraphBuilder, descriptors: &str) -> Value {
        // Exact, whatever the precision: rounded to half precision the basis would not be orthonormal.
        let basis = graph.exact(&self.basis);
        let across = graph.exact(&transposed(&self.basis));
        let parts = graph.node("MatMul", &[descriptors, &basis], &[]);
        let positional = graph.node("MatMul", &[&parts, &across], &[]);
        let rest = graph.node("Sub", &[descriptors, &positional], &[]);
        let last = graph.ints(&[-1]);
        let norm = graph.node("ReduceL2", &[&rest, &last], &[Attribute::Int("keepdims", 1)]);
        let smallest = graph.float(SMALLEST_NORM);
        let norm = graph.node("Max", &[&norm, &smallest], &[]);
        graph.node("Div", &[&rest, &norm], &[])
    }
}
