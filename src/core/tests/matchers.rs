//! How matchers and their settings are written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use homolog_core::matching::{Matcher, Sigma, Temperature, Window};
use proptest::prelude::*;

fn json(text: &str) -> Result<Matcher, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn temperature(value: f32) -> Temperature {
    Temperature::try_from(value).unwrap()
}

#[test]
fn a_matcher_is_a_tagged_object_in_json() {
    let window = Matcher::WindowSoftArgmax { window: Window::try_from(7).unwrap(), temperature: temperature(0.02) };
    let text = r#"{"kind":"window_soft_argmax","window":7,"temperature":0.02}"#;
    assert_eq!(json(text).unwrap(), window);
    assert_eq!(serde_json::to_string(&window).unwrap(), text);
    assert_eq!(json(r#"{"kind":"argmax"}"#).unwrap(), Matcher::Argmax {});
}

#[test]
fn settings_left_out_take_their_defaults() {
    assert_eq!(json(r#"{"kind":"window_soft_argmax"}"#).unwrap(), Matcher::default());
    assert_eq!(Matcher::default().to_string(), "window_soft_argmax:window=5,temperature=0.05");
    assert_eq!(json(r#"{"kind":"soft_argmax"}"#).unwrap(), Matcher::SoftArgmax { temperature: temperature(0.02) });
    let kernel = Matcher::KernelSoftArgmax { sigma: Sigma::try_from(7.0).unwrap(), temperature: temperature(0.04) };
    assert_eq!(json(r#"{"kind":"kernel_soft_argmax"}"#).unwrap(), kernel);
}

#[test]
fn what_is_wrong_with_a_matcher_is_said_in_a_sentence() {
    for (text, said) in [
        (
            r#"{"kind":"window_soft_argmax","window":4}"#,
            "the window must be an odd number of tokens from 1 to 255, not 4",
        ),
        (
            r#"{"kind":"window_soft_argmax","window":0}"#,
            "the window must be an odd number of tokens from 1 to 255, not 0",
        ),
        (
            r#"{"kind":"window_soft_argmax","window":257}"#,
            "the window must be an odd number of tokens from 1 to 255, not 257",
        ),
        (r#"{"kind":"window_soft_argmax","window":-1}"#, "invalid value: integer `-1`, expected u32"),
        (r#"{"kind":"window_soft_argmax","window":5.5}"#, "invalid type: floating point `5.5`, expected u32"),
        (r#"{"kind":"soft_argmax","temperature":0}"#, "the temperature must be a finite number above 0, not 0"),
        (r#"{"kind":"soft_argmax","temperature":-0.1}"#, "the temperature must be a finite number above 0, not -0.1"),
        (r#"{"kind":"soft_argmax","temperature":1e200}"#, "the temperature must be a finite number above 0, not inf"),
        (r#"{"kind":"soft_argmax","temperature":"hot"}"#, "invalid type: string \"hot\", expected f32"),
        (r#"{"kind":"kernel_soft_argmax","sigma":0}"#, "the sigma must be a finite number above 0, not 0"),
        (r#"{"kind":"soft_argmax","temprature":1}"#, "unknown field `temprature`, expected `temperature`"),
        (r#"{"kind":"argmax","temperature":1}"#, "unknown field `temperature`"),
        (
            r#"{"kind":"hungarian"}"#,
            "unknown variant `hungarian`, expected one of `argmax`, `soft_argmax`, `window_soft_argmax`, `kernel_soft_argmax`",
        ),
        (r#"{"window":5}"#, "missing field `kind`"),
    ] {
        let error = json(text).unwrap_err();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn settings_hold_no_senseless_value() {
    for value in [0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(Temperature::try_from(value).is_err(), "{value}");
        assert!(Sigma::try_from(value).is_err(), "{value}");
    }
    assert_eq!(
        Temperature::try_from(f32::NAN).unwrap_err().to_string(),
        "the temperature must be a finite number above 0, not NaN"
    );
    for value in [0, 2, 4, 256, 257, u32::MAX] {
        assert!(Window::try_from(value).is_err(), "{value}");
    }
    let window = Window::try_from(255).unwrap();
    assert_eq!((window.side(), window.radius()), (255, 127));
    assert_eq!("0.25".parse::<Temperature>().unwrap().get(), 0.25);
    assert!("warm".parse::<Temperature>().is_err());
}

#[test]
fn the_command_line_takes_hyphens_and_underscores() {
    let window = Matcher::WindowSoftArgmax { window: Window::try_from(7).unwrap(), temperature: temperature(0.02) };
    for text in [
        "window-soft-argmax:window=7,temperature=0.02",
        "window_soft_argmax:temperature=0.02,window=7",
        "window_soft-argmax: window = 7 , temperature = 0.02",
    ] {
        assert_eq!(text.parse::<Matcher>().unwrap(), window, "{text}");
    }
    assert_eq!("argmax".parse::<Matcher>().unwrap(), Matcher::Argmax {});
    assert_eq!("window-soft-argmax".parse::<Matcher>().unwrap(), Matcher::default());
}

#[test]
fn the_command_line_is_told_what_is_wrong() {
    for (text, said) in [
        ("nearest", "unknown variant `nearest`"),
        ("", "unknown variant ``"),
        ("argmax:temperature=1", "unknown field `temperature`"),
        ("window-soft-argmax:window=6", "the window must be an odd number of tokens from 1 to 255, not 6"),
        ("window-soft-argmax:window=x", "window must be a finite number, not `x`"),
        ("soft-argmax:temperature=nan", "temperature must be a finite number, not `nan`"),
        ("soft-argmax:0.02", "`0.02` is not of the form name=value"),
        ("soft-argmax:temperature=1,temperature=2", "temperature is given twice"),
        ("soft-argmax:kind=2", "kind is given twice"),
    ] {
        let error = text.parse::<Matcher>().unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
        assert!(error.contains("write for example window_soft_argmax:window=5,temperature=0.05"), "{error}");
    }
}

fn any_matcher() -> impl Strategy<Value = Matcher> {
    let positive = || prop::num::f32::POSITIVE.prop_filter_map("zero or infinite", |x| Temperature::try_from(x).ok());
    prop_oneof![
        Just(Matcher::Argmax {}),
        positive().prop_map(|temperature| Matcher::SoftArgmax { temperature }),
        (0u32..128, positive()).prop_map(|(radius, temperature)| {
            Matcher::WindowSoftArgmax { window: Window::try_from(2 * radius + 1).unwrap(), temperature }
        }),
        (positive(), positive()).prop_map(|(sigma, temperature)| {
            Matcher::KernelSoftArgmax { sigma: Sigma::try_from(sigma.get()).unwrap(), temperature }
        }),
    ]
}

proptest! {
    #[test]
    fn a_matcher_is_read_back_as_it_was_written(matcher in any_matcher()) {
        prop_assert_eq!(matcher.to_string().parse::<Matcher>().unwrap(), matcher);
        prop_assert_eq!(json(&serde_json::to_string(&matcher).unwrap()).unwrap(), matcher);
    }
}

#[cfg(feature = "openapi")]
#[test]
fn the_schema_of_a_matcher_names_its_kinds_and_bounds() {
    use utoipa::PartialSchema;
    let text = serde_json::to_string(&Matcher::schema()).unwrap();
    for kind in ["argmax", "soft_argmax", "window_soft_argmax", "kernel_soft_argmax"] {
        assert!(text.contains(&format!("[\"{kind}\"]")), "{kind} is missing: {text}");
    }
    let text = serde_json::to_string(&Temperature::schema()).unwrap();
    assert!(text.contains("\"exclusiveMinimum\":0"), "{text}");
}
