//! Container device interface specifications: their devices, and whether what they mount exists.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::capture::tool::{CdiPath, CdiSpec};
use crate::engine::yaml::yaml_to_json;
use crate::probe::root::Root;
use crate::reading::Reading;

/// Where runtimes look for them; the later folder wins.
const FOLDERS: [&str; 3] = ["/etc/cdi", "/run/cdi", "/var/run/cdi"];
/// Longest specification that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// Most paths that are kept of one specification.
const MOST: usize = 1024;

/// Every specification, by path; one that two names lead to is listed once.
pub(super) fn read(root: &Root) -> BTreeMap<String, Reading<CdiSpec>> {
    let patterns = FOLDERS.iter().flat_map(|folder| ["yaml", "json"].map(|end| format!("{folder}/*.{end}")));
    let mut seen = Vec::new();
    let paths = patterns.flat_map(|pattern| root.expand(&pattern)).filter(|path| {
        let real = fs_err::canonicalize(root.at(path)).unwrap_or_else(|_| root.at(path));
        let new = !seen.contains(&real);
        seen.push(real);
        new
    });
    paths.map(|path| (path.clone(), root.bytes(&path, LONGEST).and_then(|bytes| spec(root, &path, &bytes)))).collect()
}

fn spec(root: &Root, path: &str, bytes: &[u8]) -> Reading<CdiSpec> {
    // JSON is YAML too.
    let value = match yaml_to_json(&String::from_utf8_lossy(bytes), path) {
        Ok(value) => value,
        Err(error) => return Reading::Unreadable(error.to_string().lines().next().unwrap_or_default().to_owned()),
    };
    let devices = value["devices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let edits = std::iter::once(&value["containerEdits"]).chain(devices.iter().map(|device| &device["containerEdits"]));
    let mut paths: Vec<String> = edits.flat_map(host_paths).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.truncate(MOST);
    Reading::Known(CdiSpec {
        kind: text(&value["kind"]).unwrap_or_default(),
        devices: devices.iter().filter_map(|device| text(&device["name"])).collect(),
        paths: paths.into_iter().map(|path| CdiPath { exists: root.at(&path).exists(), path }).collect(),
    })
}

/// What one set of edits takes from the host: device nodes and mounts.
fn host_paths(edits: &Value) -> Vec<String> {
    let list = |name: &str| edits[name].as_array().cloned().unwrap_or_default();
    let nodes = list("deviceNodes").into_iter().filter_map(|node| text(&node["hostPath"]).or_else(|| text(&node["path"])));
    let mounts = list("mounts").into_iter().filter_map(|mount| text(&mount["hostPath"]));
    nodes.chain(mounts).collect()
}

/// A name may be written without quotes and be a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
