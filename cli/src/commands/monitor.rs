//! `convoke monitor`: events as they happen.

use std::io::Write;

use anyhow::{Context as _, anyhow, bail};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::signal::unix::{SignalKind, signal};

use super::Wanted;
use crate::api::model::{Detail, EventObject};

/// The longest line of a stream that is kept, in bytes.
const LINE_BYTES_MAX: usize = 16 << 20;

pub(super) async fn run(json: bool, wanted: &Wanted, out: &mut dyn Write) -> anyhow::Result<()> {
    let client = wanted.client().await?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut events = Events::new(client.events().await?);
    loop {
        let event = tokio::select! {
            event = events.next() => event?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        let Some(event) = event else {
            bail!("{} has ended", client.name())
        };
        let line = if json {
            event
        } else {
            human(&serde_json::from_str(&event)?)
        };
        writeln!(out, "{line}")?;
        out.flush()?;
    }
}

/// The data of server-sent events, of which each is one line of JSON.
struct Events {
    body: Incoming,
    lines: Lines,
}

impl Events {
    fn new(body: Incoming) -> Self {
        Self {
            body,
            lines: Lines::default(),
        }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            if let Some(line) = self.lines.next() {
                match line.strip_prefix("data:") {
                    Some(json) => return Ok(Some(json.trim_start().to_owned())),
                    None => continue,
                }
            }
            // A stream that breaks off is a node that went away.
            let Some(Ok(frame)) = self.body.frame().await else {
                return Ok(None);
            };
            if let Ok(bytes) = frame.into_data() {
                self.lines.push(&bytes)?;
            }
        }
    }
}

/// Cuts bytes that arrive in pieces into lines.
#[derive(Default)]
struct Lines {
    pending: Vec<u8>,
    taken: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.pending.drain(..self.taken);
        self.taken = 0;
        if self.pending.len() + bytes.len() > LINE_BYTES_MAX {
            return Err(anyhow!("the node sent an event that is too long"));
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn next(&mut self) -> Option<String> {
        let rest = &self.pending[self.taken..];
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..end])
            .trim_end_matches('\r')
            .to_owned();
        self.taken += end + 1;
        Some(line)
    }
}

/// One line for eyes: when, what, about whom.
fn human(event: &EventObject) -> String {
    let Detail {
        node,
        incarnation,
        address,
        version,
        refused,
        ..
    } = &event.detail;
    let mut line = format!("{}  {:<18}", event.at, event.event.replace('_', " "));
    if let Some(node) = node {
        line += &format!("  {node}");
    }
    if let Some(address) = address {
        line += &format!("  at {address}");
    }
    if let Some(version) = version {
        line += &format!("  version {version}");
    }
    if let Some(incarnation) = incarnation {
        line += &format!("  incarnation {incarnation}");
    }
    match refused {
        Some(true) => line += "  its port refuses",
        Some(false) => line += "  it is silent",
        None => {}
    }
    line += &of_partition(&event.detail);
    line.trim_end().to_owned()
}

fn of_partition(detail: &Detail) -> String {
    let mut text = String::new();
    if let (Some(kind), Some(share)) = (&detail.kind, detail.share) {
        let names: Vec<&str> = detail
            .unreachable
            .iter()
            .flatten()
            .map(convoke_core::NodeName::as_str)
            .collect();
        text += &format!(
            "  {kind}: {:.0} % unreachable: [{}]",
            share * 100.0,
            names.join(", ")
        );
    }
    if let Some(lasted) = detail.lasted_ms {
        text += &format!("  after {:.1} s", lasted as f64 / 1000.0);
    }
    if let Some(sides) = detail.sides {
        text += &format!("  of {sides} side{}", if sides == 1 { "" } else { "s" });
    }
    if let (Some(policy), Some(present), Some(all)) = (&detail.policy, detail.present, detail.all) {
        text += &format!("  {policy}: {present} of {all} members on this side");
    }
    if let Some(count) = detail.count {
        text += &format!("  {count} events: this reader was too slow");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        let text = b"id: 1\r\ndata: {\"a\":1}\n\ndata: x\n";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for piece in text.chunks(size) {
                lines.push(piece).unwrap();
                while let Some(line) = lines.next() {
                    found.push(line);
                }
            }
            assert_eq!(
                found,
                ["id: 1", "data: {\"a\":1}", "", "data: x"],
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; LINE_BYTES_MAX]).unwrap();
        assert!(lines.push(b"x").is_err());
    }

    #[test]
    fn a_person_reads_when_what_and_who() {
        let detail = Detail {
            node: Some("a@10.0.0.1".parse().unwrap()),
            incarnation: Some(7),
            refused: Some(true),
            ..Detail::default()
        };
        let event = EventObject {
            at: "2026-11-22T17:02:11.120Z".into(),
            seq: 3,
            event: "member_failed".into(),
            detail,
        };
        assert_eq!(
            human(&event),
            "2026-11-22T17:02:11.120Z  member failed       a@10.0.0.1  incarnation 7  its port refuses"
        );
    }
}
