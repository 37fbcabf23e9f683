//! Manifests of bundles, read and checked as the service does it.

#![no_main]

use homolog_core::bundle::{Bundle, Manifest};
use homolog_core::geometry::{Point, Size};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    // the seeds name these files by their lengths and digests, so that some inputs are bundles
    homolog_fuzz::put_once(&[("tiny/backbone.onnx", b"backbone\n"), ("tiny/head.onnx", b"head\n")]);
    homolog_fuzz::put("tiny/manifest.json", text);
    if let Ok(bundle) = Bundle::open(&homolog_fuzz::folder().join("tiny")) {
        assert_eq!(bundle.manifest().id, "tiny");
        assert_eq!(bundle.digest().len(), 64);
        assert!(!bundle.backbone_key().is_empty());
    }
    let Ok(manifest) = serde_json::from_slice::<Manifest>(text) else { return };
    if manifest.check().is_err() {
        return;
    }
    for size in [Size::new(640, 480), Size::new(1, 16_384), Size::new(16_384, 1)] {
        let fit = manifest.preparation(manifest.default_resolution).fit(size).expect("a resolution that was checked");
        assert!(fit.grid().height > 0 && fit.grid().width > 0);
        let there = fit.to_token(Point::new(0.5, 0.5));
        let back = fit.from_token(there);
        assert!((back.x - 0.5).abs() < 1e-6 && (back.y - 0.5).abs() < 1e-6);
    }
});
