//! `convoke diagnose`: on the way to a node each step fails for itself, is named, and comes with
//! its fix; a failed join says the same.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use convoke::{Identity, NodeName, Secret};
use convoke_tests::server::epmd::free_port;
use convoke_tests::{Fleet, Host, Network, Node, Run, run};
use serde_json::Value;

const SECONDS_10: Duration = Duration::from_secs(10);
const STEPS: [&str; 10] = [
    "name",
    "port",
    "udp",
    "tls",
    "secret",
    "identity",
    "cluster",
    "version",
    "admission",
    "return",
];

/// What the JSON says.
struct Diagnosis {
    run: Run,
    json: Value,
}

impl Diagnosis {
    fn of(run: Run) -> Self {
        assert!(run.took < SECONDS_10, "{run:?}");
        let json =
            serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        Self { run, json }
    }

    fn by(node: &Node, target: &str) -> Self {
        Self::of(node.convoke(&["diagnose", target, "--json"]))
    }

    fn step(&self, name: &str) -> &Value {
        let steps = self.json["steps"].as_array().expect("a list");
        let names: Vec<_> = steps
            .iter()
            .map(|step| step["step"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(names, STEPS);
        let place = STEPS.iter().position(|step| *step == name).expect("a step");
        &steps[place]
    }

    /// All steps are well.
    #[track_caller]
    fn expect_well(&self, verdict: &str) {
        self.expect_well_but_for(verdict, 0);
    }

    /// All steps but so many at the end, which are not looked at, are well.
    #[track_caller]
    fn expect_well_but_for(&self, verdict: &str, untested: usize) {
        self.run.expect_code(0);
        assert_eq!(self.json["verdict"], verdict, "{:#}", self.json);
        for step in &STEPS[..STEPS.len() - untested] {
            assert_eq!(self.step(step)["outcome"], "ok", "{:#}", self.json);
        }
    }

    /// This one fails, and no other; what was found and how to mend it have these words.
    #[track_caller]
    fn expect_failed(&self, step: &str, found: &[&str], fix: &[&str]) {
        self.run.expect_code(1).expect_complaint(&[step]);
        let failed = self.step(step);
        let text = |key: &str| failed[key].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            (self.json["verdict"].as_str(), text("outcome").as_str()),
            (Some(step), "failed"),
            "{:#}",
            self.json
        );
        for (key, words) in [("detail", found), ("fix", fix)] {
            for word in words {
                assert!(
                    text(key).contains(word),
                    "{key} has no {word:?}: {:#}",
                    self.json
                );
            }
        }
        let others = STEPS.iter().filter(|other| **other != step);
        for other in others {
            assert_ne!(self.step(other)["outcome"], "failed", "{:#}", self.json);
        }
    }
}

fn identity(fleet: &Fleet, name: &str) -> Identity {
    let secret =
        Secret::load(&fleet.folder().join("config/convoke/secret")).expect("a node made it");
    let name: NodeName = name.parse().expect("a valid name");
    Identity::new(&name, &secret).expect("a certificate")
}

#[test]
fn what_is_well_is_said_to_be() {
    let fleet = Fleet::new();
    let nodes = [fleet.start(1), fleet.start(2)];
    let [one, two] = &nodes;
    Diagnosis::by(one, &two.name).expect_well("ok");
    let at = format!("{}:4372", fleet.address(2));
    let by_address = Diagnosis::by(one, &at);
    by_address.expect_well("ok");
    assert_eq!(by_address.json["address"], *at);
    one.expect_alone();
    one.join(&two.name);
    for target in [&two.name, &at] {
        let diagnosis = Diagnosis::by(one, target);
        diagnosis.expect_well("member");
        assert_eq!(
            diagnosis.json["member"]["state"], "alive",
            "{:#}",
            diagnosis.json
        );
    }
    let text = one.convoke(&["diagnose", &two.name]);
    text.expect_code(0);
    assert!(text.stdout.contains("is a member, alive since"), "{text:?}");
    let myself = Diagnosis::by(one, &one.name);
    myself.run.expect_code(0);
    assert_eq!(myself.json["verdict"], "myself");
}

#[test]
fn a_name_that_is_not_known_and_one_without_a_port_are_told_apart() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    Diagnosis::by(&node, "b@no-such-host.invalid").expect_failed(
        "name",
        &["no-such-host.invalid"],
        &["DNS"],
    );
    let far = format!("b5000@{}", fleet.address(2));
    Diagnosis::by(&node, &far).expect_failed("port", &["5000", "999"], &["address"]);
}

#[test]
fn a_host_where_nothing_listens_refuses_and_a_failed_join_says_the_same() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let target = fleet.name(2);
    let (found, fix) = (
        ["nothing listens", "4372"],
        ["start the node", "convoke cluster status"],
    );
    Diagnosis::by(&node, &target).expect_failed("udp", &found, &fix);
    let joined = node.convoke(&["cluster", "join", &target]);
    joined
        .expect_code(1)
        .expect_complaint(&["udp", found[0], found[1], fix[0]]);
    assert!(joined.took < SECONDS_10, "{joined:?}");
    node.expect_alone();
}

#[test]
fn another_program_at_the_port_is_told_from_a_firewall() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let silent = UdpSocket::bind((fleet.address(2), 4372)).expect("the fleet's own address");
    let own = ["of this host", "says nothing"];
    Diagnosis::by(&node, &fleet.name(2)).expect_failed("udp", &own, &["ss -ulpn"]);
    let talking = silent.try_clone().expect("a socket can be shared");
    std::thread::spawn(move || {
        while let Ok((_, from)) = talking.recv_from(&mut [0; 2000]) {
            // Whoever asked may be gone.
            let _ = talking.send_to(b"hello", from);
        }
    });
    let found = ["does not speak QUIC"];
    Diagnosis::by(&node, &fleet.name(2)).expect_failed("udp", &found, &["ss -ulpn", "node.listen"]);
}

/// Takes connections by another protocol until it is dropped.
fn serve(identity: &Identity, protocol: &[u8], at: SocketAddr) -> tokio::task::JoinHandle<()> {
    let endpoint = quinn::Endpoint::server(identity.server_config(protocol), at);
    let endpoint = endpoint.expect("the fleet's own address");
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                // Held open until the other side has seen enough.
                if let Ok(connection) = incoming.await {
                    connection.closed().await;
                }
            });
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_and_other_versions_are_told_apart() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let cases = [
        (
            &b"h3"[..],
            "tls",
            "no version of Convoke's protocol",
            "ss -ulpn",
        ),
        (
            b"convoke/2",
            "version",
            "convoke/2, and this node convoke/1",
            "convoke --version",
        ),
        (b"convoke-rpc/1", "tls", "port for calls", "gossip port"),
    ];
    for (n, (protocol, step, found, fix)) in (2..).zip(cases) {
        let name = fleet.name(n);
        let identity = identity(&fleet, &name);
        let at = SocketAddr::from((fleet.address(n), 4370 + u16::from(n)));
        let server = serve(&identity, protocol, at);
        Diagnosis::by(&node, &name).expect_failed(step, &[found], &[fix]);
        server.abort();
    }
}

#[test]
fn another_secret_is_told_with_a_fingerprint_that_both_sides_can_show() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let stranger = fleet.launch(2).at_home("stranger").start();
    let fingerprint = |node: &Node| {
        let shown = node.convoke(&["secret", "fingerprint"]);
        shown.expect_code(0);
        shown.stdout.trim().to_owned()
    };
    let (own, other) = (fingerprint(&node), fingerprint(&stranger));
    assert_ne!(own, other);
    let fix = ["convoke secret fingerprint", "copy the secret file"];
    Diagnosis::by(&node, &stranger.name).expect_failed("secret", &["another secret", &own], &fix);
    Diagnosis::by(&stranger, &node.name).expect_failed("secret", &["another secret", &other], &fix);
    let joined = node.convoke(&["cluster", "join", &stranger.name]);
    joined
        .expect_code(1)
        .expect_complaint(&["secret", &own, fix[0]]);
}

/// Certificates are valid from a day before they are made.
#[test]
fn clocks_that_are_days_apart_are_told() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let ahead = fleet.launch(2).with_clock(3 * 24 * 3600).start();
    Diagnosis::by(&node, &ahead.name).expect_failed("tls", &["not valid now"], &["clocks"]);
}

#[test]
fn another_node_at_the_address_is_named() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let at = format!("{}:4372", fleet.address(2));
    let squatter = fleet.launch(9).args(&["--listen", &at]).start();
    let found = [squatter.name.as_str(), &at];
    Diagnosis::by(&node, &fleet.name(2)).expect_failed("identity", &found, &["give its address"]);
}

#[test]
fn a_member_is_looked_for_where_it_is_and_not_where_its_name_leads() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let at = format!("{}:4999", fleet.address(2));
    let moved = fleet.launch(2).args(&["--listen", &at]).start();
    let by_name = Diagnosis::by(&node, &moved.name);
    by_name.expect_failed(
        "udp",
        &["4372", "nothing listens"],
        &["compare its gossip address"],
    );
    node.join(&at);
    let member = Diagnosis::by(&node, &moved.name);
    member.expect_well("member");
    assert_eq!(member.json["address"], *at);
    let found = member.step("name")["detail"].as_str().unwrap_or_default();
    assert!(
        found.contains("its name leads to") && found.contains(":4372"),
        "{found}"
    );
}

#[test]
fn another_cluster_name_is_told() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let other = fleet
        .launch(2)
        .env("CONVOKE_CLUSTER_NAME", "orchestra")
        .start();
    let found = ["\"orchestra\"", "\"convoke\""];
    Diagnosis::by(&node, &other.name).expect_failed("cluster", &found, &["cluster.name"]);
    let joined = node.convoke(&["cluster", "join", &other.name]);
    joined.expect_code(1).expect_complaint(&[
        "cluster",
        "orchestra",
        "start the changed one again",
    ]);
}

#[test]
fn a_name_that_is_in_use_is_told() {
    let fleet = Fleet::new();
    let nodes = fleet.start_cluster(2);
    let at = format!("{}:4379", fleet.address(9));
    let namesake = fleet.launch(2).at_home_with_secret("elsewhere");
    let namesake = namesake.args(&["--listen", &at]).start();
    let there = format!("{}:4372", fleet.address(2));
    Diagnosis::by(&namesake, &nodes[0].name).expect_failed(
        "admission",
        &[&there],
        &["another name"],
    );
}

/// Firewalls, hosts that are not there and narrow ways, on a network of hosts.
#[test]
fn silence_is_told_from_silence() {
    let network = Network::new(3);
    let nodes = [network.launch(1).start(), network.launch(2).start()];
    let [looking, target] = &nodes;
    Diagnosis::by(looking, &target.name).expect_well("ok");

    let firewall = |rule: &str| {
        network.host(2).firewall(&format!(
            "table inet test\ndelete table inet test\ntable inet test {{ chain in {{ type filter hook input priority 0; {rule}; }}; }}\n"
        ));
    };
    firewall("udp dport 4372 drop");
    let open = ["open UDP port 4372"];
    Diagnosis::by(looking, &target.name).expect_failed(
        "udp",
        &["is silent, and its host is up"],
        &open,
    );
    let joined = looking.convoke(&["cluster", "join", &target.name]);
    joined
        .expect_code(1)
        .expect_complaint(&["udp", "its host is up", open[0]]);
    assert!(joined.took < SECONDS_10, "{joined:?}");

    firewall("ip saddr 10.77.0.1 drop");
    let all = [
        "is silent, and so is its host",
        "firewall",
        "down",
        "another's",
    ];
    Diagnosis::by(looking, &target.name).expect_failed("udp", &all, &open);

    firewall("udp dport 4372 meta length > 1000 drop");
    let narrow = ["small datagrams", "1200"];
    Diagnosis::by(looking, &target.name).expect_failed("udp", &narrow, &["MTU"]);

    firewall("udp dport 4372 accept");
    Diagnosis::by(looking, &target.name).expect_well("ok");

    // As one that lets in nothing but answers.
    network.host(1).firewall(
        "table inet test { chain in { type filter hook input priority 0; udp dport 4371 udp sport != 4372 drop; }; }\n",
    );
    let uncalled = ["does not reach this node", "unless it was called"];
    Diagnosis::by(looking, &target.name).expect_failed(
        "return",
        &uncalled,
        &["open UDP port 4371"],
    );
    network.host(1).firewall("delete table inet test\n");

    let nowhere = "convoke7@192.0.2.1";
    Diagnosis::by(looking, nowhere).expect_failed("udp", &["192.0.2.1"], &["no route leads there"]);
    network.host(1).firewall(
        "table inet test { chain out { type filter hook output priority 0; udp dport 4372 drop; }; }\n",
    );
    let own = ["a firewall of this host"];
    Diagnosis::by(looking, &target.name).expect_failed("udp", &["nothing can be sent"], &own);
}

#[test]
fn a_node_on_loopback_is_told_that_it_reaches_nobody_else() {
    let host = Host::new();
    let fleet = Fleet::new();
    let node = fleet.launch_named("convoke@127.0.0.1").on(&host).start();
    let fix = ["name this node for an address"];
    Diagnosis::by(&node, "convoke2@10.0.0.7").expect_failed("udp", &["127.0.0.1"], &fix);
}

#[test]
fn where_no_node_runs_the_configuration_looks() {
    let fleet = Fleet::new();
    let node = fleet.start(2);
    // Another place of running nodes: none is found there.
    let ask = |arguments: &[&str]| {
        let mut command = fleet.command(arguments);
        let name = fleet.name(1);
        command.env("XDG_RUNTIME_DIR", fleet.folder().join("nowhere"));
        command.env("CONVOKE_CONFIG", fleet.folder().join("own.toml"));
        std::fs::write(
            fleet.folder().join("own.toml"),
            format!("[node]\nname = {name:?}\n"),
        )
        .expect("writable");
        run(&mut command)
    };
    let well = Diagnosis::of(ask(&["diagnose", &node.name, "--json"]));
    well.expect_well_but_for("ok", 1);
    let text = ask(&["diagnose", &node.name]);
    assert!(text.stdout.contains("where no node runs"), "{text:?}");
    let nobody = Diagnosis::of(ask(&["diagnose", &fleet.name(3), "--json"]));
    nobody.expect_failed("udp", &["nothing listens"], &["start the node"]);
    ask(&["--node", "convoke77", "diagnose", &node.name]).expect_code(3);
}

#[test]
fn in_epmd_mode_the_port_is_looked_up() {
    let fleet = Fleet::new();
    let launch = |n: u8, port: u16| {
        let launch = fleet.launch(n).env("WITH_EPMD", "1");
        let launch = launch.env("CONVOKE_NODE_EPMD_EMBEDDED", "true");
        launch.env("ERL_EPMD_PORT", port.to_string())
    };
    let port = free_port();
    let (one, two) = (launch(1, port).start(), launch(2, port).start());
    let well = Diagnosis::by(&one, &two.name);
    well.expect_well("ok");
    let detail = well.step("port")["detail"].as_str().unwrap_or_default();
    assert!(
        detail.contains("6369") && detail.contains("epmd"),
        "{detail}"
    );
    let found = ["convoke3", "epmd"];
    Diagnosis::by(&one, &fleet.name(3)).expect_failed("port", &found, &["in place of its name"]);
}
