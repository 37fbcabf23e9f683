//! Our graphs of a network against expected tensors.

use crate::{golden, options, tensor};
use homolog_backbone::{catalog::Network, checkpoint::Checkpoint, export};
use homolog_core::{
    bundle::{Bundle, Feature, Precision},
    geometry::Size,
    image::Pixels,
};
use homolog_engine::{Engine, EngineConfig, ProviderChoice, library};
use homolog_train::verify::relative_error;
use ort::{
    session::{Session, builder::SessionBuilder},
    value::Tensor,
};
use std::path::Path;
use tempfile::TempDir;

/// A tiny network with its golden tensors.
pub struct Tiny {
    /// The network.
    pub network: Network,
    /// Pixels on a patch's side.
    pub patch: usize,
    /// Its folder in `tests/golden`: checkpoints in every naming, and `cases.safetensors`.
    pub folder: &'static str,
    /// The file of inputs in `tests/golden`.
    pub inputs: &'static str,
    /// Height and width of the inputs, in pixels.
    pub sizes: &'static [(usize, usize)],
}

impl Tiny {
    /// Opens a checkpoint of its folder.
    pub fn checkpoint(&self, name: &str) -> Checkpoint {
        Checkpoint::open(&golden(self.folder).join(name)).unwrap()
    }

    /// The bundle `tiny`, and the folder that it lies in while that is held.
    pub fn bundle(
        &self,
        checkpoint: &Checkpoint,
        split: usize,
        feature: Feature,
        precision: Precision,
    ) -> (Bundle, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("tiny");
        let mut options = options(split, feature, precision);
        options.resolutions = vec![self.network.resolution];
        export::export(&self.network, checkpoint, &out, &options, |_| {}).unwrap();
        (Bundle::open(&out).unwrap(), folder)
    }

    /// Relative errors of one export at all sizes, every image of a batch by itself.
    pub fn errors(&self, checkpoint: &Checkpoint, split: usize, feature: Feature, precision: Precision) -> Vec<f64> {
        let (bundle, _folder) = self.bundle(checkpoint, split, feature, precision);
        let engine = engine(bundle, 1);
        let cases = golden(self.folder).join("cases.safetensors");
        let mut errors = Vec::new();
        for (height, width) in self.sizes {
            let (shape, input) = tensor(&golden(self.inputs), &format!("{height}x{width}.input"));
            let name = match feature {
                Feature::PreNorm => "prenorm",
                Feature::PostNorm => "postnorm",
                Feature::Neck => "neck",
            };
            let (_, expected) = tensor(&cases, &format!("{height}x{width}.{name}"));
            let (one_in, one_out) = (input.len() / shape[0], expected.len() / shape[0]);
            for (input, expected) in input.chunks(one_in).zip(expected.chunks(one_out)) {
                let (grid, found) = describe(&engine, "tiny", (*height, *width), input.to_vec());
                assert_eq!(grid, [height / self.patch, width / self.patch]);
                errors.push(relative_error(&found, expected).unwrap());
            }
        }
        let shown: Vec<String> = errors.iter().map(|error| format!("{error:.1e}")).collect();
        eprintln!("{} split {split} {feature:?} {precision:?}: {}", self.folder, shown.join(" "));
        errors
    }

    /// Requires the descriptors of 8-bit products to be within `bound`, and not nearer than rounding allows.
    pub fn assert_int8(&self, features: &[Feature], bound: f64) {
        let checkpoint = self.checkpoint("original.pth");
        for feature in features {
            let errors = self.errors(&checkpoint, 1, *feature, Precision::Int8);
            assert_below(&errors, bound);
            assert!(errors.iter().any(|error| *error > 1e-3), "{errors:?}");
        }
    }

    /// Requires the descriptors to be within a hundredth where weights are stored as float16, and where everything is computed
    /// in it; `fp32` is the error that single precision never has.
    pub fn assert_half(&self, features: &[Feature], fp32: f64) {
        let checkpoint = self.checkpoint("original.pth");
        for precision in [Precision::Fp16Storage, Precision::Fp16] {
            for feature in features {
                let errors = self.errors(&checkpoint, 1, *feature, precision);
                assert_below(&errors, 1e-2);
                // It must show that something was rounded, or this compares fp32 with itself.
                assert!(errors.iter().any(|error| *error > fp32), "{errors:?}");
            }
        }
    }

    /// Relative errors of the tokens after one block and of the normed descriptors, by a run of both graphs with all images of
    /// a size at once.
    pub fn batch_errors(&self, checkpoint: &Checkpoint, (height, width): (usize, usize)) -> [f64; 2] {
        let (bundle, _folder) = self.bundle(checkpoint, 1, Feature::PostNorm, Precision::Fp32);
        let cases = golden(self.folder).join("cases.safetensors");
        let (shape, input) = tensor(&golden(self.inputs), &format!("{height}x{width}.input"));
        assert!(shape[0] > 1, "a batch of {shape:?} is none");
        let (tokens_shape, tokens) = run_backbone(&bundle, &shape, input);
        let (expected_shape, expected_tokens) = tensor(&cases, &format!("{height}x{width}.tokens"));
        assert_eq!(tokens_shape, expected_shape);

        let (expected_shape, expected) = tensor(&cases, &format!("{height}x{width}.postnorm"));
        let sides = [height / self.patch, width / self.patch].map(|side| side as i64);
        let grid = Tensor::from_array(([2usize], sides.to_vec())).unwrap();
        let tokens_value = Tensor::from_array((tokens_shape, tokens.clone())).unwrap();
        let mut head = session(&bundle.head());
        let outputs = head.run(ort::inputs!["tokens" => tokens_value, "grid" => grid]).unwrap();
        let (found_shape, found) = outputs["descriptors"].try_extract_tensor::<f32>().unwrap();
        assert_eq!(found_shape.iter().map(|size| *size as usize).collect::<Vec<_>>(), expected_shape);
        [relative_error(&tokens, &expected_tokens).unwrap(), relative_error(found, &expected).unwrap()]
    }
}

/// An engine with one bundle, on the CPU.
pub fn engine(bundle: Bundle, threads: usize) -> Engine {
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads, queue: 8, ..EngineConfig::default() };
    Engine::start(&config, vec![bundle]).unwrap()
}

/// The grid's height and width and the descriptors of one normalised image `[3, height, width]`.
pub fn describe(
    engine: &Engine,
    model: &str,
    (height, width): (usize, usize),
    input: Vec<f32>,
) -> ([usize; 2], Vec<f32>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let pixels = Pixels::from_chw(Size::new(width as u32, height as u32), input).unwrap();
    let map = runtime.block_on(engine.describe(engine.model(model).unwrap(), pixels)).unwrap();
    ([map.grid().height, map.grid().width], map.data().to_vec())
}

/// Shape and values of the tokens that a bundle's backbone gives for images of `shape`.
pub fn run_backbone(bundle: &Bundle, shape: &[usize], images: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let image = Tensor::from_array((shape.to_vec(), images)).unwrap();
    let mut backbone = session(&bundle.backbone());
    let outputs = backbone.run(ort::inputs!["image" => image]).unwrap();
    let (shape, tokens) = outputs["tokens"].try_extract_tensor::<f32>().unwrap();
    (shape.iter().map(|size| *size as usize).collect(), tokens.to_vec())
}

fn session(path: &Path) -> Session {
    library::find().unwrap();
    let environment = library::environment().unwrap();
    SessionBuilder::new(&environment).unwrap().commit_from_file(path).unwrap()
}

/// Asserts that no error is above `bound`, nor NaN.
pub fn assert_below(errors: &[f64], bound: f64) {
    assert!(errors.iter().all(|error| *error <= bound), "{errors:?} above {bound}");
}
