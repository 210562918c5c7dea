//! The HTTP API of a node, as it is served on the control socket.

pub(crate) mod diagnosis;
pub(crate) mod journal;
pub(crate) mod model;
pub(crate) mod problem;
pub(crate) mod server;
pub(crate) mod why;
