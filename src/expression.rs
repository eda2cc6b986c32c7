//! The language of rules: expressions and templates over facts, with the tests and filters that versions and sizes need.
//!
//! It is minijinja's, in which a name without a value is an error: what could not be seen is never taken for "no".

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::units::Bytes;
use crate::version::Version;

/// The environment in which rules are evaluated and their texts are filled.
///
/// - `a is older_than(b)`, `a is at_least(b)`: versions and compute capabilities, as texts
/// - `size|bytes`: a number of bytes as people read it, `23.1 GiB`
/// - `number|grouped`: thousands separated
/// - `GIB`, `MIB`: 2^30 and 2^20 bytes
pub fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_test("older_than", |left: Value, right: Value| Ok::<_, Error>(version(&left)? < version(&right)?));
    environment.add_test("at_least", |left: Value, right: Value| Ok::<_, Error>(version(&left)? >= version(&right)?));
    // The built-in test takes a name without a value for "not none".
    environment.add_test(
        "none",
        |value: Value| if value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(value.is_none()) },
    );
    environment.add_filter("bytes", |size: Value| size_text(&size));
    environment.add_filter("grouped", |number: Value| grouped(&number));
    environment.add_global("GIB", Value::from(1_u64 << 30));
    environment.add_global("MIB", Value::from(1_u64 << 20));
    environment
}

/// The names that stand for constants.
pub const CONSTANTS: [&str; 2] = ["GIB", "MIB"];

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn version(value: &Value) -> Result<Version, Error> {
    value.to_string().parse().map_err(|error: crate::version::InvalidVersion| wrong(error.to_string()))
}

fn whole(value: &Value) -> Result<u64, Error> {
    u64::try_from(value.clone()).map_err(|_| wrong(format!("`{value}` is no whole number")))
}

/// A size with one decimal from 10 of a unit on, and no more than two.
fn size_text(value: &Value) -> Result<String, Error> {
    let size = Bytes(whole(value)?);
    Ok(if size.gib() >= 10.0 && size.gib().fract() != 0.0 { format!("{:.1} GiB", size.gib()) } else { size.to_string() })
}

fn grouped(value: &Value) -> Result<String, Error> {
    let digits = whole(value)?.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eval(expression: &str) -> Option<Value> {
        environment().compile_expression(expression).expect("an expression of the test").eval(minijinja::context! {}).ok()
    }

    #[test]
    fn versions_compare_as_versions() {
        assert_eq!(eval("'535.104.05' is older_than('580.65.06')").map(|value| value.is_true()), Some(true));
        assert_eq!(eval("'10.0' is at_least('9.0')").map(|value| value.is_true()), Some(true));
        assert_eq!(eval("none is older_than('580')"), None);
    }

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(eval("(24 * GIB)|bytes").map(|value| value.to_string()).as_deref(), Some("24 GiB"));
        assert_eq!(eval("24803999744|bytes").map(|value| value.to_string()).as_deref(), Some("23.1 GiB"));
        assert_eq!(eval("1048576|grouped").map(|value| value.to_string()).as_deref(), Some("1,048,576"));
    }

    #[test]
    fn an_unknown_name_is_no_answer() {
        assert_eq!(eval("nowhere.to.be > 3"), None);
        assert_eq!(eval("nowhere is not none"), None);
        assert_eq!(eval("none is none").map(|value| value.is_true()), Some(true));
        assert_eq!(eval("false and nowhere.to.be > 3").map(|value| value.is_true()), Some(false));
    }
}
