//! AdamW, clipping and schedules against PyTorch (`tests/reference/make_golden_optimiser.py`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use homolog_adapt::{AdamW, Parameter, Parameters, Position, Schedule, optimiser};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

type Tensors = Vec<Vec<f32>>;

#[derive(Deserialize)]
struct Golden {
    adamw: BTreeMap<String, Case>,
    clip: BTreeMap<String, Clip>,
    schedules: BTreeMap<String, Vec<f64>>,
}

#[derive(Deserialize)]
struct Case {
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    learning_rates: Vec<f64>,
    before: Tensors,
    gradients: Vec<Tensors>,
    after: Vec<Tensors>,
    first: Tensors,
    second: Tensors,
}

#[derive(Deserialize)]
struct Clip {
    most: f64,
    before: Tensors,
    norm: f64,
    after: Tensors,
}

fn golden() -> Golden {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/optimiser.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Like the golden file's: the first has decay, the second has none.
fn parameters(tensors: &Tensors) -> Parameters {
    let named = ["weight", "bias"].into_iter().zip(tensors);
    let parameters = named.map(|(name, data)| Parameter {
        name: name.into(),
        shape: vec![data.len()],
        data: data.clone(),
        decay: name == "weight",
    });
    Parameters::new(parameters.collect())
}

/// Within two units in the last place of the largest: PyTorch fuses some products and sums.
fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2.0 * f32::EPSILON * largest, "{what}: {found} is not {expected}");
    }
}

#[test]
fn five_steps_of_adamw_are_those_of_pytorch() {
    let cases = golden().adamw;
    assert_eq!(cases.keys().collect::<Vec<_>>(), ["betas", "decay", "defaults", "eps"]);
    for (name, case) in cases {
        let mut parameters = parameters(&case.before);
        let mut adamw = AdamW::new(&parameters, case.betas, case.eps, case.weight_decay);
        let steps = case.gradients.iter().zip(&case.learning_rates).zip(&case.after);
        assert_eq!(steps.len(), 5);
        for (index, ((gradients, learning_rate), after)) in steps.enumerate() {
            adamw.step(&mut parameters, gradients, *learning_rate);
            for (parameter, expected) in parameters.iter().zip(after) {
                assert_same(&parameter.data, expected, &format!("{name}, step {index}, {}", parameter.name));
            }
        }
        for (found, expected) in adamw.first.iter().zip(&case.first).chain(adamw.second.iter().zip(&case.second)) {
            assert_same(found, expected, &format!("{name}, moments"));
        }
    }
}

#[test]
fn gradients_are_clipped_as_pytorch_clips_them() {
    for (name, case) in golden().clip {
        let mut gradients = case.before.clone();
        let norm = optimiser::clip(&mut gradients, case.most);
        assert!((norm - case.norm).abs() <= 1e-6 * case.norm, "{name}: {norm} is not {}", case.norm);
        assert_eq!(gradients == case.before, name == "kept");
        for (found, expected) in gradients.iter().zip(&case.after) {
            assert_same(found, expected, &name);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    // longer than a chunk, and no multiple of one
    let values = |seed: u32| -> Vec<f32> {
        (0..100_003_u32).map(|index| ((index.wrapping_mul(2_654_435_761) ^ seed) as f32 / 4e9) - 0.5).collect()
    };
    let run = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            let mut parameters = parameters(&vec![values(1), values(2)[..77].to_vec()]);
            let mut adamw = AdamW::new(&parameters, [0.9, 0.999], 1e-8, 0.1);
            let mut gradients = vec![values(3), values(4)[..77].to_vec()];
            let norm = optimiser::clip(&mut gradients, 1.0);
            adamw.step(&mut parameters, &gradients, 1e-2);
            (parameters, adamw, norm)
        })
    };
    let alone = run(1);
    assert_eq!(run(2), alone);
    assert_eq!(run(7), alone);
}

#[test]
fn schedules_are_those_of_pytorch() {
    let ours = BTreeMap::from([
        ("cosine", Schedule::Cosine { floor: 0.1 }),
        ("one_cycle", Schedule::OneCycle { rise: 0.3, start: 0.04, end: 4e-6 }),
        ("steps", Schedule::Steps { factor: 0.5, epochs: vec![1, 3] }),
    ]);
    let golden = golden().schedules;
    assert!(golden.keys().eq(ours.keys()));
    for (schedule, (name, shares)) in ours.values().zip(golden) {
        for (step, expected) in (0..).zip(&shares) {
            let found = schedule.share(Position { step, steps: 20, steps_per_epoch: 4, warmup: 0 });
            assert!((found - expected).abs() < 1e-9, "{name}, step {step}: {found} is not {expected}");
        }
    }
}

#[test]
fn a_warm_up_rises_in_even_steps_and_ends_at_the_peak() {
    let share =
        |step| Schedule::Cosine { floor: 0.2 }.share(Position { step, steps: 14, steps_per_epoch: 7, warmup: 4 });
    assert_eq!([0, 1, 2, 3, 4].map(share), [0.25, 0.5, 0.75, 1.0, 1.0]);
    // half of the ten steps after the warm-up: the middle between 1 and the floor; the end would be the floor
    assert!((share(9) - 0.6).abs() < 1e-12);
    assert!((share(14) - 0.2).abs() < 1e-12);
}

#[test]
fn a_schedule_of_a_single_step_is_a_number() {
    let at = Position { step: 0, steps: 1, steps_per_epoch: 1, warmup: 0 };
    assert_eq!(Schedule::OneCycle { rise: 0.3, start: 0.04, end: 0.0 }.share(at), 1.0);
    assert_eq!(Schedule::Cosine { floor: 0.0 }.share(at), 1.0);
    assert_eq!(Schedule::Steps { factor: 0.5, epochs: vec![0] }.share(at), 0.5);
    assert_eq!(Schedule::Constant.share(at), 1.0);
}
