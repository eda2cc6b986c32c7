//! A finding: what is wrong, the evidence and where it was read, and the fixes. Shared by every command that judges.

use serde::Deserialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know; never changes the exit code.
    Info,
    /// Works, but not as one would think, or not for long.
    Warning,
    /// Does not work.
    Error,
}

impl Severity {
    /// The word in every output format.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Finding {
    /// Kebab-case id that names the problem, such as `flag-removed`; `gpudoctor explain ID` has its page.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: `host`, `gpu:0`, `engine`, `file:serve.yaml:11`, `flag:swap-space`.
    pub subject: String,
    /// The fact, then the requirement; no full stop.
    pub message: String,
    /// What was read, and where.
    pub evidence: Vec<Evidence>,
    /// What to do, best first.
    pub fixes: Vec<Fix>,
}

/// A fact that a finding rests on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Evidence {
    /// The fact's name, such as `driver.version` or `vllm.swap-space`.
    pub fact: String,
    /// Its value.
    pub value: String,
    /// Where it was read: a file and line, a rule file, an engine source.
    pub source: String,
}

/// One way to mend a finding.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Fix {
    /// What to do, in the imperative.
    pub text: String,
    /// The command or configuration line to copy, if there is one.
    pub command: Option<String>,
    /// Whether it can harm what runs.
    pub risk: Risk,
    /// What it needs: `root`, `reboot`.
    pub needs: Vec<String>,
    /// The command that shows that it worked.
    pub verify: Option<String>,
}

impl Fix {
    /// A safe fix that needs nothing but an edit.
    pub fn edit(text: impl Into<String>) -> Self {
        Self { text: text.into(), command: None, risk: Risk::Safe, needs: Vec::new(), verify: None }
    }

    /// The same fix with the line or command to copy.
    #[must_use]
    pub fn with_command(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }
}

/// Whether a fix can harm what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Cannot.
    Safe,
    /// Can: it changes the machine or ends processes.
    Risky,
}
