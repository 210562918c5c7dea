//! Durations of things that may never come about: what did not within its limit counts as longer
//! than all that did.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::words::{count, spoken};

/// Below 131 ms to the microsecond, above to one part in a hundred thousand.
const DIGITS: u8 = 5;
/// What is longer counts as this long. Nothing simulated is; it bounds the histogram.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long each took.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// In microseconds.
    samples: Histogram<u64>,
    /// The histogram rounds up; the greatest is known exactly.
    max: Duration,
    never: u64,
}

impl Default for Times {
    fn default() -> Self {
        let samples = Histogram::new(DIGITS).expect("five digits are within the library's bounds");
        Self {
            samples,
            max: Duration::ZERO,
            never: 0,
        }
    }
}

impl Times {
    /// Takes what came about.
    pub(super) fn extend(&mut self, durations: &[Duration]) {
        for &duration in durations {
            let duration = duration.min(LONGEST);
            let micros = u64::try_from(duration.as_micros()).expect("a day of microseconds");
            self.samples
                .record(micros)
                .expect("the histogram grows up to the longest duration");
            self.max = self.max.max(duration);
        }
    }

    /// So many did not come about.
    pub(super) fn never(&mut self, count: u64) {
        self.never += count;
    }

    /// The time within which this share of all came about; `None`: never.
    fn quantile(&self, share: f64) -> Option<Duration> {
        let came = self.samples.len();
        let rank = (share * (came + self.never) as f64).ceil().max(1.0);
        if rank > came as f64 {
            return None;
        }
        // Half a sample off its edge, where rounding cannot reach.
        let micros = self.samples.value_at_quantile((rank - 0.5) / came as f64);
        Some(Duration::from_micros(micros).min(self.max))
    }

    /// Median and maximum: `4.36 s / 5.02 s`, `43.10 s / never (2 of 40)`.
    pub(super) fn median_and_max(&self) -> String {
        match self.quantile(0.5) {
            Some(median) => format!("{} / {}", spoken(median), self.greatest()),
            None => self.greatest(),
        }
    }

    /// The maximum.
    pub(super) fn greatest(&self) -> String {
        self.told(1.0)
    }

    /// The 99th percentile.
    pub(super) fn p99(&self) -> String {
        self.told(0.99)
    }

    fn told(&self, share: f64) -> String {
        let all = self.samples.len() + self.never;
        match self.quantile(share) {
            Some(time) => spoken(time),
            None if all == 0 => "–".to_owned(),
            None => format!("never ({} of {})", count(self.never), count(all)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: impl IntoIterator<Item = u64>, never: u64) -> Times {
        let mut times = Times::default();
        let millis: Vec<Duration> = millis.into_iter().map(Duration::from_millis).collect();
        times.extend(&millis);
        times.never(never);
        times
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_samples() {
        let times = of((1..=200).rev(), 0);
        assert_eq!(times.median_and_max(), "100 ms / 200 ms");
        assert_eq!(times.p99(), "198 ms");
        let few = of([300, 100, 200], 0);
        assert_eq!(few.median_and_max(), "200 ms / 300 ms");
        assert_eq!(few.p99(), "300 ms");
    }

    #[test]
    fn what_never_came_about_is_longer_than_all_else() {
        let most = of([100; 38], 2);
        assert_eq!(most.median_and_max(), "100 ms / never (2 of 40)");
        assert_eq!(of([100; 2], 2).median_and_max(), "100 ms / never (2 of 4)");
        assert_eq!(of([100], 2).median_and_max(), "never (2 of 3)");
        assert_eq!(of([], 5).greatest(), "never (5 of 5)");
        assert_eq!(of([100; 199], 1).p99(), "100 ms");
    }

    #[test]
    fn nothing_asked_nothing_told() {
        assert_eq!(of([], 0).median_and_max(), "–");
    }

    #[test]
    fn the_greatest_is_exact() {
        let mut times = Times::default();
        times.extend(&[Duration::from_micros(59_999_999), Duration::MAX]);
        assert_eq!(times.greatest(), "86400.00 s");
        let median = times.quantile(0.5).unwrap();
        let off = median.abs_diff(Duration::from_micros(59_999_999));
        assert!(off < Duration::from_micros(600), "{median:?}");
    }
}
