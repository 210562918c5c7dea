//! Time on an axis: from the start of measuring, in the unit that suits its length.

use std::time::Duration;

use convoke_core::Instant;

/// A stretch of time that begins at zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
    length: Duration,
    unit: (f64, &'static str),
}

impl Clock {
    /// From a moment on, so long; no axis is empty.
    pub(super) fn new(began: Instant, length: Duration) -> Self {
        let length = length.max(Duration::from_micros(1));
        let unit = match length.as_secs_f64() {
            length if length < 0.001 => (1e-6, "µs"),
            length if length < 1.0 => (1e-3, "ms"),
            length if length < 900.0 => (1.0, "s"),
            length if length < 14_400.0 => (60.0, "min"),
            _ => (3600.0, "h"),
        };
        Self {
            began,
            length,
            unit,
        }
    }

    /// A duration in the unit.
    pub(super) fn units(&self, duration: Duration) -> f64 {
        duration.as_secs_f64() / self.unit.0
    }

    /// A moment in the unit; what was before the beginning is at the beginning.
    pub(super) fn at(&self, moment: Instant) -> f64 {
        self.units(moment.since(self.began).min(self.length))
    }

    /// The end of the axis.
    pub(super) fn end(&self) -> f64 {
        self.units(self.length)
    }

    /// Which of so many equal parts a moment is in.
    pub(super) fn part(&self, moment: Instant, parts: usize) -> usize {
        let share = self.at(moment) / self.end();
        ((share * parts as f64) as usize).min(parts.saturating_sub(1))
    }

    /// The name of the unit.
    pub(super) const fn unit(&self) -> &'static str {
        self.unit.1
    }
}

/// A number on an axis, without zeros at its end.
pub(super) fn tick(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_suits_the_length() {
        let unit =
            |seconds: f64| Clock::new(Instant::ORIGIN, Duration::from_secs_f64(seconds)).unit();
        assert_eq!(
            [0.0, 0.02, 5.0, 600.0, 1800.0, 86_400.0].map(unit),
            ["µs", "ms", "s", "s", "min", "h"]
        );
    }

    #[test]
    fn moments_outside_are_at_the_ends() {
        let began = Instant::from_micros(5_000_000);
        let clock = Clock::new(began, Duration::from_secs(10));
        assert_eq!(clock.at(Instant::ORIGIN), 0.0);
        assert_eq!(clock.at(Instant::from_micros(99_000_000)), 10.0);
        let parts = [5, 10, 14, 15].map(|s| clock.part(Instant::from_micros(s * 1_000_000), 10));
        assert_eq!(parts, [0, 5, 9, 9]);
    }

    #[test]
    fn numbers_have_no_zeros_at_their_end() {
        assert_eq!(
            [0.0, -0.0, 2.50, 10.0, 0.125].map(tick),
            ["0", "0", "2.5", "10", "0.125"]
        );
    }
}
