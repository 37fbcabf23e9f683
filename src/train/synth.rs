//! `homolog-train synth`: a synthetic benchmark in SPair-71k's layout.

use crate::{Error, progress};
use clap::Args;
use homolog_synth::{Category, Options, Summary};
use std::path::PathBuf;

/// Draws procedural objects of SPair-71k's categories, and writes images, masks, keypoints and pairs as the benchmark has them.
#[derive(Args, Debug)]
pub struct SynthArgs {
    /// The folder to write; it must be empty or missing.
    #[arg(long, required_unless_present = "contact_sheet")]
    pub out: Option<PathBuf>,
    /// The seed: the same seed and options give the same bytes.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Images of each category in trn, val and test.
    #[arg(long, value_name = "TRN,VAL,TEST", default_value = "60,15,25", value_parser = numbers::<3>)]
    pub images: [u32; 3],
    /// Pairs of each category in trn, val and test, both directions counted.
    #[arg(long, value_name = "TRN,VAL,TEST", default_value = "300,30,70", value_parser = numbers::<3>)]
    pub pairs: [u32; 3],
    /// Least and greatest long side of an image, px.
    #[arg(long, value_name = "LOW,HIGH", default_value = "320,400", value_parser = numbers::<2>)]
    pub sides: [u32; 2],
    /// How much viewpoint, scale, colours, light and surroundings vary, from 0 to 1.
    #[arg(long, default_value_t = 1.0)]
    pub strength: f32,
    /// Only these categories, with commas between them.
    #[arg(long, value_delimiter = ',')]
    pub categories: Vec<Category>,
    /// Write an overview of what is drawn, as a PNG.
    #[arg(long, value_name = "FILE")]
    pub contact_sheet: Option<PathBuf>,
}

/// Runs `synth`. None where only an overview was asked for.
///
/// # Errors
/// Those of [`homolog_synth::write`] and [`homolog_synth::contact_sheet`].
pub fn run(arguments: &SynthArgs) -> Result<Option<Summary>, Error> {
    let categories =
        if arguments.categories.is_empty() { Category::ALL.to_vec() } else { arguments.categories.clone() };
    let options = Options {
        categories,
        seed: arguments.seed,
        images: arguments.images.map(|count| count as usize),
        pairs: arguments.pairs.map(|count| count as usize),
        sides: arguments.sides,
        strength: arguments.strength,
    };
    if let Some(file) = &arguments.contact_sheet {
        homolog_synth::contact_sheet(file, &options, 8, false)?;
    }
    let Some(out) = &arguments.out else {
        return Ok(None);
    };
    let bar = progress::images();
    let summary = homolog_synth::write(out, &options, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    Ok(Some(summary))
}

/// So many whole numbers with commas between them.
fn numbers<const N: usize>(text: &str) -> Result<[u32; N], String> {
    let numbers: Result<Vec<u32>, _> = text.split(',').map(|number| number.trim().parse::<u32>()).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    <[u32; N]>::try_from(numbers).map_err(|found| format!("{N} numbers with commas between them, not {}", found.len()))
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn as_many_numbers_are_taken_as_there_are_splits() {
        assert_eq!(numbers::<3>("20, 10,5"), Ok([20, 10, 5]));
        assert!(numbers::<3>("20,10").is_err_and(|error| error.contains("not 2")));
        assert!(numbers::<3>("20,10,many").is_err());
    }
}
