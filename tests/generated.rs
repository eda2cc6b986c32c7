//! Files that are made from the code are current. `GPUDOCTOR_OVERWRITE=1 cargo test --test generated` rewrites them.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot read or run fails")]
#![expect(clippy::disallowed_methods, reason = "runs the program and reads the variable that asks for new files")]

use std::path::Path;
use std::process::Command;

#[path = "generated/checks.rs"]
mod checks;
#[path = "generated/cli.rs"]
mod cli;

#[test]
fn docs_cli_is_current() {
    assert_current("docs/cli.md", &cli::markdown(&gpudoctor::cli::definition()));
}

#[test]
fn docs_checks_is_current() {
    assert_current("docs/checks.md", &checks::markdown(&gpudoctor::catalog::Catalog::builtin()));
}

#[test]
fn the_schema_of_the_cards_is_current() {
    let schema = serde_json::to_string_pretty(&gpudoctor::report::json::gpus::schema()).unwrap();
    assert_current("docs/schema/gpus.json", &format!("{schema}\n"));
}

#[test]
fn the_manual_page_is_current() {
    assert_current("docs/gpudoctor.1", &run(&["man"]));
}

#[test]
fn the_schema_of_the_plan_is_current() {
    let schema = serde_json::to_string_pretty(&gpudoctor::report::json::plan::schema()).unwrap();
    assert_current("docs/schema/plan.json", &format!("{schema}\n"));
}

#[test]
fn the_schema_of_the_check_is_current() {
    let schema = serde_json::to_string_pretty(&gpudoctor::report::json::check::schema()).unwrap();
    assert_current("docs/schema/check.json", &format!("{schema}\n"));
}

#[test]
fn the_schema_of_the_bench_is_current() {
    let schema = serde_json::to_string_pretty(&gpudoctor::report::json::bench::schema()).unwrap();
    assert_current("docs/schema/bench.json", &format!("{schema}\n"));
}

#[test]
fn the_schema_of_the_diagnosis_is_current() {
    let schema = serde_json::to_string_pretty(&gpudoctor::report::json::diagnose::schema()).unwrap();
    assert_current("docs/schema/diagnose.json", &format!("{schema}\n"));
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(run(&["completions", shell]).contains("concurrency"), "{shell}");
    }
}

#[test]
fn the_sessions_of_the_readme_are_current() {
    let readme = text("README.md");
    let mut fresh = String::new();
    let mut blocks = readme.split("```");
    fresh.push_str(blocks.next().unwrap());
    for block in blocks {
        fresh.push_str("```");
        match session(block) {
            Some(arguments) => {
                let head: String = block.lines().take(2).map(|line| format!("{line}\n")).collect();
                fresh.push_str(&format!("{head}{}", run(&arguments)));
            }
            None => fresh.push_str(block),
        }
    }
    assert_current("README.md", &fresh);
}

/// The arguments of a `console` block whose command runs gpudoctor from the sources.
fn session(block: &str) -> Option<Vec<&str>> {
    let command = block.strip_prefix("console\n")?.lines().next()?;
    Some(command.strip_prefix("$ cargo run --release -- ")?.split(' ').collect())
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_gpudoctor")).args(arguments).env_remove("HF_HOME").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &str) -> String {
    fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default()
}

fn assert_current(path: &str, fresh: &str) {
    if std::env::var_os("GPUDOCTOR_OVERWRITE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, fresh).unwrap();
        return;
    }
    if text(path) != fresh {
        snapbox::assert_data_eq!(fresh.to_owned(), text(path));
        panic!("{path} is not current; run `GPUDOCTOR_OVERWRITE=1 cargo test --test generated`");
    }
}
