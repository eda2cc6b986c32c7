//! Requests of tests, planned and judged through the library.

use gpudoctor::catalog::Catalog;
use gpudoctor::commands::plan::JUDGING;
use gpudoctor::engine::arguments::Arguments;
use gpudoctor::engine::launch::UsageContext;
use gpudoctor::engine::yaml::read_arguments;
use gpudoctor::model::spec::ModelSpec;
use gpudoctor::plan::make::{Inputs, make};
use gpudoctor::plan::outcome::{Devices, Plan};
use gpudoctor::plan::release::choose;
use gpudoctor::plan::request::{EngineRequest, ModelAccess, PlanRequest, Subject, Target};
use gpudoctor::plan::target;
use gpudoctor::render::ArtifactKind;
use gpudoctor::render::options::{RenderOptions, negatable_flags};
use gpudoctor::render::render;
use gpudoctor::render::validate::validate;
use gpudoctor::version::Version;
use indexmap::IndexMap;

/// The catalogue, read once.
pub(crate) fn catalog() -> &'static Catalog {
    static CATALOG: std::sync::OnceLock<Catalog> = std::sync::OnceLock::new();
    CATALOG.get_or_init(Catalog::builtin)
}

/// A version.
pub(crate) fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

/// A model of the catalogue.
pub(crate) fn model(name: &str) -> ModelSpec {
    let entry = catalog().model(name).unwrap_or_else(|error| panic!("{error}"));
    ModelSpec::from_catalogue(entry, &entry.id).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Cards of the catalogue.
pub(crate) fn cards(name: &str, count: u64) -> Devices {
    let target = Target { gpu: Some(name.to_owned()), count, ..Target::default() };
    target::devices(&target, catalog()).unwrap_or_else(|error| panic!("{error}")).0
}

/// One request: a model on devices with an engine version.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) model: ModelSpec,
    pub(crate) devices: Devices,
    pub(crate) version: Version,
    pub(crate) request: PlanRequest,
}

impl Case {
    /// A request that leaves all else to the planner.
    pub(crate) fn new(model: ModelSpec, devices: Devices, version: &str) -> Self {
        let version = self::version(version);
        let request = PlanRequest {
            subject: Subject::Model(model.id.clone()),
            target: Target::default(),
            engine: EngineRequest { name: "vllm".to_owned(), version: Some(version.clone()) },
            usage: UsageContext::Serve,
            context: None,
            concurrency: None,
            quantization: None,
            fixed: Arguments::default(),
            env: IndexMap::new(),
            bind: None,
            host_memory: None,
            access: ModelAccess { offline: true, revision: None },
        };
        Self { model, devices, version, request }
    }

    /// The plan that the search makes.
    pub(crate) fn search(&self) -> Plan {
        self.make(None)
    }

    /// The verdict on the lines of a configuration.
    pub(crate) fn judge(&self, yaml: &str) -> Plan {
        self.make(Some(read_arguments(yaml.as_bytes(), "serve.yaml").unwrap_or_else(|error| panic!("{error}\n{yaml}"))))
    }

    fn make(&self, given: Option<Arguments>) -> Plan {
        let chosen = choose(&self.request.engine, &self.devices, catalog()).unwrap_or_else(|error| panic!("{error}"));
        let inputs = Inputs {
            request: &self.request,
            catalog: catalog(),
            devices: self.devices.clone(),
            chosen,
            model: self.model.clone(),
            given,
            said: Vec::new(),
            judging: JUDGING,
            measured: &[],
        };
        make(inputs).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The `serve.yaml` of a plan, after all its files were read back.
    pub(crate) fn serve_yaml(&self, plan: &Plan) -> String {
        let mut options = RenderOptions::for_plan(plan);
        let engine = catalog().engine("vllm").expect("vLLM is in the catalogue");
        options.negatable = negatable_flags(plan, engine);
        let artifacts = render(plan, &options).unwrap_or_else(|error| panic!("{error}"));
        let files = validate(plan, &options, artifacts).unwrap_or_else(|error| panic!("{error}"));
        let serve = files.artifacts().iter().find(|artifact| artifact.kind == ArtifactKind::EngineConfig);
        serve.map(|artifact| artifact.text.clone()).expect("a serve.yaml")
    }
}
