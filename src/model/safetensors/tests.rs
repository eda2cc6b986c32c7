use proptest::prelude::*;

use super::*;

fn file(header: &str) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes
}

fn problem(header: &str) -> String {
    parse(&file(header), None).expect_err(header).to_string()
}

const PAIR: &str = r#"{"__metadata__":{"format":"pt"},
    "b":{"dtype":"F8_E4M3","shape":[2,3],"data_offsets":[16,22]},
    "a":{"dtype":"BF16","shape":[8],"data_offsets":[0,16]}}   "#;

#[test]
fn tensors_come_in_the_order_of_their_data() {
    let tensors = parse(&file(PAIR), Some(8 + PAIR.len() as u64 + 22)).expect("valid");
    let a = TensorHeader { name: "a".into(), dtype: "BF16".into(), shape: vec![8], bytes: Bytes(16) };
    let b = TensorHeader { name: "b".into(), dtype: "F8_E4M3".into(), shape: vec![2, 3], bytes: Bytes(6) };
    assert_eq!(tensors, [a, b]);
}

#[test]
fn scalars_empty_tensors_and_packed_halves_have_a_size() {
    let header = r#"{"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
        "e":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},
        "p":{"dtype":"F4","shape":[2,4],"data_offsets":[4,8]}}"#;
    let sizes: Vec<u64> = parse(&file(header), None).expect("valid").iter().map(|tensor| tensor.bytes.0).collect();
    assert_eq!(sizes, [4, 0, 4]);
}

#[test]
fn a_header_of_two_to_the_63_bytes_is_refused_by_its_length() {
    let mut bytes = (1_u64 << 63).to_le_bytes().to_vec();
    bytes.push(b'{');
    let error = parse(&bytes, None).expect_err("absurd");
    assert_eq!(error.to_string(), "bytes 0 to 7 claim a header of 9223372036854775808 bytes; the format allows 100000000");
}

#[test]
fn a_short_file_says_where_it_ends() {
    assert_eq!(parse(b"abc", None).expect_err("short").to_string(), "it has 3 bytes, but bytes 0 to 7 must hold the header's length");
    let cut = &file(PAIR)[..20];
    assert!(parse(cut, None).expect_err("cut").to_string().ends_with("the file ends 12 bytes into it"));
    let size = 8 + PAIR.len() as u64 + 10;
    assert!(matches!(parse(&file(PAIR), Some(size)), Err(SafetensorsError::TruncatedData { .. })));
    assert!(matches!(parse(&file(PAIR), Some(size + 100)), Err(SafetensorsError::SurplusData { .. })));
}

#[test]
fn a_git_lfs_pointer_is_called_one() {
    let error = parse(b"version https://git-lfs.github.com/spec/v1\noid sha256:0", None).expect_err("pointer");
    assert_eq!(error, SafetensorsError::LfsPointer);
}

#[test]
fn a_bad_header_names_the_tensor_and_the_place() {
    assert!(problem("not json").starts_with("the header (from byte 8) is not valid: expected"));
    assert!(problem("[]").contains("expected an object of tensors at line 1 column"));
    let negative = problem(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#);
    assert!(negative.contains("tensor `a`") && negative.contains("`-4`") && negative.contains("line 1"), "{negative}");
    assert!(problem(r#"{"a":{"dtype":"F32","shape":[1]}}"#).contains("missing field `data_offsets`"));
    assert!(problem(r#"{"a":{"dtype":"X9","shape":[1],"data_offsets":[0,4]}}"#).contains("unknown dtype `X9`"));
}

#[test]
fn offsets_must_follow_each_other_and_fit_dtype_and_shape() {
    assert!(problem(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#).contains("begins at data offset 4"));
    assert!(problem(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#).contains("end before they begin"));
    assert!(problem(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#).contains("shape [2] cannot occupy 4 bytes"));
    let overlap = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
    assert!(problem(overlap).contains("tensor `b` begins at data offset 2"));
    let wrapping = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#;
    assert!(problem(wrapping).contains("cannot occupy 0 bytes"));
}

#[test]
fn a_tensor_stands_once() {
    let twice = r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#;
    assert_eq!(problem(twice), "tensor `a` is described twice");
}

#[test]
fn nesting_and_ranks_are_bounded() {
    assert!(problem(&format!("{{\"a\":{}", "[".repeat(100_000))).contains("tensor `a`"));
    assert!(problem(&format!("{{\"__metadata__\":{}", "[".repeat(100_000))).contains("not valid"));
    let shape = vec!["1"; 1000].join(",");
    assert!(problem(&format!(r#"{{"a":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,1]}}}}"#)).contains("at most 64 dimensions"));
}

#[test]
fn an_index_lists_each_shard_once() {
    let index =
        parse_index(br#"{"metadata":{"total_size":4.0},"weight_map":{"a":"2.safetensors","b":"1.safetensors","c":"2.safetensors"}}"#);
    let shards = vec!["1.safetensors".to_owned(), "2.safetensors".to_owned()];
    assert_eq!(index, Ok(Index { shards, tensors: 3, total_size: Some(Bytes(4)) }));
}

#[test]
fn an_index_stays_in_its_directory() {
    for name in ["../secret", "/etc/passwd", "", ".hidden", "a?b"] {
        let text = format!(r#"{{"weight_map":{{"a":"{name}"}}}}"#);
        assert!(matches!(parse_index(text.as_bytes()), Err(SafetensorsError::ForeignShard { .. })), "{name}");
    }
    assert!(parse_index(b"{}").expect_err("empty").to_string().contains("missing field `weight_map`"));
    assert!(parse_index(br#"{"weight_map":{}}"#).expect_err("empty").to_string().contains("names no shard"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), size in proptest::option::of(any::<u64>())) {
        let _ = parse(&bytes, size);
        let _ = parse(&file(&String::from_utf8_lossy(&bytes)), size);
        let _ = parse_index(&bytes);
    }

    #[test]
    fn mutated_headers_never_panic(at in 0..PAIR.len() + 8, byte in any::<u8>(), cut in 0..PAIR.len() + 8) {
        let mut bytes = file(PAIR);
        bytes[at] = byte;
        let _ = parse(&bytes, None);
        let _ = parse(&bytes[..cut], None);
    }

    #[test]
    fn sizes_add_up_for_any_valid_header(lengths in proptest::collection::vec(0_u64..1000, 0..20)) {
        let mut end = 0;
        let entries: Vec<String> = lengths.iter().enumerate().map(|(number, length)| {
            let begin = end;
            end += length * 2;
            format!(r#""t{number}":{{"dtype":"F16","shape":[{length}],"data_offsets":[{begin},{end}]}}"#)
        }).collect();
        let bytes = file(&format!("{{{}}}", entries.join(",")));
        let tensors = parse(&bytes, Some(bytes.len() as u64 + end)).expect("valid");
        prop_assert_eq!(tensors.iter().map(|tensor| tensor.bytes.0).sum::<u64>(), end);
    }
}
