//! What is measured: an engine behind the few calls that the bench makes.

use std::future::Future;

use super::meter::Whose;
use super::views::Watcher;

/// An engine under test. Its nodes have a loopback address each, and run in this process or in
/// others.
pub(super) trait Subject: Send + Sync + 'static {
    /// A running node. Clones are handles to the same one.
    type Node: Clone + Send + Sync + 'static;

    /// Whose CPU time and memory are those of the nodes.
    const WHOSE: Whose = Whose::Own;

    /// Starts a node at [`Ground::address`](super::ground::Ground::address) of the watcher's
    /// observer, a cluster of its own. Whatever it says of other nodes from now on, it says to the
    /// watcher at once.
    fn start(&self, watcher: Watcher) -> impl Future<Output = Result<Self::Node, String>> + Send;

    /// Has the node join the cluster of another one.
    fn join(node: Self::Node, seed: Self::Node) -> impl Future<Output = Result<(), String>> + Send;

    /// Has the node say goodbye. It need not run afterwards.
    fn leave(node: Self::Node) -> impl Future<Output = Result<(), String>> + Send;

    /// How many connections the node holds open, where it has such.
    fn connections(_node: &Self::Node) -> Option<u64> {
        None
    }

    /// Ends the node without a word.
    fn abort(node: &Self::Node);
}
