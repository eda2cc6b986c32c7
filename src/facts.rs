//! What the readings of a machine mean: a pure function of the capture, of what was asked and of what is known.
//!
//! Rules name these facts by their paths, such as `driver.version`; [`vocabulary`] lists them with what they mean. A fact
//! is known, absent (it was looked for and is not there) or unreadable, with the reason.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::{Capture, Image};
use crate::catalog::Catalog;
use crate::reading::Reading;

mod cards;
mod container;
mod cuda;
mod driver;
pub mod gpu;
mod host;
pub mod image;
mod link;
mod network;
mod nvml;
mod os;
mod question;
mod software;
mod source;
mod text;
mod tools;
mod tree;
mod visible;
pub mod vocabulary;
mod xid;

pub use cards::Cards;
pub use container::Container;
pub use cuda::Cuda;
pub use driver::Driver;
pub use gpu::Gpu;
pub use host::{Host, Space};
pub use link::Link;
pub use network::Network;
pub use nvml::Nvml;
pub use os::Os;
pub use question::Question;
pub use software::{Engine, Python, Target, Torch};
pub use source::source;
pub use tools::Tools;
pub use tree::{Tree, Unknown};
pub use visible::Visible;

use image::ImageFacts;

/// Everything that is known of a machine.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Facts {
    /// The operating system.
    pub os: Os,
    /// The kernel driver.
    pub driver: Driver,
    /// The management library.
    pub nvml: Nvml,
    /// The CUDA driver library.
    pub cuda: Cuda,
    /// The GPUs.
    pub gpus: Vec<Gpu>,
    /// The pairs of GPUs.
    pub links: Vec<Link>,
    /// All GPUs together.
    pub cards: Cards,
    /// What `CUDA_VISIBLE_DEVICES` makes of them.
    pub visible: Visible,
    /// The machine around them.
    pub host: Host,
    /// The container.
    pub container: Container,
    /// Environment variables by name.
    pub env: BTreeMap<String, Reading<String>>,
    /// The network.
    pub network: Network,
    /// Programs.
    pub tools: Tools,
    /// The engine that is judged.
    pub engine: Reading<Engine>,
    /// The PyTorch that is judged.
    pub torch: Reading<Torch>,
    /// What else the Python environment holds.
    pub python: Python,
    /// What was asked.
    pub target: Target,
}

impl Facts {
    /// The facts of a capture.
    pub fn new(capture: &Capture, question: &Question, catalog: &Catalog) -> Self {
        let nothing = Image::default();
        let image = ImageFacts::new(capture.image.known().unwrap_or(&nothing), question, catalog);
        let driver = driver::read(capture, catalog);
        let container = container::read(capture, &driver);
        let nvml = nvml::read(capture);
        let mut gpus = gpu::read(capture, catalog, container.inside == Reading::Known(true));
        let visible = visible::read(capture, &mut gpus);
        Self {
            os: os::read(capture),
            cuda: cuda::read(capture, &image),
            links: link::read(capture, &gpus),
            cards: cards::read(&gpus, &nvml),
            host: host::read(capture),
            env: capture.variables.iter().map(|(name, value)| (name.clone(), Reading::Known(value.clone()))).collect(),
            network: network::read(capture),
            tools: tools::read(capture),
            engine: software::engine(&image),
            torch: software::torch(&image),
            python: software::python(&image),
            target: software::target(question, &image),
            driver,
            container,
            nvml,
            gpus,
            visible,
        }
    }
}
