//! Which environment variables a capture keeps, and how much of them.

/// Families of variables that engines, CUDA, NCCL and launchers read.
const PREFIXES: [&str; 34] = [
    "ACCELERATE_",
    "AIBRIX_",
    "CUBLAS_",
    "CUDA_",
    "CUDNN_",
    "DYN_",
    "FLASHINFER_",
    "GLOO_",
    "HF_",
    "HUGGINGFACE_",
    "KUBERNETES_",
    "LMCACHE_",
    "NCCL_",
    "NV_",
    "NVIDIA_",
    "NVSHMEM_",
    "OMPI_COMM_WORLD_",
    "PYTORCH_",
    "RAY_",
    "SAFETENSORS_",
    "SGLANG_",
    "SGL_",
    "SLURM_",
    "TENSORRT_",
    "TOKENIZERS_",
    "TORCHINDUCTOR_",
    "TORCH_",
    "TRANSFORMERS_",
    "TRITON_",
    "TRTLLM_",
    "UCX_",
    "VLLM_",
    "XFORMERS_",
    "PYTHONHASH",
];

/// Single variables.
const NAMES: [&str; 62] = [
    "ALL_PROXY",
    "APPTAINER_CONTAINER",
    "APPTAINER_NV",
    "CC",
    "CI",
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "CPATH",
    "CXX",
    "DISPLAY",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "GOMP_CPU_AFFINITY",
    "HIP_VISIBLE_DEVICES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KMP_AFFINITY",
    "LANG",
    "LC_ALL",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "LIBRARY_PATH",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MALLOC_ARENA_MAX",
    "MASTER_ADDR",
    "MASTER_PORT",
    "MAX_JOBS",
    "MKL_NUM_THREADS",
    "MODELSCOPE_CACHE",
    "NO_PROXY",
    "NUMBA_CACHE_DIR",
    "OMP_NUM_THREADS",
    "OMP_PROC_BIND",
    "OPENBLAS_NUM_THREADS",
    "PATH",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONNOUSERSITE",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "RANK",
    "ROCR_VISIBLE_DEVICES",
    "SINGULARITY_CONTAINER",
    "SINGULARITY_NV",
    "TMPDIR",
    "UV_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "UV_TORCH_BACKEND",
    "VIRTUAL_ENV",
    "WORLD_SIZE",
    "WSL_DISTRO_NAME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "all_proxy",
    "container",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Parts of the names of variables whose value is nobody's business.
const SECRETS: [&str; 10] = ["AUTH", "COOKIE", "CREDENTIAL", "KEY", "PASSPHRASE", "PASSWD", "PASSWORD", "PAT_", "SECRET", "TOKEN"];

/// What stands in the place of a value that is not kept.
pub const SET: &str = "set";

/// Hubs that everybody knows.
const PUBLIC_HUBS: [&str; 3] = ["https://hf-mirror.com", "https://huggingface.co", "https://www.modelscope.cn"];

/// Longest value that is kept, in characters; a longer one is cut.
const LONGEST: usize = 8192;

/// Whether a variable is kept at all.
pub fn is_kept(name: &str) -> bool {
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What is kept of its value: that it is set, if it is or may be a secret or an address of somebody's network.
pub fn shown(name: &str, value: &str) -> String {
    let upper = name.to_ascii_uppercase();
    let secret =
        SECRETS.iter().any(|part| upper.contains(part)) && !["TOKENIZERS_PARALLELISM", "VLLM_USE_FLASHINFER_SAMPLER"].contains(&name);
    let private = upper.ends_with("_PROXY")
        || upper.ends_with("_INDEX_URL")
        || upper.ends_with("_ENDPOINT") && !PUBLIC_HUBS.contains(&value.trim_end_matches('/'))
        || name.starts_with("KUBERNETES_")
        || name.starts_with("SLURM_") && !value.chars().all(|c| c.is_ascii_digit() || ",-:()xtasks".contains(c))
        || matches!(name, "DISPLAY" | "MASTER_ADDR" | "RAY_ADDRESS" | "XDG_RUNTIME_DIR");
    match value {
        "" => String::new(),
        // A switch is no secret, whatever its name says; nor is every host at once.
        "0" | "1" | "true" | "false" | "True" | "False" | "*" => value.to_owned(),
        _ if secret || private => SET.to_owned(),
        _ => value.chars().take(LONGEST).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_only_said_to_be_set() {
        for name in [
            "HF_TOKEN",
            "VLLM_API_KEY",
            "HTTPS_PROXY",
            "http_proxy",
            "KUBERNETES_SERVICE_HOST",
            "UV_INDEX_URL",
            "HUGGINGFACE_CO_STAGING_TOKEN",
        ] {
            assert!(is_kept(name), "{name}");
            assert_eq!(shown(name, "hunter2"), SET, "{name}");
        }
        assert_eq!(shown("HF_TOKEN", ""), "");
    }

    #[test]
    fn what_a_diagnosis_needs_stays() {
        for (name, value) in [
            ("CUDA_VISIBLE_DEVICES", "0,1"),
            ("LD_LIBRARY_PATH", "/usr/local/cuda/lib64"),
            ("TOKENIZERS_PARALLELISM", "no"),
            ("NO_PROXY", "*"),
        ] {
            assert!(is_kept(name), "{name}");
            assert_eq!(shown(name, value), value);
        }
        assert_eq!(shown("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1"), "1");
    }

    #[test]
    fn other_variables_are_left_out() {
        for name in ["AWS_SECRET_ACCESS_KEY", "HOME", "USER", "HOSTNAME", "SSH_CLIENT", "GITHUB_TOKEN"] {
            assert!(!is_kept(name), "{name}");
        }
    }
}
