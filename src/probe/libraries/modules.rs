//! Which of a package's libraries are for this interpreter and this PyTorch, where it brings one for each.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::capture::TorchBuild;

/// Marks in a file name before a number that tells what it is built for.
const MARKS: [&str; 6] = ["cpython-", "torch", "cuda", "rocm", "xpu", "cu"];

/// The files that are meant for this interpreter and PyTorch: of several that differ only in such a number, the one with the
/// right number. Of several without it none is meant; one alone is kept, whatever its number.
pub(super) fn for_this(files: Vec<PathBuf>, python: Option<&str>, torch: Option<&TorchBuild>) -> Vec<PathBuf> {
    let mut groups: BTreeMap<(PathBuf, String), Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let key = (file.parent().unwrap_or(Path::new("")).to_path_buf(), numbered(name).0);
        groups.entry(key).or_default().push(file);
    }
    let right = |(mark, number): (&str, &str)| match mark {
        "cpython-" => python.is_none_or(|python| plain(python) == number),
        "torch" => torch.and_then(|torch| torch.version.as_deref()).is_none_or(|version| plain(&minor(version)) == number),
        "cuda" | "cu" => torch.and_then(|torch| torch.cuda.text()).is_none_or(|cuda| plain(cuda) == number),
        _ => false,
    };
    let meant = groups.into_values().flat_map(|group| {
        if group.len() == 1 {
            return group;
        }
        let name = |file: &PathBuf| file.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
        group.into_iter().filter(|file| numbered(&name(file)).1.iter().all(|(mark, number)| right((mark, number)))).collect()
    });
    meant.collect()
}

/// Whether a module of an interpreter, `_C.cpython-312-x86_64-linux-gnu.so`, is for `3.12`. Others are for any.
pub(super) fn fits_python(file: &Path, python: Option<&str>) -> bool {
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    numbered(name).1.iter().all(|(mark, number)| mark != "cpython-" || python.is_none_or(|python| plain(python) == *number))
}

/// A file name without the numbers that tell what it is built for, and these with their marks.
fn numbered(name: &str) -> (String, Vec<(String, String)>) {
    let (mut stem, mut numbers, mut rest) = (String::new(), Vec::new(), name);
    while let Some(first) = rest.chars().next() {
        let mark =
            MARKS.iter().find(|mark| rest.strip_prefix(**mark).is_some_and(|behind| behind.starts_with(|c: char| c.is_ascii_digit())));
        if let Some(mark) = mark {
            let behind = rest.strip_prefix(mark).unwrap_or_default();
            let end = behind.find(|c: char| !c.is_ascii_digit() && c != 't').unwrap_or(behind.len());
            let (number, after) = behind.split_at(end);
            stem.push_str(mark);
            numbers.push(((*mark).to_owned(), number.to_owned()));
            rest = after;
        } else {
            stem.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    (stem, numbers)
}

/// `2.11` of `2.11.0+cu130`.
fn minor(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// `312` of `3.12`.
fn plain(version: &str) -> String {
    version.chars().filter(|c| *c != '.').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Setting;

    fn chosen(files: &[&str]) -> Vec<String> {
        let torch = TorchBuild { version: Some("2.7.1+cu126".to_owned()), cuda: Setting::Text("12.6".to_owned()), ..TorchBuild::default() };
        let files = files.iter().map(PathBuf::from).collect();
        for_this(files, Some("3.12"), Some(&torch)).iter().map(|file| file.display().to_string()).collect()
    }

    // Of libraries that differ in a number only, the one for this interpreter, PyTorch or CUDA is meant.
    #[test]
    fn the_library_for_this_environment_is_chosen() {
        assert_eq!(chosen(&["b/libb_cuda124.so", "b/libb_cuda126.so", "b/libb_rocm62.so"]), ["b/libb_cuda126.so", "b/libb_rocm62.so"]);
        assert_eq!(chosen(&["g/_C.cpython-311-x86_64.so", "g/_C.cpython-312-x86_64.so"]), ["g/_C.cpython-312-x86_64.so"]);
        assert_eq!(chosen(&["d/d_torch26-cuda.so", "d/d_torch27-cuda.so"]), ["d/d_torch27-cuda.so"]);
        assert_eq!(chosen(&["d/d_torch24.so", "d/d_torch25.so"]), [""; 0]);
    }

    // A library alone is meant, even for another: that is what is to be found out.
    #[test]
    fn one_alone_is_kept() {
        assert_eq!(chosen(&["f/flash_attn_2_cuda.cpython-311-x86_64.so"]), ["f/flash_attn_2_cuda.cpython-311-x86_64.so"]);
        assert_eq!(chosen(&["v/_vllm_fa2_C.abi3.so", "v/_vllm_fa3_C.abi3.so"]).len(), 2);
    }
}
