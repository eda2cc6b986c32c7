//! The two failures and the healthy start of a well-known write-up about a 70B model in 7 GB, in the words of vLLM 0.8.5.post1.

use gpudoctor::catalog::MemoryTopic;
use gpudoctor::plan::budget::TermName;
use gpudoctor::startup::{Basis, Subject};

use crate::{answer, change, figures, known, summary};

const HEALTHY: &str = include_str!("bitsandbytes-healthy.log");
const NO_BLOCKS: &str = include_str!("no-cache-blocks.log");
const GRAPHS: &str = include_str!("graphs-out-of-memory.log");

/// The table has 1.22 GiB of weights, 0.50 of cache and 1.99 of graphs, and the rest as a difference. The write-up counts 2.5 GB
/// of cache; it holds 451 blocks of 1.125 MiB.
#[test]
fn the_healthy_start_has_half_a_gib_of_cache() {
    let summary = summary(HEALTHY, &known(Some(("rtx 3080 20gb", 2)), None));
    let actual = |subject: Subject| summary.rows.iter().find(|row| row.subject == subject).and_then(|row| row.actual).expect("a figure");
    let gib = |bytes: i64| bytes as f64 / 1_073_741_824.0;
    let (weights, basis) = actual(Subject::Term(TermName::Weights));
    assert!((gib(weights) - 1.2216).abs() < 1e-6 && basis == Basis::Printed);
    let (cache, basis) = actual(Subject::Term(TermName::KvCache));
    assert_eq!((cache, basis), (451 * 16 * 73_728, Basis::Derived));
    assert!((gib(actual(Subject::Term(TermName::CudaGraphs)).0) - 1.99).abs() < 1e-6);
    let (rest, basis) = actual(Subject::Rest);
    assert!((0.62..0.72).contains(&gib(rest)) && basis == Basis::Derived, "{}", gib(rest));
    // 0.8.5 counts the context inside the requested size: all of it is accounted for.
    let requested = summary.requested.expect("a size").gib();
    assert!((gib(weights) + gib(cache) + gib(rest) - requested).abs() < 1e-3);
    assert_eq!((summary.cache.tokens, summary.cache.concurrency), (Some(7216), Some(7.05)));
    let predicted = summary.cache.predicted_tokens.expect("tokens");
    assert!((6800..7700).contains(&predicted), "{predicted}");
}

/// Everything was offloaded although 15 GiB of each card were free.
#[test]
fn the_healthy_start_wastes_the_card() {
    let summary = summary(HEALTHY, &known(Some(("rtx 3080 20gb", 2)), None));
    let advice = summary.advice.iter().find(|advice| advice.id == "offload-with-free-memory").expect("advice");
    assert!(advice.message.starts_with("3.24 GiB of the weights lie in host memory"), "{}", advice.message);
    assert_eq!(advice.change.settings[0], ("cpu-offload-gb".to_owned(), "0".to_owned()));
    assert!(advice.change.cache.expect("a cache").tokens >= 7216);
}

/// 0.12 of 19.65 GiB are 2.36, and weights, sampler and context take 3.04: fewer requests, or a larger share.
#[test]
fn nothing_is_left_for_the_cache() {
    let answer = answer(NO_BLOCKS, MemoryTopic::Kv, &known(Some(("rtx 3080 20gb", 2)), None));
    assert!(answer.statements.iter().any(|sentence| sentence == "requested 2.36 GiB = 0.12 × 19.65 GiB"), "{answer:#?}");
    assert!(
        answer.statements.iter().any(|sentence| sentence.contains("weights 1.22 GiB as printed") && sentence.contains("max-num-seqs 256"))
    );
    let (fewer, requests) = change(&answer, "max-num-seqs").expect("fewer requests");
    assert!((8.0..=64.0).contains(&requests) && fewer.cache.is_some_and(|cache| cache.tokens >= 1024), "{fewer:?}");
    let (more, share) = change(&answer, "gpu-memory-utilization").expect("a larger share");
    assert!((0.15..=0.25).contains(&share) && more.cache.is_some_and(|cache| cache.least_tokens >= 1024), "{more:?}");
    assert_eq!((answer.short_by, answer.line), (None, 21));
}

/// Graphs lie outside the requested size: at 0.95 the cache had taken their room. The share must go down, not up.
#[test]
fn graphs_find_no_room_at_0_95() {
    let answer = answer(GRAPHS, MemoryTopic::Oom, &known(None, None));
    let said = |part: &str| answer.statements.iter().any(|sentence| sentence.contains(part));
    assert!(said("896 MiB were asked for while CUDA graphs were captured; 181.69 MiB of 31.48 GiB were free"), "{answer:#?}");
    assert!(said("27.98 GiB in tensors, 619.88 MiB of it in graph pools"), "{answer:#?}");
    assert!(said("gpu-memory-utilization must go down"), "{answer:#?}");
    let (lower, share) = change(&answer, "gpu-memory-utilization").expect("a smaller share");
    assert!((0.7..=0.9).contains(&share), "{share}");
    assert!(lower.cache.is_some_and(|cache| cache.least_tokens >= 8192), "{lower:?}");
    let eager = answer.changes.iter().find(|change| change.settings[0].0 == "enforce-eager").expect("without graphs it starts as well");
    assert_eq!(eager.command(), "--enforce-eager");
}

/// The same without a model that is known: the figures of the message alone still say which way and at least how far.
#[test]
fn the_message_alone_says_which_way() {
    let log = GRAPHS.replace("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "/models/ours");
    let answer = answer(&log, MemoryTopic::Graphs, &known(None, None));
    let (lower, share) = change(&answer, "gpu-memory-utilization").expect("a smaller share");
    // 896 − 181.69 MiB are 0.0222 of 31.48 GiB.
    assert!((share - 0.92).abs() < 1e-9 && lower.cache.is_none(), "{share}");
    assert!(answer.not_computed.as_ref().is_some_and(|reason| reason.contains("`/models/ours` is not in the catalogue")), "{answer:#?}");
}

/// Each log is one start.
#[test]
fn workers_that_print_the_same_are_one_start() {
    for log in [HEALTHY, NO_BLOCKS, GRAPHS] {
        assert_eq!(figures(log).starts(), 1);
    }
}
