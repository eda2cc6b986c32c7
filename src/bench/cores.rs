//! References are computed on all cores, and large data is written and compared on them.

/// Most threads: more do not pay for the work that there is.
const MOST: usize = 16;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MOST)
}

/// Applies `work` to shares of `items`, one for each thread, with the number of the share's first item. None where a thread died.
pub(super) fn on_shares<T: Send, R: Send>(items: &mut [T], work: impl Fn(usize, &mut [T]) -> R + Sync) -> Option<Vec<R>> {
    let share = items.len().div_ceil(threads()).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            items.chunks_mut(share).enumerate().map(|(part, items)| scope.spawn(move || work(part * share, items))).collect();
        parts.into_iter().map(|part| part.join().ok()).collect()
    })
}

/// Applies `work` to every item, on several threads; results in the order of the items. None for a part whose thread died.
pub(super) fn on_all<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Option<Vec<R>> {
    let share = items.len().div_ceil(threads()).max(1);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every item is worked on once, with its own number.
    #[test]
    fn shares_are_all_items() {
        let mut items = vec![0; 1000];
        let counts = on_shares(&mut items, |first, share| {
            (first..).zip(&mut *share).for_each(|(index, item)| *item += index);
            share.len()
        });
        assert_eq!(counts.map(|counts| counts.iter().sum::<usize>()), Some(1000));
        assert!(items.iter().enumerate().all(|(index, item)| index == *item));
        assert_eq!(on_shares(&mut Vec::<u32>::new(), |_, share| share.len()), Some(Vec::new()));
    }
}
