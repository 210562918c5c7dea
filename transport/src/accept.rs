//! Connections that others open, and what becomes of every connection once it is open.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use convoke_core::{Contact, Target};
use quinn::{Connection, ConnectionError, Incoming, VarInt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::dial::canonical;
use crate::identity;
use crate::input::Input;
use crate::introduction;
use crate::link::{Close, Link};
use crate::publish::Published;
use crate::refusal;
use crate::rim::Rim;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// Handshakes of others at a time. More wait, and beyond QUIC's own limit they are refused.
const HANDSHAKES_MAX: usize = 256;
/// With so many going on, a stranger must prove its address before it costs any more.
const HANDSHAKES_UNPROVEN: usize = 64;

/// Takes connections until the endpoint closes.
pub(crate) async fn accept(rim: Arc<Rim>, published: Arc<Published>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let Some(endpoints) = rim.endpoints() else {
        return;
    };
    while let Some(incoming) = endpoints.gossip.accept().await {
        let permit = handshakes.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let busy = HANDSHAKES_MAX - handshakes.available_permits() > HANDSHAKES_UNPROVEN;
        if busy && incoming.may_retry() && !incoming.remote_address_validated() {
            // Fails only where a retry is not possible: checked above.
            let _ = incoming.retry();
            continue;
        }
        let (rim_of_task, published) = (rim.clone(), published.clone());
        rim.tasks.spawn(async move {
            take(&rim_of_task, incoming, &published).await;
            drop(permit);
        });
    }
}

async fn take(rim: &Arc<Rim>, incoming: Incoming, published: &Arc<Published>) {
    let address = canonical(incoming.remote_address());
    let connection = match timeout(HANDSHAKE_TIMEOUT, async { incoming.await }).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return refused(rim, address, &error),
        Err(_) => return rim.counters.handshakes_refused.add(),
    };
    if introduction::is_asked(&connection) {
        return introduction::give(rim, &connection, published).await;
    }
    match identity::peer_name(&connection) {
        Ok(name) => drop(establish(rim, connection, Contact { name, address }, None)),
        Err(unnamed) => {
            rim.counters.handshakes_refused.add();
            connection.close(
                VarInt::from_u32(Close::Unnamed as u32),
                unnamed.to_string().as_bytes(),
            );
            rim.log_limited(address, || format!("was refused: {unnamed}"));
        }
    }
}

fn refused(rim: &Rim, address: SocketAddr, error: &ConnectionError) {
    rim.counters.handshakes_refused.add();
    if refusal::is_refusal(error) {
        rim.log_limited(address, || refusal::in_words(error));
    }
}

/// Enters a connection into the pool and reads it until it ends. `dialed` is whom this node
/// dialed, if it did.
pub(crate) fn establish(
    rim: &Arc<Rim>,
    connection: Connection,
    contact: Contact,
    dialed: Option<Target>,
) -> Arc<Link> {
    let link = Link::new(connection, contact, dialed, rim.name().id(), rim.now());
    let link = Arc::new(link);
    rim.pool.insert(link.clone());
    let (rim_of_task, read) = (rim.clone(), link.clone());
    rim.tasks.spawn(async move {
        let ended = read.read(&rim_of_task).await;
        rim_of_task.pool.remove(&read);
        report(&rim_of_task, &read, &ended).await;
    });
    link
}

/// The end of a connection is a hint for the engine where the peer refused this node, or where its
/// process has ended. Why a peer refuses a connection is seen only now, after the handshake.
async fn report(rim: &Rim, link: &Link, ended: &ConnectionError) {
    if refusal::is_refusal(ended) {
        rim.log_limited(link.contact().address, || refusal::in_words(ended));
    }
    let restarted = *ended == ConnectionError::Reset;
    let own_doing = *ended == ConnectionError::LocallyClosed;
    let target = link.refused_target().filter(|_| !own_doing);
    let target = target.or_else(|| restarted.then(|| Target::Node(link.contact().clone())));
    if let Some(target) = target {
        rim.hand_in(Input::Unreachable {
            target,
            cause: link.in_words(ended),
        })
        .await;
    }
}
