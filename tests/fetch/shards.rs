//! A checkpoint of 1,000 shards must resolve in at most 100 ms on two cores, release build:
//! `cargo test --release --test fetch thousand -- --nocapture` prints the time. Debug builds and busy
//! machines get more room here.

use std::time::{Duration, Instant};

use gpudoctor::fetch::local;

use crate::files::{CONFIG, index, safetensors, write};

#[test]
fn a_thousand_shards_resolve_at_once() {
    const SHARDS: usize = 1000;
    const TENSORS_PER_SHARD: usize = 20;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let shard = |number: usize| format!("model-{:05}-of-{SHARDS:05}.safetensors", number + 1);
    let tensor = |number: usize, place: usize| format!("model.layers.{number}.mlp.experts.{place}.gate_proj.weight");
    let mut tensors = Vec::new();
    for number in 0..SHARDS {
        let names: Vec<String> = (0..TENSORS_PER_SHARD).map(|place| tensor(number, place)).collect();
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        write(directory.path(), &[(&shard(number), &safetensors(&borrowed, 4))]).expect("written");
        tensors.extend(names.into_iter().map(|name| (shard(number), name)));
    }
    let pairs: Vec<(&str, &str)> = tensors.iter().map(|(shard, tensor)| (shard.as_str(), tensor.as_str())).collect();
    let index = index(&pairs, (SHARDS * TENSORS_PER_SHARD * 8) as u64);
    write(directory.path(), &[("config.json", CONFIG.as_bytes()), ("model.safetensors.index.json", index.as_bytes())]).expect("written");

    let times = [(); 5].map(|()| {
        let begun = Instant::now();
        let checkpoint = local(directory.path()).expect("read");
        assert_eq!(checkpoint.headers.map(|headers| headers.len()), Some(SHARDS * TENSORS_PER_SHARD));
        assert_eq!(checkpoint.notes, Vec::<String>::new());
        begun.elapsed()
    });
    let best = times.into_iter().min().unwrap_or_default();
    println!("{SHARDS} shards, {} tensors: {best:?}", SHARDS * TENSORS_PER_SHARD);
    let limit = if cfg!(debug_assertions) { Duration::from_secs(2) } else { Duration::from_millis(300) };
    assert!(best < limit, "{best:?}");
}
