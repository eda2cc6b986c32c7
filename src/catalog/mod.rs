//! The typed contents of `rules/`: what is known about GPUs, CUDA, PyTorch, engines, quantisation, attention and models.
//!
//! The rules inside the binary are read topic by topic when they are first asked for. A user may lay files of the same
//! layout over them; an entry of the same id then wins, and says where it came from. Nothing here reads a file.

mod advice;
mod attention;
mod capability;
mod cause;
mod check;
mod constant;
mod cuda;
mod device;
mod engine;
mod error;
mod file;
mod flag;
mod floor;
mod gpu;
mod libraries;
pub mod literal;
mod lookup;
mod memory_rule;
mod model;
mod names;
mod origin;
mod overlay;
mod place;
mod prepared;
mod quantization;
mod quirk;
mod release;
mod row;
mod shape;
mod sign;
mod timeline;
mod torch;
mod transcode;
mod validate;
mod xid;

use std::path::PathBuf;
use std::sync::OnceLock;

pub use advice::{Advice, AdvisedFix, AdvisedRisk};
pub use attention::{AttentionBackend, AttentionFamily, CacheRule, CacheType};
pub use capability::{ComputeCapability, InvalidCapability};
pub use cause::{Branch, Cause, CauseKind, Example, MemoryTopic, Need, Pattern, Root, compiled};
pub use check::{CheckExample, CheckRule, CheckSubject, ExampleOutcome, Layer, Messages};
pub use constant::{Bounded, Constant, Constants};
pub use cuda::{Cuda, CudaFamily, CudaNote, DriverBranch, ForwardCompatibility, Generation, Toolkit};
pub use device::{CudaTotalRule, Device, Devices, GenericRule, VgpuRule};
pub use engine::Engine;
pub use error::{CatalogError, Unknown};
pub use flag::{Flag, FlagSpan, FlagStatus, FlagType};
pub use floor::{Floor, FloorOf, Floors, PcieGeneration};
pub use gpu::{Architecture, Gpu, GpuMemory, Links, MemoryConfidence, PeerAccess, PriceRange, Throughput, ThroughputConfidence};
pub use libraries::{DriverLibraries, ExtensionPackages, KernelModules, Libraries, LibraryFamily, OpenedLibraries, WatchedModules};
pub use memory_rule::{
    AccountingEra, BatchDefault, BeforeSnapshot, CaptureSizes, CpuOffload, CudagraphMode, HybridGrouping, MemoryRules, OnlineQuantization,
    PrintedConcurrency, PrintedTokens, Rounding, SamplerPath, UsageContext, WindowInFlight, WorkspaceCost,
};
pub use model::{Confidence, Model, ModelSize, NativeQuantization, Published, QuantizedCheckpoint, RopeScaling, Vision};
pub use origin::Origin;
pub use prepared::literals;
pub use quantization::{GgmlType, Method, MethodSpan, Nested, Quantizations, Resident, ScalePer, Scheme, Storage};
pub use quirk::{Host, OffloadBackend, Quirk, QuirkCondition, QuirkEffect, Runner, RunnerRule};
pub use release::{Release, ReleaseFile, Resolved, UnsupportedVersion};
pub use shape::{NormType, OutputGate, QkNorm, Shape};
pub use sign::{Sign, Signs};
pub use timeline::{Ranged, Timeline};
pub use torch::{Torch, TorchNote, TorchRelease, TorchVariant, Triton};
pub use xid::{XidClass, XidRule, Xids};

use cause::RootFile;
use file::RuleFile;
use place::Place;

/// Everything that is known without looking at a machine.
#[derive(Debug)]
pub struct Catalog {
    files: Vec<RuleFile>,
    gpus: OnceLock<Vec<Gpu>>,
    models: Vec<lookup::LazyModels>,
    sizes: OnceLock<Vec<ModelSize>>,
    attention: OnceLock<Vec<AttentionFamily>>,
    cuda: OnceLock<Cuda>,
    torch: OnceLock<Torch>,
    devices: OnceLock<Devices>,
    libraries: OnceLock<Libraries>,
    quantizations: OnceLock<Quantizations>,
    xids: OnceLock<Xids>,
    checks: OnceLock<Vec<CheckRule>>,
    roots: OnceLock<Vec<Root>>,
    floors: OnceLock<Floors>,
    causes: OnceLock<Vec<Cause>>,
    signs: OnceLock<Signs>,
    engines: Vec<Engine>,
}

impl Catalog {
    /// The rules inside the binary.
    pub fn builtin() -> Self {
        Self::new(RuleFile::builtin().filter_map(Result::ok).collect())
    }

    /// The same with the user's files, as path and TOML text, laid over them in this order. Only the last components of a
    /// path count: `…/gpus/<id>.toml` and so on, as below `rules/`.
    pub fn with_overlay(files: Vec<(PathBuf, String)>) -> Result<Self, CatalogError> {
        let mut all: Vec<RuleFile> = RuleFile::builtin().filter_map(Result::ok).collect();
        for (path, text) in files {
            let file = RuleFile::overlay(&path, text)?;
            validate::decodes(&file)?;
            all.push(file);
        }
        Ok(Self::new(all))
    }

    fn new(files: Vec<RuleFile>) -> Self {
        let models = files.iter().filter(|file| file.place == Place::Models).cloned().map(lookup::LazyModels::new).collect();
        let mut names: Vec<&str> = Vec::new();
        for file in &files {
            if let Place::Engine { name, .. } = &file.place
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        let engines = names.into_iter().map(|name| Engine::new(name, &files)).collect();
        Self {
            files,
            gpus: OnceLock::new(),
            models,
            sizes: OnceLock::new(),
            attention: OnceLock::new(),
            cuda: OnceLock::new(),
            torch: OnceLock::new(),
            devices: OnceLock::new(),
            libraries: OnceLock::new(),
            quantizations: OnceLock::new(),
            xids: OnceLock::new(),
            checks: OnceLock::new(),
            roots: OnceLock::new(),
            floors: OnceLock::new(),
            causes: OnceLock::new(),
            signs: OnceLock::new(),
            engines,
        }
    }

    /// Every GPU.
    pub fn gpus(&self) -> &[Gpu] {
        self.gpus.get_or_init(|| {
            let mut gpus: Vec<Gpu> = Vec::new();
            for (file, mut gpu) in self.decoded::<Gpu>(&Place::Gpu) {
                gpu.origin = file.origin.clone();
                overlay::merge(&mut gpus, [gpu], |gpu| gpu.id.clone());
            }
            gpus
        })
    }

    /// Every attention family.
    pub fn attention_families(&self) -> &[AttentionFamily] {
        self.attention.get_or_init(|| {
            let mut families: Vec<AttentionFamily> = Vec::new();
            for (file, mut family) in self.decoded::<AttentionFamily>(&Place::Attention) {
                family.origin = file.origin.clone();
                overlay::merge(&mut families, [family], |family| family.id.clone());
            }
            families
        })
    }

    /// CUDA toolkits, drivers and architectures.
    pub fn cuda(&self) -> &Cuda {
        self.cuda.get_or_init(|| self.folded(&Place::Cuda, overlay::merge_cuda))
    }

    /// PyTorch releases.
    pub fn torch(&self) -> &Torch {
        self.torch.get_or_init(|| self.folded(&Place::Torch, overlay::merge_torch))
    }

    /// Rules for devices that are no catalogue entry.
    pub fn devices(&self) -> &Devices {
        self.devices.get_or_init(|| self.folded(&Place::Devices, overlay::merge_devices))
    }

    /// Shared libraries of CUDA.
    pub fn libraries(&self) -> &Libraries {
        self.libraries.get_or_init(|| self.folded(&Place::Libraries, overlay::merge_libraries))
    }

    /// Quantisation schemes and GGUF tensor types.
    pub fn quantizations(&self) -> &Quantizations {
        self.quantizations.get_or_init(|| {
            let mut all = Quantizations::default();
            for (file, mut decoded) in self.decoded::<Quantizations>(&Place::Quantizations) {
                decoded.scheme.iter_mut().for_each(|scheme| scheme.origin = file.origin.clone());
                overlay::merge_quantizations(&mut all, decoded);
            }
            all
        })
    }

    /// What GPUs have to reach when they are measured.
    pub fn floors(&self) -> &Floors {
        self.floors.get_or_init(|| {
            self.folded(&Place::Floors, |all: &mut Floors, more| {
                all.floor.extend(more.floor);
                all.pcie.extend(more.pcie);
            })
        })
    }

    /// Faults of the kernel log.
    pub fn xids(&self) -> &Xids {
        self.xids.get_or_init(|| self.folded(&Place::Xids, |all, over| overlay::merge(&mut all.xid, over.xid, |row| row.code)))
    }

    /// Every check that is a rule, by id.
    pub fn checks(&self) -> &[CheckRule] {
        self.checks.get_or_init(|| {
            let mut checks: Vec<CheckRule> = Vec::new();
            for (file, mut check) in self.decoded::<CheckRule>(&Place::Check) {
                check.origin = file.origin.clone();
                overlay::merge(&mut checks, [check], |check| check.id.clone());
            }
            checks
        })
    }

    /// Every class of causes.
    pub fn roots(&self) -> &[Root] {
        self.roots.get_or_init(|| {
            let mut roots: Vec<Root> = Vec::new();
            for (_, file) in self.decoded::<RootFile>(&Place::Roots) {
                overlay::merge(&mut roots, file.root, |root| root.id.clone());
            }
            roots
        })
    }

    /// Every cause of failures that logs show, by id.
    pub fn causes(&self) -> &[Cause] {
        self.causes.get_or_init(|| {
            let mut causes: Vec<Cause> = Vec::new();
            for (file, mut cause) in self.decoded::<Cause>(&Place::Cause) {
                cause.origin = file.origin.clone();
                overlay::merge(&mut causes, [cause], |cause| cause.id.clone());
            }
            causes.sort_by(|a, b| a.id.cmp(&b.id));
            causes
        })
    }

    /// What shows that a program got ready, or that something failed.
    pub fn signs(&self) -> &Signs {
        self.signs.get_or_init(|| self.folded(&Place::Signs, overlay::merge_signs))
    }

    /// The cause of this id.
    pub fn cause(&self, id: &str) -> Option<&Cause> {
        self.causes().iter().find(|cause| cause.id == id)
    }

    /// The advice of this name; of several files the last counts. Only its file is read.
    pub fn advice(&self, name: &str) -> Option<Advice> {
        let named = |file: &&RuleFile| file.place == Place::Advice && file.origin.stem() == name;
        let file = self.files.iter().rev().find(named)?;
        let advice: Advice = file.decode().ok()?;
        Some(Advice { name: name.to_owned(), origin: file.origin.clone(), ..advice })
    }

    /// Every engine.
    pub fn engines(&self) -> &[Engine] {
        &self.engines
    }

    /// Every contradiction between entries, and every built-in file that does not decode.
    pub fn validate(&self) -> Vec<CatalogError> {
        validate::all(self)
    }

    /// The files of one place, decoded. A built-in file that does not decode is left out here and found by [`Self::validate`].
    fn decoded<T: serde::de::DeserializeOwned>(&self, place: &Place) -> impl Iterator<Item = (&RuleFile, T)> {
        let files = self.files.iter().filter(move |file| file.place == *place);
        files.filter_map(|file| Some((file, file.decode().ok()?)))
    }

    fn folded<T: Default + serde::de::DeserializeOwned>(&self, place: &Place, lay: fn(&mut T, T)) -> T {
        let mut all = T::default();
        self.decoded::<T>(place).for_each(|(_, decoded)| lay(&mut all, decoded));
        all
    }
}
