//! Builds the fake driver, and copies of it that lack functions.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with `libcuda.so.1`, `libnvidia-ml.so.1` and `libcudart.so.12`, all of them the fake driver.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fake-driver-{}", std::process::id()));
        fs_err::create_dir_all(&folder).expect("a folder");
        let (source, built) = (concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fakes/driver/lib.rs"), folder.join("libcuda.so.1"));
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let output = Command::new(rustc)
            .args(["--edition", "2024", "--crate-name", "fake_driver", "--crate-type", "cdylib", "-C", "strip=debuginfo", "-o"])
            .args([built.as_path(), Path::new(source)])
            .output()
            .expect("rustc runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for name in ["libnvidia-ml.so.1", "libcudart.so.12"] {
            fs_err::copy(&built, folder.join(name)).expect("a copy");
        }
        folder
    })
}

/// A folder like [`folder`], whose libraries lack the functions `names`.
pub(crate) fn without(names: &[&str]) -> tempfile::TempDir {
    let changed = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut bytes = fs_err::read(folder().join("libcuda.so.1")).expect("the library");
    for name in names {
        // The hash table still leads to the symbol, whose name is then another one.
        let wanted = [&[0], name.as_bytes(), &[0]].concat();
        let places: Vec<usize> =
            bytes.windows(wanted.len()).enumerate().filter(|(_, window)| *window == wanted).map(|(at, _)| at).collect();
        assert!(!places.is_empty(), "{name}");
        places.into_iter().for_each(|at| bytes[at + 1] = b'_');
    }
    for name in ["libcuda.so.1", "libnvidia-ml.so.1"] {
        fs_err::write(changed.path().join(name), &bytes).expect("a copy");
    }
    changed
}
