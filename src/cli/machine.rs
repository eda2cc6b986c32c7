//! The options of the commands that look at a machine's cards: `gpus` and `pick`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::values;
use crate::plan::request::GivenSize;

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
