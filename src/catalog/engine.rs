//! Everything known about one engine: releases, flags, quirks, memory rules, quantisation methods.

use std::sync::OnceLock;

use super::constant::Constants;
use super::error::{CatalogError, Unknown};
use super::file::RuleFile;
use super::flag::{self, Flag, FlagFile, FlagStatus};
use super::memory_rule::MemoryRules;
use super::overlay::{merge, merge_memory};
use super::place::{EnginePart, Place};
use super::quantization::{Method, MethodFile};
use super::quirk::{Quirk, QuirkFile, RunnerRule};
use super::release::{self, Release, ReleaseFile, Resolved, UnsupportedVersion};
use super::row::Row;
use super::timeline::Ranged;
use crate::version::Version;

/// An engine. Each topic is read when it is first asked for.
#[derive(Debug)]
pub struct Engine {
    name: String,
    files: Vec<(EnginePart, RuleFile)>,
    releases: OnceLock<ReleaseFile>,
    flags: OnceLock<Vec<Row<Flag>>>,
    quirks: OnceLock<QuirkFile>,
    memory: OnceLock<MemoryRules>,
    constants: OnceLock<Constants>,
    methods: OnceLock<Vec<Method>>,
}

impl Engine {
    /// The engine of `name` among `files`, in which later ones win.
    pub(super) fn new(name: &str, files: &[RuleFile]) -> Self {
        let parts = files.iter().filter_map(|file| match &file.place {
            Place::Engine { name: engine, part } if engine == name => Some((*part, file.clone())),
            _ => None,
        });
        Self {
            name: name.to_owned(),
            files: parts.collect(),
            releases: OnceLock::new(),
            flags: OnceLock::new(),
            quirks: OnceLock::new(),
            memory: OnceLock::new(),
            constants: OnceLock::new(),
            methods: OnceLock::new(),
        }
    }

    /// Its name, `vllm`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its known releases, oldest first.
    pub fn releases(&self) -> &[Release] {
        &self.release_file().release
    }

    /// The oldest version that can be planned for.
    pub fn oldest(&self) -> Option<&Version> {
        self.release_file().oldest.as_ref()
    }

    /// The newest version that can be planned for.
    pub fn newest(&self) -> Option<&Version> {
        self.release_file().newest.as_ref()
    }

    /// The version to plan for when none is named: the one that was measured.
    pub fn default_version(&self) -> Option<&Version> {
        self.release_file().default.as_ref()
    }

    /// The repository of its images, `vllm/vllm-openai`.
    pub fn image(&self) -> Option<&str> {
        self.release_file().image.as_deref()
    }

    /// The release row of `version`, or the nearest known one; what is older or newer than all that was read is an error.
    pub fn release(&self, version: &Version) -> Result<Resolved<'_>, UnsupportedVersion> {
        let too_old = self.oldest().filter(|oldest| version < *oldest);
        if let Some(oldest) = too_old {
            let (engine, oldest) = (self.name.clone(), oldest.clone());
            return Err(UnsupportedVersion::TooOld { engine, version: version.clone(), oldest });
        }
        // A suffix of the newest release, `0.33.0.post1`, is no newer minor: what is known of the release holds for it.
        let known = self.newest().is_some_and(|newest| version <= newest || version.release().starts_with(newest.release()));
        match release::nearest(self.releases(), version).filter(|_| known) {
            Some(release) => {
                let behaviour = release.behaves_like.as_ref().unwrap_or(&release.version);
                Ok(Resolved { asked: version.clone(), release, behaviour })
            }
            None => {
                let newest = self.newest().cloned().unwrap_or_else(|| version.clone());
                Err(UnsupportedVersion::TooNew { engine: self.name.clone(), version: version.clone(), newest })
            }
        }
    }

    /// All flags that any version read has or had, by name.
    pub fn flags(&self) -> impl Iterator<Item = &Flag> {
        self.flag_rows().iter().filter_map(flag_of)
    }

    /// The flags of a version, which must be one whose source was read ([`Resolved::behaviour`]).
    pub fn flags_for<'a>(&'a self, version: &'a Version) -> impl Iterator<Item = &'a Flag> {
        self.flags().filter(|flag| flag.at(version).is_some())
    }

    /// What `version` makes of a flag's name, given as `--max-num-seqs`, `max_num_seqs`, `-tp` or `--no-enable-prefix-caching`.
    pub fn flag(&self, name: &str, version: &Version) -> FlagStatus<'_> {
        let wanted = flag::canonical(name);
        let called =
            || self.flag_rows().iter().filter(|row| may_be_called(row, &wanted)).filter_map(flag_of).filter(|flag| flag.is_called(&wanted));
        let flag = (self.flag_rows().iter().find(|row| row.name() == wanted).and_then(flag_of))
            .or_else(|| called().find(|flag| flag.at(version).is_some()))
            .or_else(|| called().next());
        match flag {
            Some(flag) => flag.status(version),
            None => {
                let known = self.flags_for(version).map(|flag| flag.name.as_str());
                FlagStatus::Unknown { nearest: super::names::nearest(&wanted, known) }
            }
        }
    }

    /// Every quirk.
    pub fn quirks(&self) -> &[Quirk] {
        &self.quirk_file().quirk
    }

    /// The quirks of a version.
    pub fn quirks_for<'a>(&'a self, version: &'a Version) -> impl Iterator<Item = &'a Quirk> {
        self.quirks().iter().filter(|quirk| quirk.holds_for(version))
    }

    /// For which models `version` starts the V2 model runner by default.
    pub fn v2_model_runner(&self, version: &Version) -> Option<&Ranged<RunnerRule>> {
        self.quirk_file().v2_model_runner.at(version)
    }

    /// How it accounts for device memory.
    pub fn memory(&self) -> &MemoryRules {
        self.memory.get_or_init(|| {
            let mut rules = MemoryRules::default();
            for (_, decoded) in self.decoded::<MemoryRules>(EnginePart::Memory) {
                merge_memory(&mut rules, decoded);
            }
            rules
        })
    }

    /// The constants of its memory and speed model; rows of an overlay stand before the built-in ones.
    pub fn constants(&self) -> &Constants {
        self.constants.get_or_init(|| {
            let mut files: Vec<Constants> = self.decoded::<Constants>(EnginePart::Constants).map(|(_, decoded)| decoded).collect();
            files.reverse();
            Constants { constant: files.into_iter().flat_map(|file| file.constant).collect() }
        })
    }

    /// Every quantisation method that any version read accepts or accepted.
    pub fn quantization_methods(&self) -> &[Method] {
        self.methods.get_or_init(|| {
            let mut methods = Vec::new();
            for (_, decoded) in self.decoded::<MethodFile>(EnginePart::Quantization) {
                merge(&mut methods, decoded.method, |method: &Method| method.name.clone());
            }
            methods
        })
    }

    /// A quantisation method by its name in this engine.
    pub fn quantization_method(&self, name: &str) -> Result<&Method, Unknown> {
        let methods = self.quantization_methods();
        (methods.iter().find(|method| method.name == name))
            .ok_or_else(|| Unknown::new("quantization method", name, methods.iter().map(|method| method.name.as_str())))
    }

    /// The flags, of which only those that are asked for are decoded.
    fn flag_rows(&self) -> &[Row<Flag>] {
        self.flags.get_or_init(|| {
            let mut rows: Vec<Row<Flag>> = Vec::new();
            for (_, file) in self.files.iter().filter(|(part, _)| *part == EnginePart::Flags) {
                let entries = |decoded: FlagFile| {
                    let placed = |flag| Flag { origin: file.origin.clone(), ..flag };
                    decoded.flag.into_iter().map(placed).collect()
                };
                merge(&mut rows, file.rows(entries, Flag::names), |row| row.name().to_owned());
            }
            rows
        })
    }

    fn release_file(&self) -> &ReleaseFile {
        self.releases.get_or_init(|| {
            let mut all = ReleaseFile { oldest: None, newest: None, default: None, image: None, sources: Vec::new(), release: Vec::new() };
            for (file, decoded) in self.decoded::<ReleaseFile>(EnginePart::Releases) {
                all.oldest = decoded.oldest.or(all.oldest);
                all.newest = decoded.newest.or(all.newest);
                all.default = decoded.default.or(all.default);
                all.image = decoded.image.or(all.image);
                all.sources.extend(decoded.sources);
                let rows = decoded.release.into_iter().map(|mut release| {
                    release.origin = file.origin.clone();
                    release
                });
                merge(&mut all.release, rows, |release| release.version.clone());
            }
            all.release.sort_by(|a, b| a.version.cmp(&b.version));
            all
        })
    }

    fn quirk_file(&self) -> &QuirkFile {
        self.quirks.get_or_init(|| {
            let mut all = QuirkFile::default();
            for (file, decoded) in self.decoded::<QuirkFile>(EnginePart::Quirks) {
                all.v2_model_runner.extend(decoded.v2_model_runner);
                let rows = decoded.quirk.into_iter().map(|mut quirk| {
                    quirk.origin = file.origin.clone();
                    quirk
                });
                merge(&mut all.quirk, rows, |quirk| quirk.id.clone());
            }
            all
        })
    }

    /// The files of one topic. A built-in file that does not decode is left out here and found by [`Self::check`].
    fn decoded<T: serde::de::DeserializeOwned>(&self, part: EnginePart) -> impl Iterator<Item = (&RuleFile, T)> {
        let files = self.files.iter().filter(move |(its, _)| *its == part);
        files.filter_map(|(_, file)| Some((file, file.decode().ok()?)))
    }

    /// The files that do not decode.
    pub(super) fn check(file: &RuleFile, part: EnginePart) -> Result<(), CatalogError> {
        match part {
            EnginePart::Releases => file.decode::<ReleaseFile>().map(drop),
            EnginePart::Flags => file.decode::<FlagFile>().map(drop),
            EnginePart::Quirks => file.decode::<QuirkFile>().map(drop),
            EnginePart::Memory => file.decode::<MemoryRules>().map(drop),
            EnginePart::Constants => file.decode::<Constants>().map(drop),
            EnginePart::Quantization => file.decode::<MethodFile>().map(drop),
        }
    }
}

fn flag_of(row: &Row<Flag>) -> Option<&Flag> {
    row.value(|flag, origin| flag.origin = origin.clone())
}

/// Whether some version may call the flag of `row` by the canonical name `wanted`.
fn may_be_called(row: &Row<Flag>, wanted: &str) -> bool {
    row.names().any(|name| name.trim_start_matches('-') == wanted) || wanted.strip_prefix("no-") == Some(row.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    #[test]
    fn the_build_notes_every_name_of_a_flag() {
        let catalog = Catalog::builtin();
        for row in catalog.engine("vllm").expect("an engine").flag_rows() {
            let flag = flag_of(row).expect("a row that decodes");
            assert_eq!(row.name(), flag.name);
            let mut noted: Vec<&str> = row.names().collect();
            let mut names = flag.names();
            noted.sort_unstable();
            names.sort_unstable();
            names.dedup();
            assert_eq!(noted, names);
        }
    }

    #[test]
    fn one_flag_is_found_without_decoding_the_others() {
        let catalog = Catalog::builtin();
        let engine = catalog.engine("vllm").expect("an engine");
        let version: Version = "0.25.1".parse().expect("a version");
        for name in ["--max_num_seqs", "-tp", "no-enable-prefix-caching"] {
            assert!(matches!(engine.flag(name, &version), FlagStatus::Current { .. }), "{name}");
        }
        let decoded = engine.flag_rows().iter().filter(|row| row.is_decoded()).count();
        assert!(decoded <= 3, "{decoded}");
    }
}
