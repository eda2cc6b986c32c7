//! Logs of starts in the words of each version of vLLM, made of figures.

use std::fmt::Write;

/// The figures of one start. GiB where nothing else is said.
#[derive(Clone, Debug)]
pub(crate) struct Start<'a> {
    pub(crate) version: &'a str,
    pub(crate) model: &'a str,
    pub(crate) quantization: Option<&'a str>,
    pub(crate) ranks: u64,
    pub(crate) eager: bool,
    pub(crate) server: bool,
    /// Arguments that are no defaults, as Python writes them: `'max_num_seqs': 16`.
    pub(crate) given: Vec<(String, String)>,
    pub(crate) max_model_len: u64,
    pub(crate) max_num_batched_tokens: u64,
    pub(crate) second_runner: bool,
    pub(crate) offloaded: Option<f64>,
    pub(crate) weights: f64,
    pub(crate) activation: f64,
    pub(crate) non_torch: f64,
    pub(crate) available: f64,
    pub(crate) graphs: f64,
    pub(crate) free: f64,
    pub(crate) total: f64,
    pub(crate) requested: f64,
    pub(crate) utilization: f64,
    pub(crate) tokens: u64,
    pub(crate) concurrency: f64,
    /// Whether the level is that of debugging, which has the card's total.
    pub(crate) debug: bool,
}

/// The minor version: 25 of 0.25.1.
fn minor(version: &str) -> u64 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

impl Start<'_> {
    fn before_0_9(&self) -> bool {
        minor(self.version) < 9
    }

    /// The log up to the profile run.
    pub(crate) fn until_profile(&self) -> String {
        let mut log = String::new();
        if self.server {
            line(&mut log, "", "api_server.py:1043", &format!("vLLM API server version {}", self.version));
        }
        let given: Vec<String> = self.given.iter().map(|(name, value)| format!("'{name}': {value}")).collect();
        let all: Vec<String> = self.given.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if self.before_0_9() {
            line(&mut log, "", "api_server.py:1044", &format!("args: Namespace(model='{}', {})", self.model, all.join(", ")));
        } else {
            line(&mut log, "", "utils.py:273", &format!("non-default args: {{'model': '{}', {}}}", self.model, given.join(", ")));
        }
        line(
            &mut log,
            "",
            "scheduler.py:252",
            &format!("Chunked prefill is enabled with max_num_batched_tokens={}.", self.max_num_batched_tokens),
        );
        let quantization = self.quantization.map_or("None", |method| method);
        let eager = if self.eager { "True" } else { "False" };
        line(
            &mut log,
            "",
            "core.py:114",
            &format!(
                "Initializing a V1 LLM engine (v{}) with config: model='{}', speculative_config=None, tokenizer='{}', dtype=torch.bfloat16, \
                 max_seq_len={}, load_format=auto, tensor_parallel_size={}, pipeline_parallel_size=1, quantization={quantization}, \
                 enforce_eager={eager}, kv_cache_dtype=auto, compilation_config={{'backend': 'inductor'}}",
                self.version, self.model, self.model, self.max_model_len, self.ranks
            ),
        );
        for rank in 0..self.ranks {
            let who = self.who(rank);
            if self.debug {
                let text = format!(
                    "worker init memory snapshot: torch_peak=0.0GiB, free_memory={}GiB, total_memory={}GiB, torch_memory=0.0GiB",
                    self.free, self.total
                );
                line(&mut log, &who, "gpu_worker.py:372", &text);
            }
            if self.second_runner {
                line(&mut log, &who, "gpu_worker.py:360", "Using V2 Model Runner");
            }
            if let Some(offloaded) = self.offloaded {
                line(&mut log, &who, "base.py:123", "Offloader set to UVAOffloader");
                line(&mut log, &who, "uva.py:58", &format!("Total CPU offloaded parameters: {offloaded}"));
            }
            let took = if minor(self.version) < 10 { "GiB and" } else { "GiB memory and" };
            let place = if self.second_runner { "v1/worker/gpu/model_runner.py:302" } else { "v1/worker/gpu_model_runner.py:5306" };
            line(&mut log, &who, place, &format!("Model loading took {} {took} 1.952391 seconds", self.weights));
        }
        log
    }

    /// The log up to the size of the cache.
    pub(crate) fn until_cache(&self) -> String {
        let mut log = self.until_profile();
        for rank in 0..self.ranks {
            let who = self.who(rank);
            if self.debug {
                let text = format!(
                    "Initial free memory: {} GiB; Requested memory: {:.6} (util), {} GiB",
                    self.free, self.utilization, self.requested
                );
                line(&mut log, &who, "gpu_worker.py:526", &text);
                let text = format!(
                    "Memory profiling takes 3.33 seconds. Total non KV cache memory: {:.2}GiB; torch peak memory increase: {}GiB; non-torch \
                     forward increase memory: {}GiB; weights memory: {}GiB.",
                    self.weights + self.activation + self.non_torch,
                    self.activation,
                    self.non_torch,
                    self.weights
                );
                line(&mut log, &who, "gpu_worker.py:537", &text);
            }
            if !self.before_0_9() {
                line(&mut log, &who, "gpu_worker.py:538", &format!("Available KV cache memory: {} GiB", self.available));
            }
        }
        log
    }

    /// The whole log of a healthy start.
    pub(crate) fn healthy(&self) -> String {
        let mut log = self.until_cache();
        let tokens = thousands(self.tokens);
        let length = thousands(self.max_model_len);
        if minor(self.version) < 28 {
            line(&mut log, "", "kv_cache_utils.py:2146", &format!("GPU KV cache size: {tokens} tokens"));
            line(
                &mut log,
                "",
                "kv_cache_utils.py:2147",
                &format!("Maximum concurrency for {length} tokens per request: {:.2}x", self.concurrency),
            );
        } else {
            let text = format!(
                "GPU KV cache size: {tokens} tokens, Maximum concurrency for {length} tokens per request: {:.2}x",
                self.concurrency
            );
            line(&mut log, "", "kv_cache_utils.py:1870", &text);
        }
        for rank in 0..self.ranks {
            let who = self.who(rank);
            if !self.eager {
                line(&mut log, &who, "model_runner.py:579", &format!("Graph capturing finished in 4 secs, took {:.2} GiB", self.graphs));
            }
            if self.debug {
                let text = format!(
                    "Free memory on device ({}/{} GiB) on startup. Desired GPU memory utilization is ({}, {} GiB). Actual usage is {} GiB for weight, \
                     {} GiB for peak activation, {} GiB for non-torch memory, and {} GiB for CUDAGraph memory. Replace gpu_memory_utilization config \
                     with `--kv-cache-memory=1` (16.03 GiB) to fit into requested memory, or `--kv-cache-memory=2` (70.94 GiB) to fully utilize gpu \
                     memory. Current kv cache memory in use is {} GiB.",
                    self.free,
                    self.total,
                    self.utilization,
                    self.requested,
                    self.weights,
                    self.activation,
                    self.non_torch,
                    self.graphs,
                    self.available
                );
                line(&mut log, &who, "gpu_worker.py:835", &text);
            }
        }
        line(&mut log, "", "core.py:293", "init engine (profile, create kv cache, warmup model) took 12.40 seconds");
        log
    }

    /// "No available memory for the cache blocks".
    pub(crate) fn nothing_left(&self) -> String {
        let more = match minor(self.version) {
            ..14 => "",
            14..22 => " See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details.",
            22.. => {
                " (this flag also controls CPU memory reservation on the CPU backend, despite its name). See \
                 https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details."
            }
        };
        let text = format!(
            "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine{}{more}",
            if minor(self.version) < 22 { "." } else { "" }
        );
        format!("{}{text}\n", self.until_cache())
    }

    /// "To serve at least one request …".
    pub(crate) fn too_long(&self, need: f64, have: f64, estimate: u64) -> String {
        let whose = if minor(self.version) < 22 { "models's" } else { "model's" };
        let estimated = match minor(self.version) {
            ..9 => " Based on the available memory, ".to_owned(),
            _ => format!(" Based on the available memory, the estimated maximum model length is {estimate}."),
        };
        format!(
            "{}ValueError: To serve at least one request with the {whose} max seq len ({}), ({need:.2} GiB KV cache is needed, which is larger than \
             the available KV cache memory ({have:.2} GiB).{estimated} Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when \
             initializing the engine.\n",
            self.until_cache(),
            self.max_model_len
        )
    }

    /// "Free memory on device … is less than desired".
    pub(crate) fn too_little_free(&self, free: f64) -> String {
        let device = if minor(self.version) < 14 { "" } else { "cuda:0 " };
        let log = self.until_profile();
        let kept: Vec<&str> = log.lines().filter(|line| !line.contains("memory snapshot") && !line.contains("loading took")).collect();
        format!(
            "{}\nValueError: Free memory on device {device}({free}/{} GiB) on startup is less than desired GPU memory utilization ({}, {} GiB). Decrease \
             GPU memory utilization or reduce GPU memory used by other processes.\n",
            kept.join("\n"),
            self.total,
            self.utilization,
            self.requested
        )
    }

    fn who(&self, rank: u64) -> String {
        match (self.ranks, self.before_0_9()) {
            (1, _) => String::new(),
            (_, true) => format!("(VllmWorker rank={rank} pid={}) ", 211 + rank),
            (_, false) => format!("(Worker_TP{rank} pid={}) ", 211 + rank),
        }
    }
}

fn line(log: &mut String, who: &str, place: &str, text: &str) {
    writeln!(log, "{who}INFO 01-02 03:04:05 [{place}] {text}").expect("a text");
}

fn thousands(number: u64) -> String {
    gpudoctor::units::thousands(number)
}
