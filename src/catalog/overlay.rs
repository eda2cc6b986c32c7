//! How later rule files win over earlier ones: entry by entry, by id.

use super::cuda::Cuda;
use super::device::Devices;
use super::libraries::Libraries;
use super::memory_rule::MemoryRules;
use super::quantization::Quantizations;
use super::sign::Signs;
use super::torch::Torch;

/// Adds `rows` to `all`; a row whose key is there already takes the place of the old one.
pub(super) fn merge<T, K: PartialEq>(all: &mut Vec<T>, rows: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) {
    let before = all.len();
    for row in rows {
        let id = key(&row);
        match all[..before].iter().position(|known| key(known) == id) {
            Some(place) => all[place] = row,
            None => all.push(row),
        }
    }
}

/// Lays `over` over `all`, row by row.
pub(super) fn merge_cuda(all: &mut Cuda, over: Cuda) {
    merge(&mut all.family, over.family, |row| row.major);
    merge(&mut all.toolkit, over.toolkit, |row| row.version.clone());
    merge(&mut all.branch, over.branch, |row| row.branch);
    merge(&mut all.generation, over.generation, |row| row.name.clone());
    merge(&mut all.forward_compatibility, over.forward_compatibility, |row| row.libraries.clone());
    merge(&mut all.note, over.note, |row| row.id.clone());
}

/// Lays `over` over `all`, row by row.
pub(super) fn merge_torch(all: &mut Torch, over: Torch) {
    merge(&mut all.release, over.release, |row| row.torch.clone());
    merge(&mut all.triton, over.triton, |row| row.version.clone());
    merge(&mut all.note, over.note, |row| row.id.clone());
}

/// Lays `over` over `all`, table by table.
pub(super) fn merge_devices(all: &mut Devices, over: Devices) {
    all.vgpu = over.vgpu.or(all.vgpu.take());
    all.generic = over.generic.or(all.generic.take());
    all.cuda_total = over.cuda_total.or(all.cuda_total.take());
}

/// Lays `over` over `all`: families by id, the other rows come behind.
pub(super) fn merge_libraries(all: &mut Libraries, over: Libraries) {
    merge(&mut all.family, over.family, |row| row.id.clone());
    all.driver.extend(over.driver);
    merge(&mut all.opened, over.opened, |row| row.by.clone());
    all.extension.extend(over.extension);
    merge(&mut all.kernels, over.kernels, |row| row.package.clone());
    all.watched.extend(over.watched);
}

/// Lays `over` over `all`, row by row.
pub(super) fn merge_quantizations(all: &mut Quantizations, over: Quantizations) {
    merge(&mut all.scheme, over.scheme, |row| row.id.clone());
    merge(&mut all.ggml_type, over.ggml_type, |row| row.name.clone());
}

/// Lays `over` over `all`, row by row.
pub(super) fn merge_signs(all: &mut Signs, over: Signs) {
    merge(&mut all.ready, over.ready, |row| row.regex.clone());
    merge(&mut all.failure, over.failure, |row| row.regex.clone());
}

/// Lays `over` over `all`: its rows come behind, and the last row that holds for a version counts.
pub(super) fn merge_memory(all: &mut MemoryRules, over: MemoryRules) {
    all.accounting.extend(over.accounting);
    all.gpu_memory_utilization.extend(over.gpu_memory_utilization);
    all.requested_rounding.extend(over.requested_rounding);
    all.startup_free_check.extend(over.startup_free_check);
    all.before_snapshot.extend(over.before_snapshot);
    all.graph_estimate_subtracted.extend(over.graph_estimate_subtracted);
    all.graph_estimate_exists.extend(over.graph_estimate_exists);
    all.graph_estimate_v2.extend(over.graph_estimate_v2);
    all.combo_kernels_timed.extend(over.combo_kernels_timed);
    all.gptq_reads_headers.extend(over.gptq_reads_headers);
    all.large_tensors_rounded.extend(over.large_tensors_rounded);
    all.null_block_reserved.extend(over.null_block_reserved);
    all.max_model_len_auto.extend(over.max_model_len_auto);
    all.batch_defaults.extend(over.batch_defaults);
    all.block_size.extend(over.block_size);
    all.latent_block_size.extend(over.latent_block_size);
    all.capture_sizes.extend(over.capture_sizes);
    all.cudagraph_mode.extend(over.cudagraph_mode);
    all.async_scheduling.extend(over.async_scheduling);
    all.window_in_flight.extend(over.window_in_flight);
    all.printed_tokens.extend(over.printed_tokens);
    all.printed_concurrency.extend(over.printed_concurrency);
    all.hybrid_grouping.extend(over.hybrid_grouping);
    all.sampler.extend(over.sampler);
    all.attention_workspace.extend(over.attention_workspace);
    all.cpu_offload.extend(over.cpu_offload);
    all.online_quantization.extend(over.online_quantization);
    all.vocabulary_padding.extend(over.vocabulary_padding);
}
