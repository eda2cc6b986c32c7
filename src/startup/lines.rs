//! Which line prints which figure, in the words of every vLLM version from 0.6 to 0.33.

use crate::startup::dump;
use crate::startup::failure::{Failure, Phase};
use crate::startup::figures::{Figures, Rank, Run};
use crate::startup::oom::OutOfMemory;
use crate::startup::printed::{Printed, after, between, count, decimal, gib, number, size};

/// Texts of which every line that matters holds at least one, case and all.
pub const LITERALS: &[&str] = &[
    "LLM engine (v",
    "API server version ",
    "vLLM server version ",
    "█  version ",
    "args: ",
    "Model loading took",
    "model weights took",
    "model weights take",
    "Memory profiling",
    "current vLLM instance can use",
    "memory snapshot",
    "worker requested memory",
    "Initial free memory",
    "CPU offloaded parameters",
    "Offloader set to",
    "KV cache memory",
    "KV cache size: ",
    "Maximum concurrency for",
    "CPU blocks: ",
    "CUDA graph",
    "cudagraphs for decoding",
    "raph capturing finished",
    "Free memory on device",
    "for the cache blocks",
    "serve even a single token",
    "max seq len",
    "max model len",
    "auto-fit max_model_len",
    "Auto-fit max_model_len",
    "out of memory",
    "Error in memory profiling",
    "Chunked prefill is enabled",
    "Defaulting max_num",
    "V2 Model Runner",
    "Resolved architecture",
    "tarting to load model",
    "oading model from scratch",
    "startup complete",
    "init engine (profile",
];

/// Takes in one line.
pub(super) fn observe(figures: &mut Figures, line: u64, process: Option<&str>, text: &str) {
    if !LITERALS.iter().any(|literal| text.contains(literal)) {
        return;
    }
    let (key, label) = identity(process, text);
    let seen = Seen { line, key: &key, label: &label, text };
    if is_beginning(text) {
        beginning(figures.begin(line, &label), &seen);
        return;
    }
    let run = figures.current(line);
    if failures(run, &seen) || launch(run, &seen) || cache(run, &seen) || memory(run, &seen) {
        run.last_line = line;
    }
}

/// One line and who printed it.
struct Seen<'a> {
    line: u64,
    key: &'a str,
    label: &'a str,
    text: &'a str,
}

impl Seen<'_> {
    fn size_after(&self, words: &str) -> Option<Printed> {
        size(after(self.text, words)?, self.line)
    }

    fn count_after(&self, words: &str) -> Option<u64> {
        count(after(self.text, words)?)
    }
}

/// A process by its id, which stays while its name changes, and the name: from `(Worker_TP0 pid=1740)`, `VllmWorker rank=0 pid=12`.
fn identity(process: Option<&str>, text: &str) -> (String, String) {
    let bracketed = || between(text, "(", ")").filter(|inner| inner.contains("pid=") && inner.len() < 80);
    let Some(process) = process.filter(|process| !process.is_empty()).or_else(bracketed) else { return Default::default() };
    let id = after(process, "pid=").and_then(count).map(|id| id.to_string());
    let name = process.split("pid=").next().unwrap_or_default().trim_matches([' ', ',', '(', ')']);
    (id.unwrap_or_else(|| process.to_owned()), name.to_owned())
}

fn is_beginning(text: &str) -> bool {
    ["LLM engine (v", "API server version ", "vLLM server version ", "█  version "].iter().any(|words| text.contains(words))
        && !text.contains("Dumping input data")
}

fn beginning(run: &mut Run, seen: &Seen<'_>) {
    let text = seen.text;
    run.last_line = seen.line;
    if let Some(rest) = after(text, "LLM engine (v") {
        run.version = rest.split(')').next().and_then(|version| version.parse().ok()).or_else(|| run.version.take());
        run.legacy = text.contains("a V0 LLM engine") || text.contains("an LLM engine");
        if let Some(config) = after(text, "with config: ") {
            run.configuration = dump::configuration(config);
        }
        return;
    }
    run.server = true;
    let version = ["API server version ", "vLLM server version ", "█  version "].iter().find_map(|words| after(text, words));
    let version = version.and_then(|rest| rest.trim_start_matches(':').split([' ', ',']).find(|word| !word.is_empty()));
    run.version = version.and_then(|version| version.parse().ok()).or_else(|| run.version.take());
}

/// What was asked of the engine.
fn launch(run: &mut Run, seen: &Seen<'_>) -> bool {
    let text = seen.text;
    if let Some(rest) = after(text, "args: Namespace(") {
        run.given = dump::all_arguments(rest);
        run.arguments_seen = true;
    } else if let Some(rest) = after(text, "non-default args: ") {
        run.given = dump::non_default(rest);
        run.arguments_seen = true;
    } else if let Some(length) = seen.count_after("Using max model len ") {
        run.max_model_len = Some(length);
    } else if let Some(length) = after(text, "Auto-fit max_model_len: reduced from").and_then(|rest| after(rest, " to ")).and_then(count) {
        run.max_model_len = Some(length);
    } else if let Some(tokens) = seen.count_after("enabled with max_num_batched_tokens=") {
        run.max_num_batched_tokens = Some(tokens);
    } else if let Some(tokens) = seen.count_after("Defaulting max_num_batched_tokens to ") {
        run.max_num_batched_tokens = Some(tokens);
    } else if let Some(requests) = seen.count_after("Defaulting max_num_seqs to ") {
        run.max_num_seqs = Some(requests);
    } else if text.contains("Using V2 Model Runner") {
        run.second_runner = Some(true);
    } else if let Some(name) = after(text, "Resolved architecture: ") {
        run.architecture = name.split_whitespace().next().map(str::to_owned);
    } else if let Some(name) = after(text, "Offloader set to ") {
        run.offloader = name.split_whitespace().next().filter(|name| !name.starts_with("Noop")).map(str::to_owned);
    } else if text.contains("startup complete") || text.contains("init engine (profile") {
        run.server |= text.contains("startup complete");
        run.serving = true;
    } else {
        return text.contains("load model") || text.contains("from scratch");
    }
    true
}

/// What the cache came to.
fn cache(run: &mut Run, seen: &Seen<'_>) -> bool {
    let text = seen.text;
    let mut found = false;
    // Tokens a second and usage are printed all day; the size is printed once.
    if let Some(tokens) = seen.count_after("KV cache size: ").filter(|_| text.contains("tokens")) {
        run.kv_tokens = Some(run.kv_tokens.map_or(tokens, |least| least.min(tokens)));
        found = true;
    }
    if let Some(rest) = after(text, "Maximum concurrency for ") {
        let times = after(rest, "per request: ").and_then(decimal);
        if let Some((length, times)) = count(rest).zip(times) {
            let least = run.concurrency.map_or(times, |(_, least)| least.min(times));
            run.concurrency = Some((length, least));
            found = true;
        }
    }
    if let Some(blocks) = between(text, "# ", ", # CPU blocks").and_then(|inner| count(after(inner, "blocks: ")?)) {
        run.blocks = Some(run.blocks.map_or(blocks, |least| least.min(blocks)));
        found = true;
    }
    found
}

/// Figures of one worker.
fn memory(run: &mut Run, seen: &Seen<'_>) -> bool {
    let text = seen.text;
    if text.contains("graph memory profiling is") {
        run.graphs_subtracted = Some(text.contains("profiling is enabled"));
    }
    if text.contains("Model loading took") {
        // The file that prints it tells the runner; its V2 lies in a folder of that name.
        let second = text.contains("gpu/model_runner.py").then_some(true);
        run.second_runner = run.second_runner.or(second).or_else(|| text.contains("gpu_model_runner.py").then_some(false));
    }
    let Some(rank) = run.rank(seen.key, seen.label) else { return false };
    let before = rank.clone();
    worker(rank, seen);
    *rank != before || text.contains("raph capturing")
}

fn worker(rank: &mut Rank, seen: &Seen<'_>) {
    let (text, line) = (seen.text, seen.line);
    if let Some(rest) = ["Model loading took", "model weights took"].iter().find_map(|words| after(text, words)) {
        rank.weights = size(rest, line).or(rank.weights);
        rank.load_seconds = after(rest, " and ").and_then(decimal);
    } else if let Some(rest) = after(text, "Total CPU offloaded parameters: ") {
        rank.offloaded = gib(rest, line);
    } else if let Some(rest) = ["Available KV cache memory: ", "vailable KV cache memory ("].iter().find_map(|words| after(text, words)) {
        rank.available = size(rest, line).or(rank.available);
    } else if let Some(rest) = after(text, "raph capturing finished in ") {
        rank.graph_seconds = decimal(rest);
        rank.graphs = after(rest, "took ").and_then(|rest| size(rest, line)).or(rank.graphs);
    } else if let Some(rest) = after(text, "Estimated CUDA graph memory: ") {
        rank.graph_estimate = size(rest, line).filter(|_| rest.contains("total")).or(rank.graph_estimate);
    } else if let Some(rest) = after(text, "CUDA graph pool memory: ") {
        rank.graphs = size(rest, line).or(rank.graphs);
        rank.graph_estimate = after(rest, "(actual), ").and_then(|rest| size(rest, line)).or(rank.graph_estimate);
    } else if let Some(rest) = after(text, "The current --gpu-memory-utilization=") {
        rank.utilization = decimal(rest);
    } else if text.contains("CUDA graph") && text.contains("Capturing") {
        rank.captured = progress(text).or(rank.captured).or(Some((0, 0)));
    } else if let Some(rest) = after(text, "memory snapshot: ") {
        rank.free_at_start = after(rest, "free_memory=").and_then(|rest| size(rest, line));
        rank.total = after(rest, "total_memory=").and_then(|rest| size(rest, line));
    } else if let Some(rest) = after(text, "worker requested memory: ") {
        rank.requested = size(rest, line);
    } else if let Some(rest) = after(text, "Free memory on device ").filter(|_| text.contains("Actual usage is")) {
        usage(rank, rest, line);
    } else {
        profile(rank, seen);
    }
}

/// `… (78.66/79.18 GiB) on startup. Desired GPU memory utilization is (0.3, 23.75 GiB). Actual usage is …`, 0.10.2 and later.
fn usage(rank: &mut Rank, text: &str, line: u64) {
    if let Some((free, total)) = free_of_total(text, line) {
        (rank.free_at_start, rank.total) = (Some(free), Some(total));
    }
    if let Some(rest) = after(text, "utilization is (") {
        rank.utilization = decimal(rest);
        rank.requested = after(rest, ", ").and_then(|rest| size(rest, line));
    }
    let Some(used) = after(text, "Actual usage is ") else { return };
    let before = |words: &str| used.find(words).and_then(|at| gib(last_number(used.get(..at)?)?, line));
    rank.weights = before(" GiB for weight,").or(rank.weights);
    rank.consumed = before(" GiB for consumed memory");
    rank.activation_peak = before(" GiB for peak activation");
    rank.peak_of_usage = rank.activation_peak.is_some();
    rank.non_torch = before(" GiB for non-torch memory");
    rank.graphs = before(" GiB for CUDAGraph memory").or(rank.graphs);
}

/// What the profile run found, in the words of four generations.
fn profile(rank: &mut Rank, seen: &Seen<'_>) {
    let (text, line) = (seen.text, seen.line);
    let at = |words: &str| seen.size_after(words);
    // 0.6: one line of `name=value`; 0.7 and 0.8: three lines; from 0.9.1 on: one line of the debug level.
    rank.total = at("total_gpu_memory=").or_else(|| at("total_gpu_memory (")).or(rank.total);
    rank.utilization = after(text, "x gpu_memory_utilization (")
        .or_else(|| after(text, " gpu_memory_utilization="))
        .and_then(decimal)
        .or(rank.utilization);
    rank.requested = after(text, "x gpu_memory_utilization (").and_then(|rest| size(after(rest, ") = ")?, line)).or(rank.requested);
    rank.weights = at("model weights take ").or_else(|| at("; weights memory: ")).or(rank.weights);
    rank.non_torch = at("non_torch_memory takes ")
        .or_else(|| at("non_torch_memory="))
        .or_else(|| at("non-torch forward increase memory: "))
        .or(rank.non_torch);
    rank.activation_peak = at("activation peak memory takes ").or_else(|| at("torch peak memory increase: ")).or(rank.activation_peak);
    rank.consumed = at("total consumed (from mem_get_info): ").or(rank.consumed);
    rank.available = at("reserved for KV Cache is ").or_else(|| at("kv_cache_size=")).or(rank.available);
    if let Some(rest) = after(text, "Initial free memory: ") {
        rank.free_at_start = size(rest, line).or(rank.free_at_start);
        rank.utilization = after(rest, "Requested memory: ").and_then(decimal).or(rank.utilization);
        rank.requested = after(rest, "(util), ").and_then(|rest| size(rest, line)).or(rank.requested);
    }
}

fn failures(run: &mut Run, seen: &Seen<'_>) -> bool {
    let (text, line) = (seen.text, seen.line);
    // A log can quote the source of the exception beside the exception: only the sentence with its figures counts.
    let failure = if text.contains("No available memory for the cache blocks. Try") {
        Some(Failure::NothingLeft { line })
    } else if text.contains("to serve even a single token") {
        Some(Failure::NothingFits { line })
    } else if text.contains("GiB KV cache is needed") {
        request_too_long(text, line)
    } else if text.contains("is larger than the maximum number of tokens") {
        let length = between(text, "max seq len (", ")").and_then(count);
        let tokens = after(text, "stored in KV cache (").and_then(count);
        length.zip(tokens).map(|(length, tokens)| Failure::TooFewTokens { length, tokens, line })
    } else if text.contains("is less than desired GPU memory utilization") {
        too_little_free(text, line)
    } else if text.contains("Error in memory profiling") {
        let [before, after] =
            ["Initial free memory ", "current free memory "].map(|words| after(text, words).and_then(|rest| size(rest, line)));
        Some(Failure::Released { before, after, line })
    } else if text.contains("when warming up sampler with") {
        seen.count_after("warming up sampler with ").map(|requests| Failure::Sampler { requests, line })
    } else {
        OutOfMemory::read(text, line).filter(OutOfMemory::is_sound).map(|message| {
            let phase = phase(run, seen.key, &message);
            Failure::OutOfMemory { message: Box::new(message), phase, process: seen.key.to_owned() }
        })
    };
    let Some(failure) = failure else { return false };
    run.failures.push(failure);
    true
}

fn request_too_long(text: &str, line: u64) -> Option<Failure> {
    let rest = after(text, "max seq len (")?;
    Some(Failure::RequestTooLong {
        length: count(rest)?,
        need: size(after(rest, "), (")?, line)?,
        have: size(after(rest, "KV cache memory (")?, line)?,
        estimate: after(rest, "estimated maximum model length is ").and_then(count).filter(|length| *length > 0),
    })
}

fn too_little_free(text: &str, line: u64) -> Option<Failure> {
    let (free, total) = free_of_total(after(text, "Free memory on device ")?, line)?;
    let rest = after(text, "GPU memory utilization (")?;
    let requested = size(after(rest, ", ")?, line)?;
    Some(Failure::TooLittleFree { free, total, utilization: decimal(rest).filter(|share| (0.0..=1.0).contains(share))?, requested })
}

/// `(7.34/139.72 GiB)`, from 0.14 on after the name of the device.
fn free_of_total(text: &str, line: u64) -> Option<(Printed, Printed)> {
    let (free, total) = between(text, "(", ")")?.split_once('/')?;
    Some((gib(free, line)?, size(total, line)?))
}

/// `45/67` in a progress bar.
fn progress(text: &str) -> Option<(u64, u64)> {
    let (head, tail) = text.split_once('/')?;
    let done = last_number(head)?;
    let (all, _) = number(tail)?;
    Some((done.parse().ok()?, all.parse().ok()?)).filter(|(done, all)| done <= all)
}

/// The number that `text` ends with.
fn last_number(text: &str) -> Option<&str> {
    let head = text.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    text.get(head.len()..).filter(|number| !number.is_empty())
}

/// How far the start of this process has come.
fn phase(run: &Run, key: &str, message: &OutOfMemory) -> Phase {
    let rank = run.ranks.get(key).or_else(|| run.tightest());
    let has = |figure: fn(&Rank) -> bool| rank.is_some_and(figure);
    // Other programs print torch's message, too, and serve with the same web server.
    if !run.is_engine() {
        return Phase::Unknown;
    }
    let captures = message.in_pools.is_some_and(|pools| pools.bytes > 0);
    if run.serving {
        Phase::Serving
    } else if has(|rank| rank.graphs.is_some()) {
        Phase::WarmingUp
    } else if captures || has(|rank| rank.captured.is_some()) {
        Phase::Capturing
    } else if run.kv_tokens.is_some() || run.blocks.is_some() || has(|rank| rank.available.is_some()) {
        Phase::Allocating
    } else if has(|rank| rank.weights.is_some()) {
        Phase::Profiling
    } else {
        Phase::Loading
    }
}

#[cfg(test)]
mod tests;
