//! `homolog`: the service, and the same functions from the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    homolog::cli::main()
}
