//! How names are compared: people type `RTX-4090`, `rtx 4090` and `4090`.

/// `text` without case, spaces and separators: equal for every usual way to write one name. Dots and plus signs stay,
/// because `1.3b` is not `13b` and `command-r+` is not `command-r`.
pub(super) fn fold(text: &str) -> String {
    folded(text).collect()
}

/// Whether [`fold`] makes `folded_name` of `text`.
pub(super) fn folds_to(text: &str, folded_name: &str) -> bool {
    folded(text).eq(folded_name.chars())
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, '.' | '+')).map(|c| c.to_ascii_lowercase())
}

/// Up to three of `known` that resemble `name`, the nearest first.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = fold(name);
    let mut scored: Vec<(f64, &str)> = known
        .map(|candidate| {
            let folded = fold(candidate);
            let tail = candidate.rsplit('/').next().map_or(0.0, |tail| strsim::jaro_winkler(&wanted, &fold(tail)));
            (strsim::jaro_winkler(&wanted, &folded).max(tail), candidate)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, candidate)| candidate.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_case_do_not_matter() {
        assert_eq!(fold("RTX-4090"), fold("rtx 4090"));
        assert!(folds_to("RTX-4090", "rtx4090") && !folds_to("RTX-4090", "rtx409") && !folds_to("RTX-409", "rtx4090"));
    }

    #[test]
    fn the_nearest_name_comes_first() {
        assert_eq!(nearest("rtx 409", ["rtx 4090", "l40s", "t4"].into_iter())[0], "rtx 4090");
    }
}
