//! Fabricated environments: what installers leave on disk, without the code.

use std::path::{Path, PathBuf};

/// A virtual environment in a temporary directory.
#[derive(Debug)]
pub(crate) struct Tree {
    folder: tempfile::TempDir,
    python: &'static str,
}

impl Tree {
    /// An empty environment of this Python.
    pub(crate) fn new(python: &'static str) -> Self {
        let tree = Self { folder: tempfile::tempdir().expect("a folder"), python };
        fs_err::create_dir_all(tree.site()).expect("a folder");
        tree.write("pyvenv.cfg", format!("home = /usr/bin\nversion_info = {python}.3\nuv = 0.9.0\n"));
        tree
    }

    /// vLLM 0.25.1 with the torch that it pins, and torch's CUDA libraries.
    pub(crate) fn consistent() -> Self {
        let tree = Self::new("3.12");
        tree.package(
            "vllm",
            "0.25.1",
            &["torch==2.11.0", "torchvision==0.26.0", "helion==1.0; extra == \"helion\""],
            "cp38-abi3-linux_x86_64",
        );
        tree.package("torch", "2.11.0", &["nvidia-cudnn-cu13==9.19.0.56"], "cp312-cp312-manylinux_2_28_x86_64");
        tree.package("torchvision", "0.26.0", &["torch==2.11.0"], "cp312-cp312-manylinux_2_28_x86_64");
        tree.package("nvidia-cudnn-cu13", "9.19.0.56", &[], "py3-none-manylinux_2_27_x86_64");
        tree.package("nvidia-cublas", "13.1.0.3", &[], "py3-none-manylinux_2_27_x86_64");
        tree.torch("2.11.0+cu130", Some("13.0"));
        tree
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn site(&self) -> PathBuf {
        self.root().join(format!("lib/python{}/site-packages", self.python))
    }

    /// Writes a file, given from the root.
    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(path);
        fs_err::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs_err::write(path, bytes).expect("a file");
    }

    /// The path of a file in the package directory, from the root.
    pub(crate) fn inside(&self, path: &str) -> String {
        format!("lib/python{}/site-packages/{path}", self.python)
    }

    /// A package as an installer records it.
    pub(crate) fn package(&self, name: &str, version: &str, requires: &[&str], tag: &str) {
        let info = format!("{}-{version}.dist-info", name.replace('-', "_"));
        let requires: String = requires.iter().map(|required| format!("Requires-Dist: {required}\n")).collect();
        let metadata =
            format!("Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nRequires-Python: >=3.10\n{requires}\nText: no header\n");
        self.write(&self.inside(&format!("{info}/METADATA")), metadata);
        self.write(&self.inside(&format!("{info}/WHEEL")), format!("Wheel-Version: 1.0\nTag: {tag}\n"));
    }

    /// The files of torch.
    pub(crate) fn torch(&self, version: &str, cuda: Option<&str>) {
        let cuda = cuda.map_or("None".to_owned(), |cuda| format!("'{cuda}'"));
        let text = format!("__version__ = '{version}'\ndebug = False\ncuda: Optional[str] = {cuda}\nhip: Optional[str] = None\n");
        self.write(&self.inside("torch/version.py"), text);
    }
}
