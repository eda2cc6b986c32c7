//! Where Python environments are: prefixes and their package directories.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::probe::ProbeError;

/// Most entries of a directory that are looked at.
const MOST: usize = 256;

/// An environment's directory and where its packages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    /// The directory.
    pub(super) root: PathBuf,
    /// Package directories, in the order in which Python searches them.
    pub(super) sites: Vec<PathBuf>,
    /// Whether it is a virtual environment that only reads its own packages.
    pub(super) is_virtual: bool,
}

/// The prefix that `path` names: an interpreter, an environment, or a package directory.
pub(super) fn named(path: &Path) -> Result<Prefix, ProbeError> {
    let path = if path.is_absolute() { path.to_path_buf() } else { std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()) };
    if !path.exists() {
        return Err(ProbeError::Missing { path });
    }
    if is_site(&path) {
        let root = path.ancestors().nth(3).unwrap_or(&path).to_path_buf();
        let is_virtual = is_virtual(&root);
        return Ok(Prefix { root, sites: vec![path], is_virtual });
    }
    let interpreter = path.parent().filter(|folder| folder.ends_with("bin")).and_then(Path::parent);
    let root = if path.is_dir() { Some(path.as_path()) } else { interpreter };
    let Some(prefix) = root.map(prefix) else { return Err(ProbeError::NotPython { path }) };
    if prefix.sites.is_empty() { Err(ProbeError::NotPython { path }) } else { Ok(prefix) }
}

/// Every prefix with packages: active ones first, then those of `PATH`, then the usual places.
pub(super) fn in_reach(active: Vec<PathBuf>, path: Vec<PathBuf>) -> Vec<Prefix> {
    let mut roots = active;
    // Where `/bin` is a link to `/usr/bin`, its environment is that of `/usr`.
    let bins = path.into_iter().take(MOST).filter(|folder| folder.join("python3").exists()).map(|folder| real(&folder));
    let bins = bins.filter(|folder| folder.ends_with("bin"));
    roots.extend(bins.filter_map(|folder| folder.parent().map(Path::to_path_buf)));
    roots.extend(["/opt/venv", "/opt/conda", "/venv", "/app/.venv"].map(PathBuf::from));
    roots.extend(["/opt", "/opt/conda/envs"].into_iter().flat_map(|folder| entries(Path::new(folder))));
    roots.extend(["/usr/local", "/usr"].map(PathBuf::from));
    let mut seen = HashSet::new();
    let prefixes = roots.into_iter().filter(|root| root.is_absolute()).map(|root| prefix(&root));
    // One directory may have several names.
    prefixes.filter(|prefix| prefix.sites.first().is_some_and(|site| seen.insert(real(site)))).collect()
}

/// The path without links.
pub(super) fn real(path: &Path) -> PathBuf {
    fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

fn is_site(path: &Path) -> bool {
    path.is_dir() && (path.ends_with("site-packages") || path.ends_with("dist-packages"))
}

/// The prefix of a directory. Debian's Python also reads what its packages install for every version.
fn prefix(root: &Path) -> Prefix {
    let system = root == Path::new("/usr") || root == Path::new("/usr/local");
    let mut sites = Vec::new();
    if system {
        for base in ["/usr/local/lib", "/usr/local/lib64", "/usr/lib", "/usr/lib64"] {
            sites.extend(below(Path::new(base)));
        }
        // Python of /usr/local, as in the official image, has `site-packages` of its own and reads nothing else.
        let own = root == Path::new("/usr/local");
        sites.retain(|site| (site.starts_with("/usr/local") && site.ends_with("site-packages")) == own);
    } else {
        sites.extend(["lib", "lib64"].iter().flat_map(|folder| below(&root.join(folder))));
        if inherits(root) {
            let system = prefix(Path::new("/usr/local")).sites.into_iter().chain(prefix(Path::new("/usr")).sites);
            let same = |site: &PathBuf| sites.first().is_some_and(|own| same_python(own, site));
            let system: Vec<PathBuf> = system.filter(same).collect();
            sites.extend(system);
        }
    }
    let mut seen = HashSet::new();
    sites.retain(|site| seen.insert(real(site)));
    Prefix { root: root.to_path_buf(), sites, is_virtual: is_virtual(root) }
}

/// Whether a directory is a virtual environment without the packages of the system; a user's own stay out of it.
fn is_virtual(root: &Path) -> bool {
    root.join("pyvenv.cfg").is_file() && !inherits(root)
}

/// Whether a virtual environment also reads the packages of the system.
fn inherits(root: &Path) -> bool {
    let text = super::file::head(&root.join("pyvenv.cfg"), 1 << 16, &mut Vec::new()).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once('='))
        .any(|(name, value)| name.trim().eq_ignore_ascii_case("include-system-site-packages") && value.trim().eq_ignore_ascii_case("true"))
}

/// Whether two package directories are of one Python; Debian's `python3` is of any.
fn same_python(own: &Path, other: &Path) -> bool {
    let python = |site: &Path| site.parent().and_then(Path::file_name).map(std::ffi::OsStr::to_owned);
    python(other) == python(own) || python(other).is_some_and(|name| name == "python3")
}

/// The package directories of `lib`, newest Python first.
fn below(lib: &Path) -> Vec<PathBuf> {
    let mut pythons = entries(lib);
    pythons.retain(|folder| folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("python3")));
    pythons.sort_by_key(|folder| std::cmp::Reverse(minor(folder)));
    let sites = pythons.iter().flat_map(|folder| [folder.join("dist-packages"), folder.join("site-packages")]);
    sites.filter(|site| site.is_dir()).collect()
}

/// `12` of `python3.12`; Debian's `python3` has none and comes last.
fn minor(folder: &Path) -> Option<u32> {
    let name = folder.file_name()?.to_str()?.strip_prefix("python3.")?;
    name.trim_end_matches('t').parse().ok()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.take(MOST).flatten().map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}
