//! Texts that every match of an expression contains. They are looked for first, all at once: a line that holds none of
//! them is never matched.
//!
//! `build.rs` derives those of the built-in rules with this file, too.

use std::collections::HashMap;
use std::sync::OnceLock;

use regex_syntax::hir::{Class, Hir, HirKind};

/// The shortest text that is worth looking for.
const SHORTEST: usize = 3;

/// The most alternatives that stand for one expression.
const MOST: usize = 24;

/// Lines that servers print all day. A text that stands in them lets many lines of a healthy log through.
pub const ORDINARY: &str = include_str!("../../rules/ordinary.log");

/// Texts, in ASCII lower case, of which each match of `expression` contains at least one whatever its case. `given` is what
/// the rule itself names.
///
/// # Errors
/// When the expression is none, or when a match need not contain any text.
pub fn of(expression: &str, given: Option<&str>) -> Result<Vec<String>, String> {
    let hir = regex_syntax::parse(expression).map_err(|error| format!("not a regular expression: {}", one_line(&error.to_string())))?;
    let given = given.filter(|given| given.len() >= SHORTEST).map(|given| vec![given.to_ascii_lowercase()]);
    let derived = required(&hir).filter(|set| shortest(set) >= SHORTEST);
    given.into_iter().chain(derived).min_by(|a, b| cost(a).total_cmp(&cost(b))).ok_or_else(|| {
        format!("no text of {SHORTEST} or more letters is part of every match; add one to the expression, or name it with `literal`")
    })
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The length of the shortest text.
fn shortest(set: &[String]) -> usize {
    set.iter().map(String::len).min().unwrap_or(0)
}

/// How often lines hold one of the texts although they do not match: by the ordinary lines, and, for what these lack, by the
/// length of a text.
fn cost(set: &[String]) -> f64 {
    if shortest(set) < SHORTEST {
        return f64::INFINITY;
    }
    let by_chance = |text: &String| 32.0 / (text.len() * text.len()) as f64;
    set.iter().map(|text| Ordinary::read().count(text) as f64 + by_chance(text)).sum()
}

/// The ordinary lines in lower case, and where in them any three letters stand.
struct Ordinary {
    lines: Vec<u8>,
    places: HashMap<[u8; SHORTEST], Vec<usize>>,
}

impl Ordinary {
    fn read() -> &'static Self {
        static READ: OnceLock<Ordinary> = OnceLock::new();
        READ.get_or_init(|| {
            let lines = ORDINARY.to_ascii_lowercase().into_bytes();
            let mut places: HashMap<[u8; SHORTEST], Vec<usize>> = HashMap::new();
            for (place, letters) in lines.array_windows().enumerate() {
                places.entry(*letters).or_default().push(place);
            }
            Self { lines, places }
        })
    }

    /// How often they hold `text`.
    fn count(&self, text: &str) -> usize {
        let places = text.as_bytes().first_chunk().and_then(|letters| self.places.get(letters));
        places.map_or(0, |places| places.iter().filter(|place| self.lines[**place..].starts_with(text.as_bytes())).count())
    }
}

/// A set of texts of which each match of `hir` contains one.
fn required(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Alternation(branches) => {
            let sets: Option<Vec<Vec<String>>> = branches.iter().map(required).collect();
            let all = least(sets?.into_iter().flatten().collect());
            (all.len() <= MOST).then_some(all)
        }
        HirKind::Concat(parts) => concatenated(parts),
        _ => exact(hir).filter(|set| shortest(set) > 0),
    }
}

/// Of the parts of a concatenation and the runs of plain text among them, the set that tells lines apart best.
fn concatenated(parts: &[Hir]) -> Option<Vec<String>> {
    let mut best: Option<(f64, Vec<String>)> = None;
    let mut offer = |set: Vec<String>| {
        let set = least(set);
        let cost = cost(&set);
        if shortest(&set) > 0 && best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, set));
        }
    };
    let nothing = || vec![String::new()];
    let mut run = nothing();
    for part in parts {
        let texts = exact(part);
        let longer = texts.as_ref().and_then(|texts| product(&run, texts));
        if let Some(longer) = longer {
            // What makes several texts of one may make the set worse.
            if longer.len() > run.len() {
                offer(run);
            }
            run = longer;
            continue;
        }
        offer(std::mem::replace(&mut run, texts.unwrap_or_else(nothing)));
        if let Some(set) = required(part) {
            offer(set);
        }
    }
    offer(run);
    best.map(|(_, set)| set)
}

/// All texts that `hir` matches, case aside, where these are few. What matches between characters is no text.
fn exact(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(vec![String::new()]),
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(|text| vec![text.to_ascii_lowercase()]),
        HirKind::Capture(capture) => exact(&capture.sub),
        HirKind::Class(class) => letters(class),
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut set = exact(&repetition.sub)?;
            set.push(String::new());
            Some(set)
        }
        HirKind::Repetition(_) => None,
        HirKind::Alternation(branches) => {
            let sets: Option<Vec<Vec<String>>> = branches.iter().map(exact).collect();
            sets.map(|sets| sets.concat()).filter(|set| set.len() <= MOST)
        }
        HirKind::Concat(parts) => parts.iter().try_fold(vec![String::new()], |run, part| product(&run, &exact(part)?)),
    }
}

/// Each text of `heads` with each of `tails` behind it; `None` where these are many.
fn product(heads: &[String], tails: &[String]) -> Option<Vec<String>> {
    (heads.len() * tails.len() <= MOST)
        .then(|| heads.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect())
}

/// `set` without texts that contain another one, which stands for them.
fn least(mut set: Vec<String>) -> Vec<String> {
    set.sort();
    set.dedup();
    let all = set.clone();
    set.retain(|text| !all.iter().any(|other| other != text && text.contains(other.as_str())));
    set
}

/// The letters of a class that has few, in lower case. The two letters outside ASCII that fold to `k` and `s` do not occur in what
/// programs print.
fn letters(class: &Class) -> Option<Vec<String>> {
    let Class::Unicode(class) = class else { return None };
    let mut all: Vec<String> = Vec::new();
    for letter in class.ranges().iter().flat_map(|range| range.start()..=range.end()) {
        let letter = match letter {
            '\u{212A}' => 'k',
            '\u{17F}' => 's',
            letter => letter.to_ascii_lowercase(),
        };
        let text = String::from(letter);
        if !all.contains(&text) {
            all.push(text);
        }
        if all.len() > MOST {
            return None;
        }
    }
    Some(all)
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
    fn optional_parts_and_small_sets_make_texts_longer() {
        assert_eq!(of("CUDA ?graphs?", None), Ok(vec!["cuda graph".to_owned(), "cudagraph".to_owned()]));
        assert_eq!(of(r"(?i:error:? \(?80[34])", None), Ok(vec!["error ".to_owned(), "error: ".to_owned()]));
        assert_eq!(of("nvidia[-_]uvm", None), Ok(vec!["nvidia-uvm".to_owned(), "nvidia_uvm".to_owned()]));
    }

    #[test]
    fn what_ordinary_lines_hold_is_the_last_choice() {
        assert_eq!(of("Avg prompt throughput.*oops", None), Ok(vec!["oops".to_owned()]));
        assert_eq!(of("Avg prompt throughput.*oops", Some("engine ")), Ok(vec!["oops".to_owned()]));
    }

    #[test]
    fn an_expression_that_could_match_anything_is_refused() {
        assert!(of(r"\d+ of \d+", Some(" of ")).is_ok());
        assert!(of(r"\d+", None).is_err_and(|message| message.contains("`literal`")));
        assert!(of("(unclosed", None).is_err_and(|message| message.starts_with("not a regular expression")));
    }
}
