//! One target: what is asked for, what was measured, and whether that is enough.

use serde::{Deserialize, Serialize};

/// A target with what was measured.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct Target {
    /// What is asked for.
    pub(crate) asked: String,
    /// What was measured, in words.
    pub(crate) measured: String,
    /// Whether it is met; `None` when a row that it needs was not measured.
    pub(crate) met: Option<bool>,
    /// The measured ratio of two throughputs or costs of one run, which another run should repeat.
    pub(crate) ratio: Option<f64>,
}

/// What a figure may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

impl Target {
    /// A figure with its unit, shown with so many digits.
    pub(crate) fn figure(
        asked: &str,
        (unit, digits): (&str, usize),
        bound: Bound,
        value: Option<f64>,
    ) -> Self {
        Self {
            asked: asked.to_owned(),
            measured: value.map_or_else(missing, |value| format!("{value:.digits$}{unit}")),
            met: value.map(|value| bound.holds(value)),
            ratio: None,
        }
    }

    /// The first figure divided by the second.
    pub(crate) fn ratio(
        asked: &str,
        (unit, digits): (&str, usize),
        bound: Bound,
        figures: Option<(f64, f64)>,
    ) -> Self {
        let ratio = figures.map(|(value, base)| value / base);
        let words = |(value, base): (f64, f64)| {
            format!("{value:.digits$}{unit} against {base:.digits$}{unit}: {:.2}", value / base)
        };
        Self {
            asked: asked.to_owned(),
            measured: figures.map_or_else(missing, words),
            met: ratio.map(|ratio| bound.holds(ratio)),
            ratio,
        }
    }

    /// For tails: a few pauses of the machine decide a high percentile, so that two runs need not agree.
    pub(crate) fn not_compared(self) -> Self {
        Self { ratio: None, ..self }
    }
}

fn missing() -> String {
    "not measured".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_met_at_its_bound_and_not_beyond() {
        let met = |bound, figures| Target::ratio("", (" µs", 1), bound, Some(figures)).met;
        assert_eq!(met(Bound::AtMost(0.5), (10.0, 20.0)), Some(true));
        assert_eq!(met(Bound::AtMost(0.5), (10.1, 20.0)), Some(false));
        assert_eq!(met(Bound::AtLeast(3.0), (30.0, 10.0)), Some(true));
        assert_eq!(met(Bound::AtLeast(3.0), (29.0, 10.0)), Some(false));
    }

    #[test]
    fn what_was_measured_is_said_with_its_unit() {
        let target = Target::ratio("", ("/s", 0), Bound::AtLeast(3.0), Some((13764.2, 2573.9)));
        assert_eq!(target.measured, "13764/s against 2574/s: 5.35");
        assert_eq!(Target::figure("", (" ms", 2), Bound::AtMost(5.0), Some(3.456)).measured, "3.46 ms");
        assert_eq!(Target::figure("", (" ms", 2), Bound::AtMost(5.0), None).measured, "not measured");
    }
}
