use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Arguments, YamlError> {
    read_arguments(text.as_bytes(), "serve.yaml")
}

fn refusal(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn flags_keep_their_order_type_and_place() {
    let arguments = read("# engine\nmodel: org/m\nmax_model_len: 8192\nenforce-eager: yes\ngpu-memory-utilization: 0.90\n").expect("valid");
    let flags: Vec<_> = arguments.0.keys().map(String::as_str).collect();
    assert_eq!(flags, ["model", "max-model-len", "enforce-eager", "gpu-memory-utilization"]);
    assert_eq!(arguments.get("max-model-len"), Some(&json!(8192)));
    assert_eq!(arguments.get("enforce-eager"), Some(&json!(true)));
    let place = arguments.place("max-model-len").expect("has a place");
    assert_eq!((place.line, place.column, place.to_string()), (3, 1, "serve.yaml:3".to_owned()));
}

#[test]
fn quoted_scalars_are_text() {
    let arguments = read("port: \"8000\"\napi-key: 'yes'\nserved-model-name: !!str 70\n").expect("valid");
    assert_eq!(arguments.get("port"), Some(&json!("8000")));
    assert_eq!(arguments.get("api-key"), Some(&json!("yes")));
    assert_eq!(arguments.get("served-model-name"), Some(&json!("70")));
}

#[test]
fn lists_and_mappings_are_json() {
    let arguments =
        read("cudagraph-capture-sizes: [1, 2, 4]\nspeculative-config:\n  method: ngram\n  num_speculative_tokens: 3\n").expect("valid");
    assert_eq!(arguments.get("cudagraph-capture-sizes"), Some(&json!([1, 2, 4])));
    assert_eq!(arguments.get("speculative-config"), Some(&json!({"method": "ngram", "num_speculative_tokens": 3})));
}

#[test]
fn dotted_flags_set_keys_of_a_json_flag() {
    let arguments = read("compilation_config.mode: 3\ncompilation-config.pass_config.fuse_norm: true\n").expect("valid");
    assert_eq!(arguments.get("compilation-config"), Some(&json!({"mode": 3, "pass_config": {"fuse_norm": true}})));
}

#[test]
fn merge_keys_bring_in_what_is_not_set() {
    let arguments = read("speculative-config: &a {method: ngram, n: 1}\nother: {<<: *a, n: 2}\n").expect("valid");
    assert_eq!(arguments.get("other"), Some(&json!({"n": 2, "method": "ngram"})));
}

#[test]
fn tabs_are_named_with_their_place() {
    for (text, place) in
        [("a:\n\tb: 1\n", "2:1"), ("\ta: 1\n", "1:1"), ("a:\t1\n", "1:3"), ("a: 1\t# c\n", "1:5"), ("a: 1\n  \tb: 2\n", "2:3")]
    {
        let message = refusal(text);
        assert!(message.starts_with(&format!("serve.yaml:{place}: a tab;")), "{text:?}: {message}");
    }
    assert!(read("a: \"x\ty\" #\tcomment\n# also\there\nb: |\n  one\ttwo\n").is_ok());
}

#[test]
fn a_flag_given_twice_is_refused_under_any_spelling() {
    assert_eq!(
        refusal("port: 1\nport: 2\n"),
        "serve.yaml:2:1: `port` stands here again; it was set in line 1, and PyYAML would take the last silently; keep one"
    );
    assert_eq!(
        refusal("max_model_len: 1\nmax-model-len: 2\n"),
        "serve.yaml:2:1: `max-model-len` is the same flag as `max_model_len` in line 1; keep one"
    );
}

#[test]
fn what_no_configuration_needs_is_refused_in_one_sentence() {
    for (text, part) in [
        ("", "1:1: the file is empty"),
        ("# only a comment\n", "1:1: the file is empty"),
        ("- a\n- b\n", "1:1: the top level is a list; it must be a mapping"),
        ("just words\n", "1:1: the top level is a single value"),
        ("a: 1\n---\nb: 2\n", "3:1: a second document starts here"),
        ("a: !!python/object/apply:os.system [ls]\n", "the tag `!!python/object/apply:os.system` is refused"),
        ("a: !custom x\n", "the tag `!custom` is refused"),
        ("a: *missing\n", "1:4: not valid YAML: while parsing node, found unknown anchor"),
        ("a: &x [*x]\n", "1:8: an alias refers to the value that it stands in"),
        ("? [a, b]\n: 1\n", "1:3: a key is a list"),
        ("8000: x\n", "1:1: the key `8000` is not a flag name"),
        ("--port: 8000\n", "1:1: `--port` starts with dashes; in a file, flags stand without them: `port`"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: {<<: 3}\n", "`<<` merges mappings, and this is a single value"),
        ("a: \u{0}\n", "1:4: the control character U+0000"),
    ] {
        let message = refusal(text);
        assert!(message.contains(part), "{text:?}: {message}");
    }
}

#[test]
fn other_encodings_are_named() {
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain("port: 1".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert!(read_arguments(&utf16, "f").expect_err("UTF-16").to_string().contains("iconv -f UTF-16 -t UTF-8"));
    assert!(read_arguments(&utf16[2..], "f").expect_err("UTF-16 without a mark").to_string().contains("UTF-16"));
    assert_eq!(
        read_arguments(b"a: 1\nb: \xE9\n", "f").expect_err("Latin-1").to_string(),
        "f:2:4: a byte that is not UTF-8; save the file as UTF-8"
    );
    assert_eq!(read_arguments(b"\xEF\xBB\xBFport: 1\n", "f").expect("a mark is fine").get("port"), Some(&json!(1)));
}

#[test]
fn bombs_are_refused_quickly() {
    let laughs = (0..20).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| text + &format!("a{}: &a{} [*a{n}, *a{n}]\n", n + 1, n + 1));
    let bombs = [
        laughs,
        "[".repeat(1_000_000),
        "{a: ".repeat(200_000),
        "- ".repeat(400_000),
        "? ".repeat(400_000),
        "a: [".to_owned() + &"1,".repeat(400_000) + "]",
        format!("a: {}", "x ".repeat(500_000)),
        (0..60).fold(String::new(), |text, n| text + &" ".repeat(n) + "a:\n"),
        "&a ".repeat(300_000),
        "a: \"".to_owned() + &"\n".repeat(900_000),
        "x".repeat(MAX_BYTES + 1),
    ];
    for bomb in bombs {
        let start = Instant::now();
        let _ = read(&bomb);
        assert!(start.elapsed() < Duration::from_secs(4), "{} took {:?}", &bomb[..40], start.elapsed());
    }
}

#[test]
fn documents_of_a_manifest_are_read_apart() {
    let documents = yaml_documents_to_json("kind: A\n---\nkind: B\n", "k.yaml").expect("valid");
    assert_eq!(documents, [json!({"kind": "A"}), json!({"kind": "B"})]);
}

#[test]
fn set_takes_a_flag_and_a_value_as_in_a_file() {
    let value = |text: &str| parse_set(text).map(|(flag, argument)| (flag, argument.value));
    assert_eq!(value("--max_num_seqs=8"), Ok(("max-num-seqs".to_owned(), json!(8))));
    assert_eq!(value("quantization=null"), Ok(("quantization".to_owned(), json!(null))));
    assert_eq!(value("api-key=a=b"), Ok(("api-key".to_owned(), json!("a=b"))));
    assert_eq!(value(r#"hf-overrides={"a": 1}"#), Ok(("hf-overrides".to_owned(), json!({"a": 1}))));
    for text in ["max-num-seqs", "=3", "a b=3", ""] {
        assert!(parse_set(text).expect_err(text).to_string().contains("is not FLAG=VALUE"), "{text}");
    }
}

#[test]
fn env_takes_a_name_and_text() {
    assert_eq!(parse_env("A_1=yes=no"), Ok(("A_1".to_owned(), "yes=no".to_owned())));
    assert!(parse_env("1A=x").is_err());
    assert!(parse_env("A").is_err());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*|[-a-c:#&*!|>'\"{}\\[\\], \t\n0-9.<]{0,60}") {
        let _ = read(&text);
        let _ = parse_set(&text);
        let _ = parse_env(&text);
        let _ = yaml_documents_to_json(&text, "f");
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_arguments(&bytes, "f");
    }

    #[test]
    fn a_mutated_configuration_is_read_or_refused(at in 0usize..200, with in any::<char>()) {
        let text = "model: org/m\nmax-model-len: 8192\ncompilation-config: {mode: 3, sizes: [1, 2]}\nlora:\n  - a\n  - \"b\"\nkey: |\n  text\n";
        let mutated: String = text.chars().enumerate().map(|(index, c)| if index == at { with } else { c }).collect();
        let _ = read(&mutated);
    }
}
