//! Numbers as people read them: short, in a unit that suits them.

use std::time::Duration;

/// Milliseconds below a second, else seconds with two digits.
pub(super) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if duration.is_zero() => "0 ms".to_owned(),
        _ if seconds < 0.09995 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

/// Bytes: thousands are KB.
pub(super) fn bytes(number: f64) -> String {
    match number {
        _ if number < 999.5 => format!("{number:.0} B"),
        _ if number < 99_950.0 => format!("{:.2} KB", number / 1e3),
        _ if number < 999_500.0 => format!("{:.0} KB", number / 1e3),
        _ => format!("{:.2} MB", number / 1e6),
    }
}

/// A mean: two digits where it is small.
pub(super) fn mean(number: f64) -> String {
    match number {
        _ if number < 99.995 => format!("{number:.2}"),
        _ => count(number.round() as u64),
    }
}

/// A count: `339,002`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: `1 seed`, `40 seeds`.
pub(super) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_milliseconds_below_a_second() {
        let cases = [
            (0, "0 ms"),
            (40, "0.0 ms"),
            (12_540, "12.5 ms"),
            (99_940, "99.9 ms"),
            (99_960, "100 ms"),
            (999_400, "999 ms"),
            (999_600, "1.00 s"),
            (4_530_125, "4.53 s"),
            (119_999_999, "120.00 s"),
        ];
        for (micros, expected) in cases {
            assert_eq!(spoken(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn bytes_and_means_keep_three_digits_or_so() {
        let cases = [
            (0.0, "0 B"),
            (259.6, "260 B"),
            (999.6, "1.00 KB"),
            (12_340.0, "12.34 KB"),
            (99_960.0, "100 KB"),
            (4_560_000.0, "4.56 MB"),
        ];
        for (number, expected) in cases {
            assert_eq!(bytes(number), expected);
        }
        assert_eq!([2.084, 99.994].map(mean), ["2.08", "99.99"]);
        assert_eq!([99.996, 12_345.6].map(mean), ["100", "12,346"]);
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        let counts = [0, 999, 1000, 339_002, 1_000_000].map(count);
        assert_eq!(counts, ["0", "999", "1,000", "339,002", "1,000,000"]);
        assert_eq!(counted(1, "seed"), "1 seed");
        assert_eq!(counted(2, "seed"), "2 seeds");
    }
}
