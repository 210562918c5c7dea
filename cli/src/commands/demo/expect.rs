//! What must be seen: by a node in its view, and by all of them together.

use std::time::Duration;

use anyhow::ensure;
use convoke::{MemberState, NodeName, PartitionKind, View};
use tokio::time::Instant;

use super::stage::Actor;

/// How long it may take until all have the same fingerprint.
const AGREEMENT_WAIT: Duration = Duration::from_secs(10);

/// Whether a member is in this state.
pub(super) fn is(view: &View, name: &NodeName, state: MemberState) -> bool {
    view.member(name)
        .is_some_and(|member| member.state == state)
}

/// Whether so many members run, and none of them is suspected.
pub(super) fn all_alive(view: &View, count: usize) -> bool {
    view.size() == count
        && view
            .members()
            .filter(|member| member.state == MemberState::Alive)
            .count()
            == count
}

/// What a node on either side must see of a cut.
pub(super) fn sees_cut(view: &View, (left, right): &(Vec<NodeName>, Vec<NodeName>)) -> bool {
    let (own, other) = if left.contains(view.local()) {
        (left, right)
    } else {
        (right, left)
    };
    let kind = view.partition().map(|partition| partition.kind);
    if own.len() == 1 {
        // It hears nobody, so it does not judge.
        return kind == Some(PartitionKind::Isolated) && !view.quorum();
    }
    let failed = other.iter().all(|name| is(view, name, MemberState::Failed));
    let all = own.len() + other.len();
    let quorum = view.quorum() == (own.len() * 2 > all);
    // One silent member is a failure, not a partition.
    let named = match view.partition() {
        Some(partition) => {
            partition.kind == PartitionKind::Cut && is_set(&partition.unreachable, other)
        }
        None => other.len() == 1,
    };
    failed && quorum && named && view.size() == own.len()
}

fn is_set(names: &[NodeName], of: &[NodeName]) -> bool {
    names.len() == of.len() && names.iter().all(|name| of.contains(name))
}

/// Waits until all have the same.
pub(super) async fn one_fingerprint(actors: &[Actor]) -> anyhow::Result<()> {
    let deadline = Instant::now() + AGREEMENT_WAIT;
    loop {
        let mut seen: Vec<_> = actors
            .iter()
            .map(|actor| actor.node.view().fingerprint().to_string())
            .collect();
        seen.sort();
        seen.dedup();
        if seen.len() == 1 {
            return Ok(());
        }
        let wait = AGREEMENT_WAIT.as_secs();
        ensure!(
            Instant::now() < deadline,
            "{} different fingerprints after {wait} s",
            seen.len()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A view in a few words, for complaints.
pub(super) fn summary(view: &View) -> String {
    let count = |state| {
        view.members()
            .filter(|member| member.state == state)
            .count()
    };
    let states = [
        MemberState::Alive,
        MemberState::Suspect,
        MemberState::Failed,
        MemberState::Left,
    ];
    let counts: Vec<String> = states
        .iter()
        .map(|state| format!("{} {state}", count(*state)))
        .collect();
    let partition = match view.partition() {
        Some(partition) => format!(
            ", {:?} with {} unreachable",
            partition.kind,
            partition.unreachable.len()
        ),
        None => String::new(),
    };
    let quorum = if view.quorum() { "quorum" } else { "no quorum" };
    format!("{}, {quorum}{partition}", counts.join(", "))
}
