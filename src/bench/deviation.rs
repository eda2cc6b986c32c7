//! How far a result is from its reference.

use std::thread::ScopedJoinHandle;

use crate::measurement::Sample;

/// What checking a result gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Deviation {
    /// The largest deviation as a share of the root mean square of the reference.
    pub(super) error: f64,
    /// What else is wrong.
    pub(super) fault: Option<String>,
}

impl Deviation {
    /// Something is wrong that is no deviation.
    pub(super) fn fault(text: &str) -> Self {
        Self { error: 0.0, fault: Some(text.to_owned()) }
    }

    /// The worse of both; not a number is worst.
    pub(super) fn worse(self, other: Self) -> Self {
        let error = if other.error.is_nan() || other.error > self.error { other.error } else { self.error };
        Self { error, fault: self.fault.or(other.fault) }
    }

    /// Of pairs of a result and its reference.
    pub(super) fn of(pairs: &[(f64, f64)]) -> Self {
        let square = pairs.iter().map(|(_, wanted)| wanted * wanted).sum::<f64>() / pairs.len().max(1) as f64;
        let far = |(found, wanted): &(f64, f64)| (found - wanted).abs();
        let error = pairs.iter().map(far).fold(0.0, |worst: f64, error| if error.is_nan() || error > worst { error } else { worst });
        // The largest is not a number as soon as one is.
        let error = if pairs.iter().any(|pair| far(pair).is_nan()) { f64::NAN } else { error / square.sqrt() };
        Self { error, fault: None }
    }

    /// Of a thread that computed the reference.
    pub(super) fn of_thread(thread: ScopedJoinHandle<'_, Self>) -> Self {
        thread.join().unwrap_or_else(|_| Self::fault("the reference could not be computed"))
    }

    /// Writes it into a measurement. An error that is not a number has no form in JSON: it becomes a fault.
    pub(super) fn into_sample(self, sample: &mut Sample, limit: f64) {
        let fault = self.error.is_nan().then(|| "the result holds values that are not numbers".to_owned());
        sample.error = (!self.error.is_nan()).then_some(self.error);
        sample.error_limit = Some(limit);
        sample.fault = self.fault.or(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error is the largest deviation over the root mean square of the reference.
    #[test]
    fn an_error_is_relative_to_the_size_of_the_outputs() {
        let deviation = Deviation::of(&[(3.0, 3.0), (4.5, 4.0)]);
        assert!((deviation.error - 0.5 / 12.5_f64.sqrt()).abs() < 1e-12);
    }

    /// One output that is not a number makes the whole error not a number, wherever it stands, and nothing hides that.
    #[test]
    fn not_a_number_is_the_worst_error() {
        let first = Deviation::of(&[(f64::NAN, 1.0), (1.0, 1.0)]);
        assert!(first.error.is_nan());
        assert!(first.worse(Deviation { error: 0.5, fault: None }).error.is_nan());
    }
}
