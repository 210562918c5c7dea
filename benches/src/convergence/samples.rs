//! Times of many pairs of nodes, some of which may never come about.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Exact to one part in a thousand.
const DIGITS: u8 = 3;
/// What is longer counts as this long; it bounds the histogram.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long each took, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Counts", into = "Counts")]
pub(super) struct Samples {
    histogram: Histogram<u64>,
    never: u64,
}

/// The same as it is written down.
#[derive(Serialize, Deserialize)]
struct Counts {
    /// Microseconds, and how often.
    counts: Vec<(u64, u64)>,
    never: u64,
}

impl Default for Samples {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(micros(LONGEST), DIGITS);
        Self {
            histogram: histogram.expect("an hour and three digits are within the library's bounds"),
            never: 0,
        }
    }
}

impl Samples {
    /// Takes one that came about.
    pub(super) fn add(&mut self, time: Duration) {
        self.histogram.saturating_record(micros(time));
    }

    /// Takes one that did not.
    pub(super) fn add_never(&mut self) {
        self.never += 1;
    }

    /// Takes all of another's.
    pub(super) fn merge(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("both have the same bounds");
        self.never += other.never;
    }

    /// How many there are, those included that did not come about.
    pub(super) fn count(&self) -> u64 {
        self.histogram.len() + self.never
    }

    /// How many did not come about.
    pub(super) fn never(&self) -> u64 {
        self.never
    }

    /// The time within which this share of all came about; `None`: not at all.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let came = self.histogram.len();
        let rank = (share * self.count() as f64).ceil().max(1.0);
        if rank > came as f64 {
            return None;
        }
        // Half a sample off its edge, where rounding cannot reach.
        let at = (rank - 0.5) / came as f64;
        let value = self.histogram.value_at_quantile(at);
        Some(Duration::from_micros(value.min(self.histogram.max())))
    }

    /// The first of all.
    pub(super) fn first(&self) -> Option<Duration> {
        let some = !self.histogram.is_empty();
        some.then(|| Duration::from_micros(self.histogram.min()))
    }

    /// The last of all; `None` where one did not come about, or there is none.
    pub(super) fn last(&self) -> Option<Duration> {
        let all = self.never == 0 && !self.histogram.is_empty();
        all.then(|| Duration::from_micros(self.histogram.max()))
    }

    /// Times in ascending order, each with the share of all that do not exceed it.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (Duration, f64)> {
        let all = self.count() as f64;
        self.histogram
            .iter_recorded()
            .scan(0_u64, move |below, step| {
                *below += step.count_since_last_iteration();
                let time = Duration::from_micros(step.value_iterated_to());
                Some((time, *below as f64 / all))
            })
    }
}

impl From<Counts> for Samples {
    fn from(Counts { counts, never }: Counts) -> Self {
        let mut samples = Self {
            never,
            ..Self::default()
        };
        for (value, count) in counts {
            samples.histogram.saturating_record_n(value, count);
        }
        samples
    }
}

impl From<Samples> for Counts {
    fn from(samples: Samples) -> Self {
        let steps = samples.histogram.iter_recorded();
        Self {
            counts: steps
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
            never: samples.never,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.min(LONGEST).as_micros()).expect("an hour of microseconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(millis: &[u64], never: u64) -> Samples {
        let mut samples = Samples::default();
        for millis in millis {
            samples.add(Duration::from_millis(*millis));
        }
        (0..never).for_each(|_| samples.add_never());
        samples
    }

    fn near(time: Option<Duration>, millis: u64) -> bool {
        time.is_some_and(|time| {
            let off = time.abs_diff(Duration::from_millis(millis));
            off * 500 <= Duration::from_millis(millis)
        })
    }

    #[test]
    fn what_never_came_about_is_longer_than_all_else() {
        let samples = of(&[10, 20, 30], 1);
        assert!(near(samples.quantile(0.5), 20), "{samples:?}");
        assert!(near(samples.first(), 10), "{samples:?}");
        assert_eq!(samples.quantile(0.99), None);
        assert_eq!(samples.last(), None);
        assert_eq!(of(&[], 3).first(), None);
    }

    #[test]
    fn written_down_and_read_they_are_the_same() {
        let samples = of(&[1, 10, 10, 5_000, 4_000_000], 2);
        let text = serde_json::to_string(&samples).unwrap();
        let read: Samples = serde_json::from_str(&text).unwrap();
        assert_eq!((read.count(), read.never()), (7, 2));
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!(near(read.quantile(0.4), 10), "{text}");
    }

    #[test]
    fn what_is_merged_is_all_of_it() {
        let mut samples = of(&[10], 0);
        samples.merge(&of(&[30], 0));
        assert!(near(samples.first(), 10) && near(samples.last(), 30));
        let shares: Vec<f64> = samples.cumulative().map(|(_, share)| share).collect();
        assert_eq!(shares, [0.5, 1.0]);
    }
}
