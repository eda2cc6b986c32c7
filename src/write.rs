//! Writes validated files into a directory: all of them or none, and never over one that the user changed.
//!
//! A manifest beside the files records the digest of everything that was written. A file whose digest is not
//! in it is the user's, and stays.

mod alone;
pub mod manifest;

pub use alone::replace;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::hint::Hint;
use crate::render::ArtifactKind;
use crate::render::templates::sha256;
use crate::render::validate::Validated;
use crate::write::manifest::Manifest;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Created,
    /// It replaces one that gpudoctor had written.
    Updated,
    /// It was there already, the same.
    Unchanged,
}

/// A file that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub path: PathBuf,
    /// What it is for.
    pub kind: ArtifactKind,
    /// What became of it.
    pub change: Change,
}

/// Writes `files` into `directory`, which is created if need be. When it fails, everything is as before.
pub fn write(directory: &Path, files: &Validated) -> Result<Vec<Written>, WriteError> {
    create(directory)?;
    let mut manifest = Manifest::read(directory)?;
    let mut pending = vec![];
    let mut written = vec![];
    let mut changed = vec![];
    for artifact in files.artifacts() {
        let name = artifact.kind.file_name();
        let path = directory.join(name);
        let new = sha256(artifact.text.as_bytes());
        let old = read_ours(&path)?;
        let change = match &old {
            None => Change::Created,
            Some(old) if sha256(old) == new => Change::Unchanged,
            Some(old) if manifest.knows(name, &sha256(old)) => Change::Updated,
            Some(_) => {
                changed.push(path);
                continue;
            }
        };
        if let Some(old) = &old {
            manifest.record(name, sha256(old));
        }
        manifest.record(name, new);
        if change != Change::Unchanged {
            pending.push(Pending { path: path.clone(), text: artifact.text.clone().into_bytes(), mode: artifact.kind.mode(), old });
        }
        written.push(Written { path, kind: artifact.kind, change });
    }
    if !changed.is_empty() {
        return Err(WriteError::Changed { files: changed });
    }
    // The manifest goes first and knows old and new digests, so that no crash makes our files look like the user's.
    let (path, text) = (Manifest::path(directory), manifest.to_text());
    let old = read_ours(&path)?;
    pending.insert(0, Pending { path, text: text.into_bytes(), mode: 0o644, old });
    replace_all(directory, pending)?;
    Ok(written)
}

/// A file to put in place.
struct Pending {
    path: PathBuf,
    text: Vec<u8>,
    mode: u32,
    old: Option<Vec<u8>>,
}

fn create(directory: &Path) -> Result<(), WriteError> {
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(WriteError::NotADirectory(directory.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory).map_err(|source| WriteError::io(directory, source))
        }
        Err(error) => Err(WriteError::io(directory, error)),
    }
}

/// The bytes of the ordinary file at `path`; `None` if nothing is there.
fn read_ours(path: &Path) -> Result<Option<Vec<u8>>, WriteError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => fs::read(path).map(Some).map_err(|source| WriteError::io(path, source)),
        Ok(found) => {
            let what = if found.is_symlink() {
                "a symbolic link"
            } else if found.is_dir() {
                "a directory"
            } else {
                "a special file"
            };
            Err(WriteError::InTheWay { path: path.to_owned(), what })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WriteError::io(path, error)),
    }
}

/// Writes every file beside its place, then moves them all; a move that fails undoes those before it.
fn replace_all(directory: &Path, pending: Vec<Pending>) -> Result<(), WriteError> {
    let mut ready = vec![];
    for file in pending {
        let temporary = temporary(directory, &file.text, file.mode).map_err(|source| WriteError::io(&file.path, source))?;
        ready.push((temporary, file));
    }
    let mut done: Vec<Pending> = vec![];
    for (temporary, file) in ready {
        // A file that was not there must still not be: the check and the move are two moments.
        let moved = if file.old.is_some() { temporary.persist(&file.path) } else { temporary.persist_noclobber(&file.path) };
        if let Err(error) = moved {
            undo(directory, &done);
            return Err(WriteError::io(&file.path, error.error));
        }
        done.push(file);
    }
    if let Ok(opened) = fs::File::open(directory) {
        // The files are in place; that the directory's entry survives a power cut is as good as it gets.
        let _ = opened.sync_all();
    }
    Ok(())
}

fn temporary(directory: &Path, text: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(".gpudoctor-").suffix(".new").tempfile_in(directory)?;
    file.write_all(text)?;
    set_mode(&file, mode)?;
    file.as_file().sync_all()?;
    Ok(file)
}

#[cfg(unix)]
fn set_mode(file: &NamedTempFile, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_file: &NamedTempFile, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Puts back what was there before, as far as the disk lets us.
fn undo(directory: &Path, done: &[Pending]) {
    for file in done.iter().rev() {
        let _ = match &file.old {
            Some(old) => {
                temporary(directory, old, file.mode).and_then(|back| back.persist(&file.path).map(drop).map_err(|error| error.error))
            }
            None => fs::remove_file(&file.path),
        };
    }
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Files of the user's are in the way.
    #[error("{} not written by gpudoctor, or changed since: {}", if files.len() == 1 { "a file was" } else { "files were" }, list(files))]
    Changed {
        /// The files.
        files: Vec<PathBuf>,
    },
    /// Something else than an ordinary file is in the way.
    #[error("`{}` is {what}, and an ordinary file is to be written there", path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The directory is none.
    #[error("`{}` is not a directory", .0.display())]
    NotADirectory(PathBuf),
    /// The manifest cannot be understood.
    #[error("`{}` is not a manifest of gpudoctor: {problem}", path.display())]
    Manifest {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The system said no.
    #[error("`{}` cannot be written: {}", path.display(), reason(source))]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl WriteError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// What the system said, without the path that some errors repeat.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "no permission".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".to_owned(),
        io::ErrorKind::AlreadyExists => "something else wrote it meanwhile".to_owned(),
        _ => error.to_string(),
    }
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>().join(", ")
}

impl Hint for WriteError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Changed { .. } => "choose another directory, or delete what may go".to_owned(),
            Self::InTheWay { .. } | Self::NotADirectory(_) => "choose another directory, or move it away".to_owned(),
            Self::Manifest { path, .. } => format!("choose another directory, or delete `{}` and the files beside it", path.display()),
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space; nothing was written".to_owned(),
                _ => "choose a directory that you may write; nothing was written".to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(path: PathBuf, text: &str, old: Option<&str>) -> Pending {
        Pending { path, text: text.as_bytes().to_vec(), mode: 0o644, old: old.map(|old| old.as_bytes().to_vec()) }
    }

    #[test]
    fn a_move_that_fails_undoes_those_before_it() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let (kept, new, blocked) = (directory.path().join("kept"), directory.path().join("new"), directory.path().join("blocked"));
        fs::write(&kept, "before")?;
        fs::create_dir(&blocked)?;
        let files = vec![pending(kept.clone(), "after", Some("before")), pending(new, "new", None), pending(blocked, "x", None)];
        assert!(replace_all(directory.path(), files).is_err());
        assert_eq!(fs::read_to_string(&kept)?, "before");
        let names: Vec<_> = fs::read_dir(directory.path())?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        Ok(())
    }

    #[test]
    fn what_the_system_says_is_said_in_words() {
        for (kind, words) in [(io::ErrorKind::StorageFull, "the disk is full"), (io::ErrorKind::PermissionDenied, "no permission")] {
            let error = WriteError::io(Path::new("out"), kind.into());
            assert_eq!(error.to_string(), format!("`out` cannot be written: {words}"));
            assert!(error.hint().is_some());
        }
    }
}
