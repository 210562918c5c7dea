//! The keys of `[detector]`: every number of the engine.

use convoke_core::config::Tuning;

use super::key::{Key, key};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const MILLION: u64 = 1_000_000;

/// The set of numbers that all else changes.
pub(super) const PROFILE: &str = "detector.profile";
/// A knob.
pub(super) const DETECT_WITHIN: &str = "detector.detect_within";
/// The other one.
pub(super) const TOLERATE_PAUSE: &str = "detector.tolerate_pause";

/// The profile, then the knobs, then the single values: the later win over the earlier, wherever
/// they stand.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = vec![
        key(
            PROFILE,
            |s| &mut s.profile,
            "local | lan | wan: the set of numbers below; each can also be set by itself.",
        ),
        key(
            DETECT_WITHIN,
            |s| &mut s.tuning.detect_within,
            "A silent crash is known everywhere within this time, typically. The numbers of the detector follow from it, except those that are set by themselves. Sooner costs messages and, alone, tolerance.",
        )
        .example("\"5s\"")
        .within(10, 15 * MINUTE),
        key(
            TOLERATE_PAUSE,
            |s| &mut s.tuning.tolerate_pause,
            "A member that stops for this long and comes back is not declared failed. Longer makes detection slower, unless detect_within is set as well.",
        )
        .example("\"3s\"")
        .within(10, 15 * MINUTE),
    ];
    keys.extend(probing());
    keys.extend(suspicion());
    keys.extend(dissemination());
    keys.extend(membership());
    keys.extend(limits());
    keys
}

/// The keys whose values follow from the knobs, each with the knob that it follows from.
pub(super) fn followers(tuning: Tuning) -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_turns = ["detector.probe_interval", "detector.probe_timeout_max"];
    let of_verdicts = [
        "detector.suspicion_min",
        "detector.suspicion_max",
        "detector.silence_min",
        "detector.cut_window",
    ];
    let detect = tuning.detect_within.map(|_| DETECT_WITHIN);
    let tolerate = tuning.tolerate_pause.map(|_| TOLERATE_PAUSE);
    let turns = of_turns.map(|key| (key, detect));
    let verdicts = of_verdicts.map(|key| (key, tolerate.or(detect)));
    let all = turns.into_iter().chain(verdicts);
    all.filter_map(|(key, knob)| Some((key, knob?)))
}

fn probing() -> Vec<Key> {
    vec![
        key(
            "detector.probe_interval",
            |s| &mut s.engine.probe_interval,
            "Time between two probes by one node.",
        )
        .within(10, HOUR),
        key(
            "detector.probe_timeout_min",
            |s| &mut s.engine.probe_timeout_min,
            "The least time that a direct probe waits for its answer.",
        )
        .within(1, HOUR),
        key(
            "detector.probe_timeout_max",
            |s| &mut s.engine.probe_timeout_max,
            "The most time that it waits.",
        )
        .within(1, HOUR),
        key(
            "detector.indirect_probes",
            |s| &mut s.engine.indirect_probes,
            "How many helpers probe a target that did not answer.",
        )
        .within(0, 32),
        key(
            "detector.probe_targets",
            |s| &mut s.engine.probe_targets,
            "observed (ring neighbours, on warm connections) | all (everyone in turn).",
        ),
        key(
            "detector.random_probe_every",
            |s| &mut s.engine.random_probe_every,
            "Every so many probes one goes to a random member.",
        )
        .within(1, MILLION),
        key(
            "detector.awareness_max",
            |s| &mut s.engine.awareness_max,
            "The worst local health: higher is more forgiving while this node is ill.",
        )
        .within(0, 32),
        key(
            "detector.silence_min",
            |s| &mut s.engine.silence_min,
            "A node that has heard nobody for this long does not judge.",
        )
        .within(1, HOUR),
        key(
            "detector.silence_max",
            |s| &mut s.engine.silence_max,
            "After this long in silence it judges after all.",
        )
        .within(1, HOUR),
        key(
            "detector.stall_min",
            |s| &mut s.engine.stall_min,
            "A wake-up this late is a stall of this node's own, and shifts its verdicts.",
        )
        .within(1, HOUR),
    ]
}

fn suspicion() -> Vec<Key> {
    vec![
        key(
            "detector.suspicion_min",
            |s| &mut s.engine.suspicion_min,
            "The least time between suspicion and verdict, reached with enough accusers.",
        )
        .within(10, HOUR),
        key(
            "detector.suspicion_max",
            |s| &mut s.engine.suspicion_max,
            "The time between suspicion and verdict with one accuser.",
        )
        .within(10, HOUR),
        key(
            "detector.verdict_quorum",
            |s| &mut s.engine.verdict_quorum,
            "How many accusers make a verdict that others believe unexamined: a member has 8 observers.",
        )
        .within(1, 8),
        key(
            "detector.flap_half_life",
            |s| &mut s.engine.flap_half_life,
            "After how long a member's flaps count for half.",
        )
        .within(1, 24 * HOUR),
        key(
            "detector.cut_window",
            |s| &mut s.engine.cut_window,
            "Members that fall silent within this time of each other look like a cut.",
        )
        .within(1, HOUR),
    ]
}

fn dissemination() -> Vec<Key> {
    vec![
        key(
            "detector.fanout",
            |s| &mut s.engine.fanout,
            "How many ring successors get news at once.",
        )
        .within(1, 64),
        key(
            "detector.coalesce_min",
            |s| &mut s.engine.coalesce_min,
            "How long news wait for company, at rest.",
        )
        .within(0, 10 * SECOND),
        key(
            "detector.gossip_interval",
            |s| &mut s.engine.gossip_interval,
            "Time between repetitions of news.",
        )
        .within(1, HOUR),
        key(
            "detector.retransmits_max",
            |s| &mut s.engine.retransmits_max,
            "How often a rumor is sent at most, the first flush apart.",
        )
        .within(1, 255),
        key(
            "detector.datagram_bytes_max",
            |s| &mut s.engine.datagram_bytes_max,
            "The size of a datagram's payload in bytes.",
        )
        .within(512, 65_000),
        key(
            "detector.reconcile_delay",
            |s| &mut s.engine.reconcile_delay,
            "Time between seeing a difference and comparing, drawn at random between two.",
        )
        .within(0, HOUR),
        key(
            "detector.reconcile_delay_max",
            |s| &mut s.engine.reconcile_delay_max,
            "The longest time that changes of one's own put a comparison off.",
        )
        .within(1, HOUR),
        key(
            "detector.reconcile_interval",
            |s| &mut s.engine.reconcile_interval,
            "The least time between two comparisons that one node begins.",
        )
        .within(1, HOUR),
        key(
            "detector.challenges_max",
            |s| &mut s.engine.challenges_max,
            "How many members are examined at once because others hold them as failed.",
        )
        .within(1, 65_536),
    ]
}

fn membership() -> Vec<Key> {
    vec![
        key(
            "detector.heal_interval",
            |s| &mut s.engine.heal_interval,
            "Mean time between contacts to failed members and addresses of the past.",
        )
        .within(10, HOUR),
        key(
            "detector.bridge",
            |s| &mut s.engine.bridge,
            "For how long news also go straight to a member that just came back.",
        )
        .within(0, HOUR),
        key(
            "detector.join_timeout",
            |s| &mut s.engine.join_timeout,
            "The longest time that a join takes.",
        )
        .within(100, 10 * SECOND),
        key(
            "detector.join_members_max",
            |s| &mut s.engine.join_members_max,
            "How many members a join's answer names.",
        )
        .within(1, 4096),
        key(
            "detector.leave_linger",
            |s| &mut s.engine.leave_linger,
            "How long a leaver waits for its goodbyes to be heard.",
        )
        .within(0, 10 * SECOND),
    ]
}

fn limits() -> Vec<Key> {
    vec![
        key(
            "detector.members_max",
            |s| &mut s.engine.members_max,
            "The most members that are held; more are refused.",
        )
        .within(1, 100 * MILLION),
        key(
            "detector.tombstones_max",
            |s| &mut s.engine.tombstones_max,
            "The most removals that are remembered; the oldest go first.",
        )
        .within(1, 100 * MILLION),
        key(
            "detector.address_book_max",
            |s| &mut s.engine.address_book_max,
            "The most addresses of the past that are remembered.",
        )
        .within(1, MILLION),
        key(
            "detector.rumors_max",
            |s| &mut s.engine.rumors_max,
            "The most rumors that wait to be sent.",
        )
        .within(16, MILLION),
        key(
            "detector.relays_max",
            |s| &mut s.engine.relays_max,
            "The most probes that are carried out for others at a time.",
        )
        .within(1, MILLION),
    ]
}
