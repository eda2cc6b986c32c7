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
    let tried = imports.iter().filter(|import| !lacks_driver(facts, import));
    let findings = tried.filter_map(|import| {
        let how = complaint(import)?;
        let said = last_line(import);
        let message = format!("`import {}` {how}; a server needs it to work", import.module);
        let text = "run it, and read the first of its lines that names a file outside Python";
        let command = format!("{} -c 'import {}'", import.interpreter, import.module);
        let fixes = vec![fix::verified(facts, id, Fix::edit(text).with_command(command))];
        let read = vec![evidence("import.stderr", said, &import.interpreter)];
        Some(finding(id, &format!("package:{}", import.module), message, read, fixes))
    });
    fired(findings.collect())
}

/// The last line of what an import said: an exception and its text.
fn last_line(import: &Import) -> &str {
    import.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing")
}

/// Whether all that was missing is a library of the driver, which an image is built without.
fn lacks_driver(facts: &Facts<'_>, import: &Import) -> bool {
    let missing = last_line(import).split(": cannot open shared object file").next().and_then(|text| text.rsplit(' ').next());
    last_line(import).contains("cannot open shared object file") && missing.is_some_and(|name| facts.catalog.libraries().of_driver(name))
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
