//! What conda knows of an environment: the names of the files in `conda-meta`.

use std::path::Path;

use crate::capture::Environment;
use crate::capture::metadata::is_word;
use crate::capture::python::{Conda, CondaPackage};

/// Most packages that are read; a full installation has some hundred.
const MOST: usize = 4096;

/// Conda's packages, if the environment is one of conda's.
pub(super) fn read(environment: &Environment) -> Option<Conda> {
    let root = Path::new(&environment.root);
    let entries = fs_err::read_dir(root.join("conda-meta")).ok()?;
    let names = entries.flatten().take(MOST).filter_map(|entry| entry.file_name().into_string().ok());
    let mut packages: Vec<CondaPackage> = names.filter_map(|name| package(&name)).collect();
    packages.sort_unstable_by(|a, b| a.name.cmp(&b.name).then_with(|| a.version.cmp(&b.version)));
    // Only the installation itself has the program that activates the others.
    Some(Conda { base: root.join("condabin").is_dir(), packages })
}

/// `pytorch-2.5.1-py3.12_cuda12.4_cudnn9.1.0_0.json`: name, version and build, of which the name may hold hyphens.
fn package(file: &str) -> Option<CondaPackage> {
    let mut parts = file.strip_suffix(".json")?.rsplitn(3, '-');
    let (build, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    let plain = [name, version, build].iter().all(|part| is_word(part));
    plain.then(|| CondaPackage { name: name.to_owned(), version: version.to_owned(), build: build.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Names may hold hyphens, versions and builds do not; other files are no packages.
    #[test]
    fn a_file_name_is_a_package() {
        let read = package("pytorch-mutex-1.0-cuda.json").expect("a package");
        assert_eq!((read.name.as_str(), read.version.as_str(), read.build.as_str()), ("pytorch-mutex", "1.0", "cuda"));
        assert_eq!([package("history"), package("x.json"), package("a-b.json")], [None, None, None]);
    }
}
