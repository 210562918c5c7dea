//! HashiCorp's own memberlist with `DefaultLANConfig`: all nodes in a process of the small Go program
//! in `benches/peers`, which takes orders and tells what its nodes tell.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::super::error::Error;
use super::super::ground::Ground;
use super::super::meter::Whose;
use super::super::subject::Subject;
use super::super::views::{Sight, Watcher};

const SOURCE: &str = include_str!("../../../peers/memberlist.go");
/// Where Debian's packages put Go's sources.
const PACKAGES: &str = "/usr/share/gocode";

/// The program, built.
#[derive(Debug)]
pub(super) struct Built {
    folder: TempDir,
}

impl Built {
    /// Builds it of what Debian's packages brought, without a network.
    ///
    /// # Errors
    /// Where one of them is missing, or it does not compile.
    pub(super) fn new() -> Result<Self, Error> {
        let folder = tempfile::Builder::new().prefix("convergence-").tempdir();
        let file = |cause| Error::File {
            path: std::env::temp_dir().display().to_string(),
            cause,
        };
        let built = Self {
            folder: folder.map_err(file)?,
        };
        fs::write(built.folder.path().join("memberlist.go"), SOURCE).map_err(file)?;
        let go = Command::new("go")
            .env("GO111MODULE", "off")
            .env("GOPATH", PACKAGES)
            .env_remove("GOFLAGS")
            .args(["build", "-o", "memberlist", "memberlist.go"])
            .current_dir(built.folder.path())
            .output();
        let output = go.map_err(|cause| Error::Missing {
            program: "go",
            cause,
            package: "golang-go and golang-github-hashicorp-memberlist-dev",
        })?;
        if output.status.success() {
            return Ok(built);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let complaint = format!(
            "{} (install golang-github-hashicorp-memberlist-dev)",
            words.trim()
        );
        Err(Error::Fails {
            program: "go build",
            complaint,
        })
    }

    /// Where it is.
    pub(super) fn program(&self) -> PathBuf {
        self.folder.path().join("memberlist")
    }
}

/// The process of all nodes. It ends with its guard, or with the round.
#[derive(Debug)]
pub(super) struct GoMemberlist {
    child: Child,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    orders: Mutex<ChildStdin>,
    /// Who writes down what a node says, by the node's number.
    watchers: Mutex<HashMap<usize, Watcher>>,
    /// Who waits for the answer to an order, by the order and the node's number.
    waiting: Mutex<HashMap<String, oneshot::Sender<Result<(), String>>>>,
}

/// A node of the process.
#[derive(Clone, Debug)]
pub(super) struct Node {
    number: usize,
    shared: Arc<Shared>,
}

impl GoMemberlist {
    /// Starts the process, without a node.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn new(program: &Path) -> Result<Self, Error> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|cause| Error::File {
                path: program.display().to_string(),
                cause,
            })?;
        let shared = Arc::new(Shared {
            orders: Mutex::new(child.stdin.take().expect("it is piped")),
            watchers: Mutex::default(),
            waiting: Mutex::default(),
        });
        let (said, hearer) = (child.stdout.take().expect("it is piped"), shared.clone());
        thread::spawn(move || hearer.hear(said));
        Ok(Self { child, shared })
    }
}

impl Drop for GoMemberlist {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Subject for GoMemberlist {
    type Node = Node;

    const WHOSE: Whose = Whose::Others;

    async fn start(&self, watcher: Watcher) -> Result<Node, String> {
        let (number, shared) = (watcher.observer(), self.shared.clone());
        locked(&shared.watchers).insert(number, watcher);
        let node = Node { number, shared };
        node.order("start", &Ground::address(number).to_string())
            .await?;
        Ok(node)
    }

    async fn join(node: Node, seed: Node) -> Result<(), String> {
        node.order("join", &Ground::address(seed.number).to_string())
            .await
    }

    async fn leave(node: Node) -> Result<(), String> {
        node.order("leave", "").await
    }

    fn abort(node: &Node) {
        // What comes of it is its own business.
        let _ = node.write("abort", "");
    }
}

impl Node {
    /// Has the node obey.
    async fn order(&self, order: &str, argument: &str) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        locked(&self.shared.waiting).insert(format!("{order} {}", self.number), done);
        self.write(order, argument)?;
        answer
            .await
            .unwrap_or_else(|_| Err("the process has ended".to_owned()))
    }

    fn write(&self, order: &str, argument: &str) -> Result<(), String> {
        let line = format!("{order} {} {argument}\n", self.number);
        let written = locked(&self.shared.orders).write_all(line.as_bytes());
        written.map_err(|error| error.to_string())
    }
}

impl Shared {
    /// Takes all that the process says, until it ends.
    fn hear(&self, said: ChildStdout) {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("saw", words)) => drop(self.saw(words)),
                Some(("ok", order)) => self.answer(order, Ok(())),
                Some(("failed", words)) => {
                    let mut words = words.splitn(3, ' ');
                    let order = [words.next(), words.next()].map(Option::unwrap_or_default);
                    let why = words.next().unwrap_or_default().to_owned();
                    self.answer(&order.join(" "), Err(why));
                }
                _ => {}
            }
        }
        locked(&self.waiting).clear();
    }

    fn answer(&self, order: &str, answer: Result<(), String>) {
        if let Some(waits) = locked(&self.waiting).remove(order) {
            // Whoever does not wait any longer needs none.
            let _ = waits.send(answer);
        }
    }

    /// Writes a sight down: `NANOSECONDS OBSERVER SUBJECT up|failed`.
    fn saw(&self, words: &str) -> Option<()> {
        let mut words = words.split(' ');
        let at = moment(words.next()?.parse().ok()?);
        let (observer, subject) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let sight = match words.next()? {
            "up" => Sight::Up,
            _ => Sight::Failed,
        };
        let watchers = locked(&self.watchers);
        watchers.get(&observer)?.saw_at(subject, sight, at);
        Some(())
    }
}

/// The moment that was so many nanoseconds after 1970.
fn moment(nanoseconds: u64) -> Instant {
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
    let now = Instant::now();
    let ago = SystemTime::now().duration_since(at).unwrap_or_default();
    now.checked_sub(ago).unwrap_or(now)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
