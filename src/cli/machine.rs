//! The options of the commands that look at this machine.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values;
use crate::plan::request::GivenSize;

pub(super) const CAPTURE_EXAMPLES: &str = "\
Examples:
  gpudoctor capture > host.json                             for a bug report, or for another machine
  gpudoctor capture --peers -o host.json                    also copy between each two GPUs
  gpudoctor check --from host.json                          judge it anywhere, without a GPU

Exit codes:
  0  written; what could not be read says so in it
  2  usage or bad input
  3  gpudoctor itself failed";

pub(super) const GPUS_EXAMPLES: &str = "\
Examples:
  gpudoctor gpus                                            a table of the cards
  gpudoctor gpus --watch                                    refreshed in place every two seconds

Exit codes:
  0  there are cards
  1  no card is seen
  2  usage or bad input
  3  gpudoctor itself failed";

pub(super) const PICK_EXAMPLES: &str = "\
Examples:
  eval \"$(gpudoctor pick --count 2 --free 20g)\"            sets CUDA_VISIBLE_DEVICES for what follows
  CUDA_VISIBLE_DEVICES=$(gpudoctor pick --bare) python serve.py

Exit codes:
  0  cards were picked
  1  not enough cards are free
  2  usage or bad input
  3  gpudoctor itself failed";

/// `capture`.
#[derive(Debug, Args)]
pub struct CaptureCommand {
    /// Write it into this file, whole or not at all [default: the standard output]
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Keep names of users and machines, serial numbers and addresses; tokens are never kept
    #[arg(long, help_heading = "Output")]
    pub include_identifiers: bool,

    /// Look at this Python environment only: its directory, its interpreter or its package directory
    #[arg(long, value_name = "PATH", help_heading = "Subject")]
    pub python: Option<PathBuf>,

    /// Copy between each two GPUs and verify what arrives
    #[arg(long, help_heading = "Subject")]
    pub peers: bool,

    /// Ask whether hubs and registries can be reached
    #[arg(long, help_heading = "Subject")]
    pub online: bool,

    /// How long a driver may take to answer; one that hangs is a reading too
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600), help_heading = "Subject")]
    pub timeout: u64,
}

/// `gpus`.
#[derive(Debug, Args)]
pub struct GpusCommand {
    /// Show the machine that this capture was taken on; `-` reads it from stdin
    #[arg(long, value_name = "FILE", help_heading = "Subject", conflicts_with = "watch")]
    pub from: Option<PathBuf>,

    /// Look again every few seconds, in place; Ctrl-C ends it
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Output")]
    pub watch: Option<u64>,

    /// The form of the report
    #[arg(long, value_enum, default_value_t = GpusFormat::Text, help_heading = "Output", conflicts_with = "watch")]
    pub format: GpusFormat,
}

/// `pick`.
#[derive(Debug, Args)]
pub struct PickCommand {
    /// How many cards
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024), help_heading = "Wish")]
    pub count: u64,

    /// The memory that must be free on each, such as 20g [default: nine tenths of it]
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = "Wish")]
    pub free: Option<GivenSize>,

    /// Pick on the machine that this capture was taken on; `-` reads it from stdin
    #[arg(long, value_name = "FILE", help_heading = "Subject")]
    pub from: Option<PathBuf>,

    /// Name the cards by UUID instead of number
    #[arg(long, help_heading = "Output")]
    pub uuid: bool,

    /// Print the list alone, without the variable
    #[arg(long, help_heading = "Output")]
    pub bare: bool,
}

/// The form of a table of cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GpusFormat {
    /// For people
    Text,
    /// The stable contract; docs/schema has its JSON Schema
    Json,
}
