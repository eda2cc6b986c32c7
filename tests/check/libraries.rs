//! `check --image` on libraries made for the test: what they have kernels for, what they need, and what the loader would
//! give them. Every check has an environment in which it fires and one in which it passes.

use std::time::Duration;

use serde_json::Value;

use crate::library::{Library, PLAIN, container};
use crate::program;
use crate::tree::Tree;

const DEADLINE: Duration = Duration::from_secs(20);
/// What an extension of PyTorch needs of it, and what PyTorch then defines.
const SYMBOL: &str = "_ZN3c105ErrorC1ENS_14SourceLocationE";
/// The function that tells the C++ ABI of PyTorch.
const ABI_MARK: &str = "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE";

/// A report, and the variables of the run.
fn report_with(tree: &Tree, options: &str, variables: &[(&str, &str)]) -> Value {
    let root = tree.root().display().to_string();
    let mut arguments = vec!["check", "--image", "--format", "json", "--python", &root];
    arguments.extend(options.split_whitespace());
    let outcome = program::run(&arguments, variables, DEADLINE);
    assert!(outcome.stderr.is_empty(), "{}", outcome.stderr);
    let report: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(report["exit_code"].as_i64(), outcome.code.map(i64::from), "{report:#}");
    report
}

/// Asserts that a check passes.
fn passes(tree: &Tree, id: &str) {
    let report = report_with(tree, "--target-driver 580 --target-gpu h100", &[]);
    let passed = report["passed"].as_array().expect("a list").iter().any(|passed| passed == id);
    assert!(passed && report["exit_code"] == 0, "{id}: {report:#}");
}

/// The finding of a check that must be the primary cause.
fn primary(tree: &Tree, options: &str, variables: &[(&str, &str)], id: &str) -> Value {
    let report = report_with(tree, options, variables);
    assert_eq!(report["primary"], id, "{report:#}");
    let finding = report["findings"][0].clone();
    assert!(finding["evidence"].as_array().is_some_and(|evidence| !evidence.is_empty()), "{finding:#}");
    assert!(finding["fixes"][0]["verify"].is_string(), "{finding:#}");
    finding
}

fn message(finding: &Value) -> &str {
    finding["message"].as_str().expect("a message")
}

/// torch 2.11 for CUDA 13, with libraries that have kernels for Turing to Blackwell, and the CUDA libraries of its wheels.
fn torch() -> Tree {
    let tree = Tree::new("3.12");
    tree.package("torch", "2.11.0", &["nvidia-nvjitlink==13.0.88", "numpy; python_version < '3'"], "cp312-cp312-linux_x86_64");
    tree.torch("2.11.0+cu130", Some("13.0"));
    let rpath = "$ORIGIN/../../nvidia/cudnn/lib:$ORIGIN/../../nvidia/cu13/lib:$ORIGIN";
    let lib = |name: &str, library: Library| tree.write(&tree.inside(&format!("torch/lib/{name}")), library.build());
    let kernels: Vec<_> = [75, 80, 90, 100, 120].map(|sm| (2, sm, PLAIN)).to_vec();
    lib("libc10.so", Library::new("libc10.so").exported(&[SYMBOL, ABI_MARK]));
    lib(
        "libtorch_cuda.so",
        Library::new("libtorch_cuda.so")
            .needed(&["libc10.so", "libcudart.so.13", "libcusparse.so.12", "libcudnn.so.9"])
            .rpath(rpath)
            .kernels(&[kernels]),
    );
    lib("libtorch_global_deps.so", Library::new("libtorch_global_deps.so").needed(&["libcudart.so.13"]).rpath(rpath));
    let module = Library::new("_C.so").needed(&["libtorch_cuda.so", "libc10.so"]).rpath("$ORIGIN/lib").build();
    tree.write(&tree.inside("torch/_C.cpython-312-x86_64-linux-gnu.so"), module);
    wheel(&tree, "nvidia-cuda-runtime", "13.0.96", "cu13/lib/libcudart.so.13", Library::new("libcudart.so.13"));
    let sparse = Library::new("libcusparse.so.12").needed(&["libnvJitLink.so.13"]).runpath("$ORIGIN");
    wheel(&tree, "nvidia-cusparse", "12.6.3", "cu13/lib/libcusparse.so.12", sparse.undefined(&["__nvJitLinkCreate_13_0"]));
    let link = Library::new("libnvJitLink.so.13").exported(&["__nvJitLinkCreate_13_0"]);
    wheel(&tree, "nvidia-nvjitlink", "13.0.88", "cu13/lib/libnvJitLink.so.13", link);
    let cudnn = Library::new("libcudnn.so.9").runpath("$ORIGIN").build();
    tree.write(&tree.inside("nvidia/cudnn/lib/libcudnn.so.9"), cudnn);
    for part in ["graph", "ops", "cnn", "adv"] {
        tree.write(&tree.inside(&format!("nvidia/cudnn/lib/libcudnn_{part}.so.9")), Library::new("libcudnn_part.so.9").build());
    }
    tree
}

/// A wheel of one library, with its entry in `RECORD`.
fn wheel(tree: &Tree, name: &str, version: &str, file: &str, library: Library) {
    tree.package(name, version, &[], "py3-none-linux_x86_64");
    tree.write(&tree.inside(&format!("nvidia/{file}")), library.build());
    record(tree, name, version, &[&format!("nvidia/{file}")]);
}

fn record(tree: &Tree, name: &str, version: &str, files: &[&str]) {
    let lines: String = files.iter().map(|file| format!("{file},sha256=x,1\n")).collect();
    tree.write(&tree.inside(&format!("{}-{version}.dist-info/RECORD", name.replace('-', "_"))), lines);
}

/// The same with flash-attn, whose module is `library`.
fn with_extension(library: &Library) -> Tree {
    let tree = torch();
    extension(&tree, "flash_attn_2_cuda.abi3.so", &library.build());
    tree
}

fn extension(tree: &Tree, file: &str, bytes: &[u8]) {
    tree.package("flash-attn", "2.8.3", &["torch"], "cp312-cp312-linux_x86_64");
    tree.write(&tree.inside(file), bytes);
    record(tree, "flash-attn", "2.8.3", &[file]);
}

fn flash_attn() -> Library {
    Library::new("flash_attn_2_cuda.so")
        .needed(&["libc10.so", "libtorch_cuda.so", "libcudart.so.13"])
        .undefined(&[SYMBOL, "PyLong_FromLong"])
        .kernels(&[vec![(2, 80, PLAIN), (2, 90, PLAIN)]])
}

// What fits passes every check of libraries: none of them passes because it could not look.
#[test]
fn libraries_that_fit_pass() {
    let tree = with_extension(&flash_attn());
    for id in [
        "broken-upgrade",
        "user-site-leaks",
        "module-hidden",
        "library-unreadable",
        "extension-built-for-other-python",
        "extension-built-for-other-torch",
        "library-not-found",
        "library-shadowed",
        "library-lacks-symbols",
        "cudnn-mixed",
        "cuda-runtime-of-other-version",
        "libstdcxx-too-old",
        "requirement-unmet",
        "no-kernels-for-gpu",
    ] {
        passes(&tree, id);
    }
}

// Without libraries nothing is claimed of them.
#[test]
fn nothing_is_said_of_libraries_that_are_not_there() {
    let tree = Tree::new("3.12");
    tree.package("torch", "2.11.0", &[], "cp312-cp312-linux_x86_64");
    tree.torch("2.11.0+cu130", Some("13.0"));
    let report = report_with(&tree, "", &[]);
    for id in ["library-shadowed", "library-not-found", "cudnn-mixed", "extension-built-for-other-torch", "library-unreadable"] {
        assert!(report["skipped"].as_array().expect("a list").iter().any(|skipped| skipped["id"] == id), "{id}: {report:#}");
    }
}

// What the libraries hold counts more than what is known of the release.
#[test]
fn kernels_are_read_from_the_libraries() {
    let tree = torch();
    let kernels = |sm| Library::new("libtorch_cuda.so").kernels(&[vec![(2, sm, PLAIN)]]).build();
    tree.write(&tree.inside("torch/lib/libtorch_cuda.so"), kernels(120));
    let finding = primary(&tree, "--target-gpu h100", &[], "no-kernels-for-gpu");
    assert!(message(&finding).contains("too old: the wheel starts at 12.0"), "{finding:#}");
    assert_eq!(finding["evidence"][1]["value"], "12.0");
    tree.write(&tree.inside("torch/lib/libtorch_cuda.so"), kernels(70));
    assert_eq!(report_with(&tree, "--target-gpu v100", &[])["exit_code"], 0);
}

// An extension without kernels is a warning of its own; with PTX it has some for every newer card.
#[test]
fn an_extension_without_kernels_is_a_warning() {
    let tree = with_extension(&flash_attn());
    let finding = primary(&tree, "--target-gpu rtx-5090", &[], "no-kernels-for-gpu");
    assert_eq!((finding["severity"].as_str(), finding["subject"].as_str()), (Some("warning"), Some("package:flash-attn")));
    let ptx = with_extension(&flash_attn().section("__nv_relfatbin", container(&[(1, 90, PLAIN)])));
    assert_eq!(report_with(&ptx, "--target-gpu rtx-5090", &[])["findings"], Value::Array(vec![]));
}

// An extension that needs what this PyTorch does not define was built for another one.
#[test]
fn an_extension_for_another_torch_is_the_cause() {
    let tree = with_extension(&flash_attn().undefined(&["_ZN2at4_ops5empty4callEv", "_ZNK3c1010TensorImpl4sizeERKSs"]));
    let finding = primary(&tree, "", &[], "extension-built-for-other-torch");
    assert_eq!(
        message(&finding),
        "flash-attn 2.8.3 is built with the old C++ ABI, and torch 2.11.0+cu130 with the new (cxx11) one; it must be built for the torch \
         that imports it"
    );
    assert_eq!(finding["evidence"][0]["value"], "_ZN2at4_ops5empty4callEv");

    let other = torch();
    other.package("flash-attn", "2.8.3+cu13torch2.9cxx11abiTRUE", &["torch"], "cp312-cp312-linux_x86_64");
    other.write(&other.inside("flash_attn_2_cuda.abi3.so"), flash_attn().build());
    record(&other, "flash-attn", "2.8.3+cu13torch2.9cxx11abiTRUE", &["flash_attn_2_cuda.abi3.so"]);
    assert!(message(&primary(&other, "", &[], "extension-built-for-other-torch")).contains("built for torch 2.9"));
}

// A module for another interpreter is not found by this one; of several, the right one is there.
#[test]
fn an_extension_for_another_python_is_the_cause() {
    let tree = torch();
    extension(&tree, "flash_attn_2_cuda.cpython-311-x86_64-linux-gnu.so", &flash_attn().build());
    let finding = primary(&tree, "", &[], "extension-built-for-other-python");
    assert!(message(&finding).contains("is built for Python 3.11; the environment has 3.12"), "{finding:#}");
    let right = "flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so";
    tree.write(&tree.inside(right), flash_attn().build());
    record(&tree, "flash-attn", "2.8.3", &["flash_attn_2_cuda.cpython-311-x86_64-linux-gnu.so", right]);
    passes(&tree, "extension-built-for-other-python");
}

// An extension for another CUDA asks for a runtime that is not there.
#[test]
fn a_library_that_is_nowhere_is_the_cause() {
    let tree = with_extension(&flash_attn().needed(&["libcudart.so.12"]));
    let finding = primary(&tree, "", &[], "library-not-found");
    assert_eq!(
        message(&finding),
        "flash-attn needs `libcudart.so.12`, which the loader does not find: it is built for CUDA 12, and torch for CUDA 13.0"
    );
    // The driver's libraries come with the machine, and an image is built without them.
    passes(&with_extension(&flash_attn().needed(&["libcuda.so.1"])), "library-not-found");
}

// `LD_LIBRARY_PATH` comes before the search path of cuSPARSE, and an older nvJitLink there breaks it.
#[test]
fn a_hidden_library_is_the_cause() {
    let tree = torch();
    let older = Library::new("libnvJitLink.so.13").exported(&["__nvJitLinkCreate_12_9"]).build();
    tree.write("cuda/lib64/libnvJitLink.so.13", older);
    let folder = tree.root().join("cuda/lib64").display().to_string();
    let variables = [("LD_LIBRARY_PATH", folder.as_str())];
    let finding = primary(&tree, "", &variables, "library-shadowed");
    assert_eq!((&finding["severity"], &finding["fixes"][0]["command"]), (&Value::from("error"), &Value::from("unset LD_LIBRARY_PATH")));
    assert!(message(&finding).contains("by LD_LIBRARY_PATH"), "{finding:#}");
    assert_eq!(finding["explains"], serde_json::json!(["library-lacks-symbols"]));

    // The same build there is no error, only not what was meant. What torch itself needs is not even hidden.
    tree.write("cuda/lib64/libnvJitLink.so.13", Library::new("libnvJitLink.so.13").exported(&["__nvJitLinkCreate_13_0"]).build());
    tree.write("cuda/lib64/libcudart.so.13", Library::new("libcudart.so.13").build());
    let finding = primary(&tree, "", &variables, "library-shadowed");
    assert_eq!(finding["severity"], "warning");
    assert!(!message(&finding).contains("libcudart"), "{finding:#}");
    passes(&tree, "library-shadowed");
}

// The parts of cuDNN come from one directory.
#[test]
fn a_mixed_cudnn_is_the_cause() {
    let tree = torch();
    tree.write("cuda/lib64/libcudnn_ops.so.9", Library::new("libcudnn_ops.so.9").build());
    let folder = tree.root().join("cuda/lib64").display().to_string();
    let finding = primary(&tree, "", &[("LD_LIBRARY_PATH", &folder)], "cudnn-mixed");
    assert!(message(&finding).starts_with("cuDNN would be loaded from 2 directories"), "{finding:#}");
    passes(&tree, "cudnn-mixed");
}

// A runtime that is older than torch's, or a second one, is told.
#[test]
fn a_runtime_of_another_version_is_told() {
    let tree = torch();
    tree.torch("2.11.0+cu132", Some("13.2"));
    let finding = primary(&tree, "", &[], "cuda-runtime-of-other-version");
    assert!(message(&finding).contains("would load the CUDA runtime 13.0.96; it needs 13.2 or newer"), "{finding:#}");

    let two = with_extension(&flash_attn().needed(&["libcudart.so.12"]).runpath("$ORIGIN"));
    two.write(&two.inside("libcudart.so.12"), Library::new("libcudart.so.12").build());
    let finding = primary(&two, "", &[], "cuda-runtime-of-other-version");
    assert!(message(&finding).contains("two CUDA runtimes are loaded into one process"), "{finding:#}");
}

// A library that is cut off cannot be loaded, and is no reason to stop.
#[test]
fn a_library_that_is_cut_off_is_the_cause() {
    let tree = torch();
    let whole = fs_err::read(tree.root().join(tree.inside("torch/lib/libtorch_cuda.so"))).expect("the library");
    tree.write(&tree.inside("torch/lib/libtorch_cuda.so"), &whole[..whole.len() / 2]);
    let finding = primary(&tree, "", &[], "library-unreadable");
    assert!(message(&finding).contains("`libtorch_cuda.so` of torch cannot be read: "), "{finding:#}");
}

// Versions of symbols that no C or C++ library has yet.
#[test]
fn symbols_of_a_newer_system_are_the_cause() {
    let tree = with_extension(&flash_attn().needed(&["libstdc++.so.6"]).needs("libstdc++.so.6", &["GLIBCXX_3.4.20", "GLIBCXX_3.4.99"]));
    tree.write("lib64/libstdc++.so.6", Library::new("libstdc++.so.6").defines(&["libstdc++.so.6", "GLIBCXX_3.4.20"]).build());
    let folder = tree.root().join("lib64").display().to_string();
    let finding = primary(&tree, "", &[("LD_LIBRARY_PATH", &folder)], "libstdcxx-too-old");
    assert!(message(&finding).starts_with("`flash_attn_2_cuda.abi3.so` needs GLIBCXX_3.4.99, and `"), "{finding:#}");

    // A C library in the path of the program would be its own, too.
    let newer = flash_attn().needed(&["libc.so.6"]).rpath("$ORIGIN/libc").needs("libc.so.6", &["GLIBC_2.4", "GLIBC_2.99"]);
    let tree = with_extension(&newer);
    tree.write(&tree.inside("libc/libc.so.6"), Library::new("libc.so.6").defines(&["libc.so.6", "GLIBC_2.4"]).build());
    let finding = primary(&tree, "", &[], "glibc-too-old");
    assert!(message(&finding).starts_with("`flash_attn_2_cuda.abi3.so` needs glibc 2.99 or newer"), "{finding:#}");
}

// An upgrade that was cut off leaves two entries.
#[test]
fn two_entries_of_a_package_are_found() {
    let tree = torch();
    tree.package("flash-attn", "2.7.0", &["torch"], "cp312-cp312-linux_x86_64");
    tree.package("flash-attn", "2.8.3", &["torch"], "cp312-cp312-linux_x86_64");
    let finding = primary(&tree, "", &[], "broken-upgrade");
    assert!(message(&finding).contains("flash-attn is listed 2 times") && message(&finding).contains("2.7.0 and 2.8.3"), "{finding:#}");
}

// A user's own torch comes before that of an interpreter; a virtual environment keeps it out, and so does the variable.
#[test]
fn a_users_own_packages_are_found() {
    let tree = torch();
    tree.write("home/.local/lib/python3.12/site-packages/torch/__init__.py", "");
    let home = tree.root().join("home").display().to_string();
    let clean = |variables: &[(&str, &str)]| assert_eq!(report_with(&tree, "", variables)["findings"], Value::Array(vec![]));
    clean(&[("HOME", &home)]);
    fs_err::remove_file(tree.root().join("pyvenv.cfg")).expect("removed");
    let finding = primary(&tree, "", &[("HOME", &home)], "user-site-leaks");
    assert_eq!((&finding["severity"], &finding["fixes"][0]["command"]), (&Value::from("error"), &Value::from("export PYTHONNOUSERSITE=1")));
    clean(&[("HOME", &home), ("PYTHONNOUSERSITE", "1")]);
}

// A source checkout in `PYTHONPATH` hides the installed package; an unknown module hides nothing.
#[test]
fn a_hidden_module_is_found() {
    let tree = torch();
    tree.write("source/torch/__init__.py", "");
    tree.write("other/mytool/__init__.py", "");
    let folder = |name: &str| tree.root().join(name).display().to_string();
    let finding = primary(&tree, "", &[("PYTHONPATH", &folder("source"))], "module-hidden");
    assert!(message(&finding).contains("holds torch") && finding["severity"] == "error", "{finding:#}");
    assert_eq!(report_with(&tree, "", &[("PYTHONPATH", &folder("other"))])["findings"], Value::Array(vec![]));
}

// pip over conda is told, with the package that conda still lists; what only pip has is none of conda's business.
#[test]
fn pip_over_conda_is_found() {
    let tree = torch();
    tree.write("conda-meta/numpy-1.26.4-py312h0.json", "{}");
    tree.write("conda-meta/history", "");
    tree.package("numpy", "1.26.4", &[], "cp312-cp312-linux_x86_64");
    passes(&tree, "conda-and-pip-mixed");
    fs_err::remove_dir_all(tree.site().join("numpy-1.26.4.dist-info")).expect("removed");
    tree.package("numpy", "2.3.5", &[], "cp312-cp312-linux_x86_64");
    let finding = primary(&tree, "", &[], "conda-and-pip-mixed");
    assert!(message(&finding).starts_with("numpy 1.26.4 of conda was overwritten by pip with 2.3.5"), "{finding:#}");
    let command = finding["fixes"][0]["command"].as_str().expect("a command");
    assert!(command.starts_with("conda remove -p ") && command.ends_with(" --force numpy"), "{command}");

    tree.write("condabin/conda", "");
    let report = report_with(&tree, "--only base-environment-used", &[]);
    assert_eq!(report["findings"][0]["id"], "base-environment-used", "{report:#}");
}

// Requirements that hold here must be met; those for other interpreters and machines do not hold.
#[test]
fn unmet_requirements_are_found() {
    let tree = torch();
    let requires = ["nvidia-nvjitlink==13.0.88", "triton==3.6.0; python_version >= '3.9'", "pywin32; sys_platform == 'win32'"];
    tree.package("torch", "2.11.0", &requires, "cp312-cp312-linux_x86_64");
    let finding = primary(&tree, "", &[], "requirement-unmet");
    assert_eq!(message(&finding), "torch 2.11.0 requires triton==3.6.0; it is not installed");
    tree.package("triton", "3.5.0", &[], "cp312-cp312-linux_x86_64");
    assert_eq!(message(&primary(&tree, "", &[], "requirement-unmet")), "torch 2.11.0 requires triton==3.6.0; 3.5.0 is installed");
    fs_err::remove_dir_all(tree.site().join("triton-3.5.0.dist-info")).expect("removed");
    tree.package("triton", "3.6.0", &[], "cp312-cp312-linux_x86_64");
    passes(&tree, "requirement-unmet");
}

/// An interpreter that is this shell script.
fn interpreter(tree: &Tree, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    tree.write("bin/python3", format!("#!/bin/sh\n{script}\n"));
    let executable = std::fs::Permissions::from_mode(0o755);
    fs_err::set_permissions(tree.root().join("bin/python3"), executable).expect("an executable");
}

// `--deep` runs the interpreter; what it says is a reading, and one that hangs is ended with its children.
#[test]
fn an_import_that_fails_is_a_finding() {
    let tree = torch();
    let skipped = report_with(&tree, "--only import-fails", &[]);
    assert_eq!(skipped["skipped"][0]["reason"], "nothing was imported; `--deep` does");
    interpreter(&tree, "echo 2.11.0; echo '13.0 False'");
    assert_eq!(report_with(&tree, "--deep", &[])["exit_code"], 0);
    interpreter(&tree, "echo 'Traceback' >&2; echo 'ImportError: undefined symbol: x' >&2; exit 1");
    let finding = primary(&tree, "--deep", &[], "import-fails");
    assert_eq!(
        (message(&finding), &finding["evidence"][0]["value"]),
        ("`import torch` ended with exit code 1; a server needs it to work", &Value::from("ImportError: undefined symbol: x"),)
    );
    interpreter(&tree, "echo 'ImportError: libcuda.so.1: cannot open shared object file: No such file or directory' >&2; exit 1");
    assert_eq!(report_with(&tree, "--deep", &[])["exit_code"], 0, "an image is built without a driver");
    interpreter(&tree, "kill -SEGV $$");
    assert!(message(&primary(&tree, "--deep", &[], "import-fails")).contains("was ended by signal 11"));
    let pid = tree.root().join("pid");
    interpreter(&tree, &format!("sleep 600 & echo $! > {}; wait", pid.display()));
    assert!(message(&primary(&tree, "--deep=1", &[], "import-fails")).contains("had not ended after 1 s"));
    let pid = fs_err::read_to_string(pid).expect("the child's number");
    let state = fs_err::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    assert!(state.is_empty() || state.contains(" Z "), "the child of the interpreter lives on: {state}");
}

// Loops of links, lists that name odd places, and files that are no libraries end nothing.
#[test]
fn nothing_among_libraries_is_too_odd() {
    let tree = with_extension(&flash_attn());
    let site = tree.site();
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, site.join(name)).expect("a link");
    link("self.so", "self.so");
    link(".", "loop");
    tree.write(&tree.inside("text.so"), "INPUT(-ltorch)");
    tree.write(&tree.inside("empty.so"), "");
    tree.write(&tree.inside("noise.so"), [b"\x7fELF\x02\x01\x01".to_vec(), vec![0xff; 4096]].concat());
    let pipe = site.join("pipe.so");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe that nobody writes to");
    let files =
        ["self.so", "loop/loop/loop/text.so", "text.so", "empty.so", "noise.so", "pipe.so", "gone.so", "../../../../etc/x.so", "\"quo"];
    record(&tree, "flash-attn", "2.8.3", &[&files[..], &["flash_attn_2_cuda.abi3.so"]].concat());
    // Without a list the directory is walked, and its loops are not followed.
    tree.package("xformers", "0.0.35", &["torch"], "cp312-cp312-linux_x86_64");
    tree.write(&tree.inside("xformers/_C.so"), flash_attn().build());
    std::os::unix::fs::symlink("..", site.join("xformers/up")).expect("a link");
    let report = report_with(&tree, "--target-gpu h100", &[]);
    let ids: Vec<_> = report["findings"].as_array().expect("a list").iter().map(|finding| finding["id"].as_str()).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| *id == Some("library-unreadable")), "{report:#}");
}
