//! A diagnosis of a log for people: the cause first, the lines that show it, what to do.

use crate::diagnose::{Arithmetic, Consequence, Diagnosis, Named, Question, Sighting, Verdict};
use crate::finding::{Evidence, Fix, Risk};
use crate::log::Source;
use crate::report::layout::{self, columns, count, counted, wrap};
use crate::report::{startup, style};

/// The most branches of a fork, or causes beside the first, that are shown.
const SHOWN: usize = 4;

/// The report. Ends with a line break.
pub fn render(diagnosis: &Diagnosis, arithmetic: &Arithmetic, columns: usize) -> String {
    let width = layout::width(columns);
    let mut blocks = match diagnosis.verdict {
        Verdict::Found => found(diagnosis, arithmetic, width),
        Verdict::Ambiguous => ambiguous(diagnosis, arithmetic, width),
        Verdict::NotInThisLog => missing(diagnosis, width),
    };
    blocks.extend(
        arithmetic
            .other
            .as_ref()
            .map(|answer| format!("{}\n{}", style::heading("By the figures of this log"), startup::answer(answer, width).join("\n"))),
    );
    // A start that failed is told by its cause; one that came up has a table.
    blocks.extend(arithmetic.summary.as_ref().filter(|summary| summary.serving).map(|summary| startup::summary(summary, width)));
    blocks.join("\n\n") + "\n"
}

/// What a diagnosis comes to, in one sentence without a full stop.
pub fn sentence(diagnosis: &Diagnosis) -> String {
    match (diagnosis.verdict, diagnosis.causes.as_slice()) {
        (Verdict::Found, [first, ..]) => format!("{} ({})", first.title, place(first, diagnosis)),
        (_, [first, rest @ ..]) if !rest.is_empty() => {
            format!("{} causes are possible, and the log does not decide ({})", rest.len() + 1, place(first, diagnosis))
        }
        (_, [first, ..]) => format!("Perhaps: {} ({})", first.title, place(first, diagnosis)),
        _ => missing_sentence(diagnosis),
    }
}

fn missing_sentence(diagnosis: &Diagnosis) -> String {
    let outcome = &diagnosis.outcome;
    match outcome.ready {
        Some(ready) if diagnosis.is_healthy() => {
            format!("Nothing failed: the server was ready at line {} of {}", count(ready), count(diagnosis.lines))
        }
        _ if !diagnosis.wrappers.is_empty() => {
            format!("The cause is not in this log of {}, which only says that something failed", lines(diagnosis.lines))
        }
        _ if !outcome.failures.is_empty() => format!("No cause is known for what failed in this log of {}", lines(diagnosis.lines)),
        _ => format!("Nothing in this log of {} looks like a failure, and no server got ready", lines(diagnosis.lines)),
    }
}

fn lines(number: u64) -> String {
    if number == 1 { "1 line".to_owned() } else { format!("{} lines", count(number)) }
}

/// `line 118 of 4,012`.
fn place(named: &Named, diagnosis: &Diagnosis) -> String {
    format!("line {} of {}", count(named.first), count(diagnosis.lines))
}

fn found(diagnosis: &Diagnosis, arithmetic: &Arithmetic, width: usize) -> Vec<String> {
    let Some((first, others)) = diagnosis.causes.split_first() else { return Vec::new() };
    let mut head = vec![heading(&first.title, &format!("{}{}", place(first, diagnosis), printed_by(first)), width)];
    head.extend(first.message.as_ref().map(|message| wrap(message, "  ", "  ", width)));
    let mut blocks = vec![head.join("\n"), quotations(&first.lines, width)];
    blocks.extend(decided(first, width));
    blocks.extend(arithmetic.answer(&first.id).map(|answer| startup::answer(answer, width).join("\n")));
    blocks.extend(what_to_do(first, width));
    let rest: Vec<String> = consequences(&first.explains, width).into_iter().chain(also(others, width)).collect();
    if !rest.is_empty() {
        blocks.push(rest.join("\n"));
    }
    blocks.push(style::quiet(&format!("More: gpudoctor explain {}", first.id)));
    blocks
}

fn ambiguous(diagnosis: &Diagnosis, arithmetic: &Arithmetic, width: usize) -> Vec<String> {
    let mut blocks = vec![style::heading(&sentence(diagnosis))];
    let mut quoted: Vec<u64> = Vec::new();
    for (index, named) in diagnosis.causes.iter().take(SHOWN).enumerate() {
        let fresh: Vec<Sighting> = named.lines.iter().filter(|line| !quoted.contains(&line.number)).cloned().collect();
        if !fresh.is_empty() {
            quoted.extend(fresh.iter().map(|line| line.number));
            blocks.push(quotations(&fresh, width));
        }
        let likely = format!("{:.0} %", named.confidence * 100.0);
        let mut block = vec![heading(&format!("{}. {}", index + 1, named.title), &likely, width)];
        block.extend(named.message.as_ref().map(|message| wrap(message, "   ", "   ", width)));
        block.extend(named.question.as_ref().map(|question| asked(question, width)));
        block.extend(arithmetic.answer(&named.id).map(|answer| startup::answer(answer, width).join("\n")));
        block.extend(what_to_do(named, width));
        blocks.push(block.join("\n"));
    }
    blocks
}

fn missing(diagnosis: &Diagnosis, width: usize) -> Vec<String> {
    let mut blocks = vec![style::heading(&missing_sentence(diagnosis))];
    if diagnosis.is_healthy() {
        return blocks;
    }
    for named in diagnosis.wrappers.iter().take(SHOWN) {
        let mut block = vec![quotations(&named.lines, width)];
        block.extend(named.look_for.as_ref().map(|text| wrap(text, "  look for: ", "            ", width)));
        blocks.push(block.join("\n"));
    }
    let known = |line: &Sighting| diagnosis.wrappers.iter().any(|named| named.lines.iter().any(|other| other.number == line.number));
    let unknown: Vec<Sighting> = diagnosis.outcome.failures.iter().filter(|line| !known(line)).cloned().collect();
    if !unknown.is_empty() {
        let head = format!("Looks like a failure that no rule knows ({} in all)", counted(diagnosis.outcome.count as usize, "line"));
        blocks.push(format!("{head}\n{}", quotations(&unknown, width)));
    }
    if diagnosis.wrappers.is_empty() && unknown.is_empty() {
        blocks.push(wrap(
            "capture both streams, from the start of the program to its end: `program > serve.log 2>&1`",
            "  hint: ",
            "        ",
            width,
        ));
    }
    blocks
}

/// A title with a note at the right edge, or below it where both do not fit.
fn heading(title: &str, note: &str, width: usize) -> String {
    let gap = width.saturating_sub(columns(title) + columns(note));
    if gap >= 2 {
        format!("{}{}{}", style::heading(title), " ".repeat(gap), style::quiet(note))
    } else {
        format!("{}\n  {}", wrap(&style::heading(title), "", "  ", width), style::quiet(note))
    }
}

/// `, rank 3 (VllmWorker pid 7)`.
fn printed_by(named: &Named) -> String {
    let Some(Sighting { source, .. }) = named.lines.first() else { return String::new() };
    let Source { container, process, pid, rank } = source;
    let rank = rank.map(|rank| format!("rank {rank}"));
    let process = match (process, pid) {
        (Some(process), Some(pid)) => Some(format!("{process} pid {pid}")),
        (Some(process), None) => Some(process.clone()),
        (None, Some(pid)) => Some(format!("pid {pid}")),
        (None, None) => container.clone(),
    };
    let parts: Vec<String> = [rank, process].into_iter().flatten().collect();
    parts.iter().map(|part| format!(", {part}")).collect()
}

fn quotations(lines: &[Sighting], width: usize) -> String {
    let widest = lines.iter().map(|line| count(line.number).len()).max().unwrap_or(0).max(4);
    let line = |line: &Sighting| {
        let first = format!("  {:>widest$}  ", count(line.number));
        wrap(&line.text, &first, &" ".repeat(widest + 4), width)
    };
    style::each(&lines.iter().map(line).collect::<Vec<_>>().join("\n"), style::quiet)
}

/// The facts of the machine that decided for a cause.
fn decided(named: &Named, width: usize) -> Option<String> {
    let fact = |fact: &Evidence| wrap(&format!("{} is {} ({})", fact.fact, fact.value, fact.source), "  on this machine ", "    ", width);
    let facts: Vec<String> = named.evidence.iter().map(fact).collect();
    (!facts.is_empty()).then(|| facts.join("\n"))
}

fn asked(question: &Question, width: usize) -> String {
    let text = wrap(&question.text, "   ask  ", "        ", width);
    match &question.command {
        Some(command) => format!("{text}\n        {}", style::literal(command)),
        None => text,
    }
}

/// The fixes in order, the command that shows that they worked, and what would make the cause sure.
fn what_to_do(named: &Named, width: usize) -> Option<String> {
    let mut lines: Vec<String> =
        named.fixes.iter().enumerate().map(|(index, fix)| self::fix(fix, index + 1, named.fixes.len(), width)).collect();
    let verify = named.fixes.iter().find_map(|fix| fix.verify.as_ref());
    lines.extend(verify.map(|command| format!("  verify {}", style::literal(command))));
    for need in &named.needs {
        let command = need.command.as_ref().map_or_else(String::new, |command| format!(": {}", style::literal(command)));
        lines.push(wrap(&format!("{}{command}", need.fact), "  to be sure: ", "              ", width));
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn fix(fix: &Fix, number: usize, of: usize, width: usize) -> String {
    let mut notes: Vec<&str> = fix.needs.iter().map(String::as_str).collect();
    if fix.risk == Risk::Risky {
        notes.push("risky");
    }
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
    let number = if of > 1 { format!(" {number}") } else { String::new() };
    let text = wrap(&fix.text, &format!("  fix{number}{notes}  "), "         ", width);
    let command = fix.command.as_ref().map(|command| {
        let lines = command.lines().map(|line| format!("         {}", style::literal(line)));
        lines.collect::<Vec<_>>().join("\n")
    });
    command.map_or_else(|| text.clone(), |command| format!("{text}\n{command}"))
}

fn consequences(explained: &[Consequence], width: usize) -> Option<String> {
    let from = explained.iter().map(|consequence| consequence.first).min()?;
    let to = explained.iter().map(|consequence| consequence.last).max()?;
    let place = if from == to { format!("line {}", count(from)) } else { format!("lines {}-{}", count(from), count(to)) };
    let mut ids: Vec<&str> = explained.iter().map(|consequence| consequence.id.as_str()).collect();
    ids.dedup();
    Some(wrap(&format!("{} ({place})", ids.join(", ")), "Its consequences: ", "  ", width))
}

fn also(others: &[Named], width: usize) -> Vec<String> {
    let other = |named: &Named| wrap(&format!("{} (line {}), {}", named.title, count(named.first), named.id), "Also seen: ", "  ", width);
    others.iter().take(SHOWN).map(other).collect()
}
