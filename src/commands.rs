//! One file a command: which stages, in which order. The only module that sees everything.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

pub mod check;
pub mod complete;
pub mod diagnose;
pub mod explain;
pub mod measured;
pub mod output;
pub mod plan;

/// Parses the command line, runs the command and returns the exit code. Never panics: a defect ends in one line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    output::install_panic_hook();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let code = std::panic::catch_unwind(|| dispatch(arguments));
    ExitCode::from(code.unwrap_or(crate::error::ErrorKind::Internal.exit_code()))
}

fn dispatch(arguments: Vec<OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    output::choose_colour(cli.color);
    let done = match &cli.command {
        Command::Plan(command) => plan::run(command),
        Command::Check(command) => check::run(command),
        Command::Diagnose(command) => diagnose::run(command),
        Command::Explain(command) => explain::run(command),
        Command::Completions { shell } => complete::completions(*shell),
        Command::Man => complete::manual_page(),
    };
    done.unwrap_or_else(|error| output::failure(&error))
}
