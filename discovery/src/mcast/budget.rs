//! How much may be done in a time: a bucket that fills, and is emptied by what is done.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// So many at once, and so many a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) at_once: u32,
    pub(super) a_second: u32,
}

/// What is left of a rate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    rate: Rate,
    left: f64,
    seen: Instant,
}

impl Budget {
    /// A full one.
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            left: f64::from(rate.at_once),
            seen: now,
        }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }

    /// How long until there is one.
    pub(super) fn wait(&self) -> Duration {
        let missing = (1.0 - self.left).max(0.0);
        Duration::from_secs_f64(missing / f64::from(self.rate.a_second))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.seen).as_secs_f64();
        let filled = self.left + passed * f64::from(self.rate.a_second);
        self.left = filled.min(f64::from(self.rate.at_once));
        self.seen = now;
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.left >= f64::from(self.rate.at_once)
    }
}

/// Hosts that are remembered. A host beyond these is served as long as there is budget for all.
const HOSTS_MAX: usize = 1024;

/// A budget for each host, and one for all together.
#[derive(Debug)]
pub(super) struct Budgets {
    each: Rate,
    all: Budget,
    hosts: HashMap<IpAddr, Budget>,
}

impl Budgets {
    pub(super) fn new(each: Rate, all: Rate, now: Instant) -> Self {
        Self {
            each,
            all: Budget::new(all, now),
            hosts: HashMap::new(),
        }
    }

    /// Takes one for this host, if there is one for it and one for all.
    pub(super) fn take(&mut self, host: IpAddr, now: Instant) -> bool {
        if !self.hosts.contains_key(&host) && self.hosts.len() >= HOSTS_MAX {
            // Those who have been quiet are as good as new.
            self.hosts.retain(|_, budget| !budget.is_full(now));
        }
        if !self.hosts.contains_key(&host) && self.hosts.len() >= HOSTS_MAX {
            return self.all.take(now);
        }
        let each = self.each;
        let own = self
            .hosts
            .entry(host)
            .or_insert_with(|| Budget::new(each, now));
        own.take(now) && self.all.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn host(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    #[test]
    fn a_budget_is_spent_and_fills_again() {
        let rate = Rate {
            at_once: 4,
            a_second: 2,
        };
        let at = Instant::now();
        let mut budget = Budget::new(rate, at);
        let taken = |budget: &mut Budget, now| (0..100).filter(|_| budget.take(now)).count();
        assert_eq!(taken(&mut budget, at), 4);
        assert_eq!(budget.wait(), SECOND / 2);
        assert_eq!(taken(&mut budget, at + SECOND), 2);
        assert_eq!(taken(&mut budget, at), 0, "a clock that goes back");
        assert_eq!(
            taken(&mut budget, at + 1000 * SECOND),
            4,
            "no more than full"
        );
    }

    #[test]
    fn a_host_that_asks_too_much_leaves_the_others_theirs() {
        let (each, all) = (
            Rate {
                at_once: 4,
                a_second: 1,
            },
            Rate {
                at_once: 100,
                a_second: 10,
            },
        );
        let at = Instant::now();
        let mut budgets = Budgets::new(each, all, at);
        let taken =
            |budgets: &mut Budgets, n, now| (0..100).filter(|_| budgets.take(host(n), now)).count();
        assert_eq!(taken(&mut budgets, 1, at), 4);
        assert_eq!(taken(&mut budgets, 2, at), 4);
        let rest: usize = (3..1000).map(|n| taken(&mut budgets, n, at)).sum();
        assert_eq!(rest, 92, "all together");
    }

    #[test]
    fn hosts_without_end_are_not_remembered_without_end() {
        let rate = Rate {
            at_once: 2,
            a_second: 1,
        };
        let at = Instant::now();
        let mut budgets = Budgets::new(rate, rate, at);
        for n in 0..5000 {
            budgets.take(host(n), at);
        }
        assert!(budgets.hosts.len() <= HOSTS_MAX);
        budgets.take(host(9000), at + 10 * SECOND);
        assert_eq!(budgets.hosts.len(), 1, "the quiet are forgotten");
    }
}
