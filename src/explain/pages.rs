//! The embedded pages.

/// A page: its name and its Markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The term or finding that it explains.
    pub name: &'static str,
    /// The Markdown, which starts with `# NAME`.
    pub text: &'static str,
}

impl Page {
    /// The first sentence after the title, on one line, without its full stop.
    pub fn summary(&self) -> String {
        let paragraph = self.text.split("\n\n").nth(1).unwrap_or_default();
        let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let end = line.find(". ").unwrap_or_else(|| line.trim_end_matches('.').len());
        line.get(..end).unwrap_or_default().to_owned()
    }
}

/// All pages: terms in the order of the budget, speed, those of starts, then findings by id.
pub fn all() -> impl Iterator<Item = &'static Page> {
    TERMS.iter().chain(&SPEED).chain(&STARTUP).chain(&FINDINGS)
}

/// Pages of a folder, by name.
macro_rules! pages {
    ($folder:literal: $($name:literal),* $(,)?) => {
        [$(Page { name: $name, text: include_str!(concat!("../../docs/explain/", $folder, $name, ".md")) }),*]
    };
}

/// The terms of the budget, in its order.
pub static TERMS: [Page; 7] = pages!["": "weights", "kv_cache", "activation_peak", "non_torch", "cuda_graphs", "context", "headroom"];

/// What a plan says of speed.
pub static SPEED: [Page; 1] = pages!["": "decode"];

/// What `diagnose` says of a start, beside the terms.
pub static STARTUP: [Page; 2] = pages!["startup/": "rest", "measured"];

/// The findings, by id.
pub static FINDINGS: [Page; 77] = pages!["findings/":
    "api-key-short",
    "asked-but-unseen",
    "base-environment-used",
    "batched-tokens-below-context",
    "batched-tokens-below-sequences",
    "binds-all-interfaces",
    "broken-upgrade",
    "conda-and-pip-mixed",
    "context-beyond-model",
    "cuda-newer-than-driver",
    "cuda-runtime-of-other-version",
    "cudnn-mixed",
    "driver-older-than-cuda",
    "dtype-unsupported-by-gpu",
    "dtype-unsupported-by-quantization",
    "engine-missing",
    "engine-version-differs",
    "extension-built-for-other-python",
    "extension-built-for-other-torch",
    "false-is-ignored",
    "flag-abbreviated",
    "flag-ambiguous",
    "flag-deprecated",
    "flag-explained",
    "flag-is-default",
    "flag-not-yet",
    "flag-removed",
    "flag-renamed",
    "flag-unknown",
    "flag-without-effect",
    "glibc-too-old",
    "gpu-kernels-not-compiled",
    "gpu-lost",
    "gpu-measurement-failed",
    "gpu-memory-short",
    "gpu-result-wrong",
    "gpu-slow",
    "heads-not-divisible",
    "import-fails",
    "library-lacks-symbols",
    "library-not-found",
    "library-shadowed",
    "library-unreadable",
    "libstdcxx-too-old",
    "memory-utilization-high",
    "mixed-cuda-wheels",
    "model-differs-from-catalogue",
    "module-hidden",
    "more-ranks-than-gpus",
    "nccl-failed",
    "nccl-result-wrong",
    "nccl-slow",
    "no-kernels-for-gpu",
    "nothing-to-check",
    "parallel-sizes-slow",
    "peer-copy-damaged",
    "peer-slow",
    "python-version-unsupported",
    "quantization-deprecated",
    "quantization-forces-slow-kernel",
    "quantization-mismatch",
    "quantization-needs-plugin",
    "quantization-removed",
    "quantization-unsupported-by-gpu",
    "requirement-unmet",
    "secret-in-file",
    "torch-cuda-differs-from-engine",
    "torch-missing",
    "torch-not-the-pinned",
    "torch-without-cuda",
    "trust-remote-code-missing",
    "trust-remote-code-unneeded",
    "trust-remote-code-unpinned",
    "two-torches",
    "user-site-leaks",
    "value-not-allowed",
    "vocabulary-not-divisible",
];
