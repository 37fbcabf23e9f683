//! Settings and recipes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use homolog_adapt::{Error, Losses, RECIPES, Schedule, Training};

fn refused(change: impl FnOnce(&mut Training)) -> (&'static str, String) {
    let mut training = Training::default();
    change(&mut training);
    match training.check() {
        Err(error @ Error::Setting { field, .. }) => (field, error.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_is_named_by_its_field() {
    assert_eq!(refused(|t| t.learning_rate = -1.0), ("learning_rate", "learning_rate: -1 is not above 0".into()));
    let (_, betas) = refused(|t| t.betas[1] = 1.0);
    assert_eq!(betas, "betas: [0.9, 1] must both be at least 0 and below 1");
    let fields = [
        refused(|t| t.epochs = 0).0,
        refused(|t| t.steps = Some(0)).0,
        refused(|t| t.seed = u64::MAX).0,
        refused(|t| t.eps = 0.0).0,
        refused(|t| t.weight_decay = f64::NAN).0,
        refused(|t| t.clip_norm = -0.5).0,
        refused(|t| t.alpha = f64::INFINITY).0,
        refused(|t| t.checkpoint_every = 0).0,
        refused(|t| t.schedule = Schedule::Cosine { floor: 2.0 }).0,
        refused(|t| t.schedule = Schedule::Steps { factor: 0.5, epochs: vec![2, 2] }).0,
        refused(|t| (t.warmup, t.schedule) = (1, Schedule::OneCycle { rise: 0.3, start: 0.0, end: 0.0 })).0,
        refused(|t| t.losses.temperature = 0.0).0,
        refused(|t| t.losses.kernel = 6).0,
        refused(|t| t.losses.contrastive = -1.0).0,
        refused(|t| t.losses.cross_entropy = 0.0).0,
    ];
    let expected = [
        "epochs",
        "steps",
        "seed",
        "eps",
        "weight_decay",
        "clip_norm",
        "alpha",
        "checkpoint_every",
        "schedule.floor",
        "schedule.epochs",
        "warmup",
        "losses.temperature",
        "losses.kernel",
        "losses.contrastive",
        "losses",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn a_setting_that_does_not_exist_is_named() {
    for (text, name) in [
        ("learning_rat = 1e-4", "learning_rat"),
        ("[losses]\ntemprature = 1.0", "temprature"),
        ("schedule = { kind = 'cosine', flor = 0.1 }", "flor"),
        ("schedule = { kind = 'cosinus' }", "cosinus"),
        ("betas = [0.9]", "betas"),
    ] {
        let error = toml::from_str::<Training>(text).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn what_is_left_out_is_the_default() {
    let training: Training = toml::from_str("epochs = 7\nschedule = { kind = 'cosine' }").unwrap();
    assert_eq!(training, Training { epochs: 7, schedule: Schedule::Cosine { floor: 0.0 }, ..Training::visual_ai() });
}

#[test]
fn every_recipe_can_be_and_comes_back_from_its_text() {
    for recipe in RECIPES {
        let training = (recipe.training)();
        training.check().unwrap();
        let text = toml::to_string_pretty(&training).unwrap();
        assert_eq!(toml::from_str::<Training>(&text).unwrap(), training, "{}", recipe.name);
    }
    assert_eq!((RECIPES[0].training)(), Training::default());
}

#[test]
fn the_default_is_what_visual_ai_published() {
    let Losses { cross_entropy, soft_argmax, contrastive, temperature, kernel, sigma, .. } = Losses::default();
    assert_eq!((cross_entropy, soft_argmax, contrastive), (1.0, 0.0, 0.0));
    assert_eq!((temperature, kernel, sigma), (0.03, 7, 1.5));
    let Training { learning_rate, weight_decay, schedule, .. } = Training::default();
    assert_eq!((learning_rate, weight_decay), (1e-4, 0.05));
    assert_eq!(schedule, Schedule::Steps { factor: 0.5, epochs: vec![1, 2] });
}

#[test]
fn steps_stand_in_place_of_epochs() {
    let training = Training { epochs: 3, ..Training::default() };
    assert_eq!(training.steps(10), 30);
    assert_eq!(Training { steps: Some(7), ..training }.steps(10), 7);
}
