//! What a call into a driver library returned: its value or its code, never one for the other.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reading::Reading;

/// The outcome of one call into a library that belongs to somebody else.
///
/// Its serialised forms are `{"value": …}`, `{"failed": {"code": 3, "name": "NVML_ERROR_NOT_SUPPORTED"}}`, `"missing"`,
/// `"not_called"` and `{"stuck": "timed out after 10 s"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call<T> {
    /// It succeeded, with this result.
    Value(T),
    /// It returned an error.
    Failed(Failure),
    /// The library has no such function.
    Missing,
    /// There was no reason to call it, or an earlier call failed.
    #[default]
    NotCalled,
    /// It did not return in time, or the process did not survive it.
    Stuck(String),
}

/// The error of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The library's own number.
    pub code: i64,
    /// The library's own name of it, such as `NVML_ERROR_NOT_SUPPORTED`; `unknown` for a number without a name.
    pub name: String,
}

impl<T> Call<T> {
    /// The result, if the call succeeded.
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Failed(_) | Self::Missing | Self::NotCalled | Self::Stuck(_) => None,
        }
    }

    /// The code that it returned; 0 on success, none if it returned nothing.
    pub const fn code(&self) -> Option<i64> {
        match self {
            Self::Value(_) => Some(0),
            Self::Failed(failure) => Some(failure.code),
            Self::Missing | Self::NotCalled | Self::Stuck(_) => None,
        }
    }

    /// The error that it returned.
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Value(_) | Self::Missing | Self::NotCalled | Self::Stuck(_) => None,
        }
    }

    /// The same call with another result.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Call<U> {
        match self {
            Self::Value(value) => Call::Value(change(value)),
            Self::Failed(failure) => Call::Failed(failure),
            Self::Missing => Call::Missing,
            Self::NotCalled => Call::NotCalled,
            Self::Stuck(reason) => Call::Stuck(reason),
        }
    }
}

impl<T: Clone> Call<T> {
    /// The result as a reading: whatever kept it away is the reason.
    pub fn reading(&self) -> Reading<T> {
        match self {
            Self::Value(value) => Reading::Known(value.clone()),
            Self::Failed(failure) => Reading::Unreadable(format!("{} ({})", failure.name, failure.code)),
            Self::Missing => Reading::unreadable("the driver's library has no such function"),
            Self::NotCalled => Reading::unreadable("not asked"),
            Self::Stuck(reason) => Reading::Unreadable(reason.clone()),
        }
    }
}

/// Why a call inside `part` never returned: the one that hung, rather than those behind it that nobody got to make.
pub fn first_stuck<T: Serialize>(part: &T) -> Option<String> {
    fn walk(value: &Value, hung: &mut Option<String>, behind: &mut Option<String>) {
        match value {
            Value::Object(fields) => match fields.get("stuck") {
                Some(Value::String(reason)) if fields.len() == 1 => {
                    let place = if reason.contains(" in `") { hung } else { behind };
                    place.get_or_insert_with(|| reason.clone());
                }
                _ => fields.values().for_each(|value| walk(value, hung, behind)),
            },
            Value::Array(items) => items.iter().for_each(|value| walk(value, hung, behind)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let (mut hung, mut behind) = (None, None);
    walk(&serde_json::to_value(part).ok()?, &mut hung, &mut behind);
    hung.or(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_kept_as_it_came() {
        let call: Call<u32> = Call::Failed(Failure { code: 4242, name: "unknown".to_owned() });
        assert_eq!(serde_json::to_string(&call).expect("JSON"), r#"{"failed":{"code":4242,"name":"unknown"}}"#);
        assert_eq!((call.code(), call.value()), (Some(4242), None));
        assert_eq!(call.reading(), Reading::unreadable("unknown (4242)"));
    }

    #[test]
    fn the_call_that_hung_is_told() {
        let stuck = |reason: &str| Call::<u32>::Stuck(reason.to_owned());
        let calls = [Call::Value(1), stuck("timed out after 10 s"), stuck("timed out after 10 s in `cuInit`")];
        assert_eq!(first_stuck(&calls).as_deref(), Some("timed out after 10 s in `cuInit`"));
        assert_eq!(first_stuck(&[Call::Value(1), Call::Missing]), None);
    }

    #[test]
    fn no_answer_is_no_code() {
        let calls = [Call::<u32>::Missing, Call::NotCalled, Call::Stuck("timed out after 10 s".to_owned())];
        for call in calls {
            assert_eq!((call.code(), call.reading().known()), (None, None));
        }
    }
}
