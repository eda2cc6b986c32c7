//! The options of `bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{FailOn, values};
use crate::measurement::Family;

pub(super) const BENCH_EXAMPLES: &str = "\
Examples:
  gpudoctor bench                                           everything, about 8 s for each GPU
  gpudoctor bench --quick --only int4,attention             the kernels of serving alone
  gpudoctor bench --only peer,nccl --python /opt/venv       what tensor parallelism gets between GPUs
  gpudoctor bench -o bench.json                             the report for people, and the figures in a file
  gpudoctor bench --from bench.json --format html > bench.html

Exit codes:
  0  what was measured is right and fast enough
  1  something is wrong or slow, could not be measured to its end, or there is no GPU
  2  usage or bad input
  3  gpudoctor itself failed";

/// `bench`.
#[derive(Debug, Args)]
pub struct BenchCommand {
    /// Measure only these (repeatable, or separated by commas): hbm, host, peer, nccl, int4, fp8, attention, mla
    #[arg(long, value_name = "FAMILY", value_delimiter = ',', value_parser = values::family, help_heading = "Subject")]
    pub only: Vec<Family>,

    /// Measure only these GPUs, by CUDA's number (repeatable, or separated by commas)
    #[arg(long, value_name = "N", value_delimiter = ',', help_heading = "Subject")]
    pub gpu: Vec<u32>,

    /// Measure fewer shapes for a shorter time; nccl, fp8 and mla only where `--only` names them
    #[arg(long, help_heading = "Subject")]
    pub quick: bool,

    /// Reduce with the NCCL of this Python environment: its directory, its interpreter or its package directory
    #[arg(long, value_name = "PATH", help_heading = "Subject")]
    pub python: Option<PathBuf>,

    /// How long a GPU may be silent before its measurement is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Subject")]
    pub timeout: u64,

    /// Show what was measured before, as `bench -o FILE` wrote it, here or elsewhere; `-` reads it from stdin
    #[arg(long, value_name = "FILE", help_heading = "Subject", conflicts_with_all = ["only", "gpu", "quick", "python", "timeout", "output"])]
    pub from: Option<PathBuf>,

    /// The form of the report
    #[arg(long, value_enum, default_value_t = BenchFormat::Text, help_heading = "Output")]
    pub format: BenchFormat,

    /// Fail (exit code 1) for findings of this severity and above
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = FailOn::Error, help_heading = "Output")]
    pub fail_on: FailOn,

    /// Also write the JSON report into this file
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
}

/// The form of a report of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchFormat {
    /// For people
    Text,
    /// The stable contract; docs/schema has its JSON Schema
    Json,
    /// For a job summary, a pull request or a page
    Markdown,
    /// A page with pictures, which loads nothing
    Html,
    /// The pictures alone: a roofline, and bars against floors
    Svg,
    /// JUnit XML, for the test reports of a CI system
    Junit,
    /// Workflow annotations of GitHub Actions
    Github,
}
