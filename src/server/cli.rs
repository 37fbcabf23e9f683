//! The command line: what can be said, and who answers it.

use std::error::Error;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use homolog_core::features::{Dtype, Sampling};
use homolog_core::geometry::Point;
use homolog_core::matching::Matcher;
use homolog_eval::pck::{Alphas, Operator, Threshold};
use homolog_eval::readers;

use crate::commands;
use crate::config::{Config, ConfigArgs};
use crate::logging::{self, Traces};
use crate::request::Format;

/// Semantic correspondence: this point on this object, where is the same part in that picture?
#[derive(Debug, Parser)]
#[command(name = "homolog", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API
    Serve {
        /// How.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Find points of one photo in others
    Match(MatchArgs),
    /// Write the descriptors of a photo to a file
    Describe(DescribeArgs),
    /// Measure models over a benchmark: PCK as papers print it, with a report
    ///
    /// Exit codes: 0 every pair was evaluated; 3 done, but pairs were left out or failed, and the numbers are of the others; 130
    /// stopped by a signal, and the same command goes on; 1 any other failure; 2 a wrong command line.
    Eval(Box<EvalArgs>),
    /// List the models that can be served
    Models {
        /// Print the answer of GET /models
        #[arg(long)]
        json: bool,
        /// From where.
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Make a key for the service, and the setting that admits it
    Key {
        /// Whose it is: what the log calls it
        name: String,
        /// Requests a second that it may be used for
        #[arg(long)]
        per_second: Option<NonZeroU32>,
    },
    /// Print the OpenAPI specification of the service
    Openapi,
}

/// The arguments of `homolog match`.
#[derive(Args, Debug)]
pub struct MatchArgs {
    /// The photo with the points
    pub source: PathBuf,
    /// The photos to look in
    #[arg(required = true)]
    pub targets: Vec<PathBuf>,
    /// A point of the source in pixels; may be given several times
    #[arg(long = "at", value_name = "X,Y", required = true, value_parser = point, allow_hyphen_values = true)]
    pub points: Vec<Point>,
    /// The model's id
    #[arg(long)]
    pub model: Option<String>,
    /// How a place is read off, say window_soft_argmax:window=5,temperature=0.05
    #[arg(long)]
    pub matcher: Option<Matcher>,
    /// Side of the network's input in pixels, one of those the model offers
    #[arg(long)]
    pub resolution: Option<u32>,
    /// How the source is read between its tokens: bilinear or nearest
    #[arg(long)]
    pub sampling: Option<Sampling>,
    /// How many candidates to report for each point
    #[arg(long)]
    pub top_k: Option<usize>,
    /// Match each prediction back and report how far from its point it comes out
    #[arg(long)]
    pub cycle: bool,
    /// Write a picture of the matches, as PNG
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print the answer of POST /match
    #[arg(long)]
    pub json: bool,
    /// From where.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The arguments of `homolog describe`.
#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// The photo
    pub photo: PathBuf,
    /// The file to write, .npy or .safetensors; beside tokens.npy the description goes into tokens.json
    #[arg(long, value_name = "FILE", value_parser = DescriptorFile::new)]
    pub out: DescriptorFile,
    /// The model's id
    #[arg(long)]
    pub model: Option<String>,
    /// Side of the network's input in pixels, one of those the model offers
    #[arg(long)]
    pub resolution: Option<u32>,
    /// Divide each descriptor by its Euclidean length, as the matcher does before it compares
    #[arg(long)]
    pub normalise: bool,
    /// The numbers in the file: f32 or f16
    #[arg(long)]
    pub dtype: Option<Dtype>,
    /// Print the description as JSON, and write none
    #[arg(long)]
    pub json: bool,
    /// From where.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// The arguments of `homolog eval`.
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// The benchmark: spair71k[:SPLIT[:LAYOUT]], pf-willow[:LIST], pf-pascal[:LIST], ap10k[:SET[:SPLIT]] or simple[:LIST]
    #[arg(long, value_name = "FORMAT", requires = "data", required_unless_present = "compare")]
    pub dataset: Option<readers::Format>,
    /// Its folder
    #[arg(long, value_name = "DIR", requires = "dataset")]
    pub data: Option<PathBuf>,
    /// A model's id; may be given several times
    #[arg(id = "run_models", long = "model", value_name = "MODEL")]
    pub models: Vec<String>,
    /// How a place is read off, say window-soft-argmax:window=5,temperature=0.05; may be given several times
    #[arg(long = "matcher", value_name = "MATCHER")]
    pub matchers: Vec<Matcher>,
    /// Side of the network's input in pixels, one of those the model offers; may be given several times
    #[arg(long = "resolution", value_name = "SIDE")]
    pub resolutions: Vec<u32>,
    /// How the source is read between its tokens: bilinear or nearest
    #[arg(long)]
    pub sampling: Option<Sampling>,
    /// Match each prediction back as well, and report how far from its point it comes out
    #[arg(long)]
    pub cycle: bool,
    /// Shares of the extent at which PCK is measured, ascending [default: 0.01,0.05,0.1,0.15,0.2]
    #[arg(long, value_name = "ALPHA,…", value_parser = AlphaList::new)]
    pub alphas: Option<AlphaList>,
    /// Whether a distance equal to the threshold is right: <= or < [default: <=]
    #[arg(long)]
    pub operator: Option<Operator>,
    /// What thresholds are a share of: box, keypoints or image, always of the target [default: the benchmark's own]
    #[arg(long)]
    pub threshold: Option<Threshold>,
    /// How often pairs are drawn again for the 95 % intervals; 0 for none
    #[arg(long, value_name = "RESAMPLES", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub bootstrap: u32,
    /// Where the draws begin
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Take a single problem of the dataset for an error
    #[arg(long)]
    pub strict: bool,
    /// Folder for the report, the document and the tables; an evaluation that was stopped goes on there
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Forget the evaluation that was begun in that folder
    #[arg(long, requires = "out")]
    pub fresh: bool,
    /// Compare two documents, the second with the first, and evaluate nothing
    #[arg(long, num_args = 2, value_names = ["FIRST", "SECOND"], conflicts_with_all = ["dataset", "out"])]
    pub compare: Vec<PathBuf>,
    /// Print the document without predictions, or the comparisons, as JSON
    #[arg(long)]
    pub json: bool,
    /// From where.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Several values of α.
#[derive(Clone, Debug)]
pub struct AlphaList(pub Alphas);

impl AlphaList {
    fn new(text: &str) -> Result<AlphaList, String> {
        let number = |part: &str| part.trim().parse::<f64>().map_err(|_| format!("`{part}` is no number"));
        let alphas = text.split(',').map(number).collect::<Result<Vec<f64>, String>>()?;
        Alphas::try_from(alphas).map(AlphaList).map_err(|error| error.to_string())
    }
}

/// Where descriptors go; the name says in which format.
#[derive(Clone, Debug)]
pub struct DescriptorFile {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
}

impl DescriptorFile {
    fn new(text: &str) -> Result<DescriptorFile, String> {
        let path = PathBuf::from(text);
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("npy") => Format::Npy,
            Some("safetensors") => Format::Safetensors,
            _ => return Err(format!("`{text}` ends neither in .npy nor in .safetensors")),
        };
        Ok(DescriptorFile { path, format })
    }
}

fn point(text: &str) -> Result<Point, String> {
    let wrong = || format!("`{text}` is not of the form X,Y, say 120,80");
    let (x, y) = text.split_once(',').ok_or_else(wrong)?;
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    Ok(Point::new(number(x)?, number(y)?))
}

/// Does what the command line says; says what is wrong on standard error.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match dispatch(cli.command, &matches) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command, matches: &clap::ArgMatches) -> Result<ExitCode, Box<dyn Error>> {
    // of the subcommand: its matches know where each value came from
    let matches = matches.subcommand().map_or(matches, |(_, matches)| matches);
    match command {
        Command::Serve { config } => {
            let (config, _traces) = configured(&config, matches, "info")?;
            commands::serve(config)
        }
        Command::Match(args) => {
            let (config, _traces) = configured(&args.config, matches, "warn")?;
            commands::match_photos(config, args)
        }
        Command::Describe(args) => {
            let (config, _traces) = configured(&args.config, matches, "warn")?;
            commands::describe_photo(config, args)
        }
        Command::Eval(args) => {
            let (config, _traces) = configured(&args.config, matches, "warn")?;
            return commands::eval(config, *args);
        }
        Command::Models { json, config } => {
            let (config, _traces) = configured(&config, matches, "warn")?;
            commands::models(config, json)
        }
        Command::Key { name, per_second } => commands::key(&name, per_second),
        Command::Openapi => commands::openapi(),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Commands that print an answer log less than the service, unless told otherwise.
fn configured(args: &ConfigArgs, matches: &clap::ArgMatches, log: &str) -> Result<(Config, Traces), Box<dyn Error>> {
    let config = Config::load(args, matches, log)?;
    let traces = logging::start(&config)?;
    Ok((config, traces))
}
