//! The launch as a command to copy. Secrets are masked: a report is pasted into tickets.

use serde_json::Value;

use crate::plan::outcome::Plan;
use crate::render::vllm::environment::is_secret;

/// The command in words that belong on one line together: the variables, the program, one word group a flag.
pub fn words(plan: &Plan) -> Vec<String> {
    let variables = plan.env.iter().map(|(name, variable)| format!("{name}={}", quote(shown_variable(name, &variable.value))));
    let mut words: Vec<String> = variables.collect();
    let model = plan.args.get("model").and_then(Value::as_str).unwrap_or(&plan.model.id);
    words.push(format!("vllm serve {}", quote(model)));
    words.extend(
        plan.args.0.iter().filter(|(flag, _)| *flag != "model").map(|(flag, argument)| option(flag, &shown(flag, &argument.value))),
    );
    words
}

/// The command on one line.
pub fn line(plan: &Plan) -> String {
    words(plan).join(" ")
}

/// What stands in place of a secret.
const MASK: &str = "***";

/// The value of `flag` as it may be shown.
pub fn shown(flag: &str, value: &Value) -> Value {
    if matches!(flag, "api-key" | "hf-token" | "ssl-keyfile-password") && !matches!(value, Value::Bool(_) | Value::Null) {
        Value::String(MASK.to_owned())
    } else {
        value.clone()
    }
}

/// The value of an environment variable as it may be shown.
pub fn shown_variable<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) { MASK } else { value }
}

fn option(flag: &str, value: &Value) -> String {
    match value {
        Value::Bool(true) | Value::Null => format!("--{flag}"),
        Value::Bool(false) => format!("--no-{flag}"),
        Value::String(text) => format!("--{flag} {}", quote(text)),
        Value::Array(values) => values.iter().fold(format!("--{flag}"), |line, value| format!("{line} {}", quote(&scalar(value)))),
        other => format!("--{flag} {}", quote(&other.to_string())),
    }
}

/// A value as it is shown: text without quotes, everything else as JSON.
pub fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `text` as one word of a POSIX shell.
pub fn quote(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=@%+,".contains(character);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quote("a-b_c./:="), "a-b_c./:=");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), r"'it'\''s'");
    }

    #[test]
    fn secrets_are_masked() {
        assert_eq!(shown("api-key", &Value::from("sk-1")), Value::from("***"));
        assert_eq!(shown("port", &Value::from(80)), Value::from(80));
        assert_eq!([shown_variable("HF_TOKEN", "hf_1"), shown_variable("HF_HOME", "/x")], ["***", "/x"]);
    }

    #[test]
    fn each_kind_of_value_has_its_form() {
        assert_eq!(option("enforce-eager", &Value::Bool(true)), "--enforce-eager");
        assert_eq!(option("enforce-eager", &Value::Bool(false)), "--no-enforce-eager");
        assert_eq!(option("max-num-seqs", &Value::from(8)), "--max-num-seqs 8");
        assert_eq!(option("hf-overrides", &serde_json::json!({"a": 1})), r#"--hf-overrides '{"a":1}'"#);
        assert_eq!(option("api-key", &serde_json::json!(["a", "b"])), "--api-key a b");
    }
}
