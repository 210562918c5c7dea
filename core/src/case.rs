//! The casebook: what was seen, said and decided about members of late, for whoever asks why.
//!
//! A list that says `failed` answers "what", and at night the question is "why": who accused the
//! node, by which path, did anybody else look, what did it say itself? Each node notes what it saw
//! of that with its own eyes. It notes turning points only (an accusation, an answer to one, a
//! verdict, a change of state) and never a packet, so that a fleet in which nothing happens notes
//! nothing. What is noted decides nothing: findings are told, and never merged or acted on.
//!
//! The newest are kept: [`FINDINGS_MAX`] in all, and [`FINDINGS_A_MEMBER_MAX`] about one member, so
//! that one that comes and goes does not push out what is known of the others.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::member::Incarnation;
use crate::name::NodeName;
use crate::time::Instant;

/// The most findings that a node keeps; the oldest goes first. A finding takes some hundred bytes.
pub const FINDINGS_MAX: usize = 256;
/// The most of them about one member; its oldest goes first.
pub const FINDINGS_A_MEMBER_MAX: usize = 32;

/// One thing that a node saw, heard or decided about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// When.
    pub at: Instant,
    /// About whom.
    pub about: NodeName,
    /// The incarnation that it concerns.
    pub incarnation: Incarnation,
    /// What.
    pub what: What,
}

/// What was seen, heard or decided. Grows at its end only: findings travel between versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// This node found it silent, and accuses it.
    Silent {
        /// What it tried.
        way: Way,
        /// Its host said besides that nothing listens at its port.
        refused: bool,
    },
    /// Somebody else accuses it.
    Accused {
        /// Who; `None` where that one is not known here any more.
        by: Option<NodeName>,
        /// Who passed it on: then it is a verdict that too few had confirmed to be believed. `None`
        /// where the accuser said it itself.
        via: Option<NodeName>,
        /// The accuser was refused at its port.
        refused: bool,
    },
    /// It answered when this node looked for itself.
    Answered,
    /// It answered what it had been accused for not answering: late.
    AnsweredLate,
    /// It spoke up against a suspicion, at this higher incarnation.
    Refuted,
    /// This node withdrew its accusation: it had heard nobody else either.
    Withdrawn,
    /// The time to refute is over: this node found it failed.
    Convicted {
        /// Who accused it, this node included.
        accusers: Vec<NodeName>,
        /// Enough of them were refused at its port.
        refused: bool,
    },
    /// This node took over that it failed.
    Believed {
        /// Whose verdict that was, where it is known.
        by: Option<NodeName>,
        /// From whom it came.
        via: Option<NodeName>,
        /// How many had accused it; 0 where that is not known.
        accusers: u8,
        /// Enough of them were refused at its port.
        refused: bool,
    },
    /// Others held it as failed; it did not answer this node either, and so it is failed here too.
    Confirmed,
    /// It is back: it had failed, or left.
    Returned,
    /// It is another process than before.
    Restarted,
    /// It said goodbye.
    Left,
    /// An operator removed it.
    Removed {
        /// From whom this node heard of it; `None` where it was told to do it.
        via: Option<NodeName>,
    },
    /// It was failed, or gone, for so long that it was forgotten.
    Forgotten,
    /// The node itself: it was accused, and said that it lives.
    Denied {
        /// Who accused it, where that is known.
        by: Option<NodeName>,
    },
    /// The node itself: another process has its name and started earlier, so this one goes on alone.
    GaveWay,
    /// A process at another address has its name, though this one had not failed: it moved, or two run
    /// at a time.
    Replaced {
        /// Where the one is that has the name now.
        at: SocketAddr,
    },
    /// It was remembered from before this node's start, and had not come since: it is failed.
    Missed {
        /// Its host said that nothing listens at its port.
        refused: bool,
    },
}

/// How a member was found silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// A probe: a datagram and a reliable try, and others were asked to try as well.
    Probe {
        /// Who heard nothing of it either.
        heard_nothing: Vec<NodeName>,
        /// Who was asked and said nothing.
        said_nothing: Vec<NodeName>,
    },
    /// As one of its observers this node looked for itself, by a datagram and a reliable try.
    Trial,
    /// It accused the member before, and its host refused only now.
    Knock,
}

/// The findings of one node, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Casebook {
    findings: VecDeque<Arc<Finding>>,
    recorded: u64,
}

impl Casebook {
    pub(crate) fn record(&mut self, finding: Finding) {
        let about = |held: &Arc<Finding>| held.about == finding.about;
        let known = self.findings.iter().filter(|held| about(held)).count();
        if known >= FINDINGS_A_MEMBER_MAX
            && let Some(oldest) = self.findings.iter().position(about)
        {
            self.findings.remove(oldest);
        }
        if self.findings.len() >= FINDINGS_MAX {
            self.findings.pop_front();
        }
        self.findings.push_back(Arc::new(finding));
        self.recorded += 1;
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Arc<Finding>> {
        self.findings.iter()
    }

    /// How many were ever recorded: it has changed exactly when the findings have.
    pub(crate) fn recorded(&self) -> u64 {
        self.recorded
    }

    #[cfg(feature = "sim")]
    pub(crate) fn len(&self) -> usize {
        self.findings.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(member: usize, at: u64) -> Finding {
        Finding {
            at: Instant::from_micros(at),
            about: format!("n{member}@10.0.0.1").parse().unwrap(),
            incarnation: Incarnation(1),
            what: What::Answered,
        }
    }

    fn times(book: &Casebook, member: usize) -> Vec<u64> {
        let name = finding(member, 0).about;
        let about = book.findings().filter(|held| held.about == name);
        about.map(|held| held.at.as_micros()).collect()
    }

    #[test]
    fn a_member_that_comes_and_goes_does_not_push_out_the_others() {
        let mut book = Casebook::default();
        book.record(finding(1, 0));
        for at in 1..=1000 {
            book.record(finding(2, at));
        }
        assert_eq!(times(&book, 1), [0]);
        let newest: Vec<u64> = (1001 - FINDINGS_A_MEMBER_MAX as u64..=1000).collect();
        assert_eq!(times(&book, 2), newest);
        assert_eq!(book.recorded(), 1001);
    }

    #[test]
    fn a_full_book_keeps_the_newest_of_all() {
        let mut book = Casebook::default();
        for member in 0..FINDINGS_MAX + 3 {
            book.record(finding(member, member as u64));
        }
        assert_eq!(book.findings().count(), FINDINGS_MAX);
        assert!(times(&book, 2).is_empty());
        assert_eq!(times(&book, 3), [3]);
    }
}
