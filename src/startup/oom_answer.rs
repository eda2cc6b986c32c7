//! Answers where an allocation failed: in which phase, what held the memory, and which way the utilisation must go.

use serde_json::json;

use crate::plan::budget::TermName;
use crate::startup::answer::{Answer, Case};
use crate::startup::failure::Phase;
use crate::startup::oom::OutOfMemory;
use crate::startup::printed::Printed;
use crate::startup::solve::{self, Change};
use crate::units::Bytes;

/// A failed allocation of torch.
pub(super) fn out_of_memory(case: &Case<'_>, message: &OutOfMemory, phase: Phase) -> Answer {
    let mut answer = Answer::default();
    what_held(message, phase, &mut answer);
    others(message, &mut answer);
    fragmented(message, &mut answer);
    match phase {
        Phase::Loading => loading(case, &mut answer),
        Phase::Profiling => profiling(case, &mut answer),
        Phase::Allocating | Phase::Capturing | Phase::WarmingUp | Phase::Serving => after_profile(case, message, phase, &mut answer),
        Phase::Unknown => {}
    }
    answer
}

/// The sampler's own message, with the allocation behind it where the log has it.
pub(super) fn sampler(case: &Case<'_>, requests: u64, message: Option<&OutOfMemory>) -> Answer {
    if let Some(message) = message {
        let mut answer = out_of_memory(case, message, Phase::WarmingUp);
        answer.statements.push(format!("the sampler was warmed up with {requests} requests, outside the requested size"));
        return answer;
    }
    let mut answer = Answer::default();
    answer.statements.push(format!("the sampler's buffers for {requests} requests did not fit beside the KV cache"));
    down(case, None, Phase::WarmingUp, &mut answer);
    answer
}

/// What was asked for, and who held the rest.
fn what_held(message: &OutOfMemory, phase: Phase, answer: &mut Answer) {
    let size = |printed: Option<Printed>| printed.and_then(Printed::size);
    let Some(tried) = size(message.tried) else { return };
    let of = match (size(message.free), size(message.total)) {
        (Some(free), Some(total)) => format!("; {free} of {total} were free"),
        (Some(free), None) => format!("; {free} were free"),
        _ => String::new(),
    };
    answer.statements.push(format!("{tried} were asked for {}{of}", phase.phrase()));
    let Some(allocated) = size(message.allocated) else { return };
    let pools = size(message.in_pools)
        .filter(|pools| *pools > Bytes::ZERO)
        .map_or_else(String::new, |pools| format!(", {pools} of it in graph pools"));
    let kept = size(message.unallocated).map_or_else(String::new, |kept| format!(", {kept} kept unused"));
    let outside = message.outside_torch().map_or_else(String::new, |rest| {
        let what = if phase >= Phase::Capturing { "context, communicators and captured graphs" } else { "context and communicators" };
        format!(", {rest} outside torch ({what})")
    });
    let all = size(message.in_use).map_or_else(|| "torch held".to_owned(), |all| format!("this process held {all}:"));
    answer.statements.push(format!("{all} {allocated} in tensors{pools}{kept}{outside}"));
}

/// What other processes held.
fn others(message: &OutOfMemory, answer: &mut Answer) {
    let Some(held) = message.held_by_others().filter(|held| *held > Bytes::ZERO) else { return };
    let enough = message.short_by().is_some_and(|short| short <= held);
    let end = if enough { ", and without them it would have fitted" } else { ", which alone does not explain it" };
    answer.statements.push(format!("other processes held {held}{end}"));
}

/// Memory that torch keeps and cannot use is mended by its allocator's setting.
fn fragmented(message: &OutOfMemory, answer: &mut Answer) {
    let kept = message.unallocated.and_then(Printed::size).zip(message.tried.and_then(Printed::size));
    if let Some((kept, tried)) = kept.filter(|(kept, tried)| kept >= tried) {
        answer.changes.push(Change {
            settings: Vec::new(),
            env: vec![("PYTORCH_CUDA_ALLOC_CONF".to_owned(), "expandable_segments:True".to_owned())],
            cache: None,
            note: Some(format!("torch kept {kept} unused, in pieces smaller than the {tried} that were asked for")),
        });
    }
}

/// Weights do not fit: utilisation plays no part, since the cache is sized after them.
fn loading(case: &Case<'_>, answer: &mut Answer) {
    answer.statements.push("gpu-memory-utilization plays no part here: it bounds the KV cache, which comes after the weights".to_owned());
    if case.mend_offload(answer) && !answer.changes.is_empty() {
        return;
    }
    let Some(rebuilt) = case.rebuilt else { return };
    let evaluation = rebuilt.with(&[]);
    let term = |name| evaluation.budget.term(name).map_or(Bytes::ZERO, |term| term.size.expected);
    let (weights, context) = (term(TermName::Weights), term(TermName::Context));
    let room = rebuilt.devices.limit - context;
    answer.statements.push(format!("the weights take {weights} on each card, and {room} are there beside the context"));
    let ranks = evaluation.launch.parallel.tensor;
    for tensor in [2, 4, 8].into_iter().filter(|tensor| *tensor > ranks) {
        let split = rebuilt.on_more_cards(tensor);
        if solve::starts(&split) {
            let note = format!(
                "on {tensor} such cards: {} of weights on each",
                split.budget.term(TermName::Weights).map_or(Bytes::ZERO, |term| term.size.expected)
            );
            answer.changes.push(Change::evaluated(&[("tensor-parallel-size", json!(tensor))], &split).noting(note));
            break;
        }
    }
    let more = (1..=512_u64).find_map(|gib| {
        let settings = [("cpu-offload-gb", json!(gib))];
        let evaluation = rebuilt.with(&settings);
        solve::starts(&evaluation).then(|| {
            let note = format!("{} in host memory, which every token reads over the host link", evaluation.budget.offloaded);
            Change::evaluated(&settings, &evaluation).noting(note)
        })
    });
    answer.changes.extend(more);
    if answer.changes.is_empty() && weights > room {
        answer.short_by = Some(weights - room);
    }
}

/// The largest step does not fit beside the weights.
fn profiling(case: &Case<'_>, answer: &mut Answer) {
    answer.statements.push("gpu-memory-utilization plays no part here: the profile run comes before the KV cache is sized".to_owned());
    let Some((text, evaluation)) = case.taken() else { return };
    answer.statements.push(text);
    let Some(rebuilt) = case.rebuilt else { return };
    let tokens = solve::batched_tokens(rebuilt);
    let requests = solve::sequences(rebuilt);
    // The larger of the two peaks is what must come down.
    let sampler = evaluation.budget.term(TermName::ActivationPeak).is_some_and(|term| term.note.contains("sampler"));
    if sampler {
        answer.changes.extend(requests.into_iter().chain(tokens));
    } else {
        answer.changes.extend(tokens.into_iter().chain(requests));
    }
    if answer.changes.is_empty() {
        match solve::smallest(rebuilt) {
            Ok(change) => answer.changes.push(change.noting("no one setting is enough")),
            Err(short) => answer.short_by = short,
        }
    }
}

/// The cache has its share, and what comes after it does not fit: the utilisation must go down.
fn after_profile(case: &Case<'_>, message: &OutOfMemory, phase: Phase, answer: &mut Answer) {
    down(case, Some(message), phase, answer);
}

fn down(case: &Case<'_>, message: Option<&OutOfMemory>, phase: Phase, answer: &mut Answer) {
    let what = match phase {
        Phase::Capturing => "captured graphs, which lie outside it",
        Phase::WarmingUp => "the sampler's buffers, which lie outside it",
        Phase::Serving => "a step that took more than the profile run",
        _ => "what comes after it",
    };
    answer.statements.push(format!("gpu-memory-utilization must go down: the KV cache took what is needed for {what}"));
    let utilization = case.run.utilization();
    let shortage = message.and_then(OutOfMemory::short_by);
    let by_log = lowered(utilization, shortage, case.total());
    let computed = case.rebuilt.and_then(|rebuilt| {
        let now = rebuilt.predicted().launch.gpu_memory_utilization;
        solve::less_utilization(rebuilt, by_log.map_or(now, |share| share + 0.005))
    });
    if let Some(rebuilt) = case.rebuilt {
        // Most is won where it costs least: requests that the cache cannot serve anyway.
        if phase == Phase::WarmingUp {
            answer.changes.extend(solve::sequences(rebuilt));
        }
        if phase == Phase::Capturing {
            graphs(rebuilt, answer);
        }
    }
    match (computed, by_log, utilization, shortage) {
        (Some(change), ..) => answer.changes.push(change.noting("at most: with it every term fits at its high end")),
        (None, Some(share), ..) => {
            answer.changes.push(
                Change::bare("gpu-memory-utilization", format!("{share:.2}"))
                    .noting("at most: it makes room for this allocation, and what follows it may need more"),
            );
        }
        (None, None, None, Some(short)) => {
            answer.statements.push(format!("it must ask for at least {short} less; the log does not show how much it asked for"))
        }
        _ => {}
    }
    if let Some(change) = case.rebuilt.and_then(solve::eager).filter(|_| phase == Phase::Capturing) {
        answer.changes.push(change);
    }
}

/// What graphs take in all, by the planner.
fn graphs(rebuilt: &crate::startup::rebuilt::Rebuilt<'_>, answer: &mut Answer) {
    let evaluation = rebuilt.predicted();
    let Some(term) = evaluation.budget.term(TermName::CudaGraphs).filter(|term| term.size.expected > Bytes::ZERO) else { return };
    let sizes = evaluation.launch.capture_sizes.len();
    answer.statements.push(format!("all graphs of {sizes} sizes take about {} (at most {})", term.size.expected, term.size.high));
}

/// The utilisation that leaves room for what was missing, in whole hundredths.
fn lowered(utilization: Option<f64>, shortage: Option<Bytes>, total: Option<Bytes>) -> Option<f64> {
    let (utilization, total) = (utilization?, total.filter(|total| *total > Bytes::ZERO)?);
    let share = ((utilization - shortage?.gib() / total.gib()) * 100.0 + 1e-9).floor() / 100.0;
    // Where nothing was missing by the figures, fragments were: one hundredth less is the least that changes anything.
    let share = share.min(((utilization - 0.01) * 100.0).round() / 100.0);
    (share >= 0.01).then_some(share)
}
