//! .env, read by the rules that all versions of Compose share.

use indexmap::IndexMap;
use serde_json::Value;

use crate::plan::outcome::Plan;
use crate::render::validate::{Problem, Reader, ValidateError};
use crate::render::vllm::Context;
use crate::render::vllm::environment::is_secret;

/// Fails unless the file sets the plan's variables, those of the container, and no secret.
pub fn check(reader: Reader, text: &str, plan: &Plan, context: &Context) -> Result<(), ValidateError> {
    let read = parse(text).map_err(|problem| reader.error(Problem::Syntax(problem)))?;
    let own: Vec<_> = context.environment.iter().filter(|line| !line.planned || !line.set).map(|line| line.name.as_str()).collect();
    for (name, variable) in plan.env.iter().filter(|(name, _)| !is_secret(name) && !own.contains(&name.as_str())) {
        reader.same(name, &Value::from(variable.value.clone()), &read.get(name).cloned().map_or(Value::Null, Value::from))?;
    }
    let meant: IndexMap<String, String> =
        context.environment.iter().filter(|line| line.set).map(|line| (line.name.clone(), line.value.clone())).collect();
    reader.same("the variables", &serde_json::json!(meant), &serde_json::json!(read))?;
    match read.keys().find(|name| is_secret(name)) {
        Some(name) => Err(reader.error(Problem::Secret(name.clone()))),
        None => Ok(()),
    }
}

/// The variables of a `.env` file of lines; anything that Compose versions read differently is refused.
pub fn parse(text: &str) -> Result<IndexMap<String, String>, String> {
    let mut variables = IndexMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let (name, value) = line.split_once('=').ok_or_else(|| format!("line {number} has no `=`"))?;
        let value = value_of(value).ok_or_else(|| format!("the value in line {number} is not read alike by all versions of Compose"))?;
        if variables.insert(name.to_owned(), value).is_some() {
            return Err(format!("line {number} sets `{name}` again"));
        }
    }
    Ok(variables)
}

fn value_of(written: &str) -> Option<String> {
    let inside = |quote: char| written.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(value) = inside('\'') {
        (!value.contains('\'') && !value.ends_with('\\')).then(|| value.to_owned())
    } else if let Some(value) = inside('"') {
        (!value.contains(['"', '\\', '$'])).then(|| value.to_owned())
    } else {
        let special = |c: char| c.is_whitespace() || "'\"`\\$#".contains(c);
        (!written.contains(special)).then(|| written.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_comments_and_quotes_are_read() {
        let read = parse("# a\nA=0\n\nB='x $y #z'\nC=\"it's\"\nD=\n").expect("a .env of the test");
        let expected = [("A", "0"), ("B", "x $y #z"), ("C", "it's"), ("D", "")];
        assert_eq!(read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_versions_read_differently_is_refused() {
        for text in ["A=$B", "A='it\\'s'", "A=\"a\\nb\"", "A=a b", "A=a#b", "A", "A=1\nA=2", "A='a", "A='"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
