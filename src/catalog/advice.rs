//! What to do about a problem (`rules/advice/*.toml`), shared by the checks and the log causes that know it.

use serde::Deserialize;

use super::cause::Problem;
use super::origin::Origin;

/// The fixes of one problem, in the order in which they are worth trying.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// Its name: the name of its file.
    #[serde(skip)]
    pub name: String,
    /// The fixes, best first.
    #[serde(default)]
    pub fix: Vec<AdvisedFix>,
    /// Where this comes from.
    pub sources: Vec<String>,
    /// The file that the entry was read from.
    #[serde(skip)]
    pub origin: Origin,
}

/// One way to mend a problem. Texts and commands are minijinja templates over the facts of the machine and, in a
/// diagnosis, `log.<capture>`; a fix that names an unknown value is left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisedFix {
    /// What to do, in the imperative.
    pub text: String,
    /// The command or configuration line to copy.
    pub command: Option<String>,
    /// A minijinja expression; the fix is left out unless it is true. What is undefined is not true.
    pub when: Option<String>,
    /// Whether it can harm what runs.
    #[serde(default)]
    pub risk: AdvisedRisk,
    /// What it needs: `root`, `reboot`.
    #[serde(default)]
    pub needs: Vec<String>,
    /// The command that shows that it worked.
    pub verify: Option<String>,
}

/// Whether a fix can harm what runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdvisedRisk {
    /// Cannot.
    #[default]
    Safe,
    /// Can: it changes the machine or ends processes.
    Risky,
}

impl Advice {
    /// What is wrong with it that its types do not show.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.fix.is_empty() {
            return Err(Problem::new("sources", "an advice needs at least one `[[fix]]`"));
        }
        let environment = minijinja::Environment::new();
        for fix in &self.fix {
            for template in [Some(&fix.text), fix.command.as_ref(), fix.verify.as_ref()].into_iter().flatten() {
                environment.template_from_str(template).map_err(|error| Problem::new(template, format!("not a template: {error}")))?;
            }
            if let Some(when) = &fix.when {
                environment.compile_expression(when).map_err(|error| Problem::new(when, format!("not an expression: {error}")))?;
            }
        }
        Ok(())
    }
}
