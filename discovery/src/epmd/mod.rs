//! EPMD, Erlang's port mapper: which port the node of a name has on its host.
//!
//! Every host has one `epmd`, at TCP port 4369. A node opens a connection to the one of its own
//! host and registers its name (the part before the `@`) and its port; it stays registered for as
//! long as that connection is open. Whoever wants to reach it asks the `epmd` of its host.
//!
//! ```text
//!   node ── Register: name, port ──▶ epmd of its host     the connection stays open
//!   peer ── Lookup: name ──────────▶ epmd of that host    one answer, then it closes
//! ```
//!
//! [`Registration`] keeps a node registered, [`look_up`] and [`names`] ask, and [`Server`] is an
//! `epmd` for hosts without one. All speak the protocol of Erlang's own: its `epmd -names` lists
//! our nodes, with either server.
//!
//! Source: "Erlang Distribution Protocol", the chapter on EPMD, in Erlang's documentation.

mod client;
pub mod codec;
mod error;
mod place;
mod registration;
mod registry;
mod server;

pub use client::{Listed, look_up, names};
pub use error::EpmdError;
pub use place::{PORT, Place, PlaceError};
pub use registration::{Registering, Registration, Standing};
pub use server::Server;
