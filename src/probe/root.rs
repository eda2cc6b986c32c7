//! Where the machine's files begin: `/`, or a staged tree.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::reading::Reading;

/// Names the directory of a staged tree; for tests, and for a disk that is mounted somewhere else.
const VARIABLE: &str = "GPUDOCTOR_ROOT";

/// Longest text that is read of one file, in bytes.
const LONGEST: u64 = 64 << 10;
/// Most entries that are looked at in one folder.
pub(super) const MOST_ENTRIES: usize = 4096;

/// The place of `/`.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    /// The root that the environment names, else `/`.
    pub(super) fn new() -> Self {
        Self(std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map_or_else(|| PathBuf::from("/"), PathBuf::from))
    }

    /// Whether it is the machine's own.
    pub(super) fn is_own(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Where a path of the machine really is.
    pub(super) fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The path of the machine that is at `place`.
    pub(super) fn path_of(&self, place: &Path) -> PathBuf {
        place.strip_prefix(&self.0).map_or_else(|_| place.to_path_buf(), |rest| Path::new("/").join(rest))
    }

    /// The text of a file, cut at [`LONGEST`].
    pub(super) fn text(&self, path: &str) -> Reading<String> {
        self.bytes(path, LONGEST).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The first line of a file, trimmed.
    pub(super) fn line(&self, path: &str) -> Reading<String> {
        self.text(path).map(|text| text.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// The first bytes of a file that is an ordinary one; a device or a pipe is not read.
    pub(super) fn bytes(&self, path: &str, most: u64) -> Reading<Vec<u8>> {
        let place = self.at(path);
        if fs_err::metadata(&place).is_ok_and(|found| !found.is_file()) {
            return Reading::unreadable("no ordinary file");
        }
        let read = || {
            let mut bytes = Vec::new();
            fs_err::File::open(&place)?.take(most).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        };
        match read() {
            Ok(bytes) => Reading::Known(bytes),
            Err(error) => not_read(&error),
        }
    }

    /// Where a link points, as it is written.
    pub(super) fn link(&self, path: &str) -> Reading<String> {
        match fs_err::read_link(self.at(path)) {
            Ok(target) => Reading::Known(target.display().to_string()),
            Err(error) => not_read(&error),
        }
    }

    /// The names in a folder, sorted.
    pub(super) fn names(&self, path: &str) -> Reading<Vec<String>> {
        match fs_err::read_dir(self.at(path)) {
            Ok(entries) => {
                let names = entries.take(MOST_ENTRIES).flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
                let mut names: Vec<String> = names.collect();
                names.sort_unstable();
                Reading::Known(names)
            }
            Err(error) => not_read(&error),
        }
    }

    /// Whether something is there.
    pub(super) fn exists(&self, path: &str) -> bool {
        fs_err::symlink_metadata(self.at(path)).is_ok()
    }

    /// The paths that a pattern means: each `*` stands for any run of characters inside one name.
    pub(super) fn expand(&self, pattern: &str) -> Vec<String> {
        let mut paths = vec![String::new()];
        for part in pattern.trim_start_matches('/').split('/') {
            let next = paths.iter().flat_map(|folder| {
                if !part.contains('*') {
                    return vec![format!("{folder}/{part}")];
                }
                let names = self.names(if folder.is_empty() { "/" } else { folder }).into_known().unwrap_or_default();
                names.iter().filter(|name| matches(part, name)).map(|name| format!("{folder}/{name}")).collect()
            });
            paths = next.collect();
        }
        if pattern.contains('*') {
            paths.retain(|path| self.exists(path));
        }
        paths
    }
}

/// Why something was not read; not being there is an answer.
pub(super) fn not_read<T>(error: &std::io::Error) -> Reading<T> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Reading::Absent,
        ErrorKind::PermissionDenied => Reading::unreadable("no permission; root can read it"),
        // What sysfs says of a property that a device does not have.
        ErrorKind::InvalidInput => Reading::unreadable("the device does not tell"),
        kind => Reading::Unreadable(kind.to_string()),
    }
}

/// Whether `name` is what a pattern with `*` means.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.is_empty()
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> String {
    Path::new(path).file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_names() {
        for (pattern, name, expected) in [
            ("nvidia*", "nvidia0", true),
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.json", false),
            ("n*e*r", "nvidia-er", true),
            ("x", "y", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_staged_tree_is_read_as_the_machine() {
        let tree = tempfile::tempdir().expect("a directory");
        fs_err::create_dir_all(tree.path().join("sys/node0")).expect("a folder");
        fs_err::write(tree.path().join("sys/node0/cpulist"), "0-3\n").expect("a file");
        let root = Root(tree.path().to_path_buf());
        assert_eq!(root.line("/sys/node0/cpulist"), Reading::Known("0-3".to_owned()));
        assert_eq!(root.expand("/sys/node*/cpulist"), ["/sys/node0/cpulist"]);
        assert_eq!((root.text("/sys/none"), root.names("/sys/none")), (Reading::Absent, Reading::Absent));
        assert_eq!(root.text("/sys"), Reading::unreadable("no ordinary file"));
    }
}
