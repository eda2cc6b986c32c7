//! The budget of one device: named terms, each with its formula and inputs.

use serde::{Deserialize, Serialize};

use crate::units::Bytes;

/// The terms, in the order they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TermName {
    /// Weights that stay on the device.
    Weights,
    /// The KV cache.
    KvCache,
    /// The largest transient allocation of the profile run: forward pass or sampler.
    ActivationPeak,
    /// What the driver and libraries take outside torch during profiling.
    NonTorch,
    /// The pool and driver memory of captured CUDA graphs.
    CudaGraphs,
    /// The CUDA context and what is loaded before the engine's first snapshot.
    Context,
    /// What is left of the requested size or of the device.
    Headroom,
}

impl TermName {
    /// All terms, in the order they are printed.
    pub const ALL: [Self; 7] =
        [Self::Weights, Self::KvCache, Self::ActivationPeak, Self::NonTorch, Self::CudaGraphs, Self::Context, Self::Headroom];

    /// The name in the JSON contract and for `gpudoctor explain`.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::KvCache => "kv_cache",
            Self::ActivationPeak => "activation_peak",
            Self::NonTorch => "non_torch",
            Self::CudaGraphs => "cuda_graphs",
            Self::Context => "context",
            Self::Headroom => "headroom",
        }
    }

    /// The name in tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Weights => "weights",
            Self::KvCache => "KV cache",
            Self::ActivationPeak => "activation peak",
            Self::NonTorch => "non-torch",
            Self::CudaGraphs => "CUDA graphs",
            Self::Context => "CUDA context",
            Self::Headroom => "headroom",
        }
    }
}

/// A size with the band it lies in: `low ≤ expected ≤ high`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// The least that this term can be.
    pub low: Bytes,
    /// What it will be, as far as known.
    pub expected: Bytes,
    /// The most that it can be; gates use this.
    pub high: Bytes,
}

impl Band {
    /// A size that is known exactly.
    pub const fn exact(bytes: Bytes) -> Self {
        Self { low: bytes, expected: bytes, high: bytes }
    }
}

impl std::ops::Add for Band {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { low: self.low + other.low, expected: self.expected + other.expected, high: self.high + other.high }
    }
}

/// One term of the budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Which term.
    pub name: TermName,
    /// Its size.
    pub size: Band,
    /// The formula in words and symbols, as `explain` prints it.
    pub formula: String,
    /// The values that went in.
    pub inputs: Vec<Input>,
    /// What it is made of, largest first, for the reader.
    pub parts: Vec<Part>,
    /// Whether the engine counts it inside the requested size (utilisation × total).
    pub inside_requested: bool,
    /// One short phrase for the table: "AWQ 4-bit, group 128".
    pub note: String,
}

/// A value that a formula used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its name in the formula.
    pub name: String,
    /// Its value, with its unit.
    pub value: String,
    /// Where it comes from: a rule file, a field of config.json, a flag, an engine source.
    pub source: String,
}

impl Input {
    /// The input `name` with its value and where it comes from.
    pub fn new(name: &str, value: impl ToString, source: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_string(), source: source.to_owned() }
    }
}

/// A part of a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub name: String,
    /// Its expected size.
    pub bytes: Bytes,
}

/// The KV cache as the engine will print it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvCache {
    /// Bytes that are allocated for it: whole blocks.
    pub bytes: Bytes,
    /// "GPU KV cache size", in tokens.
    pub tokens: u64,
    /// Blocks (of the shared pool, where layers are grouped).
    pub blocks: u64,
    /// Tokens a block, after the engine's enlargement for hybrid models.
    pub block_size: u64,
    /// Bytes a token takes in all layers of this rank; for layers with a window, while it is inside.
    pub bytes_per_token: Bytes,
    /// Requests of the full length that fit at once.
    pub max_concurrency: f64,
    /// Bytes that one request of the full length needs: what the engine's admission check compares.
    pub request_bytes: Bytes,
}

/// The budget of one device, for the rank that needs most.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Total memory of the device as the engine sees it (`cudaMemGetInfo`), less than nvidia-smi's.
    pub memory_total: Bytes,
    /// What the engine may take: utilisation × total.
    pub requested: Bytes,
    /// The terms, in the order of [`TermName::ALL`].
    pub terms: Vec<Term>,
    /// The KV cache, if any memory is left for one.
    pub kv_cache: KvCache,
    /// What nvidia-smi will show for this device after start.
    pub device_used: Band,
    /// Weights that are kept in host memory, all ranks together.
    pub offloaded: Bytes,
    /// Pinned host memory that this launch needs, all ranks together: more than the weights in it, since torch
    /// rounds each pinned tensor up to a power of two.
    pub host_memory: Bytes,
}

impl Budget {
    /// The term of that name.
    pub fn term(&self, name: TermName) -> Option<&Term> {
        self.terms.iter().find(|term| term.name == name)
    }
}
