//! What PLAN.md says: the budget, the reasons, what to look for after the start.

use serde::Serialize;

use crate::engine::launch::{Launch, Offload};
use crate::picture;
use crate::picture::bar::{Glyphs, bar, percent};
use crate::picture::budget::Part;
use crate::plan::budget::{Budget, TermName};
use crate::plan::outcome::Plan;
use crate::render::RenderError;
use crate::render::quote;
use crate::render::vllm::arguments::ArgumentLine;
use crate::render::vllm::environment::VariableLine;
use crate::render::vllm::sizes::Sizes;
use crate::render::vllm::{Model, Server};
use crate::units::Bytes;

/// Columns of the bars.
const BAR_WIDTH: usize = 40;

/// What a guide is written from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its budget.
    pub budget: &'a Budget,
    /// Its launch.
    pub launch: &'a Launch,
    /// The model, as text.
    pub model: &'a Model,
    /// The server, as text.
    pub server: &'a Server,
    /// Memory and time.
    pub sizes: &'a Sizes,
    /// The lines of serve.yaml.
    pub arguments: &'a [ArgumentLine],
    /// The lines of .env.
    pub environment: &'a [VariableLine],
}

/// What PLAN.md says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guide {
    /// The verdict in a sentence.
    pub verdict: String,
    /// How the user's words were understood: word and meaning.
    pub interpretations: Vec<[String; 2]>,
    /// Reasons, as sentences.
    pub reasons: Vec<String>,
    /// What was assumed, as sentences.
    pub assumed: Vec<String>,
    /// Rows of the budget.
    pub budget: Vec<BudgetRow>,
    /// The bars, drawn as text.
    pub bars: String,
    /// What the picture beside the file shows, as a sentence.
    pub picture: String,
    /// The arguments: flag, value, why.
    pub arguments: Vec<[String; 3]>,
    /// The variables that are set: name, value, why.
    pub variables: Vec<[String; 3]>,
    /// Speed: batch, context, tokens a second, limit.
    pub speed: Vec<[String; 4]>,
    /// Whether the speed rests on measured rates.
    pub measured: bool,
    /// What the engine's log will say: the words, and the value expected.
    pub log_lines: Vec<[String; 2]>,
    /// What nvidia-smi will show, as a phrase.
    pub device_used: String,
    /// Checks after the start.
    pub checks: Vec<Command>,
    /// The command without a container, and the variables in front of it.
    pub bare_command: String,
    /// A fence that the command cannot close.
    pub bare_fence: String,
    /// Alternatives: change, what nvidia-smi would show, tokens of KV cache, speed.
    pub alternatives: Vec<[String; 4]>,
    /// What was refused: change and reason.
    pub rejected: Vec<[String; 2]>,
    /// Validation: mark and statement.
    pub validation: Vec<[String; 2]>,
    /// Findings: severity and message.
    pub findings: Vec<[String; 2]>,
}

/// A command to copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Command {
    /// What it is for.
    pub title: String,
    /// The command.
    pub command: String,
    /// A fence that it cannot close.
    pub fence: String,
}

/// A row of the budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetRow {
    /// The term.
    pub name: String,
    /// Its size in GiB.
    pub gib: String,
    /// Its band in GiB.
    pub band: String,
    /// What it is made of.
    pub note: String,
}

/// The guide for `sources`.
pub fn guide(sources: &Sources<'_>) -> Result<Guide, RenderError> {
    let Sources { plan, budget, .. } = *sources;
    let bare_command = bare_command(sources)?;
    let pair = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
    Ok(Guide {
        verdict: verdict(plan, budget),
        interpretations: plan.interpretations.iter().map(|it| pair(&it.given, &it.meaning)).collect(),
        reasons: plan.reasons.iter().map(|reason| reason.message.clone()).collect(),
        assumed: plan.model.assumed.iter().chain(&plan.devices.assumed).cloned().collect(),
        budget: rows(budget),
        bars: bars(budget, plan.devices.limit),
        picture: picture::budget::description(budget, plan.devices.limit),
        arguments: sources.arguments.iter().map(|line| [line.flag.clone(), line.yaml.clone(), line.why.join(" ")]).collect(),
        variables: variables(sources.environment),
        speed: speed(plan),
        measured: plan.performance.source.is_some(),
        log_lines: log_lines(sources),
        device_used: format!(
            "{:.0} MiB on each GPU, between {:.0} and {:.0}",
            budget.device_used.expected.mib(),
            budget.device_used.low.mib(),
            budget.device_used.high.mib()
        ),
        checks: checks(sources)?,
        bare_fence: quote::markdown_fence(&bare_command),
        bare_command,
        alternatives: alternatives(plan),
        rejected: plan.rejected.iter().map(|rejected| pair(&rejected.change, &rejected.reason.message)).collect(),
        validation: plan.validation.iter().map(|line| pair(mark(line.holds), &line.statement)).collect(),
        findings: plan.findings.iter().map(|finding| pair(finding.severity.name(), &finding.message)).collect(),
    })
}

const fn mark(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "holds",
        Some(false) => "does not hold",
        None => "could not be looked at",
    }
}

fn verdict(plan: &Plan, budget: &Budget) -> String {
    let devices =
        if plan.devices.count == 1 { plan.devices.name.clone() } else { format!("{} × {}", plan.devices.count, plan.devices.name) };
    let host = if offloads(plan) { format!(", with weights in {} of host memory", budget.host_memory) } else { String::new() };
    format!("Fits on {devices}{host}. nvidia-smi will show {} of {} at most.", budget.device_used.high, plan.devices.limit)
}

fn offloads(plan: &Plan) -> bool {
    plan.launch.as_ref().is_some_and(|launch| launch.offload.is_some())
}

fn gib(bytes: Bytes) -> String {
    format!("{:.2}", bytes.gib())
}

fn rows(budget: &Budget) -> Vec<BudgetRow> {
    let row = |name: &str, size: crate::plan::budget::Band, note: &str| BudgetRow {
        name: name.to_owned(),
        gib: gib(size.expected),
        band: format!("{} to {}", gib(size.low), gib(size.high)),
        note: note.to_owned(),
    };
    let terms = |inside: bool| budget.terms.iter().filter(move |term| term.inside_requested == inside);
    let mut rows: Vec<BudgetRow> = terms(true).map(|term| row(term.name.title(), term.size, &term.note)).collect();
    rows.push(BudgetRow {
        name: "requested".to_owned(),
        gib: gib(budget.requested),
        band: String::new(),
        note: format!("gpu-memory-utilization × {} that CUDA reports", budget.memory_total),
    });
    rows.extend(terms(false).map(|term| row(term.name.title(), term.size, &term.note)));
    rows.push(row("nvidia-smi will show", budget.device_used, "for each GPU, after the start"));
    rows
}

/// A bar for each part and one for all of them, in share of what the server may take.
fn bars(budget: &Budget, limit: Bytes) -> String {
    let line = |part: &Part| {
        format!("{:<16}{} {:>6}  {}", part.name, bar(part.share, BAR_WIDTH, Glyphs::Blocks), gib(part.size), percent(part.share))
    };
    let mut lines: Vec<String> = picture::budget::parts(budget, limit).iter().map(line).collect();
    lines.push(line(&picture::budget::whole(budget, limit)));
    lines.join("\n")
}

fn variables(environment: &[VariableLine]) -> Vec<[String; 3]> {
    environment.iter().filter(|line| line.set).map(|line| [line.name.clone(), line.value.clone(), line.why.join(" ")]).collect()
}

fn speed(plan: &Plan) -> Vec<[String; 4]> {
    let row = |decode: &crate::plan::outcome::Decode| {
        let bound = match &decode.host_link {
            Some(link) => format!("{} ({link})", decode.bound_by.id()),
            None => decode.bound_by.id().to_owned(),
        };
        [decode.batch.to_string(), decode.context.to_string(), figures(decode.tokens_per_second), bound]
    };
    plan.performance.decode.iter().map(row).collect()
}

/// Two significant figures, which is what an estimate is worth.
fn figures(value: f64) -> String {
    if value >= 10.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// `1234567` as `1,234,567`, the way the engine's log prints it.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn log_lines(sources: &Sources<'_>) -> Vec<[String; 2]> {
    let Sources { budget, launch, .. } = *sources;
    let mut lines = vec![];
    if matches!(launch.offload, Some(Offload::Uva { .. })) {
        lines.push(["Total CPU offloaded parameters".to_owned(), "a size above zero; without this line nothing was offloaded".to_owned()]);
    }
    if let Some(weights) = budget.term(TermName::Weights) {
        lines.push(["Model loading took".to_owned(), format!("{} GiB", gib(weights.size.expected))]);
    }
    lines.push(["Available KV cache memory".to_owned(), format!("{} GiB", gib(budget.kv_cache.bytes))]);
    lines.push(["GPU KV cache size".to_owned(), format!("{} tokens", thousands(budget.kv_cache.tokens))]);
    lines.push([
        format!("Maximum concurrency for {} tokens per request", thousands(launch.max_model_len)),
        format!("{:.2}x", budget.kv_cache.max_concurrency),
    ]);
    lines
}

fn checks(sources: &Sources<'_>) -> Result<Vec<Command>, RenderError> {
    let Server { service, port, published_host: host, api_key, .. } = sources.server;
    let base = format!("http://{host}:{port}");
    let key = if *api_key { "-H \"Authorization: Bearer $(cat secrets/vllm_api_key)\" " } else { "" };
    let body = serde_json::json!({"model": sources.model.name, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16});
    let body = quote::shell(&[body.to_string()])?;
    let commands = [
        ("it is up: 200 and nothing else", format!("curl -fsS {base}/health")),
        ("it serves the model", format!("curl -fsS {key}{base}/v1/models")),
        ("it answers", format!("curl -fsS {key}-H 'Content-Type: application/json' -d {body} {base}/v1/chat/completions")),
        ("it takes the memory that was planned", "nvidia-smi --query-gpu=index,memory.used --format=csv".to_owned()),
        (
            "the engine counts as planned",
            format!("docker compose logs {service} | grep -E 'offloaded|Model loading|KV cache|Maximum concurrency'"),
        ),
        ("if it does not start", format!("docker compose logs --no-color {service} | gpudoctor diagnose -")),
    ];
    Ok(commands.map(|(title, command)| Command { title: title.to_owned(), fence: quote::markdown_fence(&command), command }).to_vec())
}

/// The command on this machine, without a container.
fn bare_command(sources: &Sources<'_>) -> Result<String, RenderError> {
    let mut words: Vec<String> = vec![];
    for line in sources.environment.iter().filter(|line| line.planned) {
        words.push(format!("{}={}", line.name, quote::shell(std::slice::from_ref(&line.value))?));
    }
    words.push("vllm serve --config serve.yaml".to_owned());
    Ok(words.join(" "))
}

fn alternatives(plan: &Plan) -> Vec<[String; 4]> {
    let row = |alternative: &crate::plan::outcome::Alternative| {
        [
            alternative.change.clone(),
            format!("{} GiB", gib(alternative.device_used)),
            thousands(alternative.kv_tokens),
            alternative.tokens_per_second.map_or_else(|| "-".to_owned(), figures),
        ]
    };
    plan.alternatives.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_the_engine_prints_them() {
        for (number, text) in [(0, "0"), (999, "999"), (6384, "6,384"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
