//! `homolog eval`: an evaluation at the command line, by the same jobs as the service's.
//!
//! The job is kept in the folder that its results go to, so that the same command goes on where it was stopped.

use std::error::Error;
use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use homolog_eval::document::{self, Evaluation};
use homolog_eval::pck::Bootstrap;
use homolog_eval::report::{html, table, terminal};
use homolog_jobs::{Address, Created, DatasetEntry, Error as JobsError, Job, Jobs, Key, State, Store};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Runtime;

use super::{print, sentence, write};
use crate::app::App;
use crate::cli::EvalArgs;
use crate::config::{Config, NamedDataset};
use crate::pipeline;
use crate::request::{PckRequest, RunSettings};

/// Done, but pairs were left out or failed: the numbers are of the others.
const INCOMPLETE: u8 = 3;
/// Stopped by a signal, as shells have it.
const INTERRUPTED: u8 = 130;
/// The one key in a store of one job: another evaluation under it, one of another version among them, is refused.
const KEY: &str = "command line";
/// How often progress is shown.
const LOOK: Duration = Duration::from_millis(500);

/// The job, in the folder of the results.
const STORE: &str = "evaluation.sqlite";
/// The document, predictions included.
const DOCUMENT: &str = "evaluation.json";
const REPORT: &str = "report.html";
const NUMBERS: &str = "numbers.csv";
const PREDICTIONS: &str = "predictions.csv";

/// `homolog eval`.
pub fn eval(config: Config, args: EvalArgs) -> Result<ExitCode, Box<dyn Error>> {
    if let [first, second] = args.compare.as_slice() {
        compare(first, second, args.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(format), Some(data)) = (&args.dataset, &args.data) else {
        return Err("name a dataset and its folder: --dataset pf-willow --data DIR".into());
    };
    let name = format.to_string();
    let entry = DatasetEntry { path: data.clone(), format: format.clone() };
    let temporary = if args.out.is_none() { Some(tempfile::tempdir()?) } else { None };
    let folder = args.out.clone().or(temporary.as_ref().map(|folder| folder.path().to_owned())).unwrap_or_default();
    let store = folder.join(STORE);
    let datasets = vec![NamedDataset { key: name.clone(), entry }];
    let app = App::new(Config { datasets, eval_store: Address::Sqlite(store), ..config });
    app.load()?;
    let runs = pipeline::specify(&app, &args.runs()).map_err(sentence)?;
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(async {
        let jobs = app.set_jobs(Store::open(&app.config().eval_store).await?).map_err(sentence)?;
        if args.fresh {
            // the lock is ours by now
            forget(&jobs).await?;
        }
        let (measure, strict) = (args.pck().measure().map_err(sentence)?, args.strict);
        let key = Key { name: KEY.to_owned(), digest: None };
        let taken = take(&jobs, &name, || jobs.submit(&name, runs.clone(), measure.clone(), strict, Some(&key))).await;
        let outcome = match taken {
            Ok(id) => carry_out(&jobs, &id).await,
            Err(JobsError::KeyReused { .. }) => Err(format!(
                "{} holds another evaluation, or one begun by another version; choose another --out, or --fresh to begin anew",
                folder.display()
            )
            .into()),
            Err(error) => Err(error.into()),
        };
        jobs.store().close().await;
        outcome
    });
    let Some((evaluation, pairs)) = outcome? else {
        match &args.out {
            Some(_) => eprintln!("stopped; the same command goes on from here"),
            None => eprintln!("stopped; with --out, the same command would go on from here"),
        }
        return Ok(ExitCode::from(INTERRUPTED));
    };
    if let Some(out) = &args.out {
        write_all(out, &evaluation, &pairs.dataset)?;
    }
    if args.json {
        let mut json = Vec::new();
        evaluation.clone().without_results().write_json(&mut json)?;
        print(&String::from_utf8(json)?)?;
    } else {
        print(&terminal::evaluation(&evaluation))?;
    }
    let failed = evaluation.runs.iter().any(|run| !run.failures.is_empty());
    let complete = evaluation.dataset.pairs_left_out == 0 && !failed;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

/// Takes the job, or finds the one that was begun before; one that failed is taken up again.
async fn take<F: Future<Output = Result<Created, JobsError>>>(
    jobs: &Jobs,
    name: &str,
    submit: impl Fn() -> F,
) -> Result<String, JobsError> {
    let id = match submit().await? {
        Created::New(id) => return Ok(id),
        Created::Before(id) => id,
    };
    match jobs.store().job(&id).await?.state {
        // what it has is kept
        State::Failed | State::Cancelled => jobs.store().reopen(&id).await?,
        State::Waiting | State::Running => tracing::info!(dataset = name, "going on where it was stopped"),
        State::Done => {}
    }
    Ok(id)
}

type Outcome = Option<(Evaluation, homolog_jobs::dataset::Opened)>;

/// Works until the job has ended; none if it was told to stop.
async fn carry_out(jobs: &Arc<Jobs>, id: &str) -> Result<Outcome, Box<dyn Error>> {
    let work = tokio::spawn(jobs.clone().work());
    let mut stop = std::pin::pin!(crate::serve::stop_signal()?);
    let bar = ProgressBar::new(0)
        .with_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} pairs  {msg}  {elapsed} < {prefix}")?);
    let ended = loop {
        let job = jobs.store().job(id).await?;
        show(&bar, &job);
        if job.state.is_final() {
            break Ok(Some(job));
        }
        if let Some(trouble) = jobs.trouble() {
            break Err(format!(
                "{trouble}; with --out, what was measured is kept, and the same command goes on from there"
            ));
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {},
            () = &mut stop => break Ok(None),
        }
    };
    bar.finish_and_clear();
    jobs.stop();
    work.await?;
    match ended? {
        None => Ok(None),
        Some(job) if job.state == State::Done => Ok(Some((jobs.evaluation(id, true).await?, jobs.pairs(id).await?))),
        Some(job) => Err(job.reason.unwrap_or_else(|| format!("the evaluation was {}", job.state.name())).into()),
    }
}

fn show(bar: &ProgressBar, job: &Job) {
    let progress = &job.progress;
    bar.set_length(progress.pairs_total);
    bar.set_position(progress.pairs_done);
    let speed = progress.images_per_second.map_or_else(String::new, |speed| format!("{speed:.1} images/s  "));
    let pck = progress.running_pck.first().and_then(|pck| Some((pck.per_image?, pck.alpha)));
    let pck = pck.map_or_else(String::new, |(pck, alpha)| format!("per-image PCK@{alpha:.2} {:.1} %", 100.0 * pck));
    bar.set_message(speed + &pck);
    let left = progress.seconds_left.map(|seconds| Duration::from_secs_f64(seconds.min(1e9).round()));
    bar.set_prefix(left.map_or_else(|| "?".to_owned(), |left| indicatif::HumanDuration(left).to_string()));
}

fn write_all(out: &Path, evaluation: &Evaluation, dataset: &homolog_eval::Dataset) -> Result<(), Box<dyn Error>> {
    let create = |name: &str| {
        let path = out.join(name);
        let file = std::fs::File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok::<_, String>(BufWriter::new(file))
    };
    evaluation.write_json(create(DOCUMENT)?)?;
    table::numbers(evaluation.reports(), create(NUMBERS)?)?;
    table::predictions(evaluation.results(), &evaluation.settings, create(PREDICTIONS)?)?;
    let page = html::render(evaluation, dataset, &|image| std::fs::read(&image.path).ok())?;
    write(&out.join(REPORT), page.as_bytes())?;
    eprintln!("{}: {REPORT}, {DOCUMENT}, {NUMBERS}, {PREDICTIONS}", out.display());
    Ok(())
}

/// `homolog eval --compare`.
fn compare(first: &Path, second: &Path, json: bool) -> Result<(), Box<dyn Error>> {
    let read = |path: &Path| -> Result<Evaluation, String> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Evaluation::from_json(&text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let comparisons = document::compare(&read(first)?, &read(second)?)?;
    if json {
        return print(&(serde_json::to_string_pretty(&comparisons)? + "\n"));
    }
    let texts: Vec<String> = comparisons.iter().map(terminal::comparison).collect();
    print(&texts.join("\n"))
}

/// Forgets the job that was begun before.
async fn forget(jobs: &Jobs) -> Result<(), JobsError> {
    for job in jobs.store().jobs(0, 100).await? {
        jobs.cancel(&job.id).await?;
        jobs.store().forget(&job.id).await?;
    }
    Ok(())
}

impl EvalArgs {
    /// Every model at every resolution with every matcher.
    fn runs(&self) -> Vec<RunSettings> {
        let each = |given: usize| 0..given.max(1);
        let mut runs = Vec::new();
        for model in each(self.models.len()) {
            for resolution in each(self.resolutions.len()) {
                for matcher in each(self.matchers.len()) {
                    runs.push(RunSettings {
                        model: self.models.get(model).cloned(),
                        resolution: self.resolutions.get(resolution).copied(),
                        matcher: self.matchers.get(matcher).copied(),
                        sampling: self.sampling,
                        cycle: self.cycle,
                    });
                }
            }
        }
        runs
    }

    fn pck(&self) -> PckRequest {
        PckRequest {
            alphas: self.alphas.clone().map(|alphas| alphas.0),
            operator: self.operator,
            threshold: self.threshold,
            bootstrap: Some(Bootstrap { resamples: self.bootstrap, seed: self.seed }),
        }
    }
}
