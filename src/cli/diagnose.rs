//! The options of `diagnose`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::Format;

pub(super) const DIAGNOSE_EXAMPLES: &str = "\
Examples:
  gpudoctor diagnose serve.log
  docker logs vllm 2>&1 | gpudoctor diagnose -
  kubectl logs POD --previous | gpudoctor diagnose --format json -
  gpudoctor diagnose serve.log --host                       where the server ran on this machine

Exit codes:
  0  nothing failed in the log
  1  a cause was found, or something failed and its cause is not in the log
  2  usage or bad input
  3  gpudoctor itself failed";

/// `diagnose`.
#[derive(Debug, Args)]
pub struct DiagnoseCommand {
    /// The log: a file, also a gzipped one; `-` or nothing reads the standard input
    #[arg(value_name = "LOG")]
    pub log: Option<PathBuf>,

    /// The model of the log, for its memory: a directory, file, hub id or catalogue name; else as the log names it
    #[arg(long, short, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new(), help_heading = "Memory")]
    pub model: Option<String>,

    /// The card of the log, for its memory, such as h100 or "rtx 3060"; else by the total that the log shows
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), help_heading = "Memory")]
    pub gpu: Option<String>,

    /// How many of them
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024), default_value_t = 1, help_heading = "Memory")]
    pub gpus: u64,

    /// Leave hubs alone when reading --model
    #[arg(long, help_heading = "Memory")]
    pub offline: bool,

    /// Keep the terms that a healthy start printed: plans for the same model, card, engine and settings then use them
    #[arg(long, help_heading = "Memory")]
    pub save: bool,

    /// The log is of this machine: its facts decide where one text has several causes
    #[arg(long, help_heading = "Subject", conflicts_with = "from")]
    pub host: bool,

    /// The log is of the machine that this capture was taken on; `-` reads it from stdin
    #[arg(long, value_name = "FILE", help_heading = "Subject")]
    pub from: Option<PathBuf>,

    /// Facts of your own, laid over the built-in rules: a directory of the same layout
    #[arg(long, value_name = "DIR", help_heading = "Subject")]
    pub rules: Option<PathBuf>,

    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
}
