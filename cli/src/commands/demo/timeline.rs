//! Draws the demonstration: a line a step as it happens, and all of it on one axis at the end.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::watch::Known;
use crate::logging::colour;

/// How many columns the axis has.
const AXIS_COLUMNS: usize = 56;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Where the demonstration is drawn.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    colour: bool,
    live: bool,
    step: &'static str,
}

/// A step that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// What happened.
    pub(super) step: &'static str,
    /// To whom, in a few words.
    pub(super) what: String,
    /// When, from the beginning of the demonstration.
    pub(super) begun: Duration,
    /// When it was known.
    pub(super) known: Known,
}

impl<'a> Screen<'a> {
    /// Draws on `out`, which is stdout.
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        let stdout = io::stdout();
        let colour = colour(&stdout);
        Self {
            out,
            colour,
            live: stdout.is_terminal() && colour,
            step: "",
        }
    }

    /// Says what is being shown.
    pub(super) fn header(&mut self, nodes: u16) -> io::Result<()> {
        let title = self.paint(
            BOLD,
            &format!("Convoke demo: {nodes} nodes, from first start to last farewell"),
        );
        writeln!(self.out, "{title}\n")?;
        let last = (nodes).to_be_bytes();
        let text = format!(
            "Each node is a real one with its own certificate: QUIC over UDP and mutual TLS 1.3, on the loopback\n\
             addresses 127.77.0.1 to 127.77.{}.{}. The network is cut in the socket layer. The detector runs on\n\
             the lan profile as it ships, nothing is tuned for the show. \"first\" and \"all\" say how long it took\n\
             until the first and until all of those concerned knew, each by its own view of the cluster.\n",
            last[0], last[1]
        );
        writeln!(self.out, "{text}")?;
        let columns = format!(
            "  {:<12} {:<58} {:>9} {:>9}",
            "step", "what happens", "first", "all"
        );
        let columns = self.paint(DIM, &columns);
        writeln!(self.out, "{columns}")
    }

    /// A step begins.
    pub(super) fn begin(&mut self, step: &'static str) {
        self.step = step;
    }

    /// The step that is under way.
    pub(super) fn step(&self) -> &'static str {
        self.step
    }

    /// How far it is. Drawn on a terminal only, and not needed: errors are left to the next line.
    pub(super) fn progress(&mut self, know: usize, of: usize, elapsed: Duration) {
        if self.live {
            let text = format!(
                "… {:<12} {know} of {of} know after {:.1} s",
                self.step,
                elapsed.as_secs_f64()
            );
            let text = self.paint(DIM, &text);
            let _ = write!(self.out, "{CLEAR_LINE}{text}").and_then(|()| self.out.flush());
        }
    }

    /// A step went as it must.
    pub(super) fn passed(&mut self, row: &Row) -> io::Result<()> {
        self.clear()?;
        let mark = self.paint(GREEN, "✓");
        let (first, all) = (seconds(row.known.first), seconds(row.known.all));
        writeln!(
            self.out,
            "{mark} {:<12} {:<58} {first:>9} {all:>9}",
            row.step, row.what
        )?;
        self.out.flush()
    }

    /// A step did not.
    pub(super) fn failed(&mut self) -> io::Result<()> {
        self.clear()?;
        let mark = self.paint(RED, "✗");
        writeln!(self.out, "{mark} {:<12} not as it must be", self.step)
    }

    /// Everything on one axis, then what to do next.
    pub(super) fn footer(&mut self, rows: &[Row], nodes: usize, total: Duration) -> io::Result<()> {
        let dim = |text: &str| self.paint(DIM, text);
        let legend = format!(
            "Timeline of {:.1} s: ░ nobody knows yet, ▓ some know, then all",
            total.as_secs_f64()
        );
        let mut text = format!("\n{}\n", dim(&legend));
        for row in rows {
            text += &format!("  {:<12} {}\n", row.step, dim("│") + &bar(row, total));
        }
        text += &format!("  {:<12} {}\n\n", "", dim(&axis(total)));
        write!(self.out, "{text}")?;
        let verdict = self.paint(GREEN, "Everything was as it must be:");
        writeln!(
            self.out,
            "{verdict} every step on every node, and at the end {nodes} nodes with one fingerprint.\n\n\
             What to try next:\n  convoke start                                       a node of your own\n  \
             convoke start --node-name convoke1@127.0.0.1        another one, in another shell\n  \
             convoke --node convoke1 cluster join convoke@127.0.0.1\n  \
             convoke --node convoke1 monitor                     then kill one, and watch\n  \
             convoke demo --nodes 64                             the same, larger"
        )
    }

    fn clear(&mut self) -> io::Result<()> {
        if self.live {
            write!(self.out, "{CLEAR_LINE}")
        } else {
            Ok(())
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("{code}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }
}

fn seconds(duration: Duration) -> String {
    match duration {
        short if short < Duration::from_secs(1) => {
            format!("{:.1} ms", short.as_secs_f64() * 1000.0)
        }
        long => format!("{:.2} s", long.as_secs_f64()),
    }
}

/// The columns of a row: blank until it happens, then light until the first knows, then dark until
/// all do. What is over within a column is one dark column.
fn bar(row: &Row, total: Duration) -> String {
    let column = |at: Duration| {
        let share = at.as_secs_f64() / total.as_secs_f64().max(f64::MIN_POSITIVE);
        ((share * AXIS_COLUMNS as f64) as usize).min(AXIS_COLUMNS - 1)
    };
    let (begun, first, all) = (
        column(row.begun),
        column(row.begun + row.known.first),
        column(row.begun + row.known.all),
    );
    let (blank, light, dark) = (
        " ".repeat(begun),
        "░".repeat(first - begun),
        "▓".repeat(all + 1 - first),
    );
    blank + &light + &dark
}

fn axis(total: Duration) -> String {
    let end = format!("{:.0} s", total.as_secs_f64());
    format!(
        "└0 s{}{end}",
        "─".repeat(AXIS_COLUMNS.saturating_sub(3 + end.len()))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(begun: u64, first: u64, all: u64) -> Row {
        let known = Known {
            first: Duration::from_secs(first),
            all: Duration::from_secs(all),
        };
        Row {
            step: "crash",
            what: "n3".into(),
            begun: Duration::from_secs(begun),
            known,
        }
    }

    #[test]
    fn a_bar_lies_where_the_step_did() {
        let total = Duration::from_secs(AXIS_COLUMNS as u64);
        assert_eq!(bar(&row(2, 3, 5), total), "  ░░░▓▓▓");
        assert_eq!(bar(&row(4, 0, 0), total), "    ▓");
        let at_the_end = bar(&row(AXIS_COLUMNS as u64 - 1, 0, 9), total);
        assert_eq!(at_the_end.chars().count(), AXIS_COLUMNS);
    }

    #[test]
    fn times_are_shown_with_their_unit() {
        assert_eq!(seconds(Duration::from_micros(12_340)), "12.3 ms");
        assert_eq!(seconds(Duration::from_millis(4_250)), "4.25 s");
    }

    #[test]
    fn without_a_terminal_there_are_neither_colours_nor_half_lines() {
        let mut text = Vec::new();
        let mut screen = Screen {
            out: &mut text,
            colour: false,
            live: false,
            step: "crash",
        };
        screen.progress(1, 2, Duration::ZERO);
        screen.passed(&row(0, 1, 2)).unwrap();
        screen.failed().unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.contains('\x1b') && !text.contains('\r'), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}
