//! What a line of the table reads of the figures.

use super::figures::Figures;
use super::times::Times;
use super::words::{bytes, count, mean};

/// From figures to the text of a cell.
pub(super) type Reading = fn(&Figures) -> String;

pub(super) fn known(figures: &Figures) -> String {
    figures.known_by_all.median_and_max()
}

pub(super) fn known_p99(figures: &Figures) -> String {
    figures.known_by_all.p99()
}

pub(super) fn failed(figures: &Figures) -> String {
    figures.failed_everywhere.median_and_max()
}

pub(super) fn failed_last(figures: &Figures) -> String {
    figures.failed_everywhere.greatest()
}

/// The time until all was well; and in how many runs it was not so in the end.
pub(super) fn healed(figures: &Figures) -> String {
    let times: &Times = &figures.healed;
    let mut text = times.median_and_max();
    if figures.healed_in_vain > 0 {
        let vain = count(figures.healed_in_vain);
        text += &format!(", then wrong again ({vain} of {})", count(figures.runs));
    }
    text
}

pub(super) fn messages(figures: &Figures) -> String {
    mean(figures.messages_per_node())
}

pub(super) fn messages_per_s(figures: &Figures) -> String {
    mean(figures.messages_per_node_per_s())
}

pub(super) fn bytes_per_s(figures: &Figures) -> String {
    format!("{}/s", bytes(figures.bytes_per_node_per_s()))
}

/// What the node that sent most sent.
pub(super) fn busiest(figures: &Figures) -> String {
    bytes(figures.bytes_of_busiest as f64)
}

/// The mean over the runs.
pub(super) fn suspicions(figures: &Figures) -> String {
    mean(figures.suspicions as f64 / figures.runs as f64)
}

/// Verdicts, and about how many members.
pub(super) fn false_failures(figures: &Figures) -> String {
    match figures.false_failed_events {
        0 => "0".to_owned(),
        events => format!(
            "{} / {}",
            count(events),
            count(figures.false_failed_members)
        ),
    }
}

/// As Lifeguard's table has them, with the number of the members last.
pub(super) fn false_failures_at_well(figures: &Figures) -> String {
    match figures.false_failed_events {
        0 => "0".to_owned(),
        events => format!(
            "{} / {} / {}",
            count(events),
            count(figures.false_failed_at_well),
            count(figures.false_failed_members)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_false_failure_is_a_plain_zero() {
        let mut figures = Figures::default();
        assert_eq!(false_failures(&figures), "0");
        assert_eq!(false_failures_at_well(&figures), "0");
        figures.false_failed_events = 339_002;
        figures.false_failed_at_well = 1326;
        figures.false_failed_members = 128;
        assert_eq!(false_failures(&figures), "339,002 / 128");
        assert_eq!(false_failures_at_well(&figures), "339,002 / 1,326 / 128");
    }

    #[test]
    fn a_heal_that_did_not_last_is_told() {
        let mut figures = Figures {
            runs: 5,
            ..Figures::default()
        };
        figures
            .healed
            .extend(&[std::time::Duration::from_millis(400)]);
        assert_eq!(healed(&figures), "400 ms / 400 ms");
        figures.healed_in_vain = 1;
        let expected = "400 ms / 400 ms, then wrong again (1 of 5)";
        assert_eq!(healed(&figures), expected);
    }
}
