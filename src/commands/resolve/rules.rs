//! The catalogue: the built-in rules, and those of `--rules` over them.

use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::error::Error;

/// The catalogue with the files of `overlay` laid over it.
///
/// # Errors
/// When the directory cannot be read, or when a file of it is no rule file.
pub fn catalog(overlay: Option<&Path>) -> Result<Catalog, Error> {
    let Some(folder) = overlay else { return Ok(Catalog::builtin()) };
    let mut files = Vec::new();
    collect(folder, &mut files).map_err(|error| {
        Error::input(format!("the rules cannot be read: {error}")).with_hint("name a directory with the layout of `rules/`")
    })?;
    if files.is_empty() {
        return Err(Error::input(format!("`{}` holds no `.toml` file", folder.display()))
            .with_hint("name a directory with the layout of `rules/`, such as `gpus/our-sku.toml` in it"));
    }
    Catalog::with_overlay(files).map_err(|error| Error::input(error.to_string()).with_hint("docs/adding.md says what a rule file holds"))
}

/// Adds every `.toml` file below `folder` with its text, in the order of their paths.
fn collect(folder: &Path, files: &mut Vec<(PathBuf, String)>) -> std::io::Result<()> {
    let entries = fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<std::io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "toml") {
            let text = fs_err::read_to_string(&path)?;
            files.push((path, text));
        }
    }
    Ok(())
}
