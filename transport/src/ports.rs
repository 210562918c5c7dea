//! Which addresses a node listens on, and which it is told to others by.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use convoke_core::name::{GOSSIP_PORT_BASE, RPC_PORT_BASE};
use convoke_core::{Host, NodeName};
use quinn::AsyncUdpSocket;

use crate::error::StartError;
use crate::network::Network;
use crate::options::Options;
use crate::peer::resolve_host;

/// The sockets of a node that is about to start.
pub(crate) struct Ports {
    pub(crate) gossip: Arc<dyn AsyncUdpSocket>,
    pub(crate) gossip_address: SocketAddr,
    pub(crate) rpc: Arc<dyn AsyncUdpSocket>,
    pub(crate) rpc_address: SocketAddr,
    /// The gossip address that others are told.
    pub(crate) advertised: SocketAddr,
    pub(crate) warnings: Vec<String>,
}

impl Ports {
    pub(crate) async fn bind(options: &Options) -> Result<Self, StartError> {
        let network = &*options.network;
        let listen = match options.listen {
            Some(listen) => listen,
            None => {
                host_address(
                    &options.name,
                    GOSSIP_PORT_BASE + options.name.port_offset()?,
                )
                .await?
            }
        };
        let (gossip, gossip_address) = bind(network, listen, "gossip", "node.listen")?;
        let mut warnings = Vec::new();
        let (rpc, rpc_address) = bind_rpc(options, gossip_address, &mut warnings)?;
        let advertised = match options.advertise {
            Some(advertised) => advertised,
            None if !gossip_address.ip().is_unspecified() => gossip_address,
            None => host_address(&options.name, gossip_address.port()).await?,
        };
        if advertised.ip().is_unspecified() || advertised.port() == 0 {
            return Err(StartError::Unreachable {
                address: advertised,
            });
        }
        Ok(Self {
            gossip,
            gossip_address,
            rpc,
            rpc_address,
            advertised,
            warnings,
        })
    }
}

/// A default port that is taken gives way to a free one; a configured one does not.
fn bind_rpc(
    options: &Options,
    gossip: SocketAddr,
    warnings: &mut Vec<String>,
) -> Result<(Arc<dyn AsyncUdpSocket>, SocketAddr), StartError> {
    let network = &*options.network;
    let bind = |address| bind(network, address, "RPC", "node.rpc_listen");
    if let Some(configured) = options.rpc_listen {
        return bind(configured);
    }
    let default = RPC_PORT_BASE + options.name.port_offset()?;
    match bind(SocketAddr::new(gossip.ip(), default)) {
        Err(StartError::PortTaken { .. }) => {
            let (socket, address) = bind(SocketAddr::new(gossip.ip(), 0))?;
            warnings.push(format!(
                "the default RPC port {default} is taken: using {} (set node.rpc_listen to choose one)",
                address.port()
            ));
            Ok((socket, address))
        }
        bound => bound,
    }
}

async fn host_address(name: &NodeName, port: u16) -> Result<SocketAddr, StartError> {
    let any = match name.host() {
        Host::Ip(ip) => return Ok(SocketAddr::new(ip, port)),
        Host::Domain(_) => SocketAddr::from(([0, 0, 0, 0], port)),
    };
    resolve_host(name, port, any)
        .await
        .map_err(StartError::Host)
}

fn bind(
    network: &dyn Network,
    address: SocketAddr,
    purpose: &'static str,
    setting: &'static str,
) -> Result<(Arc<dyn AsyncUdpSocket>, SocketAddr), StartError> {
    let bound = network.bind(address).and_then(|socket| {
        let address = socket.local_addr()?;
        Ok((socket, address))
    });
    bound.map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => StartError::PortTaken {
            purpose,
            address,
            setting,
        },
        _ => StartError::Bind {
            purpose,
            address,
            setting,
            cause,
        },
    })
}
