//! From a plan to files on disk: every file reads back as the plan, whatever stands in it, and no file of
//! the user's is lost.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "lays out folders as a user might, and runs the linters")]

#[path = "emit/sample.rs"]
mod sample;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gpudoctor::catalog::Catalog;
use gpudoctor::engine::yaml::read_arguments;
use gpudoctor::hint::Hint;
use gpudoctor::plan::outcome::{EnvironmentVariable, Plan, Verdict};
use gpudoctor::render::options::{GpuSelection, Install, ModelSource, RenderOptions, negatable_flags};
use gpudoctor::render::validate::{Validated, validate};
use gpudoctor::render::{ArtifactKind, render};
use gpudoctor::write::{Change, WriteError, write};
use proptest::prelude::*;
use serde_json::json;

/// Renders and reads back.
fn emit(plan: &Plan, options: &RenderOptions) -> Validated {
    let artifacts = render(plan, options).expect("renders");
    match validate(plan, options, artifacts.clone()) {
        Ok(validated) => validated,
        Err(error) => {
            let texts: Vec<&str> = artifacts.iter().map(|artifact| artifact.text.as_str()).collect();
            panic!("{error}\n{}", texts.join("\n=====\n"))
        }
    }
}

fn text(files: &Validated, kind: ArtifactKind) -> &str {
    &files.artifacts().iter().find(|artifact| artifact.kind == kind).expect("the file").text
}

/// The files of every sample are kept under the target directory for real linters to read.
fn keep(name: &str, files: &Validated) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emit").join(name);
    let _ = std::fs::remove_dir_all(&directory);
    write(&directory, files).expect("written");
}

#[test]
fn a_plan_with_offload_reads_back() {
    let plan = sample::seventy_billion();
    let files = emit(&plan, &RenderOptions::for_plan(&plan));
    let serve = text(&files, ArtifactKind::EngineConfig);
    assert!(serve.contains("host: \"127.0.0.1\"\n"), "loopback unless asked");
    assert!(serve.contains("# weights that do not fit on the device stay in host memory\ncpu-offload-gb: 34\n"), "{serve}");
    let env = text(&files, ArtifactKind::Environment);
    assert!(env.contains("# because vLLM 0.22 to 0.27 ignores cpu-offload-gb with the V2 runner\nVLLM_USE_V2_MODEL_RUNNER=0\n"), "{env}");
    assert!(env.contains("# HF_HUB_OFFLINE=1\n"), "ready, and not set: {env}");
    let dockerfile = text(&files, ArtifactKind::Dockerfile);
    assert!(dockerfile.contains("\nRUN gpudoctor check --image --for vllm@0.25.1 --target-driver 580.65.06\n"), "{dockerfile}");
    let compose = text(&files, ArtifactKind::Compose);
    assert!(compose.contains("127.0.0.1:8000:8000"));
    assert!(compose.contains("mem_limit: \"43g\""), "33.1 GiB, an eighth, shared memory and scratch: {compose}");
    let explanation = text(&files, ArtifactKind::Explanation);
    assert!(explanation.contains("6,384 tokens") && explanation.contains("nvidia-smi"), "{explanation}");
    keep("offload", &files);
}

#[test]
fn json_flags_lists_and_false_read_back() {
    let plan = sample::eight_billion();
    let mut options = RenderOptions::for_plan(&plan);
    let catalog = Catalog::builtin();
    options.negatable = negatable_flags(&plan, catalog.engine("vllm").unwrap());
    let files = emit(&plan, &options);
    let serve = text(&files, ArtifactKind::EngineConfig);
    assert!(serve.contains("\nno-async-scheduling: true\n"), "engines drop `false` silently: {serve}");
    let read = read_arguments(serve.as_bytes(), "serve.yaml").unwrap();
    assert!(read.get("compilation-config").unwrap().is_string(), "old engines read no nested mappings");
    assert_eq!(read.get("cudagraph-capture-sizes"), Some(&json!([1, 2, 4, 8])));
    keep("json", &files);
}

#[test]
fn several_gpus_get_shared_memory_and_their_names() {
    let plan = sample::four_gpus();
    let mut options = RenderOptions::for_plan(&plan);
    options.gpus = GpuSelection::These(["0", "1", "6", "7"].map(str::to_owned).to_vec());
    let files = emit(&plan, &options);
    let compose = text(&files, ArtifactKind::Compose);
    assert!(compose.contains("device_ids: [\"0\", \"1\", \"6\", \"7\"]") && compose.contains("shm_size: \"8g\""), "{compose}");
    keep("four-gpus", &files);

    options.gpus = GpuSelection::These(vec!["0".to_owned()]);
    assert!(render(&plan, &options).is_err(), "one GPU for a plan of four");
    options.gpus = GpuSelection::These(["0", "1", "2", "x\"; y"].map(str::to_owned).to_vec());
    assert!(render(&plan, &options).is_err(), "not a GPU");
}

#[test]
fn a_wheel_and_an_offline_hub_read_back() {
    let mut plan = sample::seventy_billion();
    let mut options = RenderOptions::for_plan(&plan);
    options.install = Install::Wheel;
    assert!(render(&plan, &options).unwrap_err().to_string().contains("nvcc"));
    plan.launch.as_mut().unwrap().flashinfer_sampler = false;
    options.offline = true;
    options.hub_token = true;
    options.bind = "::1".parse().unwrap();
    let files = emit(&plan, &options);
    assert!(text(&files, ArtifactKind::Dockerfile).contains("\"vllm==0.25.1\""));
    assert!(text(&files, ArtifactKind::Environment).contains("\nHF_HUB_OFFLINE=1\n"));
    assert!(text(&files, ArtifactKind::Compose).contains("\"[::1]:8000:8000\""));
    keep("wheel-offline", &files);

    options.target_driver = Some(sample::version("535.104.05"));
    assert!(render(&plan, &options).unwrap_err().hint().is_some(), "no wheel for that driver");
}

#[test]
fn a_modelscope_id_reads_back() {
    let plan = sample::eight_billion();
    let mut options = RenderOptions::for_plan(&plan);
    options.model = ModelSource::ModelScope { id: "qwen/Qwen3-8B".to_owned() };
    let files = emit(&plan, &options);
    assert!(text(&files, ArtifactKind::Environment).contains("\nVLLM_USE_MODELSCOPE=True\n"));
    keep("modelscope", &files);
}

#[test]
fn a_directory_is_mounted_read_only_and_needs_a_whole_path() {
    let plan = sample::eight_billion();
    let mut options = RenderOptions::for_plan(&plan);
    options.model = ModelSource::directory("/data/models/qwen 3");
    let files = emit(&plan, &options);
    assert!(text(&files, ArtifactKind::EngineConfig).contains("model: \"/data/models/qwen 3\"\n"));
    assert!(text(&files, ArtifactKind::Dockerfile).contains("CMD [\"vllm\", \"serve\", \"/model\""));
    assert!(text(&files, ArtifactKind::Environment).contains("\nHF_HUB_OFFLINE=1\n"));
    keep("directory", &files);
    options.model = ModelSource::directory("./models");
    assert!(render(&plan, &options).is_err());
}

#[test]
fn gpus_that_the_environment_names_are_given_to_the_container() {
    let mut plan = sample::eight_billion();
    let variable = EnvironmentVariable { value: "3".to_owned(), reason: "it is free".to_owned() };
    plan.env.insert("CUDA_VISIBLE_DEVICES".to_owned(), variable);
    let files = emit(&plan, &RenderOptions::for_plan(&plan));
    assert!(text(&files, ArtifactKind::Compose).contains("device_ids: [\"3\"]"));
    assert!(text(&files, ArtifactKind::Environment).contains("\n# CUDA_VISIBLE_DEVICES=3\n"), "inside it is number 0");
    assert!(text(&files, ArtifactKind::Explanation).contains("CUDA_VISIBLE_DEVICES=3 vllm serve"));
}

/// The entrypoint of the image, with its secrets in `directory`, started before `printenv`.
#[cfg(unix)]
fn entrypoint(directory: &Path) -> std::process::Output {
    let files = files();
    let dockerfile = text(&files, ArtifactKind::Dockerfile);
    let (_, script) = dockerfile.split_once("with-secrets\n").unwrap();
    let (script, _) = script.split_once("\nSCRIPT\n").unwrap();
    let script = script.replace("/run/secrets", directory.to_str().unwrap());
    std::process::Command::new("sh").env_clear().args(["-c", &script, "sh", "/usr/bin/env"]).output().unwrap()
}

#[test]
#[cfg(unix)]
fn the_entrypoint_hands_secrets_over_and_refuses_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    assert!(entrypoint(directory.path()).status.success(), "no secret, no variable");
    std::fs::write(directory.path().join("vllm_api_key"), "k$1 'x' \"y\"\n").unwrap();
    let output = entrypoint(directory.path());
    let environment = String::from_utf8(output.stdout).unwrap();
    assert!(environment.contains("VLLM_API_KEY=k$1 'x' \"y\"\n") && !environment.contains("HF_TOKEN"), "{environment}");
    std::fs::write(directory.path().join("vllm_api_key"), "\n").unwrap();
    let output = entrypoint(directory.path());
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8(output.stderr).unwrap().contains("is empty"));
}

#[test]
fn a_plan_that_does_not_fit_is_no_file() {
    let mut plan = sample::seventy_billion();
    for verdict in [Verdict::DoesNotFit, Verdict::Invalid] {
        plan.verdict = verdict;
        assert!(render(&plan, &RenderOptions::for_plan(&plan)).is_err());
    }
}

#[test]
fn no_secret_is_written() {
    let mut plan = sample::eight_billion();
    plan.args.set("api-key", "correct-horse-battery");
    let variable = |value: &str| EnvironmentVariable { value: value.to_owned(), reason: "given".to_owned() };
    plan.env.insert("VLLM_API_KEY".to_owned(), variable("staple-of-a-key"));
    plan.env.insert("HF_TOKEN".to_owned(), variable("hf_0123456789"));
    let files = emit(&plan, &RenderOptions::for_plan(&plan));
    for artifact in files.artifacts() {
        for secret in ["correct-horse", "staple", "hf_0123"] {
            assert!(!artifact.text.contains(secret), "{secret} in {:?}", artifact.kind);
        }
    }
    assert!(text(&files, ArtifactKind::EngineConfig).contains("# api-key is left out"));
    plan.decisions.push(gpudoctor::plan::outcome::Decision {
        flag: "seed".to_owned(),
        value: "0".to_owned(),
        why: "beside correct-horse-battery".to_owned(),
    });
    let options = RenderOptions::for_plan(&plan);
    assert!(validate(&plan, &options, render(&plan, &options).unwrap()).is_err(), "a reason that quotes the key");
}

#[test]
fn strange_code_runs_only_where_the_model_needs_it() {
    let mut plan = sample::eight_billion();
    plan.args.set("trust-remote-code", true);
    let files = emit(&plan, &RenderOptions::for_plan(&plan));
    assert!(text(&files, ArtifactKind::EngineConfig).contains("# trust-remote-code is left out"));
    plan.model.needs_remote_code = true;
    let files = emit(&plan, &RenderOptions::for_plan(&plan));
    assert!(text(&files, ArtifactKind::EngineConfig).contains("\ntrust-remote-code: true\n"));
    assert!(text(&files, ArtifactKind::Explanation).contains("runs Python code that comes with the checkpoint"));
    keep("remote-code", &files);
}

#[test]
fn an_open_server_needs_a_key_and_no_root() {
    let plan = sample::eight_billion();
    let mut options = RenderOptions::for_plan(&plan);
    options.api_key = false;
    assert!(!text(&emit(&plan, &options), ArtifactKind::Compose).contains("secrets:"));
    options.bind = "0.0.0.0".parse().unwrap();
    assert!(render(&plan, &options).is_err());
    options.api_key = true;
    assert!(text(&emit(&plan, &options), ArtifactKind::Compose).contains("\"0.0.0.0:8000:8000\""));
    options.uid = 0;
    assert!(render(&plan, &options).is_err());
}

#[test]
fn a_value_that_would_be_a_flag_is_refused() {
    let mut plan = sample::eight_billion();
    plan.args.set("tokenizer", "--trust-remote-code");
    assert!(render(&plan, &RenderOptions::for_plan(&plan)).is_err());
    let mut plan = sample::eight_billion();
    plan.args.set("max-model-len: 1\nx", 1);
    assert!(render(&plan, &RenderOptions::for_plan(&plan)).is_err());
}

/// Strings that some format reads as something else.
const HOSTILE: [&str; 25] = [
    "yes",
    "on",
    "No",
    "~",
    "null",
    "1e3",
    "007",
    "0x1F",
    "1_000",
    "12:30:45",
    "a # b",
    "a: b",
    "? x",
    "x\n- y",
    "{a}",
    "$HOME ${X:-y} $$ $(id)",
    "`id`",
    "it's",
    "say \"hi\"",
    "back\\slash\\",
    "two\nlines",
    "tab\there",
    "é 日本語 🦀 \u{85}\u{2028}\u{feff}",
    "{{ x }} {% y %}",
    "```\n# no\n|cell|",
];

#[test]
fn hostile_values_survive_every_format() {
    for (place, hostile) in HOSTILE.into_iter().enumerate() {
        let mut plan = sample::eight_billion();
        plan.model.id = format!("m {hostile}");
        plan.args.set("tokenizer", hostile);
        plan.args.set("hf-overrides", json!({hostile: [hostile, 1, 1.5, null]}));
        plan.args.set("lora-modules", json!([hostile, "b"]));
        plan.decisions[0].why = format!("because {hostile}");
        plan.reasons.push(gpudoctor::plan::outcome::Reason { code: "x".to_owned(), message: hostile.to_owned(), short_by: None });
        plan.interpretations[0].given = hostile.to_owned();
        let mut options = RenderOptions::for_plan(&plan);
        options.model = ModelSource::directory(&format!("/data/{hostile}"));
        keep(&format!("hostile-{place}"), &emit(&plan, &options));
    }
}

#[test]
fn a_variable_is_written_so_that_all_read_it_alike_or_not_at_all() {
    for hostile in HOSTILE {
        let mut plan = sample::eight_billion();
        plan.env.insert("A_VARIABLE".to_owned(), EnvironmentVariable { value: hostile.to_owned(), reason: hostile.to_owned() });
        let options = RenderOptions::for_plan(&plan);
        match render(&plan, &options) {
            Ok(artifacts) => drop(validate(&plan, &options, artifacts).expect(hostile)),
            Err(error) => assert!(error.to_string().contains("A_VARIABLE"), "{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever a string is, the files read back as the plan or the plan is refused; nothing in between.
    #[test]
    fn any_string_survives(value in any::<String>(), path in "\\PC{0,24}", why in any::<String>(), number in any::<f64>(), integer in any::<i64>()) {
        let mut plan = sample::eight_billion();
        plan.args.set("tokenizer", value.clone());
        plan.args.set("swap-size", number);
        plan.args.set("max-size", integer);
        plan.args.set("extra", json!({value.clone(): value.clone()}));
        plan.decisions[0].why = why;
        let mut options = RenderOptions::for_plan(&plan);
        options.model = ModelSource::directory(&format!("/{path}"));
        match render(&plan, &options) {
            Ok(artifacts) => prop_assert!(validate(&plan, &options, artifacts).map_err(|error| error.to_string()).is_ok()),
            Err(error) => prop_assert!(value.contains('\0') || value.starts_with('-') || !number.is_finite(), "{error}"),
        }
    }

    /// A variable is written or refused, whatever it is.
    #[test]
    fn any_variable_survives(value in "[ -~é🦀\t]{0,24}", reason in any::<String>()) {
        let mut plan = sample::eight_billion();
        plan.env.insert("A".to_owned(), EnvironmentVariable { value: value.clone(), reason });
        let options = RenderOptions::for_plan(&plan);
        match render(&plan, &options) {
            Ok(artifacts) => prop_assert!(validate(&plan, &options, artifacts).map_err(|error| error.to_string()).is_ok()),
            Err(_) => prop_assert!(value.contains('\'') || value.ends_with('\\'), "{value}"),
        }
    }
}

fn files() -> Validated {
    let plan = sample::seventy_billion();
    emit(&plan, &RenderOptions::for_plan(&plan))
}

fn other_files() -> Validated {
    let plan = sample::eight_billion();
    emit(&plan, &RenderOptions::for_plan(&plan))
}

/// A picture whose bars are not the plan's, that would run something, or that is cut off, is not written.
#[test]
fn a_picture_that_says_something_else_is_refused() {
    let plan = sample::seventy_billion();
    let options = RenderOptions::for_plan(&plan);
    let rendered = render(&plan, &options).unwrap();
    let sound = rendered.iter().find(|artifact| artifact.kind == ArtifactKind::Picture).unwrap().text.clone();
    let first = sound.split("data-size=\"").nth(1).unwrap().split('"').next().unwrap();
    for (told, broken) in [
        ("each bar", sound.replace(&format!("data-size=\"{first}\""), "data-size=\"1\"")),
        ("the bar of all", sound.replacen(first, "1", 1)),
        ("`script` has no place", sound.replace("</svg>", "<script/></svg>")),
        ("`svg` has no place", sound.replacen("<svg ", "<svg onload=\"x()\" ", 1)),
        ("budget.svg", sound.chars().take(2000).collect()),
    ] {
        let mut artifacts = rendered.clone();
        artifacts
            .iter_mut()
            .filter(|artifact| artifact.kind == ArtifactKind::Picture)
            .for_each(|artifact| artifact.text.clone_from(&broken));
        let error = validate(&plan, &options, artifacts).expect_err(told).to_string();
        assert!(error.contains("budget.svg") && error.contains(told), "{told}: {error}");
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn files_are_created_updated_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("a/b");
    let written = write(&out, &files()).unwrap();
    assert!(written.iter().all(|file| file.change == Change::Created));
    assert_eq!(names(&out).len(), 8, "seven files and the manifest, no rest: {:?}", names(&out));
    let again = write(&out, &files()).unwrap();
    assert!(again.iter().all(|file| file.change == Change::Unchanged));
    let other = write(&out, &other_files()).unwrap();
    assert!(other.iter().any(|file| file.change == Change::Updated));
    write(&out, &files()).expect("what gpudoctor wrote is known, also an earlier version of it");
}

#[test]
#[cfg(unix)]
fn only_the_owner_reads_the_environment() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &files()).unwrap();
    let mode = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".env"), mode("serve.yaml"), mode("Dockerfile")), (0o600, 0o644, 0o644));
}

#[test]
fn a_file_of_the_users_stays_and_nothing_else_changes() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &files()).unwrap();
    std::fs::write(directory.path().join("serve.yaml"), "mine: true\n").unwrap();
    std::fs::write(directory.path().join("PLAN.md"), "mine too").unwrap();
    let before = snapshot(directory.path());
    let error = write(directory.path(), &other_files()).unwrap_err();
    let WriteError::Changed { files } = &error else { panic!("{error}") };
    assert_eq!(files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect::<Vec<_>>(), ["serve.yaml", "PLAN.md"]);
    assert!(error.hint().unwrap().contains("another directory"));
    assert_eq!(snapshot(directory.path()), before);
}

#[test]
fn an_unknown_file_stays() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    assert!(matches!(write(directory.path(), &files()), Err(WriteError::Changed { .. })));
    assert_eq!(names(directory.path()).len(), 1);
}

#[test]
fn what_is_no_file_is_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("PLAN.md")).unwrap();
    assert!(matches!(write(directory.path(), &files()), Err(WriteError::InTheWay { .. })));
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(write(&file, &files()), Err(WriteError::NotADirectory(_))));
    std::fs::write(directory.path().join(".gpudoctor.json"), "{").unwrap();
    std::fs::remove_dir(directory.path().join("PLAN.md")).unwrap();
    assert!(matches!(write(directory.path(), &files()), Err(WriteError::Manifest { .. })));
}

#[test]
#[cfg(unix)]
fn a_symbolic_link_is_never_followed() {
    let directory = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("precious");
    std::fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, directory.path().join(".env")).unwrap();
    let error = write(directory.path(), &files()).unwrap_err();
    assert!(error.to_string().contains("a symbolic link"), "{error}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
#[cfg(unix)]
fn a_directory_that_takes_no_files_is_named() {
    let error = write(Path::new("/proc/gpudoctor/out"), &files()).unwrap_err();
    assert!(error.to_string().contains("/proc/gpudoctor/out"), "{error}");
    assert!(error.hint().is_some());
}

fn snapshot(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}
