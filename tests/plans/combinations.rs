//! Two hundred combinations of model, cards, version and concurrency.

use gpudoctor::catalog::FlagStatus;
use gpudoctor::plan::outcome::{Plan, Verdict};

use crate::support::{Case, cards, catalog, model};

/// Models of every family: dense, sliding windows, mixtures of experts, latent attention, recurrent layers.
const MODELS: [&str; 20] = [
    "Qwen/Qwen3-0.6B",
    "Qwen/Qwen3-8B",
    "mistralai/Mistral-7B-Instruct-v0.2",
    "microsoft/phi-4",
    "70b",
    "google/gemma-3-270m-it",
    "google/gemma-3-27b-it",
    "openai/gpt-oss-20b",
    "allenai/Olmo-3-7B-Instruct",
    "meta-llama/Llama-4-Scout-17B-16E-Instruct",
    "Qwen/Qwen3-30B-A3B",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "deepseek-ai/DeepSeek-V2-Lite",
    "deepseek-ai/DeepSeek-V3",
    "zai-org/GLM-4.5-Air",
    "Qwen/Qwen3-Next-80B-A3B-Instruct",
    "ibm-granite/granite-4.0-h-tiny",
    "nvidia/Nemotron-H-8B-Base-8K",
    "tiiuae/Falcon-H1-7B-Instruct",
    "moonshotai/Kimi-K2-Instruct",
];
const CARDS: [&str; 11] =
    ["rtx 3060", "tesla t4", "rtx 3080 20gb", "l4", "rtx 4090", "rtx 5090", "l40s", "a100 sxm4 80gb", "h100 sxm", "h200 sxm", "b200"];
const COUNTS: [u64; 4] = [1, 2, 4, 8];
const VERSIONS: [&str; 9] = ["0.8.5.post1", "0.10.2", "0.11.2", "0.16.0", "0.19.1", "0.20.2", "0.25.1", "0.28.0", "0.33.0"];
const CONCURRENCIES: [Option<u64>; 4] = [None, Some(1), Some(16), Some(256)];

/// The lengths of the lists have no common factor but those of the counts, so that strides meet all pairs soon.
fn case(number: usize) -> Case {
    let pick = |stride: usize, length: usize| (number * stride + number / length) % length;
    let cards = cards(CARDS[pick(3, CARDS.len())], COUNTS[pick(3, COUNTS.len())]);
    let mut case = Case::new(model(MODELS[number % MODELS.len()]), cards, VERSIONS[pick(2, VERSIONS.len())]);
    case.request.concurrency = CONCURRENCIES[pick(1, CONCURRENCIES.len())];
    case
}

/// Every plan holds what it promises: its flags exist, and its own file, judged as any other, is the same launch.
#[test]
fn two_hundred_plans_hold() {
    let mut verdicts = [0; 3];
    let mut failures = Vec::new();
    for number in 0..200 {
        let case = case(number);
        let plan = case.search();
        let place = format!(
            "{number}: {} on {} × {}, vLLM {}, concurrency {:?}",
            plan.model.id, case.devices.count, case.devices.name, case.version, case.request.concurrency
        );
        match plan.verdict {
            Verdict::Fits => verdicts[0] += 1,
            Verdict::FitsWithOffload => verdicts[1] += 1,
            Verdict::DoesNotFit | Verdict::Invalid => verdicts[2] += 1,
        }
        let problem = if plan.verdict.is_good() { good(&case, &plan) } else { refused(&plan) };
        failures.extend(problem.map(|problem| format!("{place}: {problem}")));
    }
    assert!(failures.is_empty(), "{} of 200\n{}", failures.len(), failures.join("\n"));
    assert!(verdicts.iter().all(|count| *count >= 10), "the combinations are one-sided: {verdicts:?}");
}

fn good(case: &Case, plan: &Plan) -> Option<String> {
    let engine = catalog().engine("vllm").expect("vLLM is in the catalogue");
    let resolved = engine.release(&case.version).expect("a release");
    let foreign = plan.args.0.keys().find(|flag| {
        *flag != "model" && !matches!(engine.flag(flag.split('.').next().unwrap_or(flag), resolved.behaviour), FlagStatus::Current { .. })
    });
    if let Some(flag) = foreign {
        return Some(format!("{flag} does not exist"));
    }
    let broken = plan.validation.iter().find(|line| line.holds == Some(false));
    if let Some(line) = broken {
        return Some(format!("{} does not hold: {}", line.id, line.statement));
    }
    let yaml = case.serve_yaml(plan);
    let mut again = case.clone();
    again.request.concurrency = None;
    again.model = plan.model.clone();
    again.request.env.extend(plan.env.iter().map(|(name, variable)| (name.clone(), variable.value.clone())));
    let judged = again.judge(&yaml);
    if judged.verdict != plan.verdict {
        let reasons: Vec<&str> = judged.reasons.iter().map(|reason| reason.message.as_str()).collect();
        return Some(format!("{} becomes {}: {}", plan.verdict.id(), judged.verdict.id(), reasons.join("; ")));
    }
    let (before, after) = (plan.budget.as_ref()?, judged.budget.as_ref()?);
    (before != after).then(|| {
        let terms: Vec<String> = before
            .terms
            .iter()
            .zip(&after.terms)
            .filter(|(before, after)| before != after)
            .map(|(before, after)| format!("{} {} becomes {}", before.name.id(), before.size.expected, after.size.expected))
            .collect();
        format!("another budget: {}\n{yaml}", terms.join(", "))
    })
}

fn refused(plan: &Plan) -> Option<String> {
    if plan.verdict == Verdict::DoesNotFit {
        let short = plan.reasons.iter().any(|reason| reason.short_by.is_some_and(|short| short.0 > 0));
        return (!short).then(|| "no reason says by how much it is short".to_owned());
    }
    plan.reasons.is_empty().then(|| "no reason".to_owned())
}
