//! Erlang's port mapper (`epmd`, Debian's package erlang-base).

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::host::Host;
use crate::program::run;
use crate::wait::eventually;

/// How long it may take to serve, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where it is by default.
pub const DEFAULT_PORT: u16 = 4369;

/// A real `epmd`. Dropping it kills it.
#[derive(Debug)]
pub struct Epmd {
    port: u16,
    host: Option<Host>,
    child: Child,
}

/// A port for an `epmd` that no other test uses: below those that connections take.
pub fn free_port() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let nth = std::process::id() * 31 + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (nth % 20_000) as u16;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

impl Epmd {
    /// Starts one at a free port of this machine, and waits until it serves.
    pub fn start() -> Self {
        Self::start_at(free_port(), None)
    }

    /// Starts one on a host of its own, at its port, and waits until it serves.
    pub fn start_on(host: &Host) -> Self {
        Self::start_at(DEFAULT_PORT, Some(host.clone()))
    }

    fn start_at(port: u16, host: Option<Host>) -> Self {
        let child = spawn(port, host.as_ref());
        let epmd = Self { port, host, child };
        eventually("epmd serves", PATIENCE, || epmd.names().map(drop));
        epmd
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }

    /// Starts it again at the same port.
    pub fn restart(&mut self) {
        self.child = spawn(self.port, self.host.as_ref());
        eventually("epmd serves again", PATIENCE, || self.names().map(drop));
    }

    /// Whom it lists.
    ///
    /// # Errors
    /// What its program says where it does not answer.
    pub fn names(&self) -> Result<BTreeMap<String, u16>, String> {
        names(self.port, self.host.as_ref())
    }
}

impl Drop for Epmd {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whom the `epmd` at a port lists, ours or Erlang's, in the eyes of Erlang's `epmd -names`.
///
/// # Errors
/// What that says where there is no answer.
pub fn names(port: u16, host: Option<&Host>) -> Result<BTreeMap<String, u16>, String> {
    let mut command = program(host, &["-port", &port.to_string(), "-names"]);
    let listed = run(&mut command);
    let head = format!("epmd: up and running on port {port} with data:");
    let mut lines = listed.stdout.lines();
    if listed.code != Some(0) || lines.next() != Some(&*head) {
        return Err(format!("{listed:?}"));
    }
    let parse = |line: &str| {
        let pair = line.strip_prefix("name ")?.split_once(" at port ")?;
        Some((pair.0.to_owned(), pair.1.parse().ok()?))
    };
    lines
        .map(parse)
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{listed:?}"))
}

fn spawn(port: u16, host: Option<&Host>) -> Child {
    let mut command = program(host, &["-port", &port.to_string()]);
    command.stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
        .spawn()
        .unwrap_or_else(|error| panic!("epmd does not start: {error} (package erlang-base)"))
}

fn program(host: Option<&Host>, args: &[&str]) -> Command {
    let mut command = Command::new("epmd");
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.args(args);
    match host {
        Some(host) => host.wrap(&command),
        None => command,
    }
}
