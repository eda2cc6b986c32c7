//! Reading a little of a file that may be anything.

use std::io::Read;
use std::path::Path;

use crate::capture::Unreadable;

/// The first `limit` bytes as text, if `path` is there; a device, a pipe or a directory is not read.
pub(super) fn head(path: &Path, limit: u64, unreadable: &mut Vec<Unreadable>) -> Option<String> {
    match try_head(path, limit) {
        Ok(text) => text,
        Err(error) => {
            unreadable.push(Unreadable { place: path.display().to_string(), reason: error.kind().to_string() });
            None
        }
    }
}

fn try_head(path: &Path, limit: u64) -> std::io::Result<Option<String>> {
    let metadata = match fs_err::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !metadata.is_file() {
        return Err(std::io::Error::from(std::io::ErrorKind::InvalidInput));
    }
    let mut bytes = Vec::new();
    fs_err::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
