use gpudoctor::fetch::{Checkpoint, FetchError, HubId, HubSettings, hub};
use gpudoctor::hint::Hint;

use crate::files::{CONFIG, gguf, index, safetensors, write};

/// Reads offline: any use of the network would announce itself and fail the test.
fn offline(files: &[(&str, &[u8])], id: &str, variables: &[(&str, &str)]) -> Result<Checkpoint, FetchError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), files).expect("written");
    let root = directory.path().display().to_string();
    let look = |name: &str| match name {
        "HF_HUB_OFFLINE" => Some("1".to_owned()),
        "HF_HUB_CACHE" | "MODELSCOPE_CACHE" => Some(root.clone()),
        name => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
    };
    let id = HubId::parse(id).expect("an id");
    hub(&id, &HubSettings::from_environment(&look), &mut |line| panic!("network used: {line}"))
}

fn count(checkpoint: &Checkpoint) -> usize {
    checkpoint.headers.iter().flatten().count()
}

#[test]
fn a_branch_leads_to_its_snapshot() {
    let model = safetensors(&["a"], 4);
    let files: [(&str, &[u8]); 3] = [
        ("models--o--n/refs/main", b"0123abcd"),
        ("models--o--n/snapshots/0123abcd/config.json", CONFIG.as_bytes()),
        ("models--o--n/snapshots/0123abcd/model.safetensors", &model),
    ];
    assert_eq!(count(&offline(&files, "o/n", &[]).expect("cached")), 1);
    assert_eq!(count(&offline(&files, "o/n@0123abcd", &[]).expect("cached")), 1);
    assert!(matches!(offline(&files, "o/n@other", &[]), Err(FetchError::NotCached { .. })));
}

#[test]
fn a_snapshot_without_its_weights_leaves_the_config() {
    let index = index(&[("m.safetensors", "a")], 8);
    let files: [(&str, &[u8]); 3] = [
        ("models--o--n/refs/main", b"0123abcd"),
        ("models--o--n/snapshots/0123abcd/config.json", CONFIG.as_bytes()),
        ("models--o--n/snapshots/0123abcd/model.safetensors.index.json", index.as_bytes()),
    ];
    let checkpoint = offline(&files, "o/n", &[]).expect("partial");
    assert_eq!((checkpoint.config.as_deref(), count(&checkpoint)), (Some(CONFIG), 0));
    assert!(checkpoint.notes[0].contains("not in the cache"));
}

#[test]
fn a_reference_cannot_lead_out_of_the_cache() {
    let files: [(&str, &[u8]); 2] = [("models--o--n/refs/main", b"../../../secret"), ("secret/config.json", CONFIG.as_bytes())];
    assert!(matches!(offline(&files, "o/n", &[]), Err(FetchError::NotCached { .. })));
}

#[test]
fn a_quantisation_names_a_cached_gguf() {
    let model = gguf();
    let files: [(&str, &[u8]); 3] = [
        ("models--o--n/refs/main", b"c0"),
        ("models--o--n/snapshots/c0/m-Q4_K_M.gguf", &model),
        ("models--o--n/snapshots/c0/m-Q8_0.gguf", &model),
    ];
    assert_eq!(count(&offline(&files, "o/n:Q8_0", &[]).expect("cached")), 1);
    assert_eq!(count(&offline(&files, "o/n/m-Q4_K_M.gguf", &[]).expect("cached")), 1);
}

#[test]
fn modelscope_writes_dots_in_its_own_way() {
    let model = safetensors(&["a"], 4);
    for directory in ["hub/models/Qwen/Qwen2___5-7B", "models/Qwen/Qwen2___5-7B", "hub/Qwen/Qwen2___5-7B", "Qwen/Qwen2.5-7B"] {
        let (config, weights) = (format!("{directory}/config.json"), format!("{directory}/model.safetensors"));
        let files: [(&str, &[u8]); 2] = [(&config, CONFIG.as_bytes()), (&weights, &model)];
        let checkpoint = offline(&files, "Qwen/Qwen2.5-7B", &[("VLLM_USE_MODELSCOPE", "True")]).expect(directory);
        assert_eq!(count(&checkpoint), 1);
    }
}

#[test]
fn an_absent_model_says_where_it_was_looked_for() {
    let error = offline(&[], "o/n", &[]).expect_err("absent");
    assert!(error.to_string().starts_with("`o/n` is not in the local cache (`/"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("HF_HUB_OFFLINE")));
}
