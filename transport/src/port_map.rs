//! How a node's gossip port follows from its name.
//!
//! By the rule it is 4370 and the number that ends the name, and nobody need be asked. Where a
//! service on every host knows it instead, the program that embeds the node says how to ask that.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::pin::Pin;

use convoke_core::NodeName;
use convoke_core::name::{GOSSIP_PORT_BASE, OffsetError, RPC_PORT_BASE};
use thiserror::Error;

/// An answer that may take a while.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, PortError>> + Send + 'a>>;

/// Why a name has no port, in words that follow the name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PortError {
    /// The port rule gives none.
    #[error(transparent)]
    Offset(#[from] OffsetError),
    /// The service that knows ports did not tell, or refused: its words, and what to do.
    #[error("{0}")]
    Service(String),
}

/// How the gossip port of a name is found.
pub trait PortMap: fmt::Debug + Send + Sync + 'static {
    /// The gossip ports that a node of this name may take: the first free one is taken.
    ///
    /// # Errors
    /// When the name gives none.
    fn gossip_ports(&self, own: &NodeName) -> Result<RangeInclusive<u16>, OffsetError>;

    /// The port for calls that a node of this name takes by default; 0: any that is free.
    ///
    /// # Errors
    /// When the name gives none.
    fn rpc_port(&self, own: &NodeName) -> Result<u16, OffsetError>;

    /// Makes known that this node has a port, before it says a word to anybody.
    ///
    /// # Errors
    /// When it must not start, for its name is taken. A service that does not answer is no error.
    fn announce<'a>(&'a self, own: &'a NodeName, port: u16) -> PortFuture<'a, ()>;

    /// The gossip port of a node, whose host has this address. Bounded in time. Cancel safe.
    fn look_up<'a>(&'a self, name: &'a NodeName, host: IpAddr) -> PortFuture<'a, u16>;

    /// How it finds a port, as a clause that follows one.
    fn words(&self) -> String;

    /// Whether a node that starts again has the port that it had. Where not, what is remembered
    /// of others over a restart is looked up again.
    fn is_fixed(&self) -> bool;
}

/// The port rule: 4370 for gossip and 5370 for calls, and the number that ends the name, 999 at
/// the most.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortRule;

impl PortMap for PortRule {
    fn gossip_ports(&self, own: &NodeName) -> Result<RangeInclusive<u16>, OffsetError> {
        let port = GOSSIP_PORT_BASE + own.port_offset()?;
        Ok(port..=port)
    }

    fn rpc_port(&self, own: &NodeName) -> Result<u16, OffsetError> {
        Ok(RPC_PORT_BASE + own.port_offset()?)
    }

    fn announce<'a>(&'a self, _own: &'a NodeName, _port: u16) -> PortFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn look_up<'a>(&'a self, name: &'a NodeName, _host: IpAddr) -> PortFuture<'a, u16> {
        Box::pin(async move { Ok(GOSSIP_PORT_BASE + name.port_offset()?) })
    }

    fn words(&self) -> String {
        format!("by the port rule: {GOSSIP_PORT_BASE} and the number that ends the name")
    }

    fn is_fixed(&self) -> bool {
        true
    }
}
