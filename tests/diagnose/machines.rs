//! Forks that the facts of a machine settle, and the names of facts that rules use.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpudoctor::capture::Capture;
use gpudoctor::catalog::Catalog;
use gpudoctor::diagnose::{Examiner, Machine, Named, Verdict};
use gpudoctor::expression::{CONSTANTS, environment};
use gpudoctor::facts::vocabulary::words;
use gpudoctor::facts::{Facts, Question};

use crate::builtin;
use crate::running::run;

fn recorded(host: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(host).join("host.json")
}

/// The causes of `log` on a recorded machine.
fn on(host: &str, log: &str) -> (Verdict, Vec<Named>) {
    let text = fs_err::read_to_string(recorded(host)).expect("a capture");
    let capture = Capture::parse(&text).unwrap_or_else(|error| panic!("{host}: {error}"));
    let facts = Facts::new(&capture, &Question::default(), &Catalog::builtin());
    let mut examiner = Examiner::new(builtin());
    examiner.read(log.as_bytes()).expect("a log");
    let diagnosis = examiner.finish(&Machine::new(&facts));
    (diagnosis.verdict, diagnosis.causes)
}

/// The same line has another cause on each machine, and says by which facts.
#[test]
fn a_machine_settles_what_the_log_leaves_open() {
    let no_driver = "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver";
    let no_library = "OSError: libcuda.so.1: cannot open shared object file: No such file or directory";
    let busy = "RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable";
    let unknown = "RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable \
                   CUDA_VISIBLE_DEVICES after program start. Setting the available devices to be zero.";
    for (host, log, cause, fact) in [
        ("container-without-gpus", no_driver, "container-without-gpu-access", "container.inside"),
        ("driver-not-installed", no_driver, "nvidia-driver-missing", "driver.loaded"),
        ("driver-not-installed", no_library, "nvidia-driver-missing", "driver.loaded"),
        ("a100-mig-without-instances", busy, "mig-without-instances", "gpu.mig.enabled"),
        ("uvm-missing", unknown, "nvidia-uvm-not-usable", "driver.uvm"),
    ] {
        let (verdict, causes) = on(host, log);
        let first = causes.first().unwrap_or_else(|| panic!("{host}: nothing"));
        assert_eq!((verdict, first.id.as_str()), (Verdict::Found, cause), "{host}: {causes:#?}");
        assert!(first.evidence.iter().any(|evidence| evidence.fact == fact), "{host}: {:?}", first.evidence);
        assert!(first.question.is_none(), "{host}: nothing is left to ask");
    }
}

/// Without a machine the fork stays open, and no fact is claimed.
#[test]
fn no_machine_settles_nothing() {
    let mut examiner = Examiner::new(builtin());
    examiner.read("RuntimeError: Found no NVIDIA driver on your system.".as_bytes()).expect("a log");
    let diagnosis = examiner.finish(&Machine::default());
    assert_eq!(diagnosis.verdict, Verdict::Ambiguous);
    assert!(diagnosis.causes.iter().all(|named| named.evidence.is_empty() && named.question.is_some()), "{diagnosis:#?}");
}

/// The command takes a capture, and says on which facts its answer rests, in every format.
#[test]
fn the_command_takes_a_capture() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("serve.log");
    fs_err::write(&log, "RuntimeError: Found no NVIDIA driver on your system.\n").expect("a log");
    let (log, host) = (log.display().to_string(), recorded("driver-not-installed").display().to_string());
    let outcome = |more: &[&str]| run(&[&["diagnose", log.as_str()], more].concat(), &[], Duration::from_secs(60));
    assert!(outcome(&[]).stdout.contains("the log does not decide"));
    for format in ["text", "json", "markdown", "github"] {
        let settled = outcome(&["--from", &host, "--format", format]).stdout;
        assert!(settled.contains("nvidia-driver-missing") && settled.contains("driver.loaded"), "{format}: {settled}");
    }
    // One stream cannot be two things.
    let both = run(&["diagnose", "--from", "-"], &[], Duration::from_secs(60));
    assert_eq!(both.code, Some(2), "{}", both.stderr);
}

/// A misspelt fact would be unknown for ever: its fork would stay open, its fix be left out.
#[test]
fn rules_name_facts_that_exist() {
    let (catalog, words, environment) = (Catalog::builtin(), words(), environment());
    let mut wrong: BTreeSet<String> = BTreeSet::new();
    let mut judge = |place: &str, names: std::collections::HashSet<String>| {
        let unknown = names.into_iter().filter(|name| {
            let of_log = name == "log" || name.starts_with("log.");
            !of_log && !name.starts_with("env.") && !CONSTANTS.contains(&name.as_str()) && !words.contains_key(name)
        });
        wrong.extend(unknown.map(|name| format!("{place}: `{name}` is no fact")));
    };
    for cause in catalog.causes() {
        for fact in cause.branch.iter().filter_map(|branch| branch.if_fact.as_ref()) {
            let expression = environment.compile_expression(fact).unwrap_or_else(|error| panic!("{}: {error}", cause.id));
            judge(&cause.id, expression.undeclared_variables(true));
        }
        for fix in catalog.advice(cause.advice()).iter().flat_map(|advice| &advice.fix) {
            if let Some(when) = &fix.when {
                let expression = environment.compile_expression(when).unwrap_or_else(|error| panic!("{}: {error}", cause.advice()));
                judge(cause.advice(), expression.undeclared_variables(true));
            }
            for text in [Some(&fix.text), fix.command.as_ref(), fix.verify.as_ref()].into_iter().flatten() {
                let template = environment.template_from_str(text).unwrap_or_else(|error| panic!("{}: {error}", cause.advice()));
                judge(cause.advice(), template.undeclared_variables(true));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}
