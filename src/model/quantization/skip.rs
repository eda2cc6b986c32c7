//! Which tensors a quantised checkpoint leaves in 16 bits.
//!
//! Checkpoints name modules in three ways: by suffix or prefix (`lm_head`, `model.layers.0.self_attn`), with
//! `*` (ModelOpt), and as regular expressions behind `re:` (compressed-tensors). Names are the checkpoint's, so
//! a group is looked up under each name that its modules have there.

use crate::model::spec::CheckpointQuantization;

/// What stands before the decoder's modules in checkpoints.
const PREFIXES: [&str; 5] = ["", "model.", "language_model.model.", "model.language_model.", "backbone."];

impl CheckpointQuantization {
    /// Whether the tensor group `name` stays in the model's dtype.
    pub fn skips(&self, name: &str) -> bool {
        if self.skipped_modules.is_empty() {
            return false;
        }
        let names = checkpoint_names(name);
        self.skipped_modules.iter().any(|module| names.iter().any(|name| covers(module, name)))
    }
}

/// The names that the modules of a group have in checkpoints.
fn checkpoint_names(name: &str) -> Vec<String> {
    let mut variants = vec![name.to_owned()];
    let first_expert = name.replace(".experts.", ".experts.0.");
    let fused = name
        .replace(".q_proj", ".qkv_proj")
        .replace(".k_proj", ".qkv_proj")
        .replace(".v_proj", ".qkv_proj")
        .replace(".gate_proj", ".gate_up_proj")
        .replace(".up_proj", ".gate_up_proj");
    variants.extend([first_expert, fused].into_iter().filter(|variant| variant != name));
    variants.iter().flat_map(|variant| PREFIXES.iter().map(move |prefix| [prefix, variant.as_str()].concat())).collect()
}

/// Whether `module`, as a checkpoint writes it, covers the module `name`.
fn covers(module: &str, name: &str) -> bool {
    if let Some(expression) = module.strip_prefix("re:") {
        return matches_start(&expression.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>());
    }
    if module.contains('*') {
        return glob(module, name) || glob(&format!("{module}.*"), name) || glob(&format!("*.{module}"), name);
    }
    // Whole components of the name, wherever they stand in it.
    let tails = std::iter::once(name).chain(name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..)));
    tails.filter_map(|tail| tail.strip_prefix(module)).any(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Shell-like matching: `*` is any text.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            match rest.find(previous) {
                Some(at) => rest = rest.get(at + previous.len()..).unwrap_or_default(),
                None => return false,
            }
        }
    }
    last.map_or_else(|| rest.is_empty(), |last: &str| rest.ends_with(last))
}

/// Python's `re.match` for the expressions of these lists: literals, `.`, `*`, `+`, `?`, `\.`, `\d`, sets, groups of
/// alternatives, `^`, `$`. An expression with more than that matches nothing.
fn matches_start(expression: &[char], text: &[char]) -> bool {
    // Lists hold hundreds of short expressions; a long one would be an attack.
    expression.len() <= 200 && step(expression, text, &mut 20_000)
}

/// Whether `expression` matches a prefix of `text`. `fuel` bounds the work.
fn step(expression: &[char], text: &[char], fuel: &mut u32) -> bool {
    let Some(left) = fuel.checked_sub(1) else { return false };
    *fuel = left;
    let Some((atom, rest)) = atom(expression) else { return expression.is_empty() };
    match (atom, rest.first()) {
        (['^'], _) => step(rest, text, fuel),
        (['$'], _) => text.is_empty() && step(rest, text, fuel),
        (_, Some('*' | '+')) => {
            let rest_after = rest.get(1..).unwrap_or_default();
            let once = rest.first() == Some(&'+');
            repeated(atom, rest_after, text, once, fuel)
        }
        (_, Some('?')) => {
            let after = rest.get(1..).unwrap_or_default();
            ends(atom, text).into_iter().any(|end| step(after, text.get(end..).unwrap_or_default(), fuel)) || step(after, text, fuel)
        }
        _ => ends(atom, text).into_iter().any(|end| step(rest, text.get(end..).unwrap_or_default(), fuel)),
    }
}

fn repeated(atom: &[char], rest: &[char], text: &[char], at_least_once: bool, fuel: &mut u32) -> bool {
    if !at_least_once && step(rest, text, fuel) {
        return true;
    }
    ends(atom, text)
        .into_iter()
        .filter(|end| *end > 0)
        .any(|end| *fuel > 0 && repeated(atom, rest, text.get(end..).unwrap_or_default(), false, fuel))
}

/// The first atom of an expression and what follows it; `None` at the end and where it is malformed.
fn atom(expression: &[char]) -> Option<(&[char], &[char])> {
    let length = match expression.first()? {
        '\\' => 2,
        '(' => closing(expression, '(', ')')?,
        '[' => expression.iter().position(|letter| *letter == ']')? + 1,
        '*' | '+' | ')' | '{' => return None,
        _ => 1,
    };
    Some((expression.get(..length)?, expression.get(length..)?))
}

fn closing(expression: &[char], open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, letter) in expression.iter().enumerate() {
        if *letter == open {
            depth += 1;
        } else if *letter == close {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(index + 1);
            }
        }
    }
    None
}

/// How many letters of `text` the atom may take.
fn ends(atom: &[char], text: &[char]) -> Vec<usize> {
    let first = text.first();
    let one = |matches: bool| if matches { vec![1] } else { Vec::new() };
    match atom {
        ['.'] => one(first.is_some()),
        ['\\', 'd'] => one(first.is_some_and(char::is_ascii_digit)),
        ['\\', letter] => one(first == Some(letter)),
        ['[', inner @ .., ']'] => one(first.is_some_and(|letter| in_set(inner, *letter))),
        ['(', inner @ .., ')'] => {
            let inner = inner.strip_prefix(&['?', ':']).unwrap_or(inner);
            let branches = inner.split(|letter| *letter == '|');
            branches.filter_map(|branch| literal(branch).filter(|branch| text.starts_with(branch)).map(|branch| branch.len())).collect()
        }
        [letter] => one(first == Some(letter)),
        _ => Vec::new(),
    }
}

/// A set such as `[0-9]` or `[^.]`.
fn in_set(set: &[char], letter: char) -> bool {
    let (negated, set) = match set.strip_prefix(&['^']) {
        Some(set) => (true, set),
        None => (false, set),
    };
    let mut inside = false;
    let mut index = 0;
    while let Some(low) = set.get(index) {
        if let (Some('-'), Some(high)) = (set.get(index + 1), set.get(index + 2)) {
            inside |= (*low..=*high).contains(&letter);
            index += 3;
        } else {
            inside |= *low == letter;
            index += 1;
        }
    }
    inside != negated
}

/// A branch of a group, if it is plain text with escapes.
fn literal(branch: &[char]) -> Option<Vec<char>> {
    let mut text = Vec::with_capacity(branch.len());
    let mut letters = branch.iter();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.push(*letters.next().filter(|letter| !letter.is_alphanumeric())?),
            '.' | '*' | '+' | '?' | '(' | '[' => return None,
            letter => text.push(*letter),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWQ and fp8 lists name modules or their endings.
    #[test]
    fn plain_names_cover_modules_and_what_is_in_them() {
        assert!(covers("lm_head", "lm_head"));
        assert!(covers("model.layers.0.self_attn", "model.layers.0.self_attn.q_proj"));
        assert!(!covers("model.layers.1", "model.layers.10.mlp.up_proj"));
    }

    /// ModelOpt writes stars, gpt-oss too.
    #[test]
    fn stars_stand_for_any_text() {
        assert!(covers("model.layers.*.self_attn", "model.layers.7.self_attn.o_proj"));
        assert!(covers("model.layers.0.self_attn*", "model.layers.0.self_attn.q_proj"));
        assert!(covers("*lm_head*", "lm_head"));
        assert!(!covers("*router*", "model.layers.0.mlp.experts.up_proj"));
    }

    /// The list of Kimi K3.
    #[test]
    fn expressions_match_from_the_start() {
        assert!(covers("re:.*self_attn.*", "model.layers.3.self_attn.q_b_proj"));
        assert!(covers(r"re:.*mlp\.(gate|up|gate_up|down)_proj.*", "model.layers.0.mlp.down_proj"));
        assert!(!covers(r"re:.*mlp\.(gate|up|gate_up|down)_proj.*", "model.layers.0.mlp.experts.0.down_proj"));
        assert!(covers(r"re:model\.layers\.[0-9]+\.mlp\.gate$", "model.layers.12.mlp.gate"));
        assert!(!covers("re:(((", "anything"));
    }

    /// A repeated group of nothing must end.
    #[test]
    fn hostile_expressions_end() {
        assert!(!covers("re:(a|)*(a|)*(a|)*(a|)*(a|)*b", &"a".repeat(100)));
    }

    /// A fused name in the list covers its parts.
    #[test]
    fn fused_names_cover_their_parts() {
        let names = checkpoint_names("layers.0.self_attn.k_proj");
        assert!(names.iter().any(|name| covers("model.layers.0.self_attn.qkv_proj", name)));
    }
}
