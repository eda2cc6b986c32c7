use gpudoctor::fetch::{Checkpoint, FetchError, HubId, HubSettings, hub};
use gpudoctor::units::Bytes;

use crate::files::{CONFIG, gguf, index, safetensors};
use crate::server::{Hub, Reply};

fn read(id: &str, settings: &HubSettings) -> (Result<Checkpoint, FetchError>, Vec<String>) {
    let mut lines = Vec::new();
    let id = HubId::parse(id).expect("an id");
    let result = hub(&id, settings, &mut |line| lines.push(line.to_owned()));
    (result, lines)
}

fn stored(checkpoint: &Checkpoint) -> Bytes {
    checkpoint.headers.iter().flatten().map(|tensor| tensor.bytes).sum()
}

#[test]
fn a_mirror_is_asked_for_the_beginnings_of_the_shards() {
    let mirror = Hub::start(|path| match path.strip_prefix("/o/n/resolve/main/") {
        Some("config.json") => Reply::File(CONFIG.into()),
        Some("model.safetensors.index.json") => Reply::File(index(&[("1.safetensors", "a"), ("2.safetensors", "b")], 16).into()),
        Some("1.safetensors") => Reply::File(safetensors(&["a"], 4)),
        Some("2.safetensors") => Reply::File(safetensors(&["b"], 4)),
        _ => Reply::MISSING,
    });
    let (result, lines) = read("o/n", &mirror.settings(&[]));
    let checkpoint = result.expect("read");
    assert_eq!((stored(&checkpoint), checkpoint.notes.len()), (Bytes(16), 0));
    assert_eq!(lines, [format!("reading o/n from {} (headers only)…", mirror.address.trim_start_matches("http://"))]);
    let shards = mirror.seen().into_iter().filter(|seen| seen.path.ends_with("1.safetensors"));
    assert_eq!(shards.map(|seen| seen.range).collect::<Vec<_>>(), [Some("bytes=0-1048575".to_owned())]);
}

#[test]
fn a_long_header_is_read_on_from_where_the_first_request_ended() {
    let hub = Hub::start(|path| match path.strip_prefix("/o/n/resolve/v1/") {
        Some("config.json") => Reply::File(CONFIG.into()),
        Some("model.safetensors") => {
            let names: Vec<String> = (0..20_000).map(|number| format!("model.layers.{number}.mlp.down_proj.weight")).collect();
            Reply::File(safetensors(&names.iter().map(String::as_str).collect::<Vec<_>>(), 4))
        }
        _ => Reply::MISSING,
    });
    let checkpoint = read("o/n@v1", &hub.settings(&[])).0.expect("read");
    assert_eq!(checkpoint.headers.map(|headers| headers.len()), Some(20_000));
    let seen = hub.seen();
    let ranges: Vec<_> = seen.iter().filter_map(|seen| seen.range.as_deref()).collect();
    assert!(ranges.len() == 2 && ranges[1].starts_with("bytes=1048576-"), "{ranges:?}");
}

#[test]
fn a_server_without_ranges_is_cut_off_after_the_header() {
    let hub = Hub::start(|path| match path.strip_prefix("/o/n/resolve/main/") {
        Some("config.json") => Reply::File(CONFIG.into()),
        Some("model.safetensors") => Reply::WholeFile(safetensors(&["a"], 2 << 20)),
        _ => Reply::MISSING,
    });
    let checkpoint = read("o/n", &hub.settings(&[])).0.expect("read");
    assert_eq!(stored(&checkpoint), Bytes(4 << 20));
}

#[test]
fn unusual_names_are_found_by_the_list_of_files() {
    let hub = Hub::start(|path| match path {
        "/api/models/o/n/revision/main" => {
            Reply::File(br#"{"siblings":[{"rfilename":"m-Q4_K_M.gguf"},{"rfilename":"m-Q8_0.gguf"}]}"#.into())
        }
        "/o/n/resolve/main/m-Q8_0.gguf" => Reply::File(gguf()),
        _ => Reply::MISSING,
    });
    assert!(matches!(read("o/n", &hub.settings(&[])).0, Err(FetchError::SeveralGguf { .. })));
    for id in ["o/n:Q8_0", "o/n/m-Q8_0.gguf"] {
        assert_eq!(stored(&read(id, &hub.settings(&[])).0.expect(id)), Bytes(128));
    }
}

#[test]
fn modelscope_has_its_own_addresses_and_branch() {
    let hub = Hub::start(|path| match path.strip_prefix("/models/o/n/resolve/master/") {
        Some("config.json") => Reply::File(CONFIG.into()),
        Some("model.safetensors") => Reply::File(safetensors(&["a"], 4)),
        _ => Reply::MISSING,
    });
    let settings = hub.settings(&[("VLLM_USE_MODELSCOPE", "True"), ("MODELSCOPE_API_TOKEN", "ms_x")]);
    assert_eq!(stored(&read("o/n", &settings).0.expect("read")), Bytes(8));
    assert!(hub.seen().iter().all(|seen| seen.token.as_deref() == Some("m_session_id=ms_x")));
}

#[test]
fn a_redirect_to_another_host_does_not_carry_the_token() {
    let store = Hub::start(|_| Reply::File(safetensors(&["a"], 4)));
    let target = format!("{}/blob?signature=x", store.address);
    let hub = Hub::start(move |path| match path {
        "/o/n/resolve/main/config.json" => Reply::Status(307, vec![("Location", "/new/n/resolve/main/config.json".into())], ""),
        "/new/n/resolve/main/config.json" => Reply::File(CONFIG.into()),
        "/o/n/resolve/main/model.safetensors" => Reply::Status(302, vec![("Location", target.clone())], ""),
        _ => Reply::MISSING,
    });
    let checkpoint = read("o/n", &hub.settings(&[("HF_TOKEN", "hf_secret")])).0.expect("read");
    assert_eq!(stored(&checkpoint), Bytes(8));
    assert!(hub.seen().iter().all(|seen| seen.token.as_deref() == Some("Bearer hf_secret")));
    let at_store = store.seen();
    assert_eq!(at_store.len(), 1);
    assert_eq!((at_store[0].token.as_deref(), at_store[0].range.as_deref()), (None, Some("bytes=0-1048575")));
}

#[test]
fn weights_that_time_out_leave_the_config() {
    let hub = Hub::start(|path| match path.strip_prefix("/o/n/resolve/main/") {
        Some("config.json") => Reply::File(CONFIG.into()),
        Some("model.safetensors") => Reply::Silence,
        _ => Reply::MISSING,
    });
    let checkpoint = read("o/n", &hub.settings(&[])).0.expect("config");
    assert_eq!(checkpoint.headers, None);
    assert!(
        checkpoint.notes[0].starts_with("the tensor headers could not be read (127.0.0.1 takes more than 1.5 s"),
        "{:?}",
        checkpoint.notes
    );
}
