//! Evaluations run on the engine that answers requests, behind them: `homolog-eval`'s encoder over loaded bundles.

use crate::{Engine, Error, Model, Priority, engine::distinct};
use homolog_core::{
    bundle::Preparation,
    image::{DecodeLimits, Photo},
};
use homolog_eval::{
    dataset::Image,
    runner::{Cancel, EncodeError, Encoded, Encoder},
};
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake},
    thread::Thread,
    time::Duration,
};

/// How long a thread sleeps at most before it looks whether the run was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// Gives the bytes of an image's file, or says whether the image is to blame.
type Source<'a> = dyn Fn(&Image) -> Result<Vec<u8>, EncodeError> + Send + Sync + 'a;

/// Bundles at a resolution each, as [`homolog_eval::runner`] asks for them.
///
/// An image is decoded once, prepared once for all models that take the same pixels, and its tokens are shared by the models
/// that stand on one backbone. Its runs are [`Priority::Background`], so that requests go first.
pub struct EvalEncoder<'a> {
    engine: &'a Engine,
    models: Vec<(Model, Preparation)>,
    limits: DecodeLimits,
    source: Box<Source<'a>>,
}

impl<'a> EvalEncoder<'a> {
    /// An encoder of models of this engine, each at a side in pixels; their places are the runner's indices. Images are read
    /// from their [paths](Image::path) and decoded within `limits`.
    ///
    /// # Errors
    /// [`Error::Resolution`] for a side that its model does not offer.
    pub fn new(engine: &'a Engine, models: &[(&Model, u32)], limits: DecodeLimits) -> Result<EvalEncoder<'a>, Error> {
        let at = |&(model, resolution): &(&Model, u32)| {
            let manifest = model.manifest();
            if manifest.resolutions.contains(&resolution) {
                return Ok((model.clone(), manifest.preparation(resolution)));
            }
            Err(Error::Resolution { model: manifest.id.clone(), resolution, offered: manifest.resolutions.clone() })
        };
        let models = models.iter().map(at).collect::<Result<_, Error>>()?;
        let read = |image: &Image| std::fs::read(&image.path).map_err(unreadable);
        Ok(EvalEncoder { engine, models, limits, source: Box::new(read) })
    }

    /// The same, with images from elsewhere than their paths.
    #[must_use]
    pub fn with_source(
        self,
        source: impl Fn(&Image) -> Result<Vec<u8>, EncodeError> + Send + Sync + 'a,
    ) -> EvalEncoder<'a> {
        EvalEncoder { source: Box::new(source), ..self }
    }

    /// How many images to encode [at a time](homolog_eval::runner::Settings::encoders): as many as the engine has workers, and
    /// one more, which is decoded while the others are run.
    pub fn at_a_time(&self) -> usize {
        self.engine.workers() + 1
    }

    fn decode(&self, image: &Image) -> Result<Photo, EncodeError> {
        let bytes = (self.source)(image)?;
        let photo = Photo::decode(&bytes, &self.limits).map_err(about_the_image)?;
        let (found, annotated) = (photo.size(), image.size);
        if found != annotated {
            return Err(EncodeError::Image(format!(
                "it is {}×{} px and annotated as {}×{}: its keypoints are those of another picture",
                found.width, found.height, annotated.width, annotated.height
            )));
        }
        Ok(photo)
    }
}

impl Encoder for EvalEncoder<'_> {
    fn models(&self) -> usize {
        self.models.len()
    }

    fn bytes(&self, image: &Image, models: &[usize]) -> u64 {
        let one = |(model, preparation): &(Model, Preparation)| {
            // An image that cannot be fitted has no maps.
            let tokens = preparation.fit(image.size).map_or(0, |fit| fit.grid().len());
            tokens as u64 * model.manifest().channels as u64 * size_of::<f32>() as u64
        };
        models.iter().filter_map(|&index| self.models.get(index)).map(one).sum()
    }

    fn encode(&self, image: &Image, models: &[usize], cancel: &Cancel) -> Result<Vec<Encoded>, EncodeError> {
        let chosen = models.iter().map(|&index| {
            let missing = || format!("model {index} was asked for, and there are {}", self.models.len());
            self.models.get(index).ok_or_else(|| EncodeError::Fatal(missing().into()))
        });
        let chosen: Vec<&(Model, Preparation)> = chosen.collect::<Result<_, _>>()?;
        let photo = self.decode(image)?;
        let mut encoded: Vec<Option<Encoded>> = vec![None; models.len()];
        for preparation in distinct(chosen.iter().map(|(_, preparation)| *preparation)) {
            let (pixels, fit) = preparation.prepare(&photo).map_err(about_the_image)?;
            let alike = chosen.iter().enumerate().filter(|(_, (_, other))| *other == preparation);
            let (places, alike): (Vec<usize>, Vec<&Model>) = alike.map(|(place, (model, _))| (place, model)).unzip();
            let call = self.engine.describe_together(&alike, pixels, Priority::Background);
            let Some(described) = wait(call, cancel) else {
                return Err(EncodeError::Image("the run was cancelled".into()));
            };
            let described = described.map_err(|error| EncodeError::Fatal(error.into()))?;
            for (place, described) in places.into_iter().zip(described) {
                encoded[place] = Some(Encoded { features: Arc::new(described.features), fit });
            }
        }
        Ok(encoded.into_iter().flatten().collect())
    }
}

fn about_the_image(error: homolog_core::Error) -> EncodeError {
    EncodeError::Image(error.to_string())
}

/// Brings a call to its end on this thread; drops it, which stops it, and gives none if the run is cancelled.
fn wait<T>(call: impl Future<Output = T>, cancel: &Cancel) -> Option<T> {
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut call = pin!(call);
    while !cancel.is_cancelled() {
        if let Poll::Ready(result) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(result);
        }
        // An unpark between the poll and this is not lost: it makes this return at once.
        std::thread::park_timeout(LOOK);
    }
    None
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// A file that is not there or not to be read costs its pairs. A disk that fails, or too many open files, is no fault of the image
/// and passes: the run ends, to be gone on with.
fn unreadable(error: std::io::Error) -> EncodeError {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::NotADirectory => {
            EncodeError::Image(error.to_string())
        }
        _ => EncodeError::Fatal(Box::new(error)),
    }
}
