//! Turns `rules/**/*.toml` into JSON texts inside the binary. Syntax only: what the texts mean is decided in `src/catalog`.
//!
//! Parsing TOML takes longer than a whole `plan` may; JSON of the same content is read an order of magnitude faster.
#![expect(clippy::disallowed_methods, reason = "a build script reads its folder and the variables that cargo sets")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let rules = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("rules");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=rules");

    let mut files = Vec::new();
    collect(&rules, &mut files)?;
    files.sort();

    let mut table = String::from("pub(super) static FILES: &[(&str, &str)] = &[\n");
    for (number, file) in files.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", file.display());
        let value: toml::Table = toml::from_str(&fs::read_to_string(file)?).map_err(|error| format!("{}: {error}", file.display()))?;
        let embedded = format!("rule-{number}.json");
        fs::write(out.join(&embedded), serde_json::to_string(&value)?)?;
        let name = file.strip_prefix(&rules)?.to_string_lossy().replace('\\', "/");
        writeln!(table, "    ({name:?}, include_str!({embedded:?})),")?;
    }
    table.push_str("];\n");
    fs::write(out.join("rules.rs"), table)?;
    Ok(())
}

/// Adds every `.toml` file below `folder`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            println!("cargo::rerun-if-changed={}", path.display());
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}
