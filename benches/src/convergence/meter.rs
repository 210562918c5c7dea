//! What this process and its network have used.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::error::Error;

/// What was used up to a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
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
    /// CPU time of all threads of the process, user and system: as getrusage tells it, to the
    /// nanosecond.
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
    pub(super) fn now() -> Result<Self, Error> {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let (bytes, packets) = loopback()?;
        Ok(Self {
            at: Instant::now(),
            cpu: cpu
                .try_into()
                .expect("a process has not used negative time"),
            bytes,
            packets,
        })
    }

    /// From then on until now.
    ///
    /// # Errors
    /// Where the system has no `/proc`.
    pub(super) fn since_then(&self) -> Result<Use, Error> {
        let now = Self::now()?;
        Ok(Use {
            lasted: now.at - self.at,
            cpu: now.cpu - self.cpu,
            bytes: now.bytes - self.bytes,
            packets: now.packets - self.packets,
        })
    }
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
        let before = Used::now().unwrap();
        let mut sum = 0_u64;
        while before.since_then().unwrap().cpu < Duration::from_millis(5) {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        let used = before.since_then().unwrap();
        assert!(used.lasted > Duration::ZERO && used.cpu >= Duration::from_millis(5));
        assert!(resident(None).unwrap() > 100_000, "{sum}");
    }
}
