//! Laws that hold for every launch.

use std::collections::BTreeSet;

use gpudoctor::catalog::ComputeCapability;
use gpudoctor::plan::budget::{Budget, TermName};
use gpudoctor::plan::outcome::Devices;
use gpudoctor::units::Bytes;

use crate::support::{Case, cards, catalog, model};

const MODELS: [&str; 5] =
    ["Qwen/Qwen3-8B", "google/gemma-3-27b-it", "Qwen/Qwen3-30B-A3B", "deepseek-ai/DeepSeek-V2-Lite", "ibm-granite/granite-4.0-h-tiny"];
const VERSIONS: [&str; 4] = ["0.8.5.post1", "0.11.2", "0.25.1", "0.33.0"];

fn everywhere(mut law: impl FnMut(&str, &str, &dyn Fn(Devices) -> Case)) {
    for name in MODELS {
        for version in VERSIONS {
            law(name, version, &|devices| Case::new(model(name), devices, version));
        }
    }
}

fn budget(case: &Case, yaml: &str) -> Budget {
    case.judge(yaml).budget.expect("a budget")
}

/// Device memory is what the terms say, and what is inside the requested size is no more than that.
#[test]
fn terms_sum() {
    everywhere(|name, version, case| {
        let budget = budget(&case(cards("h100 sxm", 1)), &format!("model: {name}\nmax-model-len: 4096\nmax-num-seqs: 16\n"));
        // Of graphs the engine subtracts an estimate of its own, not what they turn out to take.
        let inside = budget.terms.iter().filter(|term| term.inside_requested && term.name != TermName::CudaGraphs);
        let inside: Bytes = inside.map(|term| term.size.expected).sum();
        assert!(inside <= budget.requested, "{name} {version}: {inside} of {}", budget.requested);
        for term in &budget.terms {
            let band = term.size;
            assert!(band.low <= band.expected && band.expected <= band.high, "{name} {version}: {} {band:?}", term.name.id());
        }
        let held = budget.terms.iter().filter(|term| !matches!(term.name, TermName::ActivationPeak | TermName::Headroom));
        let held: Bytes = held.map(|term| term.size.expected).sum();
        assert!(held <= budget.device_used.expected, "{name} {version}: {held} of {}", budget.device_used.expected);
        let headroom = budget.term(TermName::Headroom).expect("a headroom").size.expected;
        assert_eq!(budget.device_used.expected + headroom, cards("h100 sxm", 1).limit, "{name} {version}");
    });
}

/// A longer context never needs less cache.
#[test]
fn more_context_never_shrinks_the_need() {
    everywhere(|name, version, case| {
        let case = case(cards("h200 sxm", 1));
        let mut last = Bytes::ZERO;
        for length in [1, 17, 512, 4096, 4097, 8192, 32_768] {
            let need = budget(&case, &format!("model: {name}\nmax-model-len: {length}\n")).kv_cache.request_bytes;
            assert!(need >= last, "{name} {version}: {need} for {length} tokens after {last}");
            last = need;
        }
    });
}

/// What fits fits on a larger card of the same kind, too.
#[test]
fn more_memory_never_turns_a_fit_into_a_misfit() {
    everywhere(|name, version, case| {
        let mut fitted = false;
        for gib in (8..=80).step_by(6) {
            let mut devices = cards("a100 sxm4 80gb", 1);
            let memory = Bytes::GIB * gib;
            (devices.memory, devices.limit) = (memory, memory);
            (devices.cuda_total, devices.cuda_total_high) = (memory.scale(0.985), memory.scale(0.99));
            let good = case(devices).search().verdict.is_good();
            assert!(good || !fitted, "{name} {version}: {gib} GiB no longer fit");
            fitted |= good;
        }
    });
}

/// More ranks never hold more weights each.
#[test]
fn more_ranks_never_hold_more_weights() {
    everywhere(|name, version, case| {
        let mut last = Bytes(u64::MAX);
        for ranks in [1, 2, 4] {
            let yaml = format!("model: {name}\ntensor-parallel-size: {ranks}\nmax-model-len: 4096\n");
            let weights = budget(&case(cards("h100 sxm", ranks)), &yaml).term(TermName::Weights).expect("weights").size.expected;
            assert!(weights <= last, "{name} {version}: {weights} on each of {ranks} after {last}");
            last = weights;
        }
    });
}

/// Every constant that the planner names has a row for every version and card: a missing one would count as zero.
#[test]
fn no_constant_is_missing() {
    let rows = catalog().engine("vllm").expect("vLLM is in the catalogue").constants();
    let names = named_in_sources();
    assert!(names.len() > 20, "{names:?}");
    let known: BTreeSet<&str> = rows.constant.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(known.iter().filter(|name| !names.contains(**name)).collect::<Vec<_>>(), Vec::<&&str>::new(), "rows that nothing reads");
    let capabilities = [75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121].map(|sm| Some(ComputeCapability::from_sm(sm)));
    let mut missing = Vec::new();
    for release in catalog().engine("vllm").expect("vLLM is in the catalogue").releases() {
        for capability in capabilities.into_iter().chain([None]) {
            let absent = names.iter().filter(|name| rows.row(name, &release.version, capability).is_none());
            missing.extend(absent.map(|name| format!("{name} for {} on {capability:?}", release.version)));
        }
    }
    assert!(missing.is_empty(), "{} rows are missing, such as {:?}", missing.len(), missing.iter().take(12).collect::<Vec<_>>());
}

/// The dotted names between quotes in the planner's sources that a constant could have.
fn named_in_sources() -> BTreeSet<String> {
    let families = [
        "context",
        "communicators",
        "non_torch",
        "cublas",
        "autotune",
        "forward",
        "sampler",
        "graph",
        "weights",
        "retained",
        "pipeline",
        "speed",
    ];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan");
    let mut names = BTreeSet::from(["context".to_owned()]);
    for entry in fs_err::read_dir(folder).expect("the sources") {
        let text = fs_err::read_to_string(entry.expect("a source").path()).expect("a source");
        let quoted = text.split('"').skip(1).step_by(2);
        let dotted = quoted.filter(|word| word.split_once('.').is_some_and(|(family, rest)| families.contains(&family) && is_name(rest)));
        names.extend(dotted.map(str::to_owned));
    }
    names
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_')
}
