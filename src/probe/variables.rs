//! The environment variables that matter to a GPU program, from a list: nothing else of the environment is kept.

use std::collections::BTreeMap;

use crate::capture::variable::{is_kept, shown};

/// Those that are set.
pub(super) fn read() -> BTreeMap<String, String> {
    let all = std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    all.filter(|(name, _)| is_kept(name)).map(|(name, value)| (name.clone(), shown(&name, &value))).collect()
}
