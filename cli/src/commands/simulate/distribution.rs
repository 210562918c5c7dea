//! Durations of many samples, kept as a histogram: exact to five digits, however many they are.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Below 131 ms to the microsecond, above to one part in a hundred thousand.
const DIGITS: u8 = 5;
/// What is longer counts as this long. Nothing simulated is; it bounds the histogram.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Samples of one duration.
#[derive(Clone, Debug)]
pub(super) struct Distribution {
    /// In microseconds.
    samples: Histogram<u64>,
    /// The histogram rounds up; the greatest is known exactly.
    max: Duration,
}

impl Default for Distribution {
    fn default() -> Self {
        let samples = Histogram::new(DIGITS).expect("five digits are within the library's bounds");
        Self {
            samples,
            max: Duration::ZERO,
        }
    }
}

/// The median, the 99th percentile and the greatest, in milliseconds; null without a sample. And
/// of how many samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Percentiles {
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
    samples: u64,
}

impl Distribution {
    /// Takes samples.
    pub(super) fn extend(&mut self, durations: &[Duration]) {
        for duration in durations.iter().map(|duration| *duration.min(&LONGEST)) {
            self.samples
                .record(micros(duration))
                .expect("the histogram grows up to the longest duration");
            self.max = self.max.max(duration);
        }
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> u64 {
        self.samples.len()
    }

    /// The duration that this share of the samples does not exceed.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let at = || Duration::from_micros(self.samples.value_at_quantile(share)).min(self.max);
        (!self.samples.is_empty()).then(at)
    }

    /// The greatest.
    pub(super) fn max(&self) -> Option<Duration> {
        (!self.samples.is_empty()).then_some(self.max)
    }

    /// What a script reads.
    pub(super) fn percentiles(&self) -> Percentiles {
        Percentiles {
            p50: self.quantile(0.5).map(millis),
            p99: self.quantile(0.99).map(millis),
            max: self.max().map(millis),
            samples: self.len(),
        }
    }

    /// Durations in ascending order, each with the share of the samples that do not exceed it.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (Duration, f64)> {
        let all = self.samples.len() as f64;
        self.samples
            .iter_recorded()
            .scan(0_u64, move |below, step| {
                *below += step.count_since_last_iteration();
                let duration = Duration::from_micros(step.value_iterated_to()).min(self.max);
                Some((duration, *below as f64 / all))
            })
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds, to the microsecond.
pub(super) fn millis(duration: Duration) -> f64 {
    // Divided, not multiplied: 4530125 becomes 4530.125 and nothing beside it.
    micros(duration) as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        let durations: Vec<Duration> = micros.into_iter().map(Duration::from_micros).collect();
        distribution.extend(&durations);
        distribution
    }

    #[test]
    fn without_a_sample_there_is_no_percentile() {
        let none = Distribution::default();
        let text = serde_json::to_string(&none.percentiles()).unwrap();
        assert_eq!(text, r#"{"p50":null,"p99":null,"max":null,"samples":0}"#);
        assert_eq!(none.cumulative().count(), 0);
    }

    #[test]
    fn one_sample_is_every_percentile_exactly() {
        let text = serde_json::to_string(&of([4_530_125]).percentiles()).unwrap();
        assert_eq!(
            text,
            r#"{"p50":4530.125,"p99":4530.125,"max":4530.125,"samples":1}"#
        );
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_samples() {
        // In whichever order they come.
        let percentiles = of((1..=1000).rev().map(|n| n * 100)).percentiles();
        let expected = Percentiles {
            p50: Some(50.0),
            p99: Some(99.0),
            max: Some(100.0),
            samples: 1000,
        };
        assert_eq!(percentiles, expected);
    }

    #[test]
    fn long_durations_lose_a_hundred_thousandth_at_most() {
        let p50 = of([59_999_999, 60_000_001, 120_000_003])
            .quantile(0.5)
            .unwrap();
        let off = p50.abs_diff(Duration::from_micros(60_000_001));
        assert!(off < Duration::from_micros(600), "{p50:?}");
        assert_eq!(
            of([u64::MAX]).max(),
            Some(LONGEST),
            "what is absurd is bounded"
        );
    }

    #[test]
    fn the_cumulative_distribution_rises_to_all_of_them() {
        let points: Vec<(Duration, f64)> = of([1000, 1000, 3000, 9000]).cumulative().collect();
        let millis: Vec<(u128, f64)> = points.iter().map(|(d, s)| (d.as_millis(), *s)).collect();
        assert_eq!(millis, [(1, 0.5), (3, 0.75), (9, 1.0)]);
    }
}
