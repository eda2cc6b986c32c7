//! Takes out of a capture who and where: names, serial numbers and addresses become placeholders that still match each other.

mod process;
mod replace;

use serde_json::Value;

use crate::capture::Capture;
use crate::capture::call::Call;
use crate::capture::rewrite::rewritten;
use crate::reading::Reading;
use replace::{Replacer, Scope};

/// Names that are known on the machine; what else identifies is known by its form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// Names of the machine.
    pub hosts: Vec<String>,
    /// Names of its users.
    pub users: Vec<String>,
}

/// Gets ready to take things out, which takes some milliseconds: while a machine is read there is time for it.
pub fn prepare() {
    replace::prepare();
}

/// The capture without them. The same thing has the same placeholder wherever it stands.
///
/// # Errors
/// Never, as long as a capture can be written and read.
pub fn redacted(mut capture: Capture, known: &Identifiers) -> Result<Capture, serde_json::Error> {
    let users = capture.processes.iter().filter_map(|process| process.user.known().cloned());
    let known = Identifiers { hosts: known.hosts.clone(), users: known.users.iter().cloned().chain(users).collect() };
    let mut replacer = Replacer::new(&known);
    for process in &mut capture.processes {
        process::shorten(process);
    }
    if let Reading::Known(nvml) = &mut capture.nvml {
        for device in &mut nvml.devices {
            if let Reading::Known(device) = device
                && let Call::Value(serial) = &mut device.serial
            {
                *serial = replacer.serial(serial);
            }
        }
    }
    let mut capture = rewritten(&capture, |capture| {
        let Value::Object(sections) = capture else { return };
        for (name, section) in sections {
            let scope = if name == "image" || name == "libraries" { Scope::Versions } else { Scope::Any };
            if !matches!(name.as_str(), "schema" | "gpudoctor" | "taken_at") {
                *section = walk(section.take(), scope, &mut replacer);
            }
        }
    })?;
    capture.redacted = true;
    Ok(capture)
}

/// The capture with names and addresses, but without tokens, keys and passwords: nobody needs those to judge a machine.
///
/// # Errors
/// Never, as long as a capture can be written and read.
pub fn without_secrets(capture: &Capture) -> Result<Capture, serde_json::Error> {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) => {
                let lines: String = text.split_inclusive('\n').map(crate::redact::secrets).collect();
                *text = lines;
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(fields) => fields.values_mut().for_each(walk),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    rewritten(capture, walk)
}

fn walk(value: Value, scope: Scope, replacer: &mut Replacer) -> Value {
    match value {
        Value::String(text) => Value::String(replacer.text(&text, scope)),
        Value::Array(items) => items.into_iter().map(|item| walk(item, scope, replacer)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                // Keys that are paths name folders of users; all others are ours.
                let key = if key.contains('/') { replacer.text(&key, scope) } else { key };
                (key, walk(value, scope, replacer))
            });
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::capture::host::Process;
    use crate::capture::nvml::{Nvml, NvmlDevice};

    const UUID: &str = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6";

    fn capture() -> Capture {
        let device =
            NvmlDevice { uuid: Call::Value(UUID.to_owned()), serial: Call::Value("1650522012345".to_owned()), ..NvmlDevice::default() };
        let nvml = Nvml { devices: vec![Reading::Known(device)], ..Nvml::default() };
        let process = Process {
            pid: 7,
            user: Reading::Known("annabel".to_owned()),
            command: Reading::Known("/home/annabel/venv/bin/python3 -m vllm.entrypoints.openai.api_server --api-key hunter2".to_owned()),
            ..Process::default()
        };
        let files = [
            ("/proc/driver/nvidia/gpus/0000:18:00.0/information", format!("Model: H100\nGPU UUID: {UUID}\n")),
            ("/proc/self/mountinfo", "36 25 0:32 / /data rw - nfs4 filer.corp.example:/export/annabel rw,addr=10.1.2.3\n".to_owned()),
            ("/etc/os-release", "ID=ubuntu\nVERSION_ID=\"22.04\"\n".to_owned()),
        ];
        Capture {
            files: files.map(|(path, text)| (path.to_owned(), Reading::Known(text))).into(),
            variables: BTreeMap::from([
                ("CUDA_VISIBLE_DEVICES".to_owned(), "GPU-8932f937".to_owned()),
                ("VIRTUAL_ENV".to_owned(), "/scratch/annabel/venv".to_owned()),
                ("VLLM_HOST_IP".to_owned(), "10.1.2.3".to_owned()),
            ]),
            kernel_log: Reading::Known(vec!["[1.0] gpunode17 kernel: NVRM: loaded 580.95.05, MAC 3c:ec:ef:12:34:56".to_owned()]),
            nvml: Reading::Known(nvml),
            processes: vec![process],
            ..Capture::default()
        }
    }

    fn redacted_text() -> String {
        let known = Identifiers { hosts: vec!["gpunode17".to_owned()], users: vec!["annabel".to_owned(), "ubuntu".to_owned()] };
        redacted(capture(), &known).and_then(|capture| capture.to_text()).expect("a text")
    }

    #[test]
    fn nothing_that_identifies_is_left() {
        let text = redacted_text();
        for planted in ["annabel", "gpunode17", "8932f937", "1650522012345", "10.1.2.3", "3c:ec:ef", "hunter2", "corp.example"] {
            assert!(!text.contains(planted), "{planted} in {text}");
        }
    }

    #[test]
    fn what_a_diagnosis_needs_is_left() {
        let text = redacted_text();
        for kept in ["ID=ubuntu", "580.95.05", "NVRM", "vllm.entrypoints.openai.api_server", "- nfs4 ", "0000:18:00.0"] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
    }

    #[test]
    fn the_same_thing_has_the_same_placeholder() {
        let known = Identifiers::default();
        let capture = redacted(capture(), &known).expect("a capture");
        let device = capture.nvml.known().and_then(|nvml| nvml.devices[0].known()).expect("a device");
        let uuid = device.uuid.value().expect("a UUID");
        assert!(capture.files["/proc/driver/nvidia/gpus/0000:18:00.0/information"].known().expect("a file").contains(uuid.as_str()));
        assert_eq!(&capture.variables["CUDA_VISIBLE_DEVICES"], uuid);
        assert_eq!(redacted(capture.clone(), &known).expect("a capture"), capture, "what is redacted stays as it is");
    }
}
