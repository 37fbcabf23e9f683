//! What the subcommands do; answers go to standard output, everything else to standard error.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use homolog_core::geometry::Point;
use tokio::runtime::Runtime;

use crate::app::App;
use crate::cli::MatchArgs;
use crate::config::Config;
use crate::error::ApiError;
use crate::pipeline;
use crate::render;
use crate::request::{Job, MatchSettings};
use crate::response::{MatchResponse, ModelList};
use crate::router;
use crate::serve;

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
    let targets = args.targets.iter().map(|path| read(path));
    let job = Job {
        source: read(&args.source)?,
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
    let run = pipeline::run(&app, job, args.out.is_some());
    let outcome = Runtime::new()?.block_on(run).map_err(sentence)?;
    if let Some(path) = &args.out {
        std::fs::write(path, render::overlay(&outcome)?).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if args.json {
        return print(&(serde_json::to_string(&outcome.response)? + "\n"));
    }
    print(&table(&outcome.response)?)
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

/// `homolog openapi`.
pub fn openapi() -> Done {
    print(&(router::openapi().to_pretty_json()? + "\n"))
}

fn read(path: &Path) -> Result<Bytes, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes.into())
}

/// The error with the part of the request in front, as the API has it in `field`.
fn sentence(error: ApiError) -> String {
    match error.field() {
        Some(field) => format!("{field}: {error}"),
        None => error.to_string(),
    }
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
