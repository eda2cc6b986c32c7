//! From data to places, and which values are worth a line.

/// Values from zero on, evenly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    most: f64,
    from: f64,
    to: f64,
}

impl Linear {
    /// Zero at `from`, `most` at `to`. What is no positive number counts as one.
    pub(super) const fn new(most: f64, from: f64, to: f64) -> Self {
        Self { most: if most.is_finite() && most > 0.0 { most } else { 1.0 }, from, to }
    }

    /// Where `value` is; what is beyond the ends stands at them.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if value.is_finite() { (value / self.most).clamp(0.0, 1.0) } else { 0.0 };
        self.from + share * (self.to - self.from)
    }

    /// About five round values from zero to the end.
    pub(super) fn ticks(&self) -> Vec<f64> {
        let rough = self.most / 5.0;
        let decade = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * decade).into_iter().find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(rough);
        (0..=5).map(|number| f64::from(number) * step).filter(|tick| *tick <= self.most * 1.0001).collect()
    }
}

/// Positive values by their logarithm, in whole decades.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decades {
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Decades {
    /// The decades that hold all of `values`, at least one; what is no positive number is left out.
    pub(super) fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logarithms: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).map(f64::log10).collect();
        let low = logarithms.iter().copied().fold(f64::INFINITY, f64::min);
        let high = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low.is_finite() { (low.floor() as i32, high.ceil() as i32) } else { (0, 1) };
        Self { low, high: high.max(low + 1), from, to }
    }

    /// The ends in units of the data.
    pub(super) fn ends(&self) -> (f64, f64) {
        (10_f64.powi(self.low), 10_f64.powi(self.high))
    }

    /// Where `value` is; what is beyond the ends stands at them.
    pub(super) fn at(&self, value: f64) -> f64 {
        let decade = if value > 0.0 { value.log10() } else { f64::from(self.low) };
        let share = ((decade - f64::from(self.low)) / f64::from(self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    /// The powers of ten.
    pub(super) fn ticks(&self) -> Vec<f64> {
        (self.low..=self.high).map(|power| 10_f64.powi(power)).collect()
    }
}

/// A round value as it stands at an axis: `0.5`, `250`, `3,000`.
pub(super) fn tick(value: f64) -> String {
    if value >= 1000.0 { crate::units::thousands(value.round() as u64) } else { ((value * 1e6).round() / 1e6).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines stand at round values, the last not beyond the end.
    #[test]
    fn ticks_are_round() {
        assert_eq!(Linear::new(3350.0, 0.0, 1.0).ticks(), [0.0, 1000.0, 2000.0, 3000.0]);
        assert_eq!(Linear::new(7.0, 0.0, 1.0).ticks(), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(Linear::new(100.0, 0.0, 1.0).ticks(), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!([tick(0.25), tick(20.0), tick(3000.0)], ["0.25", "20", "3,000"]);
    }

    /// Every value has a place between the ends, also one that is no number.
    #[test]
    fn places_are_between_the_ends() {
        for value in [-1.0, 0.0, 0.5, 1.0, 9.0, f64::NAN, f64::INFINITY] {
            for most in [0.0, 1.0, f64::NAN] {
                assert!((10.0..=20.0).contains(&Linear::new(most, 10.0, 20.0).at(value)), "{value} of {most}");
            }
            assert!((10.0..=20.0).contains(&Decades::over([value].into_iter(), 20.0, 10.0).at(value)), "{value}");
        }
    }

    /// Decades hold what they are made for.
    #[test]
    fn decades_are_whole() {
        let decades = Decades::over([4.0, 295.0].into_iter(), 0.0, 300.0);
        assert_eq!(decades.ends(), (1.0, 1000.0));
        assert_eq!(decades.ticks(), [1.0, 10.0, 100.0, 1000.0]);
        assert!((decades.at(10.0) - 100.0).abs() < 1e-9);
        assert_eq!(Decades::over([].into_iter(), 0.0, 1.0).ends(), (1.0, 10.0));
    }
}
