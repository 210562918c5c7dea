//! A running node.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fleet::Launch;
use crate::http;
use crate::program::{Run, run};
use crate::status::{Event, Status};
use crate::wait::eventually;

/// How long anything that is not timed by a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A real `convoke start` process. Dropping it kills it; when a test has failed, its output is
/// printed then.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    launch: Launch,
    child: Child,
    log: PathBuf,
}

impl Node {
    pub(crate) fn start(launch: Launch) -> Self {
        let mut node = Self::spawn(launch);
        node.wait_until_serving();
        node
    }

    /// Starts them side by side, and waits until all serve.
    pub fn start_all(launches: impl Iterator<Item = Launch>) -> Vec<Self> {
        let mut nodes: Vec<Self> = launches.map(Self::spawn).collect();
        for node in &mut nodes {
            node.wait_until_serving();
        }
        nodes
    }

    fn spawn(launch: Launch) -> Self {
        let log = launch.log_file();
        std::fs::create_dir_all(log.parent().expect("it has folders"))
            .expect("the folder is writable");
        let child = spawn(&launch, &log);
        Self {
            name: launch.name().to_owned(),
            launch,
            child,
            log,
        }
    }

    /// Starts it again after its process has ended, in the same way.
    pub fn restart(&mut self) {
        assert!(self.has_ended(), "{} still runs", self.name);
        self.child = spawn(&self.launch, &self.log);
        self.wait_until_serving();
    }

    /// Starts it again in another way.
    pub fn restart_as(&mut self, change: impl FnOnce(Launch) -> Launch) {
        self.launch = change(self.launch.clone());
        self.restart();
    }

    fn wait_until_serving(&mut self) {
        let what = format!("{} serves", self.name);
        eventually(&what, PATIENCE, || {
            assert!(
                !self.has_ended(),
                "{} ended at its start:\n{}",
                self.name,
                self.log()
            );
            self.status().map(drop)
        });
    }

    /// Whether its process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_some()
    }

    /// What it printed and logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How much memory it holds, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the child is ours and not waited for");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.expect("a process that runs holds memory") * 1024
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.launch.data_dir()
    }

    /// The cluster as it sees it, over its control socket.
    pub fn status(&self) -> Result<Status, String> {
        let body = http::get(&self.data_dir().join("control.sock"), "/v1/status")?;
        serde_json::from_str(&body).map_err(|error| format!("{error} in {body}"))
    }

    /// As [`Node::status`], of a node that must answer.
    #[track_caller]
    pub fn view(&self) -> Status {
        self.status()
            .unwrap_or_else(|error| panic!("{} does not answer: {error}", self.name))
    }

    /// Every event since it started.
    #[track_caller]
    pub fn events(&self) -> Vec<Event> {
        self.events_since(0)
    }

    /// Every event after the one of this number.
    #[track_caller]
    pub fn events_since(&self, seq: u64) -> Vec<Event> {
        let socket = self.data_dir().join("control.sock");
        let quiet = Duration::from_millis(300);
        let header = format!("Last-Event-ID: {seq}\r\n");
        let stream = http::get_until_quiet(&socket, "/v1/events", &header, quiet);
        let stream = stream.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let lines = stream.lines().filter_map(|line| line.strip_prefix("data:"));
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        lines.map(parse).collect()
    }

    /// The events of one kind about one node.
    #[track_caller]
    pub fn events_of(&self, kind: &str, node: &str) -> Vec<Event> {
        let mut events = self.events();
        events.retain(|event| event.event == kind && event.node.as_deref() == Some(node));
        events
    }

    /// Runs `convoke --node <this> <args>` to its end.
    pub fn convoke(&self, args: &[&str]) -> Run {
        let mut all = vec!["--node", &self.name];
        all.extend(args);
        run(&mut self.launch.command(&all))
    }

    /// Joins the cluster of `target` by the command, which must succeed.
    #[track_caller]
    pub fn join(&self, target: &str) -> Run {
        let joined = self.convoke(&["cluster", "join", target]);
        joined.expect_code(0);
        joined
    }

    /// Ends it without a goodbye.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("the child is ours");
    }

    /// Freezes it.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks it to end, and returns its exit code and how long it took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let began = Instant::now();
        self.signal(Signal::TERM);
        let what = format!("{} ends after SIGTERM", self.name);
        let status = eventually(&what, PATIENCE, || {
            self.child
                .try_wait()
                .expect("the child is ours")
                .ok_or_else(|| self.log())
        });
        (status.code(), began.elapsed())
    }

    /// Has it read its configuration again.
    pub fn reload(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits until its process has ended, and returns its exit code.
    #[track_caller]
    pub fn wait_until_ended(&mut self, limit: Duration) -> Option<i32> {
        let what = format!("{} ends by itself", self.name);
        let status = eventually(&what, limit, || {
            let ended = self.child.try_wait().expect("the child is ours");
            ended.ok_or_else(|| self.log())
        });
        status.code()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the child is ours and not waited for");
    }

    /// Waits until it shows `target` in this state.
    #[track_caller]
    pub fn wait_for_state(&self, target: &str, state: &str, limit: Duration) {
        eventually(
            &format!("{} shows {target} as {state}", self.name),
            limit,
            || {
                let seen = self.status()?;
                if seen.state_of(target) == state {
                    Ok(())
                } else {
                    Err(format!("it shows {seen:#?}"))
                }
            },
        );
    }

    /// Waits until these nodes, and no others, are one cluster in the eyes of each of them.
    #[track_caller]
    pub fn wait_until_one(nodes: &[&Self]) {
        Self::wait_until_one_within(nodes, PATIENCE);
    }

    /// As [`Node::wait_until_one`], with a limit of time.
    #[track_caller]
    pub fn wait_until_one_within(nodes: &[&Self], limit: Duration) {
        let mut names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        eventually(&format!("{names:?} are one cluster"), limit, || {
            let seen = nodes
                .iter()
                .map(|node| node.status())
                .collect::<Result<Vec<_>, _>>()?;
            let complete = seen.iter().all(|status| status.running_nodes == names);
            let alive = seen.iter().flat_map(|status| &status.members);
            let alive =
                alive.filter(|member| member.state == "alive").count() == names.len() * names.len();
            let distinct =
                |of: fn(&Status) -> &String| seen.iter().map(of).collect::<BTreeSet<_>>().len();
            let one = distinct(|s| &s.cluster.fingerprint) == 1 && distinct(|s| &s.cluster.id) == 1;
            if complete && alive && one {
                Ok(())
            } else {
                Err(format!("{seen:#?}"))
            }
        });
    }

    /// Asserts that it is alone in a cluster.
    #[track_caller]
    pub fn expect_alone(&self) {
        let seen = self.view();
        assert_eq!(
            seen.running_nodes,
            [self.name.as_str()],
            "{} is not alone: {seen:#?}",
            self.name
        );
        assert_eq!(
            seen.stopped_nodes, [""; 0],
            "{} is not alone: {seen:#?}",
            self.name
        );
    }
}

fn spawn(launch: &Launch, log: &std::path::Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("the folder is writable");
    let mut command = launch.start_command();
    command.stdin(Stdio::null());
    command
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log);
    command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(60)..].join("\n");
            // Not through the macros: the output of a failed test belongs to it, wherever it goes.
            let _ = writeln!(std::io::stderr(), "---- {} ----\n{tail}\n", self.name);
        }
    }
}
