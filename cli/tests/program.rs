//! The program as scripts see it: what it prints, and its exit codes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The longest that anything here takes.
const WAIT: Duration = Duration::from_secs(20);

/// A seed where nobody listens: the node has discovery, and nobody to find.
const NOBODY: &str = "--seed 127.0.0.1:9";

/// A user's account of its own: nothing of the machine is seen or touched.
struct Home {
    folder: TempDir,
}

/// A node that runs, and is killed with the test.
struct Running {
    child: Child,
    announced: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn terminate(&mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the node runs");
        self.ended()
    }

    fn ended(&mut self) -> i32 {
        let deadline = Instant::now() + WAIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status.code().expect("it ended by itself");
            }
            assert!(Instant::now() < deadline, "the node does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The value of a line of the announcement.
    fn line(&self, key: &str) -> &str {
        let line = self
            .announced
            .lines()
            .find(|line| line.trim_start().starts_with(key));
        line.expect(key).trim_start()[key.len()..].trim()
    }
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder for the test"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convoke"));
        command
            .args(line.split_whitespace())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("the program is built")
    }

    /// Runs a command that must end with this code; returns stdout and stderr.
    fn expect(&self, code: i32, line: &str) -> (String, String) {
        let output = self.run(line);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{line}\n{out}\n{err}");
        (out, err)
    }

    /// Starts a node on free ports, with further arguments.
    fn start(&self, name: &str, arguments: &str) -> Running {
        let ports = "--listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0";
        running(self.command(&format!("start --node-name {name} {ports} {arguments}")))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program speaks UTF-8")
}

/// Waits until the node says that it is up.
fn running(command: Command) -> Running {
    running_with_log(command, Stdio::null())
}

fn running_with_log(mut command: Command, log: Stdio) -> Running {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the program is built");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
    let mut announced = String::new();
    while !announced.contains("configuration ") {
        let line = lines
            .next()
            .expect("the node says what it is")
            .expect("UTF-8");
        announced += &format!("{line}\n");
    }
    Running { child, announced }
}

/// One sentence: no second line, no trace of the program's insides.
fn assert_plain(message: &str) {
    assert_eq!(message.trim_end().lines().count(), 1, "{message}");
    assert!(message.starts_with("convoke: "), "{message}");
    for inside in ["panicked", "Err(", "stack backtrace", "StartError"] {
        assert!(!message.contains(inside), "{message}");
    }
}

#[test]
fn two_nodes_find_each_other_by_command_and_part_again() {
    let home = Home::new();
    let (first, mut second) = (home.start("a", ""), home.start("b", ""));
    let address = first.line("gossip").trim_end_matches(" (udp)");
    let (out, _) = home.expect(0, &format!("--node b cluster join {address}"));
    let line = "Cluster status: running_nodes: [a@127.0.0.1, b@127.0.0.1], stopped_nodes: []";
    assert_eq!(out, format!("Join the cluster successfully.\n{line}\n"));
    let (out, _) = home.expect(0, "--node a cluster status --wait-size 2 --wait-converged");
    assert!(out.starts_with(line), "{out}");
    let (_, err) = home.expect(1, &format!("--node b cluster join {address}"));
    assert_eq!(err, "convoke: already in the cluster\n");
    let (out, _) = home.expect(0, "--node a members --state alive");
    assert_eq!(out.lines().count(), 3, "{out}");
    let (out, _) = home.expect(0, "--node b cluster leave");
    let alone = "Cluster status: running_nodes: [b@127.0.0.1], stopped_nodes: []";
    assert_eq!(out, format!("Leave the cluster successfully.\n{alone}\n"));
    let (_, err) = home.expect(1, "--node b cluster leave");
    assert_eq!(err, "convoke: not in a cluster\n");
    home.expect(0, "--node a cluster status --wait-size 1");
    assert_eq!(second.terminate(), 0);
    let (_, err) = home.expect(3, "--node b cluster status");
    assert!(err.contains("running here: a@127.0.0.1"), "{err}");
}

#[test]
fn seeds_bring_nodes_together_and_a_leave_stops_that_and_says_so() {
    let home = Home::new();
    let first = home.start("a", NOBODY);
    let address = first.line("gossip").trim_end_matches(" (udp)");
    let second = home.start("b", &format!("--seed {address}"));
    assert_eq!(second.line("discovery"), "static");
    home.expect(0, "--node b cluster status --wait-size 2 --wait-converged");
    let (out, _) = home.expect(0, "--node b cluster leave");
    assert!(out.contains("Discovery (static) is stopped"), "{out}");
    let (out, _) = home.expect(0, "--node b cluster status");
    assert!(out.contains("static, disabled"), "{out}");
    let (_, err) = home.expect(1, "--node b cluster discovery run");
    assert!(err.contains("convoke cluster discovery enable"), "{err}");
    home.expect(0, "--node b cluster discovery enable");
    home.expect(0, "--node b cluster status --wait-size 2");
    let (out, _) = home.expect(0, "--node b cluster discovery run");
    assert!(out.contains(address), "{out}");
    assert!(out.contains(&format!("  {address}: member\n")), "{out}");
}

#[test]
fn a_run_of_discovery_tells_who_was_asked_and_of_each_seed_whether_it_answers() {
    let home = Home::new();
    let first = home.start("a", NOBODY);
    let address = first.line("gossip").trim_end_matches(" (udp)");
    let lost = "c@no-such-host.invalid";
    let dead = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let dead = dead.local_addr().expect("bound");
    let other = home.start("o", &format!("{NOBODY} --set cluster.name=others"));
    let other = other.line("gossip").trim_end_matches(" (udp)");
    let second = home.start(
        "b",
        &format!("--seed {address} --seed {lost} --seed {dead} --seed {other}"),
    );
    home.expect(0, "--node b cluster status --wait-size 2");
    let (out, _) = home.expect(0, "--node b cluster discovery run");
    for line in [
        "Discovery (static) found: [".to_owned(),
        "Asked: the seeds of the configuration\n".to_owned(),
        format!("  {address}: member\n"),
        format!("  {lost}: unresolvable: the host of {lost} can't be resolved"),
        format!("  {dead}: does not answer: "),
        format!("  {other}: answers, and is not let in: it belongs to a cluster named \"others\""),
    ] {
        assert!(out.contains(&line), "{line}{out}");
    }
    let body = r#"{"action":"run"}"#;
    let head = "POST /v1/cluster/discovery HTTP/1.1\r\nContent-Type: application/json";
    let socket = PathBuf::from(second.line("control socket"));
    let request = format!("{head}\r\nContent-Length: {}", body.len());
    let answer = http_with_body(&socket, &request, body, |_| false);
    for part in [
        format!(r#"{{"seed":"{address}","state":"member"}}"#),
        format!(r#"{{"seed":"{lost}","state":"unresolvable","reason":"#),
        format!(r#"{{"seed":"{dead}","state":"silent","reason":"#),
        format!(r#"{{"seed":"{other}","state":"refused","reason":"#),
    ] {
        assert!(answer.contains(&part), "{part} {answer}");
    }
}

/// Reads a log until it holds all of these.
fn await_in_log(log: &Path, words: &[&str]) -> String {
    let deadline = Instant::now() + WAIT;
    loop {
        let text = fs::read_to_string(log).expect("the log is ours");
        if words.iter().all(|word| text.contains(word)) {
            return text;
        }
        assert!(Instant::now() < deadline, "{words:?} is missing in: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_configuration_read_again_says_what_waits_and_a_lost_seed_is_told_once() {
    let home = Home::new();
    let (file, log) = (home.path("convoke.toml"), home.path("log"));
    let ports = "listen = \"127.0.0.1:0\"\nrpc_listen = \"127.0.0.1:0\"";
    let cluster = "[cluster]\ndiscovery = \"static\"\ndiscovery_interval = \"100ms\"";
    let lost = "static.seeds = [\"c@no-such-host.invalid\"]";
    let first = format!("[node]\nname = \"a\"\n{ports}\n{cluster}\n{lost}\n");
    fs::write(&file, &first).expect("ours");
    let writer = fs::File::create(&log).expect("ours");
    let mut node = running_with_log(home.command("start"), writer.into());
    await_in_log(&log, &["passed over"]);
    for _ in 0..3 {
        home.expect(0, "cluster discovery run");
    }
    let wan = "[detector]\nprofile = \"wan\"\n[log]\nlevel = \"debug\"\n";
    let renamed = first
        .replace("\"a\"", "\"b\"")
        .replace("no-such", "no-other");
    fs::write(&file, format!("{renamed}{wan}")).expect("ours");
    let pid = rustix::process::Pid::from_child(&node.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("the node runs");
    let text = await_in_log(
        &log,
        &[
            "log level, autoclean and seeds are taken over",
            "node.name changed: takes effect at the next start",
            "detector.profile changed: takes effect at the next start",
            "c@no-other-host.invalid",
        ],
    );
    assert_eq!(node.terminate(), 0);
    for absent in [
        "log.level changed",
        "seeds changed",
        "detector.probe_interval changed",
    ] {
        assert!(!text.contains(absent), "{text}");
    }
    let told = text
        .lines()
        .filter(|line| line.contains("no-such-host") && line.contains("passed over"));
    assert_eq!(told.count(), 1, "{text}");
}

#[test]
fn a_node_removes_others_and_ignores_itself() {
    let home = Home::new();
    let (first, _second) = (home.start("a", ""), home.start("b", "--tag zone=x"));
    let address = first.line("gossip").trim_end_matches(" (udp)");
    assert_eq!(
        home.expect(0, &format!("--node a cluster join {address}"))
            .0,
        "Ignore.\n"
    );
    assert_eq!(
        home.expect(0, "--node a cluster force-leave a").0,
        "Ignore.\n"
    );
    let (_, err) = home.expect(1, "--node a cluster force-leave c@127.0.0.1");
    assert_eq!(err, "convoke: c@127.0.0.1 is not in the cluster\n");
    home.expect(0, &format!("--node b cluster join {address}"));
    let (out, _) = home.expect(0, "--node a members --tag zone=x --json");
    assert!(
        out.contains("\"b@127.0.0.1\"") && !out.contains("\"a@127.0.0.1\""),
        "{out}"
    );
    let (out, _) = home.expect(0, "--node a cluster force-leave b@127.0.0.1");
    let alone = "Cluster status: running_nodes: [a@127.0.0.1], stopped_nodes: []";
    assert_eq!(
        out,
        format!("Remove the node from cluster successfully.\n{alone}\n")
    );
    home.expect(0, "--node b cluster status --wait-size 1");
}

#[test]
fn status_as_json_has_exactly_the_keys_of_the_contract() {
    let home = Home::new();
    let _node = home.start("a", "");
    let (out, _) = home.expect(0, "cluster status --json");
    let status: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    let sorted = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let top = [
        "cluster",
        "local",
        "running_nodes",
        "stopped_nodes",
        "members",
    ];
    assert_eq!(keys(&status), sorted(&top));
    let cluster = [
        "name",
        "id",
        "size",
        "fingerprint",
        "quorum",
        "partition",
        "down",
    ];
    assert_eq!(keys(&status["cluster"]), sorted(&cluster));
    let member = [
        "name",
        "address",
        "state",
        "incarnation",
        "since",
        "rtt_ms",
        "version",
        "tags",
    ];
    assert_eq!(keys(&status["members"][0]), sorted(&member));
    assert_eq!(status["cluster"]["size"], 1);
    assert_eq!(status["members"][0]["state"], "alive");
    let since = status["members"][0]["since"].as_str().expect("a text");
    assert!(since.len() == 24 && since.ends_with('Z'), "{since}");
}

#[test]
fn waiting_in_vain_ends_in_time_with_what_was_seen() {
    let home = Home::new();
    let _node = home.start("a", "");
    let began = Instant::now();
    let (_, err) = home.expect(4, "cluster status --wait-size 2 --timeout 300ms");
    assert_eq!(
        err,
        "convoke: timed out after 300ms: 1 running, waiting for 2\n"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn events_are_shown_as_they_happen_until_the_node_ends() {
    let home = Home::new();
    let (mut first, _second) = (home.start("a", ""), home.start("b", ""));
    let address = first.line("gossip").trim_end_matches(" (udp)").to_owned();
    let mut monitor = home
        .command("--node a monitor --json")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built");
    let mut lines = BufReader::new(monitor.stdout.take().expect("piped")).lines();
    // A monitor shows what happens after it has asked: b comes and goes until it is seen.
    let (sender, seen) = std::sync::mpsc::sync_channel(64);
    let reader = std::thread::spawn(move || {
        lines.by_ref().map_while(Result::ok).for_each(|line| {
            let _ = sender.try_send(line);
        });
    });
    let deadline = Instant::now() + WAIT;
    let line = loop {
        home.expect(0, &format!("--node b cluster join {address}"));
        match seen.recv_timeout(Duration::from_millis(500)) {
            Ok(line) => break line,
            Err(_) => assert!(Instant::now() < deadline, "the monitor shows nothing"),
        }
        home.expect(0, "--node b cluster leave");
    };
    let event: serde_json::Value = serde_json::from_str(&line).expect("an object a line");
    assert!(event["seq"].as_u64().is_some_and(|seq| seq > 0), "{line}");
    assert_eq!(event["node"], "b@127.0.0.1", "{line}");
    assert_eq!(first.terminate(), 0);
    let status = monitor.wait().expect("the child is ours");
    let mut err = String::new();
    monitor
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut err)
        .expect("UTF-8");
    assert_eq!(
        (status.code(), err.as_str()),
        (Some(1), "convoke: a@127.0.0.1 has ended\n")
    );
    reader.join().expect("the reader ends with its pipe");
}

/// A request on a node's control socket; the whole answer, read until `enough`.
fn http(socket: &Path, request: &str, enough: impl Fn(&str) -> bool) -> String {
    http_with_body(socket, request, "", enough)
}

fn http_with_body(
    socket: &Path,
    request: &str,
    body: &str,
    enough: impl Fn(&str) -> bool,
) -> String {
    let mut stream = UnixStream::connect(socket).expect("the node serves");
    stream.set_read_timeout(Some(WAIT)).expect("a timeout");
    let request = format!("{request}\r\nHost: localhost\r\nConnection: close\r\n\r\n{body}");
    stream
        .write_all(request.as_bytes())
        .expect("the node reads");
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !enough(&answer) {
        match stream.read(&mut buffer).expect("an answer in time") {
            0 => break,
            read => answer += &text(&buffer[..read]),
        }
    }
    answer
}

#[test]
fn the_control_socket_serves_the_api_to_its_owner_alone() {
    let home = Home::new();
    let (first, _second) = (home.start("a", ""), home.start("b", ""));
    let socket = PathBuf::from(first.line("control socket"));
    let mode = fs::metadata(&socket)
        .expect("the socket is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let get = |path: &str| http(&socket, &format!("GET {path} HTTP/1.1"), |_| false);
    for (path, expected) in [
        ("/livez", "200 OK"),
        ("/readyz", "200 OK"),
        ("/v1/members/a@127.0.0.1", "200 OK"),
        ("/v1/members/c@127.0.0.1", "404 Not Found"),
        ("/v1/members/c%20d", "400 Bad Request"),
        ("/v2/status", "404 Not Found"),
        ("/v1/cluster/join", "405 Method Not Allowed"),
    ] {
        let answer = get(path);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {expected}")),
            "{path}: {answer}"
        );
        let is_problem =
            answer.contains("application/problem+json") && answer.contains("\"detail\"");
        assert_eq!(is_problem, !expected.starts_with('2'), "{path}: {answer}");
    }
    let address = first.line("gossip").trim_end_matches(" (udp)");
    home.expect(0, &format!("--node b cluster join {address}"));
    let request = "GET /v1/events HTTP/1.1\r\nLast-Event-ID: 0";
    let answer = http(&socket, request, |answer| answer.contains("member_joined"));
    assert!(
        answer.contains("id: 1\n") && answer.contains("event: "),
        "{answer}"
    );
}

#[test]
fn what_is_wrong_with_a_start_is_one_sentence_and_code_78() {
    let home = Home::new();
    fs::write(home.path("bad.toml"), "[node]\nnmae = \"a@127.0.0.1\"\n").expect("ours");
    fs::write(home.path("file"), "").expect("ours");
    fs::write(home.path("weak"), "00".repeat(32)).expect("ours");
    fs::set_permissions(home.path("weak"), fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(home.path("open"), "01".repeat(32)).expect("ours");
    fs::set_permissions(home.path("open"), fs::Permissions::from_mode(0o644)).expect("ours");
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("bound");
    let cases = [
        (
            "--config bad.toml".to_owned(),
            "bad.toml:2:1: node.nmae: unknown key: did you mean node.name?",
        ),
        (
            "--config missing.toml".to_owned(),
            "missing.toml: cannot read the configuration file",
        ),
        (
            "--node-name a@b@c".to_owned(),
            "flag --node-name: node.name: expected a node name",
        ),
        (
            "--node-name n1000@127.0.0.1".to_owned(),
            "node.listen, node.rpc_listen and http.listen",
        ),
        (format!("--listen {taken}"), "is taken"),
        (
            format!("--listen 127.0.0.1:0 --rpc-listen {taken}"),
            "is taken",
        ),
        (
            "--listen 127.0.0.1:0 --data-dir file".to_owned(),
            "node.data_dir",
        ),
        ("--secret-file weak".to_owned(), "too simple"),
        ("--secret-file open".to_owned(), "chmod 600"),
        (
            "--discovery manual --seed a@127.0.0.1".to_owned(),
            "flag --discovery: cluster.discovery: seeds are for the static strategy",
        ),
        ("--discovery static".to_owned(), "set cluster.static.seeds"),
        ("--seed ,".to_owned(), "set cluster.static.seeds"),
        (
            "--set detector.probe_interval=9999999999999h".to_owned(),
            "is out of range",
        ),
        ("--config /dev/zero".to_owned(), "is not a regular file"),
        (
            "--discovery etcd --set cluster.etcd.username=u".to_owned(),
            "cluster.etcd.username and password belong together",
        ),
        (
            "--set detector.fanout=0".to_owned(),
            "detector.fanout: 0 is out of range",
        ),
    ];
    for (arguments, expected) in cases {
        let (out, err) = home.expect(78, &format!("start {arguments}"));
        assert_plain(&err);
        assert!(err.contains(expected), "{arguments}: {err}");
        assert_eq!(out, "", "{arguments}");
    }
    let output = home
        .command("start")
        .env("CONVOKE_NODE_NMAE", "a")
        .output()
        .expect("built");
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("did you mean CONVOKE_NODE_NAME?"));
}

#[test]
fn a_data_directory_belongs_to_one_node_and_one_process() {
    let home = Home::new();
    let mut node = home.start("a", "--data-dir d");
    let ports = "--listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0";
    let (_, err) = home.expect(78, &format!("start --node-name a --data-dir d {ports}"));
    assert_plain(&err);
    assert!(err.contains("in use"), "{err}");
    assert_eq!(node.terminate(), 0);
    let (_, err) = home.expect(78, &format!("start --node-name b --data-dir d {ports}"));
    assert_plain(&err);
    assert!(err.contains("a@127.0.0.1"), "{err}");
    fs::write(home.path("d/state.json"), "{").expect("the directory is ours");
    let (_, err) = home.expect(78, &format!("start --node-name a --data-dir d {ports}"));
    assert_plain(&err);
    assert!(err.contains("state.json"), "{err}");
}

#[test]
fn a_node_of_any_data_directory_is_found_by_name_even_where_the_path_is_long() {
    let home = Home::new();
    let long = home.path(&"d".repeat(120));
    let node = home.start("a", &format!("--data-dir {}", long.display()));
    assert!(
        node.line("control socket")
            .starts_with(home.path("run").to_str().expect("UTF-8"))
    );
    home.expect(0, "--node a cluster status");
    home.expect(0, "cluster status");
    let output = home
        .command("cluster status")
        .env("CONVOKE_NODE_NAME", "b")
        .output()
        .expect("built");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn the_service_manager_is_told_when_the_node_serves_and_when_it_stops() {
    let home = Home::new();
    let path = home.path("notify");
    let socket = UnixDatagram::bind(&path).expect("a free path");
    socket.set_read_timeout(Some(WAIT)).expect("a timeout");
    let ports = "--listen 127.0.0.1:0 --rpc-listen 127.0.0.1:0";
    let mut command = home.command(&format!("start {ports}"));
    command.env("NOTIFY_SOCKET", &path);
    let mut node = running(command);
    let told = || {
        let mut buffer = [0; 256];
        let read = socket.recv(&mut buffer).expect("a message in time");
        text(&buffer[..read])
    };
    assert!(told().contains("READY=1"));
    assert_eq!(node.terminate(), 0);
    assert!(told().contains("STOPPING=1"));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    let mut child = home
        .command("config default")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program is built");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the child is ours");
    assert_eq!(
        (output.status.code(), text(&output.stderr).as_str()),
        (Some(0), "")
    );
}

#[test]
fn the_configuration_is_shown_with_its_origins_and_checked_before_it_is_used() {
    let home = Home::new();
    let (template, _) = home.expect(0, "config default");
    fs::write(home.path("convoke.toml"), template).expect("ours");
    assert_eq!(
        home.expect(0, "config check convoke.toml").0,
        "convoke.toml is valid.\n"
    );
    fs::write(home.path("convoke.toml"), "[cluster]\nname = \"fleet\"\n").expect("ours");
    let (out, _) = home.expect(0, "config show --node-name b");
    let has = |start: &str, end: &str| {
        out.lines()
            .any(|line| line.starts_with(start) && line.ends_with(end))
    };
    assert!(
        has("cluster.name = \"fleet\"", "# convoke.toml:2:8"),
        "{out}"
    );
    assert!(
        has("node.name = \"b@127.0.0.1\"", "# flag --node-name"),
        "{out}"
    );
    assert!(has("log.level = \"info\"", "# default"), "{out}");
    let data_dir = format!(
        "node.data_dir = {:?}",
        home.path("state/convoke/b@127.0.0.1")
    );
    let secret_file = format!(
        "security.secret_file = {:?}",
        home.path("config/convoke/secret")
    );
    for start in [
        data_dir.as_str(),
        secret_file.as_str(),
        "node.listen = \"127.0.0.1:4370\"",
        "node.advertise = \"127.0.0.1:4370\"",
        "node.rpc_listen = \"127.0.0.1:5370\"",
        "cluster.dns.app = \"b\"",
        "# cluster.dns.name (not set)",
    ] {
        assert!(has(start, "# default"), "{start}\n{out}");
    }
    let pipe = home.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    for file in ["pipe", "/dev/zero", "."] {
        let (_, err) = home.expect(78, &format!("config check {file}"));
        assert!(err.contains("is not a regular file"), "{err}");
    }
    fs::write(home.path("large"), "#".repeat((1 << 20) + 1)).expect("ours");
    let (_, err) = home.expect(78, "config check large");
    assert!(err.contains("too large"), "{err}");
    fs::write(home.path("convoke.toml"), "[clustr]\n").expect("ours");
    let (_, err) = home.expect(78, "config check");
    assert!(
        err.contains("convoke.toml:1:2: clustr: unknown table: did you mean [cluster]?"),
        "{err}"
    );
}

#[test]
fn usage_errors_and_absent_nodes_have_codes_of_their_own() {
    let home = Home::new();
    for line in [
        "",
        "top",
        "cluster join",
        "start --node a",
        "members --state dead",
    ] {
        let (out, err) = home.expect(2, line);
        assert!(out.is_empty() && !err.is_empty(), "{line}");
    }
    for (line, expected) in [
        ("cluster join 10.0.0.1", "10.0.0.1:4370 or name@10.0.0.1"),
        ("cluster join a@b@c", "no valid host after the '@'"),
        ("cluster join 127.0.0.1:99999", "is no port"),
        ("cluster force-leave 10.0.0.1:4370", "expected a node name"),
        ("cluster status --wait-size 0", "1 at least"),
        ("cluster status --timeout 1s", "--wait-size"),
    ] {
        let (_, err) = home.expect(2, line);
        assert!(err.contains(expected), "{line}: {err}");
    }
    for arguments in [
        ["cluster", "join", ""],
        ["cluster", "force-leave", ""],
        ["cluster", "force-leave", "a b"],
    ] {
        let mut command = home.command("");
        let output = command.args(arguments).output().expect("built");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let mut command = home.command("members");
    command.env("CONVOKE_NODE_NMAE", "a");
    let output = command.output().expect("built");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean CONVOKE_NODE_NAME?"));
    for line in [
        "cluster status",
        "members",
        "monitor",
        "cluster leave",
        "--node a cluster join b@h",
    ] {
        assert_plain(&home.expect(3, line).1);
    }
    for line in [
        "--help",
        "--version",
        "cluster --help",
        "man",
        "man cluster join",
        "completions bash",
    ] {
        let (out, err) = home.expect(0, line);
        assert!(!out.is_empty() && err.is_empty(), "{line}");
    }
}
