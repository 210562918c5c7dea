//! How many worlds fit into this machine at a time.

use std::num::NonZero;
use std::thread::available_parallelism;

/// Bytes for each node that a node knows: what a settled world of full views takes.
const BYTES_PER_VIEW: u64 = 100;
/// Worlds of more nodes than this run one at a time.
const NODES_SIDE_BY_SIDE_MAX: usize = 4000;

/// What a world of so many nodes takes, in bytes, roughly.
pub(super) const fn of_world(nodes: usize) -> u64 {
    BYTES_PER_VIEW * (nodes as u64).pow(2)
}

/// What this machine has to give, in bytes, where it tells.
pub(super) fn available() -> Option<u64> {
    parse(
        &std::fs::read_to_string("/proc/meminfo").ok()?,
        "MemAvailable:",
    )
}

/// What this machine has in all, in bytes, where it tells.
pub(super) fn total() -> Option<u64> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

fn parse(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// How many worlds to run at a time.
pub(super) fn side_by_side(nodes: usize, available: Option<u64>) -> usize {
    if nodes > NODES_SIDE_BY_SIDE_MAX {
        return 1;
    }
    let cores = available_parallelism().map_or(1, NonZero::get);
    let fit = available.map_or(u64::MAX, |bytes| bytes / of_world(nodes).max(1));
    cores.min(usize::try_from(fit).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_world_is_counted_without_overflow() {
        assert_eq!(of_world(10_000), 10_000_000_000);
        assert_eq!(of_world(100_000), 1_000_000_000_000);
    }

    #[test]
    fn large_worlds_and_small_machines_run_one_at_a_time() {
        assert_eq!(side_by_side(4001, None), 1);
        assert_eq!(side_by_side(1000, Some(of_world(1000) - 1)), 1);
        let cores = available_parallelism().map_or(1, NonZero::get);
        assert_eq!(side_by_side(1000, None), cores);
    }

    #[test]
    fn the_kernel_tells_in_kibibytes() {
        let text = "MemTotal:       24576 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(parse(text, "MemAvailable:"), Some(2 << 20));
        assert_eq!(parse("MemTotal: 1 kB", "MemAvailable:"), None);
    }
}
