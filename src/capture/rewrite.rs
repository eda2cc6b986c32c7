//! Changes to readings wherever they stand, whatever type holds them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// `readings` after `change` of them as JSON. They go through its text on both ways, so that types which are read from texts anyway
/// need no second decoder.
///
/// # Errors
/// When what `change` leaves is not of the type.
pub fn rewritten<T: Serialize + DeserializeOwned>(readings: &T, change: impl FnOnce(&mut Value)) -> Result<T, serde_json::Error> {
    let mut value = serde_json::from_str(&serde_json::to_string(readings)?)?;
    change(&mut value);
    serde_json::from_str(&value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_of_the_type_still() {
        let doubled = rewritten(&vec![1, 2], |value| *value = serde_json::json!([2, 4]));
        assert_eq!(doubled.ok(), Some(vec![2, 4]));
        assert!(rewritten(&vec![1, 2], |value| *value = Value::Null).is_err());
    }
}
