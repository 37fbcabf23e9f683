//! On a GPU: what is left by HTTP of what the execution provider does in a bare loop.

use super::{
    full_size::{self, ID, SIDE},
    http::{milliseconds, new_pairs, points},
    median, row,
};
use homolog_backbone::{catalog, random};
use homolog_core::bundle::{Bundle, Precision};
use homolog_engine::ProviderChoice;
use homolog_tests::{photos::New, service::Service};
use ort::{
    memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType},
    session::Session,
    value::{DynValue, Tensor},
};
use serde_json::json;
use std::{
    hint::black_box,
    path::{Path, PathBuf},
    time::Instant,
};

const ROUNDS: usize = 3;
/// Images in a run of the bare loop, and runs in a round of it.
const BATCHES: [usize; 3] = [1, 8, 16];
const RUNS: usize = 20;
/// Clients that ask again as soon as they are answered, and matches in a round of them.
const CLIENTS: [(usize, usize); 3] = [(1, 20), (8, 80), (64, 256)];

/// Milliseconds of an image, ViT-B/14 with random weights.
pub fn throughput() {
    let folder = tempfile::tempdir().unwrap();
    let network = catalog::find("dinov2-vitb14").unwrap();
    let weights = random::weights(&network.family, 0);
    for precision in [Precision::Fp32, Precision::Fp16] {
        let models = folder.path().join(precision.to_string());
        let bundle = models.join(ID);
        full_size::export(&weights, &bundle, precision);
        let bundle = Bundle::open(&bundle).unwrap();
        if let Err(reason) = homolog_engine::graph(&bundle.head(), ProviderChoice::Cuda, 0) {
            println!("CUDA cannot be had: not measured ({reason})");
            return;
        }
        let bare = BATCHES.map(|batch| Bare::new(&bundle, batch).milliseconds());
        for (batch, time) in BATCHES.into_iter().zip(bare).skip(1) {
            row(&format!("bare CUDA loop, ViT-B/14 {precision} at {SIDE}, batch {batch} : batch 1"), time, bare[0]);
        }
        let best = bare.into_iter().fold(f64::INFINITY, f64::min);
        for workers in ["1", "2", "3"] {
            served(&models, precision, workers, bare[0], best);
        }
    }
}

fn served(models: &Path, precision: Precision, workers: &str, one: f64, best: f64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let flags = ["--provider", "cuda", "--workers", workers, "--queue", "256", "--cache-mib", "0", "--log", "warn"];
    let service = runtime.block_on(Service::start_with(models, &flags));
    let mut photos = New::from(0);
    let request = json!({ "points": points(20), "model": ID, "resolution": SIDE });
    for (clients, matches) in CLIENTS {
        let mut round = || {
            let forms = new_pairs(&mut photos, matches, &request);
            // two photos in a match
            runtime.block_on(milliseconds(&service.url, clients, forms)) / 2.0
        };
        round();
        let time = median(&(0..ROUNDS).map(|_| round()).collect::<Vec<f64>>());
        let name = format!("POST /match, {precision}, workers: {workers}, clients: {clients}");
        row(&format!("{name} : bare loop, batch 1"), time, one);
        row(&format!("{name} : bare loop, best batch"), time, best);
    }
}

/// Both graphs as the engine runs them: pixels from the host, tokens left on the device, descriptors in pinned memory.
struct Bare {
    backbone: Session,
    head: Session,
    image: DynValue,
    grid: i64,
    batch: usize,
}

impl Bare {
    fn new(bundle: &Bundle, batch: usize) -> Bare {
        let load = |path: PathBuf| homolog_engine::graph(&path, ProviderChoice::Cuda, 0).unwrap();
        let side = SIDE as usize;
        let pixels: Vec<f32> = (0..batch * 3 * side * side).map(|i| ((i % 977) as f32 * 0.37).sin()).collect();
        Bare {
            backbone: load(bundle.backbone()),
            head: load(bundle.head()),
            image: Tensor::from_array(([batch, 3, side, side], pixels)).unwrap().into_dyn(),
            grid: i64::from(SIDE / bundle.manifest().backbone.patch),
            batch,
        }
    }

    fn run(&mut self) {
        let (device, pinned) = (AllocationDevice::CUDA, AllocationDevice::CUDA_PINNED);
        let tokens = bound(&mut self.backbone, &[("image", &self.image)], "tokens", device, MemoryType::Default);
        let grid = Tensor::from_array(([2usize], vec![self.grid; 2])).unwrap().into_dyn();
        let inputs: [(&str, &DynValue); 2] = [("tokens", &tokens), ("grid", &grid)];
        let descriptors = bound(&mut self.head, &inputs, "descriptors", pinned, MemoryType::CPUOutput);
        black_box(descriptors.try_extract_tensor::<f32>().unwrap().1[0]);
    }

    /// Of an image.
    fn milliseconds(&mut self) -> f64 {
        let mut round = || {
            let begun = Instant::now();
            (0..RUNS).for_each(|_| self.run());
            begun.elapsed().as_secs_f64() * 1e3 / (RUNS * self.batch) as f64
        };
        // memory is planned, algorithms are chosen
        round();
        median(&(0..ROUNDS).map(|_| round()).collect::<Vec<f64>>())
    }
}

/// A run whose output is left in this memory.
fn bound(
    session: &mut Session,
    inputs: &[(&str, &DynValue)],
    output: &str,
    device: AllocationDevice,
    kind: MemoryType,
) -> DynValue {
    let memory = MemoryInfo::new(device, 0, AllocatorType::Device, kind).unwrap();
    let mut binding = session.create_binding().unwrap();
    for (name, input) in inputs {
        binding.bind_input(*name, input).unwrap();
    }
    binding.bind_output_to_device(output, &memory).unwrap();
    session.run_binding(&binding).unwrap().remove(output).unwrap()
}
