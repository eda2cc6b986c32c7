//! The command as a user runs it: exit codes, formats, and one clear line for what cannot be read.

#![expect(clippy::disallowed_methods, reason = "runs the program")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::running::{Outcome, run};

const DEADLINE: Duration = Duration::from_secs(20);

fn file(text: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text).expect("a file");
    file
}

fn diagnose(log: &[u8], more: &[&str]) -> Outcome {
    let file = file(log);
    let path = file.path().to_string_lossy().into_owned();
    run(&[&["diagnose", path.as_str()], more].concat(), &[], DEADLINE)
}

/// A healthy start is good; a failure, and a log that proves nothing, are not.
#[test]
fn the_exit_code_says_whether_anything_failed() {
    assert_eq!(diagnose(b"INFO:     Application startup complete.\n", &[]).code, Some(0));
    assert_eq!(diagnose(b"INFO nothing of note\n", &[]).code, Some(1));
    let failed = diagnose(b"INFO:     Application startup complete.\nSomeUnheardOfError: no\n", &[]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.stdout.contains("SomeUnheardOfError: no"), "{}", failed.stdout);
}

/// Each format has the verdict.
#[test]
fn every_format_says_the_same() {
    let log = b"INFO:     Application startup complete.\n";
    let json: serde_json::Value = serde_json::from_str(&diagnose(log, &["--format", "json"]).stdout).expect("JSON");
    assert_eq!(
        (json["schema"].as_str(), json["verdict"].as_str(), json["exit_code"].as_u64()),
        (Some("gpudoctor.diagnose/1"), Some("not_in_this_log"), Some(0))
    );
    for format in ["text", "markdown", "github"] {
        let shown = diagnose(log, &["--format", format]).stdout;
        assert!(shown.contains("Nothing failed: the server was ready at line 1 of 1"), "{format}: {shown}");
    }
}

/// What cannot be read is told in one line that names it, with code 2 and nothing on stdout.
#[test]
fn bad_input_gets_one_clear_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_string_lossy().into_owned();
    let missing = format!("{folder}/missing.log");
    for (path, message) in [
        (missing.as_str(), "does not exist"),
        (folder.as_str(), "is a directory"),
        (env!("CARGO_BIN_EXE_gpudoctor"), "it is a program, not text"),
        ("/dev/null", "it is empty"),
    ] {
        let outcome = run(&["diagnose", path], &[], DEADLINE);
        assert_eq!(outcome.code, Some(2), "{path}: {}", outcome.stderr);
        let first = outcome.stderr.lines().next().unwrap_or_default();
        assert!(first.starts_with("error: ") && first.contains(message) && first.contains(path), "{path}: {first}");
        assert!(outcome.stdout.is_empty(), "{path}: {}", outcome.stdout);
        assert!(outcome.stderr.contains("hint: "), "{path}: {}", outcome.stderr);
    }
    // A capture is opened in the same way as a log.
    for (path, message) in [(missing.as_str(), "does not exist"), (folder.as_str(), "is a directory"), ("/dev/null", "is empty")] {
        let outcome = run(&["diagnose", "/dev/null", "--from", path], &[], DEADLINE);
        assert!(outcome.code == Some(2) && outcome.stderr.contains(message) && outcome.stderr.contains("hint: "), "{}", outcome.stderr);
    }
}

/// A failure of memory is annotated with its figures and what to set; every title begins with the program.
#[test]
fn annotations_have_the_figures() {
    let log = format!("{}/tests/startup/no-cache-blocks.log", env!("CARGO_MANIFEST_DIR"));
    let shown = run(&["diagnose", &log, "--gpu", "rtx 3080 20gb", "--gpus", "2", "--format", "github"], &[], DEADLINE).stdout;
    assert!(shown.contains("requested 2.36 GiB = 0.12 × 19.65 GiB") && shown.contains("%0Aset: --max-num-seqs "), "{shown}");
    assert!(shown.lines().all(|line| line.starts_with("::error title=gpudoctor diagnose")), "{shown}");
}

/// Half a gzip file is diagnosed as far as it goes, and told.
#[test]
fn half_a_gzip_file_is_diagnosed() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for number in 0..50_000_u64 {
        writeln!(encoder, "INFO line {}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).expect("memory");
    }
    let packed = encoder.finish().expect("memory");
    let outcome = diagnose(&packed[..packed.len() / 2], &[]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("its gzip data is damaged after line"), "{}", outcome.stderr);
}

/// A bad rule of the user's is named with its file and line.
#[test]
fn a_bad_rule_is_shown_at_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::create_dir(folder.path().join("causes")).expect("a folder");
    let rule = folder.path().join("causes/t-x.toml");
    for (pattern, message) in [
        ("regex = 'a(?=b)'", "look-around"),
        ("regex = '\\d+'", "no text of 3 or more letters is part of every match"),
        ("regexp = 'abc'", "unknown field `regexp`"),
    ] {
        let text = format!(
            "id = \"t-x\"\nroot = \"port-in-use\"\ntitle = \"t\"\nsources = [\"a test\"]\n[[pattern]]\nprogram = \"x\"\n{pattern}\n"
        );
        fs_err::write(&rule, text).expect("a rule");
        let folder = folder.path().to_string_lossy().into_owned();
        let outcome = run(&["diagnose", "--rules", &folder, "/dev/null"], &[], DEADLINE);
        let place = format!("{}:7:", rule.display());
        assert!(outcome.code == Some(2) && outcome.stderr.contains(&place) && outcome.stderr.contains(message), "{}", outcome.stderr);
    }
}

/// A reader that goes away early, such as `head`, is no error; neither is a writer that does.
#[test]
fn closed_pipes_are_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gpudoctor"))
        .args(["diagnose", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"INFO:     Application startup complete.\n").expect("a pipe");
    drop(stdin);
    let outcome = child.wait_with_output().expect("it ends");
    assert_eq!(outcome.status.code(), Some(0));
    assert!(outcome.stderr.is_empty(), "{}", String::from_utf8_lossy(&outcome.stderr));
}
