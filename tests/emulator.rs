//! The kernels of `probe-kernels/`, run by the real program through a driver that emulates a GPU on the CPU.
//!
//! `tests/emulator/` is that driver. The kernels' own sources are compiled for the CPU, so packing, launches,
//! kernels and checks are the ones that run on a GPU; a fault that is put into a kernel on purpose has to be noticed.
#![expect(clippy::disallowed_methods, reason = "compiles the emulator and runs the program")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

#[path = "emulator/bad_cases.rs"]
mod bad_cases;
#[path = "emulator/collectives.rs"]
mod collectives;

/// Parts of the driver that no test changes, and the kernels.
const PARTS: [&str; 3] = ["fibers", "tensor_cores", "driver"];
const KERNELS: [&str; 5] = ["memory", "w4a16", "w8a16", "paged_attention", "mla"];

#[derive(Clone, Copy, Debug)]
enum Card {
    Hopper,
    Ampere,
    Turing,
}

impl Card {
    const fn arch(self) -> &'static str {
        match self {
            Self::Hopper => "900",
            Self::Ampere => "800",
            Self::Turing => "750",
        }
    }

    /// The folder of the driver with the kernels as they are.
    fn driver(self) -> &'static Path {
        static HOPPER: OnceLock<PathBuf> = OnceLock::new();
        static AMPERE: OnceLock<PathBuf> = OnceLock::new();
        static TURING: OnceLock<PathBuf> = OnceLock::new();
        let made = match self {
            Self::Hopper => &HOPPER,
            Self::Ampere => &AMPERE,
            Self::Turing => &TURING,
        };
        made.get_or_init(|| {
            let folder = scratch(self.arch());
            let parts: Vec<&str> = PARTS.iter().chain(&KERNELS).copied().collect();
            // Other tests wait for this.
            let kernels = root().join("probe-kernels");
            let objects: Vec<PathBuf> = std::thread::scope(|scope| {
                let (kernels, folder) = (&kernels, &folder);
                let start = |part| scope.spawn(move || self.compile(part, kernels, folder));
                let started: Vec<_> = parts.into_iter().map(start).collect();
                started.into_iter().map(|compiler| compiler.join().unwrap()).collect()
            });
            link(&objects, &folder, "libcuda.so.1");
            folder
        })
    }

    /// Compiles one part with the kernels of `kernels`. What all kernels spend their time in is worth optimising; a kernel is not.
    fn compile(self, part: &str, kernels: &Path, folder: &Path) -> PathBuf {
        let (source, object) = (root().join(format!("tests/emulator/{part}.cpp")), folder.join(format!("{part}.o")));
        let mut command = compiler();
        let level = if PARTS.contains(&part) { "-O3" } else { "-O1" };
        command.args(["-std=c++17", level, "-fPIC", "-DEMULATED", "-Wno-attributes"]).arg(format!("-DEMULATED_ARCH={}", self.arch()));
        command.arg("-I").arg(root().join("tests/emulator")).arg("-I").arg(kernels).arg("-c").arg(source).arg("-o").arg(&object);
        run(&mut command);
        object
    }

    /// The folder of the driver with `from` replaced by `to` in a kernel's source, or in what it includes.
    fn broken(self, name: &str, kernel: &str, from: &str, to: &str) -> PathBuf {
        let folder = scratch(&format!("{}-{name}", self.arch()));
        let kernels = folder.join("kernels");
        fs_err::create_dir_all(&kernels).unwrap();
        for entry in fs_err::read_dir(root().join("probe-kernels")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs_err::copy(&path, kernels.join(path.file_name().unwrap())).unwrap();
            }
        }
        let mut places = 0;
        let shared = ["weight_unit.cuh", "weight_stream.cuh", "split_k.cuh", "warpgroup.cuh"].map(str::to_owned);
        for file in std::iter::once(format!("{kernel}.cu")).chain(shared).map(|file| kernels.join(file)) {
            let source = fs_err::read_to_string(&file).unwrap();
            places += source.matches(from).count();
            fs_err::write(&file, source.replace(from, to)).unwrap();
        }
        assert_eq!(places, 1, "{name}: the place of the fault is one place");
        let sound = self.driver();
        let object = |part: &&str| if *part == kernel { self.compile(part, &kernels, &folder) } else { sound.join(format!("{part}.o")) };
        let objects: Vec<PathBuf> = PARTS.iter().chain(&KERNELS).map(object).collect();
        link(&objects, &folder, "libcuda.so.1");
        folder
    }

    /// The folder of the driver with the kernels as they are, and of an NVML beside it.
    fn with_nvml(self) -> &'static Path {
        static MADE: OnceLock<PathBuf> = OnceLock::new();
        MADE.get_or_init(|| self.beside("nvml", "libnvidia-ml.so.1"))
    }

    /// The same with an NCCL.
    fn with_nccl(self) -> &'static Path {
        static MADE: OnceLock<PathBuf> = OnceLock::new();
        MADE.get_or_init(|| self.beside("nccl", "libnccl.so.2"))
    }

    /// A folder with the driver and a library made of one part.
    fn beside(self, part: &str, library: &str) -> PathBuf {
        let folder = scratch(&format!("{}-{part}", self.arch()));
        link(&[self.compile(part, &root().join("probe-kernels"), &folder)], &folder, library);
        fs_err::copy(self.driver().join("libcuda.so.1"), folder.join("libcuda.so.1")).unwrap();
        folder
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulator").join(name);
    fs_err::create_dir_all(&folder).unwrap();
    folder
}

/// The C++ compiler: `CXX`, or the usual one.
fn compiler() -> Command {
    let words = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut words = words.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("c++"));
    command.args(words);
    command
}

fn link(objects: &[PathBuf], folder: &Path, name: &str) {
    run(compiler().arg("-shared").args(objects).arg("-o").arg(folder.join(name)));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; the emulator needs a C++ compiler"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `gpudoctor bench` with a driver.
fn bench(driver: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpudoctor"));
    command.arg("bench").args(arguments).env("LD_LIBRARY_PATH", driver).env("EMULATED_FREE_MIB", "8").env("EMULATED_SMS", "2");
    command.envs(variables.iter().copied());
    command.output().unwrap()
}

/// The same as JSON, with its exit code.
fn report(driver: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, Value) {
    let output = bench(driver, &[arguments, &["--format", "json", "--timeout", "900"]].concat(), variables);
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), json)
}

fn list<'a>(value: &'a Value, key: &str) -> Vec<&'a Value> {
    value[key].as_array().unwrap().iter().collect()
}

fn results(report: &Value) -> Vec<&Value> {
    list(&report["gpus"][0], "results")
}

/// The ids of findings, without notes: that the emulated card is small is one.
fn ids(report: &Value) -> Vec<&str> {
    let findings = list(report, "findings").into_iter().filter(|finding| finding["severity"] != "info");
    findings.map(|finding| finding["id"].as_str().unwrap()).collect()
}

/// Every kernel gives what the reference says, and what is measured is reported with its error.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn the_kernels_of_ampere_are_right() {
    let (code, report) = report(Card::Ampere.driver(), &["--quick", "--only", "hbm,host,int4,attention"], &[]);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report:#}");
    for kernel in ["hbm-read", "hbm-write", "hbm-copy", "hbm-latency", "launch-graph", "int4-bf16", "attention-bf16", "attention-e4m3"] {
        let found: Vec<_> = results(&report).into_iter().filter(|result| result["kernel"] == kernel).collect();
        assert!(!found.is_empty(), "{kernel}: {report:#}");
        assert!(found.iter().all(|result| result["verdict"] == "pass"), "{kernel}: {found:#?}");
    }
    let checked = results(&report).into_iter().filter(|result| result["error"].is_number());
    assert!(checked.clone().count() >= 4, "{report:#}");
    // A reference that repeats the kernel's own rounding would agree exactly; one that is independent does not.
    assert!(checked.into_iter().all(|result| result["error"].as_f64() > Some(0.0)), "{report:#}");
    assert_eq!(list(&report, "host_links").len(), 3);
}

/// Other head sizes, groups and formats, which only a full run measures.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn the_kernels_that_only_a_full_run_measures_are_right() {
    let (code, report) =
        report(Card::Ampere.driver(), &["--only", "int4,attention"], &[("EMULATED_FREE_MIB", "10"), ("EMULATED_SMS", "2")]);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report:#}");
    let shapes: Vec<&str> = results(&report).into_iter().filter_map(|result| result["shape"].as_str()).collect();
    for part in ["128/8 heads of 128", "64/8 heads of 64", "64/8 heads of 256", "M=32", "M=64"] {
        assert!(shapes.iter().any(|shape| shape.contains(part)), "{part}: {shapes:#?}");
    }
}

/// The form for compute capability 9.0: tiles shared by clusters of blocks, fp8 converted by an instruction.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn the_kernels_of_hopper_are_right() {
    let (code, report) = report(
        Card::Hopper.driver(),
        &["--quick", "--only", "int4,fp8,attention,mla"],
        &[("EMULATED_SMS", "5"), ("EMULATED_FREE_MIB", "12")],
    );
    assert_eq!((code, ids(&report)), (0, vec![]), "{report:#}");
    let launches: Vec<(&str, &str)> =
        results(&report).into_iter().map(|result| (result["kernel"].as_str().unwrap(), result["launch"].as_str().unwrap())).collect();
    for launch in [
        ("int4-bf16", "overlapped"),
        ("fp8-bf16", "overlapped"),
        ("attention-bf16", "overlapped"),
        ("attention-e4m3", "overlapped"),
        ("mla-bf16", "overlapped"),
    ] {
        assert!(launches.contains(&launch), "{launch:?}: {launches:?}");
    }
}

/// The form for compute capability 9.0 and newer on a card with less shared memory, as those of 12.0 are.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn the_kernels_of_hopper_for_less_shared_memory_are_right() {
    let (code, report) = report(
        Card::Hopper.driver(),
        &["--quick", "--only", "attention"],
        &[("EMULATED_SHARED_KIB", "99"), ("EMULATED_SMS", "5"), ("EMULATED_FREE_MIB", "12")],
    );
    assert_eq!((code, ids(&report)), (0, vec![]), "{report:#}");
    let kernels: Vec<&str> = results(&report).into_iter().map(|result| result["kernel"].as_str().unwrap()).collect();
    assert!(["attention-bf16", "attention-e4m3"].iter().all(|kernel| kernels.contains(kernel)), "{kernels:?}");
}

/// The form for compute capability 7.5: no asynchronous copies, no bfloat16, 64 KiB of shared memory.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn the_kernels_of_turing_are_right() {
    let (code, report) = report(Card::Turing.driver(), &["--quick", "--only", "int4,fp8,attention,mla"], &[("EMULATED_FREE_MIB", "12")]);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report:#}");
    let kernels: Vec<&str> = results(&report).into_iter().map(|result| result["kernel"].as_str().unwrap()).collect();
    assert!(["int4-f16", "fp8-f16", "attention-f16", "attention-e4m3"].iter().all(|kernel| kernels.contains(kernel)), "{kernels:?}");
    // What this card cannot do says so, and is not wrong.
    let latent: Vec<&Value> =
        results(&report).into_iter().filter(|result| result["kernel"].as_str().unwrap().starts_with("mla-bf16")).collect();
    let refused = |result: &&Value| result["verdict"] == "skipped" && result["reason"].as_str().unwrap().contains("compute capability 8.0");
    assert!(latent.len() == 2 && latent.iter().all(refused), "{latent:#?}");
}

/// A fault in a kernel is noticed, and a wrong kernel reports no speed.
#[track_caller]
fn assert_caught(name: &str, kernel: &str, from: &str, to: &str) {
    assert_caught_on(Card::Ampere, name, kernel, from, to);
}

#[track_caller]
fn assert_caught_on(card: Card, name: &str, kernel: &str, from: &str, to: &str) {
    let family = match kernel {
        "w4a16" => "int4",
        "w8a16" => "fp8",
        "mla" => "mla",
        _ => "attention",
    };
    let driver = card.broken(name, kernel, from, to);
    // Two matrices of one tile with 8 bits a weight are 4 MiB; few latent rows are enough, and quicker.
    let memory = match family {
        "fp8" => "12",
        "mla" => "5",
        _ => "8",
    };
    let (code, report) = report(&driver, &["--quick", "--only", family], &[("EMULATED_FREE_MIB", memory)]);
    assert_eq!(code, 1, "{name}: {report:#}");
    assert!(ids(&report).contains(&"gpu-result-wrong"), "{name}: {report:#}");
    let wrong: Vec<_> = results(&report).into_iter().filter(|result| result["verdict"] == "wrong").collect();
    assert!(!wrong.is_empty() && wrong.iter().all(|result| result["gb_per_s"].is_null() && result["median_us"].is_null()), "{wrong:#?}");
}

/// Weights are read before they are there.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_missing_wait_is_caught() {
    let wait = "        copy_async_wait<STAGES - 2>();\n        __syncwarp(); // every lane's";
    assert_caught("wait", "w4a16", wait, "        __syncwarp(); // every lane's");
}

/// What of an fp8 weight's exponent is lost shows with the largest of them: usual ones do not have that bit.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_lost_bit_of_an_exponent_is_caught() {
    let from = "a[0] = and_or(top, 0x80008000u, (top >> 4) & 0x07f007f0u);";
    assert_caught("exponent", "w8a16", from, "a[0] = and_or(top, 0x80008000u, (top >> 4) & 0x03f003f0u);");
}

/// Rows of X are read that other threads have not stored.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_missing_barrier_is_caught() {
    assert_caught("barrier", "w4a16", "        __syncthreads();\n        buffer = ", "        buffer = ");
}

/// The 16-byte units of odd rows are read in the order in which they do not stand.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_wrong_permutation_is_caught() {
    assert_caught("permutation", "w4a16", "((all & 1) ? 16 - (r & 1) * 16 : (r & 1) * 16)", "((all & 1) ? 16 : 0)");
}

/// A product leaves the counter of a shared tile as it is, and the next product waits for nobody.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_counter_that_is_not_reset_is_caught() {
    assert_caught("counter", "w4a16", "if (lane == 0) *counter = 0;", "");
    assert_caught("counter-of-heads", "paged_attention", "if (shared_last) arrived[pair] = 0;", "");
}

/// A block of a cluster ends while others still write to its shared memory: the emulator stops there.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_missing_barrier_of_a_cluster_is_caught() {
    let driver = Card::Hopper.broken("cluster", "w4a16", "    cluster_wait(); // for the sums\n", "");
    let (code, report) = report(&driver, &["--quick", "--only", "int4"], &[]);
    assert_eq!((code, ids(&report)), (1, vec!["gpu-measurement-failed"]), "{report:#}");
}

/// Blocks of a cluster write their sums over each other's.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn sums_of_a_cluster_in_one_place_are_caught() {
    assert_caught_on(Card::Hopper, "ranks", "w4a16", "(part * SHARE + fragment % SHARE)", "(fragment % SHARE)");
}

/// Warps that have a part of k in common read X that others of them have not copied.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_missing_barrier_of_a_set_is_caught() {
    assert_caught_on(Card::Hopper, "set", "w4a16", "named_barrier(1 + (int)set, SET);", "");
}

/// What a warpgroup multiplies late is overwritten, or is not there yet: each of the waits between is needed.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn missing_waits_of_a_warpgroup_are_caught() {
    let caught = |name: &str, from: &str| assert_caught_on(Card::Hopper, name, "w4a16", from, "");
    caught("fragments", "if (product > 1) warpgroup_wait<1>();");
    caught("chunk", "if (in_chunk == 0) barrier_wait(there + chunk % X_CHUNKS * 8, chunk / X_CHUNKS & 1);");
    let in_use = "barrier_wait(left + (chunk + 1) % X_CHUNKS * 8, (chunk + 1 - X_CHUNKS) / X_CHUNKS & 1);";
    caught("chunk-in-use", &format!("if (chunk + 1 >= X_CHUNKS) {in_use}"));
    caught("copied", "    __syncwarp(); // the copies of all lanes are there\n");
}

/// The halves of a product's k change places.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn rows_that_are_dealt_out_wrongly_are_caught() {
    let (from, to) = ("store_shared_16(to + HALF_BYTES, make", "store_shared_16(to + PRODUCT_BYTES + HALF_BYTES / 2, make");
    assert_caught_on(Card::Hopper, "dealt", "w4a16", from, to);
}

/// The slots of a page past the newest token hold something, here not a number, and are multiplied with weights of zero.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_tail_that_is_not_zero_filled_is_caught() {
    assert_caught("tail", "paged_attention", "row < rows ? 16u : 0u", "16u");
}

/// A warp goes on with the page addresses of the tiles before.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn pages_that_are_not_looked_up_again_are_caught() {
    assert_caught("look-up", "paged_attention", "if (first == 0 && i && (i & 31) == 0) look_up(i);", "");
}

/// Latent attention with all heads of a model in blocks of 64, and with those of one rank of eight in one block.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn the_kernels_of_latent_attention_are_right() {
    let (code, report) = report(Card::Ampere.driver(), &["--quick", "--only", "mla"], &[("EMULATED_SMS", "5"), ("EMULATED_FREE_MIB", "6")]);
    assert_eq!((code, ids(&report)), (0, vec![]), "{report:#}");
    let found: Vec<(&str, bool)> =
        results(&report).into_iter().map(|result| (result["shape"].as_str().unwrap(), result["error"].as_f64() > Some(0.0))).collect();
    assert!(
        matches!(found.as_slice(), [(all, true), (rank, true)] if all.starts_with("128 heads") && rank.starts_with("16 heads")),
        "{found:?}"
    );
}

/// Warps of a block share the scores and weights of a step: each of the barriers between is needed.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn missing_barriers_of_latent_attention_are_caught() {
    assert_caught(
        "weights",
        "mla",
        "      __syncthreads(); // the weights and the next step are there, and all have left the step before\n",
        "",
    );
    assert_caught("scores", "mla", "      __syncthreads(); // the scores are there, and all have used the weights\n", "");
}

/// Chunks of latent rows are read from where others stand.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_wrong_permutation_of_latent_rows_is_caught() {
    assert_caught("latent", "mla", "^ ((n & 7) << 4)) + (n >> 3) * 128", "^ ((n & 7) << 4))");
}

/// Slots past the newest token are multiplied with weights of zero, and here are not numbers.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn a_tail_of_latent_rows_that_is_not_zero_filled_is_caught() {
    assert_caught("latent-tail", "mla", "row < rows ? 16u : 0u", "16u");
}

/// A block that begins inside a sequence has left its part in the slot of the range that it began with.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn parts_of_a_sequence_that_are_mixed_up_are_caught() {
    assert_caught("slots", "mla", "const u32 first_slot = ranges.start(first) < begin ? 1 : 0;", "const u32 first_slot = 0;");
}

/// Copies between two devices arrive.
#[test]
#[ignore = "needs a C++ compiler: `.ci/run` runs it"]
fn copies_between_devices_are_verified() {
    let (code, report) = report(Card::Ampere.driver(), &["--only", "peer"], &[("EMULATED_DEVICES", "2")]);
    assert_eq!(code, 0, "{report:#}");
    let peers: Vec<_> =
        list(&report, "peers").into_iter().map(|peer| (peer["from"].clone(), peer["to"].clone(), peer["verified"].clone())).collect();
    assert_eq!(peers, [(0.into(), 1.into(), true.into()), (1.into(), 0.into(), true.into())]);
}

/// Without a driver there is one error, nothing on stdout, and no success.
#[test]
fn without_a_driver_there_is_one_error() {
    let folder = scratch("none");
    fs_err::write(folder.join("libcuda.so.1"), "no library").unwrap();
    let output = bench(&folder, &[], &[]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{complaint}");
    assert!(complaint.starts_with("error: no GPU can be measured: `libcuda.so.1` cannot be loaded: "), "{complaint}");
    assert_eq!(complaint.matches("error").count(), 1, "{complaint}");
}
