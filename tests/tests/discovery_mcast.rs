//! The mcast strategy: nodes that find each other by multicast, on one machine and across a
//! network, among strangers and under fire.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use convoke_tests::discovering::{
    die_and_find_each_other_again, leave_and_stay_left, never_meet, start_and_tell, start_another,
    start_at_once, start_in_rounds,
};
use convoke_tests::{Fleet, Launch, Network, Node, eventually, lasting, rounds, throughout};

const PATIENCE: Duration = Duration::from_secs(30);

/// On the loopback interface, whatever addresses of it the nodes have.
fn launch(fleet: &Fleet, n: u8) -> Launch {
    on_loopback(fleet.launch(n))
}

fn on_loopback(launch: Launch) -> Launch {
    launch
        .env("CONVOKE_CLUSTER_DISCOVERY", "mcast")
        .env("CONVOKE_CLUSTER_MCAST_IFACE", "127.0.0.1")
}

#[test]
fn five_nodes_that_start_at_once_are_one_cluster_and_a_sixth_comes_in() {
    let fleet = Fleet::new();
    let launches = (1..=5).map(|n| launch(&fleet, n)).collect();
    let mut nodes = start_and_tell("five with mcast", launches);
    start_another(&mut nodes, launch(&fleet, 6));
}

#[test]
fn ten_nodes_that_start_at_once_are_one_cluster_every_time() {
    start_in_rounds("ten with mcast", rounds(3, 20), || {
        let fleet = Fleet::new();
        (1..=10).map(|n| launch(&fleet, n)).collect()
    });
}

#[test]
fn after_a_total_outage_all_find_each_other_again() {
    let fleet = Fleet::new();
    let mut nodes = start_at_once((1..=3).map(|n| launch(&fleet, n)).collect());
    die_and_find_each_other_again(&mut nodes);
}

#[test]
fn who_left_stays_left_and_is_not_heard_of() {
    let fleet = Fleet::new();
    let launches = (1..=3).map(|n| launch(&fleet, n));
    let launches = launches.map(|launch| launch.env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms"));
    let nodes = start_at_once(launches.collect());
    leave_and_stay_left(&nodes, "mcast", lasting(8, 60));
}

#[test]
fn clusters_of_other_names_and_secrets_on_one_group_never_meet_and_say_so_once() {
    let fleet = Fleet::new();
    let of = |n: u8, name: &str, home: &str| {
        let launch = match home {
            "" => fleet.launch(n),
            home => fleet.launch(n).at_home(home),
        };
        on_loopback(launch)
            .env("CONVOKE_CLUSTER_NAME", name)
            .env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms")
    };
    let clusters = [("one", ""), ("two", ""), ("one", "another")];
    let clusters: Vec<_> = (1..)
        .step_by(2)
        .zip(clusters)
        .map(|(n, (name, home))| {
            let launches = vec![of(n, name, home), of(n + 1, name, home)];
            start_at_once(launches)
        })
        .collect();
    never_meet(&clusters, lasting(5, 30));
    for node in clusters.iter().flatten() {
        let log = node.log();
        let told = log.matches("another cluster's or a wrong secret's").count();
        assert_eq!(told, 1, "{log}");
        assert!(!log.contains("refused"), "they did not even dial: {log}");
        let status = node.convoke(&["cluster", "status"]).stdout;
        assert!(status.contains("messages of other clusters"), "{status}");
    }
}

#[test]
fn hosts_of_a_network_find_each_other_by_ipv4() {
    let network = Network::new(4);
    let of = |n: u8| {
        let launch = network.launch(n);
        launch.env("CONVOKE_CLUSTER_DISCOVERY", "mcast").env(
            "CONVOKE_CLUSTER_MCAST_IFACE",
            Network::address(n).to_string(),
        )
    };
    let mut nodes = start_and_tell("three hosts with mcast by IPv4", (1..=3).map(of).collect());
    start_another(&mut nodes, of(4));
}

#[test]
fn hosts_of_a_network_find_each_other_by_ipv6() {
    // Of a site, and of a link: the latter is nothing without its interface.
    for group in ["ff15::4370", "ff02::4370"] {
        let network = Network::new(3);
        let of = |n: u8| {
            let name = format!("convoke{n}@{}", Network::address_v6(n));
            network
                .launch_named(n, &name)
                .env("CONVOKE_CLUSTER_DISCOVERY", "mcast")
                .env("CONVOKE_CLUSTER_MCAST_ADDR", group)
                .env("CONVOKE_CLUSTER_MCAST_IFACE", "eth0")
        };
        let mut nodes = start_at_once((1..=2).map(of).collect());
        start_another(&mut nodes, of(3));
    }
}

#[test]
fn a_node_whose_interface_was_replaced_answers_again() {
    let network = Network::new(2);
    let of = |n: u8| {
        let launch = network.launch(n);
        launch
            .env("CONVOKE_CLUSTER_DISCOVERY", "mcast")
            .env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms")
            .env("CONVOKE_CLUSTER_MCAST_IFACE", "eth0")
    };
    let nodes = start_at_once((1..=2).map(of).collect());
    network.replug(1);
    let address = format!("{}:4371", Network::address(1));
    eventually("it answers the other one's questions", PATIENCE, || {
        let run = nodes[1].convoke(&["cluster", "discovery", "run"]);
        let answers = run.stdout.contains(&address);
        answers.then_some(()).ok_or(format!("{run:#?}"))
    });
    Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
}

#[test]
fn without_the_loop_nodes_of_one_host_meet_by_way_of_another_host_alone() {
    let network = Network::new(2);
    let of = |n: u8, host: u8, loopback: &str| {
        let name = format!("convoke{n}@{}", Network::address(host));
        let launch = network.launch_named(host, &name);
        launch
            .env("CONVOKE_CLUSTER_DISCOVERY", "mcast")
            .env("CONVOKE_CLUSTER_MCAST_IFACE", "eth0")
            .env("CONVOKE_CLUSTER_MCAST_LOOP", loopback)
    };
    let mut nodes = vec![of(1, 1, "false").start(), of(2, 1, "false").start()];
    for node in &nodes {
        let run = node.convoke(&["cluster", "discovery", "run"]);
        run.expect_code(0);
        assert!(
            run.stdout.contains("Discovery (mcast) found: []"),
            "{run:#?}"
        );
    }
    start_another(&mut nodes, of(3, 2, "true"));
}

/// Memory that a node may hold more than before: what the system's allocator keeps.
const MORE_BYTES_MAX: u64 = 8 << 20;

#[test]
fn noise_and_floods_on_the_port_harm_nobody() {
    // A port that no other test's nodes listen on, and no other run of this one's.
    let port = 19_000 + u16::try_from(std::process::id() % 1000).expect("below 1000");
    let fleet = Fleet::new();
    let of = |n: u8| launch(&fleet, n).env("CONVOKE_CLUSTER_MCAST_PORTS", port.to_string());
    let mut nodes = start_at_once((1..=3).map(of).collect());
    let before: Vec<u64> = nodes.iter().map(|node| node.resident()).collect();
    let over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let noise = scope.spawn(|| flood((Ipv4Addr::new(239, 192, 0, 1), port).into(), &over));
        throughout("they serve, and are one cluster", lasting(5, 30), || {
            for node in &nodes {
                let asked = Instant::now();
                let seen = node.status()?;
                if seen.running_nodes.len() != 3 || asked.elapsed() > Duration::from_secs(2) {
                    return Err(format!("after {:?}: {seen:#?}", asked.elapsed()));
                }
            }
            Ok(())
        });
        over.store(true, Relaxed);
        noise.join().expect("it sends and nothing else")
    });
    assert!(sent > 10_000, "only {sent} packets were sent");
    for (node, before) in nodes.iter().zip(before) {
        let after = node.resident();
        assert!(after < before + MORE_BYTES_MAX, "{before} → {after} bytes");
        let events = node.events();
        let failed = events.iter().find(|event| event.event == "member_failed");
        assert!(failed.is_none(), "{failed:?}");
        let log = node.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(
            log.matches("comes to the multicast group").count() <= 1,
            "{log}"
        );
    }
    start_another(&mut nodes, of(4));
}

/// Sends noise, some of which begins like a message, until it is over. Returns how many packets.
fn flood(to: SocketAddr, over: &AtomicBool) -> u64 {
    // The loopback interface, by the address that packets to a group without a route come from.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let socket = socket2::Socket::from(socket);
    let loopback = socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST);
    loopback.expect("the loopback interface is there");
    let mut rng = fastrand::Rng::with_seed(20);
    let (mut buffer, mut sent) = ([0; 1400], 0);
    while !over.load(Relaxed) {
        rng.fill(&mut buffer);
        match rng.u8(..4) {
            0 => {}
            1 => buffer[..3].copy_from_slice(b"CVB"),
            _ => buffer[..4].copy_from_slice(b"CVB\x01"),
        }
        let length = rng.usize(..buffer.len());
        // What does not go out is lost, as it may be.
        sent += u64::from(socket.send_to(&buffer[..length], &to.into()).is_ok());
    }
    sent
}
