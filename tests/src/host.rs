//! A host of its own: a network namespace, where 127.0.0.1 is nobody else's.

use std::process::Command;
use std::sync::Arc;

use crate::namespace::Namespace;

/// A host with a loopback interface. It goes with the last copy of this value.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: Arc<Namespace>,
}

impl Host {
    /// A fresh one, without a network.
    ///
    /// # Panics
    /// Where it can't be made: for want of root, or of `ip` (package iproute2).
    #[expect(
        clippy::new_without_default,
        reason = "a host takes a name on the machine"
    )]
    pub fn new() -> Self {
        Self {
            namespace: Arc::new(Namespace::new()),
        }
    }

    /// The command that does the same on this host.
    pub fn wrap(&self, command: &Command) -> Command {
        self.namespace.wrap(command)
    }

    /// Runs these lines of `nft` on it: its firewall.
    ///
    /// # Panics
    /// When `nft` does not take them.
    pub fn firewall(&self, lines: &str) {
        self.namespace.nft(lines);
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}
