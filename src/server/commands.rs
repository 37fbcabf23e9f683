//! What the subcommands do; answers go to standard output, everything else to standard error.

mod eval;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use homolog_core::geometry::Point;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::access::NamedKey;
use crate::app::App;
use crate::cli::{DescribeArgs, MatchArgs};
use crate::config::Config;
use crate::error::ApiError;
use crate::pipeline;
use crate::render;
use crate::request::{DescribeJob, DescribeSettings, Format, ImageSource, MatchJob, MatchSettings};
use crate::response::{Description, MatchResponse, ModelList};
use crate::router;
use crate::serve;
pub use eval::eval;

type Done = Result<(), Box<dyn Error>>;

/// `homolog serve`.
pub fn serve(config: Config) -> Done {
    let runtime = Runtime::new()?;
    let served = runtime.block_on(serve::serve(config, |address| {
        // a closed standard output is no reason not to serve
        let _ = print(&format!("Homolog is listening on http://{address} (docs: http://{address}/docs)\n"));
    }));
    // a model that is still being loaded cannot be interrupted, and must not hold up the end
    runtime.shutdown_background();
    Ok(served?)
}

/// `homolog match`.
pub fn match_photos(config: Config, args: MatchArgs) -> Done {
    let targets = args.targets.iter().map(|path| read(path).map(ImageSource::File));
    let job = MatchJob {
        source: ImageSource::File(read(&args.source)?),
        targets: targets.collect::<Result<_, _>>()?,
        settings: MatchSettings {
            model: args.model,
            points: args.points,
            matcher: args.matcher,
            sampling: args.sampling,
            resolution: args.resolution,
            top_k: args.top_k,
            cycle: Some(args.cycle),
        },
    };
    let app = App::new(config);
    app.load()?;
    let run = pipeline::match_pair(&app, job, args.out.is_some());
    let matched = Runtime::new()?.block_on(run).map_err(sentence)?;
    if let Some(path) = &args.out {
        write(path, &render::overlay(&matched)?)?;
    }
    if args.json {
        return print(&(serde_json::to_string(&matched.response)? + "\n"));
    }
    print(&table(&matched.response)?)
}

/// `homolog describe`.
pub fn describe_photo(config: Config, args: DescribeArgs) -> Done {
    let (path, format) = (args.out.path, args.out.format);
    // a safetensors file has its description in itself
    let beside = (format == Format::Npy && !args.json).then(|| sidecar(&path)).transpose()?;
    let job = DescribeJob {
        image: ImageSource::File(read(&args.photo)?),
        settings: DescribeSettings {
            model: args.model,
            resolution: args.resolution,
            normalise: Some(args.normalise),
            format: Some(format),
            dtype: args.dtype,
        },
    };
    let app = App::new(config);
    app.load()?;
    let described = Runtime::new()?.block_on(pipeline::describe(&app, job, format)).map_err(sentence)?;
    write(&path, &described.file)?;
    let json = described.json + "\n";
    if let Some(beside) = beside {
        write(&beside, json.as_bytes())?;
    }
    if args.json {
        return print(&json);
    }
    print(&summary(&described.description, &path))
}

/// `homolog models`.
pub fn models(config: Config, json: bool) -> Done {
    let app = App::new(config);
    app.load()?;
    let list = ModelList::new(&app)?;
    if json {
        return print(&(serde_json::to_string(&list)? + "\n"));
    }
    let mut text = String::new();
    for model in &list.models {
        let mark = if model.default { " (default)" } else { "" };
        let sides: Vec<String> = model.resolutions.iter().map(u32::to_string).collect();
        writeln!(text, "{}{mark}  {}", model.id, model.description)?;
        writeln!(text, "    backbone     {}", model.backbone)?;
        writeln!(text, "    resolutions  {} (default {})", sides.join(", "), model.default_resolution)?;
        writeln!(text, "    matcher      {}", model.matcher)?;
        writeln!(text, "    provider     {}", model.provider)?;
    }
    print(&text)
}

/// `homolog key`.
pub fn key(name: &str, per_second: Option<NonZeroU32>) -> Done {
    // two random UUIDs hold 244 random bits
    let secret = format!("hml_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let key = NamedKey { per_second, ..NamedKey::new(name, &secret) };
    // what would not be read back is not written
    let key: NamedKey = key.to_string().parse()?;
    print(&format!("key, for {name} alone and nowhere else:  {secret}\nsetting of the service:  --api-key {key}\n"))
}

/// `homolog openapi`.
pub fn openapi() -> Done {
    print(&(router::openapi().to_pretty_json()? + "\n"))
}

fn read(path: &Path) -> Result<Bytes, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes.into())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// Where the description of an npy file goes. Annotations of the photo may have that name already, and must not be lost.
fn sidecar(out: &Path) -> Result<PathBuf, String> {
    let path = out.with_extension("json");
    let Ok(there) = std::fs::read(&path) else { return Ok(path) };
    let there = serde_json::from_slice(&there).unwrap_or(serde_json::Value::Null);
    if there.get("cell_to_pixel").is_some() {
        return Ok(path);
    }
    let path = path.display();
    Err(format!("{path} is there and is no description of descriptors; choose another --out, or --json to print it"))
}

/// The error with the part of the request in front, as the API has it in `field`.
fn sentence(error: ApiError) -> String {
    match error.field() {
        Some(field) => format!("{field}: {error}"),
        None => error.to_string(),
    }
}

fn summary(of: &Description, path: &Path) -> String {
    let [h, w, c] = of.shape;
    let kind = if of.normalised { "normalised" } else { "raw" };
    let (model, resolution, dtype, path) = (&of.model, of.resolution, of.dtype, path.display());
    format!("{path}: {h} × {w} tokens of {c} channels, {dtype}, {kind}, by {model} at {resolution} px\n")
}

fn table(response: &MatchResponse) -> Result<String, std::fmt::Error> {
    let place = |point: Point| format!("{:.1},{:.1}", point.x, point.y);
    let mut text = format!(
        "{} at {} px, {}, {} sampling\n",
        response.model, response.resolution, response.matcher, response.sampling
    );
    for (index, target) in response.targets.iter().enumerate() {
        let (width, height) = (target.width, target.height);
        writeln!(text, "\ntarget[{index}], {width}×{height} px")?;
        writeln!(
            text,
            "{:>5}  {:>15}  {:>15}  {:>10}  {:>10}  {:>9}",
            "point", "source", "target", "similarity", "confidence", "cycle"
        )?;
        for (number, found) in (1..).zip(&target.matches) {
            let (source, target) = (place(found.source), place(found.target));
            let (similarity, confidence) = (found.similarity, found.confidence);
            let cycle = found.cycle_error;
            let cycle = cycle.map_or_else(|| "-".to_owned(), |error| format!("{error:.1} px"));
            writeln!(
                text,
                "{number:>5}  {source:>15}  {target:>15}  {similarity:>10.3}  {confidence:>10.3}  {cycle:>9}"
            )?;
            for candidate in &found.candidates {
                let (place, similarity) = (place(candidate.target), candidate.similarity);
                let confidence = candidate.confidence;
                writeln!(text, "{:>5}  {:>15}  {place:>15}  {similarity:>10.3}  {confidence:>10.3}", "", "candidate")?;
            }
        }
    }
    Ok(text)
}

/// `println!` panics when nobody reads.
fn print(text: &str) -> Done {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
