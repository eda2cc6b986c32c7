//! Two runs of vLLM 0.8.5.post1 whose logs are public: Qwen3-8B on two RTX 3080 20 GB without NVLink.

use gpudoctor::plan::budget::TermName;
use gpudoctor::plan::outcome::Plan;

use crate::support::{Case, cards, model};

fn run(yaml: &str) -> Plan {
    let case = Case::new(model("Qwen/Qwen3-8B"), cards("rtx 3080 20gb", 2), "0.8.5.post1");
    case.judge(&format!("model: Qwen/Qwen3-8B\ntensor-parallel-size: 2\ndtype: bfloat16\n{yaml}"))
}

#[track_caller]
fn near(what: &str, got: f64, logged: f64, percent: f64) {
    let off = (got / logged - 1.0) * 100.0;
    assert!(off.abs() <= percent, "{what}: {got:.4} is {off:+.2} % off the logged {logged}, and {percent} % are allowed");
}

/// "Model loading took 2.6077 GiB", "GPU KV cache size: 79,040 tokens", "Maximum concurrency … 19.30x".
#[test]
fn sixteen_bit_weights_with_offload() {
    let plan = run("cpu-offload-gb: 5\ngpu-memory-utilization: 0.5\nmax-num-seqs: 256\nblock-size: 32\nmax-model-len: 4096\n");
    let budget = plan.budget.expect("a budget");
    let weights = budget.term(TermName::Weights).expect("weights");
    near("weights", weights.size.expected.gib(), 2.6077, 0.1);
    near("tokens", budget.kv_cache.tokens as f64, 79_040.0, 1.0);
    near("concurrency", budget.kv_cache.max_concurrency, 19.30, 1.0);
}

/// "Model loading took 1.2216 GiB", 7,216 tokens, "Graph capturing … took 1.99 GiB", 4546 MiB in nvidia-smi. The
/// utilisation is not in the log: the one that gives as many tokens must be a plausible one.
#[test]
fn bitsandbytes_with_everything_offloaded() {
    let with = |utilization: f64| {
        let lines = "cpu-offload-gb: 5\nquantization: bitsandbytes\nmax-num-seqs: 32\nblock-size: 16\nmax-model-len: 1024\n";
        run(&format!("{lines}gpu-memory-utilization: {utilization:.4}\n"))
    };
    let (mut low, mut high) = (0.12, 0.18);
    for _ in 0..12 {
        let middle = f64::midpoint(low, high);
        if with(middle).budget.expect("a budget").kv_cache.tokens < 7216 { low = middle } else { high = middle }
    }
    let plan = with(high);
    let budget = plan.budget.expect("a budget");
    let term = |name| budget.term(name).expect("a term").size.expected.gib();
    near("tokens", budget.kv_cache.tokens as f64, 7216.0, 2.0);
    near("weights", term(TermName::Weights), 1.2216, 2.0);
    near("graphs", term(TermName::CudaGraphs), 1.99, 10.0);
    near("device memory", budget.device_used.expected.gib() * 1024.0, 4546.0, 10.0);
}
