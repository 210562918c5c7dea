//! What the seeds of a run of discovery are to this node: members, or why they are none.

use std::time::Duration;

use convoke::diagnose::{Check, Diagnosis, Outcome};
use convoke::{Node, View};
use convoke_discovery::Seed;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::peer;
use super::unresolved::Unresolved;
use crate::api::model::{SeedStanding, SeedState};

/// How long the seeds are given to become members: a round trip or a few.
const SETTLE_WAIT: Duration = Duration::from_secs(1);
/// Between two looks at them.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Of so many that did not, it is found out why.
const DIAGNOSED_MAX: usize = 32;
/// How long that may take, for all at once.
const DIAGNOSIS_LIMIT: Duration = Duration::from_secs(6);

/// What the seeds are, once those that can be members are, or have had their time.
pub(super) async fn of(node: &Node, unresolved: &Unresolved, seeds: &[Seed]) -> Vec<SeedState> {
    let deadline = Instant::now() + SETTLE_WAIT;
    let mut states = loop {
        let view = node.view();
        let states: Vec<SeedState> = seeds
            .iter()
            .map(|seed| state(&view, unresolved, seed))
            .collect();
        let waiting = states.iter().any(is_open);
        if !waiting || Instant::now() >= deadline {
            break states;
        }
        sleep(LOOK_INTERVAL).await;
    };
    let open = states.iter().enumerate().filter(|(_, of)| is_open(of));
    let open: Vec<usize> = open.map(|(at, _)| at).take(DIAGNOSED_MAX).collect();
    let mut looking = JoinSet::new();
    for at in open {
        let (node, peer) = (node.clone(), peer(&seeds[at]));
        looking.spawn(async move { (at, timeout(DIAGNOSIS_LIMIT, node.diagnose(&peer)).await) });
    }
    while let Some(looked) = looking.join_next().await {
        if let Ok((at, Ok(diagnosis))) = looked {
            (states[at].state, states[at].reason) = judge(&diagnosis);
        }
    }
    states
}

fn is_open(of: &SeedState) -> bool {
    of.state == SeedStanding::NotAMember
}

fn state(view: &View, unresolved: &Unresolved, seed: &Seed) -> SeedState {
    let is_member = match seed {
        Seed::Name(name) => view.running().any(|running| running == name),
        Seed::Address(address) => view
            .running()
            .filter_map(|name| view.member(name))
            .any(|member| member.address == *address),
    };
    let reason = unresolved.reason(seed).filter(|_| !is_member);
    let state = match (is_member, &reason) {
        (true, _) => SeedStanding::Member,
        (false, Some(_)) => SeedStanding::Unresolvable,
        (false, None) => SeedStanding::NotAMember,
    };
    SeedState {
        seed: seed.to_string(),
        state,
        reason,
    }
}

/// What a seed that is no member is, by what was found on the way to it.
fn judge(diagnosis: &Diagnosis) -> (SeedStanding, Option<String>) {
    if diagnosis.is_myself {
        return (SeedStanding::Member, None);
    }
    let bad = diagnosis
        .steps
        .iter()
        .find_map(|(check, outcome)| match outcome {
            Outcome::Bad { found, .. } => Some((*check, found.clone())),
            Outcome::Good(_) | Outcome::Untested => None,
        });
    match bad {
        None => (SeedStanding::NotAMember, None),
        Some((Check::Name | Check::Port, found)) => (SeedStanding::Unresolvable, Some(found)),
        Some((Check::Udp, found)) => (SeedStanding::Silent, Some(found)),
        Some((_, found)) => (SeedStanding::Refused, Some(found)),
    }
}
