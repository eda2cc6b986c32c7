//! The capture as a whole, and its text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::capture::Image;
use crate::capture::cuda::{Cuda, Runtime};
use crate::capture::host::{Cpus, Identity, Limits, Network, PciDevice, Process};
use crate::capture::nvml::Nvml;
use crate::capture::place::{Entry, Library, Node, Space};
use crate::capture::tool::{CdiSpec, Endpoint, Service, Tool};
use crate::reading::Reading;

/// The name and number of the format.
pub const SCHEMA: &str = "gpudoctor.capture/1";

/// What was read of a machine: raw, so that a wrong reading of it can be corrected later, on another machine.
///
/// A field that an older gpudoctor did not write reads as `Absent` or empty. A field that this gpudoctor does not know is an
/// error: what it says might matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the gpudoctor that wrote it.
    #[serde(default)]
    pub gpudoctor: String,
    /// When, RFC 3339 in UTC.
    #[serde(default)]
    pub taken_at: String,
    /// Whether names, serial numbers and addresses have been replaced.
    #[serde(default)]
    pub redacted: bool,
    /// How long each family of probes took, in ms.
    #[serde(default)]
    pub elapsed_ms: BTreeMap<String, u64>,
    /// Small files, verbatim, by path.
    #[serde(default)]
    pub files: BTreeMap<String, Reading<String>>,
    /// Folders, by path.
    #[serde(default)]
    pub folders: BTreeMap<String, Reading<Vec<Entry>>>,
    /// Device nodes, by path.
    #[serde(default)]
    pub devices: BTreeMap<String, Reading<Node>>,
    /// GPUs, NVSwitches and network adapters, and the bridges above them.
    #[serde(default)]
    pub pci: Reading<Vec<PciDevice>>,
    /// File systems, by a path on them.
    #[serde(default)]
    pub space: BTreeMap<String, Reading<Space>>,
    /// Resource limits.
    #[serde(default)]
    pub limits: Limits,
    /// Processors.
    #[serde(default)]
    pub cpus: Cpus,
    /// Who the probe ran as.
    #[serde(default)]
    pub identity: Identity,
    /// Environment variables from the list of those that matter; the value of a secret is `set`.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// Driver and CUDA libraries by the name that programs ask for; the first is the one that the loader takes.
    #[serde(default)]
    pub libraries: BTreeMap<String, Vec<Library>>,
    /// NVML; absent when the loader finds no library.
    #[serde(default)]
    pub nvml: Reading<Nvml>,
    /// The CUDA driver API; absent when the loader finds no library.
    #[serde(default)]
    pub cuda: Reading<Cuda>,
    /// The CUDA runtimes of the environments, by path.
    #[serde(default)]
    pub runtimes: BTreeMap<String, Reading<Runtime>>,
    /// The lines of the kernel's log that speak of GPUs or of processes killed for memory.
    #[serde(default)]
    pub kernel_log: Reading<Vec<String>>,
    /// Programs, by name.
    #[serde(default)]
    pub tools: BTreeMap<String, Reading<Tool>>,
    /// Services, by name.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    /// Container device interface specifications, by path.
    #[serde(default)]
    pub cdi: BTreeMap<String, Reading<CdiSpec>>,
    /// The processes that hold GPU memory.
    #[serde(default)]
    pub processes: Vec<Process>,
    /// The network.
    #[serde(default)]
    pub network: Network,
    /// Whether hubs and registries can be reached; unreadable unless it was asked for.
    #[serde(default)]
    pub online: Reading<Vec<Endpoint>>,
    /// Python environments and the C library.
    #[serde(default)]
    pub image: Reading<Image>,
}

impl Default for Capture {
    /// A capture in which nothing was read.
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            gpudoctor: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at: String::new(),
            redacted: false,
            elapsed_ms: BTreeMap::new(),
            files: BTreeMap::new(),
            folders: BTreeMap::new(),
            devices: BTreeMap::new(),
            pci: Reading::Absent,
            space: BTreeMap::new(),
            limits: Limits::default(),
            cpus: Cpus::default(),
            identity: Identity::default(),
            variables: BTreeMap::new(),
            libraries: BTreeMap::new(),
            nvml: Reading::Absent,
            cuda: Reading::Absent,
            runtimes: BTreeMap::new(),
            kernel_log: Reading::Absent,
            tools: BTreeMap::new(),
            services: BTreeMap::new(),
            cdi: BTreeMap::new(),
            processes: Vec::new(),
            network: Network::default(),
            online: Reading::Absent,
            image: Reading::Absent,
        }
    }
}

impl Capture {
    /// Reads the text of a `host.json`.
    ///
    /// # Errors
    /// When it is too long, no JSON, of another schema, or holds what this version does not know.
    pub fn parse(text: &str) -> Result<Self, CaptureError> {
        if text.len() > LONGEST {
            return Err(CaptureError::TooLong);
        }
        if !text.trim_start().starts_with('{') {
            return Err(CaptureError::NoObject);
        }
        let head: Head = serde_json::from_str(text).map_err(|error| CaptureError::json(&error))?;
        match head.schema.as_deref() {
            Some(SCHEMA) => {}
            Some(other) => return Err(CaptureError::Schema { found: shown(other) }),
            None => return Err(CaptureError::NoSchema),
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let place = error.path().to_string();
            CaptureError::Field { place: shown(&place), message: shown(&error.inner().to_string()) }
        })
    }

    /// The text of the `host.json`: the same for the same capture.
    ///
    /// # Errors
    /// Never, as long as every key is a text.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// The text of a file that was read.
    pub fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).and_then(Reading::known).map(String::as_str)
    }
}

/// The longest text that is read, in bytes: a hundred times the capture of a machine with eight GPUs.
pub const LONGEST: usize = 64 << 20;

/// Why a text is no capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// More than [`LONGEST`].
    #[error("it is larger than 64 MiB; no capture is")]
    TooLong,
    /// Bytes that are no UTF-8.
    #[error("it is not UTF-8, so it is no JSON")]
    NoText,
    /// Something else, or nothing.
    #[error("it does not begin with `{{`, so it is no capture")]
    NoObject,
    /// Not JSON, or not to its end.
    #[error("it is not JSON to its end: {message}")]
    Json {
        /// What the parser says, with line and column.
        message: String,
    },
    /// JSON of something else.
    #[error("it has no `schema`, so it is no capture")]
    NoSchema,
    /// A format that this version does not know.
    #[error("its schema is `{found}`; this gpudoctor reads `{SCHEMA}`")]
    Schema {
        /// What it says.
        found: String,
    },
    /// A field that is not as it should be.
    #[error("`{place}`: {message}")]
    Field {
        /// The path of the field.
        place: String,
        /// What is wrong with it.
        message: String,
    },
}

impl CaptureError {
    fn json(error: &serde_json::Error) -> Self {
        Self::Json { message: shown(&error.to_string()) }
    }
}

impl crate::hint::Hint for CaptureError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Schema { .. } | Self::Field { .. } => Some("read it with the gpudoctor that wrote it, or a newer one".to_owned()),
            Self::TooLong | Self::NoText | Self::NoObject | Self::Json { .. } | Self::NoSchema => {
                Some("write one with `gpudoctor capture -o host.json`".to_owned())
            }
        }
    }
}

/// The one field that is read before all others; what else there is, is skipped.
#[derive(Deserialize)]
struct Head {
    schema: Option<String>,
}

/// A foreign text as it can be printed: on one line, not long, nothing that a terminal would obey.
fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut short: String = plain.take(200).collect();
    if text.chars().count() > 200 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_reads_back_as_it_was_written() {
        let mut capture = Capture::default();
        capture.files.insert("/proc/version".to_owned(), Reading::Known("Linux version 6.8".to_owned()));
        capture.nvml = Reading::unreadable("timed out after 10 s");
        let text = capture.to_text().expect("a text");
        assert_eq!(Capture::parse(&text), Ok(capture));
    }

    #[test]
    fn the_schema_alone_is_a_capture_in_which_nothing_was_read() {
        let mut empty = Capture::default();
        empty.gpudoctor.clear();
        assert_eq!(Capture::parse(r#"{"schema": "gpudoctor.capture/1"}"#), Ok(empty));
    }

    #[test]
    fn what_is_no_capture_is_refused_in_one_sentence() {
        let deep = format!(r#"{{"schema": "gpudoctor.capture/1", "files": {{"a": {}1{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for (text, expected) in [
            ("", "it does not begin with `{`, so it is no capture"),
            (r#"["gpudoctor.capture/1"]"#, "it does not begin with `{`, so it is no capture"),
            ("{}", "it has no `schema`, so it is no capture"),
            (r#"{"schema": "gpudoctor.capture/2"}"#, "its schema is `gpudoctor.capture/2`; this gpudoctor reads `gpudoctor.capture/1`"),
            (r#"{"schema": "gpudoctor.capture/1", "nvml"#, "it is not JSON to its end: EOF while parsing a string at line 1 column 39"),
            (deep.as_str(), "`files.a`: expected value at line 1 column 50"),
        ] {
            assert_eq!(Capture::parse(text).expect_err("no capture").to_string(), expected);
        }
    }

    #[test]
    fn a_wrong_field_is_named() {
        let text = r#"{"schema": "gpudoctor.capture/1", "nvml": {"known": {"device_count": {"value": "two"}}}}"#;
        let error = Capture::parse(text).expect_err("a wrong field").to_string();
        assert!(error.starts_with("`nvml.known.device_count.value`: invalid type: string \"two\", expected u32"), "{error}");
        let error = Capture::parse(r#"{"schema": "gpudoctor.capture/1", "gpus": []}"#).expect_err("an unknown field").to_string();
        assert!(error.contains("unknown field `gpus`"), "{error}");
    }
}
