//! Writes one file that stands alone: whole, or not at all.

use std::path::Path;

use fs_err as fs;

use super::{WriteError, temporary};

/// Puts `text` at `path`, over an ordinary file that may be there. When it fails, what was there is still there.
///
/// # Errors
/// When something else is in the way, or when the system says no.
pub fn replace(path: &Path, text: &str) -> Result<(), WriteError> {
    let mode = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => return Err(WriteError::InTheWay { path: path.to_owned(), what: "a directory" }),
        // A device such as /dev/stdout, a pipe or a link is written through.
        Ok(found) if !found.is_file() => return fs::write(path, text).map_err(|source| WriteError::io(path, source)),
        _ => 0o644,
    };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let file = temporary(directory, text.as_bytes(), mode).map_err(|source| WriteError::io(path, source))?;
    file.persist(path).map_err(|error| WriteError::io(path, error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_a_directory_is_not() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("host.json");
        for text in ["first", "second"] {
            assert!(replace(&path, text).is_ok());
            assert_eq!(fs::read_to_string(&path)?, text);
        }
        assert!(matches!(replace(directory.path(), "x"), Err(WriteError::InTheWay { .. })));
        assert!(matches!(replace(&directory.path().join("none/host.json"), "x"), Err(WriteError::Io { .. })));
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        Ok(())
    }
}
