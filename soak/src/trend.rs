//! Detects growth: fits a straight line to the measurements, with a confidence interval of its slope.

use std::time::Duration;

use serde::Serialize;

/// Number of time spans into which measurements are grouped, because neighboring measurements are not independent.
const SPANS: usize = 24;
/// Student's t for 99 %, two-sided, and 22 degrees of freedom.
const T_99: f64 = 2.819;

/// A line fitted to measurements.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Trend {
    /// Growth per minute.
    pub(crate) slope_per_min: f64,
    /// Half the width of the slope's confidence interval, at 99 %.
    pub(crate) margin_per_min: f64,
    /// The line's values at the start and the end.
    pub(crate) first: f64,
    pub(crate) last: f64,
    /// The duration of the measurements.
    pub(crate) minutes: f64,
}

impl Trend {
    /// `None` if there are too few measurements.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    pub(crate) fn of(samples: &[(Duration, f64)]) -> Option<Self> {
        let size = samples.len() / SPANS;
        if size < 2 {
            return None;
        }
        let mean = |values: &mut dyn Iterator<Item = f64>, count: usize| values.sum::<f64>() / count as f64;
        let points: Vec<_> = samples[samples.len() - size * SPANS..]
            .chunks(size)
            .map(|span| {
                let at = mean(&mut span.iter().map(|(at, _)| at.as_secs_f64() / 60.0), size);
                (at, mean(&mut span.iter().map(|(_, value)| *value), size))
            })
            .collect();
        let at_mean = mean(&mut points.iter().map(|(at, _)| *at), SPANS);
        let value_mean = mean(&mut points.iter().map(|(_, value)| *value), SPANS);
        let spread: f64 = points.iter().map(|(at, _)| (at - at_mean).powi(2)).sum();
        let together: f64 = points
            .iter()
            .map(|(at, value)| (at - at_mean) * (value - value_mean))
            .sum();
        let slope = together / spread;
        let at = |minute: f64| value_mean + slope * (minute - at_mean);
        let residual: f64 = points.iter().map(|(minute, value)| (value - at(*minute)).powi(2)).sum();
        let (start, end) = (points[0].0, points[SPANS - 1].0);
        Some(Self {
            slope_per_min: slope,
            margin_per_min: T_99 * (residual / (SPANS - 2) as f64 / spread).sqrt(),
            first: at(start),
            last: at(end),
            minutes: end - start,
        })
    }

    /// Returns true if it grows by more than the tolerance in total, and significantly.
    pub(crate) fn grows_by(&self, tolerance: f64) -> bool {
        self.slope_per_min > self.margin_per_min && self.last - self.first > tolerance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn noisy(slope_per_min: f64) -> Vec<(Duration, f64)> {
        let mut random = Random::new(1);
        (0..600)
            .map(|second| {
                let noise = random.below(100) as f64;
                (
                    Duration::from_secs(second),
                    400.0 + noise + slope_per_min * second as f64 / 60.0,
                )
            })
            .collect()
    }

    #[test]
    fn a_leak_is_distinguished_from_noise() {
        let leak = Trend::of(&noisy(8.0)).expect("enough samples");
        assert!((6.0..10.0).contains(&leak.slope_per_min), "{leak:?}");
        assert!(leak.grows_by(16.0), "{leak:?}");
        let flat = Trend::of(&noisy(0.0)).expect("enough samples");
        assert!(
            flat.slope_per_min.abs() <= flat.margin_per_min && !flat.grows_by(0.0),
            "{flat:?}"
        );
    }

    #[test]
    fn growth_below_the_tolerance_is_not_a_leak() {
        let exact: Vec<_> = (0..600u32)
            .map(|s| (Duration::from_secs(s.into()), f64::from(s) / 100.0))
            .collect();
        let trend = Trend::of(&exact).expect("enough samples");
        assert!(trend.grows_by(1.0) && !trend.grows_by(16.0), "{trend:?}");
    }

    #[test]
    fn too_few_measurements_tell_nothing() {
        assert!(Trend::of(&noisy(8.0)[..47]).is_none());
    }
}
