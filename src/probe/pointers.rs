//! Files of a package directory that lead to other directories: `.pth` files, and the finders of editable installs.

use std::path::{Path, PathBuf};

use super::file::head;
use crate::capture::Unreadable;

/// Longest such file that is read, in bytes.
const LONGEST: u64 = 64 << 10;
/// Most of them in one directory, and most directories that one of them names.
const MOST: usize = 64;

/// Whether a file name is that of one.
pub(super) fn is_pointer(name: &str) -> bool {
    let is_finder = name.starts_with("__editable__") && name.ends_with("_finder.py");
    is_finder || Path::new(name).extension().is_some_and(|end| end == "pth")
}

/// The directories that Python searches after `site` because a file in it says so.
pub(super) fn search_path(site: &Path, names: &[String], unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for name in names.iter().filter(|name| is_pointer(name)).take(MOST) {
        for target in targets(&site.join(name), unreadable) {
            let folder = match target {
                Target::Folder(folder) => Some(folder),
                Target::Module(module) => module.parent().map(Path::to_path_buf),
            };
            found.extend(folder.filter(|folder| folder.is_dir() && folder != site && !found.contains(folder)));
        }
    }
    found
}

/// The directories of the modules that `file` leads to; `names` are those of the package that it belongs to.
pub(super) fn modules(file: &Path, names: &[&str], unreadable: &mut Vec<Unreadable>) -> Vec<PathBuf> {
    let module = |target| match target {
        Target::Folder(folder) => names.iter().map(|name| folder.join(name)).collect(),
        Target::Module(module) => vec![module],
    };
    let modules = targets(file, unreadable).into_iter().flat_map(module);
    modules.filter(|module| module.is_dir()).collect()
}

/// What a line leads to.
enum Target {
    /// A directory in which modules are.
    Folder(PathBuf),
    /// The directory of one module.
    Module(PathBuf),
}

fn targets(file: &Path, unreadable: &mut Vec<Unreadable>) -> Vec<Target> {
    let text = head(file, LONGEST, unreadable).unwrap_or_default();
    let site = file.parent().unwrap_or(Path::new("/"));
    if file.extension().is_some_and(|end| end == "py") {
        return mapping(&text).into_iter().map(|path| Target::Module(site.join(path))).take(MOST).collect();
    }
    // A line that begins with `import` is run by Python, and by nobody here.
    let is_path = |line: &&str| !line.is_empty() && !line.starts_with(['#', '\0']) && !line.starts_with("import ");
    text.lines().map(str::trim).filter(is_path).map(|line| Target::Folder(site.join(line))).take(MOST).collect()
}

/// The values of `MAPPING = {'vllm': '/src/vllm/vllm'}`, as setuptools writes it.
fn mapping(text: &str) -> Vec<&str> {
    let line = text.lines().find(|line| line.starts_with("MAPPING") && line.contains('{'));
    let quoted = line.and_then(|line| line.split_once('{')).map_or("", |(_, rest)| rest).split(['\'', '"']).skip(1).step_by(2);
    quoted.skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_names_modules() {
        let text = "NAMESPACES = {}\nMAPPING: dict[str, str] = {'vllm': '/src/vllm/vllm', 'x': '/src/x'}\n";
        assert_eq!(mapping(text), ["/src/vllm/vllm", "/src/x"]);
        for text in ["", "MAPPING = {}", "MAPPING: dict[str, str] = {'a'", "MAPPING = x"] {
            assert_eq!(mapping(text), [""; 0], "{text}");
        }
    }

    // Directories count, code does not; a file that leads to itself leads nowhere.
    #[test]
    fn lines_lead_to_directories() {
        let site = tempfile::tempdir().expect("a folder");
        let source = tempfile::tempdir().expect("a folder");
        fs_err::create_dir_all(source.path().join("vllm")).expect("a folder");
        let text = format!("import os; os.system('x')\n# no\n.\n{}\n/nowhere\n", source.path().display());
        fs_err::write(site.path().join("a.pth"), text).expect("a file");
        let names = ["a.pth".to_owned(), "b.py".to_owned()];
        assert_eq!(search_path(site.path(), &names, &mut Vec::new()), [source.path()]);
        assert_eq!(modules(&site.path().join("a.pth"), &["vllm", "x"], &mut Vec::new()), [source.path().join("vllm")]);
    }
}
