//! Puts a node together: data directory, ports, endpoints, engine, and the tasks that run them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use convoke_core::member::tags_fit;
use convoke_core::{ClusterId, Engine, Incarnation, Instance, Membership, Start, output};
use futures_util::{StreamExt, stream};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc;

use crate::driver::Driver;
use crate::error::{StartError, TagsError};
use crate::identity::{GOSSIP_ALPN, Identity, RPC_ALPN};
use crate::input::INPUTS_MAX;
use crate::journal::Journal;
use crate::knock::Knocker;
use crate::memory::Memory;
use crate::options::Options;
use crate::port_map::PortMap;
use crate::ports::Ports;
use crate::publish::{Published, Publisher};
use crate::rim::{Endpoints, Rim};
use crate::store::{Remembered, Store};
use crate::tasks::Tasks;
use crate::{accept, rpc};

/// How long the ports of remembered nodes are looked up before this one goes on with those that
/// it remembers: a host that is gone does not delay a start.
const RECALL_TIMEOUT: Duration = Duration::from_millis(500);
/// Look-ups at a time.
const LOOK_UPS_AT_ONCE: usize = 32;

/// The parts of a node that runs.
pub(crate) struct Started {
    pub(crate) rim: Arc<Rim>,
    pub(crate) published: Arc<Published>,
    pub(crate) gossip_address: SocketAddr,
    pub(crate) rpc_address: SocketAddr,
    pub(crate) warnings: Vec<String>,
    pub(crate) port_map: Arc<dyn PortMap>,
}

/// Starts a node. Nothing is left running when it fails.
pub(crate) async fn start(options: Options) -> Result<Started, StartError> {
    if !tags_fit(&options.tags) {
        return Err(TagsError::from(output::TagsError).into());
    }
    let identity = Identity::new(&options.name, &options.secret)
        .map_err(|error| StartError::Identity(error.to_string()))?;
    let (store, remembered) = open_store(&options).await?;
    let ports = Ports::bind(&options).await?;
    let port_map = options.port_map.clone();
    let announced = port_map.announce(&options.name, ports.advertised.port());
    announced.await.map_err(StartError::PortMap)?;
    let remembered = match remembered {
        Some(remembered) if !port_map.is_fixed() => Some(recall(remembered, &*port_map).await),
        remembered => remembered,
    };
    let mut unwind = Unwind(Some(Tasks::default()));
    let tasks = unwind.0.clone().expect("set above");
    let (sender, inputs) = mpsc::channel(INPUTS_MAX);
    let rim = Arc::new(Rim::new(identity, sender, tasks));
    rim.open(endpoints(&rim, &ports)?);
    let stopped = remembered
        .as_ref()
        .is_some_and(|remembered| remembered.discovery_stopped);
    let engine = engine(&options, &rim, &ports, remembered, stopped);
    let mut memory = Memory::new(&options, stopped);
    if let Some(store) = store {
        let store = first_write(store, memory.compose(&engine)).await?;
        memory.keep(Journal::start(store, &rim.tasks));
    }
    let cluster_name = options.cluster_name.as_str().into();
    let (publisher, published) =
        Publisher::new(&engine, rim.clock, cluster_name, options.name.clone());
    rim.tasks
        .spawn(accept::accept(rim.clone(), published.clone()));
    rim.tasks.spawn(rpc::serve(rim.clone(), published.clone()));
    let knocker = Knocker::new(rim.clone(), options.network, ports.gossip_address);
    let callbacks = options.callbacks;
    let driver = Driver::new(rim.clone(), engine, knocker, publisher, memory, callbacks);
    rim.tasks.spawn(driver.run(inputs));
    unwind.0 = None;
    Ok(Started {
        rim,
        published,
        gossip_address: ports.gossip_address,
        rpc_address: ports.rpc_address,
        warnings: ports.warnings,
        port_map,
    })
}

/// What is remembered, with the ports that others have by now, where that is known at once.
async fn recall(mut remembered: Remembered, ports: &dyn PortMap) -> Remembered {
    let contacts = remembered.contacts.clone().into_iter().enumerate();
    let look_ups = contacts.map(|(place, contact)| async move {
        let port = ports.look_up(&contact.name, contact.address.ip()).await;
        Some((place, port.ok()?))
    });
    let found = stream::iter(look_ups).buffer_unordered(LOOK_UPS_AT_ONCE);
    let in_time = found.take_until(tokio::time::sleep(RECALL_TIMEOUT));
    let found: Vec<_> = in_time.collect().await;
    for (place, port) in found.into_iter().flatten() {
        remembered.contacts[place].address.set_port(port);
    }
    remembered
}

/// Ends the tasks of a start that did not come to its end.
struct Unwind(Option<Tasks>);

impl Drop for Unwind {
    fn drop(&mut self) {
        if let Some(tasks) = &self.0 {
            tasks.abort();
        }
    }
}

async fn open_store(options: &Options) -> Result<(Option<Store>, Option<Remembered>), StartError> {
    let Some(dir) = options.data_dir.clone() else {
        return Ok((None, None));
    };
    let (name, cluster_name) = (options.name.clone(), options.cluster_name.clone());
    let opening = tokio::task::spawn_blocking(move || Store::open(&dir, &name, &cluster_name));
    let (store, remembered) = opening.await.expect("opening a store does not panic")?;
    Ok((Some(store), remembered))
}

/// What is to be remembered is on the disk before the node says a word: an incarnation that was
/// used is never used again.
async fn first_write(store: Store, remembered: Remembered) -> Result<Store, StartError> {
    let writing = tokio::task::spawn_blocking(move || store.write(&remembered).map(|()| store));
    Ok(writing.await.expect("writing a store does not panic")?)
}

fn endpoints(rim: &Rim, ports: &Ports) -> Result<Endpoints, StartError> {
    let endpoint = |socket: &Arc<dyn quinn::AsyncUdpSocket>, alpn| {
        quinn::Endpoint::new_with_abstract_socket(
            rim.identity.endpoint_config(),
            Some(rim.identity.server_config(alpn)),
            socket.clone(),
            rim.tasks.runtime(),
        )
    };
    let failed = |purpose, address, setting| {
        move |cause| StartError::Bind {
            purpose,
            address,
            setting,
            cause,
        }
    };
    let gossip = endpoint(&ports.gossip, GOSSIP_ALPN).map_err(failed(
        "gossip",
        ports.gossip_address,
        "node.listen",
    ))?;
    let rpc = endpoint(&ports.rpc, RPC_ALPN).map_err(failed(
        "RPC",
        ports.rpc_address,
        "node.rpc_listen",
    ))?;
    Ok(Endpoints { gossip, rpc })
}

fn engine(
    options: &Options,
    rim: &Rim,
    ports: &Ports,
    remembered: Option<Remembered>,
    discovery_stopped: bool,
) -> Engine {
    let started_ms = rim.clock.started_ms();
    let discovery = options.discovery && !discovery_stopped;
    let (membership, contacts, tombstones) = match remembered {
        Some(remembered) if remembered.cluster_name == options.cluster_name => {
            let above = Incarnation(remembered.membership.incarnation.0.saturating_add(1));
            let incarnation = above.max(Incarnation(started_ms));
            let membership = Membership {
                incarnation,
                discovery,
                ..remembered.membership
            };
            (membership, remembered.contacts, remembered.tombstones)
        }
        _ => {
            let cluster = match discovery {
                true => ClusterId::from_name(&options.cluster_name),
                false => ClusterId(u128::from_le_bytes(random())),
            };
            let incarnation = Incarnation(started_ms);
            (
                Membership::founding(cluster, incarnation, discovery),
                Vec::new(),
                Vec::new(),
            )
        }
    };
    let start = Start {
        name: options.name.clone(),
        address: ports.advertised,
        rpc_port: ports.rpc_address.port(),
        instance: Instance::new(started_ms, u64::from_le_bytes(random())),
        version: env!("CARGO_PKG_VERSION").into(),
        tags: options.tags.clone(),
        cluster_name: options.cluster_name.as_str().into(),
        membership,
        contacts,
        tombstones,
    };
    Engine::new(
        options.engine.clone(),
        start,
        u64::from_le_bytes(random()),
        rim.now(),
    )
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has random numbers");
    bytes
}
