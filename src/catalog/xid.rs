//! Faults that the driver reports in the kernel log as `NVRM: Xid` and a number (`rules/xids.toml`).

use serde::Deserialize;

/// Everything in `rules/xids.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Xids {
    /// One row a number.
    #[serde(default)]
    pub xid: Vec<XidRule>,
}

/// One kind of fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XidRule {
    /// Its number.
    pub code: u64,
    /// What it says, in a few words.
    pub name: String,
    /// Whose fault it is.
    pub class: XidClass,
    /// What to do, in the imperative.
    pub action: String,
    /// Where this comes from.
    pub source: String,
}

/// Whose fault a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum XidClass {
    /// The card, its memory, its links or its firmware.
    Hardware,
    /// A program, or a kernel that it launched.
    Application,
    /// It follows from another one.
    FollowUp,
    /// Something was mended or counted; nothing is broken now.
    Notice,
}

impl XidClass {
    /// The word in facts and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hardware => "hardware",
            Self::Application => "application",
            Self::FollowUp => "follow-up",
            Self::Notice => "notice",
        }
    }
}

impl Xids {
    /// What is known of a number.
    pub fn get(&self, code: u64) -> Option<&XidRule> {
        self.xid.iter().find(|rule| rule.code == code)
    }
}
