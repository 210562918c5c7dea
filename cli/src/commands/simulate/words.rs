//! Numbers as people read them: three digits or so, and a unit that suits them.

use std::time::Duration;

/// A duration for eyes: three digits or so, in the unit that suits it.
pub(super) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if seconds < 0.000_999_5 => format!("{} µs", duration.as_micros()),
        _ if seconds < 0.009_995 => format!("{:.2} ms", seconds * 1e3),
        _ if seconds < 0.09995 => format!("{:.1} ms", seconds * 1e3),
        _ if seconds < 0.9995 => format!("{:.0} ms", seconds * 1e3),
        _ if seconds < 9.995 => format!("{seconds:.2} s"),
        _ if seconds < 99.95 => format!("{seconds:.1} s"),
        _ if seconds < 600.0 => format!("{seconds:.0} s"),
        _ => format!("{:.1} min", seconds / 60.0),
    }
}

/// A number of bytes for eyes: thousands are KB.
pub(super) fn bytes(number: f64) -> String {
    match number {
        _ if number < 99.95 => format!("{number:.1} B"),
        _ if number < 999.5 => format!("{number:.0} B"),
        _ if number < 9_995.0 => format!("{:.2} KB", number / 1e3),
        _ if number < 999_500.0 => format!("{:.1} KB", number / 1e3),
        _ if number < 999.5e6 => format!("{:.1} MB", number / 1e6),
        _ if number < 999.5e9 => format!("{:.1} GB", number / 1e9),
        _ => format!("{:.1} TB", number / 1e12),
    }
}

/// A mean for eyes.
pub(super) fn number(number: f64) -> String {
    match number {
        _ if number < 9.995 => format!("{number:.2}"),
        _ if number < 999.95 => format!("{number:.1}"),
        _ => count(number.round() as u64),
    }
}

/// A count for eyes: `39,960`.
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
    fn durations_keep_their_digits_and_change_their_unit() {
        let cases = [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1.00 ms"),
            (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (123_400, "123 ms"),
            (999_600, "1.00 s"),
            (4_530_125, "4.53 s"),
            (12_340_000, "12.3 s"),
            (340_000_000, "340 s"),
            (1_800_000_000, "30.0 min"),
        ];
        for (micros, expected) in cases {
            assert_eq!(spoken(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn bytes_are_counted_in_thousands() {
        let shown = [0.0, 99.96, 259.7, 1_234.0, 12_345.0, 4.9e6, 3e9, 1e12].map(bytes);
        let expected = [
            "0.0 B", "100 B", "260 B", "1.23 KB", "12.3 KB", "4.9 MB", "3.0 GB", "1.0 TB",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn means_keep_three_digits() {
        assert_eq!(
            [0.0, 2.004, 67.83, 4616.9].map(number),
            ["0.00", "2.00", "67.8", "4,617"]
        );
    }

    #[test]
    fn counts_have_commas_and_nouns_a_plural() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(counted(1, "seed"), "1 seed");
        assert_eq!(counted(4000, "seed"), "4,000 seeds");
    }
}
