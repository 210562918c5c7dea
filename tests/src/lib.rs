//! The harness of whole-cluster tests.
//!
//! A [`Fleet`] is one user's machine: a folder of its own for state, configuration and secret, and
//! a block of loopback addresses of its own, so that every node has its conventional ports and
//! any number of tests run side by side. Its [`Node`]s are real `convoke start` processes, asked
//! over their control socket and through the `convoke` command, as an operator would.
//!
//! A [`Network`] is many machines: hosts of their own, joined by a bridge that cuts and loses what
//! a test tells it to.
//!
//! What discovery asks is started by [`server`]; what every strategy is put through is
//! [`discovering`].
//!
//! Nothing here sleeps for luck: [`eventually`] waits for a condition with a deadline, and
//! [`throughout`] watches that a condition holds for a while.

mod block;
mod cut;
pub mod discovering;
pub mod figures;
mod fleet;
mod host;
mod http;
mod long;
mod namespace;
mod network;
mod node;
mod program;
pub mod server;
mod status;
mod wait;

pub use cut::{Cut, Hosts};
pub use fleet::{Fleet, Launch};
pub use host::Host;
pub use long::{lasting, long, rounds};
pub use network::Network;
pub use node::Node;
pub use program::{Run, run, run_within};
pub use status::{Cluster, Down, Event, Member, Status};
pub use wait::{eventually, throughout};
