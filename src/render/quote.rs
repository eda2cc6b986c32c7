//! How a string is written in each format so that it reads back as the same string.

use serde_json::Value;

use crate::render::RenderError;

/// A YAML double-quoted scalar. Every reader of YAML 1.1 and 1.2 gets the same string from it: what looks
/// like a number, a boolean or a comment stays a string, and what PyYAML would fold or refuse is escaped.
pub fn yaml(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{a0}' => quoted.push_str(&format!("\\x{:02x}", character as u32)),
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => quoted.push_str(&format!("\\u{:04x}", character as u32)),
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A YAML double-quoted scalar for a file in which `$` starts a variable and `$$` is a dollar sign: a Compose
/// file, and the commands and variables of a Kubernetes container.
pub fn yaml_with_dollars(text: &str) -> String {
    yaml(&text.replace('$', "$$"))
}

/// The value of one flag in an engine's YAML. Objects become a string of JSON, because engines older than
/// nested configuration files read nothing else. `None` for null, which no flag takes.
pub fn yaml_value(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(yaml_number(&number.to_string())),
        Value::String(text) => Some(yaml(text)),
        Value::Object(_) => Some(yaml(&value.to_string())),
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => Some(yaml(&value.to_string())),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(yaml_value).collect();
            items.map(|items| format!("[{}]", items.join(", ")))
        }
    }
}

/// A number that YAML 1.1 takes for one too: its floats need a point and a signed exponent.
fn yaml_number(number: &str) -> String {
    let Some((mantissa, exponent)) = number.split_once(['e', 'E']) else { return number.to_owned() };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['+', '-']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// A value in a `.env` file. Compose versions disagree on escapes inside quotes, so only forms without any
/// are used: bare, single-quoted, or double-quoted where nothing would be expanded.
pub fn dotenv(name: &str, value: &str) -> Result<String, RenderError> {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-./:,=+@%".contains(c);
    let unwritable = value.chars().any(|c| c.is_control() && c != '\t');
    if !unwritable && value.chars().all(bare) {
        Ok(value.to_owned())
    } else if !unwritable && !value.contains('\'') && !value.ends_with('\\') {
        Ok(format!("'{value}'"))
    } else if !unwritable && !value.contains(['"', '\\', '$']) && !value.starts_with('\'') && !value.ends_with('\'') {
        Ok(format!("\"{value}\""))
    } else {
        Err(RenderError::Unwritable { name: name.to_owned(), format: "a `.env` file" })
    }
}

/// A value in a Dockerfile `LABEL` or `ENV` instruction; `None` where the instruction cannot hold it
/// (control characters) or linters read it differently (backslashes).
pub fn dockerfile(value: &str) -> Option<String> {
    if value.chars().any(|c| c.is_control() || c == '\\') {
        return None;
    }
    let mut quoted = String::from('"');
    for character in value.chars() {
        if matches!(character, '"' | '$') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Some(quoted)
}

/// A command in exec form: a JSON array in ASCII, as the lines of a Dockerfile are.
pub fn exec_form(command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| json(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A JSON string in which everything but printable characters is escaped.
pub fn json(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            _ if character.is_control() || matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.push_str(&format!("\\u{:04x}", character as u32));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

/// A command line for a POSIX shell.
pub fn shell(command: &[String]) -> Result<String, RenderError> {
    shlex::try_join(command.iter().map(String::as_str))
        .map_err(|_| RenderError::Unwritable { name: "the command line".to_owned(), format: "a shell" })
}

/// Text on one line: every run of white space and control characters becomes one space.
pub fn one_line(text: &str) -> String {
    let blank = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}' || ('\u{fffe}'..='\u{ffff}').contains(&c);
    text.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Text as comment lines of at most `width` characters, a longer word excepted.
pub fn comment(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![];
    let mut line = String::new();
    for word in one_line(text).split(' ').filter(|word| !word.is_empty()) {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Text in a cell of a Markdown table or in a paragraph: on one line, nothing in it starts markup.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in one_line(text).chars() {
        if matches!(character, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Text as inline code in Markdown, also inside a table.
pub fn markdown_code(text: &str) -> String {
    let text = one_line(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if longest > 0 { " " } else { "" };
    format!("{fence}{pad}{}{pad}{fence}", text.replace('|', "\\|"))
}

/// A fence for a block of code that `text` cannot close.
pub fn markdown_fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_would_read_as_something_else_is_quoted() {
        for text in ["yes", "on", "1e3", "007", "~", "null", "a # b", "a: b", "- x", "é", "日本語", ""] {
            assert_eq!(yaml(text), format!("\"{text}\""));
        }
        assert_eq!(yaml("a\"b\\c\nd\u{85}\u{2028}\u{7f}"), "\"a\\\"b\\\\c\\nd\\x85\\u2028\\x7f\"");
    }

    #[test]
    fn floats_read_as_floats_in_yaml_1_1() {
        for (value, written) in [(0.0885, "0.0885"), (1e-7, "1.0e-7"), (1e22, "1.0e+22"), (0.9, "0.9")] {
            assert_eq!(yaml_value(&Value::from(value)).as_deref(), Some(written));
        }
        assert_eq!(yaml_value(&Value::from(4096)).as_deref(), Some("4096"));
    }

    #[test]
    fn objects_are_strings_of_json_and_lists_stay_lists() {
        let value = serde_json::json!({"cudagraph_mode": "NONE"});
        assert_eq!(yaml_value(&value).as_deref(), Some(r#""{\"cudagraph_mode\":\"NONE\"}""#));
        assert_eq!(yaml_value(&serde_json::json!([1, 2])).as_deref(), Some("[1, 2]"));
    }

    #[test]
    fn an_env_value_is_written_without_escapes_or_not_at_all() {
        assert_eq!(dotenv("A", "0").ok().as_deref(), Some("0"));
        assert_eq!(dotenv("A", "a $b #c").ok().as_deref(), Some("'a $b #c'"));
        assert_eq!(dotenv("A", "it's").ok().as_deref(), Some("\"it's\""));
        for text in ["a\nb", "it's $5", "'a'", "a'\\"] {
            assert!(dotenv("A", text).is_err(), "{text}");
        }
    }

    #[test]
    fn markup_in_a_value_stays_text() {
        assert_eq!(markdown("a|b\n# c"), "a\\|b \\# c");
        assert_eq!(markdown_code("a`b"), "`` a`b ``");
        assert_eq!(markdown_fence("```"), "````");
    }

    #[test]
    fn comments_wrap_at_words() {
        assert_eq!(comment("one two\nthree", 8), ["one two", "three"]);
        assert!(comment(" \n ", 8).is_empty());
    }
}
