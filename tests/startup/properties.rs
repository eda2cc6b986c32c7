//! Whatever a log says, nothing crashes, and no figure is one that a card cannot have.

use gpudoctor::catalog::MemoryTopic;
use gpudoctor::startup::{Change, Figures, LITERALS, Start};
use proptest::prelude::*;

use crate::known;

const TOPICS: [MemoryTopic; 7] = [
    MemoryTopic::Kv,
    MemoryTopic::Weights,
    MemoryTopic::Oom,
    MemoryTopic::Free,
    MemoryTopic::Graphs,
    MemoryTopic::Sampler,
    MemoryTopic::Host,
];

/// Pieces that lines are made of: every text that matters, and figures fit and unfit.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(LITERALS).prop_map(str::to_owned),
        proptest::sample::select(vec![
            "model='Qwen/Qwen3-8B'",
            "max_seq_len=4096",
            "with config: ",
            "0.8.5.post1) ",
            "0.25.1) ",
            "V1 ",
            " GiB",
            "GiB",
            " MiB",
            ": ",
            "(",
            ")",
            "/",
            "=",
            "util), ",
            "No available memory for the cache blocks",
            "GiB KV cache is needed",
            "Tried to allocate ",
            "GPU 0 has a total capacity of ",
            "of which ",
            "this process has ",
            "Of the allocated memory ",
            " is less than desired GPU memory utilization (",
            "total_memory=",
            "free_memory=",
            "gpu_memory_utilization': 0.9",
            "non-default args: {'",
            "Namespace(",
            " tokens",
            "per request: ",
            "Actual usage is ",
            " GiB for weight,",
        ])
        .prop_map(str::to_owned),
        (-1.0e3..1.0e4_f64).prop_map(|number| format!("{number:.2}")),
        any::<i64>().prop_map(|number| number.to_string()),
        proptest::sample::select(vec!["17179869184.00", "nan", "1e999", "-0.0", "99999999999999999999", "…", "\u{0}", "é"])
            .prop_map(str::to_owned),
    ]
}

fn line() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 1..12).prop_map(|pieces| pieces.concat())
}

fn sane(change: &Change) {
    for (flag, value) in &change.settings {
        let number: f64 = value.parse().unwrap_or(1.0);
        let (least, most) = match flag.as_str() {
            "gpu-memory-utilization" => (0.01, 0.98),
            "cpu-offload-gb" => (0.0, 1e5),
            _ => (1.0, 1e12),
        };
        assert!(number.is_finite() && (least..=most).contains(&number), "{flag} {value}");
    }
    if let Some(cache) = change.cache {
        assert!(cache.least_tokens <= cache.tokens && cache.concurrency.is_finite() && cache.concurrency >= 0.0, "{cache:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Lines of nonsense in the engine's words.
    #[test]
    fn nonsense_is_read_calmly(lines in prop::collection::vec(line(), 1..30)) {
        let mut figures = Figures::default();
        for (index, line) in lines.iter().enumerate() {
            figures.observe(index as u64, Some("Worker_TP0 pid=1"), line);
        }
        let known = known(Some(("rtx 3090", 1)), None);
        if let Some(run) = figures.last() {
            let start = Start::new(run, &known);
            let _ = start.summary();
            for topic in TOPICS {
                for change in start.answer(topic, 1).into_iter().flat_map(|answer| answer.changes) {
                    sane(&change);
                }
            }
        }
    }

    /// A start with any figures that a card may show: every answer keeps within the card.
    #[test]
    fn answers_stay_on_the_card(
        total in 4.0..190.0_f64, share in 0.02..1.0_f64, weights in 0.1..200.0_f64, available in -50.0..150.0_f64,
        need in 0.01..200.0_f64, length in 16..200_000_u64, tried in 1.0..40_000.0_f64, free in 0.0..4_000.0_f64, version in 0..6_usize,
    ) {
        let version = ["0.8.5.post1", "0.9.2", "0.11.0", "0.19.1", "0.25.1", "0.33.0"][version];
        let log = format!(
            "INFO [core.py:58] Initializing a V1 LLM engine (v{version}) with config: model='Qwen/Qwen3-8B', dtype=torch.bfloat16, max_seq_len={length}\n\
             INFO non-default args: {{'gpu_memory_utilization': {share:.3}}}\n\
             DEBUG worker init memory snapshot: free_memory={:.2}GiB, total_memory={total:.2}GiB\n\
             INFO Model loading took {weights:.2} GiB and 2.0 seconds\n\
             INFO Available KV cache memory: {available:.2} GiB\n\
             ValueError: No available memory for the cache blocks.\n\
             ValueError: To serve at least one request with the model's max seq len ({length}), ({need:.2} GiB KV cache is needed, which is larger than the \
             available KV cache memory ({available:.2} GiB).\n\
             torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {tried:.2} MiB. GPU 0 has a total capacity of {total:.2} GiB of which {free:.2} MiB \
             is free. Including non-PyTorch memory, this process has {:.2} GiB memory in use. Of the allocated memory {weights:.2} GiB is allocated by PyTorch, \
             and 10.00 MiB is reserved by PyTorch but unallocated.",
            total * 0.99, total * 0.98,
        );
        let figures = crate::figures(&log);
        let known = known(None, None);
        let start = Start::new(figures.last().expect("a start"), &known);
        for topic in TOPICS {
            for change in start.answer(topic, 1).into_iter().flat_map(|answer| answer.changes) {
                sane(&change);
                if let Some(cache) = change.cache {
                    prop_assert!(cache.bytes.gib() <= total, "{change:?} on {total} GiB");
                }
            }
        }
        if let Some(summary) = start.summary() {
            for row in &summary.rows {
                if let Some(band) = row.predicted {
                    prop_assert!(band.low <= band.expected && band.expected <= band.high);
                }
            }
        }
    }
}
