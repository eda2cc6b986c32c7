//! What importing torch and the engine said, where `--deep` asked for it.

use crate::capture::{Import, ImportOutcome};
use crate::check::environment::fired;
use crate::check::facts::{Facts, evidence};
use crate::check::packages::finding;
use crate::check::{Outcome, fix};
use crate::finding::Fix;

/// Everything that was imported could be.
pub(super) fn works(facts: &Facts<'_>) -> Outcome {
    let imports = facts.environment.map(|environment| environment.imports.as_slice()).unwrap_or_default();
    if imports.iter().all(|import| import.outcome == ImportOutcome::Untried) {
        return Outcome::Skips("nothing was imported; `--deep` does".to_owned());
    }
    let id = "import-fails";
    let findings = imports.iter().filter_map(|import| {
        let how = complaint(import)?;
        let said = import.stderr.lines().rev().find(|line| !line.trim().is_empty()).map_or("nothing", str::trim);
        let message = format!("`import {}` {how}; a server needs it to work", import.module);
        let text = "run it, and read the first of its lines that names a file outside Python";
        let command = format!("{} -c 'import {}'", import.interpreter, import.module);
        let fixes = vec![fix::verified(facts, id, Fix::edit(text).with_command(command))];
        let read = vec![evidence("import.stderr", said, &import.interpreter)];
        Some(finding(id, &format!("package:{}", import.module), message, read, fixes))
    });
    fired(findings.collect())
}

/// How an import failed; nothing for one that worked.
fn complaint(import: &Import) -> Option<String> {
    match &import.outcome {
        ImportOutcome::Untried | ImportOutcome::Worked(_) => None,
        ImportOutcome::Failed(code) => Some(format!("ended with exit code {code}")),
        ImportOutcome::Killed(signal) => Some(format!("was ended by signal {signal}")),
        ImportOutcome::TimedOut(seconds) => Some(format!("had not ended after {seconds} s and was ended")),
        ImportOutcome::Unstarted(reason) => Some(format!("could not be started: {reason}")),
    }
}
