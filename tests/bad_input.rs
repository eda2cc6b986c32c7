//! Bad input of every kind, through the program: one clear error that names the place, exit code 2, nothing on
//! stdout, nothing written, and an end in time.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use program::{Outcome, run};

/// What a request without a hub may take at most, on a loaded machine.
const SOON: Duration = Duration::from_secs(20);

/// A folder of its own, with these files.
fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad-input").join(name);
    let _ = fs_err::remove_dir_all(&folder);
    fs_err::create_dir_all(&folder).expect("a folder");
    for (name, bytes) in files {
        fs_err::write(folder.join(name), bytes).expect("a file");
    }
    folder
}

/// The run is refused as bad input must be, and its error has all of `parts`.
#[track_caller]
fn assert_refused(outcome: &Outcome, what: &str, parts: &[&str]) {
    assert_eq!(outcome.code, Some(2), "{what}: {outcome:?}");
    assert_eq!(outcome.stdout, "", "{what}");
    let errors = outcome.stderr.lines().filter(|line| line.starts_with("error:")).count();
    assert_eq!(errors, 1, "{what}:\n{}", outcome.stderr);
    for word in ["panicked", "backtrace", "RUST_BACKTRACE", "unwrap", ".rs:"] {
        assert!(!outcome.stderr.contains(word), "{what} shows a trace:\n{}", outcome.stderr);
    }
    let flat = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in parts {
        assert!(flat.contains(part), "{what}: no `{part}` in\n{}", outcome.stderr);
    }
}

/// Refuses `plan` with these arguments, with and without an output directory, which is not made.
#[track_caller]
fn refuses(arguments: &[&str], parts: &[&str]) {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let out = folder(&format!("out-{}", RUNS.fetch_add(1, Ordering::Relaxed)), &[]).join("never-written");
    let directory = out.display().to_string();
    let all: Vec<&str> = ["plan", "--emit", &directory].iter().chain(arguments).copied().collect();
    let outcome = run(&all, &[("HF_HUB_OFFLINE", "1")], SOON);
    assert_refused(&outcome, &arguments.join(" "), parts);
    assert!(!out.exists(), "{arguments:?} wrote {directory}");
}

#[test]
fn unknown_names_are_told_with_the_nearest() {
    refuses(&["--model", "qwen3-8c", "--vram", "7g"], &["qwen3-8c", "Qwen3-8B"]);
    refuses(&["--model", "71b", "--vram", "7g"], &["71b", "70b"]);
    refuses(&["--model", "70b", "--gpu", "rtx 3061"], &["rtx 3061", "3060"]);
    refuses(&["--model", "70b", "--vram", "7g", "--engine", "vlm"], &["vlm", "vllm"]);
    refuses(&["--model", "70b", "--vram", "7g", "--engine", "vllm@9.9"], &["9.9", "0.33.0"]);
    refuses(&["--model", "70b", "--vram", "7g", "--engine", "vllm@0.1.0"], &["0.1.0", "vllm@"]);
    refuses(&["--model", "70b", "--vram", "7g", "--quantization", "awk"], &["awk", "awq"]);
    refuses(&["--model", "70b", "--vram", "7g", "--set", "max-num-sequences=8"], &["max-num-sequences", "max-num-seqs"]);
    refuses(&["--model", "70b", "--vram", "7g", "--set", "unknown-flag=1"], &["unknown-flag"]);
    refuses(&["--model", "70b", "--vram", "7g", "--contxt", "8k"], &["--contxt", "--context"]);
    refuses(&["--modle", "70b", "--vram", "7g"], &["--modle", "--model"]);
}

#[test]
fn sizes_must_be_sizes() {
    for (size, part) in
        [("0", "CUDA context"), ("-1", "negative"), ("7x", "unknown unit `x`"), ("", "--vram"), ("99999999t", "--vram"), ("nan", "--vram")]
    {
        refuses(&["--model", "70b", "--vram", size], &[part]);
    }
    refuses(&["--model", "70b", "--vram", "1m"], &["--vram"]);
    refuses(&["--model", "70b", "--gpu", "rtx 3060", "--vram", "40g"], &["40g", "12 GiB"]);
    refuses(&["--model", "70b", "--vram", "7g", "--context", "0"], &["--context"]);
    refuses(&["--model", "70b", "--vram", "7g", "--concurrency", "0"], &["--concurrency"]);
    refuses(&["--model", "70b", "--vram", "7g", "--gpus", "-1"], &["--gpus"]);
}

/// A safetensors file: the length of its header, and the header.
fn safetensors(length: u64, header: &str) -> Vec<u8> {
    [&length.to_le_bytes(), header.as_bytes()].concat()
}

#[test]
fn tensor_files_are_read_with_care() {
    let header = r#"{"model.embed_tokens.weight":{"dtype":"BF16","shape":[4,4],"data_offsets":[0,32]}}"#;
    let files: [(&str, Vec<u8>, &str); 9] = [
        ("empty.safetensors", Vec::new(), "empty.safetensors"),
        ("short.safetensors", vec![1, 2, 3], "short.safetensors"),
        ("truncated.safetensors", safetensors(4096, header), "truncated.safetensors"),
        ("huge.safetensors", safetensors(1 << 63, header), "huge.safetensors"),
        ("all-ones.safetensors", safetensors(u64::MAX, header), "all-ones.safetensors"),
        ("words.safetensors", safetensors(9, "not json!"), "words.safetensors"),
        ("old.gguf", [b"GGUF".as_slice(), &1_u32.to_le_bytes(), &[0; 64]].concat(), "old.gguf"),
        ("new.gguf", [b"GGUF".as_slice(), &99_u32.to_le_bytes(), &[0; 64]].concat(), "new.gguf"),
        ("counts.gguf", [b"GGUF".as_slice(), &3_u32.to_le_bytes(), &[0xff; 64]].concat(), "counts.gguf"),
    ];
    let folder = folder("tensors", &[]);
    for (name, bytes, part) in files {
        let path = folder.join(name);
        fs_err::write(&path, bytes).expect("a file");
        let path = path.display().to_string();
        let version: &[&str] = if name == "old.gguf" || name == "new.gguf" { &["version"] } else { &[] };
        refuses(&["--model", &path, "--vram", "7g"], &[&[part], version].concat());
    }
}

/// config.json of a small model, with one field replaced.
fn config(field: &str, value: &str) -> String {
    let mut fields = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "hidden_size": 1024,
        "intermediate_size": 4096, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2,
        "vocab_size": 32000, "max_position_embeddings": 8192
    });
    if value.is_empty() {
        fields.as_object_mut().expect("an object").remove(field);
    } else {
        fields[field] = serde_json::from_str(value).expect("JSON");
    }
    fields.to_string()
}

#[test]
fn model_configurations_must_make_sense() {
    for (number, (field, value)) in [
        ("hidden_size", ""),
        ("num_hidden_layers", ""),
        ("num_attention_heads", ""),
        ("vocab_size", ""),
        ("hidden_size", "0"),
        ("hidden_size", "-4096"),
        ("hidden_size", "1e300"),
        ("hidden_size", "\"large\""),
        ("hidden_size", "9223372036854775807"),
        ("num_hidden_layers", "100000000000"),
        ("num_attention_heads", "0"),
        ("num_key_value_heads", "3"),
        ("vocab_size", "[1]"),
        ("max_position_embeddings", "\"long\""),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = folder(&format!("config-{number}"), &[("config.json", config(field, value).as_bytes())]);
        refuses(&["--model", &folder.display().to_string(), "--vram", "7g"], &["config.json", field]);
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (name, text) in
        [("empty", ""), ("list", "[]"), ("cut", "{\"hidden_size\": 10"), ("words", "<html>"), ("deep", &deep), ("nothing", "{}")]
    {
        let folder = folder(&format!("config-{name}"), &[("config.json", text.as_bytes())]);
        refuses(&["--model", &folder.display().to_string(), "--vram", "7g"], &["config.json"]);
    }
}

#[test]
fn engine_configurations_are_read_with_care() {
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..30).map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", "))))
        .collect();
    let deep = format!("model: {}x{}\n", "[".repeat(50_000), "]".repeat(50_000));
    for (name, text, parts) in [
        ("tabs.yaml", "model: Qwen/Qwen3-8B\n\tdtype: bfloat16\n", &["tabs.yaml:2", "tab"][..]),
        ("bomb.yaml", &bomb, &["bomb.yaml:", "aliases"]),
        ("twice.yaml", "model: Qwen/Qwen3-8B\nmax-num-seqs: 8\nmax-num-seqs: 16\n", &["twice.yaml:3", "max-num-seqs"]),
        ("spellings.yaml", "model: Qwen/Qwen3-8B\nmax-num-seqs: 8\nmax_num_seqs: 16\n", &["spellings.yaml:3", "max"]),
        ("list.yaml", "- a\n- b\n", &["list.yaml"]),
        ("open.yaml", "model: \"Qwen\n", &["open.yaml"]),
        ("deep.yaml", &deep, &["deep.yaml"]),
        ("binary.yaml", "model: \u{0}\u{1}\n", &["binary.yaml"]),
        ("empty.yaml", "", &["empty.yaml"]),
    ] {
        let folder = folder("yaml", &[(name, text.as_bytes())]);
        let path = folder.join(name).display().to_string();
        refuses(&["--config", &path, "--vram", "7g"], parts);
    }
    let folder = folder("latin", &[("latin.yaml", b"model: caf\xe9\n"), ("large.yaml", &vec![b'#'; 2 << 20])]);
    refuses(&["--config", &folder.join("latin.yaml").display().to_string(), "--vram", "7g"], &["latin.yaml"]);
    refuses(&["--config", &folder.join("large.yaml").display().to_string(), "--vram", "7g"], &["large.yaml"]);
}

#[test]
fn files_must_be_there_and_be_files() {
    let folder = folder("files", &[("config.json", b"{}"), ("notes.txt", b"hello")]);
    let place = |name: &str| folder.join(name).display().to_string();
    refuses(&["--config", &place("absent.yaml"), "--vram", "7g"], &["absent.yaml", "does not exist"]);
    refuses(&["--config", &folder.display().to_string(), "--vram", "7g"], &["is a directory"]);
    refuses(&["--model", &place("absent"), "--vram", "7g"], &["absent"]);
    refuses(&["--model", &place("notes.txt"), "--vram", "7g"], &["notes.txt"]);
    refuses(&["--model", "70b", "--vram", "7g", "--rules", &place("absent")], &["absent"]);
    refuses(&["--model", "70b", "--vram", "7g", "--rules", &place("notes.txt")], &["notes.txt"]);
    let nothing = self::folder("nothing", &[]).display().to_string();
    refuses(&["--model", &nothing, "--vram", "7g"], &["nothing"]);
    refuses(&["--model", "70b", "--vram", "7g", "--rules", &nothing], &["nothing"]);
    refuses(&["--model", "/dev/null", "--vram", "7g"], &["/dev/null"]);
}

mod hubs {
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use tiny_http::{Header, Response, Server};

    use super::*;

    enum Answer {
        Silence,
        Status(u16, &'static str, &'static str),
    }

    /// A hub on this machine that gives everyone the same answer.
    fn hub(answer: Answer) -> (String, Receiver<()>) {
        let server = Server::http("127.0.0.1:0").unwrap_or_else(|problem| panic!("no local server: {problem}"));
        let address = format!("http://{}", server.server_addr());
        let (asked, seen) = channel();
        thread::spawn(move || {
            let mut unanswered = Vec::new();
            for request in server.incoming_requests() {
                let _ = asked.send(());
                match answer {
                    Answer::Silence => unanswered.push(request),
                    Answer::Status(status, kind, body) => {
                        let kind = Header::from_bytes("Content-Type", kind).unwrap_or_else(|()| panic!("a bad header"));
                        let _ = request.respond(Response::from_data(body).with_status_code(status).with_header(kind));
                    }
                }
            }
        });
        (address, seen)
    }

    #[track_caller]
    fn refuses(answer: Answer, deadline: Duration, parts: &[&str]) {
        let (address, seen) = hub(answer);
        let home = folder(&format!("home-{}", parts.len() + parts.concat().len()), &[]).display().to_string();
        let arguments = ["plan", "--model", "nobody/no-such-model", "--vram", "7g"];
        let environment = [("HF_ENDPOINT", address.as_str()), ("HF_HOME", &home), ("HF_HUB_DOWNLOAD_TIMEOUT", "3")];
        let outcome = run(&arguments, &environment, deadline);
        assert!(seen.try_recv().is_ok(), "the hub was not asked: {outcome:?}");
        assert_refused(&outcome, &parts.join(", "), parts);
    }

    #[test]
    fn a_gated_model_says_how_to_get_it() {
        refuses(Answer::Status(401, "text/plain", "Invalid username or password."), SOON, &["nobody/no-such-model", "HF_TOKEN"]);
    }

    #[test]
    fn a_page_is_no_configuration() {
        refuses(Answer::Status(200, "text/html", "<!doctype html><html><body>Sign in</body></html>"), SOON, &["127.0.0.1", "web page"]);
    }

    #[test]
    fn a_missing_model_and_a_broken_hub_are_told() {
        refuses(Answer::Status(404, "text/plain", "Repository not found"), SOON, &["nobody/no-such-model"]);
        refuses(Answer::Status(500, "text/plain", "oops"), Duration::from_secs(60), &["500"]);
    }

    /// A hub that takes the connection and never answers ends the run by its own deadline.
    #[test]
    fn a_hub_that_hangs_is_given_up() {
        refuses(Answer::Silence, SOON, &["nobody/no-such-model"]);
    }
}
