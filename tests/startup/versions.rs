//! One model in the words of every version: read, and answered with values that the same planner finds to fit.

use gpudoctor::catalog::MemoryTopic;

use crate::{answer, change, known, log, summary};

const VERSIONS: [&str; 14] = [
    "0.8.5.post1",
    "0.9.0",
    "0.9.2",
    "0.10.2",
    "0.11.0",
    "0.11.2",
    "0.13.0",
    "0.16.0",
    "0.19.1",
    "0.22.1",
    "0.25.1",
    "0.28.0",
    "0.31.0",
    "0.33.0",
];

/// Qwen3-8B on an RTX 3090 of 23.69 GiB.
fn start(version: &str) -> log::Start<'_> {
    log::Start {
        version,
        model: "Qwen/Qwen3-8B",
        quantization: None,
        ranks: 1,
        eager: false,
        server: true,
        given: vec![("gpu_memory_utilization".to_owned(), "0.9".to_owned()), ("max_num_seqs".to_owned(), "128".to_owned())],
        max_model_len: 40_960,
        max_num_batched_tokens: 2048,
        second_runner: false,
        offloaded: None,
        weights: 15.2683,
        activation: 1.40,
        non_torch: 0.05,
        available: 4.60,
        graphs: 0.54,
        free: 23.25,
        total: 23.69,
        requested: 21.32,
        utilization: 0.9,
        tokens: 33_488,
        concurrency: 0.82,
        debug: false,
    }
}

/// The length that fits is the one that the engine found, or, where 0.8.5 swallows it, one that its own figures allow.
#[test]
fn a_request_that_is_too_long() {
    for version in VERSIONS {
        let log = start(version).too_long(5.62, 4.60, 33_488);
        let answer = answer(&log, MemoryTopic::Kv, &known(Some(("rtx 3090", 1)), None));
        let (_, length) = change(&answer, "max-model-len").unwrap_or_else(|| panic!("{version}: {answer:#?}"));
        assert!((31_000.0..=33_600.0).contains(&length), "{version}: {length}");
        assert!(
            answer
                .statements
                .iter()
                .any(|sentence| sentence.contains("5.62 GiB of KV cache, and 4.60 GiB are left") || sentence.contains("4.6 GiB are left")),
            "{version}: {answer:#?}"
        );
    }
}

/// The same with nothing known but the log: its figures are enough.
#[test]
fn a_request_that_is_too_long_for_an_unknown_model() {
    for version in VERSIONS {
        let log = start(version).too_long(5.62, 4.60, 33_488).replace("Qwen/Qwen3-8B", "/models/ours");
        let answer = answer(&log, MemoryTopic::Kv, &known(None, None));
        let (_, length) = change(&answer, "max-model-len").unwrap_or_else(|| panic!("{version}: {answer:#?}"));
        assert!((33_400.0..=33_488.0).contains(&length), "{version}: {length}");
        assert!(answer.not_computed.is_some() && change(&answer, "gpu-memory-utilization").is_none(), "the card is not known: {answer:#?}");
    }
}

/// Two 3090s' worth of sampler buffers: with 1024 requests nothing is left, with fewer there is.
#[test]
fn nothing_left_is_answered_with_a_value_that_fits() {
    for version in VERSIONS {
        let mut start = start(version);
        start.given = vec![("gpu_memory_utilization".to_owned(), "0.7".to_owned()), ("max_num_seqs".to_owned(), "256".to_owned())];
        start.utilization = 0.7;
        start.requested = 16.58;
        start.available = -0.12;
        let answer = answer(&start.nothing_left(), MemoryTopic::Kv, &known(Some(("rtx 3090", 1)), None));
        let (more, share) = change(&answer, "gpu-memory-utilization").unwrap_or_else(|| panic!("{version}: {answer:#?}"));
        assert!(share > 0.7 && share <= 0.98, "{version}: {share}");
        assert!(more.cache.is_some_and(|cache| cache.least_tokens >= 40_960), "{version}: {more:?}");
        assert!(answer.short_by.is_none(), "{version}");
    }
}

/// Others hold 12 GiB: what is free bounds the share, and the weights of 15 GiB do not fit into it.
#[test]
fn too_little_free_memory() {
    for version in VERSIONS
        .into_iter()
        .filter(|version| *version > "0.9.1" || version.starts_with("0.1") || version.starts_with("0.2") || version.starts_with("0.3"))
    {
        let log = start(version).too_little_free(11.2);
        let answer = answer(&log, MemoryTopic::Free, &known(Some(("rtx 3090", 1)), None));
        assert!(answer.statements.iter().any(|sentence| sentence.contains("held by others")), "{version}: {answer:#?}");
        assert!(change(&answer, "gpu-memory-utilization").is_none() && answer.short_by.is_some(), "{version}: {answer:#?}");
        // With 20 GiB free the weights fit, and the share is the one that was free.
        let log = start(version).too_little_free(20.9).replace("40960", "8192");
        let (_, share) = change(&crate::answer(&log, MemoryTopic::Free, &known(Some(("rtx 3090", 1)), None)), "gpu-memory-utilization")
            .unwrap_or_else(|| panic!("{version}"))
            .to_owned();
        assert!((0.7..=0.88).contains(&share), "{version}: {share}");
    }
}

/// A healthy start of each version has its table.
#[test]
fn a_healthy_start() {
    for version in VERSIONS {
        let summary = summary(&start(version).healthy(), &known(Some(("rtx 3090", 1)), None));
        assert!(summary.serving && summary.not_computed.is_none(), "{version}: {summary:#?}");
        assert_eq!((summary.cache.tokens, summary.cache.concurrency), (Some(33_488), Some(0.82)), "{version}");
        assert!(summary.rows.len() >= 5, "{version}: {summary:#?}");
    }
}

/// The legacy engine is read and answered from its own figures; what it does is not computed.
#[test]
fn the_legacy_engine() {
    let log = "INFO 01-02 03:04:05 llm_engine.py:237] Initializing an LLM engine (v0.6.6) with config: model='Qwen/Qwen2.5-7B', max_seq_len=32768\n\
               INFO 01-02 03:04:06 worker.py:241] the current vLLM instance can use total_gpu_memory (23.64GiB) x gpu_memory_utilization (0.70) = 16.55GiB\n\
               INFO 01-02 03:04:06 worker.py:241] model weights take 14.25GiB; non_torch_memory takes 0.08GiB; PyTorch activation peak memory takes \
               1.40GiB; the rest of the memory reserved for KV Cache is 0.82GiB.\n\
               ValueError: The model's max seq len (32768) is larger than the maximum number of tokens that can be stored in KV cache (15344). Try increasing \
               `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.";
    let answer = answer(log, MemoryTopic::Kv, &known(None, None));
    assert_eq!(change(&answer, "max-model-len").map(|(_, length)| length), Some(15_344.0));
    // 0.82 GiB hold 15,344 tokens: 17,424 more take 0.93 GiB, 0.04 of the card.
    assert_eq!(change(&answer, "gpu-memory-utilization").map(|(_, share)| share), Some(0.74));
    assert!(answer.not_computed.is_some_and(|reason| reason.contains("legacy engine")));
}
