//! The launch as the engine prints it: its configuration, the arguments that are no defaults, and, up to 0.8, all of them.
//!
//! These are Python representations with objects in them, so they are split at their own commas and no further.

use serde_json::Value;

use crate::engine::arguments::Arguments;

/// Fields of the configuration that decide memory, and the flags that set them.
const FIELDS: [(&str, &str); 11] = [
    ("model", "model"),
    ("dtype", "dtype"),
    ("max_seq_len", "max-model-len"),
    ("load_format", "load-format"),
    ("tensor_parallel_size", "tensor-parallel-size"),
    ("pipeline_parallel_size", "pipeline-parallel-size"),
    ("data_parallel_size", "data-parallel-size"),
    ("decode_context_parallel_size", "decode-context-parallel-size"),
    ("quantization", "quantization"),
    ("enforce_eager", "enforce-eager"),
    ("kv_cache_dtype", "kv-cache-dtype"),
];

/// Arguments that hold secrets, or nothing that a budget needs; a dump of all arguments has them, too.
const KEPT_OF_ALL: [&str; 24] = [
    "model",
    "model-tag",
    "dtype",
    "quantization",
    "load-format",
    "kv-cache-dtype",
    "max-model-len",
    "max-num-seqs",
    "max-num-batched-tokens",
    "gpu-memory-utilization",
    "kv-cache-memory-bytes",
    "cpu-offload-gb",
    "offload-backend",
    "offload-group-size",
    "offload-num-in-group",
    "offload-prefetch-step",
    "tensor-parallel-size",
    "pipeline-parallel-size",
    "data-parallel-size",
    "enable-expert-parallel",
    "block-size",
    "enforce-eager",
    "disable-custom-all-reduce",
    "cuda-graph-sizes",
];

/// What the engine made of its arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configuration {
    /// The values in effect, under the names of their flags.
    pub effective: Arguments,
    /// Batch sizes that are captured as graphs, ascending; empty where none are, or where the line does not say.
    pub capture_sizes: Vec<u64>,
    /// The graph mode, such as `FULL_AND_PIECEWISE`; printed from 0.10 on.
    pub graph_mode: Option<String>,
    /// Whether a draft model speculates: it has weights and a cache of its own.
    pub speculative: bool,
}

/// Reads what stands behind `with config: `.
pub(super) fn configuration(text: &str) -> Configuration {
    let mut read = Configuration::default();
    for (name, written) in fields(text, '=') {
        if let Some((_, flag)) = FIELDS.iter().find(|(field, _)| *field == name) {
            let written = written.strip_prefix("torch.").unwrap_or(written);
            read.effective.0.extend(value(written).map(|value| (flag.to_string(), given(value))));
        }
        match name {
            "speculative_config" => read.speculative = written != "None",
            "compilation_config" => {
                read.capture_sizes = capture_sizes(written);
                read.graph_mode = graph_mode(written);
            }
            _ => {}
        }
    }
    read
}

/// Reads what stands behind `non-default args: `, a dictionary of what was given.
pub(super) fn non_default(text: &str) -> Arguments {
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.rsplit_once('}')).map_or("", |(inner, _)| inner);
    let mut read = Arguments::default();
    for (name, written) in fields(inner, ':') {
        let name = Arguments::canonical(name.trim_matches(['\'', '"']));
        if is_secret(&name) {
            continue;
        }
        read.0.extend(value(written).map(|value| (name, given(value))));
    }
    if let Some(model) = read.0.shift_remove("model-tag") {
        read.0.entry("model".to_owned()).or_insert(model);
    }
    read
}

/// Reads what stands behind `args: Namespace(`, which up to 0.8 is every argument with its default. Those left at `None` say
/// nothing; the rest is what the budget needs.
pub(super) fn all_arguments(text: &str) -> Arguments {
    let inner = text.rsplit_once(')').map_or(text, |(inner, _)| inner);
    let mut read = Arguments::default();
    for (name, written) in fields(inner, '=') {
        let name = Arguments::canonical(name);
        if KEPT_OF_ALL.contains(&name.as_str()) && written != "False" {
            read.0.extend(value(written).map(|value| (name, given(value))));
        }
    }
    // The positional model stands over the flag's default.
    if let Some(model) = read.0.shift_remove("model-tag") {
        read.0.insert("model".to_owned(), model);
    }
    read
}

/// Whether a flag's value must never be held: keys and tokens.
fn is_secret(name: &str) -> bool {
    ["api-key", "token", "password", "secret", "keyfile"].iter().any(|word| name.contains(word))
}

const fn given(value: Value) -> crate::engine::arguments::Argument {
    crate::engine::arguments::Argument { value, place: None }
}

/// `name=value` or `'name': value` at the outermost level of `text`.
fn fields(text: &str, separator: char) -> impl Iterator<Item = (&str, &str)> {
    split(text).into_iter().filter_map(move |field| {
        let (name, value) = field.split_once(separator)?;
        Some((name.trim(), value.trim()))
    })
}

/// `text` at its own commas: those inside brackets and quotes belong to a value.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[' | '{' | '<') => depth += 1,
            (None, ')' | ']' | '}' | '>') => depth -= 1,
            (None, ',') if depth <= 0 => {
                parts.extend(text.get(start..at));
                start = at + 1;
            }
            (None, _) => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// A Python literal as JSON; `None` for `None` and for what is none.
fn value(written: &str) -> Option<Value> {
    match written {
        "None" | "" => None,
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        _ => quoted(written)
            .map(Value::from)
            .or_else(|| written.parse::<u64>().ok().map(Value::from))
            .or_else(|| written.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number))
            .or_else(|| list(written))
            .or_else(|| written.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')).then(|| written.into())),
    }
}

fn quoted(written: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| written.strip_prefix(quote)?.strip_suffix(quote))
}

/// A list of numbers, such as the sizes to capture.
fn list(written: &str) -> Option<Value> {
    let inner = written.strip_prefix('[')?.strip_suffix(']')?;
    let items: Option<Vec<u64>> = inner.split(',').map(|item| item.trim().parse().ok()).collect();
    items.map(Value::from)
}

/// `cudagraph_capture_sizes`, in whatever quotes.
fn capture_sizes(config: &str) -> Vec<u64> {
    let list = super::printed::after(config, "cudagraph_capture_sizes").and_then(|rest| super::printed::between(rest, "[", "]"));
    let mut sizes: Vec<u64> = list.into_iter().flat_map(|list| list.split(',')).filter_map(|size| size.trim().parse().ok()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// `'cudagraph_mode': <CUDAGraphMode.FULL_AND_PIECEWISE: (2, 1)>`.
fn graph_mode(config: &str) -> Option<String> {
    let rest = super::printed::after(config, "CUDAGraphMode.")?;
    let end = rest.find(|c: char| !(c.is_ascii_uppercase() || c == '_'))?;
    rest.get(..end).filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    // vLLM 0.25.1 prints its configuration so.
    #[test]
    fn a_configuration_has_objects_in_it() {
        let read = configuration(
            "model='Qwen/Qwen3-8B', speculative_config=None, tokenizer='Qwen/Qwen3-8B', dtype=torch.bfloat16, max_seq_len=4096, \
             download_dir=None, load_format=auto, tensor_parallel_size=2, quantization=awq_marlin, enforce_eager=False, kv_cache_dtype=auto, \
             structured_outputs_config=StructuredOutputsConfig(backend='auto', reasoning_parser=''), compilation_config={'mode': \
             <CompilationMode.VLLM_COMPILE: 3>, 'cudagraph_mode': <CUDAGraphMode.FULL_AND_PIECEWISE: (2, 1)>, 'cudagraph_capture_sizes': [1, 2, \
             4, 8, 16], 'max_cudagraph_capture_size': 16}, kernel_config=KernelConfig(moe_backend='auto')",
        );
        let effective = &read.effective;
        assert_eq!(effective.text("model"), Some("Qwen/Qwen3-8B"));
        assert_eq!((effective.text("dtype"), effective.count("max-model-len")), (Some("bfloat16"), Some(4096)));
        assert_eq!((effective.count("tensor-parallel-size"), effective.text("quantization")), (Some(2), Some("awq_marlin")));
        assert_eq!(effective.switch("enforce-eager"), Some(false));
        assert_eq!((read.capture_sizes, read.graph_mode.as_deref()), (vec![1, 2, 4, 8, 16], Some("FULL_AND_PIECEWISE")));
        assert!(!read.speculative);
    }

    // vLLM 0.8.5.post1 prints its compilation as JSON, largest size first.
    #[test]
    fn the_sizes_of_0_8_5_come_largest_first() {
        let read = configuration(
            "model='/models/q', speculative_config=SpeculativeConfig(method='ngram'), enforce_eager=True, \
             compilation_config={\"level\":3,\"use_cudagraph\":true,\"cudagraph_capture_sizes\":[8,4,2,1],\"max_capture_size\":8}",
        );
        assert_eq!((read.capture_sizes, read.graph_mode, read.speculative), (vec![1, 2, 4, 8], None, true));
    }

    #[test]
    fn arguments_that_are_no_defaults_keep_their_types_and_no_secret() {
        let read = non_default(
            "{'model_tag': 'Qwen/Qwen3-8B', 'api_key': ['sk-1'], 'hf_token': 'hf_1', 'max_model_len': 4096, 'gpu_memory_utilization': 0.3, \
             'cudagraph_capture_sizes': [1, 2], 'compilation_config': CompilationConfig(level=3, x={'a': 1}), 'served_model_name': ['it\\'s, 1'], \
             'enforce_eager': True}",
        );
        assert_eq!(read.text("model"), Some("Qwen/Qwen3-8B"));
        assert_eq!((read.count("max-model-len"), read.number("gpu-memory-utilization")), (Some(4096), Some(0.3)));
        assert_eq!((read.flag("enforce-eager"), read.get("cudagraph-capture-sizes")), (true, Some(&Value::from(vec![1_u64, 2]))));
        assert!(read.get("api-key").is_none() && read.get("hf-token").is_none());
    }

    // vLLM 0.8.5.post1 prints every argument with its default.
    #[test]
    fn all_arguments_are_reduced_to_what_was_set() {
        let read = all_arguments(
            "subparser='serve', model_tag='Qwen/Qwen3-8B', config='', host=None, port=8000, api_key='sk-1', model='facebook/opt-125m', \
             task='auto', dtype='bfloat16', max_model_len=1024, tensor_parallel_size=2, swap_space=4, cpu_offload_gb=5.0, \
             gpu_memory_utilization=0.12, max_num_batched_tokens=None, max_num_seqs=256, block_size=None, enforce_eager=False, \
             quantization='bitsandbytes', limit_mm_per_prompt={}, dispatch_function=<function ServeSubcommand.cmd at 0x7f>)",
        );
        assert_eq!(read.text("model"), Some("Qwen/Qwen3-8B"));
        assert_eq!((read.number("cpu-offload-gb"), read.count("max-num-seqs")), (Some(5.0), Some(256)));
        assert!(["api-key", "port", "enforce-eager", "max-num-batched-tokens"].iter().all(|flag| read.get(flag).is_none()), "{read:?}");
    }

    #[test]
    fn torn_lines_are_read_as_far_as_they_go() {
        for text in ["", "{", "}", "{'a", "model='x", "x=[1, 2", "{'a': {'b': [1,", "=,=,", "'''", "{'model': 'x', 'max_model_len': 40"] {
            let _ = (configuration(text), non_default(text), all_arguments(text));
        }
        assert_eq!(configuration("model='Qwen/Qwen3-8B', dtype=torch.flo").effective.text("model"), Some("Qwen/Qwen3-8B"));
    }
}
