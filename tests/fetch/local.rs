use std::path::Path;
use std::time::{Duration, Instant};

use gpudoctor::fetch::{Checkpoint, FetchError, local};
use gpudoctor::hint::Hint;

use crate::files::{CONFIG, gguf, index, safetensors, write};

fn read(files: &[(&str, &[u8])], name: &str) -> Result<Checkpoint, FetchError> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write(directory.path(), files).expect("written");
    let begun = Instant::now();
    let result = local(&directory.path().join(name));
    assert!(begun.elapsed() < Duration::from_secs(5));
    result
}

fn names(checkpoint: &Checkpoint) -> Vec<&str> {
    checkpoint.headers.iter().flatten().map(|tensor| tensor.name.as_str()).collect()
}

fn problem(files: &[(&str, &[u8])], name: &str) -> (String, String) {
    let error = read(files, name).expect_err("refused");
    (error.to_string(), error.hint().unwrap_or_default())
}

#[test]
fn a_config_alone_is_a_model_without_headers() {
    let checkpoint = read(&[("config.json", CONFIG.as_bytes())], "config.json").expect("read");
    assert_eq!((checkpoint.config.as_deref(), checkpoint.headers), (Some(CONFIG), None));
}

#[test]
fn a_directory_has_config_and_headers() {
    let files = [("config.json", CONFIG.as_bytes()), ("model.safetensors", &safetensors(&["a", "b"], 4)), ("hf_quant_config.json", b"{}")];
    let checkpoint = read(&files, "").expect("read");
    assert_eq!(names(&checkpoint), ["a", "b"]);
    assert_eq!((checkpoint.config.as_deref(), checkpoint.hf_quant_config.as_deref()), (Some(CONFIG), Some("{}")));
    assert_eq!(checkpoint.notes, Vec::<String>::new());
}

#[test]
fn an_index_or_any_shard_stands_for_all_shards() {
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let index = index(&[(first, "a"), (second, "b")], 16);
    let shards = [(first, safetensors(&["a"], 4)), (second, safetensors(&["b"], 4))];
    let files = [("model.safetensors.index.json", index.as_bytes()), (first, &shards[0].1), (second, &shards[1].1)];
    for name in ["", "model.safetensors.index.json", second] {
        assert_eq!(names(&read(&files, name).expect(name)), ["a", "b"], "{name}");
    }
}

#[test]
fn an_index_that_disagrees_is_noted_and_the_shards_count() {
    let index = index(&[("m.safetensors", "a"), ("m.safetensors", "ghost")], 999);
    let files = [("model.safetensors.index.json", index.as_bytes()), ("m.safetensors", &safetensors(&["a"], 4))];
    let notes = read(&files, "").expect("read").notes;
    assert_eq!(
        notes,
        ["the index names 2 tensors, the shards hold 1", "the index speaks of 999 bytes, the shards hold 8; the shards count"]
    );
}

#[test]
fn missing_shards_are_named() {
    let (message, hint) = problem(&[("m-00001-of-00003.safetensors", &safetensors(&["a"], 4))], "m-00001-of-00003.safetensors");
    assert!(message.ends_with("lacks 2 of 3 shards: `m-00002-of-00003.safetensors`, `m-00003-of-00003.safetensors`"), "{message}");
    assert!(hint.starts_with("finish the download"));
}

#[test]
fn a_gguf_file_gives_a_config_and_names_of_the_engine() {
    let checkpoint = read(&[("m.gguf", &gguf()), ("mmproj-m.gguf", b"not read")], "").expect("read");
    assert_eq!(names(&checkpoint), ["model.embed_tokens.weight"]);
    assert!(checkpoint.config.is_some_and(|config| config.contains("LlamaForCausalLM")));
}

#[test]
fn one_of_several_gguf_models_must_be_named() {
    let (message, hint) = problem(&[("a.gguf", &gguf()), ("b.gguf", &gguf())], "");
    assert!(message.ends_with("holds 2 GGUF models: `a.gguf`, `b.gguf`"), "{message}");
    assert!(hint.starts_with("name one of them"));
}

#[test]
fn weights_without_headers_leave_the_config() {
    let checkpoint = read(&[("config.json", CONFIG.as_bytes()), ("pytorch_model.bin", b"PK")], "").expect("read");
    assert_eq!(checkpoint.headers, None);
    assert!(checkpoint.notes[0].contains("`pytorch_model.bin` has no readable headers"));
}

#[test]
fn bad_files_are_named_with_the_place() {
    let cases: [(&str, &[u8], &str); 8] = [
        ("m.safetensors", &(1_u64 << 63).to_le_bytes(), "bytes 0 to 7 claim a header of 9223372036854775808 bytes"),
        ("m.safetensors", &safetensors(&["a"], 4)[..20], "the file ends 12 bytes into it"),
        ("m.safetensors", b"\x02\0\0\0\0\0\0\0no", "the header (from byte 8) is not valid"),
        ("m.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer"),
        ("model.safetensors.index.json", b"<html>", "the index is not valid"),
        ("m.gguf", b"GGUF\x01\0\0\0", "it is GGUF version 1"),
        ("m.gguf", &gguf()[..100], "the file ends at byte 100"),
        ("config.json", b"{\xff}", "is not UTF-8 text: byte 1 is invalid"),
    ];
    for (name, bytes, expected) in cases {
        let (message, hint) = problem(&[(name, bytes)], name);
        assert!(message.contains(name) && message.contains(expected), "{message}");
        assert!(!hint.is_empty(), "{message}");
    }
}

#[test]
fn what_is_no_model_is_said_to_be_none() {
    assert!(problem(&[("readme.md", b"")], "").0.contains("holds no model"));
    assert!(problem(&[("adapter_config.json", b"{}")], "").1.contains("LoRA adapter"));
    assert!(problem(&[("readme.md", b"")], "readme.md").0.contains("is not a model"));
    assert!(problem(&[], "missing").0.ends_with("missing` does not exist"));
}

#[test]
fn a_device_is_not_read() {
    let error = local(Path::new("/dev/zero")).expect_err("refused");
    assert!(matches!(error, FetchError::SpecialFile { .. }), "{error}");
}
