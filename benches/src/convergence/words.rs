//! Figures in words.

use super::figure::Quantity;
use super::outcome::Value;
use super::report::{Percentiles, Summary};

/// `0.81 s (0.60–30.1 s)`; without the range where all rounds gave the same.
pub(super) fn summary(summary: &Summary) -> String {
    let say = |at| value(summary.quantity, at);
    let (median, min, max) = (say(summary.median), say(summary.min), say(summary.max));
    let ratio = summary
        .ratio
        .map(|ratio| format!(" [{}×]", significant(ratio)))
        .unwrap_or_default();
    if min == max {
        return median + &ratio;
    }
    format!("{median} ({min} – {max}){ratio}")
}

/// `99.8 %`: never all where it is not all.
pub(super) fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).floor() / 10.0;
    format!("{tenths} %")
}

/// Two digits that mean something: `0.031`, `1.4`, `22`, `307`.
fn significant(number: f64) -> String {
    let digits = match number {
        large if large >= 9.95 => 0,
        middle if middle >= 0.995 => 1,
        small if small >= 0.0995 => 2,
        _ => 3,
    };
    format!("{number:.digits$}")
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
        never => {
            let came = (pairs.samples - never) as f64 / pairs.samples as f64;
            format!(", {never} never ({} came about)", percent(came))
        }
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
            ratio: None,
        };
        assert_eq!(summary(&of(one, one, one)), "1.00 s");
        assert_eq!(summary(&of(one, one, two)), "1.00 s (1.00 s – 2.00 s)");
        let compared = Summary {
            ratio: Some(12.34),
            ..of(one, one, one)
        };
        assert_eq!(summary(&compared), "1.00 s [12×]");
        let ratios = [0.0312, 0.25, 1.36, 9.97, 307.2].map(significant);
        assert_eq!(ratios, ["0.031", "0.25", "1.4", "10", "307"]);
    }

    #[test]
    fn what_is_not_all_is_not_rounded_to_all() {
        assert_eq!(percent(0.99999), "99.9 %");
        assert_eq!(percent(1.0), "100 %");
    }
}
