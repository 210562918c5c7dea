//! Whether two nodes of one secret can be of one cluster: by what the other says of itself.

use super::Check;
use super::findings::Findings;
use super::walk::Walk;
use crate::identity::GOSSIP_ALPN;
use crate::introduction::Introduction;

/// Characters of what the other end says that are shown.
const CHARS_MAX: usize = 100;

/// What the other end says, fit for an operator's terminal.
fn printable(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(CHARS_MAX).collect()
}

impl Walk<'_> {
    /// Compares what it says with what is so here.
    pub(super) fn compare(&self, heard: Option<Introduction>, findings: &mut Findings) {
        let Some(heard) = heard else {
            findings.bad(
                Check::Version,
                "it does not introduce itself: it has too much to do, or is of another version",
                "try again in a moment; if it stays so, compare `convoke --version` on both hosts",
            );
            return;
        };
        let ours = self.cluster_name;
        let theirs = printable(&heard.cluster_name);
        if heard.cluster_name == ours {
            let found = format!(
                "{ours:?} on both sides ({}, {} running there)",
                heard.cluster, heard.size
            );
            findings.good(Check::Cluster, found);
        } else {
            findings.bad(
                Check::Cluster,
                format!(
                    "it belongs to a cluster named {theirs:?}, this node is configured for {ours:?}"
                ),
                "set the same cluster.name on both, and start the changed one again",
            );
        }
        if heard.protocol.as_bytes() == GOSSIP_ALPN {
            let version = printable(&heard.version);
            findings.good(
                Check::Version,
                format!(
                    "{version} there, {} here, one protocol ({})",
                    env!("CARGO_PKG_VERSION"),
                    heard.protocol
                ),
            );
        } else {
            other_version(&heard.protocol, findings);
        }
        self.admits(&heard, findings);
        self.is_reached(&heard, findings);
    }

    fn is_reached(&self, heard: &Introduction, findings: &mut Findings) {
        // Behind a translation of addresses it is the other address that counts.
        let Some(own) = self.advertised.filter(|own| *own == heard.seen_at) else {
            return;
        };
        if heard.hailed {
            return findings.good(
                Check::Return,
                format!("it reaches this node at {own}, uncalled"),
            );
        }
        findings.bad(
            Check::Return,
            format!("it does not reach this node at {own} unless it was called: new packets to UDP port {} are dropped on the way", own.port()),
            format!("open UDP port {} in the firewall of this host and before it, for packets that nobody here asked for", own.port()),
        );
    }

    fn admits(&self, heard: &Introduction, findings: &mut Findings) {
        match (heard.namesake, self.advertised) {
            (Some(there), Some(own)) if there != own => findings.bad(
                Check::Admission,
                format!("its cluster has a member of this node's name at {there}"),
                format!("give one of them another name, or stop that one; if it is this node, set node.advertise to {there} or let its cluster find the old one failed"),
            ),
            (Some(_), _) => findings.good(Check::Admission, "its cluster has this node as a member"),
            (None, _) => findings.good(Check::Admission, "its cluster has nobody of this node's name"),
        }
    }
}

/// The other end speaks another version of the membership's protocol.
pub(super) fn other_version(theirs: &str, findings: &mut Findings) {
    let (theirs, ours) = (printable(theirs), String::from_utf8_lossy(GOSSIP_ALPN));
    findings.bad(
        Check::Version,
        format!("it speaks another protocol version: {theirs}, and this node {ours}"),
        "run the same version of convoke on both hosts (`convoke --version`)",
    );
}
