//! The answer as one sentence, the same in every format.

use crate::finding::Severity;
use crate::plan::outcome::{Decode, Plan, Verdict};
use crate::report::layout::{counted, rate, size};

/// The verdict: what it is, and what it costs or lacks.
pub fn sentence(plan: &Plan) -> String {
    match plan.verdict {
        Verdict::Fits => fits(plan),
        Verdict::FitsWithOffload => fits_with_offload(plan),
        Verdict::DoesNotFit => does_not_fit(plan),
        Verdict::Invalid => invalid(plan),
    }
}

fn fits(plan: &Plan) -> String {
    let per_device = if plan.devices.count > 1 { " on each GPU" } else { "" };
    let memory = plan.budget.as_ref().map_or_else(String::new, |budget| {
        format!(": nvidia-smi will show {} of {}{per_device}", size(budget.device_used.expected), size(plan.devices.limit))
    });
    let speed = speeds(plan).map_or_else(String::new, |speed| format!("; about {speed} for one request"));
    format!("Fits{memory}{speed}.")
}

fn fits_with_offload(plan: &Plan) -> String {
    let host = plan.budget.as_ref().map_or_else(String::new, |budget| size(budget.offloaded));
    let speed = speeds(plan).map_or_else(String::new, |speed| format!(": about {speed}"));
    format!("Fits, with {host} of the weights in host memory{speed}.")
}

fn does_not_fit(plan: &Plan) -> String {
    match (plan.reasons.iter().filter_map(|reason| reason.short_by).max(), plan.reasons.first()) {
        (Some(short), _) => format!("Does not fit: short by {}.", size(short)),
        (None, Some(reason)) => format!("Does not fit: {}.", reason.message),
        (None, None) => "Does not fit.".to_owned(),
    }
}

fn invalid(plan: &Plan) -> String {
    let errors = plan.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match (errors, plan.reasons.first()) {
        (0, Some(reason)) => format!("Does not start as it is: {}.", reason.message),
        (0, None) => "Does not start as it is.".to_owned(),
        (errors, _) => format!("Does not start as it is: {}.", counted(errors, "error")),
    }
}

/// The speed of the smallest batch: "1.4 tokens/s on PCIe 5.0, 0.7 on 4.0", one figure a host link.
fn speeds(plan: &Plan) -> Option<String> {
    let decode = &plan.performance.decode;
    let batch = decode.iter().map(|decode| decode.batch).min()?;
    let mut text = String::new();
    for decode in decode.iter().filter(|decode| decode.batch == batch) {
        if text.is_empty() {
            text = format!("{} tokens/s", rate(decode.tokens_per_second));
            if let Some(link) = link(decode) {
                text.push_str(&format!(" on {link}"));
            }
        } else if let Some(link) = link(decode) {
            text.push_str(&format!(", {} on {}", rate(decode.tokens_per_second), link.trim_start_matches("PCIe ")));
        }
    }
    if plan.performance.source.is_some() {
        text.push_str(", by rates measured on this card");
    }
    Some(text)
}

/// The host link without its width: "PCIe 5.0".
fn link(decode: &Decode) -> Option<&str> {
    decode.host_link.as_deref().map(|link| link.split(" x").next().unwrap_or(link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn each_verdict_is_one_sentence() {
        let mut plan = sample::plan();
        assert_eq!(
            sentence(&plan),
            "Fits, with 33.1 GiB of the weights in host memory: about 1.4 tokens/s on PCIe 5.0, 0.7 on 4.0, 0.35 on 3.0."
        );
        plan.verdict = Verdict::DoesNotFit;
        assert_eq!(sentence(&plan), "Does not fit: short by 31.5 GiB.");
        plan.verdict = Verdict::Invalid;
        assert_eq!(sentence(&plan), "Does not start as it is: without offload it is 31.5 GiB short.");
        plan.findings[0].severity = Severity::Error;
        assert_eq!(sentence(&plan), "Does not start as it is: 1 error.");
        plan.verdict = Verdict::Fits;
        plan.performance.decode.truncate(1);
        plan.performance.decode[0].host_link = None;
        assert_eq!(sentence(&plan), "Fits: nvidia-smi will show 6.95 GiB of 7 GiB; about 1.4 tokens/s for one request.");
    }
}
