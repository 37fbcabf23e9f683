//! `homolog-train`: fetches networks, exports them into bundles and checks bundles.

use clap::{Parser, Subcommand};
use homolog_train::{
    Error,
    adapt::{self, AdaptArgs, HeadArgs, LoraArgs, Method},
    add::{self, AddArgs},
    export::{self, ExportArgs},
    networks,
    pretrain::{self, PretrainArgs},
    pull::{self, PullArgs},
    synth::{self, SynthArgs},
    verify::{self, VerifyArgs},
};
use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

/// Makes and checks the model bundles that `homolog` serves.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the networks known by name.
    Networks,
    /// Download the official weights of a network.
    Pull(PullArgs),
    /// Download the official weights of a network and write its bundle.
    Add(AddArgs),
    /// Write a bundle from a checkpoint file.
    Export(ExportArgs),
    /// Check a bundle's files and run its graphs.
    Verify(VerifyArgs),
    /// Train the last blocks of a bundle's network.
    Finetune {
        /// Blocks that are trained, from the last on.
        #[arg(long, default_value_t = 2)]
        blocks: usize,
        #[command(flatten)]
        arguments: AdaptArgs,
    },
    /// Train low-rank matrices beside a bundle's frozen products.
    Lora {
        #[command(flatten)]
        lora: LoraArgs,
        #[command(flatten)]
        arguments: AdaptArgs,
    },
    /// Train a bottleneck over a bundle's frozen descriptors.
    Head {
        #[command(flatten)]
        head: HeadArgs,
        #[command(flatten)]
        arguments: AdaptArgs,
    },
    /// Train a whole small network on rendered pictures.
    Pretrain(PretrainArgs),
    /// Write a synthetic benchmark in SPair-71k's layout.
    Synth(SynthArgs),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Set by Ctrl-C and SIGTERM: a run then writes its checkpoint and ends. A second time ends it at once.
fn interrupted() -> &'static AtomicBool {
    static CANCEL: AtomicBool = AtomicBool::new(false);
    let heard = ctrlc::set_handler(|| {
        if CANCEL.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("the run ends after this step and can go on with --resume");
    });
    if let Err(error) = heard {
        tracing::warn!("a signal will end the run without a checkpoint: {error}");
    }
    &CANCEL
}

fn adapted(arguments: &AdaptArgs, method: &Method) -> Result<(), Error> {
    if let Some(outcome) = adapt::run(arguments, method, interrupted())? {
        println!("{:?} after {} steps, {:.0} s; best {:?}", outcome.ended, outcome.step, outcome.seconds, outcome.best);
    }
    Ok(())
}

fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Networks => print!("{}", networks::table()),
        Command::Pull(arguments) => println!("{}", pull::run(&arguments)?.display()),
        Command::Add(arguments) => report(&add::run(arguments)?),
        Command::Finetune { blocks, arguments } => adapted(&arguments, &Method::Finetune { blocks })?,
        Command::Lora { lora, arguments } => adapted(&arguments, &Method::Lora(lora))?,
        Command::Head { head, arguments } => adapted(&arguments, &Method::Head(head))?,
        Command::Pretrain(arguments) => {
            let outcome = pretrain::run(&arguments, interrupted())?;
            println!(
                "{:?} after {} steps, {:.0} s; best {:?}",
                outcome.ended, outcome.step, outcome.seconds, outcome.best
            );
        }
        Command::Export(arguments) => report(&export::run(&arguments)?),
        Command::Synth(arguments) => {
            if let Some(summary) = synth::run(&arguments)? {
                println!("{summary}");
            }
        }
        Command::Verify(arguments) => {
            let report = verify::run(&arguments)?;
            if arguments.json {
                println!("{}", serde_json::to_string(&report).map_err(|error| Error::Failed(error.to_string()))?);
            } else {
                print!("{report}");
            }
        }
    }
    Ok(())
}

fn report(manifest: &homolog_core::bundle::Manifest) {
    let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
    println!("{}: {} files, {:.1} MB", manifest.id, manifest.files.len(), bytes as f64 / 1e6);
}
