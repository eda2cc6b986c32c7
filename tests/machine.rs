//! What is read of a machine's files, on staged trees; and that a capture tells nobody who and where.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, and lays out machines")]

#[path = "common/program.rs"]
mod program;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use gpudoctor::capture::Capture;
use gpudoctor::capture::place::FoundBy;
use gpudoctor::reading::Reading;
use gpudoctor::units::Bytes;

const DEADLINE: Duration = Duration::from_secs(60);

/// A tree with these files.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        put(tree.path(), path, text);
    }
    tree
}

fn put(root: &Path, path: &str, text: impl AsRef<[u8]>) {
    let place = root.join(path.trim_start_matches('/'));
    fs_err::create_dir_all(place.parent().expect("a folder")).expect("a folder");
    fs_err::write(place, text).expect("a file");
}

fn text_of(root: &Path, options: &[&str], environment: &[(&str, &str)]) -> String {
    let place = root.display().to_string();
    let environment = [&[("GPUDOCTOR_ROOT", place.as_str())], environment].concat();
    let outcome = program::run(&[&["capture"], options].concat(), &environment, DEADLINE);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    outcome.stdout
}

fn capture(root: &Path) -> Capture {
    Capture::parse(&text_of(root, &["--include-identifiers"], &[])).expect("a capture")
}

// An empty machine has nothing, and each thing that was looked for says so.
#[test]
fn an_empty_machine_is_read() {
    let capture = capture(tree(&[]).path());
    assert_eq!(capture.files.get("/proc/driver/nvidia/version"), Some(&Reading::Absent));
    assert_eq!((&capture.pci, &capture.nvml, &capture.kernel_log), (&Reading::Absent, &Reading::Absent, &Reading::Absent));
    assert!(capture.devices.values().all(Reading::is_absent));
}

// A file is kept as it is, also one of many.
#[test]
fn files_are_kept() {
    let information = "/proc/driver/nvidia/gpus/0000:18:00.0/information";
    let tree = tree(&[("/proc/driver/nvidia/version", "NVRM version: 580.95.05\n"), (information, "Model: H100\n")]);
    let capture = capture(tree.path());
    assert_eq!(
        (capture.file("/proc/driver/nvidia/version"), capture.file(information)),
        (Some("NVRM version: 580.95.05\n"), Some("Model: H100\n"))
    );
}

// A GPU is found by its numbers, with the bridge above it; a USB controller is none.
#[test]
fn devices_on_the_bus_are_found() {
    let tree = tree(&[]);
    let root = tree.path();
    let bridge = "/sys/devices/pci0000:00/0000:00:01.0";
    for (folder, vendor, class) in [
        (bridge, "0x8086", "0x060400"),
        (&format!("{bridge}/0000:18:00.0"), "0x10de", "0x030200"),
        (&format!("{bridge}/0000:19:00.0"), "0x8086", "0x0c0330"),
    ] {
        put(root, &format!("{folder}/vendor"), vendor);
        put(root, &format!("{folder}/device"), "0x2330");
        put(root, &format!("{folder}/class"), class);
        let link = root.join("sys/bus/pci/devices");
        fs_err::create_dir_all(&link).expect("a folder");
        let name = folder.rsplit('/').next().expect("a name");
        symlink(root.join(folder.trim_start_matches('/')), link.join(name)).expect("a link");
    }
    let gpu = format!("{bridge}/0000:18:00.0");
    for (name, text) in [
        ("current_link_speed", "32.0 GT/s PCIe\n"),
        ("current_link_width", "16\n"),
        ("numa_node", "-1\n"),
        ("resource", "0x00000000c0000000 0x00000000c0ffffff 0x40200\n"),
    ] {
        put(root, &format!("{gpu}/{name}"), text);
    }
    put(root, &format!("{gpu}/config"), [0; 64]);
    let capture = capture(root);
    let devices = capture.pci.known().expect("devices");
    let addresses: Vec<&str> = devices.iter().map(|device| device.address.as_str()).collect();
    assert_eq!(addresses, ["0000:18:00.0", "0000:00:01.0"]);
    let gpu = devices.first().expect("a GPU");
    assert_eq!(
        (&gpu.link_width, &gpu.numa_node, &gpu.bridges),
        (&Reading::Known(16), &Reading::Known(-1), &vec!["0000:00:01.0".to_owned()])
    );
    assert_eq!(
        (gpu.bars.as_slice(), gpu.acs_control.reason()),
        ([Bytes::from_mib(16)].as_slice(), Some("root alone can read the whole configuration space"))
    );
}

// A specification names what it mounts, and whether that exists.
#[test]
fn container_specifications_are_read() {
    let spec = "cdiVersion: 0.6.0\nkind: nvidia.com/gpu\ndevices:\n- name: \"0\"\n  containerEdits:\n    deviceNodes:\n    - path: /dev/nvidia0\n\
                containerEdits:\n  mounts:\n  - hostPath: /usr/lib/libcuda.so.580.95.05\n    containerPath: /usr/lib/libcuda.so.580.95.05\n";
    let tree = tree(&[("/etc/cdi/nvidia.yaml", spec), ("/dev/nvidia0", ""), ("/etc/cdi/broken.yaml", "a: [")]);
    let capture = capture(tree.path());
    let read = capture.cdi.get("/etc/cdi/nvidia.yaml").and_then(Reading::known).expect("a specification");
    let paths: Vec<(&str, bool)> = read.paths.iter().map(|path| (path.path.as_str(), path.exists)).collect();
    assert_eq!((read.kind.as_str(), read.devices.as_slice()), ("nvidia.com/gpu", ["0".to_owned()].as_slice()));
    assert_eq!(paths, [("/dev/nvidia0", true), ("/usr/lib/libcuda.so.580.95.05", false)]);
    assert!(capture.cdi.get("/etc/cdi/broken.yaml").is_some_and(|broken| broken.reason().is_some()));
}

// A library is found where the loader looks, and elsewhere; a copy behind two names is one.
#[test]
fn driver_libraries_are_found() {
    let tree = tree(&[("/usr/lib64/libcuda.so.580.95.05", "x"), ("/usr/local/cuda/lib64/stubs/libcuda.so.1", "stub")]);
    symlink("libcuda.so.580.95.05", tree.path().join("usr/lib64/libcuda.so.1")).expect("a link");
    let capture = capture(tree.path());
    let found = capture.libraries.get("libcuda.so.1").expect("libraries");
    let short: Vec<_> = found.iter().map(|library| (library.path.as_str(), library.by, library.stub, library.version.known())).collect();
    assert_eq!(
        short,
        [
            ("/usr/lib64/libcuda.so.1", FoundBy::Default, false, Some(&"580.95.05".to_owned())),
            ("/usr/local/cuda/lib64/stubs/libcuda.so.1", FoundBy::NotSearched, true, None)
        ]
    );
}

// What cannot be read says why; nothing of it ends the program.
#[test]
fn odd_files_are_survived() {
    let tree = tree(&[("/etc/docker/daemon.json", "{"), ("/proc/self/mountinfo", "\u{0}\u{1}nonsense")]);
    put(tree.path(), "/proc/version", [0xff, 0xfe, 0x00]);
    put(tree.path(), "/proc/meminfo", vec![b'x'; 1 << 20]);
    fs_err::create_dir_all(tree.path().join("proc/cmdline")).expect("a folder");
    symlink("loop", tree.path().join("proc/loop")).expect("a link");
    let capture = capture(tree.path());
    assert_eq!(capture.file("/proc/version"), Some("\u{fffd}\u{fffd}\u{0}"));
    assert_eq!(capture.file("/proc/meminfo").map(str::len), Some(64 << 10));
    assert_eq!(capture.files.get("/proc/cmdline").and_then(Reading::reason), Some("no ordinary file"));
    assert!(
        capture.files.get("/etc/docker/daemon.json").and_then(Reading::reason).is_some_and(|reason| reason.starts_with("no valid JSON"))
    );
}

// Nothing that says who or where is left, and nothing secret is kept even when that is wanted.
#[test]
fn a_capture_tells_nobody_who_and_where() {
    let planted = [
        ("/etc/passwd", "root:x:0:0::/root:/bin/sh\nannabel:x:1000:1000::/home/annabel:/bin/bash\n"),
        ("/etc/hostname", "gpunode17\n"),
        ("/etc/docker/daemon.json", "{\"default-runtime\": \"nvidia\", \"insecure-registries\": [\"registry.corp.example\"]}"),
        ("/proc/cmdline", "root=UUID=5f1d8e4c-1111-4222-8333-abcdefabcdef quiet"),
        (
            "/proc/self/mountinfo",
            "36 25 0:32 / /home/annabel rw - nfs4 filer.corp.example:/annabel rw,addr=10.9.8.7\n40 25 0:9 / /etc/hosts rw - ext4 /dev/gpunode17 rw\n",
        ),
        ("/proc/self/cgroup", "0::/docker/3f2a91c03f2a91c03f2a91c03f2a91c03f2a91c03f2a91c03f2a91c03f2a91c0\n"),
    ];
    let tree = tree(&planted);
    let environment = [
        ("HF_TOKEN", "hf_plantedPlantedPlanted"),
        ("VLLM_API_KEY", "planted-key"),
        ("HTTPS_PROXY", "http://annabel:planted-word@proxy.corp.example:3128"),
        ("HF_HOME", "/home/annabel/hf"),
        ("PYTHONPATH", "/scratch/annabel/src"),
        ("VLLM_HOST_IP", "10.9.8.7"),
        ("AWS_SECRET_ACCESS_KEY", "planted-too"),
        ("CUDA_VISIBLE_DEVICES", "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"),
    ];
    let text = text_of(tree.path(), &[], &environment);
    for word in ["annabel", "gpunode17", "corp.example", "10.9.8.7", "5f1d8e4c", "3f2a91c0", "8932f937", "lanted"] {
        assert!(!text.contains(word), "{word} in {text}");
    }
    for word in ["\"redacted\": true", "default-runtime", "nfs4", "GPU-00000", "\"HF_TOKEN\": \"set\""] {
        assert!(text.contains(word), "{word} in {text}");
    }
    let whole = text_of(tree.path(), &["--include-identifiers"], &environment);
    assert!(whole.contains("/scratch/annabel/src") && !whole.contains("lanted"), "{whole}");
}

// A file is written whole, and what is in the way is said.
#[test]
fn a_capture_goes_into_a_file() {
    let (tree, folder) = (tree(&[]), tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("host.json").display().to_string();
    assert_eq!(text_of(tree.path(), &["-o", &file], &[]), "");
    assert!(Capture::parse(&fs_err::read_to_string(&file).expect("a file")).expect("a capture").redacted);
    let root = tree.path().display().to_string();
    let outcome = program::run(&["capture", "-o", &root], &[("GPUDOCTOR_ROOT", &root)], DEADLINE);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("is a directory"), "{}", outcome.stderr);
}

// A capture that is cut off or damaged anywhere is refused in one sentence, or still is one.
#[test]
fn a_damaged_capture_is_refused() {
    let tree = tree(&[("/proc/version", "Linux version 6.8"), ("/proc/driver/nvidia/version", "NVRM version: 580.95.05\n")]);
    let text = text_of(tree.path(), &[], &[]);
    assert!(Capture::parse(&text).is_ok());
    for end in (0..text.len().min(4000)).step_by(13).chain(text.len() - 200..text.len() - 2) {
        let error = Capture::parse(text.get(..end).unwrap_or_default()).expect_err("a cut capture").to_string();
        assert!(!error.contains('\n') && error.len() < 400, "{error}");
    }
    let mut bytes = text.into_bytes();
    for at in (0..bytes.len()).step_by(61) {
        let old = std::mem::replace(&mut bytes[at], b'[');
        if let Ok(text) = std::str::from_utf8(&bytes)
            && let Err(error) = Capture::parse(text)
        {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        bytes[at] = old;
    }
}
