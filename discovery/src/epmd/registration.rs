//! Staying registered: a connection to the own host's `epmd` that is held open, and made anew
//! whenever it ends.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::client::{connect, read_until, send, within};
use super::codec::{self, Entry, Request};
use super::error::EpmdError;
use super::place::Place;
use super::server::Server;

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// The wait after the first try that failed; each further one doubles it.
const RETRY_MIN: Duration = Duration::from_millis(50);
/// The longest: so that names are back soon after `epmd` is.
const RETRY_MAX: Duration = Duration::from_secs(2);
/// A registration that ends sooner counts as a try that failed.
const REGISTERED_LEAST: Duration = Duration::from_secs(1);
/// How long a name may be taken at the start before that is an error: the former process of this
/// node may have ended a moment ago.
const TAKEN_PATIENCE: Duration = Duration::from_secs(2);

/// What is to be registered.
#[derive(Clone, Debug)]
pub struct Registering {
    /// The part of the node's name before the `@`.
    pub name: String,
    /// Its gossip port.
    pub port: u16,
    /// Where `epmd` is.
    pub place: Place,
    /// Whether this process serves where nobody else does.
    pub embedded: bool,
}

/// Whether a node is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Registered {
        /// Where.
        at: SocketAddr,
        /// Whether this very process serves there.
        embedded: bool,
    },
    /// It is not, and tries again and again.
    Unregistered(EpmdError),
}

/// A registration, kept for as long as this value lives; with it ends the embedded server, if this
/// process has it.
#[derive(Debug)]
pub struct Registration {
    standing: watch::Receiver<Standing>,
    task: JoinHandle<()>,
}

impl Registration {
    /// Registers a node and keeps it registered. Where no `epmd` answers that goes on in the
    /// background: see [`Registration::standing`]. Takes about a second at the most, two where the
    /// name is taken. Dropped half-way, nothing is registered.
    ///
    /// # Errors
    /// When another node has the name: [`EpmdError::Taken`].
    pub async fn begin(registering: Registering) -> Result<Self, EpmdError> {
        let mut keeper = Keeper {
            registering,
            server: None,
            failures: 0,
            rng: fastrand::Rng::with_seed(RandomState::new().hash_one(0)),
        };
        let patience = Instant::now() + TAKEN_PATIENCE;
        let first = loop {
            match keeper.register().await {
                Err(error @ EpmdError::Taken { .. }) if Instant::now() >= patience => {
                    return Err(error);
                }
                Err(EpmdError::Taken { .. }) => keeper.pause().await,
                outcome => break outcome,
            }
        };
        let (sender, standing) = watch::channel(keeper.standing(&first));
        let task = tokio::spawn(keeper.keep(first, sender));
        Ok(Self { standing, task })
    }

    /// How it stands now.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Returns when the standing has changed since it was last looked at by this. Cancel safe.
    pub async fn changed(&mut self) -> Standing {
        // Its end is that of the runtime: nothing changes any more.
        if self.standing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.standing.borrow_and_update().clone()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Outcome = Result<(TcpStream, SocketAddr), EpmdError>;

struct Keeper {
    registering: Registering,
    server: Option<Server>,
    failures: u32,
    rng: fastrand::Rng,
}

impl Keeper {
    async fn keep(mut self, first: Outcome, standing: watch::Sender<Standing>) {
        let mut outcome = first;
        loop {
            self.show(&outcome, &standing);
            match outcome {
                Ok((stream, _)) => {
                    let began = Instant::now();
                    until_it_ends(stream).await;
                    // One that ends at once is as good as refused: it is not asked without a pause.
                    match began.elapsed() < REGISTERED_LEAST {
                        true => self.pause().await,
                        false => self.failures = 0,
                    }
                }
                Err(_) => self.pause().await,
            }
            outcome = self.register().await;
        }
    }

    /// One try; where nobody serves and this process may, it begins to.
    async fn register(&mut self) -> Outcome {
        let outcome = self.ask().await;
        let serve = self.registering.embedded && outcome.as_ref().is_err_and(is_nobody);
        if !serve {
            return outcome;
        }
        // A server of this process at which nobody answers is none.
        self.server = None;
        match Server::start(&self.registering.place) {
            Ok(server) => self.server = Some(server),
            // Another process was quicker, and answers now.
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => {
                if self.failures == 0 {
                    warn!(%error, "this node can't serve as epmd");
                }
                return outcome;
            }
        }
        self.ask().await
    }

    async fn ask(&self) -> Outcome {
        let [first, second] = self.registering.place.own();
        match self.ask_at(first).await {
            Err(error) if is_nobody(&error) => {
                let other = self.ask_at(second).await;
                other.map_err(|other| if is_nobody(&other) { error } else { other })
            }
            outcome => outcome,
        }
    }

    async fn ask_at(&self, at: SocketAddr) -> Outcome {
        let Registering { name, port, .. } = &self.registering;
        within(at, TRY_TIMEOUT, async {
            let mut stream = connect(at).await?;
            let request = Request::Register(Entry::of(name, *port));
            send(&mut stream, at, &request).await?;
            let decode = codec::Registered::decode;
            let answer = read_until(&mut stream, at, codec::FOUND_BYTES_MAX, decode).await?;
            if answer.taken_in {
                return Ok((stream, at));
            }
            let name = name.clone();
            Err(EpmdError::Taken { at, name })
        })
        .await
    }

    fn standing(&self, outcome: &Outcome) -> Standing {
        match outcome {
            Ok((_, at)) => Standing::Registered {
                at: *at,
                embedded: self.server.is_some(),
            },
            Err(error) => Standing::Unregistered(error.clone()),
        }
    }

    /// Logs once a change, not once a try.
    fn show(&self, outcome: &Outcome, standing: &watch::Sender<Standing>) {
        let Registering { name, port, .. } = &self.registering;
        let (now, before) = (self.standing(outcome), standing.borrow().clone());
        let registered = |standing: &Standing| matches!(standing, Standing::Registered { .. });
        match (&now, registered(&before)) {
            (Standing::Registered { at, .. }, false) => {
                info!(%name, port, %at, "registered at epmd");
            }
            (Standing::Unregistered(error), true) => {
                warn!(%name, %error, "not registered at epmd any more: it is tried again and again");
            }
            (Standing::Unregistered(error), false) if is_taken(&now) && !is_taken(&before) => {
                warn!(%name, %error, "not registered at epmd, which is back");
            }
            _ => {}
        }
        standing.send_if_modified(|standing| {
            let changed = *standing != now;
            *standing = now;
            changed
        });
    }

    async fn pause(&mut self) {
        let doublings = self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        let wait = RETRY_MIN.saturating_mul(1 << doublings).min(RETRY_MAX);
        sleep(wait.mul_f64(0.5 + 0.5 * self.rng.f64())).await;
    }
}

/// Whether nothing listens there at all.
fn is_nobody(error: &EpmdError) -> bool {
    use std::io::ErrorKind;
    let nobody = [
        ErrorKind::ConnectionRefused,
        ErrorKind::AddrNotAvailable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::Unsupported,
    ];
    matches!(error, EpmdError::Unreachable { kind, .. } if nobody.contains(kind))
}

/// An `epmd` says nothing to a node that is registered: whatever comes ends the registration.
async fn until_it_ends(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 1]).await;
}

fn is_taken(standing: &Standing) -> bool {
    matches!(standing, Standing::Unregistered(EpmdError::Taken { .. }))
}
