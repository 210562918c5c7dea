//! How much a node trusts itself: a score that its own failed probes raise and that makes it
//! more patient with others. Source: Lifeguard §IV.A (LHA-Probe).

use std::time::Duration;

/// The score: 0 is well.
#[derive(Debug)]
pub(super) struct Awareness {
    score: u32,
    levels: u32,
}

impl Awareness {
    /// Well, of so many levels.
    pub(super) fn new(levels: u32) -> Self {
        Self { score: 0, levels }
    }

    /// A sign of health.
    pub(super) fn improve(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    /// So many signs of illness.
    pub(super) fn worsen(&mut self, by: u32) {
        let score_max = self.levels.saturating_sub(1);
        self.score = self.score.saturating_add(by).min(score_max);
    }

    /// A time, stretched by ill health.
    pub(super) fn stretch(&self, time: Duration) -> Duration {
        time * (1 + self.score)
    }

    #[cfg(test)]
    pub(super) fn score(&self) -> u32 {
        self.score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_levels_are_the_scores_0_to_7() {
        let mut awareness = Awareness::new(8);
        awareness.worsen(20);
        assert_eq!(awareness.score(), 7);
        assert_eq!(
            awareness.stretch(Duration::from_secs(1)),
            Duration::from_secs(8)
        );
        awareness.improve();
        assert_eq!(awareness.score(), 6);
    }

    #[test]
    fn with_one_level_a_node_is_always_well() {
        let mut awareness = Awareness::new(1);
        awareness.worsen(3);
        awareness.improve();
        assert_eq!(awareness.score(), 0);
    }
}
