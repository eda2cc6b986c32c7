//! What the decode steps of attention have in common: how pages are given out, how a step that does not fit gets smaller, and how one
//! is timed and checked.

use super::deviation::Deviation;
use super::driver::{Error, Order};
use super::workbench::{Workbench, sample};
use crate::measurement::Report;

/// What is said of a step.
pub(super) struct Named {
    /// The kernel's id.
    pub(super) kernel: String,
    /// What it works on.
    pub(super) shape: String,
    /// Bytes that a launch has to move.
    pub(super) bytes: usize,
    /// Floating-point operations of a launch.
    pub(super) flops: u64,
    /// The largest deviation that is right.
    pub(super) error_limit: f64,
    /// Why it is smaller than it should be, where it is.
    pub(super) note: Option<String>,
}

/// A step that is ready to run.
pub(super) struct Ready<'r> {
    /// Sets of pages that take turns.
    pub(super) sets: usize,
    /// Whether launches can overlap, too.
    pub(super) overlap: bool,
    /// The result of one launch over outputs that were poisoned.
    pub(super) run: &'r dyn Fn(Order) -> Result<Vec<u16>, Error>,
    /// One launch with the pages of that turn.
    pub(super) launch: &'r dyn Fn(usize, Order) -> Result<(), Error>,
}

/// Times a step, and reports it with what `check` says of its result and `small` of smaller ones.
pub(super) fn time(
    bench: &Workbench<'_>,
    named: &Named,
    ready: &Ready<'_>,
    small: &Deviation,
    check: impl FnOnce(&[u16]) -> Deviation + Send,
) -> Result<(), Error> {
    let result = (ready.run)(Order::After)?;
    let orders: &[Order] = if ready.overlap { &[Order::After, Order::Overlapped] } else { &[Order::After] };
    // The reference is computed while the device is timed.
    let (checked, timed) = std::thread::scope(|scope| {
        let reference = scope.spawn(|| check(&result));
        let timed: Vec<_> = orders.iter().map(|order| bench.time(ready.sets, |turn| (ready.launch)(turn, *order))).collect();
        (Deviation::of_thread(reference), timed)
    });
    for (order, timing) in orders.iter().zip(timed) {
        let timing = timing?;
        let same = if (ready.run)(*order)? == result {
            Deviation::default()
        } else {
            Deviation::fault("the result after the timed launches is another one")
        };
        let mut sample = sample(&named.kernel, named.shape.clone(), (*order).into(), named.bytes, timing);
        small.clone().worse(checked.clone()).worse(same).into_sample(&mut sample, named.error_limit);
        sample.flops = Some(named.flops);
        sample.note.clone_from(&named.note);
        sample.reduced = named.note.is_some();
        bench.say(Report::Sample(Box::new(sample)));
    }
    Ok(())
}

/// Sequences for people: how many, and of what length.
pub(super) fn sequences(lengths: &[usize]) -> String {
    format!("{}×{}", lengths.len(), lengths.first().copied().unwrap_or(0))
}

/// What to know of a step with `lengths` in place of those that were wanted.
pub(super) fn note(lengths: &[usize], wanted: &[usize]) -> Option<String> {
    let less = || format!("{} tokens instead of {}, because too little memory is free", sequences(lengths), sequences(wanted));
    (lengths != wanted).then(less)
}

/// Sequences of half the length, or half as many where they are short already; none where it is one.
pub(super) fn halved(lengths: &[usize], page: usize) -> Option<Vec<usize>> {
    let (count, length) = (lengths.len(), lengths.first().copied().unwrap_or(0));
    if length > 4 * page { Some(vec![length / 2; count]) } else { (count > 1).then(|| vec![length; count / 2]) }
}

/// A page table with `row` entries for each sequence, filled from `pages`.
pub(super) fn table(lengths: &[usize], row: usize, page: usize, pages: &mut impl Iterator<Item = i32>) -> Vec<i32> {
    let mut table = vec![0; lengths.len() * row];
    for (row, length) in table.chunks_mut(row).zip(lengths) {
        row.iter_mut().zip(pages.by_ref().take(length.div_ceil(page))).for_each(|(entry, page)| *entry = page);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sequences get shorter first, then fewer.
    #[test]
    fn sequences_get_shorter_and_then_fewer() {
        assert_eq!(halved(&[256, 256], 16), Some(vec![128, 128]));
        assert_eq!(halved(&[64, 64], 16), Some(vec![64]));
        assert_eq!(halved(&[64], 16), None);
        assert_eq!(note(&[128; 2], &[256; 2]).as_deref(), Some("2×128 tokens instead of 2×256, because too little memory is free"));
        assert_eq!(note(&[1], &[1]), None);
    }

    /// Every sequence gets the pages that it needs, in its row.
    #[test]
    fn pages_are_given_out_in_order() {
        assert_eq!(table(&[17, 16], 3, 16, &mut (7..)), [7, 8, 0, 9, 0, 0]);
    }
}
