//! What torch says when an allocation fails, in the words of each of its versions.

use crate::startup::printed::{Printed, after, between, count, number, size};
use crate::units::Bytes;

/// A failed allocation, as torch reports it. `None` is a figure that this version does not print.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutOfMemory {
    /// The line, counted from 1.
    pub line: u64,
    /// The device, by torch's own count.
    pub device: Option<u64>,
    /// What was asked for.
    pub tried: Option<Printed>,
    /// The device's memory, as `cudaMemGetInfo` gives it.
    pub total: Option<Printed>,
    /// What the device had left.
    pub free: Option<Printed>,
    /// What this process held, the context and other libraries included.
    pub in_use: Option<Printed>,
    /// What other processes held, by process id, as far as torch may see them.
    pub others: Vec<(u64, Printed)>,
    /// What torch's tensors held, graph pools included.
    pub allocated: Option<Printed>,
    /// The part of it in private pools, which are those of CUDA graphs.
    pub in_pools: Option<Printed>,
    /// What torch's allocator kept beside its tensors.
    pub unallocated: Option<Printed>,
    /// The limit of a memory fraction, where the process set one.
    pub allowed: Option<Printed>,
}

impl OutOfMemory {
    /// Reads the message; `None` where `text` has none.
    pub(super) fn read(text: &str, line: u64) -> Option<Self> {
        let message = text.get(text.find("out of memory. Tried to allocate")?..)?;
        let after_size = |words: &str| after(message, words).and_then(|rest| size(rest, line));
        let mut read = Self { line, tried: after_size("Tried to allocate"), ..Self::default() };
        if let Some(figures) = between(message, "(GPU ", ")") {
            read.until_2_0(figures, line);
            return Some(read);
        }
        read.device = between(message, "GPU ", " has a total").and_then(count);
        // 2.1 spells it so.
        read.total = after_size("total capacity of").or_else(|| after_size("total capacty of"));
        read.free = after_size("of which");
        read.in_use = after_size("this process has");
        read.allocated = after_size("Of the allocated memory");
        read.in_pools = after_size("is allocated by PyTorch, with");
        read.unallocated = before(message, "is reserved by PyTorch but unallocated", line);
        read.allowed = before(message, "allowed;", line);
        read.others = others(message, line);
        Some(read)
    }

    /// `GPU 0; 23.69 GiB total capacity; 21.98 GiB already allocated; 1.69 MiB free; 22.04 GiB reserved in total by PyTorch`:
    /// what is reserved there includes what is allocated.
    fn until_2_0(&mut self, figures: &str, line: u64) {
        let mut reserved = None;
        for figure in figures.split(';') {
            let printed = size(figure, line);
            match figure.trim() {
                text if text.ends_with("total capacity") => self.total = printed,
                text if text.ends_with("already allocated") => self.allocated = printed,
                text if text.ends_with("free") => self.free = printed,
                text if text.ends_with("allowed") => self.allowed = printed,
                text if text.contains("reserved in total") => reserved = printed,
                text => self.device = self.device.or_else(|| count(text)),
            }
        }
        if let (Some(reserved), Some(allocated)) = (reserved, self.allocated) {
            self.unallocated = Some(Printed { bytes: (reserved.bytes - allocated.bytes).max(0), ..reserved });
        }
    }

    /// What others held: the processes that torch names, or, where it cannot see them, what neither this process nor the
    /// free memory accounts for. `None` where the message has too few figures.
    pub fn held_by_others(&self) -> Option<Bytes> {
        let listed: Bytes = self.others.iter().filter_map(|(_, held)| held.size()).sum();
        let total = self.total?.size()?;
        let rest = total - self.free?.size()? - self.in_use?.size()?;
        // Rounding, and what the driver keeps for itself, is not another process.
        let rest = if rest > Bytes::from_mib(64) { rest } else { Bytes::ZERO };
        Some(listed.max(rest).min(total))
    }

    /// What this process held outside torch: its context, communicators, and what the driver keeps of captured graphs.
    pub fn outside_torch(&self) -> Option<Bytes> {
        let torch = self.allocated?.size()? + self.unallocated?.size()?;
        self.in_use?.size()?.checked_sub(torch)
    }

    /// By how much the device was short of the allocation, with all that torch could have given back.
    pub fn short_by(&self) -> Option<Bytes> {
        Some(self.tried?.size()? - self.free?.size()?)
    }

    /// Whether every figure is one that this device can have.
    pub(super) fn is_sound(&self) -> bool {
        let Some(total) = self.total.and_then(Printed::size) else { return true };
        let parts = [self.free, self.in_use, self.allocated, self.in_pools, self.unallocated];
        total > Bytes::ZERO && parts.into_iter().flatten().all(|part| part.size().is_some_and(|part| part <= total + Bytes::from_mib(16)))
    }
}

/// The size that stands before `words`.
fn before(text: &str, words: &str, line: u64) -> Option<Printed> {
    let head = text.get(..text.find(words)?)?.trim_end();
    let unit = head.rfind(' ')?;
    let start = head.get(..unit)?.rfind(' ').map_or(0, |at| at + 1);
    size(head.get(start..)?, line)
}

/// `Process 123 has 14.26 GiB memory in use.`, once for each process that torch sees.
fn others(message: &str, line: u64) -> Vec<(u64, Printed)> {
    let mut rest = message;
    let mut found = Vec::new();
    while let Some(tail) = after(rest, "Process ") {
        let held = number(tail).and_then(|(id, behind)| Some((id.parse().ok()?, size(behind.strip_prefix(" has")?, line)?)));
        found.extend(held);
        rest = tail;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> OutOfMemory {
        OutOfMemory::read(text, 7).expect("a message")
    }

    fn mib(printed: Option<Printed>) -> f64 {
        printed.map_or(f64::NAN, |printed| printed.bytes as f64 / 1_048_576.0)
    }

    #[test]
    fn torch_1_13_to_2_0() {
        let oom = read(
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 1; 23.69 GiB total capacity; 21.98 GiB already \
             allocated; 1.69 MiB free; 22.04 GiB reserved in total by PyTorch) If reserved memory is >> allocated memory try setting \
             max_split_size_mb to avoid fragmentation.  See documentation for Memory Management and PYTORCH_CUDA_ALLOC_CONF",
        );
        assert_eq!((oom.device, oom.line), (Some(1), 7));
        assert_eq!([mib(oom.tried), mib(oom.free)], [20.0, 1.69].map(|mib: f64| (mib * 1_048_576.0).round() / 1_048_576.0));
        assert!((mib(oom.total) - 23.69 * 1024.0).abs() < 0.01 && (mib(oom.unallocated) - 61.44).abs() < 0.01, "{oom:?}");
        assert_eq!(oom.held_by_others(), None, "this version does not say what the process held");
    }

    #[test]
    fn torch_2_1_misspells_capacity() {
        let oom = read(
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 8.00 GiB. GPU 0 has a total capacty of 23.69 GiB of which \
             7.11 GiB is free. Process 2007 has 256.00 MiB memory in use. Including non-PyTorch memory, this process has 16.31 GiB memory in \
             use. Of the allocated memory 16.01 GiB is allocated by PyTorch, and 7.47 MiB is reserved by PyTorch but unallocated.",
        );
        assert_eq!(mib(oom.tried), 8192.0);
        assert!((mib(oom.total) - 23.69 * 1024.0).abs() < 0.01);
        assert_eq!(oom.others.len(), 1);
        assert_eq!(oom.held_by_others(), Some(Bytes::from_gib(23.69) - Bytes::from_gib(7.11) - Bytes::from_gib(16.31)));
    }

    #[test]
    fn torch_2_2_and_later_with_graph_pools() {
        let oom = read(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 896.00 MiB. GPU 0 has a total capacity of 31.48 GiB of which \
             511.69 MiB is free. Including non-PyTorch memory, this process has 30.97 GiB memory in use. Of the allocated memory 27.98 GiB is \
             allocated by PyTorch, with 619.88 MiB allocated in private pools (e.g., CUDA Graphs), and 92.21 MiB is reserved by PyTorch but \
             unallocated. If reserved but unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        );
        assert!((mib(oom.in_pools) - 619.88).abs() < 0.01 && (mib(oom.unallocated) - 92.21).abs() < 0.01, "{oom:?}");
        assert!((mib(oom.allocated) - 27.98 * 1024.0).abs() < 0.01);
        assert_eq!(oom.held_by_others(), Some(Bytes::ZERO));
        assert!(oom.outside_torch().is_some_and(|rest| (2.85..2.95).contains(&rest.gib())));
        assert!(oom.is_sound());
    }

    // In a container torch sees the other processes by numbers that mean nothing, and cannot ask how much they hold.
    #[test]
    fn processes_of_other_containers_are_what_is_missing() {
        let oom = read(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has a total capacity of 79.18 GiB of which 1.02 GiB is free. Process 1 has \
             17179869184.00 GiB memory in use. Process 4 has 17179869184.00 GiB memory in use. Including non-PyTorch memory, this process has \
             17179869184.00 GiB memory in use. Of the allocated memory 37.20 GiB is allocated by PyTorch, and 82.01 MiB is reserved by PyTorch \
             but unallocated.",
        );
        assert_eq!((oom.device, oom.others.len(), oom.in_use), (Some(3), 0, None));
        assert_eq!(oom.held_by_others(), None);
    }

    #[test]
    fn a_memory_fraction_is_a_limit() {
        let oom = read(
            "CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of 79.10 GiB of which 60.00 GiB is free. 10.00 GiB \
             allowed; Of the allocated memory 9.90 GiB is allocated by PyTorch, and 10.00 MiB is reserved by PyTorch but unallocated.",
        );
        assert_eq!(mib(oom.allowed), 10_240.0);
    }

    #[test]
    fn other_texts_have_no_such_message() {
        assert_eq!(OutOfMemory::read("CUDA out of memory occurred when warming up sampler with 256 dummy requests.", 1), None);
        assert_eq!(OutOfMemory::read("", 1), None);
    }
}
