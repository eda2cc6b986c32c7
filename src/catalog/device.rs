//! Devices that are no entry of `rules/gpus`: vGPUs and "a 24 GB GPU" (`rules/devices.toml`).

use serde::{Deserialize, Serialize};

use super::gpu::Gpu;
use super::names::fold;
use crate::units::Bytes;

/// Everything in `rules/devices.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    /// Slices of a card that a hypervisor hands to a guest.
    pub vgpu: Option<VgpuRule>,
    /// A device of which only the memory is known.
    pub generic: Option<GenericRule>,
    /// How much of the printed total `cudaMemGetInfo` gives, for cards nobody measured.
    pub cuda_total: Option<CudaTotalRule>,
}

/// How vGPU names read: `NVIDIA A40-24Q` is 24 GiB of an A40.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VgpuRule {
    /// Letters that end a profile's name, and what each kind of profile is for.
    pub profiles: indexmap::IndexMap<String, String>,
    /// What else to know, a sentence each.
    pub notes: Vec<String>,
    /// Where this comes from.
    pub sources: Vec<String>,
}

/// What to assume of a device of which only the memory is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenericRule {
    /// The id of the card that lends it everything else; said in every output.
    pub like: String,
    /// Why this one.
    pub reason: String,
    /// Where this comes from.
    pub sources: Vec<String>,
}

/// The share of the printed total that `cudaMemGetInfo` gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CudaTotalRule {
    /// The expected share.
    pub share: f64,
    /// The least share seen.
    pub low: f64,
    /// The largest share seen.
    pub high: f64,
    /// Where this comes from.
    pub sources: Vec<String>,
}

/// A device to plan for: an entry of the catalogue, or one derived from it.
#[derive(Clone, Debug)]
pub struct Device {
    /// What is known or assumed of it; a derived one carries the memory that was asked for.
    pub gpu: Gpu,
    /// What was assumed, a sentence each; empty for an entry of the catalogue.
    pub assumptions: Vec<String>,
    /// Whether only the memory is known: rates and links are another card's.
    pub only_memory: bool,
}

/// A name that reads as a slice of a card.
pub(super) struct VgpuName<'a> {
    pub(super) parent: &'a str,
    pub(super) memory: Bytes,
}

/// Reads `NVIDIA A40-24Q` and `GRID T4-16C`.
pub(super) fn vgpu_name<'a>(name: &'a str, rule: &VgpuRule) -> Option<VgpuName<'a>> {
    let (parent, profile) = name.trim().rsplit_once('-')?;
    let letter = rule.profiles.keys().find(|letter| profile.to_ascii_uppercase().ends_with(letter.as_str()))?;
    let gib: u64 = profile.get(..profile.len() - letter.len())?.parse().ok().filter(|gib| (1..=512).contains(gib))?;
    let parent = parent.strip_prefix("GRID ").unwrap_or(parent);
    Some(VgpuName { parent, memory: Bytes::GIB * gib })
}

/// Reads `32 GB vGPU`, `24g gpu`, `24 GiB`: a memory size, and at most a word for the thing that has it.
/// A card is sold by binary gigabytes, so `GB` means GiB here.
pub(super) fn generic_memory(name: &str) -> Option<Bytes> {
    let folded = name.trim().to_ascii_lowercase();
    let bare = ["vgpu", "gpu", "card", "of memory", "vram", "memory"]
        .iter()
        .fold(folded.as_str(), |text, word| text.strip_suffix(word).unwrap_or(text).trim_end());
    let digits = bare.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(bare.len());
    let unit = fold(&bare[digits..]);
    if digits == 0 || !matches!(unit.as_str(), "g" | "gb" | "gib" | "m" | "mb" | "mib") {
        return None;
    }
    let size = format!("{}{}", &bare[..digits], &unit[..1]);
    size.parse().ok().filter(|memory: &Bytes| *memory >= Bytes::from_mib(256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_with_a_word_behind_it_is_a_device() {
        assert_eq!(generic_memory("32 GB vGPU"), Some(Bytes::GIB * 32));
        assert_eq!(generic_memory("32 GiB vGPU"), Some(Bytes::GIB * 32));
        assert_eq!(generic_memory("24g gpu"), Some(Bytes::GIB * 24));
        assert_eq!(generic_memory("4090"), None);
        assert_eq!(generic_memory("b200"), None);
        assert_eq!(generic_memory("0g"), None);
    }
}
