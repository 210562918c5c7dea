//! The membership engine of Convoke: a deterministic state machine without I/O.
//!
//! Convoke keeps a list of who is in a fleet, on every node of the fleet, without a leader. This
//! crate decides; it never sends, waits or looks at a clock. A driver (the `convoke` crate, or a
//! simulation) hands in packets and the time, and carries out what comes back:
//!
//! ```
//! use convoke_core::{ClusterId, Config, Engine, Incarnation, Instance, Instant, Membership, Output, Start};
//!
//! let start = Start {
//!     name: "convoke1@127.0.0.1".parse()?,
//!     address: "127.0.0.1:4371".parse()?,
//!     rpc_port: 5371,
//!     instance: Instance::new(1_782_120_000_000, 42),
//!     version: "0.1.0".into(),
//!     tags: Default::default(),
//!     cluster_name: "convoke".into(),
//!     membership: Membership::founding(ClusterId(7), Incarnation(1_782_120_000_000), false),
//!     contacts: Vec::new(),
//!     tombstones: Vec::new(),
//! };
//! let mut engine = Engine::new(Config::lan(), start, 1, Instant::ORIGIN);
//! let wake_at = loop {
//!     match engine.poll_output() {
//!         Output::Timeout(at) => break at,
//!         output => println!("to do: {output:?}"),
//!     }
//! };
//! engine.handle_timeout(wake_at.expect("a node always has something to do later"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each noun has a file: [`name`], [`member`] (what can be known, and which fact wins),
//! [`message`] and [`codec`] (what is said, and its bytes), [`reconcile`] (what differs),
//! [`config`], [`output`], [`stats`], [`case`] (what was found about members, for whoever asks why);
//! the others are private to the [`engine`].

mod awareness;
pub mod case;
pub mod codec;
pub mod config;
mod dissemination;
mod divergence;
pub mod engine;
mod jury;
mod knock;
mod mates;
pub mod member;
pub mod message;
pub mod name;
mod newcomer;
pub mod output;
mod partition;
mod probe;
mod quorum;
pub mod reconcile;
mod ring;
mod roster;
#[cfg(feature = "sim")]
pub mod sim;
mod split_brain;
pub mod stats;
mod suspicion;
pub mod time;
mod timers;
mod turns;
mod verdicts;

pub use config::Config;
pub use engine::{Acquaintance, Departure, Engine, Start};
pub use member::{Admission, Fingerprint, Incarnation, Instance, Life, Member, Profile, State};
pub use message::{ClusterId, Contact, Packet};
pub use name::{Host, NodeId, NodeName};
pub use output::{Class, Event, Membership, Output, Signal, Target, Transmit};
pub use ring::observers;
pub use roster::IdHasher;
pub use stats::Stats;
pub use time::Instant;
