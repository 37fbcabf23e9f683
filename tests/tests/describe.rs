//! `POST /describe` and `homolog describe`: the descriptors as they are matched, the same bits whichever way they are asked for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use half::f16;
use homolog_core::{
    bundle::{self, Bundle},
    features::FeatureMap,
    geometry::{Fit, Point},
    image::{DecodeLimits, Photo, prepare},
};
use homolog_engine::{Engine, EngineConfig, ProviderChoice};
use homolog_tests::{
    golden, root,
    service::{Service, assert_problem, binary, file, form},
    shared,
};
use reqwest::{Response, multipart::Form};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

const NPY: &str = "application/x-npy";
const SAFETENSORS: &str = "application/vnd.safetensors";
const OCTETS: &str = "application/octet-stream";

/// Two photos of PF-WILLOW, or the two of the documentation where those are not there.
fn photos() -> [PathBuf; 2] {
    let example = |name: &str| root().join("openapi/examples").join(name);
    let Some(folder) = shared("pf-willow") else { return [example("a.jpg"), example("b.jpg")] };
    let csv = std::fs::read_to_string(folder.join("pf_willow_pairs.csv")).unwrap();
    let row: Vec<&str> = csv.lines().nth(1).unwrap().split(',').collect();
    [row[0], row[1]].map(|name| folder.join(name.replacen("PF-dataset/", "PF-dataset-WILLOW/", 1)))
}

fn photo() -> Vec<u8> {
    std::fs::read(&photos()[0]).unwrap()
}

/// What came, read by hand.
struct Tokens {
    about: Value,
    descr: String,
    shape: [usize; 3],
    bytes: Vec<u8>,
}

impl Tokens {
    /// An npy file as its documentation describes it, and not as our writer does.
    fn of_npy(file: &[u8], about: &str) -> Tokens {
        assert_eq!(&file[..8], b"\x93NUMPY\x01\x00");
        let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
        assert_eq!((start % 64, file[start - 1]), (0, b'\n'));
        let header = std::str::from_utf8(&file[10..start]).unwrap();
        assert!(header.contains("'fortran_order': False"), "{header}");
        let after = |key: &str| header.split_once(key).unwrap().1;
        let descr = after("'descr': '").split('\'').next().unwrap().to_owned();
        let shape = after("'shape': (").split(')').next().unwrap();
        let shape: Vec<usize> = shape.split(',').map(|side| side.trim().parse().unwrap()).collect();
        let about = serde_json::from_str(about).unwrap();
        Tokens { about, descr, shape: shape.try_into().unwrap(), bytes: file[start..].to_vec() }
    }

    fn of_safetensors(file: &[u8]) -> Tokens {
        let tensors = SafeTensors::deserialize(file).unwrap();
        assert_eq!(tensors.names(), ["descriptors"]);
        let view = tensors.tensor("descriptors").unwrap();
        let (_, header) = SafeTensors::read_metadata(file).unwrap();
        let about = serde_json::from_str(&header.metadata().as_ref().unwrap()["homolog"]).unwrap();
        let descr = if view.dtype() == safetensors::Dtype::F16 { "<f2" } else { "<f4" };
        let shape = view.shape().to_vec().try_into().unwrap();
        Tokens { about, descr: descr.into(), shape, bytes: view.data().to_vec() }
    }

    async fn of(response: Response) -> Tokens {
        let headers = response.headers().clone();
        let file = response.bytes().await.unwrap();
        let text = |name: &str| headers[name].to_str().unwrap();
        assert!(text("server-timing").contains("encode;dur=") && text("server-timing").contains("write;dur="));
        let tokens = match text("content-type") {
            NPY => Tokens::of_npy(&file, text("x-homolog-describe")),
            SAFETENSORS => Tokens::of_safetensors(&file),
            other => panic!("{other}: {}", String::from_utf8_lossy(&file)),
        };
        assert_eq!(tokens.about, serde_json::from_str::<Value>(text("x-homolog-describe")).unwrap());
        assert_eq!(tokens.about["shape"], json!(tokens.shape));
        tokens
    }

    fn assert_same(&self, other: &Tokens) {
        assert_eq!((&self.about, &self.descr, self.shape), (&other.about, &other.descr, other.shape));
        assert!(self.bytes == other.bytes, "the numbers differ");
    }

    fn numbers(&self) -> Vec<f32> {
        assert_eq!((self.descr.as_str(), self.bytes.len()), ("<f4", 4 * self.shape.iter().product::<usize>()));
        self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

fn upload(image: &[u8], request: &Value) -> Form {
    Form::new().part("image", file(image)).text("request", request.to_string())
}

async fn describe(service: &Service, accept: &str, form: Form) -> Response {
    let post = service.client.post(format!("{}/describe", service.url)).header("accept", accept);
    post.multipart(form).send().await.unwrap()
}

async fn post_json(service: &Service, body: impl Into<reqwest::Body>) -> Response {
    let post = service.client.post(format!("{}/describe", service.url)).header("content-type", "application/json");
    post.body(body).send().await.unwrap()
}

fn run(models: &Path, photo: &Path, out: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("describe").arg(photo).arg("--models").arg(models).arg("--out").arg(out).args(flags);
    command.output().unwrap()
}

fn succeed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The head's output without service or command line.
async fn direct(bundle: &Path, photo: &[u8], resolution: u32) -> (FeatureMap<'static>, Fit) {
    let config =
        EngineConfig { provider: ProviderChoice::Auto, workers: 1, threads: 0, queue: 1, ..EngineConfig::default() };
    let engine = Engine::start(&config, vec![Bundle::open(bundle).unwrap()]).unwrap();
    let model = engine.models().next().unwrap();
    let manifest = model.manifest();
    let photo = Photo::decode(photo, &DecodeLimits::default()).unwrap();
    let fit = Fit::new(manifest.fit, photo.size(), resolution, manifest.backbone.patch).unwrap();
    let pixels = prepare(&photo, &fit, manifest.interpolation, &manifest.normalisation).unwrap();
    (engine.describe(model, pixels).await.unwrap(), fit)
}

#[tokio::test]
async fn every_way_to_the_descriptors_gives_the_same_bits() {
    let service = Service::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = (photos()[0].clone(), photo());
    let (raw, fit) = direct(&root().join("models/demo"), &bytes, 224).await;
    for (normalise, expected) in [(false, raw.clone()), (true, raw.normalised())] {
        let request = json!({ "model": "demo", "resolution": 224, "normalise": normalise });
        let npy = Tokens::of(describe(&service, "*/*", upload(&bytes, &request)).await).await;
        assert!(npy.numbers() == expected.data(), "the service and the engine differ");
        assert_eq!(npy.shape, [16, 16, 192]);
        npy.assert_same(&Tokens::of(describe(&service, SAFETENSORS, upload(&bytes, &request)).await).await);
        let mut body = request.clone();
        body["image"] = json!({ "base64": STANDARD.encode(&bytes) });
        npy.assert_same(&Tokens::of(post_json(&service, body.to_string()).await).await);

        let mut flags = vec!["--model", "demo", "--resolution", "224"];
        flags.extend(normalise.then_some("--normalise"));
        let out = folder.path().join("tokens.npy");
        // twice: the second time over what the first has written
        succeed(&run(&root().join("models"), &path, &out, &flags));
        assert!(succeed(&run(&root().join("models"), &path, &out, &flags)).contains("16 × 16 tokens of 192 channels"));
        let about = std::fs::read_to_string(folder.path().join("tokens.json")).unwrap();
        npy.assert_same(&Tokens::of_npy(&std::fs::read(&out).unwrap(), &about));
        let out = folder.path().join("tokens.safetensors");
        let printed = succeed(&run(&root().join("models"), &path, &out, &[&flags[..], &["--json"]].concat()));
        assert_eq!(printed, about);
        npy.assert_same(&Tokens::of_safetensors(&std::fs::read(&out).unwrap()));

        let about = &npy.about;
        assert_eq!((&about["model"], &about["resolution"]), (&json!("demo"), &json!(224)));
        assert_eq!((&about["normalised"], &about["dtype"]), (&json!(normalise), &json!("f32")));
        assert_eq!(about["fit"], serde_json::to_value(fit).unwrap());
        assert_eq!(about["grid"], json!({ "height": 16, "width": 16 }));
        assert_eq!(about["content"], json!({ "rows": [0, 16], "columns": [0, 16] }));
        let card: Value = service.get("/models/demo").await.json().await.unwrap();
        assert_eq!(about["digest"], card["digest"]);
    }
}

#[tokio::test]
async fn without_a_word_the_answer_is_raw_single_precision_of_the_default_model() {
    let service = Service::start(&[]).await;
    let bare = Form::new().part("image", file(&photo()));
    let tokens = Tokens::of(describe(&service, "*/*", bare).await).await;
    let demo = root().join("models/demo");
    let side = homolog_core::bundle::Bundle::open(&demo).unwrap().manifest().default_resolution;
    let (raw, _) = direct(&demo, &photo(), side).await;
    assert!(tokens.numbers() == raw.data());
}

#[tokio::test]
async fn normalised_descriptors_have_length_one_and_halves_are_the_rounded_numbers() {
    let service = Service::start(&[]).await;
    let request = |dtype: &str| json!({ "resolution": 112, "normalise": true, "dtype": dtype });
    let single = Tokens::of(describe(&service, "*/*", upload(&photo(), &request("f32"))).await).await.numbers();
    for token in single.chunks_exact(192) {
        let length = token.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
    }
    let rounded: Vec<u8> = single.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
    for accept in [NPY, SAFETENSORS] {
        let half = Tokens::of(describe(&service, accept, upload(&photo(), &request("f16"))).await).await;
        assert_eq!((half.descr.as_str(), &half.about["dtype"]), ("<f2", &json!("f16")));
        assert!(half.bytes == rounded);
    }
}

/// The descriptor at a place between four centres.
fn between(tokens: &Tokens, numbers: &[f32], [x, y]: [f64; 2]) -> Vec<f64> {
    let [h, w, c] = tokens.shape;
    let map = |name: &str| tokens.about["cell_to_pixel"][name].as_f64().unwrap();
    let u = ((x - map("bx")) / map("ax")).clamp(0.0, (w - 1) as f64);
    let v = ((y - map("by")) / map("ay")).clamp(0.0, (h - 1) as f64);
    let (j, i) = (u as usize, v as usize);
    let at = |i: usize, j: usize, k: usize| f64::from(numbers[(i.min(h - 1) * w + j.min(w - 1)) * c + k]);
    let (u, v) = (u - j as f64, v - i as f64);
    let row = |i: usize, k: usize| (1.0 - u) * at(i, j, k) + u * at(i, j + 1, k);
    (0..c).map(|k| (1.0 - v) * row(i, k) + v * row(i + 1, k)).collect()
}

fn cosine(a: &[f64], b: &[f32]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * f64::from(*b)).sum();
    let length = |squares: f64| squares.sqrt();
    dot / length(a.iter().map(|a| a * a).sum()) / length(b.iter().map(|b| f64::from(*b).powi(2)).sum())
}

#[tokio::test]
async fn who_matches_two_answers_by_hand_finds_what_match_finds() {
    let service = Service::start(&[]).await;
    let [a, b] = photos().map(|path| std::fs::read(path).unwrap());
    let nothing = json!({});
    let source = Tokens::of(describe(&service, NPY, upload(&a, &nothing)).await).await;
    let target = Tokens::of(describe(&service, SAFETENSORS, upload(&b, &nothing)).await).await;
    let (queries, tokens) = (source.numbers(), target.numbers());
    let size = |side: &str| source.about["fit"]["image"][side].as_f64().unwrap();
    let points: Vec<[f64; 2]> = (1..10).map(|n| [size("width") * f64::from(n) / 10.0, size("height") / 1.7]).collect();
    let request = json!({ "points": points, "matcher": { "kind": "argmax" } });
    let answer: Value = service.post_form(form(&a, &b, &request)).await.json().await.unwrap();
    let [_, w, c] = target.shape;
    for (point, found) in points.iter().zip(answer["targets"][0]["matches"].as_array().unwrap()) {
        let query = between(&source, &queries, *point);
        let cosines = tokens.chunks_exact(c).map(|token| cosine(&query, token));
        let (best, similarity) = cosines.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        let map = |name: &str| target.about["cell_to_pixel"][name].as_f64().unwrap();
        let place = [map("ax") * (best % w) as f64 + map("bx"), map("ay") * (best / w) as f64 + map("by")];
        for axis in 0..2 {
            assert!((found["target"][axis].as_f64().unwrap() - place[axis]).abs() < 1e-9, "{found} is not {place:?}");
        }
        assert!((found["similarity"].as_f64().unwrap() - similarity).abs() < 1e-5, "{found} is not {similarity}");
    }
}

#[tokio::test]
async fn padding_is_told_from_the_picture() {
    // the demo with another fit: its descriptors mean nothing anyway
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("letter");
    std::fs::create_dir(&bundle).unwrap();
    for entry in std::fs::read_dir(root().join("models/demo")).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, bundle.join(from.file_name().unwrap())).unwrap();
    }
    let manifest = std::fs::read_to_string(bundle.join(bundle::MANIFEST)).unwrap();
    let manifest = manifest.replace("\"id\": \"demo\"", "\"id\": \"letter\"").replace("squash", "letterbox");
    std::fs::write(bundle.join(bundle::MANIFEST), manifest).unwrap();
    // 448 × 112, so that a pixel of the canvas is one of the picture
    let wide = image::RgbImage::from_fn(448, 112, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    let path = folder.path().join("wide.png");
    wide.save(&path).unwrap();
    let out = folder.path().join("tokens.npy");
    let about = succeed(&run(folder.path(), &path, &out, &["--resolution", "448", "--json"]));
    assert!(!folder.path().join("tokens.json").exists());
    let tokens = Tokens::of_npy(&std::fs::read(&out).unwrap(), &about);
    // (448 − 112)/2 = 168 px above are twelve rows of tokens, and 112 px eight more
    assert_eq!(tokens.about["content"], json!({ "rows": [12, 20], "columns": [0, 32] }));
    assert_eq!(tokens.about["fit"]["offset"], json!([0, 168]));
    assert_eq!(tokens.about["cell_to_pixel"], json!({ "ax": 14.0, "bx": 7.0, "ay": 14.0, "by": -161.0 }));
    let (map, fit) = direct(&bundle, &std::fs::read(&path).unwrap(), 448).await;
    assert!(tokens.numbers() == map.data());
    assert_eq!(fit.from_token(Point::new(0.5, 12.5)), Point::new(7.0, 7.0));
}

#[tokio::test]
async fn numpy_reads_the_file_and_would_have_written_it_so() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    if !Command::new(&python).args(["-c", "import numpy"]).output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no numpy (set PYTHON to one that has)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "import numpy, sys
a = numpy.load(sys.argv[1])
assert a.flags.c_contiguous
numpy.save(sys.argv[2], a)
print(a.shape, a.dtype)";
    for (dtype, expected) in [("f32", "(8, 8, 192) float32"), ("f16", "(8, 8, 192) float16")] {
        let (ours, theirs) = (folder.path().join("ours.npy"), folder.path().join("theirs.npy"));
        succeed(&run(&root().join("models"), &photos()[0], &ours, &["--resolution", "112", "--dtype", dtype]));
        let output = Command::new(&python).args(["-c", script]).args([&ours, &theirs]).output().unwrap();
        assert_eq!(succeed(&output).trim(), expected);
        assert!(std::fs::read(&ours).unwrap() == std::fs::read(&theirs).unwrap());
    }
}

#[tokio::test]
async fn the_format_is_what_the_field_and_accept_agree_on() {
    let service = Service::start(&[]).await;
    let image = std::fs::read(golden("images/rgb.jpg")).unwrap();
    let any = "*/*, text/html;q=0";
    // the field, `Accept`, and how the answer is called
    let cases = [
        (None, any, NPY, true),
        (None, OCTETS, OCTETS, true),
        (None, "application/*", NPY, true),
        (None, "application/x-npy;q=0.5, application/vnd.safetensors", SAFETENSORS, false),
        (Some("npy"), any, NPY, true),
        (Some("npy"), OCTETS, OCTETS, true),
        (Some("safetensors"), any, SAFETENSORS, false),
        (Some("safetensors"), OCTETS, OCTETS, false),
        (Some("safetensors"), "application/vnd.safetensors", SAFETENSORS, false),
    ];
    for (field, accept, called, npy) in cases {
        let request = json!({ "resolution": 112, "format": field });
        let response = describe(&service, accept, upload(&image, &request)).await;
        assert_eq!(response.headers()["content-type"], called, "{field:?} with {accept}");
        assert_eq!(response.bytes().await.unwrap().starts_with(b"\x93NUMPY"), npy, "{field:?} with {accept}");
    }
    for (field, accept) in [(None, "application/json"), (Some("npy"), SAFETENSORS), (Some("safetensors"), NPY)] {
        let request = json!({ "resolution": 112, "format": field });
        let response = describe(&service, accept, upload(&image, &request)).await;
        assert_problem(response, 406, "not-acceptable", Some("accept")).await;
    }
}

#[tokio::test]
async fn bad_input_is_told_by_its_field() {
    let service = Service::start(&["--max-body-bytes", "100000"]).await;
    let image = std::fs::read(golden("images/rgb.jpg")).unwrap();
    let settings = [
        (json!({ "colour": 1 }), 422, "invalid-request", "colour"),
        (json!({ "points": [[1, 1]] }), 422, "invalid-request", "points"),
        (json!({ "model": "nobody" }), 404, "unknown-model", "model"),
        (json!({ "resolution": 225 }), 422, "invalid-request", "resolution"),
        (json!({ "format": "hdf5" }), 422, "invalid-request", "format"),
        (json!({ "dtype": "f64" }), 422, "invalid-request", "dtype"),
        (json!({ "normalise": "yes" }), 422, "invalid-request", "normalise"),
    ];
    for (request, status, kind, field) in settings {
        let response = describe(&service, "*/*", upload(&image, &request)).await;
        assert_problem(response, status, kind, Some(field)).await;
        let mut body = request;
        body["image"] = json!({ "base64": STANDARD.encode(&image) });
        assert_problem(post_json(&service, body.to_string()).await, status, kind, Some(field)).await;
    }
    let nothing = json!({});
    let two = || Form::new().part("image", file(&image)).part("image", file(&image));
    let forms = [
        (Form::new().text("request", "{}"), 400, "missing-image", Some("image")),
        (two(), 400, "malformed-request", Some("image")),
        (two().part("mask", file(&image)), 400, "malformed-request", Some("image")),
        (Form::new().part("mask", file(&image)), 422, "invalid-request", Some("mask")),
        (Form::new().part("image", file(&image)).text("request", "{"), 400, "malformed-request", None),
        (upload(b"this is not a photograph", &nothing), 422, "undecodable-image", Some("image")),
        (upload(&image[..image.len() / 2], &nothing), 422, "undecodable-image", Some("image")),
        (upload(b"", &nothing), 400, "empty-image", Some("image")),
        (upload(&vec![0; 200_000], &nothing), 413, "body-too-large", None),
    ];
    for (form, status, kind, field) in forms {
        assert_problem(describe(&service, "*/*", form).await, status, kind, field).await;
    }
    assert_problem(post_json(&service, "{}").await, 400, "missing-image", Some("image")).await;
    let bad = "{\"image\": {\"base64\": \"?\"}}";
    assert_problem(post_json(&service, bad).await, 400, "malformed-request", Some("image")).await;
    let text = service.client.post(format!("{}/describe", service.url)).header("content-type", "text/plain");
    assert_problem(text.body("hello").send().await.unwrap(), 415, "unsupported-media-type", None).await;
    assert_problem(service.get("/describe").await, 405, "method-not-allowed", None).await;
    assert_eq!(describe(&service, "*/*", upload(&image, &nothing)).await.status(), 200);
}

#[test]
fn the_command_overwrites_no_file_that_is_not_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |out: &str| {
        let output = run(&root().join("models"), &photos()[0], &folder.path().join(out), &["--resolution", "112"]);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    std::fs::write(folder.path().join("photo.json"), "{\"label\": \"duck\"}").unwrap();
    assert!(refused("photo.npy").contains("photo.json is there"));
    assert!(refused("photo.json").contains("ends neither in .npy nor in .safetensors"));
    assert_eq!(std::fs::read_to_string(folder.path().join("photo.json")).unwrap(), "{\"label\": \"duck\"}");
    assert!(!folder.path().join("photo.npy").exists());
}
