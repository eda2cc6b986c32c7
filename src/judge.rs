//! Judges the lines of an engine configuration for one version of the engine: what each really does there.

mod checkpoint;
mod exposure;
mod flags;
mod limits;
mod line;
mod parallel;
mod parsed;
mod quirks;
mod runner;
mod values;

use std::collections::HashSet;

use indexmap::IndexMap;

pub use parsed::as_parsed;
pub use runner::default_runner;

use crate::catalog::{Catalog, Engine};
use crate::engine::arguments::Arguments;
use crate::engine::launch::{Runner, UsageContext};
use crate::finding::{Finding, Severity};
use crate::model::spec::ModelSpec;
use crate::plan::outcome::Devices;
use crate::units::Bytes;
use crate::version::Version;
use line::Lines;

/// What is known beside the configuration. What is absent is not guessed: rules that need it are silent or say so.
#[derive(Clone, Copy, Debug)]
pub struct JudgeContext<'a> {
    /// All rules.
    pub catalog: &'a Catalog,
    /// The rules of the engine.
    pub engine: &'a Engine,
    /// The model, if it could be read.
    pub model: Option<&'a ModelSpec>,
    /// The devices, if any were named or seen.
    pub devices: Option<&'a Devices>,
    /// How the engine is started.
    pub usage: UsageContext,
    /// The runner that the launch resolves to; `None` to derive it from the rules, the model and the environment.
    pub runner: Option<Runner>,
    /// Weights that really move to host memory on each rank, from the budget, if it was computed.
    pub offloaded: Option<Bytes>,
}

/// The findings on `args` and `env` for `version`, in the order of the lines; what concerns a flag that is not given comes last.
/// Of a line that stops the engine, nothing else is said.
pub fn judge(args: &Arguments, env: &IndexMap<String, String>, version: &Version, context: &JudgeContext<'_>) -> Vec<Finding> {
    let lines = Lines::new(args, env, version, context);
    let mut found = flags::judge(&lines);
    for rule in [values::judge, limits::judge, parallel::judge, checkpoint::judge, exposure::judge, quirks::judge] {
        let refused: HashSet<String> =
            found.iter().filter(|found| found.finding.severity == Severity::Error).map(|found| found.key.clone()).collect();
        found.extend(rule(&lines).into_iter().filter(|other| !refused.contains(&other.key)));
    }
    line::in_order(found, &lines)
}
