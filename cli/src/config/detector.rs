//! The keys of `[detector]`: every number of the engine.

use super::key::Key;
use super::settings::Settings;
use super::value::Setting;

const SECOND: u64 = 1000;
const HOUR: u64 = 3600 * SECOND;
const MILLION: u64 = 1_000_000;

const fn key(
    path: &'static str,
    within: Option<(u64, u64)>,
    field: fn(&mut Settings) -> &mut dyn Setting,
    doc: &'static str,
) -> Key {
    Key {
        path,
        doc,
        example: "",
        within,
        field,
    }
}

const fn span(least: u64, most: u64) -> Option<(u64, u64)> {
    Some((least, most))
}

/// The profile, then the single values, which win over it wherever they stand.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = vec![key(
        "detector.profile",
        None,
        |s| &mut s.profile,
        "local | lan | wan: the set of numbers below; each can also be set by itself.",
    )];
    keys.extend(probing());
    keys.extend(suspicion());
    keys.extend(dissemination());
    keys.extend(membership());
    keys.extend(limits());
    keys
}

fn probing() -> Vec<Key> {
    vec![
        key(
            "detector.probe_interval",
            span(10, HOUR),
            |s| &mut s.engine.probe_interval,
            "Time between two probes by one node.",
        ),
        key(
            "detector.probe_timeout_min",
            span(1, HOUR),
            |s| &mut s.engine.probe_timeout_min,
            "The least time that a direct probe waits for its answer.",
        ),
        key(
            "detector.probe_timeout_max",
            span(1, HOUR),
            |s| &mut s.engine.probe_timeout_max,
            "The most time that it waits.",
        ),
        key(
            "detector.indirect_probes",
            span(0, 32),
            |s| &mut s.engine.indirect_probes,
            "How many helpers probe a target that did not answer.",
        ),
        key(
            "detector.probe_targets",
            None,
            |s| &mut s.engine.probe_targets,
            "observed (ring neighbours, on warm connections) | all (everyone in turn).",
        ),
        key(
            "detector.random_probe_every",
            span(1, MILLION),
            |s| &mut s.engine.random_probe_every,
            "Every so many probes one goes to a random member.",
        ),
        key(
            "detector.awareness_max",
            span(0, 32),
            |s| &mut s.engine.awareness_max,
            "The worst local health: higher is more forgiving while this node is ill.",
        ),
        key(
            "detector.silence_min",
            span(1, HOUR),
            |s| &mut s.engine.silence_min,
            "A node that has heard nobody for this long does not judge.",
        ),
        key(
            "detector.silence_max",
            span(1, HOUR),
            |s| &mut s.engine.silence_max,
            "After this long in silence it judges after all.",
        ),
        key(
            "detector.stall_min",
            span(1, HOUR),
            |s| &mut s.engine.stall_min,
            "A wake-up this late is a stall of this node's own, and shifts its verdicts.",
        ),
    ]
}

fn suspicion() -> Vec<Key> {
    vec![
        key(
            "detector.suspicion_min",
            span(10, HOUR),
            |s| &mut s.engine.suspicion_min,
            "The least time between suspicion and verdict, reached with enough accusers.",
        ),
        key(
            "detector.suspicion_max",
            span(10, HOUR),
            |s| &mut s.engine.suspicion_max,
            "The time between suspicion and verdict with one accuser.",
        ),
        key(
            "detector.verdict_quorum",
            span(1, 32),
            |s| &mut s.engine.verdict_quorum,
            "How many accusers make a verdict that others believe unexamined.",
        ),
        key(
            "detector.flap_half_life",
            span(1, 24 * HOUR),
            |s| &mut s.engine.flap_half_life,
            "After how long a member's flaps count for half.",
        ),
        key(
            "detector.cut_window",
            span(1, HOUR),
            |s| &mut s.engine.cut_window,
            "Members that fall silent within this time of each other look like a cut.",
        ),
    ]
}

fn dissemination() -> Vec<Key> {
    vec![
        key(
            "detector.fanout",
            span(1, 64),
            |s| &mut s.engine.fanout,
            "How many ring successors get news at once.",
        ),
        key(
            "detector.coalesce_min",
            span(0, 10 * SECOND),
            |s| &mut s.engine.coalesce_min,
            "How long news wait for company, at rest.",
        ),
        key(
            "detector.gossip_interval",
            span(1, HOUR),
            |s| &mut s.engine.gossip_interval,
            "Time between repetitions of news.",
        ),
        key(
            "detector.retransmits_max",
            span(1, 255),
            |s| &mut s.engine.retransmits_max,
            "How often a rumor is sent at most, the first flush apart.",
        ),
        key(
            "detector.datagram_bytes_max",
            span(512, 65_000),
            |s| &mut s.engine.datagram_bytes_max,
            "The size of a datagram's payload in bytes.",
        ),
        key(
            "detector.reconcile_delay",
            span(0, HOUR),
            |s| &mut s.engine.reconcile_delay,
            "Time between seeing a difference and comparing, drawn at random between two.",
        ),
        key(
            "detector.reconcile_delay_max",
            span(1, HOUR),
            |s| &mut s.engine.reconcile_delay_max,
            "The longest time that changes of one's own put a comparison off.",
        ),
        key(
            "detector.reconcile_interval",
            span(1, HOUR),
            |s| &mut s.engine.reconcile_interval,
            "The least time between two comparisons that one node begins.",
        ),
        key(
            "detector.challenges_max",
            span(1, 65_536),
            |s| &mut s.engine.challenges_max,
            "How many members are examined at once because others hold them as failed.",
        ),
    ]
}

fn membership() -> Vec<Key> {
    vec![
        key(
            "detector.heal_interval",
            span(10, HOUR),
            |s| &mut s.engine.heal_interval,
            "Mean time between contacts to failed members and addresses of the past.",
        ),
        key(
            "detector.bridge",
            span(0, HOUR),
            |s| &mut s.engine.bridge,
            "For how long news also go straight to a member that just came back.",
        ),
        key(
            "detector.join_timeout",
            span(100, 10 * SECOND),
            |s| &mut s.engine.join_timeout,
            "The longest time that a join takes.",
        ),
        key(
            "detector.join_members_max",
            span(1, 4096),
            |s| &mut s.engine.join_members_max,
            "How many members a join's answer names.",
        ),
        key(
            "detector.leave_linger",
            span(0, 10 * SECOND),
            |s| &mut s.engine.leave_linger,
            "How long a leaver waits for its goodbyes to be heard.",
        ),
    ]
}

fn limits() -> Vec<Key> {
    vec![
        key(
            "detector.members_max",
            span(1, 100 * MILLION),
            |s| &mut s.engine.members_max,
            "The most members that are held; more are refused.",
        ),
        key(
            "detector.tombstones_max",
            span(1, 100 * MILLION),
            |s| &mut s.engine.tombstones_max,
            "The most removals that are remembered; the oldest go first.",
        ),
        key(
            "detector.address_book_max",
            span(1, MILLION),
            |s| &mut s.engine.address_book_max,
            "The most addresses of the past that are remembered.",
        ),
        key(
            "detector.rumors_max",
            span(16, MILLION),
            |s| &mut s.engine.rumors_max,
            "The most rumors that wait to be sent.",
        ),
        key(
            "detector.relays_max",
            span(1, MILLION),
            |s| &mut s.engine.relays_max,
            "The most probes that are carried out for others at a time.",
        ),
    ]
}
