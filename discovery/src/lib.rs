//! Discovery: how a node hears of others before it knows anyone.
//!
//! A [`Strategy`] is asked for [`Seed`]s: addresses where a member of the cluster *might* answer.
//! [`watch`] asks it again and again, and hands what it finds to the node. That is all: discovery
//! proposes, it never adds or removes a member. A stale or wrong seed costs one dial.
//!
//! ```text
//!   Strategy ── seeds ──▶ watch ── propose(seed) ──▶ the node's engine, which knows who is a member
//!      ▲                    │ every interval, and at news; after a failure with back-off
//!      └──── discover() ────┘
//! ```
//!
//! A source that lists whoever registers is kept informed by the same loop: see
//! [`Strategy::register`].
//!
//! [`Manual`] finds nothing (operators join nodes by hand), [`Static`] is a list from the
//! configuration. `Dns` (feature `dns`) reads the records of a name, `Mcast` (feature `mcast`) asks a
//! multicast group, `etcd::Etcd` (feature `etcd`) reads and writes keys of an etcd, `k8s::K8s`
//! (feature `k8s`) reads the pods behind a Service. A strategy of your own takes a dozen lines:
//!
//! ```
//! use std::sync::Arc;
//! use convoke_discovery::{BoxFuture, DiscoverError, Seed, Strategy, WatchOptions, watch};
//!
//! /// One seed a line, from the environment.
//! struct Environment;
//!
//! impl Strategy for Environment {
//!     fn name(&self) -> &'static str {
//!         "environment"
//!     }
//!
//!     fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
//!         Box::pin(async {
//!             let seeds = std::env::var("MY_SEEDS").map_err(DiscoverError::source)?;
//!             seeds.lines().map(|line| line.parse().map_err(DiscoverError::source)).collect()
//!         })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let found = watch(Arc::new(Environment), WatchOptions::default(), |seed| {
//!     Box::pin(async move { println!("try {seed}") }) // in a program: node.propose(&seed)
//! });
//! assert!(found.run_once().await.is_err(), "the variable is not set");
//! # }
//! ```

mod backoff;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "epmd")]
pub mod epmd;
#[cfg(feature = "etcd")]
pub mod etcd;
#[cfg(feature = "k8s")]
pub mod k8s;
mod manual;
#[cfg(feature = "mcast")]
mod mcast;
mod me;
mod seed;
mod static_list;
mod strategy;
mod watch;

#[cfg(feature = "dns")]
pub use dns::{Dns, DnsError, DnsOptions, DnsOptionsError, DnsRecord};
pub use manual::Manual;
#[cfg(feature = "mcast")]
pub use mcast::{
    BeaconKey, Iface, IfaceError, Mcast, McastError, McastOptions, McastOptionsError, PORTS_MAX,
};
pub use me::Me;
pub use seed::{Seed, SeedError};
pub use static_list::Static;
pub use strategy::{BoxFuture, DiscoverError, Strategy};
pub use watch::{Found, Pass, Registration, SEEDS_MAX, Status, Watch, WatchOptions, watch};
