//! Hands the arguments to the library and its exit code to the system.

#![expect(clippy::disallowed_methods, reason = "the one place that reads the command line")]

use std::process::ExitCode;

fn main() -> ExitCode {
    gpudoctor::commands::run(std::env::args_os())
}
