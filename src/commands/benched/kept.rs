//! What `bench` measured on this machine, kept for later plans: a file for each run in the user's cache directory.
//!
//! A run may measure one family, or one GPU, or less of each. Later plans take every figure from the newest run that has it, so
//! that a short run never hides what a longer one told; a run goes when newer ones have all that it has, or when it is old.

#![expect(clippy::disallowed_methods, reason = "the age of the kept files comes from the clock")]

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fs_err as fs;

use super::{Benched, Report};
use crate::commands::{measured, output};

/// The folder in the cache directory.
const FOLDER: &str = "bench";
/// How long a kept measurement is used: cards are moved, and drivers change.
const RECENT: Duration = Duration::from_secs(30 * DAY);
/// The most runs that are kept; the oldest go first.
const MOST: usize = 32;
const DAY: u64 = 24 * 3600;

/// What was kept, if anything recent was.
pub fn kept() -> Option<Benched> {
    let folder = folder()?;
    let mut reports = Vec::new();
    for (path, run) in runs(&folder) {
        match run {
            Ok(report) => reports.extend(report),
            Err(problem) => output::progress(&format!("note: {} is ignored: {problem}", path.display())),
        }
    }
    (!reports.is_empty()).then_some(Benched { runs: reports, named: None })
}

/// Keeps a report for later plans. That it cannot be kept is no failure.
pub fn keep(report: &str) {
    let Some(folder) = folder() else { return };
    if let Err(error) = add(&folder, report) {
        output::progress(&format!("note: the measurements are not kept for later plans: {error}"));
    }
}

fn folder() -> Option<PathBuf> {
    measured::cache_directory().map(|cache| cache.join(FOLDER))
}

/// Writes a run, and removes those that it makes needless. A report with nothing that plans use is not kept.
fn add(folder: &Path, report: &str) -> io::Result<()> {
    if super::from_text(report).is_ok_and(|report| report.parts().is_empty()) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    super::write(&folder.join(format!("{:020}.json", now.as_nanos())), report)?;
    let mut known = BTreeSet::new();
    for (count, (path, run)) in runs(folder).into_iter().enumerate() {
        let parts = run.ok().flatten().map(|report| report.parts()).unwrap_or_default();
        if count >= MOST || parts.is_subset(&known) {
            remove(&path)?;
        }
        known.extend(parts);
    }
    Ok(())
}

/// Removes a file, unless another run of the program has.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The runs in `folder`, newest first; `None` for one that is too old.
fn runs(folder: &Path) -> Vec<(PathBuf, Result<Option<Report>, String>)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    // The names are the times.
    paths.sort_unstable_by(|left, right| right.cmp(left));
    paths
        .into_iter()
        .map(|path| {
            let run = run(&path);
            (path, run)
        })
        .collect()
}

/// The run at `path`; `None` where it is too old.
fn run(path: &Path) -> Result<Option<Report>, String> {
    let changed = fs::metadata(path).and_then(|file| file.modified()).map_err(|error| error.to_string())?;
    let age = SystemTime::now().duration_since(changed).unwrap_or(Duration::ZERO);
    if age > RECENT {
        return Ok(None);
    }
    let report = super::parse(path)?;
    Ok(Some(Report { days: age.as_secs() / DAY, ..report }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HBM: &str = r#"{"kernel": "hbm-read", "shape": "1 GiB", "launch": "plain", "gb_per_s": 3000}"#;
    const NCCL: &str = r#"{"gpus": [0, 1], "runs": [{"peer_access": true, "verdict": "pass", "all_reduce": []}]}"#;

    fn report(driver: &str, results: &str, nccl: &str) -> String {
        let gpu = |index: u32| format!(r#"{{"index": {index}, "name": "NVIDIA H200", "memory_bytes": 1, "results": [{results}]}}"#);
        format!(r#"{{"schema": "gpudoctor.bench/1", "driver": "{driver}", "gpus": [{}, {}], "nccl": {nccl}}}"#, gpu(0), gpu(1))
    }

    fn kept_in(folder: &Path) -> usize {
        runs(folder).len()
    }

    /// A run that measured less stands beside one that measured more; one that measured as much takes its place.
    #[test]
    fn a_run_goes_when_newer_ones_have_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        add(folder.path(), &report("580", HBM, NCCL)).unwrap();
        add(folder.path(), &report("580", HBM, "null")).unwrap();
        assert_eq!(kept_in(folder.path()), 2, "the older one has NCCL");
        add(folder.path(), &report("580", "", NCCL)).unwrap();
        assert_eq!(kept_in(folder.path()), 2, "what the first had, the two newer ones have together");
        add(folder.path(), &report("570", HBM, NCCL)).unwrap();
        assert_eq!(kept_in(folder.path()), 3, "another driver says nothing of this one");
        add(folder.path(), &report("580", HBM, NCCL)).unwrap();
        assert_eq!(kept_in(folder.path()), 2);
    }

    /// Nothing measured is nothing to keep, and what cannot be read goes with the next run.
    #[test]
    fn what_says_nothing_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        add(folder.path(), &report("580", "", "null")).unwrap();
        assert_eq!(kept_in(folder.path()), 0);
        fs::write(folder.path().join("1.json"), "{").unwrap();
        add(folder.path(), &report("580", HBM, "null")).unwrap();
        assert_eq!(kept_in(folder.path()), 1);
    }
}
