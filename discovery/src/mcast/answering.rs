//! The node's own answers: a task that holds the socket in the group.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::beacon::{BEACON_BYTES_MAX, Beacon, Kind, Nonce, Sealer};
use super::budget::{Budget, Budgets, Rate};
use super::error::McastError;
use super::options::McastOptions;
use super::socket;
use super::strangers::Strangers;
use crate::me::Me;

/// Datagrams that are read, whoever sends them. What comes beyond waits in the socket and is lost
/// where that is full: a flood costs a few hundredths of a core.
const READ: Rate = Rate {
    at_once: 2000,
    a_second: 4000,
};
/// Answers to one host: some fifty nodes may start on it at once.
const TO_EACH: Rate = Rate {
    at_once: 256,
    a_second: 64,
};
/// Answers to all.
const TO_ALL: Rate = Rate {
    at_once: 1024,
    a_second: 256,
};
/// Questions that are remembered, so that each is answered once.
const NONCES_MAX: usize = 1024;
/// The least time that reading rests once it was too much.
const REST: Duration = Duration::from_millis(20);

/// A socket in the group whose questions are answered, until it is closed or dropped.
#[derive(Debug)]
pub(super) struct Answering {
    socket: Arc<UdpSocket>,
    task: JoinHandle<()>,
}

impl Answering {
    pub(super) fn open(
        options: &McastOptions,
        me: &Me,
        sealer: Arc<Sealer>,
        strangers: Arc<Strangers>,
    ) -> Result<Self, McastError> {
        options.check()?;
        let link = options.iface.link(options.group.is_ipv4())?;
        let socket = Arc::new(socket::listener(options, link)?);
        let talker = socket::talker(options, link)?;
        let answerer = Answerer::new(me.clone(), sealer, strangers, Instant::now());
        let task = tokio::spawn(answer(socket.clone(), talker, answerer));
        Ok(Self { socket, task })
    }

    /// Whether it answers and is in the group, which it enters anew where its interface was
    /// replaced.
    pub(super) fn is_well(&self, options: &McastOptions) -> bool {
        let link = options.iface.link(options.group.is_ipv4());
        let joined = link.map_err(McastError::from);
        let joined =
            joined.and_then(|link| socket::join(&SockRef::from(&*self.socket), options, link));
        !self.task.is_finished() && joined.is_ok()
    }

    /// Returns when it is closed.
    pub(super) async fn close(mut self) {
        self.task.abort();
        // It was aborted: that is what it says.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(socket: Arc<UdpSocket>, talker: UdpSocket, mut answerer: Answerer) {
    let mut buffer = [0; BEACON_BYTES_MAX + 1];
    let mut reading = Budget::new(READ, Instant::now());
    loop {
        let (bytes, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                debug!(%error, "the multicast socket failed: it is opened again at the next pass");
                return;
            }
        };
        if let Some(packet) = answerer.on_packet(&buffer[..bytes], from, Instant::now()) {
            // Who can't be answered asks again.
            let _ = talker.send_to(&packet, from).await;
        }
        while !reading.take(Instant::now()) {
            sleep(reading.wait().max(REST)).await;
        }
    }
}

/// What decides about answers.
struct Answerer {
    me: Me,
    sealer: Arc<Sealer>,
    strangers: Arc<Strangers>,
    budgets: Budgets,
    /// The questions that were answered last.
    answered: VecDeque<Nonce>,
    rng: fastrand::Rng,
}

impl Answerer {
    fn new(me: Me, sealer: Arc<Sealer>, strangers: Arc<Strangers>, now: Instant) -> Self {
        Self {
            me,
            sealer,
            strangers,
            budgets: Budgets::new(TO_EACH, TO_ALL, now),
            answered: VecDeque::new(),
            rng: fastrand::Rng::with_seed(RandomState::new().hash_one(0)),
        }
    }

    /// The answer to a packet, if it gets one.
    fn on_packet(&mut self, packet: &[u8], from: SocketAddr, now: Instant) -> Option<Vec<u8>> {
        let beacon = match self.sealer.open(packet) {
            Ok(beacon) => beacon,
            Err(stranger) => {
                self.strangers.note(stranger, from, now);
                return None;
            }
        };
        let Kind::Ask { share } = beacon.kind else {
            return None;
        };
        let own = beacon.name == self.me.name && beacon.address == self.me.address;
        let chosen = !own && !self.answered.contains(&beacon.nonce) && self.is_one_in(share);
        if !chosen || !self.budgets.take(from.ip(), now) {
            return None;
        }
        if self.answered.len() == NONCES_MAX {
            self.answered.pop_front();
        }
        self.answered.push_back(beacon.nonce);
        Some(self.sealer.seal(&Beacon {
            kind: Kind::Tell,
            nonce: beacon.nonce,
            name: self.me.name.clone(),
            address: self.me.address,
        }))
    }

    /// True once in 4^`share` times.
    fn is_one_in(&mut self, share: u8) -> bool {
        let bits = 2 * u32::from(share);
        self.rng.u64(..).leading_zeros() >= bits
    }
}

#[cfg(test)]
mod tests {
    use super::super::beacon::nonce;
    use super::super::beacon::tests::sealer;
    use super::*;

    fn me(n: u8) -> Me {
        Me {
            name: format!("a{n}@10.0.0.{n}").parse().unwrap(),
            address: format!("10.0.0.{n}:4370").parse().unwrap(),
            cluster: "convoke".to_owned(),
        }
    }

    fn question(of: &Me, nonce: Nonce, share: u8) -> Vec<u8> {
        sealer(1, "convoke").seal(&Beacon {
            kind: Kind::Ask { share },
            nonce,
            name: of.name.clone(),
            address: of.address,
        })
    }

    fn answerer(now: Instant) -> Answerer {
        let sealer = Arc::new(sealer(1, "convoke"));
        Answerer::new(me(1), sealer, Arc::default(), now)
    }

    const FROM: ([u8; 4], u16) = ([10, 0, 0, 2], 40_000);

    #[test]
    fn a_question_is_answered_once_and_by_its_nonce() {
        let (now, asked) = (Instant::now(), nonce());
        let (mut answerer, packet) = (answerer(now), question(&me(2), asked, 0));
        let answer = answerer.on_packet(&packet, FROM.into(), now).unwrap();
        let told = sealer(1, "convoke").open(&answer).unwrap();
        assert_eq!((told.kind, told.nonce), (Kind::Tell, asked));
        assert_eq!((told.name, told.address), (me(1).name, me(1).address));
        for _ in 0..100 {
            assert_eq!(answerer.on_packet(&packet, FROM.into(), now), None);
        }
        let own = question(&me(1), nonce(), 0);
        assert_eq!(answerer.on_packet(&own, FROM.into(), now), None, "its own");
        assert_eq!(answerer.on_packet(&answer, FROM.into(), now), None);
    }

    #[test]
    fn strangers_get_no_answer() {
        let now = Instant::now();
        let mut answerer = answerer(now);
        let packet = question(&me(2), nonce(), 0);
        answerer.sealer = Arc::new(sealer(1, "another"));
        assert_eq!(answerer.on_packet(&packet, FROM.into(), now), None);
        answerer.sealer = Arc::new(sealer(2, "convoke"));
        assert_eq!(answerer.on_packet(&packet, FROM.into(), now), None);
        assert_eq!(answerer.on_packet(b"", FROM.into(), now), None);
        assert_eq!(answerer.strangers.count(), 3);
    }

    #[test]
    fn a_share_of_the_listeners_answers() {
        let now = Instant::now();
        let mut answerer = answerer(now);
        for (share, least, most) in [(0, 4000, 4000), (1, 800, 1200), (4, 2, 40), (255, 0, 0)] {
            let answers = (0..4000).filter(|_| answerer.is_one_in(share)).count();
            assert!((least..=most).contains(&answers), "{share}: {answers}");
        }
    }

    #[test]
    fn a_host_that_asks_without_end_gets_its_share_and_others_theirs() {
        let now = Instant::now();
        let mut answerer = answerer(now);
        let mut answers = |from: ([u8; 4], u16), times: u32| {
            let packets = (0..times).map(|_| question(&me(2), nonce(), 0));
            packets
                .filter_map(|packet| answerer.on_packet(&packet, from.into(), now))
                .count()
        };
        assert_eq!(answers(FROM, 2000), TO_EACH.at_once as usize);
        assert_eq!(answers(([10, 0, 0, 3], 1), 10), 10);
        assert!(answerer.answered.len() <= NONCES_MAX);
    }
}
