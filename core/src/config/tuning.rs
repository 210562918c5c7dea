//! Two knobs that operators understand, from which the detector's numbers follow.
//!
//! Intuition: after a crash this passes until everybody knows.
//!
//! ```text
//! crash ── turn ── probe ─────────── verdict ─────────── spread ── known everywhere
//!          │       │                 │                   └ gossip_interval: half of it to object, half as a margin
//!          │       │                 └ suspicion_min; the jury takes 3T of it, or of its own time
//!          │       └ 2T (300 ms at the least): directly, then by helpers and a stream
//!          └ a turn comes every probe_interval; 0.4 more for turns that are not quite even
//! ```
//!
//! T is [`Config::probe_timeout_min`]: what a direct probe waits where round trips are short.
//!
//! A member that stops is suspected after a probe at the soonest and failed `suspicion_min` later,
//! unless it refutes. So `suspicion_min` is the pause that is tolerated, and the probe's own time
//! is what the refutation has to get around in.
//!
//! T itself is the network's, not the operator's wish, and stays what the profile says: below it
//! slow nodes start to flap.

use std::time::Duration;

use super::Config;
use crate::probe::PROBE_DURATION_MIN;

/// How many probe intervals a crash waits to be met by a probe, in tenths: one turn, and four
/// tenths for turns that are uneven (rounded, taken by a random probe, or left by an observer that
/// died).
const TURN_TENTHS: u32 = 14;
/// The time between suspicion and verdict with one accuser, in times that of many.
const SUSPICION_MAX: u32 = 4;
/// A cut's silences come within so many times the tolerated pause.
const CUT_WINDOW: u32 = 2;
/// Derived times are whole multiples of this: nobody wants to read microseconds.
const STEP: Duration = Duration::from_millis(10);

/// What an operator asks of the detector; what is `None` follows from the rest.
///
/// Only [`Config::probe_interval`], [`Config::suspicion_min`] and what is in proportion to them
/// are derived. A loose `detect_within` beside a `tolerate_pause` changes nothing: the probe
/// interval never exceeds the profile's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// A silent crash is known everywhere within this time, typically: in a cluster that was at
    /// rest, on a network whose round trips are below [`Config::probe_timeout_min`]. Shorter costs
    /// messages, in proportion to 1 / [`Config::probe_interval`], and, alone, tolerance.
    pub detect_within: Option<Duration>,
    /// A member that stops for this long and comes back is not declared failed. Longer costs
    /// time to detect. Never less than the jury's examination takes.
    pub tolerate_pause: Option<Duration>,
}

/// What is asked of the detector cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TuningError {
    /// No pause could be tolerated that would make it possible.
    #[error(
        "{detect_within:?} is too soon: {least:?} is the least where a probe waits {probe_timeout_min:?} for its answer"
    )]
    TooSoon {
        /// What was asked.
        detect_within: Duration,
        /// The least that is possible.
        least: Duration,
        /// Why: [`Config::probe_timeout_min`].
        probe_timeout_min: Duration,
    },
    /// Each is possible, both are not.
    #[error(
        "{detect_within:?} is too soon to tolerate a pause of {tolerate_pause:?}: that takes {detect_within_min:?} at the least, and {detect_within:?} tolerates a pause of {tolerate_pause_max:?} at the most"
    )]
    Contradiction {
        /// What was asked.
        detect_within: Duration,
        /// What was asked.
        tolerate_pause: Duration,
        /// The least time to detect with this tolerance.
        detect_within_min: Duration,
        /// The longest pause with this time to detect.
        tolerate_pause_max: Duration,
    },
}

impl Config {
    /// These numbers, changed so that they keep what is asked. Nothing asked, nothing changed;
    /// neither does asking for [`Config::detect_within`] and [`Config::tolerate_pause`] of a preset.
    ///
    /// # Errors
    /// When it cannot be kept with these probe timeouts.
    pub fn tuned(self, tuning: Tuning) -> Result<Self, TuningError> {
        let asked = tuning.tolerate_pause;
        let pause = asked.map(|pause| pause.max(self.jury_time()));
        match (tuning.detect_within, pause) {
            (None, None) => Ok(self),
            (None, Some(pause)) => {
                let interval = self.probe_interval;
                Ok(self.with(interval, pause))
            }
            (Some(within), None) => self.detecting_within(within),
            (Some(within), Some(pause)) => {
                let least = self.least_detect_within(pause);
                if within >= least {
                    let interval = self.interval_for(within, pause);
                    return Ok(self.with(interval, pause));
                }
                self.check_possible(within)?;
                Err(TuningError::Contradiction {
                    detect_within: within,
                    tolerate_pause: pause,
                    detect_within_min: least,
                    tolerate_pause_max: pause.saturating_sub(least - within),
                })
            }
        }
    }

    /// How long a silent crash takes to be known everywhere, typically: see
    /// [`Tuning::detect_within`].
    pub fn detect_within(&self) -> Duration {
        let verdict = self.suspicion_min.max(self.jury_time());
        tenths(self.probe_interval, TURN_TENTHS)
            .saturating_add(self.fixed_time())
            .saturating_add(verdict)
    }

    /// How long a member may stop without being declared failed: see [`Tuning::tolerate_pause`].
    pub fn tolerate_pause(&self) -> Duration {
        self.suspicion_min
    }

    /// Faster than the preset: the interval and the tolerance shrink alike. Slower: all the time
    /// goes to tolerance.
    fn detecting_within(self, within: Duration) -> Result<Self, TuningError> {
        self.check_possible(within)?;
        let budget = within - self.fixed_time();
        let turn = tenths(self.probe_interval, TURN_TENTHS);
        let both = turn.saturating_add(self.suspicion_min);
        let pause = if budget >= both {
            budget - turn
        } else {
            let share = self.suspicion_min.as_secs_f64() / both.as_secs_f64();
            floor(budget.mul_f64(share))
        };
        let most = budget.saturating_sub(tenths(self.interval_min(), TURN_TENTHS));
        let pause = pause.min(most).max(self.jury_time());
        let interval = self.interval_for(within, pause);
        Ok(self.with(interval, pause))
    }

    fn check_possible(&self, detect_within: Duration) -> Result<(), TuningError> {
        let least = self.least_detect_within(self.jury_time());
        if detect_within < least {
            return Err(TuningError::TooSoon {
                detect_within,
                least,
                probe_timeout_min: self.probe_timeout_min,
            });
        }
        Ok(())
    }

    fn with(self, probe_interval: Duration, suspicion_min: Duration) -> Self {
        Self {
            probe_interval,
            probe_timeout_max: self
                .probe_timeout_max
                .min(probe_interval)
                .max(self.probe_timeout_min),
            suspicion_min,
            suspicion_max: suspicion_min.saturating_mul(SUSPICION_MAX),
            cut_window: suspicion_min.saturating_mul(CUT_WINDOW),
            // Long enough that a healthy node at rest hears somebody.
            silence_min: (suspicion_min / 2)
                .max(tenths(probe_interval, 15))
                .min(self.silence_max),
            ..self
        }
    }

    /// The longest interval that detects within this time, the preset's at the most.
    fn interval_for(&self, within: Duration, pause: Duration) -> Duration {
        let turn = within.saturating_sub(pause.saturating_add(self.fixed_time()));
        let longest = floor(turn.saturating_mul(10) / TURN_TENTHS);
        longest.clamp(self.interval_min(), self.probe_interval)
    }

    fn least_detect_within(&self, pause: Duration) -> Duration {
        tenths(self.interval_min(), TURN_TENTHS)
            .saturating_add(self.fixed_time())
            .saturating_add(pause)
    }

    /// Probes that come faster than they are answered say nothing more.
    fn interval_min(&self) -> Duration {
        self.probe_timeout_min.min(self.probe_interval)
    }

    /// What neither knob changes: a whole probe, and the spreading of the verdict.
    fn fixed_time(&self) -> Duration {
        let probe = self.probe_timeout_min.saturating_mul(2);
        probe
            .max(PROBE_DURATION_MIN)
            .saturating_add(self.gossip_interval)
    }

    /// How long a juror takes before it accuses: a datagram's T, and two for a stream.
    fn jury_time(&self) -> Duration {
        self.probe_timeout_min.saturating_mul(3)
    }
}

/// So many tenths of a time, rounded up to a millisecond.
fn tenths(time: Duration, tenths: u32) -> Duration {
    let millis = (time.saturating_mul(tenths) / 10)
        .as_micros()
        .div_ceil(1000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

fn floor(time: Duration) -> Duration {
    let excess = time.as_nanos() % STEP.as_nanos();
    time - Duration::from_nanos(u64::try_from(excess).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::ms;
    use super::*;

    fn both(detect_within: u64, tolerate_pause: u64) -> Tuning {
        Tuning {
            detect_within: Some(ms(detect_within)),
            tolerate_pause: Some(ms(tolerate_pause)),
        }
    }

    fn within(detect_within: u64) -> Tuning {
        Tuning {
            detect_within: Some(ms(detect_within)),
            ..Tuning::default()
        }
    }

    fn pause(tolerate_pause: u64) -> Tuning {
        Tuning {
            tolerate_pause: Some(ms(tolerate_pause)),
            ..Tuning::default()
        }
    }

    #[test]
    fn the_presets_are_what_their_own_knobs_come_to() {
        let presets = [
            (Config::lan(), both(5000, 3000)),
            (Config::wan(), both(12_300, 8000)),
            (Config::local(), both(3800, 2000)),
        ];
        for (preset, knobs) in presets {
            assert_eq!(Some(preset.detect_within()), knobs.detect_within);
            assert_eq!(Some(preset.tolerate_pause()), knobs.tolerate_pause);
            let within = Tuning {
                tolerate_pause: None,
                ..knobs
            };
            let pause = Tuning {
                detect_within: None,
                ..knobs
            };
            for tuning in [knobs, within, pause, Tuning::default()] {
                assert_eq!(preset.clone().tuned(tuning), Ok(preset.clone()));
            }
        }
    }

    #[test]
    fn what_is_possible_is_kept_by_every_preset() {
        for preset in [Config::lan(), Config::wan(), Config::local()] {
            for detect_within in (500..40_000).step_by(70) {
                for tolerate_pause in (0..20_000).step_by(330) {
                    for tuning in [
                        both(detect_within, tolerate_pause),
                        within(detect_within),
                        pause(tolerate_pause),
                    ] {
                        keeps(&preset, tuning);
                    }
                }
            }
        }
    }

    fn keeps(preset: &Config, tuning: Tuning) {
        let Ok(tuned) = preset.clone().tuned(tuning) else {
            return;
        };
        let (within, pause) = (tuned.detect_within(), tuned.tolerate_pause());
        assert!(
            tuning.detect_within.is_none_or(|asked| within <= asked),
            "{tuning:?}"
        );
        assert!(
            tuning.tolerate_pause.is_none_or(|asked| pause >= asked),
            "{tuning:?}"
        );
        assert!(tuned.probe_timeout_min <= tuned.probe_timeout_max);
        assert!(tuned.probe_timeout_max <= tuned.probe_interval);
        assert!(tuned.probe_interval <= preset.probe_interval);
        assert!(tuned.suspicion_min >= tuned.jury_time() && tuned.silence_min <= tuned.silence_max);
    }

    #[test]
    fn an_error_names_the_least_and_the_most_that_are_possible() {
        let error = Config::lan().tuned(both(3000, 3000)).unwrap_err();
        let (detect_within_min, tolerate_pause_max) = (ms(3880), ms(2120));
        let expected = TuningError::Contradiction {
            detect_within: ms(3000),
            tolerate_pause: ms(3000),
            detect_within_min,
            tolerate_pause_max,
        };
        assert_eq!(error, expected);
        for possible in [both(3880, 3000), both(3000, 2120)] {
            assert!(Config::lan().tuned(possible).is_ok());
        }
        for impossible in [both(3879, 3000), both(3000, 2121)] {
            assert!(Config::lan().tuned(impossible).is_err());
        }
    }

    #[test]
    fn below_the_least_no_tolerance_helps() {
        let presets = [
            (Config::lan(), 1480),
            (Config::wan(), 3700),
            (Config::local(), 840),
        ];
        for (preset, least) in presets {
            let error = preset.clone().tuned(both(least - 1, 0)).unwrap_err();
            assert!(matches!(error, TuningError::TooSoon { least: l, .. } if l == ms(least)));
            assert_eq!(preset.clone().tuned(within(least - 1)), Err(error));
            assert!(preset.clone().tuned(within(least)).is_ok());
            assert!(preset.tuned(both(least, 0)).is_ok());
        }
    }

    #[test]
    fn one_knob_alone_moves_what_it_must() {
        let fast = Config::lan().tuned(within(2500)).unwrap();
        assert_eq!(
            (fast.probe_interval, fast.suspicion_min),
            (ms(430), ms(1290))
        );
        assert_eq!(
            (fast.probe_timeout_min, fast.probe_timeout_max),
            (ms(200), ms(430))
        );
        let slow = Config::lan().tuned(within(20_000)).unwrap();
        assert_eq!(
            (slow.probe_interval, slow.suspicion_min),
            (ms(1000), ms(18_000))
        );
        let patient = Config::lan().tuned(pause(10_000)).unwrap();
        assert_eq!(patient.probe_interval, ms(1000));
        assert_eq!(patient.detect_within(), ms(12_000));
        let very_patient = Config::lan().tuned(pause(900_000)).unwrap();
        assert_eq!(very_patient.silence_min, very_patient.silence_max);
    }

    #[test]
    fn no_number_is_too_large() {
        for tuning in [
            Tuning {
                detect_within: Some(Duration::MAX),
                tolerate_pause: None,
            },
            Tuning {
                detect_within: None,
                tolerate_pause: Some(Duration::MAX),
            },
            Tuning {
                detect_within: Some(Duration::MAX),
                tolerate_pause: Some(Duration::MAX),
            },
        ] {
            let _ = Config::lan().tuned(tuning);
        }
    }
}
