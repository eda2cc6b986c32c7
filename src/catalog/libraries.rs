//! Shared libraries of CUDA and the packages that bring them (`rules/libraries.toml`).

use serde::{Deserialize, Serialize};

/// Everything in `rules/libraries.toml`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Libraries {
    /// Libraries that belong together.
    #[serde(default)]
    pub family: Vec<LibraryFamily>,
    /// What the driver brings.
    #[serde(default)]
    pub driver: Vec<DriverLibraries>,
    /// What is opened by name.
    #[serde(default)]
    pub opened: Vec<OpenedLibraries>,
    /// Packages whose libraries are read.
    #[serde(default)]
    pub extension: Vec<ExtensionPackages>,
    /// Modules without which an engine does not start.
    #[serde(default)]
    pub kernels: Vec<KernelModules>,
    /// Modules that must not be hidden.
    #[serde(default)]
    pub watched: Vec<WatchedModules>,
}

/// Libraries of one kind. Names end with `.so`; versions behind it do not count.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LibraryFamily {
    /// Its id, kebab-case.
    pub id: String,
    /// Its name in a sentence.
    pub title: String,
    /// The libraries.
    pub libraries: Vec<String>,
    /// Whether all of them must be of one build.
    #[serde(default)]
    pub of_one_build: bool,
    /// How the symbols begin that tie its users to one build.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// The C++ namespaces of such symbols.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Where this comes from.
    pub source: String,
}

/// Libraries of the driver.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriverLibraries {
    /// The libraries.
    pub libraries: Vec<String>,
    /// Where this comes from.
    pub source: String,
}

/// Libraries that another opens by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedLibraries {
    /// The other.
    pub by: String,
    /// The libraries.
    pub libraries: Vec<String>,
    /// Where this comes from.
    pub source: String,
}

/// Packages with CUDA extensions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtensionPackages {
    /// Their normalised names.
    pub packages: Vec<String>,
    /// Where this comes from.
    pub source: String,
}

/// Modules of an engine that it always loads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelModules {
    /// The engine's package.
    pub package: String,
    /// How the paths of the modules begin, from the package directory.
    pub modules: Vec<String>,
    /// Where this comes from.
    pub source: String,
}

/// Modules that a directory in front of the environment would hide.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchedModules {
    /// Their names.
    pub modules: Vec<String>,
    /// Where this comes from.
    pub source: String,
}

impl Libraries {
    /// The family of a library, by its name with or without a version: `libcudart.so.13`.
    pub fn family(&self, library: &str) -> Option<&LibraryFamily> {
        self.family.iter().find(|family| family.holds(library))
    }

    /// Whether the driver brings a library.
    pub fn of_driver(&self, library: &str) -> bool {
        self.driver.iter().flat_map(|row| &row.libraries).any(|name| is(library, name))
    }

    /// The names that a library opens, in the version that it has: `libcudnn_ops.so.9` of `libcudnn.so.9`.
    pub fn opened_by(&self, library: &str) -> Vec<String> {
        let rows = self.opened.iter().filter(|row| is(library, &row.by));
        let opened = rows.flat_map(|row| row.libraries.iter().map(|name| format!("{name}{}", &library[row.by.len()..])));
        opened.collect()
    }

    /// Whether the libraries of a package are read even if it does not require torch.
    pub fn is_extension(&self, package: &str) -> bool {
        self.extension.iter().flat_map(|row| &row.packages).any(|name| name == package)
    }

    /// Whether an engine does not start without a module, given from the package directory.
    pub fn is_needed(&self, package: &str, module: &str) -> bool {
        let rows = self.kernels.iter().filter(|row| row.package == package);
        rows.flat_map(|row| &row.modules).any(|start| module.starts_with(start))
    }

    /// The modules that must not be hidden.
    pub fn watched(&self) -> impl Iterator<Item = &str> {
        self.watched.iter().flat_map(|row| &row.modules).map(String::as_str)
    }
}

impl LibraryFamily {
    /// Whether a library belongs to it.
    pub fn holds(&self, library: &str) -> bool {
        self.libraries.iter().any(|name| is(library, name))
    }

    /// Whether a symbol ties its user to one build of it: `_ZN3c105ErrorE…` is of the namespace `c10`.
    pub fn ties(&self, symbol: &str) -> bool {
        if self.symbols.iter().any(|start| symbol.starts_with(start.as_str())) {
            return true;
        }
        let Some(mangled) = symbol.strip_prefix("_Z") else { return false };
        // The namespace stands first: `N3c10…` of a function, `NK2at…` of a constant one, `TIN5torch…` of a type.
        let mangled = mangled.trim_start_matches(['T', 'I', 'S', 'V', 'G', 'R', 'h', 'n', '_']).trim_start_matches(char::is_numeric);
        let Some(inside) = mangled.trim_start_matches('_').strip_prefix('N') else { return false };
        let inside = inside.trim_start_matches(['K', 'V', 'R', 'O']);
        self.namespaces.iter().any(|name| inside.strip_prefix(&name.len().to_string()).is_some_and(|rest| rest.starts_with(name.as_str())))
    }
}

/// Whether `library` is `name` with any version behind it.
fn is(library: &str, name: &str) -> bool {
    library.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    // Versions behind the name do not count, other names do.
    #[test]
    fn a_library_belongs_to_one_family() {
        let catalog = Catalog::builtin();
        let family = |name| catalog.libraries().family(name).map(|family| family.id.as_str());
        assert_eq!(family("libcudart.so.13"), Some("cuda-runtime"));
        assert_eq!(family("libcudnn_ops.so.9.1.0"), Some("cudnn"));
        assert_eq!([family("libcudart.sox"), family("libcudartx.so"), family("libz.so.1")], [None, None, None]);
        assert!(catalog.libraries().of_driver("libcuda.so.1") && !catalog.libraries().of_driver("libcudart.so.13"));
        assert_eq!(catalog.libraries().opened_by("libcudnn.so.9")[1], "libcudnn_ops.so.9");
    }

    // Only symbols of PyTorch's own namespaces tie an extension to it.
    #[test]
    fn a_symbol_ties_to_its_namespace() {
        let catalog = Catalog::builtin();
        let torch = catalog.libraries().family("libtorch.so").expect("a family");
        for symbol in ["_ZN3c105ErrorC1Ev", "_ZNK2at6Tensor4sizeEv", "_ZTIN5torch3jit6ModuleE", "aoti_torch_empty_strided"] {
            assert!(torch.ties(symbol), "{symbol}");
        }
        for symbol in ["_ZNSt6vectorIN3c105ErrorEE", "malloc", "_ZN4c10xE", "_Z3foov", "PyInit_torch"] {
            assert!(!torch.ties(symbol), "{symbol}");
        }
    }
}
