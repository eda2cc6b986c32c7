//! The inventory of tensors against every model of the catalogue.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use gpudoctor::catalog::Catalog;
use gpudoctor::model::spec::{Mixer, ModelSpec, Role};

fn specs() -> Vec<(u64, u64, ModelSpec)> {
    let catalog = Catalog::builtin();
    let spec = |model: &gpudoctor::catalog::Model| {
        let active = model.active_parameters.unwrap_or(model.parameters - model.vision_parameters);
        let spec = ModelSpec::from_catalogue(model, &model.id).unwrap_or_else(|error| panic!("{}: {error}", model.id));
        (model.parameters, active, spec)
    };
    catalog.models().map(spec).collect()
}

/// All tensors together hold exactly the parameters that the entry states, and a token uses those that it states.
#[test]
fn the_inventory_holds_the_stated_parameters() {
    let specs = specs();
    assert!(specs.len() >= 304, "the catalogue has {} models", specs.len());
    for (parameters, active, spec) in &specs {
        assert_eq!(spec.parameters.total, *parameters, "{}", spec.id);
        assert_eq!(spec.parameters.active, *active, "{}: active", spec.id);
        assert_eq!(spec.tensors.iter().map(|group| group.elements()).sum::<u64>(), *parameters, "{}: tensors", spec.id);
    }
}

/// Names tell groups apart, layers are numbered in order, and a tied head is not listed.
#[test]
fn the_inventory_is_well_formed() {
    for (_, _, spec) in specs() {
        let mut names: Vec<&str> = spec.tensors.iter().map(|group| group.name.as_str()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{}: two groups of one name", spec.id);
        let layers = spec.tensors.iter().filter_map(|group| group.layer).max();
        assert_eq!(layers.map(|last| last as usize + 1), Some(spec.layers.len()), "{}", spec.id);
        let heads = spec.tensors.iter().filter(|group| group.role == Role::Head).count();
        assert_eq!(heads, usize::from(!spec.tie_word_embeddings), "{}", spec.id);
    }
}

/// What can be seen from a model's own documentation.
#[test]
fn layers_are_of_the_documented_kinds() {
    let specs = specs();
    let find = |id: &str| specs.iter().map(|(_, _, spec)| spec).find(|spec| spec.id == id).unwrap_or_else(|| panic!("{id} is not there"));
    assert!(find("deepseek-ai/DeepSeek-V3").uses_latent_attention());
    assert!(find("Qwen/Qwen3-Next-80B-A3B-Instruct").is_hybrid());
    assert!(find("tiiuae/Falcon-H1-7B-Instruct").is_hybrid());
    assert!(find("Qwen/Qwen3-30B-A3B").is_mixture_of_experts());
    let gemma = find("google/gemma-3n-E4B-it");
    assert!(gemma.layers.iter().any(|layer| matches!(layer.mixer, Mixer::Shared { .. })));
    let oss = find("openai/gpt-oss-20b");
    assert!(
        oss.quantization
            .as_ref()
            .is_some_and(|found| found.skips("layers.0.self_attn.q_proj") && !found.skips("layers.0.mlp.experts.up_proj"))
    );
}

/// The catalogue's models run without code from their checkpoints.
#[test]
fn every_type_of_the_catalogue_is_known() {
    for (_, _, spec) in specs() {
        assert!(gpudoctor::model::config::known::is_known(&spec.model_type), "{}: {}", spec.id, spec.model_type);
    }
}
