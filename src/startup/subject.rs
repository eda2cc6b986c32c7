//! Which model and which card a log is about, where nobody says it.

use crate::catalog::{Catalog, Confidence, Gpu};
use crate::model::spec::ModelSpec;
use crate::plan::outcome::Devices;
use crate::plan::request::Target;
use crate::plan::target;
use crate::plan::variant::{as_checkpoint, known_checkpoint};
use crate::startup::figures::Run;
use crate::units::Bytes;

/// The model of the catalogue that the run names: by hub id, or by the end of its path. One whose architecture is another than
/// the engine found is no such model.
pub fn catalogued(run: &Run, catalog: &Catalog) -> Option<ModelSpec> {
    let name = run.model()?;
    let spec = names(name).iter().find_map(|name| of_name(name, catalog))?;
    run.architecture.as_ref().is_none_or(|found| *found == spec.architecture).then_some(spec)
}

/// What a path or id may be called in a catalogue: the id in a hub's cache, the last two parts, the last part.
fn names(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split(['/', '\\']).filter(|part| !part.is_empty()).collect();
    let cached = parts.iter().find_map(|part| part.strip_prefix("models--")).map(|id| id.replacen("--", "/", 1));
    let two = parts.last_chunk::<2>().map(|[owner, model]| format!("{owner}/{model}"));
    let one = parts.last().map(|part| (*part).to_owned());
    cached.into_iter().chain(two).chain(one).collect()
}

/// What the ends of checkpoints' names say of their quantisation.
const QUANTISED: [(&str, &str); 6] =
    [("-awq", "awq"), ("_awq", "awq"), ("-awq-int4", "awq"), ("-gptq", "gptq"), ("-gptq-int4", "gptq"), ("_gptq", "gptq")];

fn of_name(name: &str, catalog: &Catalog) -> Option<ModelSpec> {
    if catalog.model_size(name).is_some() {
        return None;
    }
    if let Some((base, scheme)) = known_checkpoint(name, catalog) {
        return Some(as_checkpoint(&entry(base, catalog)?, scheme, catalog));
    }
    if let Some(spec) = entry(name, catalog) {
        return Some(spec);
    }
    let folded = name.to_ascii_lowercase();
    let (end, scheme) = QUANTISED.into_iter().find(|(end, _)| folded.ends_with(end))?;
    let mut spec = as_checkpoint(&entry(name.get(..name.len() - end.len())?, catalog)?, scheme, catalog);
    // It is in use, so that nobody need be told to bring it.
    spec.assumed = vec![format!("{name} is taken to be in 4 bits, in groups of 128, as its name says; its tensor headers were not read")];
    name.clone_into(&mut spec.id);
    Some(spec)
}

fn entry(name: &str, catalog: &Catalog) -> Option<ModelSpec> {
    let entry = catalog.model(name).ok()?;
    let mut spec = ModelSpec::from_catalogue(entry, &entry.id).ok()?;
    match entry.confidence {
        Confidence::Memory => return None,
        Confidence::OneSource => spec.assumed.push(format!("the shape of {} rests on one source", entry.id)),
        Confidence::Confirmed => {}
    }
    Some(spec)
}

/// How far two totals may lie apart that are one card's: the engine prints hundredths of a GiB.
const SAME_TOTAL: f64 = 0.006;

/// The cards of a run: as `named`, with the total that the engine saw, or a card whose total that is. `None` where neither is
/// known.
pub fn devices(run: &Run, named: Option<&Devices>, catalog: &Catalog) -> Option<Devices> {
    let ranks = run.count("tensor-parallel-size").unwrap_or(1) * run.count("pipeline-parallel-size").unwrap_or(1);
    let total = run.total().and_then(|total| total.size());
    let mut devices = match (named, total) {
        (Some(named), Some(total)) if !is_near(named.cuda_total, total) => of_total(total, catalog).map(|found| Devices {
            assumed: vec![format!("{} has {}, the card of this log {total}", named.name, named.cuda_total)],
            ..found
        })?,
        (Some(named), _) => named.clone(),
        (None, Some(total)) => of_total(total, catalog)?,
        (None, None) => return None,
    };
    if let Some(total) = total {
        // Of the two the catalogue's is exact, where they agree to the digits printed.
        if (devices.cuda_total.gib() - total.gib()).abs() > SAME_TOTAL || devices.cuda_total != devices.cuda_total_high {
            (devices.cuda_total, devices.cuda_total_high) = (total, total);
        }
        devices.assumed.retain(|sentence| !sentence.starts_with("CUDA sees"));
    }
    // No allocation passes what CUDA sees, whatever nvidia-smi calls the card's memory.
    devices.limit = devices.cuda_total;
    devices.count = devices.count.max(ranks);
    Some(devices)
}

/// Whether a card of `expected` may print `total`: drivers and ECC take a few hundredths.
fn is_near(expected: Bytes, total: Bytes) -> bool {
    expected > Bytes::ZERO && (total.gib() / expected.gib() - 1.0).abs() < 0.04
}

/// A card that shows `total`: one whose total was measured and is that, else one of which only the memory is known.
fn of_total(total: Bytes, catalog: &Catalog) -> Option<Devices> {
    let measured = |gpu: &&Gpu| gpu.memory.cuda_total_mib.is_some_and(|mib| (Bytes::from_mib(mib).gib() - total.gib()).abs() <= SAME_TOTAL);
    let found: Vec<&Gpu> = catalog.gpus().iter().filter(measured).collect();
    if let Some(first) = found.first()
        && found.iter().all(|gpu| gpu.compute_capability == first.compute_capability)
    {
        let mut devices = named(&first.id, catalog)?;
        devices.assumed.push(format!("the card is taken for one {}, which also shows {total}; name it with `--gpu`", devices.name));
        return Some(devices);
    }
    let nominal = (total.gib() / 0.985).round().max(1.0) as u64;
    let mut devices = named(&format!("{nominal} GiB"), catalog)?;
    devices.name = format!("a card with {total}");
    devices.assumed =
        vec![format!("only the {total} of the card are known, and its generation is taken to be that of an A10; name it with `--gpu`")];
    Some(devices)
}

fn named(name: &str, catalog: &Catalog) -> Option<Devices> {
    let target = Target { gpu: Some(name.to_owned()), count: 1, ..Target::default() };
    target::devices(&target, catalog).ok().map(|(devices, _)| devices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::Figures;

    fn run(line: &str) -> Run {
        let mut figures = Figures::default();
        figures.observe(1, None, line);
        figures.last().cloned().expect("a start")
    }

    fn model(name: &str) -> Option<String> {
        let run = run(&format!("Initializing a V1 LLM engine (v0.9.2) with config: model='{name}', dtype=torch.bfloat16"));
        catalogued(&run, &Catalog::builtin()).map(|spec| spec.id)
    }

    #[test]
    fn a_model_is_known_by_the_end_of_its_path() {
        for name in ["Qwen/Qwen3-8B", "/data/models/Qwen3-8B", "/root/.cache/huggingface/hub/models--Qwen--Qwen3-8B/snapshots/0123"] {
            assert_eq!(model(name).as_deref(), Some("Qwen/Qwen3-8B"), "{name}");
        }
        assert_eq!(model("/models/70b"), None, "a size is no name");
        assert_eq!(model("/models/ours"), None);
    }

    #[test]
    fn the_end_of_a_name_tells_its_quantisation() {
        let run =
            run("Initializing a V1 LLM engine (v0.9.2) with config: model='/models/Llama-3.1-8B-Instruct-AWQ', quantization=awq_marlin");
        let spec = catalogued(&run, &Catalog::builtin()).expect("a model");
        assert_eq!(spec.quantization.map(|quantization| (quantization.method, quantization.bits)), Some(("awq".to_owned(), 4)));
    }

    // A folder may be called like another model.
    #[test]
    fn another_architecture_is_another_model() {
        let mut run = run("Initializing a V1 LLM engine (v0.9.2) with config: model='/models/Qwen3-8B'");
        run.architecture = Some("LlamaForCausalLM".to_owned());
        assert!(catalogued(&run, &Catalog::builtin()).is_none());
    }

    #[test]
    fn a_card_is_known_by_the_total_that_the_engine_prints() {
        let line =
            |total: &str| run(&format!("worker init memory snapshot: free_memory=10.0GiB, total_memory={total}GiB, cuda_memory=0.51GiB"));
        let catalog = Catalog::builtin();
        let devices = devices(&line("79.18"), None, &catalog).expect("devices");
        assert!(devices.name.contains("H100"), "{}", devices.name);
        let unknown = super::devices(&line("31.48"), None, &catalog).expect("devices");
        assert_eq!((unknown.cuda_total, unknown.limit), (Bytes::from_gib(31.48), Bytes::from_gib(31.48)));
        assert!(unknown.assumed.iter().any(|sentence| sentence.contains("only the 31.48 GiB")), "{:?}", unknown.assumed);
        assert!(super::devices(&run("Model loading took 1.0 GiB and 1.0 seconds"), None, &catalog).is_none());
    }
}
