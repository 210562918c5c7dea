//! serf: a process for each node, with its default profile. What they know is what their logs say, by
//! the time at which a line is read; orders go over their RPC.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::error::Error;
use super::super::ground::Ground;
use super::super::meter::Whose;
use super::super::subject::Subject;
use super::super::views::{Sight, Watcher};

const PORT: u16 = 7946;
const RPC_PORT: u16 = 7373;
/// How long a process may take until it runs, or until it has obeyed.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What an order begins with: the version of the RPC.
const HANDSHAKE: &[u8] = b"\x82\xa7Command\xa9handshake\xa3Seq\x00\x81\xa7Version\x01";
/// The order to join, up to the address; and what follows that.
const JOIN: &[u8] = b"\x82\xa7Command\xa4join\xa3Seq\x01\x82\xa8Existing\x91";
const JOIN_END: &[u8] = b"\xa6Replay\xc2";
/// The order to leave.
const LEAVE: &[u8] = b"\x82\xa7Command\xa5leave\xa3Seq\x01";
/// What an answer has once.
const ANSWER: &[u8] = b"Error";

/// serf, if it is there.
#[derive(Debug)]
pub(super) struct Serf;

/// A process, which ends with the last handle to it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    address: Ipv4Addr,
    process: Arc<Process>,
}

#[derive(Debug)]
struct Process(Mutex<Child>);

/// Whether the program runs.
///
/// # Errors
/// Where it does not.
pub(super) fn find() -> Result<(), Error> {
    let version = Command::new("serf").arg("version").output();
    let missing = |cause| Error::Missing {
        program: "serf",
        cause,
        package: "serf",
    };
    version.map(drop).map_err(missing)
}

impl Subject for Serf {
    type Node = Node;

    const WHOSE: Whose = Whose::Others;

    async fn start(&self, watcher: Watcher) -> Result<Node, String> {
        let (number, address) = (watcher.observer(), Ground::address(watcher.observer()));
        let mut child = Command::new("serf")
            .arg("agent")
            .arg(format!("-node=n{number}"))
            .arg(format!("-bind={address}:{PORT}"))
            .arg(format!("-rpc-addr={address}:{RPC_PORT}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let said = child.stdout.take().expect("it is piped");
        let process = Arc::new(Process(Mutex::new(child)));
        let (runs, running) = oneshot::channel();
        thread::spawn(move || hear(said, &watcher, runs));
        let up = timeout(ANSWER_MAX, running).await;
        up.map_err(|_| "it does not get ready".to_owned())?
            .map_err(|_| "the process has ended".to_owned())?;
        Ok(Node { address, process })
    }

    async fn join(node: Node, seed: Node) -> Result<(), String> {
        let seed = format!("{}:{PORT}", seed.address);
        let length = u8::try_from(seed.len()).expect("an address is short");
        // A text of fewer than 32 bytes has its length in its first byte.
        let order = [JOIN, &[0xa0 | length], seed.as_bytes(), JOIN_END].concat();
        node.order(&order).await
    }

    async fn leave(node: Node) -> Result<(), String> {
        node.order(LEAVE).await
    }

    fn abort(node: &Node) {
        node.process.kill();
    }
}

impl Node {
    /// Has the process obey.
    async fn order(&self, order: &[u8]) -> Result<(), String> {
        let obeyed = timeout(ANSWER_MAX, ordered(self.address, order)).await;
        let obeyed = obeyed.map_err(|_| "no answer".to_owned())?;
        obeyed.map_err(|error| error.to_string())
    }
}

async fn ordered(address: Ipv4Addr, order: &[u8]) -> std::io::Result<()> {
    let mut rpc = TcpStream::connect(SocketAddr::from((address, RPC_PORT))).await?;
    rpc.write_all(&[HANDSHAKE, order].concat()).await?;
    // One answer to the handshake, one to the order.
    let (mut answers, mut read) = (Vec::new(), [0; 256]);
    while answers
        .windows(ANSWER.len())
        .filter(|part| *part == ANSWER)
        .count()
        < 2
    {
        match rpc.read(&mut read).await? {
            0 => break,
            bytes => answers.extend_from_slice(&read[..bytes]),
        }
    }
    Ok(())
}

impl Process {
    fn kill(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Hands on what the log says, and that the process runs.
fn hear(said: ChildStdout, watcher: &Watcher, runs: oneshot::Sender<()>) {
    let mut runs = Some(runs);
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        let Some((number, sight)) = sight(&line) else {
            continue;
        };
        if number == watcher.observer() {
            // Whoever does not wait any longer need not know.
            runs.take().map(|runs| runs.send(()));
        }
        watcher.saw(number, sight);
    }
}

/// Of `… serf: EventMemberJoin: n3 127.77.0.4`: who, and how it is seen.
fn sight(line: &str) -> Option<(usize, Sight)> {
    let (_, event) = line.split_once("serf: EventMember")?;
    let (kind, member) = event.split_once(": n")?;
    let sight = match kind {
        "Join" => Sight::Up,
        "Failed" => Sight::Failed,
        "Leave" | "Reap" => Sight::Gone,
        _ => return None,
    };
    Some((member.split(' ').next()?.parse().ok()?, sight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_who_is_seen_how() {
        let of = |event| sight(&format!("    2026/11/23 15:52:41 [INFO] serf: {event}"));
        assert_eq!(of("EventMemberJoin: n3 127.77.0.4"), Some((3, Sight::Up)));
        assert_eq!(
            of("EventMemberFailed: n12 127.77.0.13"),
            Some((12, Sight::Failed))
        );
        assert_eq!(
            of("EventMemberLeave: n0 127.77.0.1"),
            Some((0, Sight::Gone))
        );
        assert_eq!(of("EventMemberUpdate: n0"), None);
        assert_eq!(sight("agent: Received event: member-join"), None);
    }
}
