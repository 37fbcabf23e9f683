//! Ways to one global block of SAM ViT-B on its own grid of 64×64: 4096 tokens, 12 heads of 64 channels. The block is as
//! the export writes it, but for an MLP of one hidden channel; the other ways are the same graph with other nodes in the place
//! of the loop.

use super::{compare, row, session};
use homolog_backbone::{
    Family,
    catalog::{Network, Origin},
    export::export,
    onnx::{
        Value,
        proto::{AttributeProto, ModelProto, NodeProto, TensorProto, attribute_type, data_type},
    },
    random, sam,
};
use homolog_core::bundle::{Feature, Precision};
use homolog_tests::options;
use homolog_train::verify::relative_error;
use ort::{session::Session, value::Tensor};
use prost::Message;
use std::{
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
};

const SIDE: usize = 64;
const TOKENS: usize = SIDE * SIDE;
const HEADS: usize = 12;
const HEAD: usize = 64;
const WIDTH: usize = HEADS * HEAD;

const BLOCK: sam::Config = sam::Config {
    patch: 16,
    width: WIDTH,
    depth: 1,
    heads: HEADS,
    hidden: 1,
    window: 14,
    global: &[0],
    position_grid: SIDE,
    neck: 1,
};

/// The kept way, queries in turns, against the widened product and the whole bias: time, and memory beyond the weights.
pub fn ways() {
    let folder = tempfile::tempdir().unwrap();
    let turns = turns(folder.path());
    let tokens = tokens();
    for (name, other) in
        [("widened product", instead(&turns, "widened", widened)), ("whole bias", instead(&turns, "whole", whole_bias))]
    {
        let peaks = [&turns, &other].map(|graph| peak_apart(graph));
        let (mut ours, mut theirs) = (session(&turns), session(&other));
        let error = relative_error(&run(&mut theirs, &tokens), &run(&mut ours, &tokens)).unwrap();
        assert!(error < 1e-5, "{name} gives something else: {error:.1e}");
        let label = format!("SAM-B global block, queries in turns : {name}");
        let (ours, theirs) =
            (|| drop(black_box(run(&mut ours, &tokens))), || drop(black_box(run(&mut theirs, &tokens))));
        compare(&label, 9, ours, theirs);
        if let [Some(ours), Some(theirs)] = peaks {
            row("  the same, peak MiB", ours, theirs);
        }
    }
}

/// Tokens as good as any.
fn tokens() -> Vec<f32> {
    (0..TOKENS * WIDTH).map(|at| (at as f32 * 0.37).sin()).collect()
}

/// The head that the export writes for a network of this one block, with random weights.
fn turns(folder: &Path) -> PathBuf {
    let family = Family::Sam(BLOCK);
    let (resolution, feature) = ((SIDE * 16) as u32, Feature::PreNorm);
    let network = Network { name: "block", family, resolution, feature, licence: "MIT", origin: Origin::None };
    let mut options = options(0, feature, Precision::Fp32);
    options.resolutions = vec![resolution];
    let out = folder.join("turns");
    export(&network, &random::weights(&family, 0), &out, &options, |_| {}).unwrap();
    out.join("head.onnx")
}

/// What the export's loop over queries reads, by name.
struct Loop {
    /// `[batch, tokens, width]` each.
    q: Value,
    k: Value,
    v: Value,
    /// `[batch, heads, tokens, side, 1]` and `[batch, heads, tokens, 1, side]`.
    rel_h: Value,
    rel_w: Value,
}

/// Writes the export's graph anew beside it, with `nodes` instead of the loop and of what puts its turns together. `nodes` is
/// given what the loop reads and the name of the result, and may add constants.
fn instead(turns: &Path, name: &str, nodes: impl Fn(&Loop, Value, &mut Vec<TensorProto>) -> Vec<NodeProto>) -> PathBuf {
    let mut model = ModelProto::decode(&std::fs::read(turns).unwrap()[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    let place = graph.node.iter().position(|node| node.op_type == "Loop").unwrap();
    let body = graph.node[place].attribute[0].g.as_ref().unwrap();
    let mut gathered = body.node.iter().filter(|node| node.op_type == "Gather").map(|node| node.input[0].clone());
    let mut next = || gathered.next().unwrap();
    let (q, rel_h, rel_w) = (next(), next(), next());
    let attention = body.node.iter().find(|node| node.op_type == "MultiHeadAttention").unwrap();
    let (k, v) = (attention.input[1].clone(), attention.input[2].clone());
    // Transpose, the shape that Reshape reads, Reshape, Slice.
    let end = place + graph.node[place..].iter().position(|node| node.op_type == "Slice").unwrap();
    let result = graph.node[end].output[0].clone();
    let nodes = nodes(&Loop { q, k, v, rel_h, rel_w }, result, &mut graph.initializer);
    graph.node.splice(place..=end, nodes);
    let path = turns.with_file_name(format!("{name}.onnx"));
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

/// heads × tokens × tokens of bias, at once.
fn whole_bias(read: &Loop, result: Value, constants: &mut Vec<TensorProto>) -> Vec<NodeProto> {
    let flat = ints(constants, &[0, 0, 0, -1]);
    vec![
        node("Add", &[&read.rel_h, &read.rel_w], "bias_apart"),
        node("Reshape", &["bias_apart", &flat], "bias"),
        attention(&[&read.q, &read.k, &read.v, "", "", "bias"], &result, None),
    ]
}

/// `q' = [q, rel_h(q) · √d, rel_w(q) · √d]` and `k' = [k, hot(row), hot(column)]`, the root on the side of the constants.
fn widened(read: &Loop, result: Value, constants: &mut Vec<TensorProto>) -> Vec<NodeProto> {
    let (side, heads, head) = (SIDE as i64, HEADS as i64, HEAD as i64);
    let apart = ints(constants, &[1, -1, heads, head]);
    let back = ints(constants, &[1, heads, -1, side]);
    let together = ints(constants, &[1, -1, heads * (head + 2 * side)]);
    let root = (HEAD as f32).sqrt();
    let hot = |key: usize, at: usize| if [key / SIDE, SIDE + key % SIDE].contains(&at) { root } else { 0.0 };
    let rows = (0..TOKENS).flat_map(|key| (0..HEADS).flat_map(move |_| (0..2 * SIDE).map(move |at| hot(key, at))));
    constants.push(TensorProto {
        dims: vec![1, TOKENS as i64, heads, 2 * side],
        data_type: data_type::FLOAT,
        name: "hot".into(),
        raw_data: rows.flat_map(f32::to_le_bytes).collect(),
        ..Default::default()
    });
    let order = AttributeProto { ints: vec![0, 2, 1, 3], ..named("perm", attribute_type::INTS) };
    let last = AttributeProto { i: Some(3), ..named("axis", attribute_type::INT) };
    let with = |node: NodeProto, attribute: &AttributeProto| NodeProto { attribute: vec![attribute.clone()], ..node };
    vec![
        node("Reshape", &[&read.q, &apart], "q_apart"),
        node("Reshape", &[&read.k, &apart], "k_apart"),
        node("Reshape", &[&read.rel_h, &back], "rel_h_by_head"),
        node("Reshape", &[&read.rel_w, &back], "rel_w_by_head"),
        with(node("Transpose", &["rel_h_by_head"], "rel_h_by_token"), &order),
        with(node("Transpose", &["rel_w_by_head"], "rel_w_by_token"), &order),
        with(node("Concat", &["q_apart", "rel_h_by_token", "rel_w_by_token"], "q_wide"), &last),
        with(node("Concat", &["k_apart", "hot"], "k_wide"), &last),
        node("Reshape", &["q_wide", &together], "q_flat"),
        node("Reshape", &["k_wide", &together], "k_flat"),
        attention(&["q_flat", "k_flat", &read.v], &result, Some(root.recip())),
    ]
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![output.into()],
        name: output.into(),
        op_type: op.into(),
        ..Default::default()
    }
}

fn attention(inputs: &[&str], output: &str, scale: Option<f32>) -> NodeProto {
    let mut attribute = vec![AttributeProto { i: Some(HEADS as i64), ..named("num_heads", attribute_type::INT) }];
    attribute.extend(scale.map(|scale| AttributeProto { f: Some(scale), ..named("scale", attribute_type::FLOAT) }));
    NodeProto { attribute, domain: "com.microsoft".into(), ..node("MultiHeadAttention", inputs, output) }
}

fn named(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type, ..Default::default() }
}

fn ints(constants: &mut Vec<TensorProto>, values: &[i64]) -> Value {
    let name = format!("bench_constant_{}", constants.len());
    constants.push(TensorProto {
        dims: vec![values.len() as i64],
        data_type: data_type::INT64,
        name: name.clone(),
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..Default::default()
    });
    name
}

fn run(session: &mut Session, tokens: &[f32]) -> Vec<f32> {
    let tokens = Tensor::from_array(([1, TOKENS, WIDTH], tokens.to_vec())).unwrap();
    let grid = Tensor::from_array(([2usize], vec![SIDE as i64; 2])).unwrap();
    let outputs = session.run(ort::inputs!["tokens" => tokens, "grid" => grid]).unwrap();
    outputs["descriptors"].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

/// Names the graph whose memory a process of this program is to tell, instead of running everything.
const CHILD: &str = "HOMOLOG_BENCH_PEAK_OF";

/// Tells the memory of a graph's first run beyond what the loaded session takes, MiB, where this process was begun for that.
pub fn is_child() -> bool {
    let Some(graph) = std::env::var_os(CHILD) else { return false };
    let mut session = session(graph.as_ref());
    let peak = peak_mib(&mut session, &tokens());
    println!("{}", peak.map_or_else(String::new, |peak| peak.to_string()));
    true
}

/// [`peak_mib`] in a process of its own, where no other run has left memory to be used again.
fn peak_apart(graph: &Path) -> Option<f64> {
    let output = Command::new(std::env::current_exe().ok()?).env(CHILD, graph).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Resident memory that a session's first run takes beyond what there was, MiB; none where the system does not tell.
fn peak_mib(session: &mut Session, tokens: &[f32]) -> Option<f64> {
    let read = |field: &str| -> Option<f64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
    };
    let before = read("VmRSS")?;
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    black_box(run(session, tokens));
    Some(read("VmHWM")? - before)
}
