//! References are computed on all cores.

/// Most threads: more do not pay for the work that there is.
const MOST: usize = 16;

/// Applies `work` to every item, on several threads; results in the order of the items. None for a part whose thread died.
pub(super) fn on_all<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Option<Vec<R>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
    let share = items.len().div_ceil(threads).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let parts: Vec<_> = items.chunks(share).map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>())).collect();
        let mut results = Vec::with_capacity(items.len());
        for part in parts {
            results.extend(part.join().ok()?);
        }
        Some(results)
    })
}
