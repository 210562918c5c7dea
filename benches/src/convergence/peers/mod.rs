//! The peers: other engines behind the same calls, each with the configuration that its users have.

mod chitchat;
mod foca;
mod go_memberlist;
mod memberlist;
mod quic;
mod serf;

use std::path::{Path, PathBuf};

use super::child::play;
use super::engine::Engine;
use super::error::Error;
use super::ground::Ground;
use super::outcome::{Assignment, Outcome};

/// What the peers need before the first round. It goes away with its guard.
#[derive(Debug)]
pub(super) struct Prepared {
    go_memberlist: Option<go_memberlist::Built>,
}

impl Prepared {
    /// Makes ready what these engines need.
    ///
    /// # Errors
    /// Where a program is missing.
    pub(super) fn new(engines: &[Engine]) -> Result<Self, Error> {
        if engines.contains(&Engine::Serf) {
            serf::find()?;
        }
        let go = engines.contains(&Engine::GoMemberlist);
        Ok(Self {
            go_memberlist: go.then(go_memberlist::Built::new).transpose()?,
        })
    }

    /// The program of the engine's nodes, where it was made here.
    pub(super) fn program(&self, engine: Engine) -> Option<PathBuf> {
        let built = self.go_memberlist.as_ref();
        let built = built.filter(|_| engine == Engine::GoMemberlist);
        built.map(go_memberlist::Built::program)
    }
}

/// Measures a peer.
///
/// # Errors
/// When there is nothing to measure.
pub(super) fn measure(ground: &Ground, assignment: &Assignment) -> Result<Outcome, Error> {
    match assignment.engine {
        Engine::Foca => play(&foca::Foca::new(assignment.nodes), ground, assignment),
        Engine::Chitchat => play(&chitchat::Chitchat, ground, assignment),
        Engine::MemberlistQuic => play(&memberlist::OverQuic::new(), ground, assignment),
        Engine::MemberlistTcp => play(&memberlist::OverTcp, ground, assignment),
        Engine::GoMemberlist => {
            let program = assignment
                .program
                .as_deref()
                .unwrap_or(Path::new("go-memberlist"));
            play(
                &go_memberlist::GoMemberlist::new(program)?,
                ground,
                assignment,
            )
        }
        Engine::Serf => play(&serf::Serf, ground, assignment),
        other @ Engine::Convoke => Err(Error::NoPeers(other.name())),
    }
}
