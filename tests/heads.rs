//! What the tests of heads share: the tiny DINOv2 of `tests/golden/dinov2-plain`, run on its golden inputs.

use crate::{golden, tensor};
use homolog_backbone::{
    Family, Mlp,
    catalog::{Network, Origin},
    dinov2,
};
use homolog_core::{
    bundle::{Bundle, Feature},
    geometry::Size,
    image::{Normalisation, Pixels},
};
use homolog_engine::{Engine, EngineConfig, ProviderChoice};

/// The tiny network.
pub fn tiny() -> Network {
    let config = dinov2::Config {
        patch: 14,
        width: 16,
        depth: 3,
        heads: 2,
        mlp: Mlp::Gelu,
        hidden: 64,
        registers: 0,
        position_grid: 5,
    };
    Network {
        name: "tiny",
        family: Family::DinoV2(config),
        resolution: 70,
        feature: Feature::PreNorm,
        licence: "MIT",
        origin: Origin::None,
    }
}

/// An engine on the CPU, one thread.
pub fn engine(bundles: Vec<Bundle>) -> Engine {
    let config =
        EngineConfig { provider: ProviderChoice::Cpu, workers: 1, threads: 1, queue: 8, ..EngineConfig::default() };
    Engine::start(&config, bundles).unwrap()
}

/// Descriptors of one image by the model called `id`, as they come.
pub fn describe_pixels(engine: &Engine, id: &str, pixels: Pixels) -> Vec<f32> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let map = runtime.block_on(engine.describe(engine.model(id).unwrap(), pixels)).unwrap();
    map.data().to_vec()
}

/// Descriptors of every image of the golden inputs called `HEIGHTxWIDTH`.
pub fn describe(engine: &Engine, id: &str, size: &str) -> Vec<Vec<f32>> {
    let (shape, input) = tensor(&golden("dinov2-inputs.safetensors"), &format!("{size}.input"));
    let side = Size::new(shape[3] as u32, shape[2] as u32);
    let images = input.chunks(input.len() / shape[0]);
    images.map(|image| describe_pixels(engine, id, Pixels::from_chw(side, image.to_vec()).unwrap())).collect()
}

/// A black image as a network sees it.
pub fn black(side: u32) -> Pixels {
    let Normalisation { mean, std } = Normalisation::IMAGENET;
    let colours = mean.iter().zip(std).map(|(mean, std)| -mean / std);
    let size = Size::new(side, side);
    Pixels::from_chw(size, colours.flat_map(|colour| vec![colour; size.pixels() as usize]).collect()).unwrap()
}
