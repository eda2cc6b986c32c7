//! A rule file of the user's as the JSON that built-in files already are.
//!
//! Types of rules then have one decoder and not two, which is a tenth of the program. Each token of the JSON stands on a line of
//! its own, with the punctuation after it, where the decoder stops at an error: the line tells which part of the TOML is at fault.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a text, and where: a range of its bytes, where that is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
}

impl Fault {
    fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into() }
    }
}

/// The content of a TOML text.
pub(super) fn decode<T: DeserializeOwned>(toml: &str) -> Result<T, Fault> {
    let table = DeTable::parse(toml).map_err(|error| Fault { span: error.span(), message: error.message().to_owned() })?;
    let mut written = Written::default();
    written.table(table.get_ref(), &table.span(), "")?;
    serde_json::from_str(&written.json).map_err(|error| {
        let whole = error.to_string();
        // Where it stands in a JSON that nobody sees.
        let place = format!(" at line {} column {}", error.line(), error.column());
        let message = whole.strip_suffix(&place).unwrap_or(&whole).to_owned();
        Fault { span: error.line().checked_sub(1).and_then(|line| written.spans.get(line).cloned()), message }
    })
}

/// JSON so far.
#[derive(Default)]
struct Written {
    json: String,
    /// Where in the TOML each line is from.
    spans: Vec<Range<usize>>,
}

impl Written {
    fn line(&mut self, token: &str, span: &Range<usize>) {
        self.json.push_str(token);
        self.json.push('\n');
        self.spans.push(span.clone());
    }

    fn table(&mut self, table: &DeTable<'_>, span: &Range<usize>, after: &str) -> Result<(), Fault> {
        self.line("{", span);
        for (number, (key, value)) in table.iter().enumerate() {
            self.line(&format!("{}:", quoted(key.get_ref())), &key.span());
            self.value(value, separator(number, table.len()))?;
        }
        self.line(&format!("}}{after}"), span);
        Ok(())
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, after: &str) -> Result<(), Fault> {
        let span = value.span();
        let token = match value.get_ref() {
            DeValue::String(text) => quoted(text),
            DeValue::Integer(number) => {
                let read = i128::from_str_radix(number.as_str(), number.radix());
                read.map_err(|_| Fault::at(span.clone(), "the number has too many digits"))?.to_string()
            }
            DeValue::Float(number) => {
                // Neither infinity nor what is no number exists in JSON, and no rule needs either.
                let read = number.as_str().parse().ok().filter(|number: &f64| number.is_finite());
                let read = read.ok_or_else(|| Fault::at(span.clone(), format!("`{number}` is no number that a rule can hold")))?;
                serde_json::Value::from(read).to_string()
            }
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(date) => return Err(Fault::at(span, format!("`{date}` has to be a text in quotes"))),
            DeValue::Array(items) => {
                self.line("[", &span);
                for (number, item) in items.iter().enumerate() {
                    self.value(item, separator(number, items.len()))?;
                }
                "]".to_owned()
            }
            DeValue::Table(table) => return self.table(table, &span, after),
        };
        self.line(&format!("{token}{after}"), &span);
        Ok(())
    }
}

/// What stands after an item of so many.
const fn separator(number: usize, of: usize) -> &'static str {
    if number + 1 < of { "," } else { "" }
}

/// The text as JSON has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    /// Every kind of value arrives.
    #[test]
    fn values_of_every_kind_arrive() {
        let toml = "text = \"a \\\"b\\\"\\n\"\nhex = 0xf_f\nplus = +7\nless = -1_000\nshare = +0.5\nlarge = 1e3\nyes = true\nlist = [1, [2]]\n[[row]]\na.b = 1\n[[row]]\n";
        let expected = json!({
            "text": "a \"b\"\n", "hex": 255, "plus": 7, "less": -1000, "share": 0.5, "large": 1000.0, "yes": true,
            "list": [1, [2]], "row": [{ "a": { "b": 1 } }, {}],
        });
        let decoded: Value = decode(toml).unwrap_or_else(|fault| panic!("{fault:?}"));
        assert_eq!(decoded, expected);
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is read, or it is not")]
    struct Row {
        id: String,
        size: Option<u32>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it is read, or it is not")]
    struct Rows {
        row: Vec<Row>,
    }

    fn fault(toml: &str) -> (String, String) {
        let fault = decode::<Rows>(toml).expect_err("a fault");
        let span = fault.span.expect("a place");
        (toml.get(span).expect("a part of the text").to_owned(), fault.message)
    }

    /// An error points to the part of the TOML that is at fault.
    #[test]
    fn an_error_points_into_the_toml() {
        let (at, message) = fault("[[row]]\nid = \"a\"\nsize = 1\n[[row]]\nid = \"b\"\nsiez = 1\n");
        assert_eq!(at, "siez");
        assert!(message.starts_with("unknown field `siez`"), "{message}");
        let (at, message) = fault("[[row]]\nid = \"a\"\nsize = \"1\"\n");
        assert_eq!((at.as_str(), message.as_str()), ("\"1\"", "invalid type: string \"1\", expected u32"));
        let (at, message) = fault("[[row]]\nid = \"a\"\n\n[[row]]\nsize = 1\n");
        assert_eq!((at.as_str(), message.as_str()), ("[[row]]", "missing field `id`"));
    }

    /// What JSON has no form for is refused where it stands.
    #[test]
    fn what_json_cannot_hold_is_refused() {
        assert_eq!(fault("row = nan").0, "nan");
        assert_eq!(fault("row = 2026-01-02").0, "2026-01-02");
        assert_eq!(fault("row = 1e999").0, "1e999");
    }
}
