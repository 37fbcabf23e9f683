//! How a provider is asked to run: everything that is decided before there is a session, as plain values, so that it can be read and
//! tested where the device is not.

use crate::Provider;
use ort::{
    ep::{ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProviderDispatch},
    memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType},
};

/// Where a tensor lies between two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Wherever ONNX Runtime leaves it: nothing is bound.
    Unbound,
    /// Memory of the host.
    Host,
    /// Memory of the host that the device reads and writes directly.
    Pinned,
    /// Memory of the device.
    Device,
}

/// Images that one run takes on CUDA when nothing was said: ViT-B's products fill a GPU with few, and a full batch delays its first.
const CUDA_BATCH: usize = 8;
/// Workers on CUDA when nothing was said: one brings pixels and takes descriptors while the other computes, for a fifth less of time an
/// image under load (an H100, ViT-B/14 at 448: `make bench BENCH=cuda`).
const CUDA_WORKERS: usize = 2;
/// Cores that one session on a CPU can use well; beyond, a second session gains throughput.
const SESSION_CORES: usize = 8;

/// What sessions are made of and how they are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What runs.
    pub provider: Provider,
    /// Worker threads, each with sessions of its own.
    pub workers: usize,
    /// Threads of a session.
    pub threads: usize,
    /// Most images in a run.
    pub most_batch: usize,
    /// Options of the execution provider, by ONNX Runtime's own names.
    pub options: Vec<(&'static str, &'static str)>,
    /// Whether weights are packed anew for a session's products. Packed copies would not be shared between workers; the mapped
    /// files are.
    pub prepacking: bool,
    /// Whether threads spin between two runs: a third more CPU for the same latency.
    pub spinning: bool,
    /// Where pixels lie when they are taken.
    pub pixels: Place,
    /// Where the backbone's tokens lie until the head takes them.
    pub tokens: Place,
    /// Where the head leaves the descriptors.
    pub descriptors: Place,
}

impl Plan {
    /// For `cores` cores; `workers`, `threads` and `most_batch` are taken as they are unless 0.
    pub fn new(provider: Provider, cores: usize, workers: usize, threads: usize, most_batch: usize) -> Plan {
        let chosen = |asked: usize, otherwise: usize| if asked > 0 { asked } else { otherwise.max(1) };
        match provider {
            Provider::Cpu => {
                let workers = chosen(workers, cores.div_ceil(SESSION_CORES));
                Plan {
                    provider,
                    workers,
                    threads: chosen(threads, cores / workers),
                    // the same throughput, and the first waits for the last
                    most_batch: chosen(most_batch, 1),
                    options: Vec::new(),
                    prepacking: false,
                    spinning: false,
                    pixels: Place::Unbound,
                    tokens: Place::Unbound,
                    descriptors: Place::Unbound,
                }
            }
            Provider::Cuda => Plan {
                provider,
                workers: chosen(workers, CUDA_WORKERS),
                threads: chosen(threads, cores.min(SESSION_CORES)),
                most_batch: chosen(most_batch, CUDA_BATCH),
                options: vec![
                    // sizes come again: an arena that doubles holds memory that is never used
                    ("arena_extend_strategy", "kSameAsRequested"),
                    // the patch embedding is the only convolution, and trying all algorithms makes a first request slow
                    ("cudnn_conv_algo_search", "HEURISTIC"),
                    // answers are those of the CPU to 1e-5, which ten bits of mantissa are not
                    ("use_tf32", "0"),
                ],
                prepacking: true,
                spinning: false,
                pixels: Place::Pinned,
                tokens: Place::Device,
                descriptors: Place::Pinned,
            },
        }
    }

    /// The same with everything bound, in the host's memory: what runs on a device, without one.
    #[must_use]
    pub fn bound_on_host(self) -> Plan {
        Plan { pixels: Place::Host, tokens: Place::Host, descriptors: Place::Host, ..self }
    }

    /// The execution provider; none for the CPU, which is always there. Without `error_on_failure` ONNX Runtime would run on the CPU
    /// and say nothing.
    pub(crate) fn execution_provider(&self) -> Option<ExecutionProviderDispatch> {
        let with = |cuda: CUDA, (name, value): &(&str, &str)| cuda.with_arbitrary_config(name, value);
        let cuda = || self.options.iter().fold(CUDA::default(), with).build().error_on_failure();
        (self.provider == Provider::Cuda).then(cuda)
    }
}

impl Place {
    /// The memory to bind to; none where nothing is bound.
    pub(crate) fn memory(self) -> Result<Option<MemoryInfo<'static>>, String> {
        let (device, kind) = match self {
            Place::Unbound => return Ok(None),
            Place::Host => (AllocationDevice::CPU, MemoryType::Default),
            Place::Pinned => (AllocationDevice::CUDA_PINNED, MemoryType::CPUOutput),
            Place::Device => (AllocationDevice::CUDA, MemoryType::Default),
        };
        let memory = MemoryInfo::new(device, 0, AllocatorType::Device, kind);
        memory.map(Some).map_err(|error| error.to_string())
    }
}
