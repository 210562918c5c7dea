//! A build without the feature `peers`: it measures Convoke, and says what the others need.

use std::path::PathBuf;

use super::engine::Engine;
use super::error::Error;
use super::ground::Ground;
use super::outcome::{Assignment, Outcome};

/// What the peers need: nothing that this build could give.
#[derive(Debug)]
pub(super) struct Prepared;

impl Prepared {
    /// Makes ready what these engines need.
    ///
    /// # Errors
    /// Where there is a peer among them.
    pub(super) fn new(engines: &[Engine]) -> Result<Self, Error> {
        let peer = engines.iter().find(|engine| **engine != Engine::Convoke);
        peer.map_or(Ok(Self), |peer| Err(Error::NoPeers(peer.name())))
    }

    /// The program of the engine's nodes.
    pub(super) fn program(&self, _: Engine) -> Option<PathBuf> {
        None
    }
}

/// Measures a peer.
///
/// # Errors
/// Always: there is none.
pub(super) fn measure(_: &Ground, assignment: &Assignment) -> Result<Outcome, Error> {
    Err(Error::NoPeers(assignment.engine.name()))
}
