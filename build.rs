//! Turns `rules/**/*.toml` into JSON texts inside the binary. Syntax only: what the texts mean is decided in `src/catalog`.
//!
//! Parsing TOML takes longer than a whole `plan` may; JSON of the same content is read an order of magnitude faster. Rows that
//! are looked up by name are noted with their names and their place in the JSON, so that one is read without the others. The
//! literals of expressions are derived here for the same reason.
#![expect(clippy::disallowed_methods, reason = "a build script reads its folder and the variables that cargo sets")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "src/catalog/literal.rs"]
#[expect(unreachable_pub, reason = "a file of the library, where others reach it")]
mod literal;

/// The arrays whose rows are looked up by name, and the keys of a row that hold its names: its own first. A name may also stand
/// in the tables of an array of the row, such as the spans of a flag.
const NAMED: [(&str, &[&str]); 2] = [("model", &["id", "variants", "modelscope_id", "aliases"]), ("flag", &["name", "aliases", "short"])];

fn main() -> Result<(), Box<dyn Error>> {
    let rules = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("rules");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=rules");
    println!("cargo::rerun-if-changed=src/catalog/literal.rs");

    let mut files = Vec::new();
    collect(&rules, &mut files)?;
    files.sort();

    let mut expressions = BTreeMap::new();
    let mut table = String::from("pub(super) static FILES: &[File] = &[\n");
    for (number, file) in files.iter().enumerate() {
        println!("cargo::rerun-if-changed={}", file.display());
        let value: toml::Table = toml::from_str(&fs::read_to_string(file)?).map_err(|error| format!("{}: {error}", file.display()))?;
        let embedded = format!("rule-{number}.json");
        let (json, rows) = with_rows(&value)?;
        fs::write(out.join(&embedded), json)?;
        let name = file.strip_prefix(&rules)?.to_string_lossy().replace('\\', "/");
        if name.starts_with("causes/") || name == "signs.toml" {
            collect_expressions(&value, &mut expressions);
        }
        writeln!(table, "    File {{ path: {name:?}, json: include_str!({embedded:?}), rows: &[{rows}] }},")?;
    }
    table.push_str("];\n");
    fs::write(out.join("rules.rs"), table)?;
    fs::write(out.join("literals.rs"), literals(&expressions)?)?;
    Ok(())
}

/// Expressions and the literals that their rules give, each with those that were derived. One from which none can be derived is
/// left out: the rule is refused when it is read.
type Expressions = BTreeMap<(String, String), Vec<String>>;

/// Adds every expression of a rule, wherever it stands.
fn collect_expressions(table: &toml::Table, expressions: &mut Expressions) {
    let given = table.get("literal").and_then(toml::Value::as_str);
    let mut add = |expression: &str, given: Option<&str>| {
        if let Ok(set) = literal::of(expression, given) {
            expressions.insert((expression.to_owned(), given.unwrap_or_default().to_owned()), set);
        }
    };
    for (key, value) in table {
        match (key.as_str(), value) {
            ("regex", toml::Value::String(expression)) => add(expression, given),
            ("with" | "without" | "near" | "captures_from" | "if_log" | "unless_log", toml::Value::Array(texts)) => {
                texts.iter().filter_map(toml::Value::as_str).for_each(|expression| add(expression, None));
            }
            _ => {}
        }
    }
    let below = table.values().filter_map(toml::Value::as_array).flatten().filter_map(toml::Value::as_table);
    below.for_each(|table| collect_expressions(table, expressions));
}

/// The expressions as a table of Rust.
fn literals(expressions: &Expressions) -> Result<String, std::fmt::Error> {
    let mut table = String::from("static LITERALS: &[(&str, &str, &[&str])] = &[\n");
    for ((expression, given), set) in expressions {
        writeln!(table, "    ({expression:?}, {given:?}, &{set:?}),")?;
    }
    table.push_str("];\n");
    Ok(table)
}

/// The table as JSON, and its named rows as expressions of Rust.
fn with_rows(table: &toml::Table) -> Result<(String, String), Box<dyn Error>> {
    let mut json = String::from("{");
    let mut rows = String::new();
    for (key, value) in table {
        let separator = if json.len() > 1 { "," } else { "" };
        write!(json, "{separator}{}:", serde_json::to_string(key)?)?;
        let names = NAMED.iter().find(|(array, _)| array == key);
        let (Some((_, keys)), toml::Value::Array(entries)) = (names, value) else {
            json.push_str(&serde_json::to_string(value)?);
            continue;
        };
        json.push('[');
        for (number, entry) in entries.iter().enumerate() {
            json.push_str(if number > 0 { "," } else { "" });
            let start = json.len();
            json.push_str(&serde_json::to_string(entry)?);
            let mut names = Vec::new();
            collect_names(entry, keys, &mut names);
            write!(rows, "Row {{ names: &{names:?}, place: ({start}, {}) }}, ", json.len())?;
        }
        json.push(']');
    }
    json.push('}');
    Ok((json, rows))
}

/// Adds the texts under `keys` of a row, and of the tables in its arrays.
fn collect_names(row: &toml::Value, keys: &[&str], names: &mut Vec<String>) {
    let texts = |value: &toml::Value| -> Vec<String> {
        let listed = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        listed.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    for text in keys.iter().filter_map(|key| row.get(key)).flat_map(texts) {
        if !names.contains(&text) {
            names.push(text);
        }
    }
    let tables = row.as_table().into_iter().flat_map(|table| table.values()).filter_map(toml::Value::as_array).flatten();
    tables.filter(|value| value.is_table()).for_each(|table| collect_names(table, keys, names));
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
