//! Describing: the descriptors of one image as a file.

use homolog_core::Error as CoreError;
use homolog_engine::WhenFull;
use tracing::{Instrument, info_span};

use super::{Encoder, Taken, Timings, timed};
use crate::app::App;
use crate::error::ApiError;
use crate::request::{DescribeJob, Format};
use crate::response::Description;

/// The entry of a safetensors file's metadata that holds the [`Description`] as JSON.
const METADATA: &str = "homolog";

/// Descriptors, and what belongs to them.
#[derive(Debug)]
pub struct Described {
    /// The file: npy or safetensors.
    pub file: Vec<u8>,
    /// What is in it.
    pub description: Description,
    /// The same as JSON in ASCII, as it is sent and written.
    pub json: String,
    /// Where the time went.
    pub timings: Timings,
}

/// Gives the descriptors of an image away, the very numbers that [`match_pair`](super::match_pair) matches, in a file of that
/// format; `job.settings.format` was considered by the caller.
///
/// # Errors
/// Every [`ApiError`] that is not about HTTP.
pub async fn describe(app: &App, job: DescribeJob, format: Format) -> Result<Described, ApiError> {
    let settings = job.settings;
    let encoder = Encoder::new(app, settings.model.as_deref(), settings.resolution)?;
    let mut timings = Timings::default();
    let share = encoder.share(1, 1);
    let taken = Taken { field: "image", layout: None, when_full: WhenFull::Refuse, check: &|_| Ok(()), share: &share };
    let (image, _) = encoder.encode(&job.image, &taken, &mut timings).await?;
    drop(share);

    let (normalise, dtype) = (settings.normalise.unwrap_or_default(), settings.dtype.unwrap_or_default());
    let description = Description::new(&encoder.model, encoder.resolution, &image.view(), normalise, dtype);
    // numbers, and an id that the manifest's rules keep in ASCII
    let json = serde_json::to_string(&description).map_err(|error| ApiError::Internal(error.to_string()))?;
    let metadata = json.clone();
    let write = move || {
        let normalised = normalise.then(|| image.features.normalised());
        let features = normalised.as_ref().unwrap_or(&image.features);
        match format {
            Format::Npy => features.to_npy(dtype),
            Format::Safetensors => features.to_safetensors(dtype, METADATA, &metadata),
        }
    };
    let write = app.finishing().quick(write).instrument(info_span!("write"));
    let file = timed(&mut timings.finish, write).await?.map_err(refused)?;
    Ok(Described { file, description, json, timings })
}

fn refused(error: CoreError) -> ApiError {
    match error {
        CoreError::NotHalf { .. } => ApiError::invalid("dtype", error.to_string()),
        other => ApiError::Internal(other.to_string()),
    }
}
