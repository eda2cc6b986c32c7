//! What each version prints, word for word, and what is read from it.

use crate::startup::failure::{Failure, Phase};
use crate::startup::figures::{Figures, Rank, Run};
use crate::startup::printed::Printed;

fn read(log: &str) -> Run {
    let mut figures = Figures::default();
    for (index, line) in log.lines().enumerate() {
        figures.observe(index as u64 + 1, None, line);
    }
    figures.last().cloned().expect("a start")
}

fn only(run: &Run) -> &Rank {
    run.tightest().expect("a rank")
}

fn gib(printed: Option<Printed>) -> f64 {
    printed.map_or(f64::NAN, |printed| (printed.bytes as f64 / 1_073_741_824.0 * 1e4).round() / 1e4)
}

fn failure(log: &str) -> Failure {
    read(log).failures.iter().next().cloned().expect("a failure")
}

#[test]
fn weights_in_the_words_of_each_generation() {
    for (text, weights, seconds) in [
        ("INFO 01-02 03:04:05 model_runner.py:1077] Loading model weights took 14.9888 GB", 14.9888, None),
        ("INFO 01-02 03:04:05 [gpu_model_runner.py:1347] Model loading took 1.2216 GiB and 27.180540 seconds", 1.2216, Some(27.18054)),
        ("INFO 01-02 03:04:05 [gpu_model_runner.py:3339] Model loading took 15.2683 GiB memory and 2.500000 seconds", 15.2683, Some(2.5)),
        ("INFO 01-02 03:04:05 [v1/worker/gpu/model_runner.py:302] Model loading took 2.61 GiB and 1.952391 seconds", 2.61, Some(1.952_391)),
    ] {
        let run = read(text);
        assert_eq!((gib(only(&run).weights), only(&run).load_seconds), (weights, seconds), "{text}");
    }
}

// The V0 engine of 0.7 and 0.8 prints its profile on three lines.
#[test]
fn the_profile_of_the_legacy_engine() {
    let run = read(
        "INFO 01-02 03:04:05 [worker.py:287] Memory profiling takes 2.31 seconds\n\
         INFO 01-02 03:04:05 [worker.py:287] the current vLLM instance can use total_gpu_memory (23.64GiB) x gpu_memory_utilization (0.90) = 21.28GiB\n\
         INFO 01-02 03:04:05 [worker.py:287] model weights take 14.99GiB; non_torch_memory takes 0.08GiB; PyTorch activation peak memory takes \
         1.23GiB; the rest of the memory reserved for KV Cache is 4.98GiB.\n\
         INFO 01-02 03:04:05 [executor_base.py:112] # cuda blocks: 2549, # CPU blocks: 2048\n\
         INFO 01-02 03:04:05 [executor_base.py:117] Maximum concurrency for 4096 tokens per request: 9.96x",
    );
    let rank = only(&run);
    assert_eq!([rank.total, rank.requested, rank.weights].map(gib), [23.64, 21.28, 14.99]);
    assert_eq!([rank.non_torch, rank.activation_peak, rank.available].map(gib), [0.08, 1.23, 4.98]);
    assert_eq!((rank.utilization, run.blocks, run.concurrency), (Some(0.9), Some(2549), Some((4096, 9.96))));
}

// 0.6 prints it on one line.
#[test]
fn the_profile_of_0_6() {
    let run = read(
        "INFO 01-02 03:04:05 model_runner.py:1077] Loading model weights took 14.9888 GB\n\
         INFO 01-02 03:04:06 worker.py:232] Memory profiling results: total_gpu_memory=23.58GiB initial_memory_usage=15.34GiB \
         peak_torch_memory=17.98GiB memory_usage_post_profile=15.35GiB non_torch_memory=0.35GiB kv_cache_size=2.89GiB gpu_memory_utilization=0.90\n\
         INFO 01-02 03:04:06 gpu_executor.py:113] # GPU blocks: 1478, # CPU blocks: 2048",
    );
    let rank = only(&run);
    assert_eq!([rank.total, rank.non_torch, rank.available].map(gib), [23.58, 0.35, 2.89]);
    assert_eq!((rank.utilization, run.blocks), (Some(0.9), Some(1478)));
}

// The V1 engine at its default level, 0.9.1 and later.
#[test]
fn the_cache_on_two_lines_and_on_one() {
    let two = read(
        "INFO 01-02 03:04:05 [gpu_worker.py:298] Available KV cache memory: 5.43 GiB\n\
         INFO 01-02 03:04:05 [kv_cache_utils.py:864] GPU KV cache size: 79,040 tokens\n\
         INFO 01-02 03:04:05 [kv_cache_utils.py:868] Maximum concurrency for 4,096 tokens per request: 19.30x\n\
         INFO 01-02 03:04:30 [gpu_model_runner.py:3118] Graph capturing finished in 25 secs, took 0.67 GiB",
    );
    assert_eq!((gib(only(&two).available), two.kv_tokens, two.concurrency), (5.43, Some(79_040), Some((4096, 19.30))));
    assert_eq!((gib(only(&two).graphs), only(&two).graph_seconds), (0.67, Some(25.0)));
    let one = read(
        "INFO 01-02 03:04:05 [kv_cache_utils.py:1870] GPU KV cache size: 2,499,360 tokens, Maximum concurrency for 4,096 tokens per request: 610.20x",
    );
    assert_eq!((one.kv_tokens, one.concurrency), (Some(2_499_360), Some((4096, 610.20))));
}

#[test]
fn usage_with_weights_and_non_torch_apart_and_in_one() {
    let apart = read(
        "INFO 01-02 03:04:05 [gpu_worker.py:391] Free memory on device (138.27/139.8 GiB) on startup. Desired GPU memory utilization is (0.3, 41.94 \
         GiB). Actual usage is 2.61 GiB for weight, 0.65 GiB for peak activation, 0.54 GiB for non-torch memory, and 0.44 GiB for CUDAGraph memory. \
         Replace gpu_memory_utilization config with `--kv-cache-memory=40213676032` to fit into requested memory, or `--kv-cache-memory=1` to fully \
         utilize gpu memory. Current kv cache memory in use is 40951873536 bytes.",
    );
    let rank = only(&apart);
    assert_eq!([rank.weights, rank.activation_peak, rank.non_torch, rank.graphs].map(gib), [2.61, 0.65, 0.54, 0.44]);
    assert_eq!([rank.free_at_start, rank.total, rank.requested].map(gib), [138.27, 139.8, 41.94]);
    assert_eq!(rank.utilization, Some(0.3));
    let together = read(
        "INFO 01-02 03:04:05 [gpu_worker.py:804] Free memory on device (78.66/79.18 GiB) on startup. Desired GPU memory utilization is (0.92, 72.84 \
         GiB). Actual usage is 15.61 GiB for consumed memory (weights + non-torch), 1.58 GiB for peak activation, and 1.0 GiB for CUDAGraph memory. \
         Replace gpu_memory_utilization config with `--kv-cache-memory=1` (50.2 GiB) to fit into requested memory.\n\
         INFO 01-02 03:04:05 [gpu_model_runner.py:5516] Model loading took 15.27 GiB memory and 2.5 seconds",
    );
    let rank = only(&together);
    assert_eq!([rank.weights, rank.consumed, rank.activation_peak, rank.graphs].map(gib), [15.27, 15.61, 1.58, 1.0]);
    assert_eq!(rank.non_torch, None);
}

#[test]
fn figures_of_the_debug_level() {
    let run = read(
        "(Worker pid=1740) DEBUG 01-02 03:05:25 [v1/worker/gpu_worker.py:372] worker init memory snapshot: torch_peak=0.01GiB, free_memory=138.27GiB, \
         total_memory=139.8GiB, cuda_memory=1.53GiB, torch_memory=0.02GiB, non_torch_memory=1.51GiB, timestamp=1.2, auto_measure=True\n\
         (Worker pid=1740) DEBUG 01-02 03:05:25 [v1/worker/gpu_worker.py:373] worker requested memory: 41.94GiB\n\
         (Worker_TP0 pid=1740) INFO 01-02 03:05:28 [v1/worker/gpu/model_runner.py:302] Model loading took 2.61 GiB and 2.411644 seconds\n\
         (Worker_TP0 pid=1740) DEBUG 01-02 03:05:50 [v1/worker/gpu_worker.py:526] Initial free memory: 138.27 GiB; Requested memory: 0.300000 (util), \
         41.94 GiB\n\
         (Worker_TP0 pid=1740) DEBUG 01-02 03:05:50 [v1/worker/gpu_worker.py:537] Memory profiling takes 21.69 seconds. Total non KV cache memory: \
         3.8GiB; torch peak memory increase: 0.65GiB; non-torch forward increase memory: 0.54GiB; weights memory: 2.61GiB.",
    );
    assert_eq!(run.ranks.len(), 1, "a process keeps its figures while its name changes");
    let rank = only(&run);
    assert_eq!(rank.process, "Worker_TP0");
    assert_eq!([rank.free_at_start, rank.total, rank.requested].map(gib), [138.27, 139.8, 41.94]);
    assert_eq!([rank.weights, rank.activation_peak, rank.non_torch].map(gib), [2.61, 0.65, 0.54]);
    assert_eq!(rank.utilization, Some(0.3));
}

#[test]
fn graphs_that_are_estimated_first() {
    let run = read(
        "INFO 01-02 03:04:05 [gpu_model_runner.py:5929] Estimated PIECEWISE CUDA graph memory: 20.00 MiB first-capture + (51-1) × 4.00 MiB per-graph\n\
         INFO 01-02 03:04:05 [gpu_model_runner.py:5956] Estimated CUDA graph memory: 0.35 GiB total\n\
         INFO 01-02 03:04:05 [gpu_worker.py:481] CUDA graph memory profiling is enabled (default since v0.21.0). The current \
         --gpu-memory-utilization=0.9000 is equivalent to --gpu-memory-utilization=0.8956 without CUDA graph memory profiling.\n\
         INFO 01-02 03:04:06 [gpu_worker.py:741] CUDA graph pool memory: 0.44 GiB (actual), 0.35 GiB (estimated), difference: 0.09 GiB (20.2%).",
    );
    let rank = only(&run);
    assert_eq!([rank.graph_estimate, rank.graphs].map(gib), [0.35, 0.44]);
    assert_eq!((rank.utilization, run.graphs_subtracted), (Some(0.9), Some(true)));
}

#[test]
fn what_was_asked_for() {
    let run = read(
        "(APIServer pid=1) INFO 01-02 03:04:05 [api_server.py:1896] vLLM API server version 0.11.0\n\
         (APIServer pid=1) INFO 01-02 03:04:05 [utils.py:233] non-default args: {'model_tag': 'Qwen/Qwen3-8B', 'max_model_len': 8192}\n\
         (APIServer pid=1) INFO 01-02 03:04:06 [model.py:547] Resolved architecture: Qwen3ForCausalLM\n\
         (APIServer pid=1) INFO 01-02 03:04:06 [model.py:1510] Using max model len 8192\n\
         (APIServer pid=1) INFO 01-02 03:04:06 [scheduler.py:205] Chunked prefill is enabled with max_num_batched_tokens=2048.\n\
         (EngineCore_DP0 pid=77) INFO 01-02 03:04:16 [core.py:77] Initializing a V1 LLM engine (v0.11.0) with config: model='Qwen/Qwen3-8B', \
         speculative_config=None, dtype=torch.bfloat16, max_seq_len=8192, tensor_parallel_size=1, quantization=None, enforce_eager=False\n\
         (EngineCore_DP0 pid=77) INFO 01-02 03:04:16 [gpu_worker.py:360] Using V2 Model Runner\n\
         (EngineCore_DP0 pid=77) INFO 01-02 03:04:17 [model_executor/offloader/base.py:123] Offloader set to UVAOffloader\n\
         (EngineCore_DP0 pid=77) INFO 01-02 03:04:19 [model_executor/offloader/uva.py:58] Total CPU offloaded parameters: 33.12",
    );
    assert_eq!(run.version.as_ref().map(ToString::to_string).as_deref(), Some("0.11.0"));
    assert!(run.server && !run.legacy);
    assert_eq!((run.model(), run.architecture.as_deref()), (Some("Qwen/Qwen3-8B"), Some("Qwen3ForCausalLM")));
    assert_eq!(
        (run.count("max-model-len"), run.count("max-num-batched-tokens"), run.count("max-num-seqs")),
        (Some(8192), Some(2048), None)
    );
    assert_eq!((run.second_runner, run.offloader.as_deref()), (Some(true), Some("UVAOffloader")));
    assert_eq!(run.ranks.values().find_map(|rank| rank.offloaded).map(|printed| gib(Some(printed))), Some(33.12));
}

// From 0.16 on the version stands beside the logo.
#[test]
fn the_version_beside_the_logo() {
    let run = read(
        "(APIServer pid=1) INFO 01-02 03:04:05 [utils.py:299]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.16.0\n\
         (APIServer pid=1) INFO 01-02 03:04:05 [utils.py:299]   █▄█▀ █     █     █     █  model   Qwen/Qwen3-8B",
    );
    assert_eq!(run.version.map(|version| version.to_string()).as_deref(), Some("0.16.0"));
}

#[test]
fn refusals_in_the_words_of_each_generation() {
    for text in [
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.",
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine (this flag also \
         controls CPU memory reservation on the CPU backend, despite its name). See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ \
         for more details.",
    ] {
        assert_eq!(failure(text), Failure::NothingLeft { line: 1 });
    }
    let source = "ERROR 01-02 03:04:05 [core.py:396]     raise ValueError(\"No available memory for the cache blocks. \"";
    assert!(
        read(&format!("{source}\nModel loading took 1.0 GiB and 1 seconds")).failures.is_empty(),
        "the program's own source is no message"
    );
    let of_0_8_5 = "ValueError: To serve at least one request with the models's max seq len (40960), (5.62 GiB KV cache is needed, which is larger than \
                    the available KV cache memory (2.46 GiB). Based on the available memory,  Try increasing `gpu_memory_utilization` or decreasing \
                    `max_model_len` when initializing the engine.";
    let of_0_22 = "ValueError: To serve at least one request with the model's max seq len (40960), (5.62 GiB KV cache is needed, which is larger than the \
                   available KV cache memory (2.46 GiB). Based on the available memory, the estimated maximum model length is 17904. Try increasing \
                   `gpu_memory_utilization` (which also controls CPU memory on the CPU backend) or decreasing `max_model_len` when initializing the engine.";
    for (text, expected) in [(of_0_8_5, None), (of_0_22, Some(17_904))] {
        let Failure::RequestTooLong { length, need, have, estimate } = failure(text) else { panic!("{text}") };
        assert_eq!((length, gib(Some(need)), gib(Some(have)), estimate), (40_960, 5.62, 2.46, expected));
    }
    let legacy = "ValueError: The model's max seq len (32768) is larger than the maximum number of tokens that can be stored in KV cache (7344). Try \
                  increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.";
    assert_eq!(failure(legacy), Failure::TooFewTokens { length: 32_768, tokens: 7344, line: 1 });
}

#[test]
fn too_little_free_memory_before_and_after_0_14() {
    for device in ["", "cuda:0 "] {
        let text = format!(
            "ValueError: Free memory on device {device}(7.34/139.72 GiB) on startup is less than desired GPU memory utilization (0.9, 125.75 GiB). \
             Decrease GPU memory utilization or reduce GPU memory used by other processes."
        );
        let Failure::TooLittleFree { free, total, utilization, requested } = failure(&text) else { panic!("{text}") };
        assert_eq!([free, total, requested].map(|printed| gib(Some(printed))), [7.34, 139.72, 125.75]);
        assert_eq!(utilization, 0.9);
    }
}

#[test]
fn an_allocation_fails_in_a_phase() {
    let oom = "ERROR 01-02 03:04:09 [core.py:396] torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB. GPU 0 has a total capacity of \
               23.64 GiB of which 471.69 MiB is free. Including non-PyTorch memory, this process has 23.17 GiB memory in use. Of the allocated memory \
               22.03 GiB is allocated by PyTorch, and 100.00 MiB is reserved by PyTorch but unallocated.";
    let phase = |before: &str| match failure(&format!("{before}\n{oom}")) {
        Failure::OutOfMemory { phase, .. } => phase,
        other => panic!("{other:?}"),
    };
    let start = "INFO 01-02 03:04:05 [core.py:58] Initializing a V1 LLM engine (v0.8.5.post1) with config: model='x'";
    let weights = "INFO 01-02 03:04:06 [gpu_model_runner.py:1347] Model loading took 15.2683 GiB and 2.5 seconds";
    let cache = "INFO 01-02 03:04:07 [kv_cache_utils.py:634] GPU KV cache size: 41,328 tokens";
    let graphs = "INFO 01-02 03:04:08 [gpu_model_runner.py:1686] Graph capturing finished in 25 secs, took 0.67 GiB";
    let up = "INFO:     Application startup complete.";
    let mut log = String::new();
    assert_eq!(phase(""), Phase::Unknown);
    for (line, expected) in
        [(start, Phase::Loading), (weights, Phase::Profiling), (cache, Phase::Allocating), (graphs, Phase::WarmingUp), (up, Phase::Serving)]
    {
        log.push_str(line);
        log.push('\n');
        assert_eq!(phase(&log), expected, "{log}");
    }
    assert_eq!(
        phase(&format!("{start}\n{weights}\n{cache}\nCapturing CUDA graph shapes:  45%|████▍     | 30/67 [00:20<00:25,  1.45it/s]")),
        Phase::Capturing
    );
}

// The sampler's own message follows the allocation that failed, and says when that was.
#[test]
fn the_sampler_names_its_phase_afterwards() {
    let run = read(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 150.00 MiB. GPU 0 has a total capacity of 15.57 GiB of which 100.00 MiB is free.\n\
         RuntimeError: CUDA out of memory occurred when warming up sampler with 256 dummy requests. Please try lowering `max_num_seqs` or \
         `gpu_memory_utilization` when initializing the engine.",
    );
    let phases: Vec<Phase> = run
        .failures
        .iter()
        .filter_map(|failure| if let Failure::OutOfMemory { phase, .. } = failure { Some(*phase) } else { None })
        .collect();
    assert_eq!(phases, [Phase::WarmingUp]);
    assert!(run.failures.iter().any(|failure| matches!(failure, Failure::Sampler { requests: 256, .. })));
}

// A container that restarts begins again: the last start counts, and each line belongs to one of them.
#[test]
fn each_start_stands_alone() {
    let mut figures = Figures::default();
    let start = "INFO [core.py:58] Initializing a V1 LLM engine (v0.9.2) with config: model='x'";
    let log = [start, "Model loading took 1.0 GiB and 1.0 seconds", start, "Model loading took 2.0 GiB and 1.0 seconds"];
    for (index, line) in log.iter().enumerate() {
        figures.observe(index as u64 + 1, Some("EngineCore_0"), line);
    }
    assert_eq!(figures.starts(), 2);
    assert_eq!(figures.at(2).and_then(Run::tightest).map(|rank| gib(rank.weights)), Some(1.0));
    assert_eq!(figures.last().and_then(Run::tightest).map(|rank| gib(rank.weights)), Some(2.0));
}

// Nothing of this is a start, however it reads.
#[test]
fn lines_that_serve_requests_have_no_figures() {
    let mut figures = Figures::default();
    for line in [
        "INFO 01-02 03:04:05 [loggers.py:116] Engine 000: Avg prompt throughput: 12.3 tokens/s, GPU KV cache usage: 3.1%, Prefix cache hit rate: 0.0%",
        "max seq len",
        "GPU KV cache size: many tokens",
        "Maximum concurrency for you",
        "out of memory",
    ] {
        figures.observe(1, None, line);
    }
    assert!(figures.last().is_none_or(|run| !run.has_figures()));
}
