//! What nodes ask each other on behalf of operators and programs, on a port of its own: a request
//! and a response on one stream, in postcard. Both are enums that only grow at their end; a node
//! that does not know a request says so.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convoke_core::{ClusterId, Fingerprint, NodeId, NodeName};
use dashmap::DashMap;
use futures_util::{StreamExt, stream};
use quinn::{ClientConfig, Connection, Incoming, RecvStream, SendStream, VarInt};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::dial::{as_family_of, canonical};
use crate::error::RpcError;
use crate::identity::{self, RPC_ALPN, server_name};
use crate::publish::Published;
use crate::refusal;
use crate::rim::Rim;
use crate::view::{MemberView, View};
use crate::why::{self, Testimony, Witness};

/// The longest request or response.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// How long a caller may take for its handshake, and for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Calls that are answered at a time. More wait in QUIC.
const CALLS_MAX: usize = 64;
/// Callers that may be connected at a time.
const CALLERS_MAX: usize = 128;
/// A caller that has asked nothing for this long gives its place to others.
const CALLER_IDLE_MAX: Duration = Duration::from_secs(5);
/// Members that are asked at a time.
const ASKED_MAX: usize = 32;
/// Connections that are kept for the next call. They end after some idle seconds.
const KEPT_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Request {
    /// What do you hold?
    Fingerprint,
    /// What did you find about this member?
    Why(NodeName),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Response {
    /// The request is not known.
    Unknown,
    /// The answer to [`Request::Fingerprint`].
    Fingerprint {
        cluster: ClusterId,
        fingerprint: Fingerprint,
        size: u32,
    },
    /// The answer to [`Request::Why`]: findings, each for itself in bytes.
    Why {
        cluster: ClusterId,
        findings: Vec<Vec<u8>>,
    },
}

/// Answers calls until the endpoint closes.
pub(crate) async fn serve(rim: Arc<Rim>, published: Arc<Published>) {
    let callers = Arc::new(Semaphore::new(CALLERS_MAX));
    let calls = Arc::new(Semaphore::new(CALLS_MAX));
    let Some(endpoints) = rim.endpoints() else {
        return;
    };
    while let Some(incoming) = endpoints.rpc.accept().await {
        let Ok(permit) = callers.clone().try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        // Who can't be reached at its address holds no place: it has to prove that address first.
        if !incoming.remote_address_validated() && callers.available_permits() < CALLERS_MAX / 2 {
            // A retry can't be asked for twice; then the attempt is just dropped.
            let _ = incoming.retry();
            continue;
        }
        let (rim_of_task, published, calls) = (rim.clone(), published.clone(), calls.clone());
        rim.tasks.spawn(async move {
            attend(&rim_of_task, incoming, &published, &calls).await;
            drop(permit);
        });
    }
}

async fn attend(
    rim: &Arc<Rim>,
    incoming: Incoming,
    published: &Arc<Published>,
    calls: &Arc<Semaphore>,
) {
    let address = canonical(incoming.remote_address());
    let connection = match timeout(REQUEST_TIMEOUT, async { incoming.await }).await {
        Ok(Ok(connection)) if identity::peer_name(&connection).is_ok() => connection,
        Ok(Err(error)) if refusal::is_refusal(&error) => {
            return rim.log_limited(address, || refusal::in_words(&error));
        }
        _ => return,
    };
    while let Ok(Ok((send, receive))) = timeout(CALLER_IDLE_MAX, connection.accept_bi()).await {
        let permit = calls
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        let (rim_of_task, published) = (rim.clone(), published.clone());
        rim.tasks.spawn(async move {
            let answer = respond(send, receive, &rim_of_task, &published);
            let _ = timeout(REQUEST_TIMEOUT, answer).await;
            drop(permit);
        });
    }
}

async fn respond(mut send: SendStream, mut receive: RecvStream, rim: &Rim, published: &Published) {
    let Ok(bytes) = receive.read_to_end(MESSAGE_BYTES_MAX).await else {
        return;
    };
    let view = published.view.load();
    let response = match postcard::from_bytes(&bytes) {
        Ok(Request::Fingerprint) => Response::Fingerprint {
            cluster: view.cluster_id(),
            fingerprint: view.fingerprint(),
            size: u32::try_from(view.size()).unwrap_or(u32::MAX),
        },
        Ok(Request::Why(about)) => Response::Why {
            cluster: view.cluster_id(),
            findings: why::tell(&published.findings.load(), &about, rim.now()),
        },
        Err(_) => Response::Unknown,
    };
    let bytes = postcard::to_stdvec(&response).expect("a response is plain data");
    if send.write_all(&bytes).await.is_ok() && send.finish().is_ok() {
        let _ = send.stopped().await;
    }
}

/// The calling side.
#[derive(Debug)]
pub(crate) struct Callers {
    rim: Arc<Rim>,
    config: ClientConfig,
    kept: DashMap<NodeId, Connection>,
}

impl Callers {
    pub(crate) fn new(rim: Arc<Rim>) -> Self {
        Self {
            config: rim.identity.client_config(RPC_ALPN),
            rim,
            kept: DashMap::new(),
        }
    }

    /// Asks every running member of a view what it holds, this node included.
    pub(crate) async fn fingerprints(
        &self,
        view: &View,
        limit: Duration,
    ) -> Vec<(NodeName, Result<Fingerprint, RpcError>)> {
        let members: Vec<_> = view
            .members()
            .filter(|member| member.state.is_running())
            .cloned()
            .collect();
        stream::iter(members)
            .map(|member| async move {
                let fingerprint = self.fingerprint(view, &member, limit).await;
                (member.name, fingerprint)
            })
            .buffered(ASKED_MAX)
            .collect()
            .await
    }

    async fn fingerprint(
        &self,
        view: &View,
        member: &MemberView,
        limit: Duration,
    ) -> Result<Fingerprint, RpcError> {
        if member.name == *view.local() {
            return Ok(view.fingerprint());
        }
        let address = member.rpc_address;
        let call = self.call(&member.name, address, &Request::Fingerprint);
        match timeout(limit, call).await {
            Err(_) => Err(RpcError::Timeout {
                address,
                after: limit,
            }),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Response::Fingerprint { cluster, .. })) if cluster != view.cluster_id() => {
                Err(RpcError::OtherCluster)
            }
            Ok(Ok(Response::Fingerprint { fingerprint, .. })) => Ok(fingerprint),
            Ok(Ok(_)) => Err(RpcError::Malformed { address }),
        }
    }

    /// Asks members of a view what they found about one.
    pub(crate) async fn why(
        &self,
        view: &View,
        about: &NodeName,
        members: Vec<MemberView>,
        limit: Duration,
    ) -> Vec<Witness> {
        stream::iter(members)
            .map(|member| async move {
                let answer = self.findings(view, &member, about, limit).await;
                let node = member.name;
                Witness { node, answer }
            })
            .buffered(ASKED_MAX)
            .collect()
            .await
    }

    async fn findings(
        &self,
        view: &View,
        member: &MemberView,
        about: &NodeName,
        limit: Duration,
    ) -> Result<Vec<Testimony>, RpcError> {
        let address = member.rpc_address;
        let request = Request::Why(about.clone());
        let call = self.call(&member.name, address, &request);
        match timeout(limit, call).await {
            Err(_) => Err(RpcError::Timeout {
                address,
                after: limit,
            }),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Response::Why { cluster, .. })) if cluster != view.cluster_id() => {
                Err(RpcError::OtherCluster)
            }
            Ok(Ok(Response::Why { findings, .. })) => Ok(why::read(&findings, SystemTime::now())),
            Ok(Ok(_)) => Err(RpcError::Malformed { address }),
        }
    }

    /// Forgets the connections that are kept.
    pub(crate) fn clear(&self) {
        self.kept.clear();
    }

    async fn call(
        &self,
        name: &NodeName,
        address: SocketAddr,
        request: &Request,
    ) -> Result<Response, RpcError> {
        let kept = self.kept.get(&name.id()).map(|kept| kept.clone());
        let kept = kept.filter(|kept| {
            kept.close_reason().is_none() && canonical(kept.remote_address()) == address
        });
        if let Some(kept) = kept
            && let Ok(response) = exchange(&kept, address, request).await
        {
            return Ok(response);
        }
        let connection = self.connect(name, address).await?;
        if self.kept.len() >= KEPT_MAX {
            self.kept.clear();
        }
        self.kept.insert(name.id(), connection.clone());
        exchange(&connection, address, request).await
    }

    async fn connect(&self, name: &NodeName, address: SocketAddr) -> Result<Connection, RpcError> {
        let unreachable = |cause: String| RpcError::Unreachable { address, cause };
        let endpoint = self.rim.endpoints().ok_or(RpcError::Stopped)?.rpc.clone();
        let local = endpoint
            .local_addr()
            .map_err(|error| unreachable(error.to_string()))?;
        let to = as_family_of(local, address);
        let connecting = endpoint.connect_with(self.config.clone(), to, &server_name(name.id()));
        let connecting = connecting.map_err(|error| unreachable(error.to_string()))?;
        let connection = connecting
            .await
            .map_err(|error| unreachable(refusal::in_words(&error)))?;
        match identity::peer_name(&connection) {
            Ok(found) if found == *name => Ok(connection),
            Ok(found) => {
                connection.close(VarInt::from_u32(0), b"another node was dialed");
                Err(unreachable(format!(
                    "it is another node ({found}), not {name}"
                )))
            }
            Err(unnamed) => Err(unreachable(unnamed.to_string())),
        }
    }
}

async fn exchange(
    connection: &Connection,
    address: SocketAddr,
    request: &Request,
) -> Result<Response, RpcError> {
    let unreachable = |cause: String| RpcError::Unreachable { address, cause };
    let (mut send, mut receive) = connection
        .open_bi()
        .await
        .map_err(|error| unreachable(refusal::in_words(&error)))?;
    let bytes = postcard::to_stdvec(request).expect("a request is plain data");
    send.write_all(&bytes)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    // Finishing fails only for a stream that is finished or reset, and this one is neither.
    let _ = send.finish();
    let bytes = receive.read_to_end(MESSAGE_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| unreachable(error.to_string()))?;
    postcard::from_bytes(&bytes).map_err(|_| RpcError::Malformed { address })
}
