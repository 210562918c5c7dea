//! Which addresses a node listens on, and which it is told to others by.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use convoke_core::NodeName;
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
        let (gossip, gossip_address) = match options.listen {
            Some(listen) => bind(network, listen, "gossip", "node.listen")?,
            None => {
                let ports = options.port_map.gossip_ports(&options.name)?;
                let host = host_address(&options.name).await?;
                // A port that a service keeps is one of a range, which may be widened.
                let setting = match options.port_map.is_fixed() {
                    true => "node.listen",
                    false => "node.dist_listen_max",
                };
                bind_first(network, host, ports, setting)?
            }
        };
        let mut warnings = Vec::new();
        let (rpc, rpc_address) = bind_rpc(options, gossip_address, &mut warnings)?;
        let advertised = match options.advertise {
            Some(advertised) => advertised,
            None if !gossip_address.ip().is_unspecified() => gossip_address,
            None => SocketAddr::new(host_address(&options.name).await?, gossip_address.port()),
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
    let default = options.port_map.rpc_port(&options.name)?;
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

async fn host_address(name: &NodeName) -> Result<IpAddr, StartError> {
    let any = Ipv4Addr::UNSPECIFIED.into();
    resolve_host(name, any).await.map_err(StartError::Host)
}

/// The first port of a range that is free.
fn bind_first(
    network: &dyn Network,
    host: IpAddr,
    ports: RangeInclusive<u16>,
    setting: &'static str,
) -> Result<(Arc<dyn AsyncUdpSocket>, SocketAddr), StartError> {
    let (first, last) = (*ports.start(), *ports.end());
    for port in ports {
        match bind(network, SocketAddr::new(host, port), "gossip", setting) {
            Err(StartError::PortTaken { .. }) if first < last => {}
            bound => return bound,
        }
    }
    Err(StartError::PortsTaken { host, first, last })
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
