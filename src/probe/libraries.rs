//! The libraries of an environment: what PyTorch and every extension have kernels for, what they need, and what the loader
//! would give them.

mod modules;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::loader::{Loader, Object};
use super::{prefixes, record};
use crate::capture::library::{Library, Load, Symbols, Unmet};
use crate::capture::{Environment, Package, Unreadable};
use crate::catalog::{Libraries, LibraryFamily};
use crate::elf::{Elf, ElfError};
use crate::reading::Reading;

/// Most libraries that are read of one environment.
const MOST: usize = 256;
/// Most names of missing symbols that are kept of one library.
const MOST_SYMBOLS: usize = 4;
/// Most symbols that are looked up for one library; the largest extension seen needs about 900.
const MOST_LOOKUPS: usize = 4096;
/// A function of libc10 that takes a string, by the ABI that it is built with.
const ABI_MARKS: [(&str, bool); 2] = [
    ("_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", true),
    ("_ZN3c106detail14torchCheckFailEPKcS2_jRKSs", false),
];

/// Reads the libraries of an environment that has PyTorch.
pub(super) fn read(environment: &mut Environment, rules: &Libraries, library_path: &str, unreadable: &mut Vec<Unreadable>) {
    let Some(torch) = environment.torch().and_then(|torch| Path::new(&torch.place).parent()).map(Path::to_path_buf) else { return };
    let owners = owners(environment, unreadable);
    let mut loader = Loader::new(interpreter(environment).as_deref(), library_path);
    for file in torch_libraries(&torch, environment) {
        loader.open(&file);
    }
    let cuda_library = ["libtorch_cuda.so", "libtorch_cuda_cu.so"].map(|name| torch.join("lib").join(name));
    for file in cuda_library.iter().filter(|file| file.is_file()) {
        environment.libraries.push(library(file, "torch"));
        loader.open(file);
    }
    open_by_name(&mut loader, rules);
    let extensions = extensions(environment, rules, unreadable);
    for (package, file) in extensions.into_iter().take(MOST) {
        let read = extension(&mut loader, rules, &package, &file);
        environment.libraries.extend(read);
    }
    open_by_name(&mut loader, rules);
    let abi = loader.by_name("libc10.so").and_then(|index| loader.objects.get(index)).and_then(|object| abi(&object.place));
    if let Some(torch) = environment.torches.first_mut() {
        torch.cxx11_abi = abi;
    }
    environment.loads = loads(&loader, rules, &owners);
    environment.unmet = unmet(&loader, rules);
}

/// The interpreter of an environment, without links: the loader takes the directory of the real file.
pub(super) fn interpreter(environment: &Environment) -> Option<PathBuf> {
    let folder = Path::new(&environment.root).join("bin");
    let named = environment.python.as_ref().map(|python| folder.join(format!("python{}", python.trim_end_matches('t'))));
    let mut places = named.into_iter().chain([folder.join("python3"), folder.join("python")]);
    places.find(|path| path.exists()).map(|path| prefixes::real(&path))
}

/// Which package each library of NVIDIA's belongs to, by its path without links.
type Owners = HashMap<PathBuf, (String, String)>;

fn owners(environment: &Environment, unreadable: &mut Vec<Unreadable>) -> Owners {
    let nvidia = environment.packages.iter().filter(|package| package.name.starts_with("nvidia-"));
    let files = nvidia.flat_map(|package| {
        let owner = (package.name.clone(), package.version.clone());
        record::libraries(package, unreadable).into_iter().map(move |file| (file, owner.clone()))
    });
    files.collect()
}

/// What importing PyTorch loads: the libraries that it shares, then its module for this interpreter.
fn torch_libraries(torch: &Path, environment: &Environment) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(torch).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_module =
        |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with("_C.") && record::is_library(name));
    let mut modules: Vec<PathBuf> = entries.filter(is_module).collect();
    modules.retain(|path| modules::fits_python(path, environment.python.as_deref()));
    modules.sort_unstable();
    let shared = torch.join("lib").join("libtorch_global_deps.so");
    Some(shared).filter(|path| path.is_file()).into_iter().chain(modules).collect()
}

/// The libraries of every other package with code for PyTorch, with the package's name.
fn extensions(environment: &Environment, rules: &Libraries, unreadable: &mut Vec<Unreadable>) -> Vec<(String, PathBuf)> {
    let requires = |package: &Package| package.metadata.requires.iter().any(|required| required.name == "torch");
    let wanted = |package: &&Package| package.name != "torch" && (requires(package) || rules.is_extension(&package.name));
    let mut seen = HashSet::new();
    let wanted = environment.packages.iter().filter(wanted).filter(|package| seen.insert(package.name.clone()));
    let torch = environment.torch();
    let all = wanted.flat_map(|package| {
        let files = record::libraries(package, unreadable);
        let files = modules::for_this(files, environment.python.as_deref(), torch);
        files.into_iter().map(|file| (package.name.clone(), file))
    });
    all.collect()
}

/// What a library says of itself.
fn library(file: &Path, package: &str) -> Library {
    let targets = match open(file).and_then(|mut elf| elf.targets()) {
        Ok(targets) => Reading::Known(targets),
        Err(error) => Reading::Unreadable(error.to_string()),
    };
    Library { place: file.display().to_string(), package: package.to_owned(), targets, symbols: Reading::Absent }
}

fn open(file: &Path) -> Result<Elf<fs_err::File>, ElfError> {
    if !fs_err::metadata(file).map_err(plain)?.is_file() {
        return Err(ElfError::NotElf);
    }
    Elf::open(fs_err::File::open(file).map_err(plain)?)
}

/// The kind of an error alone: its path is told beside it.
fn plain(error: std::io::Error) -> ElfError {
    ElfError::Io(std::io::Error::from(error.kind()))
}

/// An extension, loaded with what it needs. Libraries that have nothing to do with CUDA or PyTorch are left out.
fn extension(loader: &mut Loader, rules: &Libraries, package: &str, file: &Path) -> Option<Library> {
    let needed = match open(file).and_then(|mut elf| elf.dynamic()) {
        Ok(dynamic) => dynamic.needed,
        Err(_) => return Some(library(file, package)),
    };
    let family = |name: &String| rules.family(name).filter(|family| !matches!(family.id.as_str(), "libstdcxx" | "glibc"));
    if !needed.iter().any(|name| family(name).is_some() || rules.of_driver(name)) {
        return None;
    }
    let mut read = library(file, package);
    loader.open(file);
    if let Some(torch) = needed.iter().filter_map(family).find(|family| !family.namespaces.is_empty()) {
        let found = needed.iter().filter(|name| torch.holds(name)).all(|name| loader.by_name(name).is_some());
        if found {
            read.symbols = match symbols(loader, torch, file) {
                Ok(symbols) => Reading::Known(symbols),
                Err(error) => Reading::Unreadable(error.to_string()),
            };
        }
    }
    Some(read)
}

/// The symbols of a family that a library needs, and which of them nothing that is loaded defines.
fn symbols(loader: &Loader, family: &LibraryFamily, file: &Path) -> Result<Symbols, ElfError> {
    let mut wanted = open(file)?.undefined(|name| family.ties(name))?;
    wanted.truncate(MOST_LOOKUPS);
    let needed = count(&wanted);
    let new = wanted.iter().any(|name| name.contains("7__cxx11"));
    let old = wanted.iter().any(|name| name.ends_with("RKSs") || name.contains("ESs"));
    let cxx11_abi = (new != old).then_some(new);
    // The family's own libraries first; the rest is asked for the few that these lack.
    let is_of = |object: &&Object| object.place.file_name().and_then(OsStr::to_str).is_some_and(|name| family.holds(name));
    for object in loader.objects.iter().filter(is_of).chain(loader.objects.iter().filter(|object| !is_of(object))) {
        if wanted.is_empty() {
            break;
        }
        let Ok(mut elf) = open(&object.place) else { continue };
        let Ok(mut exports) = elf.exports() else { continue };
        wanted.retain(|name| !exports.has(name).unwrap_or(false));
    }
    let missing_count = count(&wanted);
    wanted.truncate(MOST_SYMBOLS);
    Ok(Symbols { needed, cxx11_abi, missing: wanted, missing_count })
}

fn count(names: &[String]) -> u32 {
    u32::try_from(names.len()).unwrap_or(u32::MAX)
}

/// Loads what loaded libraries open by name.
fn open_by_name(loader: &mut Loader, rules: &Libraries) {
    let named: Vec<(usize, String)> = loader
        .objects
        .iter()
        .enumerate()
        .filter_map(|(index, object)| Some((index, object.place.file_name()?.to_str()?.to_owned())))
        .collect();
    for (index, name) in named {
        for opened in rules.opened_by(&name) {
            loader.open_name(&opened, index);
        }
    }
}

/// The C++ ABI of PyTorch, by a function that every build has.
fn abi(libc10: &Path) -> Option<bool> {
    let mut elf = open(libc10).ok()?;
    let mut exports = elf.exports().ok()?;
    ABI_MARKS.iter().find_map(|(name, abi)| exports.has(name).ok().filter(|has| *has).map(|_| *abi))
}

/// The libraries of the families, in the order in which they are loaded.
fn loads(loader: &Loader, rules: &Libraries, owners: &Owners) -> Vec<Load> {
    let file_name = |path: &Path| path.file_name().and_then(OsStr::to_str).map(str::to_owned);
    let of_family = loader.asked.iter().filter(|asked| rules.family(&asked.name).is_some());
    let load = of_family.map(|asked| {
        let place = asked.found.and_then(|index| loader.objects.get(index)).map(|object| prefixes::real(&object.place));
        let owner = place.as_ref().and_then(|place| owners.get(place));
        let own_version = || place.as_ref().and_then(|place| version_of(&file_name(place)?));
        let mut shadows: Vec<String> = owners
            .keys()
            .filter(|other| Some(*other) != place.as_ref() && file_name(other).as_ref() == Some(&asked.name))
            .map(|other| other.display().to_string())
            .collect();
        shadows.sort_unstable();
        Load {
            name: asked.name.clone(),
            by: loader.objects.get(asked.by).map(|object| object.place.display().to_string()).unwrap_or_default(),
            version: owner.map(|(_, version)| version.clone()).or_else(own_version),
            place: place.map(|place| place.display().to_string()),
            rule: asked.rule,
            shadows,
        }
    });
    load.collect()
}

/// `12.4.127` of `libcudart.so.12.4.127`; one number alone is no version.
fn version_of(name: &str) -> Option<String> {
    let (_, version) = name.split_once(".so.")?;
    (version.contains('.') && version.chars().all(|c| c.is_ascii_digit() || c == '.')).then(|| version.to_owned())
}

/// The versions of symbols, and symbols that tie to one build, which loaded libraries need of each other and do not find.
fn unmet(loader: &Loader, rules: &Libraries) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    for object in &loader.objects {
        let by = || object.place.display().to_string();
        for need in &object.dynamic.needs {
            let Some(other) = loader.by_name(&need.library).and_then(|index| loader.objects.get(index)) else { continue };
            // A library without versions takes any.
            if other.dynamic.defines.is_empty() {
                continue;
            }
            let lacking = need.versions.iter().filter(|version| !other.dynamic.defines.contains(version));
            unmet.extend(lacking.map(|version| Unmet {
                by: by(),
                library: need.library.clone(),
                place: other.place.display().to_string(),
                needs: version.clone(),
            }));
        }
        for name in &object.dynamic.needed {
            let Some(family) = rules.family(name).filter(|family| !family.symbols.is_empty() && family.namespaces.is_empty()) else {
                continue;
            };
            let Some(other) = loader.by_name(name).and_then(|index| loader.objects.get(index)) else { continue };
            let missing = lacking_symbol(family, object, other);
            unmet.extend(missing.map(|needs| Unmet { by: by(), library: name.clone(), place: other.place.display().to_string(), needs }));
        }
    }
    unmet
}

/// The first symbol of a family that one library needs and the other does not define.
fn lacking_symbol(family: &LibraryFamily, object: &Object, other: &Object) -> Option<String> {
    let wanted = open(&object.place).ok()?.undefined(|name| family.ties(name)).ok()?;
    let mut elf = open(&other.place).ok()?;
    let mut exports = elf.exports().ok()?;
    wanted.into_iter().take(MOST_LOOKUPS).find(|name| exports.has(name).is_ok_and(|has| !has))
}
