//! A pass: the group is asked, and what answers is collected.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::beacon::{BEACON_BYTES_MAX, Beacon, Kind, Nonce, Sealer, nonce};
use super::error::McastError;
use super::iface::Link;
use super::options::McastOptions;
use super::socket;
use super::strangers::Strangers;
use crate::me::Me;

/// A question for one in 4^4 is asked first, where nothing is known of how many there are.
pub(super) const SHARE_FIRST: u8 = 4;
/// When so many have answered, nobody else is asked: whoever is dialed knows the others.
const ENOUGH: usize = 8;
/// When so many have answered, the next pass asks a smaller share.
const PLENTY: usize = 4 * ENOUGH;
/// Answers beyond these are not taken.
const ANSWERS_MAX: usize = 256;
/// Datagrams beyond these are not read in a pass, whoever sends them.
const DATAGRAMS_MAX: u32 = 4096;
/// How long a share of the listeners is waited for, before a larger one is asked.
const SHARE_WAIT: Duration = Duration::from_millis(50);
/// How long all are waited for, each time that all are asked.
const ALL_WAIT: Duration = Duration::from_millis(250);
/// How often all are asked: a question may be lost, and a node that starts at the same moment may
/// not listen yet.
const ALL_TIMES: u32 = 4;

/// One pass of questions.
pub(super) struct Pass<'a> {
    options: &'a McastOptions,
    link: Link,
    me: &'a Me,
    sealer: &'a Sealer,
    strangers: &'a Strangers,
    socket: UdpSocket,
    /// What answers are for.
    nonces: BTreeSet<Nonce>,
    found: BTreeSet<SocketAddr>,
    datagrams: u32,
}

impl<'a> Pass<'a> {
    pub(super) fn open(
        options: &'a McastOptions,
        me: &'a Me,
        sealer: &'a Sealer,
        strangers: &'a Strangers,
    ) -> Result<Self, McastError> {
        options.check()?;
        let link = options.iface.link(options.group.is_ipv4())?;
        Ok(Self {
            options,
            link,
            me,
            sealer,
            strangers,
            socket: socket::talker(options, link)?,
            nonces: BTreeSet::new(),
            found: BTreeSet::new(),
            datagrams: 0,
        })
    }

    /// Asks until enough have answered, or all have been asked. Returns who did, and the share that
    /// the next pass begins with. Cancel safe: what was found so far is lost.
    pub(super) async fn ask(mut self, begin: u8) -> Result<(BTreeSet<SocketAddr>, u8), McastError> {
        let mut questions = questions(begin);
        while let Some((share, wait)) = questions.pop_front() {
            let before = self.found.len();
            self.send(share).await?;
            self.collect(Instant::now() + wait).await;
            if self.found.len() >= ENOUGH {
                return Ok(self.end(share));
            }
            // All were asked, some answered, and once more brought nobody else.
            let all_again = share == 0 && before > 0;
            if all_again && self.found.len() == before {
                break;
            }
        }
        Ok(self.end(0))
    }

    fn end(self, share: u8) -> (BTreeSet<SocketAddr>, u8) {
        let next = match self.found.len() >= PLENTY {
            true => (share + 1).min(SHARE_FIRST),
            false => share,
        };
        (self.found, next)
    }

    /// Sends a question to every port. One that goes out is enough.
    async fn send(&mut self, share: u8) -> Result<(), McastError> {
        let nonce = nonce();
        self.nonces.insert(nonce);
        let packet = self.sealer.seal(&Beacon {
            kind: Kind::Ask { share },
            nonce,
            name: self.me.name.clone(),
            address: self.me.address,
        });
        let (mut sent, mut failed) = (false, None);
        for port in &self.options.ports {
            let to = socket::group(self.options, self.link, *port);
            match self.socket.send_to(&packet, to).await {
                Ok(_) => sent = true,
                Err(cause) => failed = Some((to, cause)),
            }
        }
        match failed {
            Some((to, cause)) if !sent => Err(McastError::Send {
                to,
                iface: self.options.iface.clone(),
                cause: Arc::new(cause),
            }),
            _ => Ok(()),
        }
    }

    /// Takes answers until `deadline`, or until there are enough.
    async fn collect(&mut self, deadline: Instant) {
        let mut buffer = [0; BEACON_BYTES_MAX + 1];
        // A flood never lets the wait time out by itself.
        while Instant::now() < deadline && self.datagrams < DATAGRAMS_MAX {
            let received = timeout_at(deadline, self.socket.recv_from(&mut buffer)).await;
            let Ok(received) = received else { return };
            self.datagrams += 1;
            // An error is another's: a port that refused an earlier packet.
            let Ok((bytes, from)) = received else {
                continue;
            };
            self.on_packet(&buffer[..bytes], from);
        }
        // A socket that is not read any more is as good as silent.
        tokio::time::sleep_until(deadline).await;
    }

    fn on_packet(&mut self, packet: &[u8], from: SocketAddr) {
        match self.sealer.open(packet) {
            Err(stranger) => self.strangers.note(stranger, from, Instant::now()),
            Ok(beacon) => {
                let answers = beacon.kind == Kind::Tell && self.nonces.contains(&beacon.nonce);
                let own = beacon.address == self.me.address;
                if answers && !own && self.found.len() < ANSWERS_MAX {
                    let new = self.found.insert(beacon.address);
                    debug!(node = %beacon.name, address = %beacon.address, new, "answers on the multicast group");
                }
            }
        }
    }
}

/// Which shares are asked, and how long each is waited for.
fn questions(begin: u8) -> VecDeque<(u8, Duration)> {
    let shares = (1..=begin.min(SHARE_FIRST)).rev();
    let few = shares.map(|share| (share, SHARE_WAIT));
    let all = (0..ALL_TIMES).map(|_| (0, ALL_WAIT));
    few.chain(all).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_until_all_are_asked_several_times() {
        let shares = |begin| {
            let questions = questions(begin);
            questions
                .iter()
                .map(|(share, _)| *share)
                .collect::<Vec<_>>()
        };
        assert_eq!(shares(4), [4, 3, 2, 1, 0, 0, 0, 0]);
        assert_eq!(shares(0), [0, 0, 0, 0]);
        assert_eq!(shares(255), shares(4));
        let longest: Duration = questions(255).iter().map(|(_, wait)| *wait).sum();
        assert!(longest < Duration::from_secs(2), "{longest:?}");
    }
}
