//! Servers that start and work print much that looks like trouble. No rule takes any of it for one.

use std::path::Path;

use gpudoctor::diagnose::Verdict;

use crate::{builtin, diagnosed};

/// The logs, each of a server that starts and serves; texts as the sources of that version print them.
fn logs() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnose/healthy");
    let mut files: Vec<_> = fs_err::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), fs_err::read_to_string(path).expect("a log"))
    };
    files.iter().map(read).collect()
}

/// Nothing is named as a cause, and the server is known to have started.
#[test]
fn a_healthy_log_has_no_cause() {
    for (name, log) in logs() {
        let diagnosis = diagnosed(&log, builtin());
        assert!(
            diagnosis.seen.is_empty(),
            "{name}: {:?} at {:?}",
            diagnosis.seen,
            diagnosis.causes.iter().map(|named| named.first).collect::<Vec<_>>()
        );
        assert_eq!(diagnosis.verdict, Verdict::NotInThisLog, "{name}");
        assert!(diagnosis.is_healthy(), "{name}: {:?}", diagnosis.outcome);
    }
}

/// There is one for each engine and for each era of vLLM.
#[test]
fn every_engine_has_a_healthy_log() {
    let names: Vec<String> = logs().into_iter().map(|(name, _)| name).collect();
    for engine in ["vllm-0.8.5", "vllm-0.11", "vllm-0.25", "vllm-0.33", "sglang", "llama.cpp", "xinference", "tensorrt-llm", "comfyui"] {
        assert!(names.iter().any(|name| name.starts_with(engine)), "{engine}: {names:?}");
    }
}
