//! A diagnosis of a log for people: the cause first, the lines that show it, the fixes.

use crate::diagnose::{Diagnosis, Named, Verdict};
use crate::finding::{Fix, Risk};
use crate::report::layout::{self, wrap};
use crate::report::style;

/// The report. Ends with a line break.
pub fn render(diagnosis: &Diagnosis, columns: usize) -> String {
    let width = layout::width(columns);
    let mut blocks = Vec::new();
    match diagnosis.verdict {
        Verdict::Found => blocks.extend(diagnosis.causes.first().map(|named| block(named, diagnosis, width))),
        Verdict::Ambiguous => blocks.extend(diagnosis.causes.iter().take(3).map(|named| block(named, diagnosis, width))),
        Verdict::NotInThisLog => blocks.push("The cause is not in this log".to_owned()),
    }
    if diagnosis.verdict == Verdict::NotInThisLog {
        blocks.extend(diagnosis.wrappers.iter().map(|named| block(named, diagnosis, width)));
    }
    blocks.join("\n\n") + "\n"
}

fn block(named: &Named, diagnosis: &Diagnosis, width: usize) -> String {
    let place = format!(" (line {} of {})", layout::count(named.first), layout::count(diagnosis.lines));
    let mut lines = vec![format!("{}{place}", style::heading(&named.title))];
    lines.extend(named.message.as_ref().map(|message| wrap(message, "  ", "  ", width)));
    lines.extend(named.lines.iter().map(|line| wrap(&style::quiet(&line.text), &format!("  {:>6}  ", line.number), "          ", width)));
    lines.extend(named.look_for.as_ref().map(|text| wrap(text, "  look for: ", "    ", width)));
    if let Some(question) = &named.question {
        lines.push(wrap(&question.text, "  ask: ", "    ", width));
        lines.extend(question.command.as_ref().map(|command| format!("       {}", style::literal(command))));
    }
    lines.extend(fixes(&named.fixes, width));
    lines.join("\n")
}

fn fixes(fixes: &[Fix], width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (index, fix) in fixes.iter().enumerate() {
        let mut notes: Vec<&str> = fix.needs.iter().map(String::as_str).collect();
        if fix.risk == Risk::Risky {
            notes.push("risky");
        }
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        let number = if fixes.len() > 1 { format!(" {}", index + 1) } else { String::new() };
        lines.push(wrap(&fix.text, &format!("  fix{number}{notes}: "), "         ", width));
        lines.extend(fix.command.as_ref().map(|command| format!("         {}", style::literal(command))));
    }
    lines
}
