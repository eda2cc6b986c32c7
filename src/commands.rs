//! One file a command: which stages, in which order. The only module that sees everything.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::error::{EXIT_GOOD, ErrorKind};
use crate::{bench as measure, probe};

pub mod bench;
pub mod benched;
pub mod capture;
pub mod check;
pub mod complete;
pub mod diagnose;
pub mod explain;
pub mod gpus;
pub mod host;
pub mod input;
pub mod measured;
pub mod output;
pub mod pick;
pub mod plan;

/// Parses the command line, runs the command and returns the exit code. Never panics: a defect ends in one line.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    output::install_panic_hook();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let code = std::panic::catch_unwind(|| dispatch(arguments));
    ExitCode::from(code.unwrap_or(ErrorKind::Internal.exit_code()))
}

fn dispatch(arguments: Vec<OsString>) -> u8 {
    // A probe and a measuring process are started by gpudoctor itself: their words are no part of the command line.
    if let [_, word, words @ ..] = arguments.as_slice() {
        let understood = match word.to_str() {
            Some(probe::WORD) => Some(probe::section::run(words)),
            Some(measure::WORD) => Some(measure::child::run(words)),
            _ => None,
        };
        if let Some(understood) = understood {
            return if understood { EXIT_GOOD } else { ErrorKind::Usage.exit_code() };
        }
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error),
    };
    output::choose_colour(cli.color);
    let done = match &cli.command {
        Command::Plan(command) => plan::run(command),
        Command::Check(command) => check::run(command),
        Command::Bench(command) => bench::run(command),
        Command::Diagnose(command) => diagnose::run(command),
        Command::Capture(command) => capture::run(command),
        Command::Gpus(command) => gpus::run(command),
        Command::Pick(command) => pick::run(command),
        Command::Explain(command) => explain::run(command),
        Command::Completions { shell } => complete::completions(*shell),
        Command::Man => complete::manual_page(),
    };
    done.unwrap_or_else(|error| output::failure(&error))
}
