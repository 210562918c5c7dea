//! What is found on the way to a node, step by step.

use std::net::SocketAddr;

use convoke_core::NodeName;

use super::{Check, Outcome};

/// What is found on the way.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) address: Option<SocketAddr>,
    pub(super) answered: Option<NodeName>,
    pub(super) steps: Vec<(Check, Outcome)>,
}

impl Findings {
    pub(super) fn good(&mut self, check: Check, found: impl Into<String>) {
        self.steps.push((check, Outcome::Good(found.into())));
    }

    pub(super) fn bad(&mut self, check: Check, found: impl Into<String>, fix: impl Into<String>) {
        let (found, fix) = (found.into(), fix.into());
        self.steps.push((check, Outcome::Bad { found, fix }));
    }
}
