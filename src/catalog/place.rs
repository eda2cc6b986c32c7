//! The layout of `rules/`: which file holds what.

use std::path::Path;

/// The layout, as an error message shows it.
pub(super) const LAYOUT: &str = "gpus/*.toml, models/*.toml, attention/*.toml, engines/<engine>/{releases,flags,quirks,memory,constants,quantization}.toml, \
                                 cuda.toml, torch.toml, devices.toml, libraries.toml, quantizations.toml, bench.toml, roots.toml, signs.toml, xids.toml, checks/*.toml, \
                                 causes/*.toml, advice/*.toml";

/// What a rule file holds, told by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Gpu,
    Models,
    ModelSizes,
    Attention,
    Cuda,
    Torch,
    Devices,
    Libraries,
    Quantizations,
    Xids,
    Check,
    Roots,
    Signs,
    Floors,
    Cause,
    Advice,
    Engine { name: String, part: EnginePart },
}

/// The files of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EnginePart {
    Releases,
    Flags,
    Quirks,
    Memory,
    Constants,
    Quantization,
}

impl Place {
    /// The place of `path`, which may stand in any folder above: only its last components count.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let mut parts = path.components().rev().filter_map(|part| part.as_os_str().to_str());
        let file = parts.next()?.strip_suffix(".toml")?;
        let folder = parts.next().unwrap_or("");
        let above = parts.next().unwrap_or("");
        if above == "engines" {
            let part = match file {
                "releases" => EnginePart::Releases,
                "flags" => EnginePart::Flags,
                "quirks" => EnginePart::Quirks,
                "memory" => EnginePart::Memory,
                "constants" => EnginePart::Constants,
                "quantization" => EnginePart::Quantization,
                _ => return None,
            };
            return Some(Self::Engine { name: folder.to_owned(), part });
        }
        match (folder, file) {
            ("gpus", _) => Some(Self::Gpu),
            ("models", "sizes") => Some(Self::ModelSizes),
            ("models", _) => Some(Self::Models),
            ("attention", _) => Some(Self::Attention),
            ("checks", _) => Some(Self::Check),
            ("causes", _) => Some(Self::Cause),
            ("advice", _) => Some(Self::Advice),
            (_, "cuda") => Some(Self::Cuda),
            (_, "torch") => Some(Self::Torch),
            (_, "devices") => Some(Self::Devices),
            (_, "libraries") => Some(Self::Libraries),
            (_, "quantizations") => Some(Self::Quantizations),
            (_, "signs") => Some(Self::Signs),
            (_, "xids") => Some(Self::Xids),
            (_, "roots") => Some(Self::Roots),
            (_, "bench") => Some(Self::Floors),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_components_count() {
        assert_eq!(Place::of(Path::new("/srv/house/gpus/x.toml")), Some(Place::Gpu));
        assert_eq!(
            Place::of(Path::new("engines/vllm/flags.toml")),
            Some(Place::Engine { name: "vllm".to_owned(), part: EnginePart::Flags })
        );
        assert_eq!(Place::of(Path::new("gpus/x.json")), None);
        assert_eq!(Place::of(Path::new("engines/vllm/notes.toml")), None);
    }
}
