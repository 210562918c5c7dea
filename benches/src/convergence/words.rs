//! Figures in words.

use super::figure::Quantity;
use super::outcome::Value;
use super::report::{Percentiles, Summary};

/// `0.81 s (0.60–30.1 s)`; without the range where all rounds gave the same.
pub(super) fn summary(summary: &Summary) -> String {
    let say = |at| value(summary.quantity, at);
    let (median, min, max) = (say(summary.median), say(summary.min), say(summary.max));
    if min == max {
        return median;
    }
    format!("{median} ({min} – {max})")
}

/// `12.3 ms`, `not within 60 s`, `203`.
pub(super) fn value(quantity: Quantity, value: Value) -> String {
    match value {
        Value::NotWithin(seconds) => format!("not within {seconds} s"),
        Value::Is(seconds) if quantity.is_time() => time(seconds),
        Value::Is(number) => self::number(number),
    }
}

/// Percentiles of pairs: `12 240 pairs: p50 30.1 ms, p90 40.0 ms, p99 51.2 ms, max 60.0 ms`.
pub(super) fn percentiles(pairs: &Percentiles) -> String {
    let say = |at: Option<f64>| at.map_or("never".to_owned(), |millis| time(millis / 1e3));
    let never = match pairs.never {
        0 => String::new(),
        never => format!(", {never} never"),
    };
    format!(
        "{} pairs: p50 {}, p90 {}, p99 {}, max {}{never}",
        pairs.samples,
        say(pairs.p50),
        say(pairs.p90),
        say(pairs.p99),
        say(pairs.max)
    )
}

fn time(seconds: f64) -> String {
    if seconds < 0.9995 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

fn number(number: f64) -> String {
    match number {
        whole if whole.fract() == 0.0 => format!("{whole}"),
        large if large >= 100.0 => format!("{large:.0}"),
        middle if middle >= 10.0 => format!("{middle:.1}"),
        small => format!("{small:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_have_as_many_digits_as_mean_something() {
        let say = |quantity, is| value(quantity, Value::Is(is));
        assert_eq!(say(Quantity::All, 0.0123), "12.3 ms");
        assert_eq!(say(Quantity::All, 0.9999), "1.00 s");
        assert_eq!(say(Quantity::Cpu, 203.4), "203");
        assert_eq!(say(Quantity::Packets, 2.057), "2.06");
        assert_eq!(say(Quantity::FalseFailures, 0.0), "0");
        let never = value(Quantity::All, Value::NotWithin(60.0));
        assert_eq!(never, "not within 60 s");
    }

    #[test]
    fn a_range_is_told_where_there_is_one() {
        let [one, two] = [1.0, 2.0].map(Value::Is);
        let of = |min, median, max| Summary {
            quantity: Quantity::All,
            median,
            min,
            max,
        };
        assert_eq!(summary(&of(one, one, one)), "1.00 s");
        assert_eq!(summary(&of(one, one, two)), "1.00 s (1.00 s – 2.00 s)");
    }
}
