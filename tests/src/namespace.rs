//! Network namespaces, which go away with the test that made them, or with the next one.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// All are named `convoke-<process that made it>-<number>`.
const PREFIX: &str = "convoke-";

/// A network namespace with its loopback interface up. Dropping it deletes it.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A fresh one.
    ///
    /// # Panics
    /// Where it can't be made: for want of root, or of `ip` (package iproute2).
    pub(crate) fn new() -> Self {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        static MADE: AtomicU32 = AtomicU32::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{made}", std::process::id());
        expect(&["ip", "netns", "add", &name], "");
        let namespace = Self { name };
        namespace.ip("link set lo up\n");
        namespace
    }

    /// Its name, as `ip netns` lists it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs these lines of `ip` in it.
    pub(crate) fn ip(&self, lines: &str) {
        expect(&["ip", "-n", &self.name, "-batch", "-"], lines);
    }

    /// Runs these lines of `nft` in it, all or none.
    pub(crate) fn nft(&self, lines: &str) -> String {
        expect(
            &["ip", "netns", "exec", &self.name, "nft", "-f", "-"],
            lines,
        )
    }

    /// The command that does the same in it.
    pub(crate) fn wrap(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("ip");
        wrapped.args(["netns", "exec", &self.name]);
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
        delete(&self.name);
    }
}

/// Deletes what tests left behind that were killed, with the processes in it.
fn sweep() {
    let listed = expect(&["ip", "netns", "list"], "");
    let names = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| is_left_behind(name)) {
        let pids = output(&["ip", "netns", "pids", name], "");
        let pids = String::from_utf8_lossy(&pids.stdout).into_owned();
        for pid in pids.lines().filter_map(parse_pid) {
            // It may end by itself just now.
            let _ = kill_process(pid, Signal::KILL);
        }
        delete(name);
    }
}

/// Whether it is a test's whose process is gone. One of this process's own number is, too: this
/// one has made none yet.
fn is_left_behind(name: &str) -> bool {
    let maker = name.strip_prefix(PREFIX).and_then(|rest| {
        let (pid, _) = rest.split_once('-')?;
        parse_pid(pid)
    });
    let own = std::process::id().to_string();
    maker.is_some_and(|pid| {
        test_kill_process(pid).is_err() || pid.as_raw_nonzero().to_string() == own
    })
}

fn parse_pid(text: &str) -> Option<Pid> {
    text.parse().ok().and_then(Pid::from_raw)
}

fn delete(name: &str) {
    // Another test may have swept it up.
    output(&["ip", "netns", "del", name], "");
}

/// What it prints.
#[track_caller]
fn expect(command: &[&str], input: &str) -> String {
    let output = output(command, input);
    assert!(
        output.status.success(),
        "{command:?} failed: {}{input}\nTests of networks need root, and a system that lets them \
         make network namespaces (in a container: CAP_SYS_ADMIN and CAP_NET_ADMIN)",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn output(command: &[&str], input: &str) -> Output {
    let missing = |error| -> ! {
        panic!("{command:?} does not run: {error} (packages iproute2 and nftables)")
    };
    let mut child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| missing(error));
    let mut stdin = child.stdin.take().expect("it is piped");
    // One that ends early says why itself.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child
        .wait_with_output()
        .unwrap_or_else(|error| missing(error))
}
