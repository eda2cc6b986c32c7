//! All-reduces over all devices by the NCCL that serving would use.
//!
//! Each rank is a process with a device of its own, as in the engines: transports between processes (peer access through CUDA
//! IPC, shared memory in `/dev/shm`) are what breaks, and threads of one process would not use them. A rank that hangs or
//! crashes is ended without the others, and all of them end at the deadline.

#![expect(clippy::disallowed_methods, reason = "a variable of NCCL tells what the first run will be")]

mod library;
mod rank;
mod ranks;

pub(super) use rank::run as rank;

use super::Request;
use crate::measurement::Device;
use crate::measurement::collective::{Collective, Ending, Library};

/// The word after [`super::WORD`] that makes a process a rank.
pub(super) const WORD: &str = "rank";
/// NCCL's switch for peer access.
pub(super) const WITHOUT_P2P: &str = "NCCL_P2P_DISABLE";

/// Reduces over `devices` with `library`; where that fails, once more without peer access, which tells whether that is why.
/// `progress` is told what comes next.
pub fn measure(devices: &[Device], library: Result<Library, String>, request: &Request, progress: impl Fn(&str)) -> Collective {
    let numbers: Vec<u32> = devices.iter().map(|device| device.index).collect();
    if devices.len() < 2 {
        return Collective::skipped(numbers, "an all-reduce needs two GPUs or more, and one is measured");
    }
    let library = match library {
        Ok(library) => library,
        Err(reason) => return Collective::skipped(numbers, reason),
    };
    let already = std::env::var_os(WITHOUT_P2P).is_some_and(|value| value != "0");
    progress(&format!("measuring nccl of {} GPUs", devices.len()));
    let (first, version) = ranks::run(devices, &library.path, request, already);
    let library = Library { version: version.map(crate::measurement::collective::version), ..library };
    if let Some(stop) = first.stop.as_ref().filter(|stop| stop.ending == Ending::Impossible) {
        return Collective { library: Some(library), ..Collective::skipped(numbers, stop.reason.clone()) };
    }
    let mut runs = vec![first];
    if !already && runs.iter().any(|run| !run.is_good()) {
        progress("measuring nccl again, without peer access");
        runs.push(ranks::run(devices, &library.path, request, true).0);
    }
    Collective { devices: numbers, library: Some(library), runs, skipped: None }
}

/// What the parent tells the ranks when all of them are ready.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// The group's name in hexadecimal.
    group: String,
    /// The seed of all data.
    seed: u32,
    /// Bytes of the largest all-reduce.
    most: u64,
}

impl Word {
    fn text(&self) -> String {
        format!("{} {} {}\n", self.group, self.seed, self.most)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let word = Self { group: words.next()?.to_owned(), seed: words.next()?.parse().ok()?, most: words.next()?.parse().ok()? };
        words.next().is_none().then_some(word)
    }
}

/// Sizes of all-reduces in bytes, from that of one token's hidden state to that of a long prompt's.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    quick: bool,
    most: usize,
}

impl Sizes {
    const SMALLEST: usize = 8 << 10;
    const LARGEST: usize = 256 << 20;
    const LARGEST_QUICK: usize = 32 << 20;

    /// All of them: each four times the one before, and the largest that there is room for.
    fn all(self) -> Vec<usize> {
        let step = if self.quick { 16 } else { 4 };
        let mut sizes: Vec<usize> =
            std::iter::successors(Some(Self::SMALLEST), |size| Some(size * step)).take_while(|size| *size < self.most).collect();
        sizes.push(self.most);
        sizes
    }

    /// The largest where so many bytes are free on the device that has the fewest.
    fn most(quick: bool, free: u64) -> u64 {
        let wanted = if quick { Self::LARGEST_QUICK } else { Self::LARGEST };
        // Two buffers and what the library takes of its own.
        (wanted as u64).min(free / 8) / 4096 * 4096
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full run goes from 8 KiB to 256 MiB, a quick one to 32 MiB, and little memory ends both earlier.
    #[test]
    fn sizes_are_as_large_as_there_is_room_for() {
        let of = |quick, free| Sizes { quick, most: Sizes::most(quick, free) as usize }.all();
        assert_eq!(of(false, 80 << 30).len(), 9);
        assert_eq!(of(false, 80 << 30).last(), Some(&(256 << 20)));
        assert_eq!(of(true, 80 << 30), [8 << 10, 128 << 10, 2 << 20, 32 << 20]);
        assert_eq!(of(true, 4 << 20), [8 << 10, 128 << 10, 512 << 10]);
    }

    /// What the parent says is understood, and nothing else is.
    #[test]
    fn the_parents_word_is_understood() {
        let word = Word { group: "00ff".to_owned(), seed: 7, most: 8192 };
        assert_eq!(Word::parse(&word.text()), Some(word));
        assert_eq!(["", "00ff 7", "00ff seven 8192", "00ff 7 8192 9"].map(Word::parse), [None, None, None, None]);
    }
}
