//! Why a member is held as it is: what this node and others found about it of late, asked of
//! several at once.
//!
//! No node knows the whole of it. The accused's observers know best; after them those who are
//! named as accusers, and the accused itself, if it runs. Each tells how long ago a thing was, not
//! at what time, so that clocks that differ do not mix up the order: all times of the answer are by
//! the clock of whoever asks, and late by what an answer takes to arrive.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convoke_core::case::{FINDINGS_A_MEMBER_MAX, Finding, What};
use convoke_core::{Incarnation, Instant, NodeId, NodeName, observers};
use serde::{Deserialize, Serialize};

use crate::error::RpcError;
use crate::view::{MemberView, View};

/// The most nodes that are asked, the local one included.
pub const WITNESSES_MAX: usize = 16;
/// The most bytes of one node's findings: they must fit into one answer. The oldest are left out.
const FINDINGS_BYTES_MAX: usize = 48 << 10;

/// What one node says about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Who says it.
    pub node: NodeName,
    /// Its findings, the oldest first, or why it said nothing.
    pub answer: Result<Vec<Testimony>, RpcError>,
}

/// One finding of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Testimony {
    /// When, by this host's clock.
    pub at: SystemTime,
    /// The incarnation of the member that it concerns.
    pub incarnation: Incarnation,
    /// What.
    pub what: What,
}

/// A finding on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    age_us: u64,
    incarnation: Incarnation,
    what: What,
}

/// This node's findings about a member, each in postcard for itself, so that a reader can pass over
/// those that its version does not know; the oldest first.
pub(crate) fn tell(findings: &[Arc<Finding>], about: &NodeName, now: Instant) -> Vec<Vec<u8>> {
    let mut room = FINDINGS_BYTES_MAX;
    let newest_first = findings.iter().rev().filter(|held| held.about == *about);
    let mut told: Vec<Vec<u8>> = newest_first
        .map(|held| {
            let told = Told {
                age_us: u64::try_from(now.since(held.at).as_micros()).unwrap_or(u64::MAX),
                incarnation: held.incarnation,
                what: held.what.clone(),
            };
            postcard::to_stdvec(&told).expect("a finding is plain data")
        })
        .take_while(|bytes| {
            let fits = bytes.len() <= room;
            room = room.saturating_sub(bytes.len());
            fits
        })
        .collect();
    told.reverse();
    told
}

/// What a peer told at `moment`. What is not understood, and what is too much, is passed over.
pub(crate) fn read(told: &[Vec<u8>], moment: SystemTime) -> Vec<Testimony> {
    let known = told.iter().take(FINDINGS_A_MEMBER_MAX);
    let known = known.filter_map(|bytes| postcard::from_bytes(bytes).ok());
    known
        .map(|told: Told| Testimony {
            at: moment
                .checked_sub(Duration::from_micros(told.age_us))
                .unwrap_or(SystemTime::UNIX_EPOCH)
                .max(SystemTime::UNIX_EPOCH),
            incarnation: told.incarnation,
            what: told.what,
        })
        .collect()
}

/// The running members other than this node to be asked about one: itself, its observers, those
/// whom this node's own findings name as accusers, and others up to [`WITNESSES_MAX`].
pub(crate) fn witnesses(
    view: &View,
    about: &NodeName,
    findings: &[Arc<Finding>],
) -> Vec<MemberView> {
    let running = || view.members().filter(|member| member.state.is_running());
    let observers = observers(about.id(), running().map(|member| member.name.id()));
    let accusers = findings.iter().filter(|held| held.about == *about);
    let accusers: Vec<NodeId> = accusers.flat_map(|held| accusers_in(&held.what)).collect();
    let rank = |member: &&MemberView| {
        let id = member.name.id();
        (
            member.name != *about,
            !observers.contains(&id),
            !accusers.contains(&id),
        )
    };
    let mut others: Vec<&MemberView> = running()
        .filter(|member| member.name != *view.local())
        .collect();
    others.sort_by_key(rank);
    others.truncate(WITNESSES_MAX - 1);
    others.into_iter().cloned().collect()
}

fn accusers_in(what: &What) -> Vec<NodeId> {
    match what {
        What::Accused { by: Some(by), .. } | What::Believed { by: Some(by), .. } => vec![by.id()],
        What::Convicted { accusers, .. } => accusers.iter().map(NodeName::id).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn finding(about: &NodeName, secs: u64, what: What) -> Arc<Finding> {
        Arc::new(Finding {
            at: Instant::ORIGIN + Duration::from_secs(secs),
            about: about.clone(),
            incarnation: Incarnation(7),
            what,
        })
    }

    #[test]
    fn times_are_by_the_clock_of_whoever_asks() {
        let (a, b) = (name("a@10.0.0.1"), name("b@10.0.0.1"));
        let findings = [
            finding(&a, 1, What::Answered),
            finding(&b, 2, What::Left),
            finding(&a, 3, What::Refuted),
        ];
        let told = tell(&findings, &a, Instant::ORIGIN + Duration::from_secs(10));
        let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let read = read(&told, noon);
        let seen: Vec<_> = read
            .iter()
            .map(|t| (noon.duration_since(t.at).unwrap(), &t.what))
            .collect();
        let secs = Duration::from_secs;
        assert_eq!(
            seen,
            [(secs(9), &What::Answered), (secs(7), &What::Refuted)]
        );
    }

    #[test]
    fn the_longest_findings_fit_into_one_answer_and_the_newest_are_in_it() {
        let long = |n: usize| name(&format!("{}{n:02}@{}", "n".repeat(62), host()));
        let accusers: Vec<NodeName> = (0..16).map(long).collect();
        let about = long(99);
        let what = |refused| What::Convicted {
            accusers: accusers.clone(),
            refused,
        };
        let mut findings: Vec<_> = (1..FINDINGS_A_MEMBER_MAX as u64)
            .map(|at| finding(&about, at, what(false)))
            .collect();
        findings.push(finding(&about, 100, what(true)));
        let now = Instant::ORIGIN + Duration::from_secs(1000);
        let told = tell(&findings, &about, now);
        let bytes: usize = told.iter().map(Vec::len).sum();
        assert!(bytes <= FINDINGS_BYTES_MAX && told.len() > 5, "{bytes}");
        assert_eq!(
            read(&told, SystemTime::now()).pop().unwrap().what,
            what(true)
        );
    }

    fn host() -> String {
        let label = "h".repeat(49);
        [label.as_str(); 5].join(".")
    }

    #[test]
    fn what_another_version_or_a_liar_says_is_passed_over() {
        let about = name("a@10.0.0.1");
        let mut told = tell(&[finding(&about, 1, What::Left)], &about, Instant::ORIGIN);
        told.insert(0, vec![0, 7, 250, 1]);
        told.insert(0, Vec::new());
        let ancient = Told {
            age_us: u64::MAX,
            incarnation: Incarnation(u64::MAX),
            what: What::Returned,
        };
        told.push(postcard::to_stdvec(&ancient).unwrap());
        let understood = read(&told, SystemTime::now());
        let whats: Vec<_> = understood.iter().map(|t| t.what.clone()).collect();
        assert_eq!(whats, [What::Left, What::Returned]);
        assert_eq!(understood[1].at, SystemTime::UNIX_EPOCH);
        let flood = vec![told[2].clone(); 1000];
        assert_eq!(read(&flood, SystemTime::now()).len(), FINDINGS_A_MEMBER_MAX);
    }
}
