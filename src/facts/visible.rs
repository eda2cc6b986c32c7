//! What `CUDA_VISIBLE_DEVICES` makes of the cards.

use schemars::JsonSchema;
use serde::Serialize;

use crate::capture::Capture;
use crate::facts::gpu::Gpu;
use crate::reading::Reading;

/// What `CUDA_VISIBLE_DEVICES` makes of the cards.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Visible {
    /// The variable as it is set.
    pub value: Reading<String>,
    /// Whether it hides every card on purpose: it is empty, or starts with `-1`.
    pub none: Reading<bool>,
    /// What is wrong with it, in words.
    pub problem: Reading<String>,
    /// How many cards it leaves.
    pub count: Reading<u64>,
    /// Whether it numbers cards in another order than `nvidia-smi`.
    pub reordered: Reading<bool>,
    /// Whether it names cards by UUID.
    pub by_uuid: Reading<bool>,
}

/// Reads the variable, and marks the cards that it leaves visible.
pub(super) fn read(capture: &Capture, gpus: &mut [Gpu]) -> Visible {
    let Some(value) = capture.variables.get("CUDA_VISIBLE_DEVICES") else {
        gpus.iter_mut().for_each(|gpu| gpu.visible = Reading::Known(gpu.listed));
        let count = gpus.iter().filter(|gpu| gpu.listed).count() as u64;
        return Visible { count: Reading::Known(count), none: Reading::Known(false), ..Visible::default() };
    };
    let entries: Vec<&str> = value.split(',').map(str::trim).collect();
    let none = matches!(entries.first(), None | Some(&"" | &"-1" | &"NoDevFiles"));
    let (shown, problem) = if none { (Vec::new(), None) } else { chosen(&entries, gpus) };
    for (place, gpu) in gpus.iter_mut().enumerate() {
        gpu.visible = Reading::Known(shown.contains(&place));
    }
    let names: Vec<_> = gpus.iter().filter_map(|gpu| gpu.name.known()).collect();
    let mixed = names.windows(2).any(|pair| pair[0] != pair[1]);
    let by_bus = capture.variables.get("CUDA_DEVICE_ORDER").is_some_and(|order| order == "PCI_BUS_ID");
    let by_number = entries.iter().any(|entry| entry.parse::<u64>().is_ok());
    Visible {
        value: Reading::Known(value.clone()),
        none: Reading::Known(none),
        problem: Reading::from(problem),
        count: Reading::Known(shown.len() as u64),
        reordered: Reading::Known(mixed && !by_bus && by_number),
        by_uuid: Reading::Known(entries.iter().any(|entry| entry.starts_with("GPU-") || entry.starts_with("MIG-"))),
    }
}

/// The places of the cards that are named, and what is wrong. The first entry that names no card hides itself and all
/// behind it; a card that is named twice hides every card.
fn chosen(entries: &[&str], gpus: &[Gpu]) -> (Vec<usize>, Option<String>) {
    let listed: Vec<usize> = gpus.iter().enumerate().filter(|(_, gpu)| gpu.listed).map(|(place, _)| place).collect();
    if listed.is_empty() {
        return (Vec::new(), None);
    }
    let mut shown = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        let hides = || if number == 0 { "so every card is hidden".to_owned() } else { "so it and all behind it are hidden".to_owned() };
        if entry.starts_with("MIG-") {
            return (listed, None);
        }
        let place = match entry.parse::<i64>() {
            Ok(index) if index < 0 => {
                return (shown, (number + 1 < entries.len()).then(|| format!("`{entry}` ends the list, {}", hides())));
            }
            Ok(index) => match usize::try_from(index).ok().and_then(|index| listed.get(index)) {
                Some(place) => *place,
                None => {
                    let last = listed.len() - 1;
                    return (shown, Some(format!("there is no card {index}; the last one is {last}, {}", hides())));
                }
            },
            Err(_) => match named(entry, gpus).as_slice() {
                [place] => *place,
                [] => return (shown, Some(format!("no card is called `{entry}`, {}", hides()))),
                _ => return (shown, Some(format!("`{entry}` fits more than one card, {}", hides()))),
            },
        };
        if shown.contains(&place) {
            return (Vec::new(), Some(format!("`{entry}` names a card twice, so every card is hidden")));
        }
        shown.push(place);
    }
    (shown, None)
}

/// The cards whose UUID starts with the entry.
fn named(entry: &str, gpus: &[Gpu]) -> Vec<usize> {
    let fits = |gpu: &Gpu| entry.starts_with("GPU-") && gpu.uuid.known().is_some_and(|uuid| uuid.starts_with(entry));
    gpus.iter().enumerate().filter(|(_, gpu)| fits(gpu)).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(value: &str) -> (u64, Option<String>) {
        let gpu = |index: u64| Gpu { index, listed: true, uuid: Reading::Known(format!("GPU-{index}aaa")), ..Gpu::default() };
        let mut gpus: Vec<Gpu> = (0..4).map(gpu).collect();
        let mut capture = Capture::default();
        capture.variables.insert("CUDA_VISIBLE_DEVICES".to_owned(), value.to_owned());
        let visible = read(&capture, &mut gpus);
        (visible.count.into_known().unwrap_or(9), visible.problem.into_known())
    }

    #[test]
    fn a_list_of_cards_is_read_as_cuda_reads_it() {
        assert_eq!(problem("2,3"), (2, None));
        assert_eq!(problem("GPU-2,GPU-0aaa"), (2, None));
        assert_eq!(problem(""), (0, None));
        assert_eq!(problem("0,2,-1,1"), (2, Some("`-1` ends the list, so it and all behind it are hidden".to_owned())));
        assert_eq!(problem("0,4"), (1, Some("there is no card 4; the last one is 3, so it and all behind it are hidden".to_owned())));
        assert_eq!(problem("1,1"), (0, Some("`1` names a card twice, so every card is hidden".to_owned())));
        assert_eq!(problem("GPU-9"), (0, Some("no card is called `GPU-9`, so every card is hidden".to_owned())));
    }
}
