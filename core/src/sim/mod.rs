//! Whole fleets in virtual time, reproducible to the byte from one seed.
//!
//! A [`World`] runs any number of processes of a [`Protocol`] (the engine itself, or one of the
//! [`baseline`]s) over a made-up [`Network`] with delays, loss, cuts and bandwidth, on nodes that
//! crash, restart, freeze and drift. What they tell is counted in a [`Ledger`]. [`report`] says
//! what can be asked and what comes out.

pub mod baseline;
mod carriage;
pub mod chaos;
mod check;
mod connection;
mod convoke;
mod differences;
mod hail;
mod knock;
mod ledger;
mod network;
mod node;
pub mod protocol;
mod queue;
pub mod report;
mod scenario;
mod watch;
mod world;

pub use check::{Checks, Invariant, Violation};
pub use convoke::{Fleet, Memory};
pub use ledger::{Ledger, Watch, WrongFailure};
pub use network::{Delay, Network};
pub use node::{Dropped, Life, Node, Process, SOCKET_PACKETS_MAX, Sent};
pub use protocol::{Health, Protocol};
pub use scenario::run;
pub use world::{Machine, World};
