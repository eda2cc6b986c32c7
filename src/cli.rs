//! The command line: clap types, their help, and nothing else. What they mean is in [`request`].

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::engine::arguments::Argument;
use crate::finding::Severity;
use crate::plan::request::{EngineRequest, GivenSize};
use crate::version::Version;

mod bench;
mod diagnose;
mod machine;
pub mod request;
pub mod values;

use bench::BENCH_EXAMPLES;
pub use bench::{BenchCommand, BenchFormat};
use diagnose::DIAGNOSE_EXAMPLES;
pub use diagnose::DiagnoseCommand;
use machine::{CAPTURE_EXAMPLES, GPUS_EXAMPLES, PICK_EXAMPLES};
pub use machine::{CaptureCommand, GpusCommand, GpusFormat, PickCommand};

/// Examines NVIDIA machines, plans vLLM launches with an exact VRAM budget, and finds what went wrong.
#[derive(Debug, Parser)]
#[command(
    name = "gpudoctor",
    version,
    about = "Examines an NVIDIA machine, plans launches with an exact VRAM budget, measures, and diagnoses logs",
    long_about = "gpudoctor examines a machine with NVIDIA GPUs and says what is wrong and how to mend it; computes what a model \
                  needs of a GPU under a given vLLM version, finds a launch that fits and writes the files that start it; \
                  measures the kernels that serving runs; and names the cause in the log of a start that failed.",
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// When to colour the output; colour only repeats what words say
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto, help_heading = "Output")]
    pub color: Colour,
}

/// The exit codes, as they end the help of every command.
const EXIT_CODES: &str = "\
Exit codes:
  0  good
  1  does not fit, is invalid, or has findings at --fail-on
  2  usage or bad input
  3  gpudoctor itself failed";

const PLAN_EXAMPLES: &str = "\
Examples:
  gpudoctor plan --model 70b --vram 7g                      a 70B model in 7 GiB of device memory
  gpudoctor plan --model Qwen/Qwen3-8B --gpu l4 --context 32k --concurrency 8 --emit out/
  gpudoctor plan --config serve.yaml --gpu h100 --engine vllm@0.25.1     judge a configuration

Exit codes:
  0  fits
  1  does not fit, is invalid, or has findings at --fail-on
  2  usage or bad input
  3  gpudoctor itself failed";

const CHECK_EXAMPLES: &str = "\
Examples:
  gpudoctor check                                           what is wrong with this machine
  gpudoctor check --for vllm --require-gpu                  before a server starts: fail unless all is well
  gpudoctor check --from host.json                          another machine, from its capture
  gpudoctor check --image --for vllm@0.25.1 --target-driver 580 --target-gpu h100
  RUN gpudoctor check --image --for vllm                    in a Dockerfile, as its last step
  gpudoctor check --image --python /opt/venv --format json  one environment, for a program

Exit codes:
  0  nothing wrong, and what was asked could be seen
  1  findings at --fail-on, or what was asked could not be seen
  2  usage or bad input
  3  gpudoctor itself failed";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  gpudoctor explain                                         list everything that can be explained
  gpudoctor explain kv_cache                                how the KV cache is computed
  gpudoctor explain kv_cache --model 70b --vram 7g          and the figures of this plan";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find a launch that fits, or judge one that you have
    ///
    /// With --model, finds a launch for the devices named and says what it costs. With --config, judges an engine
    /// configuration exactly as it is: what it needs, and what each line really does in that engine version.
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(Box<PlanCommand>),

    /// Find what keeps a machine or an image from serving, before it starts
    ///
    /// Reads driver, GPUs, links, container, limits and Python packages, and says what is wrong, the one cause first, with
    /// the command that mends it. With --image, reads the packages alone, without running Python and without a GPU: whether
    /// engine, torch and CUDA libraries fit together, and run on the driver and the card that are named.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<CheckCommand>),

    /// Find in a log why something failed
    ///
    /// Reads what vLLM, torch, CUDA, NCCL, Docker, Kubernetes, the kernel and others printed, of any length, and names the
    /// cause instead of the loudest line, with the fixes that fit.
    #[command(after_help = DIAGNOSE_EXAMPLES)]
    Diagnose(Box<DiagnoseCommand>),

    /// Measure what serving will get from this machine's GPUs
    ///
    /// Runs kernels like those of an engine on each GPU, checks every result against a reference in 64-bit floats on fresh
    /// random data, and compares the rates with what the card should reach. Needs the NVIDIA driver and nothing else.
    #[command(after_help = BENCH_EXAMPLES)]
    Bench(Box<BenchCommand>),

    /// Write down what this machine says of itself
    ///
    /// Reads driver, CUDA, GPUs, containers, libraries and Python environments, each in a process of its own with a deadline, and
    /// prints the raw readings as JSON. Names, serial numbers, addresses and tokens are replaced. Changes nothing and needs no
    /// root.
    #[command(after_help = CAPTURE_EXAMPLES)]
    Capture(CaptureCommand),

    /// Show the cards: how full, how busy, whose, for how long
    #[command(after_help = GPUS_EXAMPLES)]
    Gpus(GpusCommand),

    /// Pick free cards, as a variable for the shell
    ///
    /// Prefers cards of one kind that are joined by NVLink, then cards on one NUMA node. Says why not, on stderr, where there
    /// are not enough.
    #[command(after_help = PICK_EXAMPLES)]
    Pick(PickCommand),

    /// Explain a term of the budget, a finding or a cause
    ///
    /// Prints what it means, how it is computed and where that was read. With --model and devices, adds the figures of
    /// that plan.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Box<ExplainCommand>),

    /// Print shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },

    /// Print the manual page (roff)
    Man,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanCommand {
    /// What to plan.
    #[command(flatten)]
    pub request: RequestOptions,

    /// How to report it.
    #[command(flatten)]
    pub output: OutputOptions,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckCommand {
    /// Check only the packages that are installed here, and not the machine: for an image that is being built
    #[arg(long, help_heading = "Subject", conflicts_with = "from")]
    pub image: bool,

    /// Check the machine that this capture was taken on; `-` reads it from stdin
    #[arg(long, value_name = "FILE", help_heading = "Subject")]
    pub from: Option<PathBuf>,

    /// Look at this environment only: its directory, its interpreter or its package directory
    #[arg(long, value_name = "PATH", help_heading = "Subject")]
    pub python: Option<PathBuf>,

    /// How long a driver may take to answer; one that hangs is a finding
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=600),
        help_heading = "Subject",
        conflicts_with_all = ["image", "from"]
    )]
    pub timeout: u64,

    /// Also import torch and the engine there, each for at most SECONDS: the one thing that runs Python
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "120",
        value_parser = clap::value_parser!(u64).range(1..=3600),
        help_heading = "Subject"
    )]
    pub deep: Option<u64>,

    /// The engine that must be there, and its version
    #[arg(long = "for", value_name = "NAME[@VERSION]", value_parser = values::engine, help_heading = "Target")]
    pub engine: Option<EngineRequest>,

    /// The driver that it must run on: a version, or a branch such as 580 [default: the machine's own]
    #[arg(long, value_name = "VERSION", help_heading = "Target")]
    pub target_driver: Option<Version>,

    /// The card that it must run on, such as h100 or "rtx 3060" [default: the machine's own]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), help_heading = "Target")]
    pub target_gpu: Option<String>,

    /// The data type that will be served with, such as bfloat16
    #[arg(long, value_name = "TYPE", value_parser = NonEmptyStringValueParser::new(), help_heading = "Target")]
    pub dtype: Option<String>,

    /// The quantisation that will be served with, such as awq or fp8
    #[arg(long, value_name = "METHOD", value_parser = NonEmptyStringValueParser::new(), help_heading = "Target")]
    pub quantization: Option<String>,

    /// Fail unless a GPU works and everything that tells of it can be seen: for the start of a server
    #[arg(long, help_heading = "Target", conflicts_with = "image")]
    pub require_gpu: bool,

    /// Run only these checks (repeatable, or separated by commas)
    #[arg(long, value_name = "ID", value_delimiter = ',', help_heading = "Checks")]
    pub only: Vec<String>,

    /// Leave these checks out (repeatable, or separated by commas)
    #[arg(long, value_name = "ID", value_delimiter = ',', help_heading = "Checks")]
    pub skip: Vec<String>,

    /// Also ask whether model hubs can be reached
    #[arg(long, help_heading = "Checks", conflicts_with_all = ["image", "from"])]
    pub online: bool,

    /// Checks and facts of your own, laid over the built-in rules: a directory of the same layout
    #[arg(long, value_name = "DIR", help_heading = "Checks")]
    pub rules: Option<PathBuf>,

    /// Say which checks did not judge, and why
    #[arg(long, help_heading = "Output")]
    pub skipped: bool,

    /// The form of the report
    #[arg(long, value_enum, default_value_t = CheckFormat::Text, help_heading = "Output")]
    pub format: CheckFormat,

    /// The mildest finding that makes the exit code 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = FailOn::Error, help_heading = "Output")]
    pub fail_on: FailOn,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainCommand {
    /// A term of the budget, such as `kv_cache`, or the id of a finding, a cause or a class of causes, such as `flag-removed`
    #[arg(value_name = "TERM|ID")]
    pub word: Option<String>,

    /// The plan whose figures are wanted.
    #[command(flatten)]
    pub request: RequestOptions,
}

/// What to plan, for every command that plans.
#[derive(Debug, Args)]
pub struct RequestOptions {
    /// The model: a directory, file, hub id, catalogue name, or a size such as 70b
    #[arg(long, short, value_parser = NonEmptyStringValueParser::new(), help_heading = "Subject")]
    pub model: Option<String>,

    /// An engine configuration (YAML) to judge as it is
    #[arg(long, short, value_name = "FILE", help_heading = "Subject")]
    pub config: Option<PathBuf>,

    /// The revision of a hub model: branch, tag or commit
    #[arg(long, value_name = "REVISION", help_heading = "Subject")]
    pub revision: Option<String>,

    /// Leave hubs alone: read paths, caches and the built-in catalogue only
    #[arg(long, help_heading = "Subject")]
    pub offline: bool,

    /// The most that nvidia-smi may show for this server, on each GPU: 7g, 6.5GiB, 512m
    #[arg(long, value_name = "SIZE", value_parser = values::device_memory, allow_hyphen_values = true, help_heading = "Target")]
    pub vram: Option<values::DeviceMemory>,

    /// The card by name, such as "rtx 3060" or h100, or a MIG profile such as 1g.10gb
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), help_heading = "Target")]
    pub gpu: Option<String>,

    /// How many GPUs [default: 1, or all of the machine's that are free and of one kind]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024), allow_hyphen_values = true, help_heading = "Target")]
    pub gpus: Option<u64>,

    /// The machine that this capture was taken on: its GPUs and its driver; `-` reads it from stdin
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub from: Option<PathBuf>,

    /// The driver of the target: a version, or a branch such as 580
    #[arg(long, value_name = "VERSION", help_heading = "Target")]
    pub target_driver: Option<Version>,

    /// Rates of this card, as `gpudoctor bench -o FILE` wrote them [default: the last ones that were measured here]
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub bench: Option<PathBuf>,

    /// Host memory that the launch may take
    #[arg(long, value_name = "SIZE", value_parser = values::size, allow_hyphen_values = true, help_heading = "Target")]
    pub host_memory: Option<GivenSize>,

    /// The engine and its version
    #[arg(long, value_name = "NAME[@VERSION]", default_value = "vllm", value_parser = values::engine, help_heading = "Launch")]
    pub engine: EngineRequest,

    /// Longest request, prompt and answer together, in tokens; 8k is 8192
    #[arg(long, value_name = "TOKENS", value_parser = values::tokens, allow_hyphen_values = true, help_heading = "Launch")]
    pub context: Option<u64>,

    /// Requests served at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000), allow_hyphen_values = true, help_heading = "Launch")]
    pub concurrency: Option<u64>,

    /// The quantisation, such as awq, gptq, fp8, bitsandbytes, or none
    #[arg(long, value_name = "METHOD", value_parser = NonEmptyStringValueParser::new(), help_heading = "Launch")]
    pub quantization: Option<String>,

    /// An engine flag that stays as given, such as cpu-offload-gb=0 (repeatable)
    #[arg(long, value_name = "FLAG[=VALUE]", value_parser = values::flag, help_heading = "Launch")]
    pub set: Vec<(String, Argument)>,

    /// An environment variable of the engine (repeatable)
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::variable, help_heading = "Launch")]
    pub env: Vec<(String, String)>,

    /// How the engine is started; it has other defaults for each
    #[arg(long, value_enum, default_value_t = Usage::Serve, help_heading = "Launch")]
    pub usage_context: Usage,

    /// The address that the server listens on [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS", help_heading = "Launch")]
    pub bind: Option<std::net::IpAddr>,

    /// Facts of your own, laid over the built-in rules: a directory of the same layout
    #[arg(long, value_name = "DIR", help_heading = "Facts")]
    pub rules: Option<PathBuf>,
}

/// How to report a plan.
#[derive(Debug, Args)]
pub struct OutputOptions {
    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,

    /// Write the launch files into this directory
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub emit: Option<PathBuf>,

    /// Show other launches that fit, best first
    #[arg(long, help_heading = "Output")]
    pub alternatives: bool,

    /// Show what was considered and refused, and why
    #[arg(long, help_heading = "Output")]
    pub rejected: bool,

    /// The mildest finding that makes the exit code 1
    #[arg(long, value_enum, value_name = "SEVERITY", default_value_t = FailOn::Error, help_heading = "Output")]
    pub fail_on: FailOn,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// The stable contract; docs/schema has its JSON Schema
    Json,
    /// For a pull request or a page
    Markdown,
    /// Workflow annotations of GitHub Actions
    Github,
}

/// The form of a diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people
    Text,
    /// The stable contract; docs/schema has its JSON Schema
    Json,
    /// For a job summary, a pull request or a page
    Markdown,
    /// JUnit XML, for the test reports of a CI system
    Junit,
    /// Workflow annotations of GitHub Actions
    Github,
}

/// How the engine is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Usage {
    /// `vllm serve`, the OpenAI-compatible server
    Serve,
    /// The `LLM` class, offline
    Llm,
}

/// The mildest finding that fails a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors only
    Error,
    /// Errors and warnings
    Warning,
}

impl FailOn {
    /// The severity.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Error => Severity::Error,
            Self::Warning => Severity::Warning,
        }
    }
}

/// When to colour the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    #[value(help = None)]
    Auto,
    /// Always.
    #[value(help = None)]
    Always,
    /// Never.
    #[value(help = None)]
    Never,
}

/// The command line's definition, for help, completions and the manual page.
pub fn definition() -> clap::Command {
    Cli::command()
}
