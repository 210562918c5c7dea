//! Measures when nodes know something, by what they themselves say: their views, looked at
//! whenever they tell of an event.

use std::sync::Arc;
use std::time::Duration;

use convoke::{Event, Node, NodeName, Received, View};
use futures_util::FutureExt;
use tokio::task::{JoinSet, unconstrained};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use super::stage::Actor;
use super::timeline::Screen;

/// A view is looked at this often even if its node tells nothing.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// Between two drawings of the progress.
const DRAW_INTERVAL: Duration = Duration::from_millis(100);

/// Whether a node knows what is waited for.
pub(super) type Knows = Arc<dyn Fn(&View) -> bool + Send + Sync>;

/// When it was known, counted from the moment it happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// By the first observer.
    pub(super) first: Duration,
    /// By all of them.
    pub(super) all: Duration,
}

/// Waits until every observer knows.
///
/// # Errors
/// Those who did not within `wait`.
pub(super) async fn until_known(
    observers: &[Actor],
    knows: Knows,
    since: Instant,
    wait: Duration,
    screen: &mut Screen<'_>,
) -> Result<Known, Vec<NodeName>> {
    let mut looking = JoinSet::new();
    for actor in observers {
        looking.spawn(look(actor.name.clone(), actor.node.clone(), knows.clone()));
    }
    let mut late: Vec<NodeName> = observers.iter().map(|actor| actor.name.clone()).collect();
    let mut known: Option<Known> = None;
    let mut draw = interval(DRAW_INTERVAL);
    draw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let deadline = since + wait;
    while !late.is_empty() {
        tokio::select! {
            found = timeout_at(deadline, looking.join_next()) => {
                let Ok(Some(Ok((name, at)))) = found else { return Err(late) };
                late.retain(|other| *other != name);
                let after = at - since;
                let first = known.map_or(after, |known| known.first.min(after));
                known = Some(Known { first, all: known.map_or(after, |known| known.all.max(after)) });
            }
            _ = draw.tick() => screen.progress(observers.len() - late.len(), observers.len(), since.elapsed()),
        }
    }
    Ok(known.unwrap_or_default())
}

/// Looks until the node knows, and says when it was first seen to.
async fn look(name: NodeName, node: Node, knows: Knows) -> (NodeName, Instant) {
    let mut subscription = node.subscribe();
    while !knows(&node.view()) {
        tokio::select! {
            Some(_) = subscription.next() => {}
            () = sleep(LOOK_INTERVAL) => {}
        }
    }
    (name, Instant::now())
}

/// What `actor` told of members found dead since this was last asked.
pub(super) fn failures(actor: &mut Actor) -> Vec<NodeName> {
    let mut found = Vec::new();
    // Unconstrained: a task that has done much is told "not yet" by what is ready.
    while let Some(Some(received)) = unconstrained(actor.witness.next()).now_or_never() {
        if let Received::Notice(notice) = received
            && let Event::MemberFailed { member, .. } = &notice.event
        {
            found.push(member.name.clone());
        }
    }
    found
}
