//! One Python environment: its packages and its PyTorch, without running Python.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::file::head;
use super::pointers;
use super::prefixes::Prefix;
use crate::capture::metadata::{Metadata, is_word, normalised};
use crate::capture::python::Source;
use crate::capture::{Environment, Image, Installer, Package, TorchBuild, Unreadable};

/// What is read of one file, in bytes: the headers of `METADATA` are far shorter.
const LIMIT: u64 = 64 << 10;
/// Most packages that are read of one directory.
const MOST_PACKAGES: usize = 4096;
/// Most entries that are listed of one directory.
const MOST_ENTRIES: usize = 32_768;
/// Most tags of one wheel.
const MOST_TAGS: usize = 64;

/// Reads the environments of a prefix into `image`: one for each Python that has a package directory there.
pub(super) fn read(prefix: &Prefix, image: &mut Image) {
    for (python, sites) in by_python(&prefix.sites) {
        let mut environment =
            Environment { root: prefix.root.display().to_string(), python, is_virtual: prefix.is_virtual, ..Environment::default() };
        for site in sites {
            read_site(&site, &mut environment, &mut image.unreadable);
        }
        environment.installer = installer(&prefix.root, &environment, &mut image.unreadable);
        image.environments.push(environment);
    }
}

/// The directories of each Python, in their order; those of no version of their own belong to every one.
fn by_python(sites: &[PathBuf]) -> Vec<(Option<String>, Vec<PathBuf>)> {
    let mut pythons: Vec<String> = Vec::new();
    for python in sites.iter().filter_map(|site| python_of(site)) {
        if !pythons.contains(&python) {
            pythons.push(python);
        }
    }
    if pythons.is_empty() {
        return if sites.is_empty() { Vec::new() } else { vec![(None, sites.to_vec())] };
    }
    let of = |python: &String| sites.iter().filter(|site| python_of(site).is_none_or(|own| own == *python)).cloned().collect();
    pythons.iter().map(|python| (Some(python.clone()), of(python))).collect()
}

/// `3.12` of `/opt/venv/lib/python3.12/site-packages`.
fn python_of(site: &Path) -> Option<String> {
    let version = site.parent()?.file_name()?.to_str()?.strip_prefix("python")?;
    let plain = version.contains('.') && version.chars().all(|c| c.is_ascii_digit() || c == '.' || c == 't');
    plain.then(|| version.to_owned())
}

fn read_site(site: &Path, environment: &mut Environment, unreadable: &mut Vec<Unreadable>) {
    let place = site.display().to_string();
    let entries = match fs_err::read_dir(site) {
        Ok(entries) => entries,
        Err(error) => {
            unreadable.push(Unreadable { place, reason: error.kind().to_string() });
            return;
        }
    };
    let entries: Vec<PathBuf> = entries.take(MOST_ENTRIES).flatten().map(|entry| entry.path()).collect();
    let mut names: Vec<String> = entries.iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect();
    names.sort_unstable();
    let is_info = |path: &PathBuf| path.extension().is_some_and(|end| end == "dist-info" || end == "egg-info");
    let mut infos: Vec<PathBuf> = entries.into_iter().filter(is_info).collect();
    infos.sort_unstable();
    if infos.len() > MOST_PACKAGES {
        let reason = format!("{} packages; the first {MOST_PACKAGES} are read", infos.len());
        unreadable.push(Unreadable { place: place.clone(), reason });
        infos.truncate(MOST_PACKAGES);
    }
    environment.packages.extend(infos.iter().filter_map(|info| package(info, unreadable)));
    read_torch(site, environment, unreadable);
    environment.sites.push(place);
    // What is in these directories was installed by nobody: only what can be imported from there counts.
    for folder in pointers::search_path(site, &names, unreadable) {
        let place = folder.display().to_string();
        if !environment.sites.contains(&place) {
            read_torch(&folder, environment, unreadable);
            environment.sites.push(place);
        }
    }
}

/// The PyTorch in a directory that Python searches.
fn read_torch(site: &Path, environment: &mut Environment, unreadable: &mut Vec<Unreadable>) {
    let version = site.join("torch").join("version.py");
    if let Some(text) = head(&version, LIMIT, unreadable) {
        environment.torches.push(TorchBuild::parse(version.display().to_string(), &text));
    } else if site.join("torch").join("__init__.py").exists() {
        environment.torches.push(TorchBuild { place: version.display().to_string(), ..TorchBuild::default() });
    }
}

/// The package of a `.dist-info` or `.egg-info`: from its metadata, else from the name of the directory.
fn package(info: &Path, unreadable: &mut Vec<Unreadable>) -> Option<Package> {
    let stem = info.file_stem().and_then(OsStr::to_str)?;
    let mut words = stem.split('-');
    let named = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let metadata = ["METADATA", "PKG-INFO"].iter().find_map(|file| {
        let path = info.join(file);
        if info.is_dir() { head(&path, LIMIT, unreadable) } else { None }
    });
    let metadata = metadata.map(|text| Metadata::parse(&text)).unwrap_or_default();
    let name = metadata.name.clone().unwrap_or_else(|| named.0.to_owned());
    let version = metadata.version.clone().unwrap_or_else(|| named.1.to_owned());
    if !is_word(&name) {
        return None;
    }
    let version = if is_word(&version) { version } else { String::new() };
    let name = normalised(&name);
    let tags = if wants_tags(&name) { tags(info, unreadable) } else { Vec::new() };
    let installer = head(&info.join("INSTALLER"), 64, unreadable).map(|text| text.trim().to_owned()).filter(|text| is_word(text));
    let source = head(&info.join("direct_url.json"), LIMIT, unreadable).and_then(|text| source(&text));
    Some(Package { name, version, place: info.display().to_string(), metadata, tags, installer, source })
}

/// Only what holds machine code and is judged: a file less for each other package.
fn wants_tags(name: &str) -> bool {
    matches!(name, "vllm" | "torch" | "torchvision" | "torchaudio" | "xformers" | "flash-attn")
}

fn tags(info: &Path, unreadable: &mut Vec<Unreadable>) -> Vec<String> {
    let text = head(&info.join("WHEEL"), LIMIT, unreadable).unwrap_or_default();
    let tags = text.lines().filter_map(|line| line.strip_prefix("Tag:")).map(str::trim).filter(|tag| is_word(tag));
    tags.take(MOST_TAGS).map(str::to_owned).collect()
}

/// `direct_url.json`, without the user and the password that an address may hold.
fn source(text: &str) -> Option<Source> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let url = json.get("url")?.as_str()?;
    let url = match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (host, path) = rest.split_at(end);
            format!("{scheme}://{}{}", host.rsplit('@').next().unwrap_or(host), path.split('?').next().unwrap_or(path))
        }
        None => return None,
    };
    let editable = json.get("dir_info").and_then(|info| info.get("editable")).and_then(serde_json::Value::as_bool).unwrap_or(false);
    Some(Source { url, editable })
}

/// What installs here: uv marks its environments and the packages that it installs.
fn installer(root: &Path, environment: &Environment, unreadable: &mut Vec<Unreadable>) -> Installer {
    let made = head(&root.join("pyvenv.cfg"), LIMIT, unreadable).unwrap_or_default();
    let by_uv = made.lines().filter_map(|line| line.split_once('=')).any(|(name, _)| name.trim() == "uv");
    let installed = environment.packages.iter().find(|package| matches!(package.name.as_str(), "vllm" | "torch"));
    match by_uv || installed.is_some_and(|package| package.installer.as_deref() == Some("uv")) {
        true => Installer::Uv,
        false => Installer::Pip,
    }
}
