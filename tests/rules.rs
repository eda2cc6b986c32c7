//! Every file below `rules/` is strict, sourced, and agrees with the others.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use gpudoctor::catalog::{Catalog, ComputeCapability, FlagStatus, RunnerRule};
use gpudoctor::version::Version;

/// Every rule file, by its path below `rules/`.
fn files() -> Vec<(String, toml::Table)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs_err::read_dir(folder).expect("rules/ is a folder") {
            let path = entry.expect("an entry of rules/").path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let mut paths = Vec::new();
    collect(&rules, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs_err::read_to_string(&path).expect("a rule file is UTF-8");
        let name = path.strip_prefix(&rules).expect("below rules/").to_string_lossy().into_owned();
        (name.clone(), toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    paths.into_iter().map(read).collect()
}

fn version(text: &str) -> Version {
    text.parse().expect("a version of the test")
}

#[test]
fn every_file_decodes_and_every_name_is_known() {
    let problems: Vec<String> = Catalog::builtin().validate().iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn the_same_files_are_a_valid_overlay() {
    let texts = files().into_iter().map(|(name, table)| (PathBuf::from(name), toml::to_string(&table).expect("a table")));
    let catalog = Catalog::with_overlay(texts.collect()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(catalog.gpus().len(), Catalog::builtin().gpus().len());
    assert_eq!(catalog.models().count(), Catalog::builtin().models().count());
    assert!(catalog.gpus().iter().all(|gpu| gpu.origin.is_overlay()));
}

/// Either the row, or for long tables of one origin the file, says where it comes from.
#[test]
fn every_row_or_its_file_has_a_source() {
    let cites = |table: &toml::Table| {
        let one = table.get("source").and_then(toml::Value::as_str).is_some_and(|source| !source.is_empty());
        let many = table.get("sources").and_then(toml::Value::as_array).is_some_and(|sources| !sources.is_empty());
        one || many
    };
    let mut bare = Vec::new();
    for (name, table) in files() {
        if cites(&table) {
            continue;
        }
        for (key, value) in &table {
            let rows: Vec<&toml::Table> = match value {
                toml::Value::Array(rows) => rows.iter().filter_map(toml::Value::as_table).collect(),
                toml::Value::Table(row) => vec![row],
                _ => continue,
            };
            let silent = rows.iter().filter(|row| !cites(row)).count();
            if silent > 0 {
                bare.push(format!("{name}: {silent} of [[{key}]]"));
            }
        }
    }
    assert!(bare.is_empty(), "no source:\n{}", bare.join("\n"));
}

/// A source that says "measured" names the file that has the runs, and the file is there.
#[test]
fn what_was_measured_names_the_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for (name, table) in files() {
        for source in sources(&toml::Value::Table(table)) {
            let cited: Vec<&str> =
                source.split(['(', ')', ' ', ':', ',', ';']).filter(|word| word.starts_with("docs/measurements/")).collect();
            let missing = cited.iter().any(|file| !root.join(file).is_file());
            if missing || source.starts_with("measured") && cited.is_empty() {
                wrong.push(format!("{name}: {source}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every `source` and every entry of a `sources`, however deep.
fn sources(value: &toml::Value) -> Vec<String> {
    match value {
        toml::Value::Table(table) => table
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("source", toml::Value::String(source)) => vec![source.clone()],
                ("sources", toml::Value::Array(list)) => list.iter().filter_map(|source| source.as_str().map(str::to_owned)).collect(),
                _ => sources(value),
            })
            .collect(),
        toml::Value::Array(list) => list.iter().flat_map(sources).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn ids_are_the_names_of_their_files() {
    for (name, table) in files() {
        if name.starts_with("gpus/") || name.starts_with("attention/") {
            let id = table.get("id").and_then(toml::Value::as_str);
            assert_eq!(id, Path::new(&name).file_stem().and_then(|stem| stem.to_str()), "{name}");
        }
    }
}

#[test]
fn ids_are_unique() {
    let mut seen: HashMap<String, String> = HashMap::new();
    // An attention family is one entry; its rows may name a kernel once for each range of versions.
    for (name, table) in files().into_iter().filter(|(name, _)| !name.starts_with("attention/")) {
        // Constants of one name hold for different versions and devices.
        for (key, value) in table.iter().filter(|(key, _)| *key != "constant") {
            for row in value.as_array().into_iter().flatten().filter_map(toml::Value::as_table) {
                let id = ["id", "name", "version", "branch", "major", "torch", "libraries"].iter().find_map(|key| row.get(*key));
                let Some(id) = id else { continue };
                // A method of an engine and a scheme may share a name, two rows of one kind may not.
                let folder = Path::new(&name).parent().map(|parent| parent.display().to_string()).unwrap_or_default();
                if let Some(other) = seen.insert(format!("{folder}/{key}/{id}"), name.clone()) {
                    panic!("{id} of [[{key}]] is in {name} and {other}");
                }
            }
        }
    }
}

#[test]
fn choices_are_not_empty_and_hold_the_default() {
    let catalog = Catalog::builtin();
    let flags = files().into_iter().find(|(name, _)| name == "engines/vllm/flags.toml").expect("the flags").1;
    for flag in flags["flag"].as_array().expect("rows") {
        for span in flag["span"].as_array().expect("spans") {
            for key in ["choices", "suggested", "short", "aliases"] {
                let empty = span.get(key).and_then(toml::Value::as_array).is_some_and(|list| list.is_empty());
                assert!(!empty, "{}: empty {key}", flag["name"]);
            }
        }
    }
    for flag in catalog.engine("vllm").expect("an engine").flags() {
        assert!(!flag.span.is_empty(), "{}", flag.name);
        for pair in flag.span.windows(2) {
            let end = pair[0].until.as_ref().unwrap_or_else(|| panic!("{}: an open span is followed by another", flag.name));
            assert!(*end <= pair[1].since, "{}: spans overlap at {end}", flag.name);
        }
        for span in flag.span.iter().filter(|span| !span.choices.is_empty()) {
            let default = span.default.as_ref().and_then(|value| value.as_str());
            assert!(default.is_none_or(|default| span.choices.iter().any(|choice| choice == default)), "{}", flag.name);
        }
        assert!(flag.effect.is_none() && flag.replacement.is_none() || !flag.sources.is_empty(), "{}", flag.name);
        let gone = flag.span.last().is_some_and(|span| span.until.is_some());
        assert!(!gone || flag.replacement.is_some(), "{} is gone, and nothing says what to write instead", flag.name);
    }
}

/// Number of flags and FNV-1a of their sorted names, each followed by a line feed, of every release read.
const FLAG_SETS: &[(&str, usize, u32)] = &[
    ("0.6.6.post1", 126, 0xc0caaf50),
    ("0.7.3", 136, 0x1527aeb6),
    ("0.8.0", 143, 0xba003e8a),
    ("0.8.5.post1", 137, 0x0160823b),
    ("0.9.0", 149, 0x638a143c),
    ("0.9.1", 154, 0x669f5ea1),
    ("0.9.2", 164, 0x733e2b35),
    ("0.10.0", 158, 0x5626032c),
    ("0.10.1.1", 171, 0x3d65dfab),
    ("0.10.2", 176, 0x3f6f1ea7),
    ("0.11.0", 179, 0x24b0470b),
    ("0.11.1", 200, 0x13b21f21),
    ("0.11.2", 200, 0x13b21f21),
    ("0.12.0", 194, 0xf11769b7),
    ("0.13.0", 195, 0xe46f2a77),
    ("0.14.0", 204, 0x23b13ae5),
    ("0.14.1", 204, 0x23b13ae5),
    ("0.15.1", 207, 0x5bb19851),
    ("0.16.0", 212, 0x3a9daab6),
    ("0.17.0", 222, 0x6e52c16e),
    ("0.17.1", 222, 0x6e52c16e),
    ("0.18.0", 226, 0x173faa96),
    ("0.18.1", 226, 0x173faa96),
    ("0.19.0", 231, 0x04b1bdb5),
    ("0.19.1", 231, 0x04b1bdb5),
    ("0.20.0", 239, 0x8d0b8c61),
    ("0.20.2", 239, 0x8d0b8c61),
    ("0.21.0", 247, 0x525d28e0),
    ("0.22.0", 261, 0x66265507),
    ("0.22.1", 261, 0x66265507),
    ("0.23.0", 261, 0x66265507),
    ("0.24.0", 266, 0x3154ad6b),
    ("0.25.0", 270, 0xb8eaaeb2),
    ("0.25.1", 270, 0xb8eaaeb2),
    ("0.26.0", 274, 0xaa5f119b),
    ("0.27.0", 282, 0xbf78c3ac),
    ("0.27.1", 282, 0xbf78c3ac),
    ("0.28.0", 284, 0x5bd5d86b),
    ("0.29.0", 292, 0x4c3f6707),
    ("0.30.0", 300, 0x8c23ed54),
    ("0.31.0", 311, 0x7d5db798),
    ("0.32.0", 316, 0x6d3926de),
    ("0.33.0", 320, 0xc2ddd7d8),
];

#[test]
fn the_flag_set_of_every_release_is_the_one_that_was_read() {
    let catalog = Catalog::builtin();
    let engine = catalog.engine("vllm").expect("an engine");
    for (release, count, digest) in FLAG_SETS {
        let release = version(release);
        let mut names: Vec<&str> = engine.flags_for(&release).map(|flag| flag.name.as_str()).collect();
        names.sort_unstable();
        let found = names.iter().flat_map(|name| name.bytes().chain(*b"\n"));
        let found = found.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        assert_eq!((names.len(), found), (*count, *digest), "{release}");
    }
    let read = engine.releases().iter().filter(|release| release.behaves_like.is_none()).count();
    assert_eq!(read, FLAG_SETS.len());
}

/// Cards that have the same floor for the same reason share its row.
#[test]
fn a_floor_is_written_once() {
    let mut seen: Vec<(&str, Option<&str>, Option<bool>, String)> = Vec::new();
    for floor in &Catalog::builtin().floors().floor {
        let row = format!("{:?} {} {:?}", floor.of, floor.share, floor.sources);
        let what = (floor.kernel.as_str(), floor.shape.as_deref(), floor.overlapped, row);
        assert!(!seen.contains(&what), "{what:?}: list its cards in `gpus` of one row");
        seen.push(what);
    }
}

#[test]
fn the_catalogue_is_complete() {
    let catalog = Catalog::builtin();
    assert_eq!(catalog.models().count(), 304);
    assert_eq!(catalog.models().filter(|model| model.is_verified()).count(), 293);
    assert!(catalog.gpus().len() >= 118);
    let engine = catalog.engine("vllm").expect("an engine");
    assert_eq!(engine.flags().count(), 384);
    for size in catalog.model_sizes() {
        let model = catalog.model(&size.name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(model.id, size.model);
    }
}

#[test]
fn every_memory_rule_covers_every_release_that_can_be_planned() {
    let catalog = Catalog::builtin();
    let engine = catalog.engine("vllm").expect("an engine");
    let rules = engine.memory();
    for release in engine.releases() {
        let version = release.behaves_like.as_ref().unwrap_or(&release.version);
        let covered = [
            rules.accounting.at(version).is_some(),
            rules.gpu_memory_utilization.at(version).is_some(),
            rules.requested_rounding.at(version).is_some(),
            rules.startup_free_check.at(version).is_some(),
            rules.before_snapshot.at(version).is_some(),
            rules.graph_estimate_subtracted.at(version).is_some(),
            rules.null_block_reserved.at(version).is_some(),
            rules.max_model_len_auto.at(version).is_some(),
            rules.batch_defaults.at(version).is_some_and(|row| !row.value.is_empty()),
            rules.block_size.at(version).is_some(),
            rules.capture_sizes.at(version).is_some(),
            rules.cudagraph_mode.at(version).is_some(),
            rules.async_scheduling.at(version).is_some(),
            rules.window_in_flight.at(version).is_some(),
            rules.printed_tokens.at(version).is_some(),
            rules.printed_concurrency.at(version).is_some(),
            rules.hybrid_grouping.at(version).is_some(),
            rules.sampler.at(version).is_some_and(|row| !row.value.is_empty()),
            rules.attention_workspace.at(version).is_some(),
            rules.cpu_offload.at(version).is_some(),
            rules.online_quantization.at(version).is_some(),
            rules.vocabulary_padding.at(version).is_some(),
            engine.v2_model_runner(version).is_some(),
        ];
        assert!(covered.iter().all(|held| *held), "{version}: {covered:?}");
    }
}

#[test]
fn wheels_and_families_agree() {
    let catalog = Catalog::builtin();
    for release in catalog.engine("vllm").expect("an engine").releases() {
        let family = catalog.cuda().family(&release.cuda).expect("checked by validate");
        assert_eq!(release.min_driver, family.min_driver, "{}", release.version);
        assert!(release.runs_on(release.min_capability), "{}", release.version);
        assert!(!release.runs_on(ComputeCapability::new(6, 1)), "{}", release.version);
    }
    for torch in &catalog.torch().release {
        let default = torch.default_variant().unwrap_or_else(|| panic!("{}: no default variant", torch.torch));
        assert!(torch.variant.iter().all(|variant| catalog.cuda().family(&variant.cuda).is_some()), "{}", default.name);
    }
}

#[test]
fn a_flag_may_be_current_gone_or_yet_to_come() {
    let catalog = Catalog::builtin();
    let engine = catalog.engine("vllm").expect("an engine");
    assert!(matches!(engine.flag("--swap-space", &version("0.8.5.post1")), FlagStatus::Current { .. }));
    match engine.flag("swap_space", &version("0.33.0")) {
        FlagStatus::Removed { flag, since } => {
            assert_eq!(*since, version("0.18.0"));
            assert_eq!(flag.replaced_by, ["kv-offloading-size"]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(engine.flag("--moe-backend", &version("0.8.5.post1")), FlagStatus::NotYet { .. }));
    assert!(matches!(engine.flag("-tp", &version("0.25.1")), FlagStatus::Current { flag, .. } if flag.name == "tensor-parallel-size"));
    assert!(matches!(
        engine.flag("--no-enable-prefix-caching", &version("0.25.1")),
        FlagStatus::Current { flag, .. } if flag.name == "enable-prefix-caching"
    ));
    match engine.flag("--max-num-seq", &version("0.25.1")) {
        FlagStatus::Unknown { nearest } => assert_eq!(nearest[0], "max-num-seqs"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn versions_between_those_read_take_the_nearest_behaviour() {
    let catalog = Catalog::builtin();
    let engine = catalog.engine("vllm").expect("an engine");
    let resolved = |text: &str| {
        let resolved = engine.release(&version(text)).unwrap_or_else(|error| panic!("{error}"));
        (resolved.release.version.to_string(), resolved.behaviour.to_string(), resolved.is_exact())
    };
    assert_eq!(resolved("0.25.1"), ("0.25.1".to_owned(), "0.25.1".to_owned(), true));
    assert_eq!(resolved("0.8.5"), ("0.8.5".to_owned(), "0.8.5.post1".to_owned(), false));
    assert_eq!(resolved("0.15.0"), ("0.15.0".to_owned(), "0.15.1".to_owned(), false));
    assert_eq!(resolved("0.25.2"), ("0.25.1".to_owned(), "0.25.1".to_owned(), false));
    assert_eq!(resolved("0.33.0+cu129"), ("0.33.0".to_owned(), "0.33.0".to_owned(), true));
    let error = |text: &str| engine.release(&version(text)).map(|_| ()).expect_err(text).to_string();
    assert_eq!(error("0.8.4"), "vllm 0.8.4 is older than 0.8.5, the oldest version that can be planned for");
    assert_eq!(error("0.34.0"), "vllm 0.34.0 is newer than 0.33.0, the newest version known here");
}

#[test]
fn offload_is_lost_on_the_second_runner_until_0_28() {
    let catalog = Catalog::builtin();
    let engine = catalog.engine("vllm").expect("an engine");
    let quirk = |text: &str| {
        let version = version(text);
        engine.quirks_for(&version).any(|quirk| quirk.id == "offload-ignored")
    };
    assert_eq!([quirk("0.21.0"), quirk("0.22.0"), quirk("0.27.1"), quirk("0.28.0")], [false, true, true, false]);
    assert!(matches!(engine.v2_model_runner(&version("0.25.1")).map(|row| &row.value), Some(RunnerRule::DenseGenerate { .. })));
    assert_eq!(engine.v2_model_runner(&version("0.33.0")).map(|row| &row.value), Some(&RunnerRule::Everything));
}
