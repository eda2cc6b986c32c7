//! A user's config.json that is not the catalogue's.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::program::run;

/// Qwen3-8B with `vocab_size` entries, in a folder that is called after it.
fn folder(case: &str, vocab_size: u64) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plans").join(case).join("Qwen").join("Qwen3-8B");
    fs_err::create_dir_all(&folder).expect("a folder");
    let config = serde_json::json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "torch_dtype": "bfloat16", "hidden_size": 4096,
        "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "vocab_size": vocab_size, "max_position_embeddings": 40960, "tie_word_embeddings": false, "attention_bias": false,
        "rope_theta": 1_000_000, "rms_norm_eps": 1e-6
    });
    fs_err::write(folder.join("config.json"), config.to_string()).expect("a file");
    folder.display().to_string()
}

fn plan(model: &str, format: &str) -> String {
    let arguments = ["plan", "--model", model, "--gpu", "l40s", "--format", format];
    let outcome = run(&arguments, &[], Duration::from_secs(20));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    outcome.stdout
}

#[test]
fn a_changed_field_is_told_in_text_and_json() {
    let model = folder("changed", 152_064);
    let text = plan(&model, "text").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("info[model-differs-from-catalogue]"), "{text}");
    assert!(text.contains("vocab_size is 152064, and 151936 in the catalogue"), "{text}");
    let json: Value = serde_json::from_str(&plan(&model, "json")).expect("JSON");
    let note = json["findings"].as_array().into_iter().flatten().find(|finding| finding["id"] == "model-differs-from-catalogue");
    assert_eq!(note.expect("a note")["severity"], "info");
}

#[test]
fn the_same_model_is_no_difference() {
    assert!(!plan(&folder("same", 151_936), "text").contains("differs"));
}
