//! Finding an entry by the names people type.

use std::sync::OnceLock;

use super::attention::AttentionFamily;
use super::device::{self, Device};
use super::engine::Engine;
use super::error::Unknown;
use super::file::RuleFile;
use super::gpu::Gpu;
use super::model::{Model, ModelFamily, ModelFile, ModelSize, SizeFile};
use super::names::{fold, folds_to};
use super::place::Place;
use super::quantization::Scheme;
use super::row::Row;
use super::{Catalog, overlay};
use crate::units::Bytes;

/// A file of models. Its names are known for every lookup, its entries are decoded one by one.
#[derive(Debug)]
pub(super) struct LazyModels {
    file: RuleFile,
    family: OnceLock<String>,
    rows: OnceLock<Vec<Row<Model>>>,
}

impl LazyModels {
    pub(super) fn new(file: RuleFile) -> Self {
        Self { file, family: OnceLock::new(), rows: OnceLock::new() }
    }

    fn rows(&self) -> &[Row<Model>] {
        let names = |model: &Model| model.names().map(str::to_owned).collect();
        self.rows.get_or_init(|| self.file.rows(|file: ModelFile| self.placed(file.model), names))
    }

    fn family(&self) -> &str {
        self.family.get_or_init(|| self.file.decode::<ModelFamily>().map(|file| file.family).unwrap_or_default())
    }

    fn placed(&self, mut models: Vec<Model>) -> Vec<Model> {
        models.iter_mut().for_each(|model| self.place(model));
        models
    }

    fn place(&self, model: &mut Model) {
        self.family().clone_into(&mut model.family);
        model.origin = self.file.origin.clone();
    }

    fn models(&self) -> impl Iterator<Item = &Model> {
        self.rows().iter().filter_map(|row| row.value(|model, _| self.place(model)))
    }
}

impl Catalog {
    /// A GPU by id, by the name that `nvidia-smi` prints, or by an alias: `h100`, `RTX-4090`, `3080 20gb`.
    pub fn gpu(&self, name: &str) -> Result<&Gpu, Unknown> {
        let wanted = fold(name);
        let bare = wanted.strip_prefix("nvidia").unwrap_or(&wanted);
        let is = |text: &str| {
            let folded = fold(text);
            folded == wanted || folded.strip_prefix("nvidia").unwrap_or(&folded) == bare
        };
        let named = |gpu: &&Gpu| match &gpu.variant {
            None => is(&gpu.name),
            Some(variant) => is(&format!("{} {variant}", gpu.name)),
        };
        (self.gpus().iter().find(|gpu| is(&gpu.id)))
            .or_else(|| self.gpus().iter().find(named))
            .or_else(|| self.gpus().iter().find(|gpu| gpu.aliases.iter().any(|alias| is(alias))))
            .ok_or_else(|| {
                let known = self.gpus().iter().flat_map(|gpu| std::iter::once(&gpu.id).chain(&gpu.aliases));
                Unknown::new("GPU", name, known.map(String::as_str))
            })
    }

    /// The GPU of a machine: of those that print `name`, the one whose memory is nearest to `memory`.
    pub fn gpu_on_machine(&self, name: &str, memory: Bytes) -> Option<&Gpu> {
        let wanted = fold(name);
        let bare = wanted.strip_prefix("nvidia").unwrap_or(&wanted);
        let same = |gpu: &&Gpu| {
            let folded = fold(&gpu.name);
            folded.strip_prefix("nvidia").unwrap_or(&folded) == bare
        };
        self.gpus().iter().filter(same).min_by_key(|gpu| gpu.memory().0.abs_diff(memory.0))
    }

    /// A device to plan for: a GPU by any of its names, a vGPU profile such as `NVIDIA A40-24Q`, or a memory size such as
    /// `32 GB vGPU`, whose assumptions are said.
    pub fn device(&self, name: &str) -> Result<Device, Unknown> {
        // A bare size is no card's name: one file is read for it instead of all.
        let generic = device::generic_memory(name).zip(self.devices().generic.as_ref());
        if let Some((memory, rule)) = generic
            && let Some(like) = self.gpu_by_id(&rule.like)
        {
            let assumption = format!("{name} is {memory} of device memory; all else as on one {}: {}", like.display_name(), rule.reason);
            return Ok(Device { gpu: resized(&like, name, memory), assumptions: vec![assumption], only_memory: true });
        }
        let unknown = match self.gpu(name) {
            Ok(gpu) => return Ok(Device { gpu: gpu.clone(), assumptions: Vec::new(), only_memory: false }),
            Err(unknown) => unknown,
        };
        let slice = self.devices().vgpu.as_ref().and_then(|rule| device::vgpu_name(name, rule));
        if let Some(slice) = slice
            && let Ok(parent) = self.gpu(slice.parent)
        {
            let assumption = format!("{name} is {} of one {}", slice.memory, parent.display_name());
            return Ok(Device { gpu: resized(parent, name, slice.memory), assumptions: vec![assumption], only_memory: false });
        }
        Err(unknown)
    }

    /// A GPU by the id that its file is named after; of several files the last counts.
    fn gpu_by_id(&self, id: &str) -> Option<Gpu> {
        let named = |file: &&RuleFile| file.place == Place::Gpu && file.origin.path().file_stem().is_some_and(|stem| stem == id);
        let file = self.files.iter().rev().find(named)?;
        let mut gpu: Gpu = file.decode().ok()?;
        gpu.origin = file.origin.clone();
        Some(gpu)
    }

    /// The total that `cudaMemGetInfo` gives on a GPU, as expected value, least and largest; measured cards have no range.
    pub fn cuda_total(&self, gpu: &Gpu) -> [Bytes; 3] {
        if let Some(mib) = gpu.memory.cuda_total_mib {
            return [Bytes::from_mib(mib); 3];
        }
        match &self.devices().cuda_total {
            Some(rule) => [rule.share, rule.low, rule.high].map(|share| gpu.memory().scale(share)),
            None => [gpu.memory(); 3],
        }
    }

    /// A model by hub id, by the id of a checkpoint with the same shapes, by ModelScope id, by alias, or by size: `70b`.
    pub fn model(&self, name: &str) -> Result<&Model, Unknown> {
        let reference = self.model_size(name).map_or(name, |size| size.model.as_str());
        let wanted = fold(reference);
        for file in self.models.iter().rev() {
            let row = file.rows().iter().find(|row| row.names().any(|known| folds_to(known, &wanted)));
            if let Some(model) = row.and_then(|row| row.value(|model, _| file.place(model))) {
                return Ok(model);
            }
        }
        let sizes = self.model_sizes().iter().map(|size| size.name.as_str());
        let known = self.models.iter().flat_map(LazyModels::rows).flat_map(Row::names).chain(sizes);
        Err(Unknown::new("model", name, known))
    }

    /// Every model. Reads all of them; a lookup by name reads one.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        let later = |index: usize, id: &str| {
            self.models[index + 1..].iter().any(|file| file.file.origin.is_overlay() && file.rows().iter().any(|row| row.name() == id))
        };
        let files = self.models.iter().enumerate();
        files
            .flat_map(|(index, file)| file.models().map(move |model| (index, model)))
            .filter(move |(index, model)| !later(*index, &model.id))
            .map(|(_, model)| model)
    }

    /// What a bare size stands for: `70b`.
    pub fn model_size(&self, name: &str) -> Option<&ModelSize> {
        let wanted = name.trim().to_ascii_lowercase();
        self.model_sizes().iter().find(|size| size.name == wanted)
    }

    /// Every size.
    pub fn model_sizes(&self) -> &[ModelSize] {
        self.sizes.get_or_init(|| {
            let mut sizes: Vec<ModelSize> = Vec::new();
            for (file, decoded) in self.decoded::<SizeFile>(&Place::ModelSizes) {
                let rows = decoded.size.into_iter().map(|mut size| {
                    size.origin = file.origin.clone();
                    size
                });
                overlay::merge(&mut sizes, rows, |size| size.name.clone());
            }
            sizes
        })
    }

    /// An engine by name: `vllm`.
    pub fn engine(&self, name: &str) -> Result<&Engine, Unknown> {
        let wanted = fold(name);
        (self.engines().iter().find(|engine| fold(engine.name()) == wanted))
            .ok_or_else(|| Unknown::new("engine", name, self.engines().iter().map(Engine::name)))
    }

    /// A quantisation scheme by id or alias: `awq`, `fp8`.
    pub fn quantization(&self, name: &str) -> Result<&Scheme, Unknown> {
        let wanted = fold(name);
        let schemes = &self.quantizations().scheme;
        let called = |scheme: &&Scheme| fold(&scheme.id) == wanted || scheme.aliases.iter().any(|alias| fold(alias) == wanted);
        schemes.iter().find(called).ok_or_else(|| {
            let known = schemes.iter().flat_map(|scheme| std::iter::once(&scheme.id).chain(&scheme.aliases));
            Unknown::new("quantization", name, known.map(String::as_str))
        })
    }

    /// An attention family by id: `mla`.
    pub fn attention(&self, id: &str) -> Result<&AttentionFamily, Unknown> {
        let families = self.attention_families();
        (families.iter().find(|family| family.id == id))
            .ok_or_else(|| Unknown::new("attention family", id, families.iter().map(|family| family.id.as_str())))
    }
}

/// `gpu` under another name and with another memory, of which nothing is measured.
fn resized(gpu: &Gpu, name: &str, memory: Bytes) -> Gpu {
    let mut gpu = gpu.clone();
    gpu.name = name.to_owned();
    gpu.variant = None;
    gpu.memory.mib = memory.0 / Bytes::MIB.0;
    gpu.memory.cuda_total_mib = None;
    gpu.memory.cuda_free_mib = None;
    gpu.mig_instances = None;
    gpu.price_usd_per_hour = None;
    gpu
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_notes_every_name_of_a_model() {
        for file in &Catalog::builtin().models {
            assert_eq!(file.rows().len(), file.file.decode::<ModelFile>().expect("a built-in file").model.len());
            for row in file.rows() {
                let model = row.value(|model, _| file.place(model)).expect("a row that decodes");
                let mut names: Vec<&str> = model.names().collect();
                let mut seen = std::collections::HashSet::new();
                names.retain(|name| seen.insert(*name));
                assert_eq!(row.names().collect::<Vec<_>>(), names);
            }
        }
    }

    #[test]
    fn a_gpu_has_every_name_people_type() {
        let catalog = Catalog::builtin();
        for (name, id) in [
            ("4090", "rtx-4090"),
            ("RTX-4090", "rtx-4090"),
            ("NVIDIA GeForce RTX 4090", "rtx-4090"),
            ("GeForce RTX 4090", "rtx-4090"),
            ("h100", "h100-sxm"),
            ("NVIDIA H100 80GB HBM3", "h100-sxm"),
            ("h200", "h200-sxm"),
            ("a100", "a100-sxm4-80gb"),
            ("A100-80G", "a100-sxm4-80gb"),
            ("a100-40g", "a100-sxm4-40gb"),
            ("l4", "l4"),
            ("3060", "rtx-3060"),
            ("rtx 3080 20 GB", "rtx-3080-20gb"),
            ("t4", "tesla-t4"),
            ("Tesla T4", "tesla-t4"),
            ("1060", "gtx-1060-6gb"),
        ] {
            assert_eq!(catalog.gpu(name).map(|gpu| gpu.id.as_str()), Ok(id), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_comes_with_the_nearest_known_ones() {
        let catalog = Catalog::builtin();
        let error = catalog.gpu("rtx 4091").map(|_| ()).expect_err("no such card");
        assert!(error.nearest.contains(&"rtx-4090".to_owned()), "{error}");
        let error = catalog.model("qwen3-8").map(|_| ()).expect_err("no such model");
        assert!(error.to_string().starts_with("unknown model `qwen3-8`; the nearest known ones are `"), "{error}");
        assert!(catalog.engine("vlm").is_err_and(|error| error.nearest == ["vllm"]));
    }

    #[test]
    fn cards_of_one_name_differ_by_memory() {
        let catalog = Catalog::builtin();
        let id = |mib| catalog.gpu_on_machine("NVIDIA GeForce RTX 3080", Bytes::from_mib(mib)).map(|gpu| gpu.id.as_str());
        assert_eq!(id(10240), Some("rtx-3080"));
        assert_eq!(id(12288), Some("rtx-3080-12gb"));
        assert_eq!(id(20470), Some("rtx-3080-20gb"));
        let bare = catalog.gpu_on_machine("GeForce RTX 4090", Bytes::from_mib(24564));
        assert_eq!(bare.map(|gpu| gpu.id.as_str()), Some("rtx-4090"), "drivers before 470 print no NVIDIA");
    }

    #[test]
    fn a_slice_and_a_bare_size_are_devices_with_assumptions() {
        let catalog = Catalog::builtin();
        let device = |name: &str| catalog.device(name).unwrap_or_else(|error| panic!("{error}"));
        let slice = device("NVIDIA A40-24Q");
        assert_eq!((slice.gpu.id.as_str(), slice.gpu.memory(), slice.assumptions.len()), ("a40", Bytes::GIB * 24, 1));
        assert_eq!(device("GRID T4-16C").gpu.id, "tesla-t4");
        for name in ["32 GB vGPU", "32 GiB vGPU", "32g gpu"] {
            let generic = device(name);
            assert_eq!((generic.gpu.memory(), generic.assumptions.len()), (Bytes::GIB * 32, 1), "{name}");
        }
        assert!(device("h100").assumptions.is_empty());
        assert!(catalog.device("a box of cards").is_err());
    }

    #[test]
    fn measured_totals_win_over_the_usual_share() {
        let catalog = Catalog::builtin();
        let total = |name: &str| catalog.gpu(name).map(|gpu| catalog.cuda_total(gpu)).unwrap_or_default();
        let [expected, low, high] = total("h100");
        assert!((expected.gib() - 79.18).abs() < 0.01);
        assert_eq!((low, high), (expected, expected));
        let [expected, low, high] = total("4080");
        assert!(low < expected && expected < high);
    }

    #[test]
    fn a_model_has_ids_aliases_and_a_size() {
        let catalog = Catalog::builtin();
        for (name, id) in [
            ("70b", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B"),
            ("70B", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B"),
            ("qwen/qwen3-8b", "Qwen/Qwen3-8B"),
            ("opt-1.3b", "facebook/opt-1.3b"),
            ("opt-13b", "facebook/opt-13b"),
            ("deepseek-ai/DeepSeek-V3.1", "deepseek-ai/DeepSeek-V3"),
        ] {
            assert_eq!(catalog.model(name).map(|model| model.id.as_str()), Ok(id), "{name}");
        }
        let model = catalog.model("70b").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((model.parameters, model.shape.num_hidden_layers, model.family.as_str()), (70_553_706_496, 80, "deepseek-r1-distill"));
        assert!(model.shape.mlp_gated && model.is_verified());
    }

    #[test]
    fn a_later_file_wins_by_id_and_says_so() {
        let gpu = r#"
            id = "l4"
            name = "NVIDIA L4"
            aliases = ["house card"]
            architecture = "ada"
            compute_capability = "8.9"
            board_power_w = 72
            sources = ["our rack"]
            memory = { mib = 23000, bandwidth_gb_s = 290, confidence = "seen" }
            throughput = { bf16_tflops = 120, fp16_tflops = 120, fp8_tflops = 240, int8_tops = 240, fp4_tflops = 0, confidence = "derived" }
            links = { pcie_generation = 4, pcie_lanes = 8, nvlink_gb_s = 0, peer_access = "never" }
        "#;
        let files = vec![("house/gpus/l4.toml".into(), gpu.to_owned())];
        let catalog = Catalog::with_overlay(files).unwrap_or_else(|error| panic!("{error}"));
        let found = catalog.gpu("house-card").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((found.memory.mib, found.origin.to_string().as_str()), (23000, "house/gpus/l4.toml"));
        assert_eq!(catalog.gpus().len(), Catalog::builtin().gpus().len());
        assert_eq!(catalog.gpu("t4").map(|gpu| gpu.origin.to_string()), Ok("rules/gpus/tesla-t4.toml (built in)".to_owned()));
    }

    #[test]
    fn a_broken_file_is_shown_with_line_and_caret() {
        let error = |path: &str, text: &str| {
            Catalog::with_overlay(vec![(path.into(), text.to_owned())]).map(|_| ()).expect_err("a broken file").to_string()
        };
        let misspelt = error("house/attention/x.toml", "id = \"x\"\nnaem = \"y\"\n");
        assert!(misspelt.starts_with("house/attention/x.toml:2:1: unknown field `naem`"), "{misspelt}");
        assert!(misspelt.ends_with("\n  | naem = \"y\"\n  | ^^^^"), "{misspelt}");
        assert!(error("gpus/x.toml", "id = ").starts_with("gpus/x.toml:1:"));
        assert!(error("gpu/x.toml", "").starts_with("gpu/x.toml: no rule file has this place"));
    }
}
