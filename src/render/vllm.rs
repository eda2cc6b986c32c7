//! A vLLM plan and the user's options to a typed context: every decision is made here, and printed by the templates.

pub mod arguments;
pub mod environment;
pub mod guide;
pub mod sizes;
pub mod steps;

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::plan::outcome::Plan;
use crate::render::RenderError;
use crate::render::options::{GpuSelection, Install, ModelSource, RenderOptions};
use crate::render::quote;
use crate::version::Version;

/// The base of an image that installs the wheel: CPython that every wheel from 0.8.5 on accepts.
const WHEEL_BASE: &str = "python:3.12-slim-bookworm";
/// Where the model's directory is mounted.
const MODEL_MOUNT: &str = "/model";

/// What the templates print.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Context {
    /// The engine.
    pub engine: Engine,
    /// The model.
    pub model: Model,
    /// The server's process and address.
    pub server: Server,
    /// The image.
    pub image: Image,
    /// The GPUs.
    pub gpus: Gpus,
    /// Memory and time.
    pub sizes: sizes::Sizes,
    /// The lines of serve.yaml.
    pub arguments: Vec<arguments::ArgumentLine>,
    /// Comments on what is not in serve.yaml and why, each in lines.
    pub left_out: Vec<Vec<String>>,
    /// The lines of .env.
    pub environment: Vec<environment::VariableLine>,
    /// How to start it.
    pub steps: Vec<steps::Step>,
    /// PLAN.md.
    pub guide: guide::Guide,
}

/// The engine, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// `vllm`.
    pub name: String,
    /// `vLLM 0.25.1`.
    pub title: String,
    /// `0.25.1`.
    pub version: String,
    /// The torch version that its wheel pins.
    pub torch: String,
    /// The CUDA version that its wheel is built for.
    pub cuda: String,
    /// The oldest driver that runs the wheel.
    pub min_driver: String,
}

/// The model, as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// The name that requests use.
    pub name: String,
    /// What serve.yaml names: a path of this machine or a hub id.
    pub host: String,
    /// What the container serves: a path under `MODEL_MOUNT` or a hub id.
    pub container: String,
    /// The directory of this machine to mount, if any.
    pub mount: Option<String>,
    /// Whether the checkpoint's own code runs.
    pub remote_code: bool,
}

/// The server's process and address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// The service's name.
    pub service: String,
    /// User and group.
    pub uid: u32,
    /// The port.
    pub port: u16,
    /// The address outside the container.
    pub bind: String,
    /// Whether that is this machine only.
    pub loopback: bool,
    /// The port mapping: `127.0.0.1:8000:8000`.
    pub published: String,
    /// The address to write in a URL.
    pub published_host: String,
    /// The command of the container.
    pub command: Vec<String>,
    /// The command in a Dockerfile.
    pub command_exec: String,
    /// The command in a Kubernetes file.
    pub command_kubernetes: String,
    /// The health check of the container, without `CMD`.
    pub health: Vec<String>,
    /// The health check in a Dockerfile.
    pub health_exec: String,
    /// The health check in a Compose file.
    pub health_compose: String,
    /// Whether requests need a key.
    pub api_key: bool,
    /// Whether the hub needs a token.
    pub hub_token: bool,
    /// The secrets of the Compose file.
    pub secrets: Vec<Secret>,
}

/// A secret that the user creates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// Its name under `/run/secrets` and its file under `./secrets`.
    pub name: &'static str,
    /// The environment variable that it becomes.
    pub variable: &'static str,
}

/// The image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Image {
    /// What it is built on.
    pub base: String,
    /// Its name once built.
    pub tag: String,
    /// What Kubernetes runs.
    pub kubernetes: String,
    /// Whether it installs the wheel.
    pub wheel: bool,
    /// The driver that it must run on.
    pub target_driver: String,
    /// The check that the build runs.
    pub preflight: String,
    /// The model as a quoted label, if a label can hold it.
    pub model_label: Option<String>,
}

/// The GPUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpus {
    /// How many.
    pub count: u64,
    /// Which, as the items of a YAML list; `None` for any.
    pub ids: Option<String>,
}

/// Decides everything that the files of `plan` say.
pub fn context(plan: &Plan, options: &RenderOptions) -> Result<Context, RenderError> {
    if !plan.verdict.is_good() {
        return Err(RenderError::NotGood(plan.verdict.id()));
    }
    let budget = plan.budget.as_ref().ok_or(RenderError::Incomplete("budget"))?;
    let launch = plan.launch.as_ref().ok_or(RenderError::Incomplete("launch"))?;
    if options.uid == 0 {
        return Err(RenderError::Root);
    }
    if !options.api_key && !options.bind.is_loopback() {
        return Err(RenderError::Open(options.bind));
    }
    let model = model(plan, options)?;
    let arguments = arguments::lines(plan, options, &model)?;
    let environment = environment::lines(plan, options)?;
    let image = image(plan, options, &model)?;
    let server = server(options, &model)?;
    let gpus = gpus(plan, options)?;
    let sizes = sizes::sizes(plan, budget, options);
    let steps = steps::steps(options, &model, &image, &server)?;
    let engine = engine(plan);
    let guide = guide::guide(&guide::Sources {
        plan,
        budget,
        launch,
        model: &model,
        server: &server,
        sizes: &sizes,
        arguments: &arguments.lines,
        environment: &environment,
    })?;
    Ok(Context {
        engine,
        model,
        server,
        image,
        gpus,
        sizes,
        arguments: arguments.lines,
        left_out: arguments.left_out,
        environment,
        steps,
        guide,
    })
}

fn engine(plan: &Plan) -> Engine {
    let engine = &plan.engine;
    Engine {
        name: engine.name.clone(),
        title: title(&engine.name, &engine.version),
        version: engine.version.to_string(),
        torch: engine.torch.trim_start_matches('=').to_owned(),
        cuda: engine.cuda.clone(),
        min_driver: engine.min_driver.to_string(),
    }
}

/// `vLLM 0.25.1`.
fn title(name: &str, version: &Version) -> String {
    let name = if name == "vllm" { "vLLM" } else { name };
    format!("{name} {version}")
}

fn model(plan: &Plan, options: &RenderOptions) -> Result<Model, RenderError> {
    let (host, container, mount) = match &options.model {
        ModelSource::Directory { path, file } => {
            if !path.starts_with('/') {
                return Err(RenderError::RelativePath(path.clone()));
            }
            let below = |directory: &str| match file {
                Some(file) => format!("{}/{file}", directory.trim_end_matches('/')),
                None => directory.to_owned(),
            };
            (below(path), below(MODEL_MOUNT), Some(path.clone()))
        }
        ModelSource::Hub { id } | ModelSource::ModelScope { id } => (id.clone(), id.clone(), None),
    };
    for (flag, value) in [("model", &host), ("model", &container), ("served-model-name", &plan.model.id)] {
        if value.starts_with('-') || value.is_empty() || value.contains('\0') {
            return Err(RenderError::NotAValue { flag: flag.to_owned(), value: value.clone() });
        }
    }
    let name = plan.args.get("served-model-name").and_then(first_name).unwrap_or_else(|| plan.model.id.clone());
    Ok(Model { name, host, container, mount, remote_code: plan.model.needs_remote_code })
}

/// The name that requests use: the first, where several are served.
fn first_name(value: &serde_json::Value) -> Option<String> {
    value.as_str().or_else(|| value.get(0).and_then(serde_json::Value::as_str)).map(str::to_owned)
}

fn server(options: &RenderOptions, model: &Model) -> Result<Server, RenderError> {
    let port = options.port;
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let any = if options.bind.is_ipv4() { "0.0.0.0" } else { "::" };
    let command =
        words(&["vllm", "serve", &model.container, "--config", "/etc/vllm/serve.yaml", "--host", any, "--port", &port.to_string()]);
    if port == 0 {
        return Err(RenderError::NotAValue { flag: "port".to_owned(), value: "0".to_owned() });
    }
    let loopback = if options.bind.is_ipv4() { "127.0.0.1" } else { "[::1]" };
    let probe = format!("import urllib.request; urllib.request.urlopen('http://{loopback}:{port}/health', timeout=8)");
    let health = words(&["python3", "-c", &probe]);
    let health_compose: Vec<String> = words(&["CMD"]).into_iter().chain(health.iter().cloned()).collect();
    let secrets = [
        (options.api_key, Secret { name: "vllm_api_key", variable: "VLLM_API_KEY" }),
        (options.hub_token, Secret { name: "hf_token", variable: "HF_TOKEN" }),
    ];
    let reached_at = match options.bind {
        IpAddr::V4(address) if address.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(address) if address.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    Ok(Server {
        service: options.service.to_string(),
        uid: options.uid,
        port,
        bind: options.bind.to_string(),
        loopback: options.bind.is_loopback(),
        published: format!("{}:{port}", SocketAddr::new(options.bind, port)),
        published_host: reached_at,
        command_exec: quote::exec_form(&command),
        command_kubernetes: yaml_list(&command),
        command,
        health_exec: quote::exec_form(&health),
        health_compose: yaml_list(&health_compose),
        health,
        api_key: options.api_key,
        hub_token: options.hub_token,
        secrets: secrets.into_iter().filter(|(wanted, _)| *wanted).map(|(_, secret)| secret).collect(),
    })
}

/// A YAML list of strings in which `$` starts variables.
fn yaml_list(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quote::yaml_with_dollars(word)).collect();
    format!("[{}]", words.join(", "))
}

fn image(plan: &Plan, options: &RenderOptions, model: &Model) -> Result<Image, RenderError> {
    let engine = &plan.engine;
    let target = options.target_driver.as_ref().or(plan.devices.driver.as_ref()).unwrap_or(&engine.min_driver);
    let wheel = options.install == Install::Wheel;
    if wheel && *target < engine.min_driver {
        return Err(RenderError::DriverTooOld {
            engine: title(&engine.name, &engine.version),
            needs: engine.min_driver.to_string(),
            target: target.to_string(),
        });
    }
    if wheel && plan.launch.as_ref().is_some_and(|launch| launch.flashinfer_sampler) {
        return Err(RenderError::NoCompiler);
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if engine.image.is_empty() || !engine.image.chars().all(plain) {
        return Err(RenderError::Unwritable { name: "the engine's image".to_owned(), format: "a Dockerfile" });
    }
    let version = engine.version.to_string().replace('+', "-");
    let tag = format!("{}:{}-{version}", options.service, engine.name);
    let base = if wheel { WHEEL_BASE.to_owned() } else { engine.image.clone() };
    let preflight = [
        "gpudoctor".to_owned(),
        "check".to_owned(),
        "--image".to_owned(),
        "--for".to_owned(),
        format!("{}@{}", engine.name, engine.version),
        "--target-driver".to_owned(),
        target.to_string(),
    ];
    Ok(Image {
        kubernetes: if wheel { tag.clone() } else { engine.image.clone() },
        base,
        tag,
        wheel,
        target_driver: target.to_string(),
        preflight: quote::shell(&preflight)?,
        model_label: quote::dockerfile(&model.name),
    })
}

fn gpus(plan: &Plan, options: &RenderOptions) -> Result<Gpus, RenderError> {
    let count = plan.devices.count;
    let GpuSelection::These(names) = &options.gpus else { return Ok(Gpus { count, ids: None }) };
    let named = names.len() as u64;
    if named != count {
        return Err(RenderError::GpuCount { planned: count, named });
    }
    let is_uuid = |name: &str| {
        let rest = name.strip_prefix("GPU-").or_else(|| name.strip_prefix("MIG-"));
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit() || c == '-'))
    };
    let is_index = |name: &str| !name.is_empty() && name.len() <= 4 && name.bytes().all(|c| c.is_ascii_digit());
    if let Some(name) = names.iter().find(|name| !is_index(name) && !is_uuid(name)) {
        return Err(RenderError::NotAGpu(name.clone()));
    }
    let ids: Vec<String> = names.iter().map(|name| quote::yaml(name)).collect();
    Ok(Gpus { count, ids: Some(ids.join(", ")) })
}
