//! Terms that starts of engines printed, kept for later plans: one small file in the user's cache directory.

#![expect(clippy::disallowed_methods, reason = "the place of the cache comes from the environment")]

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::commands::output;
use crate::error::Error;
use crate::plan::budget::Band;
use crate::plan::measured::Measured;
use crate::units::Bytes;

/// The file's name and version: another one is not read, and not harmed.
const FILE: &str = "measured-1.json";
/// What the file says that it is.
const SCHEMA: &str = "gpudoctor.measured/1";
/// The largest file that is read.
const LARGEST: u64 = 4 << 20;
/// Starts that are kept; the oldest go first.
const MOST_STARTS: usize = 200;
/// The largest term of one device that can be true.
const LARGEST_TERM: Bytes = Bytes(2 << 40);

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    schema: String,
    /// Oldest first.
    starts: Vec<Measured>,
}

/// What was kept, the newest first. A file that cannot be read is ignored, and that is said: a plan is possible without it.
pub fn read_or_tell() -> Vec<Measured> {
    let Some(path) = path(&|name| std::env::var(name).ok()) else { return Vec::new() };
    read(&path).unwrap_or_else(|problem| {
        output::progress(&format!(
            "note: {} is ignored: {problem}; remove it, and save starts anew with `gpudoctor diagnose --save`",
            path.display()
        ));
        Vec::new()
    })
}

/// Keeps `measured`, in place of what was kept of the same settings. Returns the file.
///
/// # Errors
/// When there is no cache directory, or it cannot be written.
pub fn save(measured: &Measured) -> Result<PathBuf, Error> {
    let path = path(&|name| std::env::var(name).ok()).ok_or_else(|| {
        Error::input("`--save` finds no cache directory: neither `XDG_CACHE_HOME` nor `HOME` is set".to_owned())
            .with_hint("set `XDG_CACHE_HOME` to a directory that you may write")
    })?;
    let mut starts = read(&path).unwrap_or_else(|problem| {
        output::progress(&format!("note: {} is replaced: {problem}", path.display()));
        Vec::new()
    });
    starts.retain(|kept| kept.settings != measured.settings);
    starts.insert(0, measured.clone());
    starts.truncate(MOST_STARTS);
    write(&path, starts)
        .map_err(|error| Error::input(format!("`--save`: {error}")).with_hint("set `XDG_CACHE_HOME` to a directory that you may write"))?;
    Ok(path)
}

/// The directory of what is kept between runs.
pub fn cache_directory() -> Option<PathBuf> {
    path(&|name| std::env::var(name).ok())?.parent().map(Path::to_path_buf)
}

/// `$XDG_CACHE_HOME/gpudoctor`, or `~/.cache/gpudoctor`; relative ones count as not set, as the specification says.
fn path(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("gpudoctor").join(FILE))
}

/// The starts in the file at `path`, the newest first; none where there is no file.
fn read(path: &Path) -> Result<Vec<Measured>, String> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {}", Bytes(LARGEST)));
    }
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|error| format!("it is no such file: {error}"))?;
    if kept.schema != SCHEMA {
        return Err(format!("it is `{}`, not `{SCHEMA}`", kept.schema));
    }
    if !kept.starts.iter().all(is_sound) {
        return Err("it has terms that no device holds".to_owned());
    }
    Ok(kept.starts.into_iter().rev().collect())
}

/// Whether every term is a band, and one that fits a device.
fn is_sound(measured: &Measured) -> bool {
    let terms =
        [measured.weights, measured.activation_peak, measured.non_torch, measured.cuda_graphs, measured.graph_estimate, measured.rest];
    terms.into_iter().flatten().all(|band: Band| band.low <= band.expected && band.expected <= band.high && band.high <= LARGEST_TERM)
}

/// Writes `starts`, the newest first: beside the old file, which the new one then replaces.
fn write(path: &Path, starts: Vec<Measured>) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("no directory"))?;
    fs_err::create_dir_all(folder)?;
    let kept = Kept { schema: SCHEMA.to_owned(), starts: starts.into_iter().rev().collect() };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer_pretty(&mut file, &kept)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(device: &str, gib: f64) -> Measured {
        let mut measured =
            Measured { weights: Some(Band::exact(Bytes::from_gib(gib))), source: "a start".to_owned(), ..Measured::default() };
        measured.settings.of.insert("device".to_owned(), device.to_owned());
        measured
    }

    #[test]
    fn the_cache_is_where_the_specification_says() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            path(&move |name| pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
        };
        assert_eq!(of(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]), Some(PathBuf::from("/c/gpudoctor/measured-1.json")));
        assert_eq!(of(&[("XDG_CACHE_HOME", "c"), ("HOME", "/h")]), Some(PathBuf::from("/h/.cache/gpudoctor/measured-1.json")));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_was_written_is_read_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gpudoctor").join(FILE);
        assert_eq!(read(&path), Ok(Vec::new()), "no file is no problem");
        let starts = vec![start("b", 2.0), start("a", 1.0)];
        write(&path, starts.clone()).unwrap();
        assert_eq!(read(&path), Ok(starts));
    }

    #[test]
    fn what_is_no_such_file_is_a_problem_and_not_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let absurd = Kept { schema: SCHEMA.to_owned(), starts: vec![start("a", 1e6)] };
        for text in ["", "{", "[]", r#"{"schema":"gpudoctor.measured/2","starts":[]}"#, &serde_json::to_string(&absurd).unwrap()] {
            fs_err::write(&path, text).unwrap();
            assert!(read(&path).is_err(), "{text}");
        }
        fs_err::remove_file(&path).unwrap();
        fs_err::create_dir(&path).unwrap();
        assert!(read(&path).is_err(), "a directory");
    }
}
