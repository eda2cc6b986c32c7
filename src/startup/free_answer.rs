//! Answers where less memory is free than the engine wants, or where free memory changed under it.

use crate::plan::budget::TermName;
use crate::startup::answer::{Answer, Case};
use crate::startup::printed::Printed;
use crate::startup::solve::{self, Change};
use crate::units::Bytes;

/// What a context takes at most where the planner cannot say: the largest that was seen on one card without communicators.
const USUAL_CONTEXT: Bytes = Bytes::from_mib(640);

/// The start check failed.
pub(super) fn too_little(case: &Case<'_>, free: Printed, total: Printed, utilization: f64, requested: Printed) -> Answer {
    let mut answer = Answer::default();
    let (Some(left), Some(all), Some(wanted)) = (free.size(), total.size(), requested.size()) else { return answer };
    answer.statements.push(format!("requested {wanted} = {utilization} × {all}, and {left} were free: {} too much", wanted - left));
    let context = case.rebuilt.and_then(|rebuilt| Some(rebuilt.predicted().budget.term(TermName::Context)?.size.high));
    let context = context.unwrap_or(USUAL_CONTEXT);
    let held = case.run.held_by_others(context).unwrap_or(Bytes::ZERO);
    let ceiling = (left.gib() / all.gib() * 100.0 + 1e-9).floor() / 100.0;
    if held > Bytes::ZERO {
        answer.statements.push(format!("about {held} of the card were held by others, beside the engine's own context"));
    } else {
        answer
            .statements
            .push(format!("no other process held memory worth mentioning: of this card at most {ceiling:.2} can be requested"));
    }
    let computed = case.rebuilt.and_then(|rebuilt| solve::less_utilization(rebuilt, ceiling + 0.005));
    match (computed, case.rebuilt) {
        (Some(change), _) => answer.changes.push(change.noting("the largest that starts with what was free")),
        (None, Some(rebuilt)) => match solve::smallest(rebuilt) {
            Ok(change) => answer.changes.push(change.noting("with what was free")),
            Err(short) => answer.short_by = short,
        },
        (None, None) if ceiling >= 0.01 => {
            let note = "the largest that passes the check with what was free; whether the model fits into it is not in the log";
            answer.changes.push(Change::bare("gpu-memory-utilization", format!("{ceiling:.2}")).noting(note));
        }
        (None, None) => {}
    }
    answer
}

/// Another process gave memory back while the engine measured.
pub(super) fn released(before: Option<Printed>, after: Option<Printed>) -> Answer {
    let mut answer = Answer::default();
    if let Some((before, after)) = before.and_then(Printed::size).zip(after.and_then(Printed::size)) {
        let grown = after - before;
        answer
            .statements
            .push(format!("free memory went from {before} to {after} while the engine measured: another process gave {grown} back"));
    }
    answer
}
