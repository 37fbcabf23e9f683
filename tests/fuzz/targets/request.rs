//! Bodies of requests that are JSON, as every route reads them; what `/match` takes is then matched on a small map.

#![no_main]

use std::sync::OnceLock;

use homolog::app::App;
use homolog::config::Config;
use homolog::request::{DescribeJob, EvalJob, ImageJob, MatchJob, MatchSettings, from_json};
use homolog_core::features::FeatureMap;
use homolog_core::geometry::{Fit, FitMode, Grid, Size, check_points};
use homolog_core::matching::{Matcher, Settings, View, run};
use libfuzzer_sys::fuzz_target;

const SIDE: usize = 6;
const CHANNELS: usize = 8;

fuzz_target!(|body: &[u8]| {
    static APP: OnceLock<App> = OnceLock::new();
    let app = APP.get_or_init(|| App::new(Config::default()));
    if let Ok(job) = from_json::<MatchJob>(app, body) {
        search(&job.settings);
    }
    let _ = from_json::<DescribeJob>(app, body);
    let _ = from_json::<ImageJob>(app, body);
    if let Ok(job) = from_json::<EvalJob>(app, body) {
        let _ = job.settings.pck.measure();
    }
});

fn search(settings: &MatchSettings) {
    let size = Size::new(640, 480);
    if settings.points.len() > 16 || check_points(&settings.points, size).is_err() {
        return;
    }
    let fit = Fit::new(FitMode::Letterbox, size, 14 * SIDE as u32, 14).expect("a fit");
    let map = |factor: usize| {
        let numbers: Vec<f32> = (0..SIDE * SIDE * CHANNELS).map(|at| ((at * factor) % 17) as f32 - 8.0).collect();
        FeatureMap::new(Grid::new(SIDE, SIDE), CHANNELS, numbers).expect("a map")
    };
    let (source, target) = (map(5), map(7));
    let matching = Settings {
        matcher: settings.matcher.unwrap_or(Matcher::Argmax {}),
        sampling: settings.sampling.unwrap_or_default(),
        top_k: settings.top_k.unwrap_or(0).min(100),
        cycle: settings.cycle.unwrap_or(false),
    };
    let view = |features| View { features, fit: &fit };
    let found = run(&view(&source), &view(&target), &settings.points, &matching).expect("numbers that are finite");
    assert_eq!(found.len(), settings.points.len());
    for found in found {
        let places = found.candidates.iter().map(|candidate| candidate.point).chain([found.point]);
        for place in places {
            assert!((0.0..=640.0).contains(&place.x) && (0.0..=480.0).contains(&place.y), "{place:?} is outside");
        }
        assert!((0.0..=1.0).contains(&found.confidence), "a confidence of {}", found.confidence);
    }
}
