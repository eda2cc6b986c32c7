//! Texts that every match of an expression contains. They are looked for first, all at once: a line that holds none of
//! them is never matched.

use regex_syntax::hir::{Class, Hir, HirKind};

/// The shortest text that is worth looking for.
const SHORTEST: usize = 3;

/// The most alternatives that stand for one expression.
const MOST: usize = 24;

/// Texts, in ASCII lower case, of which each match of `expression` contains at least one whatever its case. `given` is what
/// the rule itself names.
///
/// # Errors
/// When the expression is none, or when a match need not contain any text.
pub fn of(expression: &str, given: Option<&str>) -> Result<Vec<String>, String> {
    let hir = regex_syntax::parse(expression).map_err(|error| format!("not a regular expression: {}", one_line(&error.to_string())))?;
    if let Some(given) = given.filter(|given| given.len() >= SHORTEST) {
        return Ok(vec![given.to_ascii_lowercase()]);
    }
    match required(&hir) {
        Some(set) if worth(&set) >= SHORTEST => Ok(set),
        _ => Err(format!(
            "no text of {SHORTEST} or more letters is part of every match; add one to the expression, or name it with `literal`"
        )),
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The length of the shortest text: how well a set tells lines apart.
fn worth(set: &[String]) -> usize {
    set.iter().map(String::len).min().unwrap_or(0)
}

/// A set of texts of which each match of `hir` contains one.
fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(branches) => {
            let sets: Option<Vec<Vec<String>>> = branches.iter().map(required).collect();
            let mut all: Vec<String> = sets?.into_iter().flatten().collect();
            all.sort();
            all.dedup();
            (all.len() <= MOST).then_some(all)
        }
        HirKind::Concat(parts) => concatenated(parts),
        _ => exact(hir).filter(|text| !text.is_empty()).map(|text| vec![text]),
    }
}

/// Of the parts of a concatenation and the runs of plain text among them, the set that tells lines apart best.
fn concatenated(parts: &[Hir]) -> Option<Vec<String>> {
    let mut best: Option<Vec<String>> = None;
    let mut run = String::new();
    let mut offer = |set: Vec<String>| {
        let better = best.as_ref().is_none_or(|best| (worth(&set), usize::MAX - set.len()) > (worth(best), usize::MAX - best.len()));
        if better && worth(&set) > 0 {
            best = Some(set);
        }
    };
    for part in parts {
        if matches!(part.kind(), HirKind::Look(_)) {
            continue;
        }
        if let Some(text) = exact(part) {
            run.push_str(&text);
            continue;
        }
        offer(vec![std::mem::take(&mut run)]);
        if let Some(set) = required(part) {
            offer(set);
        }
    }
    offer(vec![run]);
    best
}

/// The text that `hir` matches and nothing else, case aside.
fn exact(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty => Some(String::new()),
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(str::to_ascii_lowercase),
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Class(class) => one_letter(class).map(String::from),
        HirKind::Concat(parts) => parts.iter().map(exact).collect(),
        _ => None,
    }
}

/// The letter of a class that is one letter in both cases. The two letters outside ASCII that fold to `k` and `s` do not
/// occur in what programs print.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut letters = class.ranges().iter().flat_map(|range| range.start()..=range.end()).take(4);
    let first = letters.next()?.to_ascii_lowercase();
    let same = |letter: char| letter.to_ascii_lowercase() == first || matches!((first, letter), ('k', '\u{212A}') | ('s', '\u{17F}'));
    (first.is_ascii() && letters.all(same)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_plain_run_stands_for_the_expression() {
        assert_eq!(of(r"^(\w+): No available memory for (?P<what>.*)$", None), Ok(vec![": no available memory for ".to_owned()]));
    }

    #[test]
    fn each_alternative_needs_a_text() {
        assert_eq!(of("(?:out of memory|OOM-killed)", None), Ok(vec!["oom-killed".to_owned(), "out of memory".to_owned()]));
        assert!(of(r"(?:out of memory|\d+)", None).is_err());
    }

    #[test]
    fn letters_of_either_case_are_one_text() {
        assert_eq!(of("(?i)Disk quota exceeded", None), Ok(vec!["disk quota exceeded".to_owned()]));
    }

    #[test]
    fn an_expression_that_could_match_anything_is_refused() {
        assert!(of(r"\d+ of \d+", Some(" of ")).is_ok());
        assert!(of(r"\d+", None).is_err_and(|message| message.contains("`literal`")));
        assert!(of("(unclosed", None).is_err_and(|message| message.starts_with("not a regular expression")));
    }
}
