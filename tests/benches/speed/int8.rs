//! What 8 bits save, and what the ways there are to have them cost in digits.

use super::{compare, session, session_with};
use homolog_backbone::{
    Quantised, catalog, checkpoint,
    export::export,
    onnx::{Attribute, GraphBuilder, Value, proto::data_type},
    random,
};
use homolog_core::bundle::{Feature, Precision};
use homolog_tests::options;
use ort::{session::Session, value::Tensor};
use std::hint::black_box;

/// Tokens of ViT-B/14 at 518, and the larger of its MLP's products.
const ROWS: usize = 1370;
const IN: usize = 768;
const OUT: usize = 3072;
/// Channels that share a scale in `MatMulNBits`.
const BLOCK: usize = 128;

/// One product by three ways of 8 bits against single precision. The errors are those of the median token, on even tokens and
/// with ten that are thirty times as large.
pub fn products() {
    let folder = tempfile::tempdir().unwrap();
    let weight = noise(IN * OUT, 3).map(|value| value / (IN as f32).sqrt()).collect::<Vec<f32>>();
    let even: Vec<f32> = noise(ROWS * IN, 5).collect();
    let mut uneven = even.clone();
    for row in uneven.chunks_exact_mut(IN).step_by(ROWS / 10) {
        row.iter_mut().for_each(|value| *value *= 30.0);
    }
    let write = |name: &str, precision: Precision, emit: &dyn Fn(&mut GraphBuilder, &str) -> Value| {
        let mut graph = GraphBuilder::create(folder.path(), name, precision).unwrap();
        let x = graph.input("x", data_type::FLOAT, &[("rows", -1), ("in", IN as i64)]);
        let y = emit(&mut graph, &x);
        graph.output(y, "y", data_type::FLOAT, &[("rows", -1), ("out", OUT as i64)]);
        graph.finish().unwrap();
        folder.path().join(format!("{name}.onnx"))
    };
    let tensor = checkpoint::Tensor::new(vec![IN, OUT], weight.clone()).unwrap();
    let single = write("single", Precision::Fp32, &|graph, x| {
        let weight = graph.weight("w", &tensor).unwrap();
        graph.node("Gemm", &[x, &weight], &[])
    });
    let by_token =
        write("by_token", Precision::Int8, &|graph, x| Quantised::of(graph, x).product(graph, "w", &tensor).unwrap());
    let by_tensor = write("by_tensor", Precision::Int8, &|graph, x| by_tensor(graph, x, &weight));
    let weights_alone = write("weights_alone", Precision::Int8, &|graph, x| weights_alone(graph, x, &weight));

    let mut single = session(&single);
    // Without packing it computes in single precision.
    let weights_alone = session_with(&weights_alone, true);
    let (by_token, by_tensor) = (session(&by_token), session(&by_tensor));
    let expected = [run(&mut single, &even), run(&mut single, &uneven)];
    for (name, mut way) in [("by token", by_token), ("by tensor", by_tensor), ("MatMulNBits", weights_alone)] {
        let errors = [(&even, &expected[0]), (&uneven, &expected[1])].map(|(x, y)| median_error(&run(&mut way, x), y));
        compare(
            &format!("product, int8 {name}, error {:.3}/{:.3} : fp32", errors[0], errors[1]),
            10,
            || drop(black_box(run(&mut way, &even))),
            || drop(black_box(run(&mut single, &even))),
        );
    }
}

/// ONNX Runtime's own: one scale for all activations.
fn by_tensor(graph: &mut GraphBuilder, x: &str, weight: &[f32]) -> Value {
    let largest =
        (0..OUT).map(|o| weight.iter().skip(o).step_by(OUT).fold(0.0f32, |most, value| most.max(value.abs())));
    let scales: Vec<f32> = largest.map(|largest| largest / 64.0).collect();
    let bytes = weight.iter().enumerate().map(|(at, value)| ((value / scales[at % OUT]).round() as i8).cast_unsigned());
    let weight = graph.initializer("w", data_type::INT8, &[IN, OUT], bytes.collect()).unwrap();
    let scales = graph.exact(&checkpoint::Tensor::new(vec![OUT], scales).unwrap());
    graph.fused("DynamicQuantizeMatMul", &[x, &weight, &scales], &[])
}

/// 8-bit weights with a scale for every 128 channels; activations are rounded inside, in blocks of as many.
fn weights_alone(graph: &mut GraphBuilder, x: &str, weight: &[f32]) -> Value {
    let (mut bytes, mut scales) = (Vec::new(), Vec::new());
    for o in 0..OUT {
        let column: Vec<f32> = weight.iter().skip(o).step_by(OUT).copied().collect();
        for block in column.chunks(BLOCK) {
            let scale = block.iter().fold(0.0f32, |most, value| most.max(value.abs())) / 127.0;
            scales.push(scale);
            bytes.extend(block.iter().map(|value| ((value / scale).round() + 128.0) as u8));
        }
    }
    let shape = [OUT, IN / BLOCK, BLOCK];
    let weight = graph.initializer("w", data_type::UINT8, &shape, bytes).unwrap();
    let scales = graph.exact(&checkpoint::Tensor::new(vec![OUT, IN / BLOCK], scales).unwrap());
    let attributes = [
        Attribute::Int("K", IN as i64),
        Attribute::Int("N", OUT as i64),
        Attribute::Int("bits", 8),
        Attribute::Int("block_size", BLOCK as i64),
        // Integer arithmetic.
        Attribute::Int("accuracy_level", 4),
    ];
    graph.fused("MatMulNBits", &[x, &weight, &scales], &attributes)
}

/// Whole networks in 8 bits against single precision.
pub fn networks() {
    for (label, name, rounds) in [("ViT-S/14", "dinov2-vits14", 10), ("ViT-B/14", "dinov2-vitb14", 5)] {
        network(label, name, rounds);
    }
}

fn network(label: &str, name: &str, rounds: usize) {
    let network = catalog::find(name).unwrap();
    let checkpoint = random::weights(&network.family, 0);
    let folder = tempfile::tempdir().unwrap();
    let load = |precision: Precision| {
        let out = folder.path().join(precision.to_string());
        export(&network, &checkpoint, &out, &options(12, Feature::PreNorm, precision), |_| {}).unwrap();
        session(&out.join("backbone.onnx"))
    };
    let (mut int8, mut fp32) = (load(Precision::Int8), load(Precision::Fp32));
    let run = |session: &mut Session| {
        let image = Tensor::from_array(([1, 3, 518, 518], vec![0.1f32; 3 * 518 * 518])).unwrap();
        black_box(session.run(ort::inputs!["image" => image]).unwrap());
    };
    compare(&format!("{label} at 518: int8 : fp32"), rounds, || run(&mut int8), || run(&mut fp32));
}

fn run(session: &mut Session, x: &[f32]) -> Vec<f32> {
    let x = Tensor::from_array(([ROWS, IN], x.to_vec())).unwrap();
    session.run(ort::inputs!["x" => x]).unwrap()["y"].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

fn median_error(found: &[f32], expected: &[f32]) -> f64 {
    let rows = found.chunks_exact(OUT).zip(expected.chunks_exact(OUT));
    let mut errors: Vec<f64> =
        rows.map(|(found, expected)| homolog_train::verify::relative_error(found, expected).unwrap()).collect();
    errors.sort_by(f64::total_cmp);
    errors[errors.len() / 2]
}

/// Numbers that are nearly normal, of standard deviation 1: sums of twelve even ones.
fn noise(count: usize, seed: u32) -> impl Iterator<Item = f32> {
    let mut state = seed;
    let mut even = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    (0..count).map(move |_| (0..12).map(|_| even()).sum::<f32>() - 6.0)
}
