//! What came of looking for something: a value, nothing there, or no way to see.

use serde::{Deserialize, Serialize};

/// The outcome of looking for something. Nothing that could not be seen becomes a value: neither 0 nor "N/A".
///
/// Its serialised forms are `{"known": …}`, `"absent"` and `{"unreadable": "why"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// It was read.
    Known(T),
    /// It was looked for and is not there.
    #[default]
    Absent,
    /// It could not be seen, and why: no permission, no library, no answer in time.
    Unreadable(String),
}

impl<T> Reading<T> {
    /// Could not be seen, because of `reason`.
    pub fn unreadable(reason: impl Into<String>) -> Self {
        Self::Unreadable(reason.into())
    }

    /// The value, if it is known.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    /// The value itself, if it is known.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    /// Why it could not be seen.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Unreadable(reason) => Some(reason),
            Self::Known(_) | Self::Absent => None,
        }
    }

    /// Whether it was looked for and is not there.
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// The same reading, borrowed.
    pub fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Known(value) => Reading::Known(value),
            Self::Absent => Reading::Absent,
            Self::Unreadable(reason) => Reading::Unreadable(reason.clone()),
        }
    }

    /// The reading of something that follows from the value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Reading<U> {
        self.and_then(|value| Reading::Known(change(value)))
    }

    /// The reading of something that may follow from the value.
    pub fn and_then<U>(self, change: impl FnOnce(T) -> Reading<U>) -> Reading<U> {
        match self {
            Self::Known(value) => change(value),
            Self::Absent => Reading::Absent,
            Self::Unreadable(reason) => Reading::Unreadable(reason),
        }
    }
}

impl<T> From<Option<T>> for Reading<T> {
    /// What was looked for: there, or not.
    fn from(found: Option<T>) -> Self {
        found.map_or(Self::Absent, Self::Known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_own_text() {
        let texts = [Reading::Known(3), Reading::Absent, Reading::unreadable("no permission")];
        let texts = texts.map(|reading| serde_json::to_string(&reading).expect("JSON"));
        assert_eq!(texts, [r#"{"known":3}"#, r#""absent""#, r#"{"unreadable":"no permission"}"#]);
    }

    #[test]
    fn what_follows_from_nothing_is_nothing() {
        let unreadable: Reading<u32> = Reading::unreadable("no permission");
        assert_eq!(unreadable.map(|value| value + 1).reason(), Some("no permission"));
        assert_eq!(Reading::<u32>::Absent.map(|value| value + 1), Reading::Absent);
        assert_eq!(Reading::Known(3).map(|value| value + 1).into_known(), Some(4));
    }
}
