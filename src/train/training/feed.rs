//! A batch as the tensors that a training graph takes beside its parameters.

use super::loss::input;
use homolog_adapt::{
    Batch, Error, Losses,
    data::targets::{Smoothing, bilinear_weights, token_centres},
};

/// What keeps a softmax from a place without a point.
const NOWHERE: f32 = -1e9;

/// A dense tensor under the name of an input.
pub struct Fed {
    /// The input.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values, row-major.
    pub data: Vec<f32>,
}

/// What [`loss`](super::loss) reads of a batch's pairs, padded to the most points that one of them has.
///
/// # Errors
/// [`Error::Setting`] when the losses' kernel is none.
pub fn pairs(batch: &Batch, losses: &Losses) -> Result<Vec<Fed>, Error> {
    let (count, tokens) = (batch.pairs.len(), batch.grid.len());
    let most = batch.pairs.iter().map(|pair| pair.points.len()).max().unwrap_or(1);
    let mut fed: Vec<Fed> = Vec::new();
    let mut fill = |name, shape: &[usize], value: f32, write: &mut dyn FnMut(&mut [f32])| {
        let mut data = vec![value; shape.iter().product()];
        write(&mut data);
        fed.push(Fed { name, shape: shape.to_vec(), data });
    };
    // pair, point, place of the point in the padded order
    let points = || {
        batch.pairs.iter().enumerate().flat_map(move |(index, pair)| {
            pair.points.iter().enumerate().map(move |(place, point)| (pair, point, index * most + place))
        })
    };
    fill(input::SOURCE, &[count, batch.images], 0.0, &mut |data| {
        batch.pairs.iter().enumerate().for_each(|(index, pair)| data[index * batch.images + pair.source] = 1.0);
    });
    fill(input::TARGET, &[count, batch.images], 0.0, &mut |data| {
        batch.pairs.iter().enumerate().for_each(|(index, pair)| data[index * batch.images + pair.target] = 1.0);
    });
    fill(input::QUERY, &[count, most, tokens], 0.0, &mut |data| {
        points().for_each(|(_, point, row)| {
            bilinear_weights(point.source, batch.grid, &mut data[row * tokens..][..tokens])
        });
    });
    fill(input::WEIGHT, &[count, most, 1], 0.0, &mut |data| {
        points().for_each(|(pair, _, row)| data[row] = pair.weight / pair.points.len() as f32);
    });
    if losses.cross_entropy > 0.0 {
        let smoothing = Smoothing::new(losses.kernel, losses.sigma.into())?;
        fill(input::SMOOTHED, &[count, most, tokens], 0.0, &mut |data| {
            points().for_each(|(_, point, row)| {
                smoothing.write(point.target, batch.grid, &mut data[row * tokens..][..tokens])
            });
        });
    }
    if losses.soft_argmax > 0.0 {
        fill(input::PLACE, &[count, most, 2], 0.0, &mut |data| {
            points().for_each(|(_, point, row)| {
                data[2 * row..][..2].copy_from_slice(&[point.target.x as f32, point.target.y as f32]);
            });
        });
        fill(input::CENTRES, &[1, tokens, 2], 0.0, &mut |data| token_centres(batch.grid, data));
    }
    if losses.contrastive > 0.0 {
        fill(input::ANSWER, &[count, most, tokens], 0.0, &mut |data| {
            points().for_each(|(_, point, row)| {
                bilinear_weights(point.target, batch.grid, &mut data[row * tokens..][..tokens])
            });
        });
        fill(input::MASK, &[count, 1, most], NOWHERE, &mut |data| points().for_each(|(_, _, row)| data[row] = 0.0));
        fill(input::DIAGONAL, &[count, most, most], 0.0, &mut |data| {
            points().for_each(|(pair, _, row)| data[row * most + row % most] = pair.weight / pair.points.len() as f32);
        });
    }
    if losses.prototypes > 0.0 {
        let known = batch.classes.iter().filter(|class| class.is_some()).count();
        let share = (known.max(1) as f32).recip();
        fill(input::CLASS, &[batch.classes.len(), 1], 0.0, &mut |data| {
            data.iter_mut().zip(&batch.classes).for_each(|(value, class)| *value = class.unwrap_or_default() as f32);
        });
        fill(input::SHARE, &[batch.classes.len(), 1], 0.0, &mut |data| {
            data.iter_mut().zip(&batch.classes).for_each(|(value, class)| *value = class.map_or(0.0, |_| share));
        });
    }
    Ok(fed)
}
