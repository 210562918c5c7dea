//! epmd mode, with Erlang's own `epmd` and with the one that a node serves itself: the same tests
//! for both, and Erlang's `epmd -names` looks on.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use convoke_tests::server::epmd::{self, DEFAULT_PORT, Epmd};
use convoke_tests::{Fleet, Host, Launch, Network, Node, eventually, run, throughout};

/// What the operators are promised.
const SECONDS_5: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// Debian's `epmd`.
    Erlangs,
    /// Each node is ready to, and one does.
    Ours,
}

/// A fleet in epmd mode.
struct Ground {
    fleet: Fleet,
    server: Server,
    epmd: Option<Epmd>,
    port: u16,
}

impl Ground {
    fn new(server: Server) -> Self {
        let epmd = (server == Server::Erlangs).then(Epmd::start);
        let port = epmd.as_ref().map_or_else(epmd::free_port, Epmd::port);
        Self {
            fleet: Fleet::new(),
            server,
            epmd,
            port,
        }
    }

    fn launch(&self, name: &str) -> Launch {
        let launch = self.fleet.launch_named(name);
        let launch = launch
            .env("WITH_EPMD", "1")
            .env("ERL_EPMD_PORT", self.port.to_string());
        match self.server {
            Server::Erlangs => launch,
            Server::Ours => launch.env("CONVOKE_NODE_EPMD_EMBEDDED", "true"),
        }
    }

    /// With seeds by name: those of the first two nodes.
    fn launch_seeded(&self, n: u8) -> Launch {
        let seeds = [self.fleet.name(1), self.fleet.name(2)];
        let launch = self.launch(&self.fleet.name(n));
        launch.args(&["--seed", &seeds[0], "--seed", &seeds[1]])
    }

    fn names(&self) -> Result<BTreeMap<String, u16>, String> {
        epmd::names(self.port, None)
    }

    /// Waits until exactly these are listed.
    #[track_caller]
    fn wait_for_names(&self, expected: &[(&str, u16)], limit: Duration) {
        let expected = expected.iter();
        let expected: BTreeMap<_, _> = expected
            .map(|(name, port)| ((*name).to_owned(), *port))
            .collect();
        eventually(&format!("epmd lists {expected:?}"), limit, || {
            let names = self.names()?;
            (names == expected)
                .then_some(())
                .ok_or_else(|| format!("{names:?}"))
        });
    }
}

fn port_of(node: &Node) -> u16 {
    let view = node.view();
    let own = view.member(&node.name).expect("it lists itself");
    let port = own.address.rsplit_once(':').map(|(_, port)| port.parse());
    port.and_then(Result::ok).expect("an address has a port")
}

fn five_nodes_find_each_other(server: Server) {
    let mut ground = Ground::new(server);
    let began = Instant::now();
    let mut nodes = Node::start_all((1..=5).map(|n| ground.launch_seeded(n)));
    Node::wait_until_one_within(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
    let took = began.elapsed();
    assert!(took < SECONDS_5, "one cluster after {took:?}");
    let all = ["convoke1", "convoke2", "convoke3", "convoke4", "convoke5"];
    // Each has an address of its own, and so the first port of the range.
    let listed = all.map(|name| (name, 6369));
    ground.wait_for_names(&listed, SECONDS_5);

    let rest = match ground.epmd.as_mut() {
        Some(epmd) => {
            epmd.kill();
            throughout("the cluster stays whole", Duration::from_secs(3), || {
                nodes.iter().try_for_each(|node| {
                    let seen = node.status()?;
                    let whole = seen.running_nodes.len() == 5 && seen.stopped_nodes.is_empty();
                    whole.then_some(()).ok_or_else(|| format!("{seen:#?}"))
                })
            });
            epmd.restart();
            listed.to_vec()
        }
        None => {
            // The one that serves goes without a word.
            let serving = nodes.iter().position(|node| {
                node.convoke(&["cluster", "status"])
                    .stdout
                    .contains("serves itself")
            });
            let gone = serving.expect("one of them serves");
            nodes[gone].kill();
            nodes.remove(gone);
            [&listed[..gone], &listed[gone + 1..]].concat()
        }
    };
    ground.wait_for_names(&rest, SECONDS_5);
    let sixth = ground.launch_seeded(6).start();
    nodes.push(sixth);
    eventually("the sixth is in", PATIENCE, || {
        let running = nodes[0].status()?.running_nodes;
        let all =
            nodes.iter().all(|node| running.contains(&node.name)) && running.len() == nodes.len();
        all.then_some(()).ok_or_else(|| format!("{running:?}"))
    });
}

#[test]
fn five_nodes_find_each_other_by_erlangs_epmd() {
    five_nodes_find_each_other(Server::Erlangs);
}

#[test]
fn five_nodes_find_each_other_by_one_that_they_serve_themselves() {
    five_nodes_find_each_other(Server::Ours);
}

/// Two nodes of one host, with a range of ports; one comes back at the other's port.
fn two_nodes_of_a_host(server: Server) {
    let ground = Ground::new(server);
    let address = ground.fleet.address(1);
    let launch = |name: &str| {
        let name = format!("{name}@{address}");
        ground
            .launch(&name)
            .env("CONVOKE_NODE_DIST_LISTEN_MAX", "6370")
    };
    let mut first = launch("first").start();
    // Beyond the port rule, which has no say here.
    let mut second = launch("second65535").start();
    assert_eq!((port_of(&first), port_of(&second)), (6369, 6370));
    ground.wait_for_names(&[("first", 6369), ("second65535", 6370)], SECONDS_5);
    second.join(&first.name);
    Node::wait_until_one(&[&first, &second]);

    let third = launch("third").run_to_end();
    third
        .expect_code(78)
        .expect_complaint(&["6369", "6370", "node.dist_listen_max"]);

    // Both go, and come back in the other order: each at the other's port.
    first.terminate();
    second.terminate();
    second.restart();
    first.restart();
    assert_eq!((port_of(&first), port_of(&second)), (6370, 6369));
    Node::wait_until_one(&[&first, &second]);
    ground.wait_for_names(&[("first", 6370), ("second65535", 6369)], SECONDS_5);
}

#[test]
fn two_nodes_of_a_host_share_a_range_of_ports_with_erlangs_epmd() {
    two_nodes_of_a_host(Server::Erlangs);
}

#[test]
fn two_nodes_of_a_host_share_a_range_of_ports_with_their_own() {
    two_nodes_of_a_host(Server::Ours);
}

#[test]
fn a_second_node_of_a_host_is_told_how_to_have_more_ports_than_the_one() {
    let ground = Ground::new(Server::Ours);
    let address = ground.fleet.address(1);
    let _first = ground.launch(&format!("first@{address}")).start();
    let second = ground.launch(&format!("second@{address}")).run_to_end();
    let words = ["6369", "node.dist_listen_max"];
    second.expect_code(78).expect_complaint(&words);
}

fn a_taken_name(server: Server) {
    let ground = Ground::new(server);
    let mut first = ground
        .launch(&format!("same@{}", ground.fleet.address(1)))
        .start();
    let other = ground.launch(&format!("same@{}", ground.fleet.address(2)));
    let refused = other.run_to_end();
    refused
        .expect_code(78)
        .expect_complaint(&["same", "epmd -names", "name"]);
    first.terminate();
    let second = other.start();
    ground.wait_for_names(&[("same", 6369)], SECONDS_5);
    drop(second);
}

#[test]
fn a_name_that_is_taken_at_erlangs_epmd_is_refused() {
    a_taken_name(Server::Erlangs);
}

#[test]
fn a_name_that_is_taken_at_our_own_is_refused() {
    a_taken_name(Server::Ours);
}

#[test]
fn a_node_without_an_epmd_says_so_and_is_registered_when_there_is_one() {
    let mut ground = Ground::new(Server::Erlangs);
    let epmd = ground.epmd.as_mut().expect("it is Erlang's");
    epmd.kill();
    let node = ground.launch(&ground.fleet.name(1)).start();
    for word in ["epmd -daemon", "node.epmd_embedded"] {
        assert!(node.log().contains(word), "{}", node.log());
        let status = node.convoke(&["cluster", "status"]);
        assert!(status.stdout.contains(word), "{status:?}");
    }
    let other = ground.launch(&ground.fleet.name(2)).start();
    let joined = other.convoke(&["cluster", "join", &node.name]);
    let at = format!("127.0.0.1:{}", ground.port);
    joined.expect_code(1).expect_complaint(&["epmd", &at]);
    ground.epmd.as_mut().expect("it is Erlang's").restart();
    ground.wait_for_names(&[("convoke1", 6369), ("convoke2", 6369)], SECONDS_5);
    let status = node.convoke(&["cluster", "status"]);
    assert!(
        status.stdout.contains(&format!("registered at {at}")),
        "{status:?}"
    );
    other.join(&node.name);
}

#[test]
fn an_epmd_whose_port_is_no_port_is_a_configuration_error() {
    let ground = Ground::new(Server::Ours);
    let launch = ground
        .launch(&ground.fleet.name(1))
        .env("ERL_EPMD_PORT", "epmd");
    launch
        .run_to_end()
        .expect_code(78)
        .expect_complaint(&["ERL_EPMD_PORT", "epmd"]);
}

/// Hosts of their own, each with an `epmd` at its port: nodes are looked up at the host of each.
#[test]
fn nodes_of_several_hosts_ask_the_epmd_of_each() {
    let network = Network::new(3);
    let _epmds: Vec<Epmd> = (1..=2).map(|n| Epmd::start_on(network.host(n))).collect();
    let nodes = network.start_cluster_as(|launch| {
        let launch = launch.env("WITH_EPMD", "1");
        let own = launch.name() == Network::name(3);
        launch.env(
            "CONVOKE_NODE_EPMD_EMBEDDED",
            if own { "true" } else { "false" },
        )
    });
    for (n, node) in (1..).zip(&nodes) {
        let listed = epmd::names(DEFAULT_PORT, Some(network.host(n)));
        let expected = BTreeMap::from([(format!("convoke{n}"), 6369)]);
        assert_eq!(listed, Ok(expected), "{}", node.name);
    }
    // By name, at the one that a node serves, from another host.
    nodes[0].convoke(&["cluster", "leave"]).expect_code(0);
    nodes[0].join(&nodes[2].name);
}

/// What strangers do to a node that serves as `epmd`: nothing.
#[test]
fn floods_and_garbage_leave_a_node_that_serves_as_it_was() {
    let ground = Ground::new(Server::Ours);
    let serving = ground.launch_seeded(1).start();
    let other = ground.launch_seeded(2).start();
    Node::wait_until_one(&[&serving, &other]);
    let at = ("127.0.0.1", ground.port);
    flood(at, 500);
    let (before, events) = (serving.resident(), serving.events().len());
    for _ in 0..4 {
        flood(at, 2000);
        ground.wait_for_names(&[("convoke1", 6369), ("convoke2", 6369)], PATIENCE);
    }
    let grown = serving.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes more");
    assert_eq!(serving.events().len(), events, "{:?}", serving.events());
    assert!(!serving.log().contains("panicked"), "{}", serving.log());
    let late = ground.launch_seeded(3).start();
    Node::wait_until_one(&[&serving, &other, &late]);
}

/// Connections that say nothing, too little, too much or nonsense; of some thirty a time.
fn flood(at: (&str, u16), connections: u32) {
    let mut rng = fastrand::Rng::with_seed(u64::from(connections));
    let mut held = Vec::new();
    for n in 0..connections {
        let Ok(mut stream) = TcpStream::connect(at) else {
            continue;
        };
        let bytes: Vec<u8> = match n % 5 {
            0 => Vec::new(),
            1 => b"\xff\xffx".to_vec(),
            2 => (0..rng.usize(1..4000)).map(|_| rng.u8(..)).collect(),
            3 => b"\x00\x11x\x18\xe1M\x00\x00\x06\x00\x05\x00\x04self\x00\x00".to_vec(),
            _ => b"\x00\x01n".to_vec(),
        };
        // It may be closed before all of it is said.
        let _ = stream.write_all(&bytes);
        if n % 5 == 4 {
            let _ = stream.set_read_timeout(Some(SECONDS_5));
            let _ = stream.read_to_end(&mut Vec::new());
        }
        held.push(stream);
        if held.len() > 300 {
            held.clear();
        }
    }
}

/// Erlang's own nodes are content with our server, and look up ours.
#[test]
fn a_node_of_erlang_registers_at_ours_and_finds_our_node() {
    let ground = Ground::new(Server::Ours);
    let node = ground.launch(&ground.fleet.name(1)).start();
    let names = "{ok, Names} = net_adm:names(\"127.0.0.1\")";
    let port = "{port, Port, _} = erl_epmd:port_please(\"convoke1\", {127,0,0,1})";
    let print = "io:format(\"~p ~p\", [lists:sort([Name || {Name, _} <- Names]), Port])";
    let erl = |name: &str, code: &str| {
        let mut command = Command::new("erl");
        command.args([
            "-noshell",
            "-start_epmd",
            "false",
            "-name",
            name,
            "-eval",
            code,
        ]);
        command.env("ERL_EPMD_PORT", ground.port.to_string());
        command.env("HOME", ground.fleet.folder());
        run(&mut command)
    };
    let code = format!("{names}, {port}, {print}, halt().");
    let theirs = erl("theirs@127.0.0.1", &code);
    theirs.expect_code(0);
    assert_eq!(
        theirs.stdout, "[\"convoke1\",\"theirs\"] 6369",
        "{theirs:?}"
    );
    let taken = erl("convoke1@127.0.0.1", "halt().");
    assert_ne!(taken.code, Some(0), "{taken:?}");
    ground.wait_for_names(&[("convoke1", 6369)], SECONDS_5);
    drop(node);
}

/// A node whose `epmd` is something else starts, says what it found, and is served by the rest.
#[test]
fn a_port_where_something_else_answers_is_told() {
    let ground = Ground::new(Server::Ours);
    let listener = std::net::TcpListener::bind(("0.0.0.0", ground.port)).expect("it is free");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let node = ground.launch(&ground.fleet.name(1)).start();
    let status = node.convoke(&["cluster", "status"]);
    assert!(status.stdout.contains("is no epmd"), "{status:?}");
    let joined = node.convoke(&["cluster", "join", &ground.fleet.name(2)]);
    joined.expect_code(1).expect_complaint(&["is no epmd"]);
}

/// Nodes that are named for an IPv6 address, by either server at the port of every host.
#[test]
fn nodes_of_an_ipv6_host_find_each_other_alike() {
    for server in [Server::Erlangs, Server::Ours] {
        let host = Host::new();
        let fleet = Fleet::new();
        let epmd = (server == Server::Erlangs).then(|| Epmd::start_on(&host));
        let embedded = if epmd.is_some() { "false" } else { "true" };
        let start = |name: &str| {
            let launch = fleet.launch_named(name).on(&host).env("WITH_EPMD", "1");
            let launch = launch.env("CONVOKE_NODE_EPMD_EMBEDDED", embedded);
            launch.env("CONVOKE_NODE_DIST_LISTEN_MAX", "6370").start()
        };
        let nodes = [start("one@::1"), start("two@::1")];
        nodes[1].join(&nodes[0].name);
        Node::wait_until_one(&[&nodes[0], &nodes[1]]);
        let listed = epmd::names(DEFAULT_PORT, Some(&host));
        let expected = [("one".to_owned(), 6369), ("two".to_owned(), 6370)];
        assert_eq!(listed, Ok(BTreeMap::from(expected)), "{server:?}");
    }
}

/// On a host of its own with the port of every host.
#[test]
fn a_host_of_its_own_needs_no_variable() {
    let host = Host::new();
    let fleet = Fleet::new();
    let launch = fleet.launch_named("convoke@127.0.0.1").on(&host);
    let node = launch
        .args(&[
            "--set",
            "node.port_mapping=epmd",
            "--set",
            "node.epmd_embedded=true",
        ])
        .start();
    let listed = epmd::names(DEFAULT_PORT, Some(&host));
    assert_eq!(listed, Ok(BTreeMap::from([("convoke".to_owned(), 6369)])));
    drop(node);
}
