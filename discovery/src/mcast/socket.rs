//! The sockets: one in the group, which nodes of a host share the port of, and one of each node's
//! own that asks or answers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::error::McastError;
use super::iface::Link;
use super::options::McastOptions;

/// The group's address at a port. A group of IPv6 is one of an interface.
pub(super) fn group(options: &McastOptions, link: Link, port: u16) -> SocketAddr {
    match (options.group, link) {
        (IpAddr::V6(group), Link::V6(index)) => SocketAddrV6::new(group, port, 0, index).into(),
        (group, _) => SocketAddr::new(group, port),
    }
}

/// A socket that receives what is sent to the group, on the first port that is not another
/// program's.
pub(super) fn listener(options: &McastOptions, link: Link) -> Result<UdpSocket, McastError> {
    for port in &options.ports {
        match bound(group(options, link, *port)) {
            Ok(socket) => {
                join(&SockRef::from(&socket), options, link)?;
                return Ok(UdpSocket::from_std(socket.into())?);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(McastError::PortsTaken {
        group: options.group,
        ports: options.ports.clone(),
    })
}

/// Bound to the group's address, and not to every address of the host: what is sent to the port of
/// the host itself is somebody else's.
fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    // What comes besides is a stranger's, and treated so: a system without this will do.
    let _ = hear_own_group_alone(&socket, address.is_ipv4());
    Ok(socket)
}

/// Linux delivers what anybody on the host has joined for, on any interface, unless it is told.
#[cfg(target_os = "linux")]
fn hear_own_group_alone(socket: &Socket, v4: bool) -> io::Result<()> {
    match v4 {
        true => socket.set_multicast_all_v4(false),
        false => socket.set_multicast_all_v6(false),
    }
}

#[cfg(not(target_os = "linux"))]
fn hear_own_group_alone(_: &Socket, _: bool) -> io::Result<()> {
    Ok(())
}

/// Joins the group. Once more does no harm, and mends it where the interface has been replaced.
pub(super) fn join(
    socket: &SockRef<'_>,
    options: &McastOptions,
    link: Link,
) -> Result<(), McastError> {
    let joined = match (options.group, link) {
        (IpAddr::V4(group), Link::V4(address)) => {
            socket.join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Address(address))
        }
        (IpAddr::V6(group), Link::V6(index)) => socket.join_multicast_v6(&group, index),
        _ => unreachable!("a link is made for the group's family"),
    };
    match joined {
        Err(cause) if cause.kind() != io::ErrorKind::AddrInUse => Err(McastError::Join {
            group: options.group,
            iface: options.iface.clone(),
            cause: Arc::new(cause),
        }),
        _ => Ok(()),
    }
}

/// A socket on a port of its own, that sends to the group by the interface, and to single nodes.
pub(super) fn talker(options: &McastOptions, link: Link) -> Result<UdpSocket, McastError> {
    let own: SocketAddr = match link {
        Link::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Link::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = Socket::new(Domain::for_address(own), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    match link {
        Link::V4(address) => {
            socket.set_multicast_ttl_v4(options.ttl.into())?;
            socket.set_multicast_loop_v4(options.loopback)?;
            set_interface(options, || socket.set_multicast_if_v4(&address))?;
        }
        Link::V6(index) => {
            socket.set_only_v6(true)?;
            socket.set_multicast_hops_v6(options.ttl.into())?;
            socket.set_multicast_loop_v6(options.loopback)?;
            set_interface(options, || socket.set_multicast_if_v6(index))?;
        }
    }
    socket.bind(&own.into())?;
    Ok(UdpSocket::from_std(socket.into())?)
}

/// An interface that is not there shows here first.
fn set_interface(
    options: &McastOptions,
    set: impl FnOnce() -> io::Result<()>,
) -> Result<(), McastError> {
    set().map_err(|cause| McastError::Join {
        group: options.group,
        iface: options.iface.clone(),
        cause: Arc::new(cause),
    })
}
