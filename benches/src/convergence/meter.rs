//! What the nodes and their network have used.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::error::Error;

/// Whose CPU time and memory are those of the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This process's: the nodes run in it.
    Own,
    /// All other processes' of the namespace that this one is alone in with them.
    Others,
}

/// What was used up to a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    whose: Whose,
    at: Instant,
    cpu: Duration,
    bytes: u64,
    packets: u64,
}

/// What was used in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// How long it was.
    pub(super) lasted: Duration,
    /// CPU time of all threads, user and system: of this process as getrusage tells it, of
    /// others that of the threads that they have, both to the nanosecond.
    pub(super) cpu: Duration,
    /// Bytes over the loopback interface, IP headers included, Ethernet's not.
    pub(super) bytes: u64,
    /// Packets over the loopback interface.
    pub(super) packets: u64,
}

impl Used {
    /// Up to now.
    ///
    /// # Errors
    /// Where the system has no `/proc`.
    pub(super) fn now(whose: Whose) -> Result<Self, Error> {
        let cpu = match whose {
            Whose::Own => own_cpu(),
            Whose::Others => others()?.into_iter().map(cpu).sum(),
        };
        let (bytes, packets) = loopback()?;
        Ok(Self {
            whose,
            at: Instant::now(),
            cpu,
            bytes,
            packets,
        })
    }

    /// From then on until now.
    ///
    /// # Errors
    /// Where the system has no `/proc`.
    pub(super) fn since_then(&self) -> Result<Use, Error> {
        let now = Self::now(self.whose)?;
        Ok(Use {
            lasted: now.at - self.at,
            // Less only where a process has ended.
            cpu: now.cpu.saturating_sub(self.cpu),
            bytes: now.bytes - self.bytes,
            packets: now.packets - self.packets,
        })
    }
}

/// The memory that the nodes' processes hold, in bytes.
///
/// # Errors
/// Where the system has no `/proc`.
pub(super) fn held(whose: Whose) -> Result<u64, Error> {
    match whose {
        Whose::Own => resident(None),
        // One that has just ended holds nothing.
        Whose::Others => Ok(others()?
            .into_iter()
            .map(|id| resident(Some(id)).unwrap_or_default())
            .sum()),
    }
}

fn own_cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .expect("a process has not used negative time")
}

/// The CPU time of another process: of all threads that it has. None of one that has ended.
fn cpu(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let spent = threads.into_iter().flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// All processes of this namespace but this one.
fn others() -> Result<Vec<u32>, Error> {
    let folder = fs::read_dir("/proc").map_err(|cause| Error::File {
        path: "/proc".to_owned(),
        cause,
    })?;
    let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let ids = names.filter_map(|name| name.parse().ok());
    Ok(ids.filter(|id| *id != std::process::id()).collect())
}

/// The memory that a process holds, in bytes (VmRSS); of this one where none is named.
///
/// # Errors
/// Where there is no such process.
pub(super) fn resident(process: Option<u32>) -> Result<u64, Error> {
    let process = process.map_or("self".to_owned(), |id| id.to_string());
    let text = read(&format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kib.unwrap_or_default() * 1024)
}

/// Bytes and packets that the loopback interface of this namespace received, which are those that
/// were sent by it.
fn loopback() -> Result<(u64, u64), Error> {
    let text = read("/proc/self/net/dev")?;
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("lo:"));
    let mut numbers = line
        .unwrap_or_default()
        .split_whitespace()
        .map_while(|word| word.parse().ok());
    Ok((
        numbers.next().unwrap_or_default(),
        numbers.next().unwrap_or_default(),
    ))
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|cause| Error::File {
        path: path.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_counted() {
        let before = Used::now(Whose::Own).unwrap();
        let mut sum = 0_u64;
        while before.since_then().unwrap().cpu < Duration::from_millis(5) {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        let used = before.since_then().unwrap();
        assert!(used.lasted > Duration::ZERO && used.cpu >= Duration::from_millis(5));
        assert!(held(Whose::Own).unwrap() > 100_000, "{sum}");
    }

    #[test]
    fn what_others_use_is_counted() {
        // This process as others see it: a tick late, and less the threads that have ended.
        let (began, mut seen) = (Instant::now(), Duration::ZERO);
        while seen.is_zero() && began.elapsed() < Duration::from_secs(20) {
            seen = cpu(std::process::id());
        }
        assert!(seen > Duration::ZERO && seen <= own_cpu(), "{seen:?}");
        assert!(!others().unwrap().contains(&std::process::id()));
    }
}
