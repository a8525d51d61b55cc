//! Repeated measurements of one quantity, and their statistics.

/// Sorted measurements in one unit.
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The quantile: the value not exceeded by this share of all; NaN if there are none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else {
            return f64::NAN;
        };
        self.0[(last as f64 * percent / 100.0).round() as usize]
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Samples;

    #[test]
    fn percentiles_are_of_the_sorted_values() {
        let samples = Samples::new((0..=100).rev().map(f64::from).collect());
        assert_eq!(
            (samples.median(), samples.percentile(99.0), samples.percentile(100.0)),
            (50.0, 99.0, 100.0)
        );
        assert!(Samples::new(Vec::new()).median().is_nan());
    }
}
