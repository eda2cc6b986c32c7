//! Which file the loader would take for each library, by its own rules, without loading anything.
//!
//! The rules are those of `ld.so(8)`: a name that is loaded already is taken; else `DT_RPATH` of who asks and of what loaded
//! it, unless it has `DT_RUNPATH`; then `LD_LIBRARY_PATH`, `DT_RUNPATH` of who asks, the cache of `ldconfig` and the
//! system's directories. In each directory what is built for this kind of processor comes first. A file for another machine is passed over.

mod cache;
mod hwcaps;

pub(super) use cache::Cache;

use std::collections::{HashMap, VecDeque};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::capture::library::Rule;
use crate::elf::{Dynamic, Elf};

/// Most libraries of one program.
const MOST: usize = 768;
/// Most directories of one search path.
const MOST_FOLDERS: usize = 64;
/// Directories of the system, in the loader's order.
pub(super) const SYSTEM: [&str; 8] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// A loaded library, or the program itself.
#[derive(Debug)]
pub(super) struct Object {
    /// The file, as it was found.
    pub(super) place: PathBuf,
    /// What the loader reads of it.
    pub(super) dynamic: Dynamic,
    /// What loaded it: its search path is inherited.
    parent: Option<usize>,
}

/// A name that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) by: usize,
    pub(super) rule: Rule,
    /// The object, if there is one.
    pub(super) found: Option<usize>,
}

/// A program that loads libraries.
#[derive(Debug)]
pub(super) struct Loader {
    pub(super) objects: Vec<Object>,
    /// Every name that was not loaded already when it was asked for, in that order.
    pub(super) asked: Vec<Asked>,
    names: HashMap<String, usize>,
    files: HashMap<(u64, u64), usize>,
    library_path: Vec<PathBuf>,
    cache: cache::Cache,
}

impl Loader {
    /// A program and what it needs itself. Without a program that can be read, libraries are searched as for any.
    pub(super) fn new(program: Option<&Path>, library_path: &str) -> Self {
        let library_path = library_path.split([':', ';']).take(MOST_FOLDERS).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let mut loader = Self {
            objects: Vec::new(),
            asked: Vec::new(),
            names: HashMap::new(),
            files: HashMap::new(),
            library_path: library_path.collect(),
            cache: cache::Cache::system(),
        };
        let program = program.and_then(|path| Some((path.to_path_buf(), read(path)?)));
        let (place, dynamic) = program.unwrap_or_default();
        let needed = dynamic.needed.clone();
        loader.objects.push(Object { place, dynamic, parent: None });
        loader.load(needed.into_iter().map(|name| (name, 0)).collect());
        loader
    }

    /// Loads the file at `path`, as `dlopen` does for the program, with everything that it needs.
    pub(super) fn open(&mut self, path: &Path) -> Option<usize> {
        self.load(VecDeque::from([(path.to_str()?.to_owned(), 0)]));
        self.find_loaded(path)
    }

    /// Loads a library by its name, as `dlopen` does for `by`.
    pub(super) fn open_name(&mut self, name: &str, by: usize) {
        self.load(VecDeque::from([(name.to_owned(), by)]));
    }

    /// The object of a name that was loaded.
    pub(super) fn by_name(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    fn find_loaded(&self, path: &Path) -> Option<usize> {
        let metadata = fs_err::metadata(path).ok()?;
        self.files.get(&(metadata.dev(), metadata.ino())).copied()
    }

    /// Breadth first, as the loader does.
    fn load(&mut self, mut todo: VecDeque<(String, usize)>) {
        while let Some((name, by)) = todo.pop_front() {
            if self.names.contains_key(&name) || self.objects.len() >= MOST {
                continue;
            }
            let Some((place, rule, dynamic)) = self.search(&name, by) else {
                if !self.asked.iter().any(|asked| asked.name == name) {
                    self.asked.push(Asked { name, by, rule: Rule::Nowhere, found: None });
                }
                continue;
            };
            let file = fs_err::metadata(&place).ok().map(|metadata| (metadata.dev(), metadata.ino()));
            // Another name of a file that is loaded already.
            if let Some(index) = file.and_then(|file| self.files.get(&file).copied()) {
                self.names.insert(name, index);
                continue;
            }
            let index = self.objects.len();
            self.names.insert(name.clone(), index);
            if let Some(soname) = &dynamic.soname {
                self.names.entry(soname.clone()).or_insert(index);
            }
            if let Some(file) = file {
                self.files.insert(file, index);
            }
            todo.extend(dynamic.needed.iter().map(|name| (name.clone(), index)));
            self.asked.push(Asked { name, by, rule, found: Some(index) });
            self.objects.push(Object { place, dynamic, parent: Some(by) });
        }
    }

    /// The first file of a name that is a library for this machine, and the rule that found it.
    fn search(&self, name: &str, by: usize) -> Option<(PathBuf, Rule, Dynamic)> {
        let fits = |path: &Path| read(path).filter(|dynamic| self.fits(dynamic));
        if name.contains('/') {
            return fits(Path::new(name)).map(|dynamic| (PathBuf::from(name), Rule::Path, dynamic));
        }
        let asking = self.objects.get(by)?;
        let mut folders: Vec<(PathBuf, Rule)> = Vec::new();
        let mut add = |paths: &[String], object: &Object, rule| {
            folders.extend(paths.iter().take(MOST_FOLDERS).map(|path| (expanded(path, &object.place), rule)));
        };
        if asking.dynamic.runpath.is_empty() {
            let mut next = Some(by);
            // A chain of parents is as long as a path through the libraries; the program ends it.
            for _ in 0..MOST_FOLDERS {
                let Some(object) = next.and_then(|index| self.objects.get(index)) else { break };
                if object.dynamic.runpath.is_empty() {
                    add(&object.dynamic.rpath, object, Rule::Rpath);
                }
                next = object.parent;
            }
        }
        folders.extend(self.library_path.iter().map(|folder| (folder.clone(), Rule::LibraryPath)));
        folders.extend(asking.dynamic.runpath.iter().take(MOST_FOLDERS).map(|path| (expanded(path, &asking.place), Rule::Runpath)));
        let in_folders = folders.iter().find_map(|(folder, rule)| {
            let mut places = hwcaps::places(folder, name);
            places.find_map(|path| fits(&path).map(|dynamic| (path, *rule, dynamic)))
        });
        in_folders
            .or_else(|| {
                let mut cached = self.cache.places(name);
                cached.find_map(|path| fits(path).map(|dynamic| (path.to_path_buf(), Rule::Cache, dynamic)))
            })
            .or_else(|| {
                SYSTEM.iter().find_map(|folder| {
                    let mut places = hwcaps::places(Path::new(folder), name);
                    places.find_map(|path| fits(&path).map(|dynamic| (path, Rule::System, dynamic)))
                })
            })
    }

    /// Whether a library is for the machine of the program.
    fn fits(&self, dynamic: &Dynamic) -> bool {
        self.objects.first().is_none_or(|program| program.dynamic.machine == 0 || program.dynamic.machine == dynamic.machine)
    }
}

/// A directory of a search path with its variables put in.
fn expanded(path: &str, object: &Path) -> PathBuf {
    let origin = object.parent().and_then(Path::to_str).unwrap_or("");
    let lib = if cfg!(target_arch = "x86_64") { "lib64" } else { "lib" };
    let path = path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin);
    PathBuf::from(path.replace("${LIB}", lib).replace("$LIB", lib))
}

/// What the loader reads of a file, if it is a library.
fn read(path: &Path) -> Option<Dynamic> {
    if !fs_err::metadata(path).ok()?.is_file() {
        return None;
    }
    Elf::open(fs_err::File::open(path).ok()?).ok()?.dynamic().ok()
}
