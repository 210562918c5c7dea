//! The first five minutes of an operator, with the commands of the README.

use std::collections::BTreeSet;
use std::time::Duration;

use convoke_tests::{Fleet, Host, Node, Run, eventually};
use serde_json::Value;

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("an object: {value}"))
        .keys()
        .map(String::as_str)
        .collect()
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.expect_code(0).stdout)
        .unwrap_or_else(|error| panic!("{error}: {run:#?}"))
}

#[test]
fn three_shells_on_one_machine() {
    let fleet = Fleet::new();
    let host = Host::new();
    let name = |n| format!("convoke{n}@127.0.0.1");
    let nodes: Vec<Node> = (1..=3)
        .map(|n| fleet.launch_named(&name(n)).on(&host).start())
        .collect();
    for (node, port) in nodes.iter().zip(["4371", "4372", "4373"]) {
        assert!(
            node.log().contains(port),
            "it prints its ports: {}",
            node.log()
        );
        assert!(
            node.log().contains(&node.data_dir().display().to_string()),
            "{}",
            node.log()
        );
    }

    let joined = fleet.convoke(&[
        "--node",
        "convoke2@127.0.0.1",
        "cluster",
        "join",
        "convoke1@127.0.0.1",
    ]);
    let expected = "Join the cluster successfully.\n\
        Cluster status: running_nodes: [convoke1@127.0.0.1, convoke2@127.0.0.1], stopped_nodes: []\n";
    assert_eq!(joined.expect_code(0).stdout, expected);
    fleet
        .convoke(&[
            "--node",
            "convoke3@127.0.0.1",
            "cluster",
            "join",
            "convoke1@127.0.0.1",
        ])
        .expect_code(0);
    Node::wait_until_one_within(
        &nodes.iter().collect::<Vec<_>>(),
        Duration::from_millis(100),
    );

    let status = json(&fleet.convoke(&[
        "--node",
        "convoke3@127.0.0.1",
        "cluster",
        "status",
        "--json",
    ]));
    assert_eq!(
        keys(&status),
        [
            "cluster",
            "local",
            "members",
            "running_nodes",
            "stopped_nodes"
        ]
        .into()
    );
    let cluster = &status["cluster"];
    assert_eq!(
        keys(cluster),
        [
            "down",
            "fingerprint",
            "id",
            "name",
            "partition",
            "quorum",
            "size"
        ]
        .into()
    );
    assert_eq!(
        (&cluster["name"], &cluster["size"]),
        (&"convoke".into(), &3.into())
    );
    assert_eq!(
        (&cluster["quorum"], &cluster["partition"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(status["local"], "convoke3@127.0.0.1");
    assert_eq!(status["running_nodes"], Value::from_iter((1..=3).map(name)));
    for (member, n) in status["members"]
        .as_array()
        .expect("a list")
        .iter()
        .zip(1..)
    {
        let expected = [
            "address",
            "incarnation",
            "name",
            "rtt_ms",
            "since",
            "state",
            "tags",
            "version",
        ];
        assert_eq!(keys(member), expected.into());
        assert_eq!(member["name"], name(n));
        assert_eq!(member["address"], format!("127.0.0.1:437{n}"));
        assert_eq!(
            (&member["state"], &member["tags"]),
            (&"alive".into(), &serde_json::json!({}))
        );
        // Milliseconds since 1970: it starts there unless what was persisted is higher.
        assert!(
            member["incarnation"]
                .as_u64()
                .is_some_and(|i| i > 1_700_000_000_000),
            "{member}"
        );
        let since = member["since"].as_str().expect("a time");
        assert!(
            since.len() == 24 && since.ends_with('Z') && &since[10..11] == "T",
            "{since}"
        );
        assert!(
            member["rtt_ms"].is_null() || member["rtt_ms"].as_f64().is_some_and(|ms| ms < 1000.0)
        );
    }
}

#[test]
fn a_node_starts_with_no_configuration_at_all() {
    let fleet = Fleet::new();
    let host = Host::new();
    // The name is the default one: nothing is said but `start`.
    let log =
        std::fs::File::create(fleet.folder().join("log")).expect("a fresh folder is writable");
    let mut command = host.wrap(&fleet.command(&["start"]));
    command
        .stdout(log.try_clone().expect("a file can be shared"))
        .stderr(log);
    let mut child = Killed(command.spawn().expect("it runs"));
    let status = eventually("it serves", Duration::from_secs(20), || {
        let status = fleet.convoke(&["cluster", "status", "--json"]);
        if status.code == Some(0) {
            Ok(json(&status))
        } else {
            Err(format!("{status:#?}"))
        }
    });
    assert_eq!(
        status["running_nodes"],
        serde_json::json!(["convoke@127.0.0.1"])
    );
    assert_eq!(status["members"][0]["address"], "127.0.0.1:4370");
    let secret = fleet.folder().join("config/convoke/secret");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &secret.metadata().expect("a secret").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    child.0.kill().expect("the child is ours");
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn static_seeds_form_a_cluster_with_no_command() {
    let fleet = Fleet::new();
    let seeds = format!("{},{}", fleet.name(1), fleet.name(2));
    let launch = |n| {
        let launch = fleet.launch(n).env("CONVOKE_CLUSTER_STATIC_SEEDS", &seeds);
        launch.env("CONVOKE_CLUSTER_DISCOVERY", "static")
    };
    let nodes: Vec<Node> = (1..=4).map(|n| launch(n).start()).collect();
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
}

#[test]
fn waiting_for_a_cluster_ends_with_it_or_with_exit_code_4() {
    let fleet = Fleet::new();
    let nodes = fleet.start_cluster(3);
    let wait = [
        "cluster",
        "status",
        "--wait-size",
        "3",
        "--wait-converged",
        "--timeout",
        "10s",
    ];
    nodes[1].convoke(&wait).expect_code(0);
    let late = nodes[1].convoke(&["cluster", "status", "--wait-size", "4", "--timeout", "1s"]);
    late.expect_code(4).expect_complaint(&["3"]);
    assert!(late.took >= Duration::from_millis(900), "{late:?}");
}

#[test]
fn commands_find_the_node_or_say_why_not() {
    let fleet = Fleet::new();
    fleet.convoke(&["cluster", "status"]).expect_code(3);
    let first = fleet.start(1);
    // The only one that runs here needs no name.
    assert_eq!(
        json(&fleet.convoke(&["cluster", "status", "--json"]))["local"],
        first.name
    );
    let second = fleet.start(2);
    let ambiguous = fleet.convoke(&["cluster", "status"]);
    assert_ne!(ambiguous.code, Some(0), "{ambiguous:#?}");
    ambiguous.expect_complaint(&[&first.name, &second.name]);
    fleet
        .convoke(&["--node", &fleet.name(9), "cluster", "status"])
        .expect_code(3);
    let by_variable = fleet
        .command(&["cluster", "status"])
        .env("CONVOKE_NODE_NAME", &second.name)
        .output();
    assert!(by_variable.expect("it runs").status.success());
    fleet.convoke(&["cluster", "dance"]).expect_code(2);
    fleet.convoke(&["top"]).expect_code(2);
}

#[test]
fn monitor_prints_events_as_they_happen() {
    let fleet = Fleet::new();
    let mut nodes = fleet.start_cluster(2);
    let newcomer = fleet.start(3);
    let path = fleet.folder().join("events");
    let file = std::fs::File::create(&path).expect("the fleet's folder is writable");
    let mut command = fleet.command(&["--node", &nodes[0].name, "monitor", "--json"]);
    let _monitor = Killed(command.stdout(file).spawn().expect("it runs"));
    let wait_for = |event: &str, node: &str| {
        eventually(
            &format!("{event} of {node} is printed"),
            Duration::from_secs(20),
            || {
                let text = std::fs::read_to_string(&path).expect("a file");
                let lines = text
                    .lines()
                    .filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let mut lines = lines.filter(|line| line["event"] == event && line["node"] == node);
                lines.next().ok_or(text.clone())
            },
        )
    };
    newcomer.join(&nodes[1].name);
    let joined = wait_for("member_joined", &newcomer.name);
    for key in ["at", "event", "incarnation", "node", "seq"] {
        assert!(keys(&joined).contains(key), "no {key}: {joined}");
    }
    newcomer.convoke(&["cluster", "leave"]).expect_code(0);
    wait_for("member_left", &newcomer.name);
    nodes[1].kill();
    wait_for("member_failed", &nodes[1].name);
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let fleet = Fleet::new();
    let convoke = fleet.command(&[]);
    let script = format!(
        "'{}' config default | head -1",
        convoke.get_program().display()
    );
    let mut command = std::process::Command::new("sh");
    let run = convoke_tests::run(command.args(["-c", &script]));
    run.expect_code(0).expect_complaint(&[]);
    assert_eq!(run.stdout.lines().count(), 1);
}

#[test]
fn the_default_configuration_is_valid_and_shown_with_its_origin() {
    let fleet = Fleet::new();
    let template = fleet.convoke(&["config", "default"]);
    let file = fleet.folder().join("convoke.toml");
    std::fs::write(&file, &template.expect_code(0).stdout).expect("the fleet's folder is writable");
    fleet
        .convoke(&["config", "check", "convoke.toml"])
        .expect_code(0);
    let shown = fleet
        .command(&["config", "show"])
        .env("CONVOKE_CLUSTER_NAME", "orchestra")
        .output();
    let shown = shown.expect("it runs");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.status.success()
            && text.contains("orchestra")
            && text.contains("CONVOKE_CLUSTER_NAME"),
        "{text}"
    );
}
