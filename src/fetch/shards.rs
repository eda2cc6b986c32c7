//! The tensor headers of one safetensors file, or of all shards of a checkpoint at once.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::FetchError;
use super::prefix::{LocalFile, Prefix};
use crate::model::headers::TensorHeader;
use crate::model::safetensors::{self, Index, LENGTH_BYTES};
use crate::units::Bytes;

/// The headers of a file on disk.
pub(super) fn read_local(path: &Path) -> Result<Vec<TensorHeader>, FetchError> {
    /// Covers most headers in one read without costing much where they are short.
    const FIRST_READ: u64 = 64 << 10;
    read(&mut LocalFile::open(path)?, FIRST_READ)
}

/// The headers of a safetensors file, of which `first` bytes are asked for at once.
pub(super) fn read(file: &mut dyn Prefix, first: u64) -> Result<Vec<TensorHeader>, FetchError> {
    file.grow(first)?;
    let invalid = |file: &dyn Prefix, problem| FetchError::InvalidSafetensors { place: file.place().to_owned(), problem };
    let length = safetensors::header_length(file.bytes()).map_err(|problem| invalid(file, problem))?;
    file.grow(LENGTH_BYTES + length)?;
    safetensors::parse(file.bytes(), file.size()).map_err(|problem| invalid(file, problem))
}

/// Reads all shards, `workers` at a time, and joins them in the order given. The first error wins.
pub(super) fn read_all(
    shards: &[String],
    workers: usize,
    read_one: &(dyn Fn(&str) -> Result<Vec<TensorHeader>, FetchError> + Sync),
) -> Result<Vec<Vec<TensorHeader>>, FetchError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicUsize::new(usize::MAX);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(shard) = shards.get(number).filter(|_| number < failed.load(Ordering::Relaxed)) else { return done };
            let headers = read_one(shard);
            if headers.is_err() {
                failed.fetch_min(number, Ordering::Relaxed);
            }
            done.push((number, headers));
        }
    };
    let mut results = if workers <= 1 || shards.len() <= 1 {
        work()
    } else {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..workers.min(shards.len())).map(|_| scope.spawn(work)).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            threads.into_iter().flat_map(join).collect()
        })
    };
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, headers)| headers).collect()
}

/// All shards' tensors as one list, each name once, with notes on what does not agree.
pub(super) fn join(shards: Vec<Vec<TensorHeader>>, index: Option<&Index>, notes: &mut Vec<String>) -> Vec<TensorHeader> {
    let mut tensors: Vec<TensorHeader> = shards.into_iter().flatten().collect();
    let total = tensors.len();
    let unique = tensors.iter().map(|tensor| tensor.name.as_str()).collect::<HashSet<_>>().len();
    if unique < total {
        let mut seen = HashSet::with_capacity(unique);
        tensors.retain(|tensor| seen.insert(tensor.name.clone()));
        notes.push(format!("{} tensors stand in more than one shard and are counted once", total - unique));
    }
    if let Some(index) = index {
        compare(&tensors, index, notes);
    }
    tensors
}

fn compare(tensors: &[TensorHeader], index: &Index, notes: &mut Vec<String>) {
    if index.tensors != tensors.len() {
        notes.push(format!("the index names {} tensors, the shards hold {}", index.tensors, tensors.len()));
    }
    let stored: Bytes = tensors.iter().map(|tensor| tensor.bytes).sum();
    match index.total_size {
        Some(total) if total != stored => {
            notes.push(format!("the index speaks of {} bytes, the shards hold {}; the shards count", total.0, stored.0));
        }
        _ => {}
    }
}
