//! Sizes that contradict each other, the model or the engine.

use super::line::{Found, Lines};
use crate::catalog::FlagType;
use crate::engine::launch::{Runner, UsageContext};
use crate::finding::{Fix, Severity};
use crate::model::spec::{Mixer, ModelSpec};

pub(super) fn judge(lines: &Lines<'_>) -> Vec<Found> {
    let rules = [utilization, positive_sizes, batched_below_sequences, batched_below_context, beyond_model, block_size, fixed_cache];
    rules.iter().filter_map(|rule| rule(lines)).collect()
}

/// The engine takes this share of the device; what it does not count needs the rest.
fn utilization(lines: &Lines<'_>) -> Option<Found> {
    let flag = "gpu-memory-utilization";
    let share = lines.number(flag)?;
    let source = "vllm/config/cache.py, gpu_memory_utilization";
    if !(share > 0.0 && share <= 1.0) {
        let text = format!("`{share}` is outside (0, 1]; it is the share of the device's memory, and vLLM refuses to start");
        let percent = (share > 1.0 && share <= 100.0).then(|| format!("{flag}: {}", share / 100.0));
        let found = lines.found("value-not-allowed", Severity::Error, flag, &text).because("vllm.limit", "0 < share <= 1", source);
        return Some(found.line("write a share", percent.unwrap_or_else(|| format!("{flag}: 0.9"))));
    }
    if share <= 0.95 {
        return None;
    }
    let outside = if lines.since("0.11.0") {
        "the CUDA context, NCCL and what CUDA graphs take beyond their estimate lie outside this share"
    } else if lines.since("0.9.1") {
        "the CUDA context and CUDA graphs lie outside this share"
    } else {
        "CUDA graphs lie outside this share, and other processes on the device count inside it"
    };
    let text = format!(
        "leaves {:.1} % of the device free; {outside}, so the engine can run out of memory after it has started",
        (1.0 - share) * 100.0
    );
    Some(lines.found("memory-utilization-high", Severity::Warning, flag, &text).line("leave room", format!("{flag}: 0.92")))
}

fn positive_sizes(lines: &Lines<'_>) -> Option<Found> {
    let flags = ["max-num-seqs", "max-num-batched-tokens", "max-model-len", "tensor-parallel-size", "pipeline-parallel-size", "block-size"];
    flags.into_iter().find_map(|flag| {
        let number = lines.number(flag)?;
        let searched = flag == "max-model-len" && (number + 1.0).abs() < f64::EPSILON && lines.since("0.14.0");
        let text = format!("`{number}` is no size; at least 1 is needed");
        (number < 1.0 && !searched).then(|| {
            lines
                .found("value-not-allowed", Severity::Error, flag, &text)
                .fix(Fix::edit("write 1 or more, or delete the line for the default"))
        })
    })
}

fn batched_below_sequences(lines: &Lines<'_>) -> Option<Found> {
    let (tokens, sequences) = (lines.number("max-num-batched-tokens")?, lines.number("max-num-seqs")?);
    if tokens >= sequences || tokens < 1.0 {
        return None;
    }
    let text = format!(
        "`{tokens}` is less than max-num-seqs `{sequences}`; each running request needs one token a step, and vLLM refuses to start"
    );
    let found = lines.found("batched-tokens-below-sequences", Severity::Error, "max-num-batched-tokens", &text);
    Some(
        found
            .because("vllm.max-num-seqs", sequences, "the same configuration")
            .because("vllm.limit", "max_num_batched_tokens >= max_num_seqs", "vllm/config/scheduler.py")
            .line("raise it", format!("max-num-batched-tokens: {}", sequences.max(512.0))),
    )
}

/// Without chunked prefill a prompt is computed in one step.
fn batched_below_context(lines: &Lines<'_>) -> Option<Found> {
    let (tokens, context) = (lines.number("max-num-batched-tokens")?, lines.number("max-model-len")?);
    if tokens >= context || tokens < 1.0 || !chunked_prefill_is_off(lines) {
        return None;
    }
    let text = format!(
        "`{tokens}` is less than max-model-len `{context}` with chunked prefill off; a prompt must fit into one step, and vLLM refuses to start"
    );
    let found = lines.found("batched-tokens-below-context", Severity::Error, "max-num-batched-tokens", &text);
    Some(
        found
            .because("vllm.max-model-len", context, "the same configuration")
            .because("vllm.limit", "max_num_batched_tokens >= max_model_len", "vllm/config/scheduler.py")
            .line("raise it", format!("max-num-batched-tokens: {context}"))
            .fix(Fix::edit("or delete the line that turns chunked prefill off")),
    )
}

/// V1 before 0.11 sets chunked prefill on whatever is asked, and files cannot say `false` before 0.28.
fn chunked_prefill_is_off(lines: &Lines<'_>) -> bool {
    let negated = lines.is_on("no-enable-chunked-prefill") || lines.is_on("disable-chunked-prefill");
    let in_file = lines.args.place("enable-chunked-prefill").is_some_and(|place| place.line > 0);
    let said_false = lines.given("enable-chunked-prefill") == Some(&serde_json::Value::Bool(false)) && (!in_file || lines.since("0.28.0"));
    lines.since("0.11.0") && (negated || said_false)
}

fn beyond_model(lines: &Lines<'_>) -> Option<Found> {
    let (context, model) = (lines.number("max-model-len")?, lines.context.model?);
    let limit = model.context_length as f64;
    let rescaled = ["hf-overrides", "rope-scaling", "rope-theta"].iter().any(|flag| lines.given(flag).is_some());
    if context <= limit || limit < 1.0 || rescaled {
        return None;
    }
    let allowed = lines.env.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN").is_some_and(|value| matches!(value.trim(), "1" | "true"));
    let (severity, what) = if allowed {
        (Severity::Warning, "VLLM_ALLOW_LONG_MAX_MODEL_LEN lets it pass, and output beyond the model's length is noise")
    } else {
        (Severity::Error, "vLLM refuses to start")
    };
    let text = format!("`{context}` is beyond the model's {limit} tokens; {what}");
    let found = lines.found("context-beyond-model", severity, "max-model-len", &text);
    Some(
        found
            .because("model.context-length", limit, &model.id)
            .line("use the model's own", format!("max-model-len: {limit}"))
            .fix(Fix::edit("or give the rope scaling of the model card in hf-overrides")),
    )
}

/// Attention kernels work on blocks of 16 tokens and multiples of them; some models get another block whatever is asked.
fn block_size(lines: &Lines<'_>) -> Option<Found> {
    let flag = "block-size";
    let tokens = lines.number(flag).filter(|tokens| *tokens >= 1.0)?;
    if lines.runner == Some(Runner::V0) {
        return None;
    }
    let forced = lines.context.model.and_then(|model| forced_block(lines, model));
    if let Some(why) = forced {
        return Some(lines.found("flag-without-effect", Severity::Warning, flag, why).fix(Fix::edit("delete the line")));
    }
    if tokens % 16.0 != 0.0 {
        let text = format!("`{tokens}` is no multiple of 16; the attention kernels of the V1 engine refuse it when the model is loaded");
        let source = "vllm/v1/attention/backends/flash_attn.py, get_kv_cache_shape";
        let found = lines.found("value-not-allowed", Severity::Error, flag, &text).because("vllm.limit", "multiple of 16", source);
        return Some(found.line("write", "block-size: 16"));
    }
    let is_sixteen = (tokens - 16.0).abs() < f64::EPSILON;
    let text = if is_sixteen {
        "16 tokens is what the engine chooses by itself; the line changes nothing".to_owned()
    } else {
        format!(
            "{tokens} tokens a KV block instead of 16: a request wastes up to {} tokens of its last block; neither speed nor memory gain",
            tokens - 1.0
        )
    };
    Some(lines.found(if is_sixteen { "flag-is-default" } else { "flag-explained" }, Severity::Info, flag, &text))
}

fn forced_block(lines: &Lines<'_>, model: &ModelSpec) -> Option<&'static str> {
    if model.is_hybrid() && lines.since("0.10.2") {
        Some("the engine enlarges the blocks of hybrid models until they match the recurrent state; the line has no effect")
    } else if model.layers.iter().any(|layer| matches!(layer.mixer, Mixer::Latent { .. })) {
        Some("the latent-attention kernel dictates its own block size (64 for FlashMLA); the line has no effect where it differs")
    } else {
        None
    }
}

/// A fixed KV size makes the share of the device matter only for the check at start.
fn fixed_cache(lines: &Lines<'_>) -> Option<Found> {
    let fixed = lines.given("kv-cache-memory-bytes").filter(|value| !value.is_null())?;
    lines.given("gpu-memory-utilization")?;
    let takes_bytes = lines.span("kv-cache-memory-bytes").is_some_and(|span| span.takes != FlagType::String);
    let starts = if lines.context.usage == UsageContext::Serve { "the server" } else { "`LLM`" };
    let text =
        format!("with kv-cache-memory-bytes it no longer sizes the KV cache; it is only the free memory that {starts} checks for at start");
    takes_bytes.then(|| {
        lines.found("flag-without-effect", Severity::Info, "gpu-memory-utilization", &text).because(
            "vllm.kv-cache-memory-bytes",
            super::line::plain(fixed),
            "the same configuration",
        )
    })
}
