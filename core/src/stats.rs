//! Counters of what the engine did and refused, for metrics and for tests.

/// Counts since the engine was made. All only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Probes begun.
    pub probes: u64,
    /// Probes that nobody answered, by any path.
    pub probes_failed: u64,
    /// Probes that failed while nobody at all was heard: counted against this node itself.
    pub probes_gated: u64,
    /// Suspicions begun.
    pub suspicions: u64,
    /// Times this node refuted an accusation.
    pub refutations: u64,
    /// Members that this node found dead by its own deadline.
    pub verdicts: u64,
    /// Members examined as a juror.
    pub trials: u64,
    /// Times that a silent member's host was asked whether anything listens at its port.
    pub knocks: u64,
    /// Times that the host answered that nothing does.
    pub refusals: u64,
    /// Packets of another cluster, dropped.
    pub foreign_packets: u64,
    /// Messages from members that are not believed (failed, left or removed), dropped.
    pub unbelieved: u64,
    /// Facts that brought nothing new.
    pub stale_rumors: u64,
    /// Rumors dropped because too many waited.
    pub rumors_dropped: u64,
    /// Comparisons begun.
    pub reconciliations: u64,
    /// Messages refused because a limit was reached (relays, members, challenges, knocks).
    pub over_limit: u64,
    /// Own pauses long enough to distrust oneself.
    pub stalls: u64,
}
