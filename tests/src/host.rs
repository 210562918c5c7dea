//! A host of its own: a network namespace, where 127.0.0.1 is nobody else's.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A network namespace with a loopback interface. It goes with the last copy of this value.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: Arc<Namespace>,
}

#[derive(Debug)]
struct Namespace {
    name: String,
}

impl Host {
    /// A fresh one.
    ///
    /// # Panics
    /// Where it can't be made: for want of root, or of `ip` (package iproute2).
    #[expect(
        clippy::new_without_default,
        reason = "a host takes a name on the machine"
    )]
    pub fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("convoke-{}-{made}", std::process::id());
        ip(&["netns", "add", &name]);
        let namespace = Arc::new(Namespace { name });
        ip(&["-n", &namespace.name, "link", "set", "lo", "up"]);
        Self { namespace }
    }

    /// The command that does the same on this host.
    pub fn wrap(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("ip");
        wrapped.args(["netns", "exec", &self.namespace.name]);
        wrapped.arg(command.get_program()).args(command.get_args());
        let set = |(key, value): (_, Option<_>)| Some((key, value?));
        wrapped.env_clear().envs(command.get_envs().filter_map(set));
        if let Some(folder) = command.get_current_dir() {
            wrapped.current_dir(folder);
        }
        wrapped
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The processes in it were killed by their own guards.
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .status();
    }
}

fn ip(args: &[&str]) {
    let status = Command::new("ip").args(args).status();
    let status =
        status.unwrap_or_else(|error| panic!("`ip` (package iproute2) does not run: {error}"));
    assert!(
        status.success(),
        "ip {args:?} failed: hosts for tests can be made by root only"
    );
}
