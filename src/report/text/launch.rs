//! The launch: the command, and why each chosen value is what it is.

use crate::plan::outcome::Plan;
use crate::report::layout::{columns, pad, wrap};
use crate::report::{View, command, style};

/// The widest flag and value that stand before their reason; of a longer one, the flag alone does.
const WIDEST_REASONED: usize = 34;

/// The launch, if there is one worth copying.
pub(super) fn section(plan: &Plan, view: &View, width: usize) -> Option<String> {
    if view.judged || !plan.verdict.is_good() {
        return None;
    }
    let mut lines = vec![style::heading("Launch"), command_lines(plan, width)];
    let reasons = reasons(plan);
    if !reasons.is_empty() {
        lines.push(String::new());
        let widest = reasons.iter().map(|(what, _)| columns(what)).max().unwrap_or(0);
        for (what, why) in reasons {
            let first = format!("  {}   ", pad(&what, widest));
            lines.push(wrap(&why, &first, &" ".repeat(widest + 5), width));
        }
    }
    Some(lines.join("\n"))
}

/// The command over several lines that a shell joins.
fn command_lines(plan: &Plan, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in command::words(plan) {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(&word) + 2 <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            Some(_) => lines.push(format!("    {word}")),
            None => lines.push(format!("  {word}")),
        }
    }
    lines.join(" \\\n")
}

/// What was chosen, and why: the environment first, then flags.
fn reasons(plan: &Plan) -> Vec<(String, String)> {
    let shown = |name: &str, value: &str| format!("{name}={}", command::shown_variable(name, value));
    let variables = plan.env.iter().filter(|(_, variable)| !variable.reason.is_empty());
    let variables = variables.map(|(name, variable)| (shown(name, &variable.value), format!("because {}", variable.reason)));
    let flags = plan.decisions.iter().map(|decision| {
        let both = format!("{} {}", decision.flag, decision.value);
        (if columns(&both) > WIDEST_REASONED { decision.flag.clone() } else { both }, decision.why.clone())
    });
    variables.chain(flags).collect()
}
