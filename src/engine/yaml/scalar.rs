//! The type of a plain scalar, as PyYAML's safe loader resolves it (YAML 1.1).

use serde_json::{Number, Value};

/// The value of a plain (unquoted) scalar. What JSON cannot hold (`.inf`, huge integers) stays text,
/// written as Python's `str()` would.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Value::from("inf"),
        "-.inf" | "-.Inf" | "-.INF" => return Value::from("-inf"),
        ".nan" | ".NaN" | ".NAN" => return Value::from("nan"),
        _ => {}
    }
    integer(text).or_else(|| float(text)).unwrap_or_else(|| Value::from(text))
}

/// Integers: decimal, `0b`, `0x`, octal with a leading zero, base 60 with colons; `_` between digits.
fn integer(text: &str) -> Option<Value> {
    let (negative, unsigned) = sign(text);
    let digits = unsigned.replace('_', "");
    let magnitude = if let Some(binary) = unsigned.strip_prefix("0b") {
        all(binary, |c| matches!(c, '0' | '1' | '_')).then(|| parse(&digits[2..], 2))
    } else if let Some(hex) = unsigned.strip_prefix("0x") {
        all(hex, |c| c.is_ascii_hexdigit() || c == '_').then(|| parse(&digits[2..], 16))
    } else if unsigned.contains(':') {
        sexagesimal(unsigned)
    } else if unsigned == "0" {
        Some(Some(0))
    } else if unsigned.starts_with('0') {
        all(unsigned, |c| matches!(c, '0'..='7' | '_')).then(|| parse(&digits, 8))
    } else {
        (starts_with_digit(unsigned) && all(unsigned, |c| c.is_ascii_digit() || c == '_')).then(|| parse(&digits, 10))
    }?;
    let Some(magnitude) = magnitude else { return Some(Value::from(text)) };
    let value = if negative { -magnitude } else { magnitude };
    let number = i64::try_from(value).map(Number::from).or_else(|_| u64::try_from(value).map(Number::from));
    Some(number.map_or_else(|_| Value::from(value.to_string()), Value::Number))
}

/// `Some(None)` for what is an integer but larger than any type holds.
fn sexagesimal(text: &str) -> Option<Option<i128>> {
    let mut parts = text.split(':');
    let first = parts.next().filter(|first| !first.starts_with('0') && starts_with_digit(first))?;
    let mut total = all(first, |c| c.is_ascii_digit() || c == '_').then(|| parse(&first.replace('_', ""), 10))?;
    for part in parts {
        let sixtieth = (part.len() <= 2 && all(part, |c| c.is_ascii_digit())).then(|| parse(part, 10))??;
        if sixtieth >= 60 {
            return None;
        }
        total = total.and_then(|total| total.checked_mul(60)?.checked_add(sixtieth));
    }
    Some(total)
}

fn parse(digits: &str, radix: u32) -> Option<i128> {
    i128::from_str_radix(digits, radix).ok()
}

/// Floats need a point; an exponent needs a sign: `1e5` and `1.0e5` are text in YAML 1.1.
fn float(text: &str) -> Option<Value> {
    let (_, unsigned) = sign(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.')?;
    let whole_is_digits = whole.is_empty() || (starts_with_digit(whole) && all(whole, |c| c.is_ascii_digit() || c == '_'));
    let fraction_is_digits = fraction.chars().all(|c| c.is_ascii_digit() || c == '_');
    if !whole_is_digits || !fraction_is_digits || (whole.is_empty() && (!starts_with_digit(fraction) || text.len() != unsigned.len())) {
        return None;
    }
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        if !all(digits, |c| c.is_ascii_digit()) {
            return None;
        }
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    Some(Number::from_f64(number).map_or_else(|| Value::from(if number < 0.0 { "-inf" } else { "inf" }), Value::Number))
}

fn sign(text: &str) -> (bool, &str) {
    (text.starts_with('-'), text.strip_prefix(['-', '+']).unwrap_or(text))
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn all(text: &str, belongs: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(belongs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_what_yaml_1_1_makes_of_them() {
        for (text, value) in [("yes", json!(true)), ("Off", json!(false)), ("~", json!(null)), ("", json!(null)), ("y", json!("y"))] {
            assert_eq!(plain(text), value, "{text}");
        }
    }

    #[test]
    fn numbers_are_what_yaml_1_1_makes_of_them() {
        for (text, value) in [
            ("8192", json!(8192)),
            ("-1", json!(-1)),
            ("8_192", json!(8192)),
            ("010", json!(8)),
            ("08", json!("08")),
            ("0x20", json!(32)),
            ("0b101", json!(5)),
            ("1:30", json!(90)),
            ("8000:8000", json!("8000:8000")),
            ("0.90", json!(0.9)),
            (".5", json!(0.5)),
            ("-.5", json!("-.5")),
            ("1.", json!(1.0)),
            ("1e5", json!("1e5")),
            ("1.0e+3", json!(1000.0)),
            ("1.0e3", json!("1.0e3")),
            ("1.2.3", json!("1.2.3")),
            ("16k", json!("16k")),
            ("18446744073709551615", json!(u64::MAX)),
            ("99999999999999999999999", json!("99999999999999999999999")),
            (".inf", json!("inf")),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }
}
