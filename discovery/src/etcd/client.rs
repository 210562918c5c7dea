//! All servers of an etcd as one: whichever answers.
//!
//! One connection at a time serves every call. When it breaks, or its server can't serve, the
//! next server is tried at once; so the loss of one is not noticed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use super::connection::{CallError, Connection, Talk};
use super::error::{EtcdError, ServerFault, Verdict, judge, user};
use super::proto::{AuthenticateRequest, Call, Conversation};
use super::server::Server;
use super::tls::TlsFiles;
use crate::backoff;

/// How often all servers are tried again while one of them says that it can't serve just now: they
/// elect another leader, which takes a second or two.
const ROUNDS_MAX: u32 = 10;
const ROUND_PAUSE: Duration = Duration::from_millis(250);

/// Who asks, where etcd wants to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The user's password. Not shown by `Debug`.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// All servers of an etcd.
pub(super) struct Client {
    servers: Vec<Server>,
    files: Option<TlsFiles>,
    credentials: Option<Credentials>,
    /// The keys that are asked about, for errors.
    folder: String,
    /// Locked to be looked at and changed, never while anything is waited for.
    current: Mutex<Current>,
}

/// The connection in use, and which server is next.
#[derive(Default)]
struct Current {
    connection: Option<Arc<Connection>>,
    server: usize,
}

/// A verdict that ends a call, as a special case of its caller's or as an error.
#[derive(Debug)]
pub(super) enum Refusal {
    /// There is no such lease.
    LeaseGone,
    /// There is such a lease.
    LeaseExists,
    /// The answer is larger than is taken.
    TooLarge,
    /// Anything else.
    Error(EtcdError),
}

impl Client {
    pub(super) fn new(
        servers: Vec<Server>,
        files: Option<TlsFiles>,
        credentials: Option<Credentials>,
        folder: &str,
    ) -> Self {
        // Nodes of one fleet do not all begin with the same server.
        let server = match servers.len() {
            0 => 0,
            some => fastrand::Rng::with_seed(backoff::jitter_seed()).usize(..some),
        };
        Self {
            servers,
            files,
            credentials,
            folder: folder.to_owned(),
            current: Mutex::new(Current {
                connection: None,
                server,
            }),
        }
    }

    /// Asks whichever server answers.
    pub(super) async fn call<M: Call>(&self, message: M) -> Result<M::Answer, Refusal> {
        let mut tries = Tries::default();
        loop {
            let (server, connection) = self.next(&mut tries).await?;
            match connection.call(message.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.weigh(server, &connection, &error, &mut tries)?,
            }
        }
    }

    /// Opens a conversation with whichever server answers.
    pub(super) async fn talk<M: Conversation>(&self, first: M) -> Result<Talk<M>, Refusal> {
        let mut tries = Tries::default();
        loop {
            let (server, connection) = self.next(&mut tries).await?;
            match connection.talk(first.clone()).await {
                Ok(talk) => return Ok(talk),
                Err(error) => self.weigh(server, &connection, &error, &mut tries)?,
            }
        }
    }

    /// Whom it asks.
    pub(super) fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.iter()
    }

    /// A connection to ask over, while there are servers that were not tried.
    async fn next(&self, tries: &mut Tries) -> Result<(usize, Arc<Connection>), Refusal> {
        loop {
            if tries.faults.len() >= self.servers.len() {
                let faults = std::mem::take(&mut tries.faults);
                let is_electing =
                    |(_, fault): &(_, ServerFault)| matches!(fault, ServerFault::Unavailable(_));
                if tries.rounds >= ROUNDS_MAX || !faults.iter().any(is_electing) {
                    return Err(Refusal::Error(EtcdError::NoServer(faults)));
                }
                tries.rounds += 1;
                sleep(ROUND_PAUSE).await;
            }
            match self.connection().await {
                Ok(used) => return Ok(used),
                Err(Failed::Here(server, fault)) => {
                    self.pass_over(server, None);
                    tries.faults.push((self.servers[server].clone(), fault));
                }
                Err(Failed::Everywhere(error)) => return Err(Refusal::Error(error)),
            }
        }
    }

    /// Whether to ask again, after a call that failed.
    fn weigh(
        &self,
        server: usize,
        connection: &Arc<Connection>,
        error: &CallError,
        tries: &mut Tries,
    ) -> Result<(), Refusal> {
        match verdict(error) {
            Verdict::Token if !tries.renewed => {
                tries.renewed = true;
                self.forget(connection);
                Ok(())
            }
            Verdict::Server(fault) => {
                self.pass_over(server, Some(connection));
                tries.faults.push((self.servers[server].clone(), fault));
                Ok(())
            }
            verdict => Err(self.refusal(verdict)),
        }
    }

    /// The connection in use, or a new one to the server that is next.
    async fn connection(&self) -> Result<(usize, Arc<Connection>), Failed> {
        let server = {
            let current = self.current();
            if let Some(connection) = &current.connection {
                return Ok((current.server, connection.clone()));
            }
            current.server
        };
        let opened = Connection::open(&self.servers[server], self.files.as_ref()).await;
        let opened = opened.map_err(|fault| Failed::Here(server, fault))?;
        let connection = Arc::new(self.authenticated(server, opened).await?);
        let mut current = self.current();
        if current.connection.is_none() {
            *current = Current {
                connection: Some(connection.clone()),
                server,
            };
        }
        Ok((server, connection))
    }

    async fn authenticated(
        &self,
        server: usize,
        connection: Connection,
    ) -> Result<Connection, Failed> {
        let Some(Credentials { user, password }) = self.credentials.clone() else {
            return Ok(connection);
        };
        let error = match connection
            .call(AuthenticateRequest {
                name: user,
                password,
            })
            .await
        {
            Ok(answer) => {
                return connection
                    .with_token(&answer.token)
                    .map_err(|fault| Failed::Here(server, fault));
            }
            Err(error) => error,
        };
        match verdict(&error) {
            Verdict::NoAuth => Ok(connection),
            Verdict::Server(fault) => Err(Failed::Here(server, fault)),
            verdict => match self.refusal(verdict) {
                Refusal::Error(error) => Err(Failed::Everywhere(error)),
                other => Err(Failed::Everywhere(EtcdError::Refused(format!("{other:?}")))),
            },
        }
    }

    fn refusal(&self, verdict: Verdict) -> Refusal {
        let asker = self
            .credentials
            .as_ref()
            .map(|credentials| credentials.user.as_str());
        Refusal::Error(match verdict {
            Verdict::LeaseGone => return Refusal::LeaseGone,
            Verdict::LeaseExists => return Refusal::LeaseExists,
            Verdict::TooLarge => return Refusal::TooLarge,
            Verdict::Credentials => EtcdError::Credentials {
                user: asker.unwrap_or_default().to_owned(),
            },
            Verdict::Anonymous => EtcdError::Anonymous,
            Verdict::Permission => EtcdError::Permission {
                user: user(asker),
                folder: self.folder.clone(),
            },
            Verdict::Token => EtcdError::Refused("it does not take the token that it gave".into()),
            Verdict::NoAuth => EtcdError::Refused("authentication is not enabled".into()),
            Verdict::Server(fault) => EtcdError::Refused(fault.to_string()),
            Verdict::Refused(words) => EtcdError::Refused(words),
        })
    }

    /// The next call connects anew, to the same server.
    fn forget(&self, connection: &Arc<Connection>) {
        let mut current = self.current();
        if current
            .connection
            .as_ref()
            .is_some_and(|used| Arc::ptr_eq(used, connection))
        {
            current.connection = None;
        }
    }

    /// The next call connects to the server after this one, unless somebody else moved on already.
    fn pass_over(&self, server: usize, connection: Option<&Arc<Connection>>) {
        let mut current = self.current();
        let is_used = match (&current.connection, connection) {
            (Some(used), Some(connection)) => Arc::ptr_eq(used, connection),
            (None, _) => current.server == server,
            (Some(_), None) => false,
        };
        if is_used {
            *current = Current {
                connection: None,
                server: (server + 1) % self.servers.len(),
            };
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // Each change is a single assignment: a panic elsewhere leaves it whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call has tried so far.
#[derive(Default)]
struct Tries {
    /// What was wrong with each server that was asked in this round.
    faults: Vec<(Server, ServerFault)>,
    /// How many rounds are over.
    rounds: u32,
    /// Whether the token was renewed.
    renewed: bool,
}

fn verdict(error: &CallError) -> Verdict {
    match error {
        CallError::Server(fault) => Verdict::Server(fault.clone()),
        CallError::Status(status) => judge(status),
    }
}

/// Why there is no connection.
enum Failed {
    /// This server can't; the next may.
    Here(usize, ServerFault),
    /// No other would do better.
    Everywhere(EtcdError),
}
