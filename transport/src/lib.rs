//! Cluster membership that programs embed.
//!
//! A [`Node`] keeps the list of who is in a fleet, together with the nodes of all other hosts and
//! without a leader. It runs the engine of [`convoke_core`], which decides, over QUIC with mutual
//! TLS, which carries. A program starts a node, reads its [`View`] (an immutable picture, without
//! waiting for anybody), and listens to a [`Subscription`] of what happens:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use convoke::{Node, Options, Received, Secret};
//!
//! let (secret, _) = Secret::load_or_create("/etc/my-program/secret".as_ref())?;
//! let node = Node::start(Options::new("app1@10.0.0.1".parse()?, secret)).await?;
//! let mut events = node.subscribe();
//! node.join(&"app2@10.0.0.2".parse()?).await?;
//! for member in node.view().members() {
//!     println!("{} is {}", member.name, member.state);
//! }
//! while let Some(Received::Notice(notice)) = events.next().await {
//!     println!("{:?}", notice.event);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Who is who: [`node`] is the handle; `driver` is the one task that owns the engine; `pool` and
//! `link` carry its packets; [`identity`] proves who speaks; `store` remembers over restarts;
//! [`faults`] breaks the network on purpose.

mod accept;
mod callbacks;
mod clock;
pub mod diagnose;
mod dial;
mod driver;
pub mod error;
pub mod events;
pub mod faults;
mod hail;
pub mod identity;
mod input;
mod introduction;
mod journal;
mod knock;
mod link;
mod liveness;
mod lone_publisher;
mod members;
mod memory;
pub mod network;
pub mod node;
pub mod options;
pub mod peer;
mod pool;
pub mod port_map;
mod ports;
mod publish;
mod refusal;
mod rim;
mod rpc;
pub mod secret;
mod seeds;
mod start;
pub mod stats;
mod store;
mod tasks;
pub mod view;
pub mod why;

pub use convoke_core::case::{Way, What};
pub use convoke_core::config::SplitBrain;
pub use convoke_core::output::{Change, Downed, MemberEvent, PartitionKind};
pub use convoke_core::{
    ClusterId, Config as EngineConfig, Event, Fingerprint, Host, Incarnation, Life, NodeId,
    NodeName, Profile,
};

pub use error::{
    ForceLeaveError, JoinError, LeaveError, RpcError, StartError, StoreError, TagsError,
};
pub use events::{Notice, Received, Subscription};
pub use identity::Identity;
#[doc(hidden)]
pub use lone_publisher::LonePublisher;
pub use network::{Network, Udp};
pub use node::Node;
pub use options::{Callbacks, Options};
pub use peer::{Peer, ResolveError};
pub use port_map::{PortError, PortMap, PortRule};
pub use secret::{Secret, SecretError};
pub use stats::NodeStats;
pub use view::{Down, MemberState, MemberView, Partition, View};
pub use why::{Testimony, Witness};
