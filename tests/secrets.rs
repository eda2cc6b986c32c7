//! Nothing that says who, where or how to get in is left in a capture or a report, wherever it stands on the machine.

#![expect(clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking, and builds a driver")]

#[path = "fakes/library.rs"]
mod library;
#[path = "common/program.rs"]
mod program;

use std::path::Path;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_secs(120);

/// Secrets: never printed, whatever is asked for.
const SECRETS: [&str; 9] = [
    "hf_PlantedPlantedPlantedPlantedPlanted",
    "sk-planted0planted0planted0planted0planted0planted0",
    "ghp_Planted0Planted0Planted0Planted0Plan",
    "AKIAPLANTEDPLANTED00",
    "Planted-Passw0rd",
    "Planted-Ap1-Key",
    "glpat-planted0planted0plan",
    "eyJhbGciOiJIUzI1NiJ9.eyJwbGFudGVkIjoxfQ.cGxhbnRlZHBsYW50ZWRwbGFudGVk",
    "Planted-S3cret",
];
/// Names, numbers and addresses: taken out unless they are asked for.
const IDENTIFIERS: [&str; 10] = [
    "annabel",
    "gpunode17",
    "corp.example",
    "10.9.8.7",
    "fd00:9:8::7",
    "5c:ff:35:ab:cd:ef",
    "1650522",
    "8932f937-d72c-4106-c12f",
    "5f1d8e4c-1111-4222-8333-abcdefabcdef",
    "3f2a91c03f2a91c03f2a91c0",
];

fn put(root: &Path, path: &str, text: &str) {
    let place = root.join(path.trim_start_matches('/'));
    fs_err::create_dir_all(place.parent().expect("a folder")).expect("a folder");
    fs_err::write(place, text).expect("a file");
}

/// A machine on which every source that is read says all of it.
fn planted(root: &Path, pid: u32) {
    // What is known by its form alone; a word that looks like any other is known only by what stands before it.
    let forms: Vec<&str> = SECRETS
        .into_iter()
        .filter(|secret| !secret.starts_with("Planted"))
        .chain(IDENTIFIERS.into_iter().filter(|word| *word != "1650522"))
        .collect();
    let command = format!(
        "python3\0/home/annabel/serve.py\0--api-key\0Planted-Ap1-Key\0--hf-token={}\0--host\010.9.8.7\0--url\0https://annabel:Planted-Passw0rd@corp.example/x?token=Planted-S3cret\0",
        SECRETS[0]
    );
    let id = "3f2a91c0".repeat(8);
    for (path, text) in [
        (format!("/proc/{pid}/comm"), "python3\n".to_owned()),
        (format!("/proc/{pid}/cmdline"), command),
        (format!("/proc/{pid}/cgroup"), format!("0::/system.slice/docker-{id}.scope\n")),
        (format!("/proc/{pid}/stat"), format!("{pid} (python3) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 123400 1000 10\n")),
        ("/proc/stat".to_owned(), "btime 1700000000\n".to_owned()),
        ("/proc/version".to_owned(), "Linux version 6.8.0 (annabel@gpunode17) #1 SMP\n".to_owned()),
        ("/proc/cmdline".to_owned(), "root=UUID=5f1d8e4c-1111-4222-8333-abcdefabcdef ip=10.9.8.7::10.9.8.1 luks.key=Planted-S3cret\n".to_owned()),
        ("/proc/self/cgroup".to_owned(), format!("0::/docker/{id}\n")),
        (
            "/proc/self/mountinfo".to_owned(),
            "36 25 0:32 / /home/annabel rw - nfs4 filer.corp.example:/annabel rw,addr=10.9.8.7,password=Planted-Passw0rd\n".to_owned(),
        ),
        ("/proc/driver/nvidia/version".to_owned(), "NVRM version: NVIDIA UNIX Open Kernel Module  580.95.05  (annabel@gpunode17)\n".to_owned()),
        (
            "/proc/driver/nvidia/gpus/0000:18:00.0/information".to_owned(),
            "Model: H100\nGPU UUID: GPU-8932f937-d72c-4106-c12f-000000000001\nSerial Number: 1650522000001\n".to_owned(),
        ),
        ("/proc/modules".to_owned(), "nvidia_uvm 1 0 - Live 0x0\nnvidia 1 1 nvidia_uvm, Live 0x0\n".to_owned()),
        ("/sys/module/nvidia/version".to_owned(), "580.95.05\n".to_owned()),
        ("/etc/hostname".to_owned(), "gpunode17\n".to_owned()),
        ("/etc/hosts".to_owned(), "10.9.8.7 gpunode17.corp.example gpunode17\n".to_owned()),
        ("/etc/passwd".to_owned(), "root:x:0:0::/root:/bin/sh\nannabel:x:1000:1000:Annabel Lee:/home/annabel:/bin/bash\n".to_owned()),
        ("/etc/os-release".to_owned(), "ID=ubuntu\nVERSION_ID=\"24.04\"\n".to_owned()),
        (
            "/etc/docker/daemon.json".to_owned(),
            "{\"default-runtime\": \"nvidia\", \"insecure-registries\": [\"registry.corp.example\"], \"proxies\": {\"https-proxy\": \"http://annabel:Planted-Passw0rd@10.9.8.7:3128\"}}".to_owned(),
        ),
        ("/etc/cdi/nvidia.yaml".to_owned(), "cdiVersion: 0.6.0\nkind: nvidia.com/gpu\ncontainerEdits:\n  env: [TOKEN=Planted-S3cret]\ndevices: []\n".to_owned()),
        (
            "/dev/kmsg".to_owned(),
            format!("4,1,88123456,-;NVRM: Xid (PCI:0000:18:00): 79, pid=1234, name=python3 {}, password=Planted-Passw0rd\n6,2,88123457,-;mlx5_core: eth0 5c:ff:35:ab:cd:ef fd00:9:8::7 10.9.8.7 on gpunode17\n", forms.join(" ")),
        ),
        ("/sys/class/net/eth0/address".to_owned(), "5c:ff:35:ab:cd:ef\n".to_owned()),
        ("/sys/class/net/eth0/operstate".to_owned(), "up\n".to_owned()),
        ("/sys/class/infiniband/mlx5_0/ports/1/gids/0".to_owned(), "fe80:0000:0000:0000:5cff:35ff:feab:cdef\n".to_owned()),
        ("/sys/class/infiniband/mlx5_0/ports/1/state".to_owned(), "4: ACTIVE\n".to_owned()),
    ] {
        put(root, &path, &text);
    }
}

/// A Python environment whose records have credentials in them.
fn environment(root: &Path) {
    let site = "venv/lib/python3.12/site-packages";
    put(root, "venv/pyvenv.cfg", "home = /home/annabel/.pyenv/bin\n");
    put(root, &format!("{site}/torch/version.py"), "__version__ = '2.11.0+cu130'\ncuda = '13.0'\n# Planted-S3cret\n");
    put(root, &format!("{site}/torch-2.11.0.dist-info/METADATA"), "Name: torch\nVersion: 2.11.0\nAuthor-email: annabel@corp.example\n");
    put(root, &format!("{site}/mine-1.0.dist-info/METADATA"), "Name: mine\nVersion: 1.0\n\nPlanted-S3cret\n");
    put(
        root,
        &format!("{site}/mine-1.0.dist-info/direct_url.json"),
        "{\"url\": \"https://annabel:glpat-planted0planted0plan@git.corp.example/annabel/mine.git?token=Planted-S3cret\", \"vcs_info\": {\"vcs\": \"git\"}}",
    );
}

#[test]
fn nothing_planted_comes_out() {
    let machine = tempfile::tempdir().expect("a folder");
    let pid = 4_000_001;
    planted(machine.path(), pid);
    environment(machine.path());
    let (root, libraries) = (machine.path().display().to_string(), library::folder().display().to_string());
    let python = machine.path().join("venv").display().to_string();
    let told = format!("gpus=2 pid={pid} used_mib=70000 nvmlDeviceGetTemperature@1=15");
    let variables = [
        ("GPUDOCTOR_ROOT", root.as_str()),
        ("LD_LIBRARY_PATH", &libraries),
        ("FAKE_DRIVER", &told),
        ("USER", "annabel"),
        ("HOSTNAME", "gpunode17.corp.example"),
        ("HF_TOKEN", SECRETS[0]),
        ("HUGGING_FACE_HUB_TOKEN", SECRETS[0]),
        ("OPENAI_API_KEY", SECRETS[1]),
        ("GITHUB_TOKEN", SECRETS[2]),
        ("AWS_ACCESS_KEY_ID", SECRETS[3]),
        ("AWS_SECRET_ACCESS_KEY", "Planted-S3cret"),
        ("VLLM_API_KEY", "Planted-Ap1-Key"),
        ("WANDB_API_KEY", "Planted-Ap1-Key"),
        ("HTTPS_PROXY", "http://annabel:Planted-Passw0rd@proxy.corp.example:3128"),
        ("HF_ENDPOINT", "https://annabel:Planted-Passw0rd@hub.corp.example/x?token=Planted-S3cret"),
        ("HF_HOME", "/home/annabel/hf"),
        ("PYTHONPATH", "/scratch/annabel/src"),
        ("VLLM_HOST_IP", "10.9.8.7"),
        ("MASTER_ADDR", "gpunode17.corp.example"),
        ("NCCL_SOCKET_IFNAME", "eth0"),
        ("NCCL_DEBUG_FILE", "/home/annabel/nccl.%h.log"),
        ("VLLM_LOGGING_CONFIG_PATH", "/home/annabel/log.json"),
        ("CUDA_VISIBLE_DEVICES", "GPU-8932f937-d72c-4106-c12f-000000000001,GPU-8932f937-d72c-4106-c12f-000000000002"),
    ];
    let mut leaks = Vec::new();
    let mut look = |arguments: &[&str], secret: &[&[&str]]| {
        let outcome = program::run(arguments, &variables, DEADLINE);
        assert!(outcome.code.is_some_and(|code| code <= 1), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stdout.len() > 40, "{arguments:?} prints nothing");
        let text = format!("{}{}", outcome.stdout, outcome.stderr).to_lowercase();
        for word in secret.iter().copied().flatten() {
            if let Some(at) = text.find(&word.to_lowercase()) {
                let around: String = text.get(at.saturating_sub(60)..).unwrap_or_default().chars().take(140).collect();
                leaks.push(format!("{arguments:?}: `{word}` in …{around}…"));
            }
        }
    };
    look(&["capture", "--peers", "--timeout", "60", "--python", &python], &[&SECRETS, &IDENTIFIERS]);
    look(&["capture", "--include-identifiers", "--timeout", "60", "--python", &python], &[&SECRETS]);
    for format in ["text", "json", "markdown", "junit", "github"] {
        look(&["check", "--format", format, "--timeout", "60", "--python", &python], &[&SECRETS, &IDENTIFIERS]);
    }
    look(&["check", "--image", "--format", "json", "--python", &python], &[&SECRETS]);
    look(&["gpus"], &[&SECRETS]);
    look(&["gpus", "--format", "json"], &[&SECRETS]);
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
