//! Checkpoints in miniature.

use std::path::Path;

pub(crate) const CONFIG: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8}"#;

/// A safetensors file with one BF16 tensor for each name, all of `elements` elements, data included.
pub(crate) fn safetensors(names: &[&str], elements: u64) -> Vec<u8> {
    let entry = |(number, name): (u64, &&str)| {
        let begin = number * elements * 2;
        let end = begin + elements * 2;
        format!(r#""{name}":{{"dtype":"BF16","shape":[{elements}],"data_offsets":[{begin},{end}]}}"#)
    };
    let header = format!("{{{}}}", (0_u64..).zip(names).map(entry).collect::<Vec<_>>().join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + names.len() * elements as usize * 2, 0);
    file
}

/// An index over shards, given as shard and tensor.
pub(crate) fn index(tensors: &[(&str, &str)], total_size: u64) -> String {
    let map: Vec<String> = tensors.iter().map(|(shard, tensor)| format!(r#""{tensor}":"{shard}""#)).collect();
    format!(r#"{{"metadata":{{"total_size":{total_size}}},"weight_map":{{{}}}}}"#, map.join(","))
}

/// A GGUF file of a one-layer Llama with an F32 embedding of 8 × 4, data included.
pub(crate) fn gguf() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let number = |key: &str, value: u32| [text(key), 4_u32.to_le_bytes().to_vec(), value.to_le_bytes().to_vec()].concat();
    let mut file = [b"GGUF\x03\0\0\0".to_vec(), 1_u64.to_le_bytes().to_vec(), 5_u64.to_le_bytes().to_vec()].concat();
    file.extend([text("general.architecture"), 8_u32.to_le_bytes().to_vec(), text("llama")].concat());
    for (key, value) in [("block_count", 1), ("embedding_length", 8), ("context_length", 64), ("attention.head_count", 2)] {
        file.extend(number(&format!("llama.{key}"), value));
    }
    file.extend(
        [text("token_embd.weight"), 2_u32.to_le_bytes().to_vec(), 8_u64.to_le_bytes().to_vec(), 4_u64.to_le_bytes().to_vec()].concat(),
    );
    file.extend([0_u32.to_le_bytes().to_vec(), 0_u64.to_le_bytes().to_vec()].concat());
    file.resize(file.len().next_multiple_of(32) + 128, 0);
    file
}

/// Writes files below `directory`, with the folders they need.
pub(crate) fn write(directory: &Path, files: &[(&str, &[u8])]) -> std::io::Result<()> {
    for (name, bytes) in files {
        let path = directory.join(name);
        fs_err::create_dir_all(path.parent().unwrap_or(directory))?;
        fs_err::write(path, bytes)?;
    }
    Ok(())
}
