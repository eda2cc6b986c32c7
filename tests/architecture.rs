//! The order of the house: which module may use which, where input and output may happen, how long a file may be.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the sources fails")]

use std::path::{Path, PathBuf};

/// The longest hand-written file, in lines.
const LONGEST: usize = 500;

/// Modules that are functions of their arguments: no files, environment, network, processes, clocks or terminals.
#[rustfmt::skip] // one a line: modules are added often
const PURE: &[&str] = &[
    "units",
    "version",
    "hint",
    "reading",
    "redact",
    "log",
    "finding",
    "catalog",
    "elf",
    "expression",
    "advice",
    "measurement",
    "capture",
    "model",
    "engine",
    "plan",
    "judge",
    "facts",
    "pick",
    "startup",
    "check",
    "diagnose",
    "picture",
    "render",
    "report",
    "explain",
];

/// What no pure module may name.
const EFFECTS: [&str; 12] = [
    "std::fs",
    "fs_err",
    "std::env",
    "std::process",
    "std::net::Tcp",
    "std::net::Udp",
    "ToSocketAddrs",
    "ureq",
    "SystemTime",
    "Instant::now",
    "print!(",
    "println!(",
];

#[test]
fn modules_use_only_modules_above_them() {
    let order = modules();
    let mut wrong = Vec::new();
    for (index, module) in order.iter().enumerate() {
        for (file, text) in sources(module) {
            let below = order.iter().skip(index + 1).filter(|other| names(&code(&text), other));
            wrong.extend(below.map(|other| format!("{}: `{module}` uses `{other}`, which stands below it", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_do_nothing_but_compute() {
    let mut wrong = Vec::new();
    for module in PURE {
        for (file, text) in sources(module) {
            let code = code(&text);
            let effects = EFFECTS.iter().filter(|effect| code.contains(*effect));
            wrong.extend(effects.map(|effect| format!("{}: `{effect}`", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_is_either_pure_or_known_for_its_effects() {
    let effectful = ["fetch", "probe", "bench", "write", "error", "cli", "commands"];
    for module in modules() {
        assert!(PURE.contains(&module.as_str()) || effectful.contains(&module.as_str()), "`{module}` is in neither list");
    }
}

#[test]
fn no_file_is_long() {
    let files = ["src", "tests"].iter().flat_map(|folder| rust_files(&root().join(folder)));
    let long: Vec<String> = files
        .map(|file| (fs_err::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn errors_are_silenced_with_a_reason_or_not_at_all() {
    let files = rust_files(&root().join("src"));
    let silenced: Vec<String> = files
        .filter(|file| code(&fs_err::read_to_string(file).unwrap()).contains(concat!("#", "[allow")))
        .map(|file| file.display().to_string())
        .collect();
    assert!(silenced.is_empty(), "use `#[expect(…, reason)]` in {silenced:?}");
}

// Examples in comments are not compiled (`doctest = false`): one that nobody compiles is soon wrong.
#[test]
fn no_comment_holds_an_example() {
    let is_example = |line: &str| {
        let comment = line.trim_start();
        let text = comment.strip_prefix("///").or_else(|| comment.strip_prefix("//!"));
        text.is_some_and(|text| text.contains("```") || text.contains("~~~") || text.starts_with("     "))
    };
    let examples: Vec<String> = rust_files(&root().join("src"))
        .filter(|file| fs_err::read_to_string(file).unwrap().lines().any(is_example))
        .map(|file| file.display().to_string())
        .collect();
    assert!(examples.is_empty(), "write a test instead, in {examples:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The modules in the order of lib.rs.
fn modules() -> Vec<String> {
    let text = fs_err::read_to_string(root().join("src/lib.rs")).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

/// The files of a module with their texts.
fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let folder = root().join("src");
    let own = folder.join(format!("{module}.rs"));
    let files = std::iter::once(own).filter(|file| file.exists()).chain(rust_files(&folder.join(module)));
    let files = files.filter(|file| !file.ends_with("tests.rs"));
    files.map(|file| (file.clone(), fs_err::read_to_string(file).unwrap())).collect()
}

fn rust_files(folder: &Path) -> Box<dyn Iterator<Item = PathBuf>> {
    let Ok(entries) = fs_err::read_dir(folder) else { return Box::new(std::iter::empty()) };
    let paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    Box::new(paths.into_iter().flat_map(|path| -> Box<dyn Iterator<Item = PathBuf>> {
        if path.is_dir() {
            rust_files(&path)
        } else if path.extension().is_some_and(|end| end == "rs") {
            Box::new(std::iter::once(path))
        } else {
            Box::new(std::iter::empty())
        }
    }))
}

/// The code of a file: without comments and without what only tests compile.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = product.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether `code` names `crate::module`, alone or in a list.
fn names(code: &str, module: &str) -> bool {
    let mut rest = code;
    while let Some(at) = rest.find("crate::") {
        rest = &rest[at + "crate::".len()..];
        let end = if rest.starts_with('{') { rest.find('}').map_or(rest.len(), |end| end + 1) } else { rest.len().min(64) };
        let listed = rest.get(..end).unwrap_or(rest);
        let word = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
        let found = if let Some(list) = listed.strip_prefix('{') {
            list.split(',').any(|item| word(item.trim_start()) == module)
        } else {
            word(listed) == module
        };
        if found {
            return true;
        }
    }
    false
}
