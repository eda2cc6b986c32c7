//! The snippets of docs/ci.md are what they say they are, and their commands are understood.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use clap::Parser;
use gpudoctor::cli::Cli;
use gpudoctor::engine::yaml;

/// The blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let page = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci.md")).expect("docs/ci.md");
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix(&format!("{language}\n")).map(str::to_owned)).collect()
}

/// The words of every command of gpudoctor on the page.
fn commands() -> Vec<Vec<String>> {
    let all = ["dockerfile", "yaml", "sh"].into_iter().flat_map(blocks).collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let line = |line: &str| {
        let (_, rest) = line.split_once("gpudoctor check").or_else(|| line.split_once("server:check check"))?;
        let rest = rest.split(['>', '&', '|']).next().unwrap_or_default();
        Some(["gpudoctor", "check"].into_iter().chain(rest.split_whitespace()).map(str::to_owned).collect())
    };
    all.lines().filter_map(line).collect()
}

#[test]
fn every_command_on_the_page_is_understood() {
    let commands = commands();
    assert!(commands.len() >= 6, "{commands:?}");
    for words in commands {
        assert!(Cli::try_parse_from(&words).is_ok(), "{words:?}");
    }
}

#[test]
fn dockerfiles_parse() {
    let files = blocks("dockerfile");
    assert_eq!(files.len(), 2);
    for file in files {
        parse_dockerfile::parse(&file).unwrap_or_else(|error| panic!("{error}: {file}"));
    }
}

#[test]
fn workflows_are_yaml_with_their_jobs() {
    let files = blocks("yaml");
    assert_eq!(files.len(), 2);
    let read = |file: &String| yaml::yaml_to_json(file, "docs/ci.md").unwrap_or_else(|error| panic!("{error}: {file}"));
    let (github, gitlab) = (read(&files[0]), read(&files[1]));
    assert_eq!(github["jobs"]["check"]["steps"].as_array().map(Vec::len), Some(4));
    assert_eq!(gitlab["check-image"]["artifacts"]["reports"]["junit"], "gpudoctor.xml");
}
