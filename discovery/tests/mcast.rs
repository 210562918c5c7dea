//! The mcast strategy on the loopback interface: who is found, who is not, and what a stranger can
//! do.
#![cfg(feature = "mcast")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use convoke_discovery::{BeaconKey, Iface, Mcast, McastOptions, Me, Seed, Strategy};
use socket2::{Domain, Protocol, Socket, Type};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 192, 77, 1);
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The first of two ports of a test's own. Runs of these tests side by side have others.
fn port(test: u16) -> u16 {
    let own = std::process::id() % 600;
    20_000 + 20 * u16::try_from(own).expect("below 600") + 2 * test
}

fn options(port: u16) -> McastOptions {
    McastOptions {
        group: GROUP.into(),
        ports: vec![port, port + 1],
        iface: Iface::Address(HOME),
        ttl: 0,
        loopback: true,
    }
}

fn strategy(n: u8, cluster: &str, key: u8, options: McastOptions) -> Mcast {
    // Runs of these tests side by side are clusters of their own, too.
    let cluster = format!("{cluster} {}", std::process::id());
    let me = Me {
        name: format!("convoke{n}@10.0.0.{n}").parse().expect("a name"),
        address: format!("10.0.0.{n}:4370").parse().expect("an address"),
        cluster,
    };
    Mcast::new(me, options, &BeaconKey::new(&[key; 32]))
}

fn node(n: u8, port: u16) -> Mcast {
    strategy(n, "convoke", 1, options(port))
}

async fn found(strategy: &Mcast) -> BTreeSet<String> {
    let seeds = strategy.discover().await.expect("the group can be asked");
    seeds.iter().map(Seed::to_string).collect()
}

/// Nobody but these is found, and in the end all of them: an answer may come too late for a pass.
async fn expect_found(strategy: &Mcast, nodes: &[u8]) {
    let (expected, began) = (addresses(nodes), Instant::now());
    loop {
        let found = found(strategy).await;
        assert!(found.is_subset(&expected), "{found:?}, not {expected:?}");
        if found == expected {
            return;
        }
        let patience = Duration::from_secs(20);
        assert!(began.elapsed() < patience, "{found:?}, not {expected:?}");
    }
}

fn addresses(nodes: &[u8]) -> BTreeSet<String> {
    let address = |n: &u8| format!("10.0.0.{n}:4370");
    nodes.iter().map(address).collect()
}

/// Joins the group beside the nodes, and hears what they hear.
fn eavesdropper(port: u16) -> std::net::UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
        .expect("a socket for multicast");
    socket
        .set_reuse_address(true)
        .expect("a socket for multicast");
    socket.set_reuse_port(true).expect("a socket for multicast");
    let address: SocketAddr = (GROUP, port).into();
    socket
        .bind(&address.into())
        .expect("a socket for multicast");
    socket
        .join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)
        .expect("a socket for multicast");
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket for multicast");
    socket.into()
}

/// Sends to the group from a port of its own, and hears what is answered there.
fn stranger() -> std::net::UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))
        .expect("a socket for multicast");
    socket
        .set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
        .expect("a socket for multicast");
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    socket
        .bind(&address.into())
        .expect("a socket for multicast");
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("a socket for multicast");
    socket.into()
}

#[tokio::test]
async fn nodes_that_listen_are_found_and_those_that_withdrew_are_not() {
    let (one, two, three) = (node(1, port(0)), node(2, port(0)), node(3, port(0)));
    assert_eq!(found(&one).await, addresses(&[]));
    for listening in [&one, &two, &three] {
        listening.register().await.unwrap();
        listening.register().await.unwrap();
    }
    expect_found(&one, &[2, 3]).await;
    expect_found(&three, &[1, 2]).await;
    two.withdraw().await.unwrap();
    expect_found(&one, &[3]).await;
    two.register().await.unwrap();
    expect_found(&three, &[1, 2]).await;
    drop(one);
    drop(two);
    tokio::task::yield_now().await;
    assert_eq!(found(&three).await, addresses(&[]));
}

#[tokio::test]
async fn of_many_who_listen_enough_answer_and_not_all() {
    let many: Vec<Mcast> = (1..=200).map(|n| node(n, port(1))).collect();
    for listening in &many {
        listening.register().await.unwrap();
    }
    let asker = node(201, port(1));
    let mut passes = Vec::new();
    for _ in 0..5 {
        passes.push(found(&asker).await.len());
    }
    assert!(passes.iter().all(|found| *found >= 8), "{passes:?}");
    // One in sixteen is asked as a rule, and one in four at times. On a machine that stands still
    // for a moment it may be all.
    assert!(passes.iter().any(|found| *found <= 120), "{passes:?}");
}

#[tokio::test]
async fn other_clusters_and_other_secrets_are_neither_found_nor_answered() {
    let port = port(2);
    let own = node(1, port);
    let other_name = strategy(2, "another", 1, options(port));
    let other_key = strategy(3, "convoke", 2, options(port));
    for listening in [&own, &other_name, &other_key] {
        listening.register().await.unwrap();
    }
    for asker in [&own, &other_name, &other_key] {
        assert_eq!(found(asker).await, addresses(&[]));
    }
    for listening in [&own, &other_name, &other_key] {
        assert!(listening.strangers() > 0, "the others are counted");
    }
}

#[tokio::test]
async fn what_was_heard_and_is_repeated_is_worth_one_answer_and_no_seed() {
    let port = port(3);
    let (listening, asker) = (node(1, port), node(2, port));
    let ears = eavesdropper(port);
    listening.register().await.unwrap();
    expect_found(&asker, &[1]).await;
    let mut buffer = [0; 1024];
    // The last question was for all.
    let mut question = Vec::new();
    ears.set_nonblocking(true).unwrap();
    while let Ok(bytes) = ears.recv(&mut buffer) {
        question = buffer[..bytes].to_vec();
    }
    assert!(!question.is_empty(), "the eavesdropper hears");
    let thief = stranger();
    for _ in 0..50 {
        thief.send_to(&question, (GROUP, port)).unwrap();
    }
    let heard = tokio::task::spawn_blocking(move || thief.recv(&mut [0; 1024]).is_ok());
    assert!(!heard.await.unwrap(), "it was answered before");
    // Whoever asked in the question is not taken for found, nor is an old answer.
    assert_eq!(found(&listening).await, addresses(&[]));
    expect_found(&asker, &[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn noise_ends_nothing_and_only_costs_some_reading() {
    let port = port(4);
    let (listening, asker) = (node(1, port), node(2, port));
    listening.register().await.unwrap();
    let began = Instant::now();
    let noise = tokio::task::spawn_blocking(move || {
        let noise = stranger();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut buffer = [0; 2000];
        let mut sent: u64 = 0;
        while began.elapsed() < Duration::from_secs(1) {
            rng.fill(&mut buffer);
            let length = rng.usize(..buffer.len());
            if rng.bool() {
                buffer[..4].copy_from_slice(b"CVB\x01");
            }
            // What does not go out is lost, as it may be.
            sent += u64::from(noise.send_to(&buffer[..length], (GROUP, port)).is_ok());
        }
        sent
    });
    let sent = noise.await.unwrap();
    let read = listening.strangers();
    let limit = 2_100.0 + 4_000.0 * began.elapsed().as_secs_f64();
    assert!(read > 0, "of {sent}");
    assert!(
        read as f64 <= limit,
        "{read} of {sent} were read, of {limit} at most"
    );
    // What is left of it in the socket is read within a moment.
    expect_found(&asker, &[1]).await;
}

#[tokio::test]
async fn a_port_that_another_program_holds_is_passed_over() {
    let port = port(5);
    let held = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let (one, two) = (node(1, port), node(2, port));
    one.register().await.unwrap();
    expect_found(&two, &[1]).await;
    let next = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port + 1));
    assert!(next.is_err(), "the first node has it");
    drop(one);
    tokio::task::yield_now().await;
    let _next = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port + 1)).unwrap();
    let error = two.register().await.unwrap_err().to_string();
    let both = format!("{port}, {}", port + 1);
    assert!(error.contains(&both), "{error}");
    drop(held);
    two.register().await.unwrap();
}

#[tokio::test]
async fn an_interface_that_is_not_there_is_named_and_tried_again() {
    let mut wrong = options(port(6));
    wrong.iface = Iface::Name("no-such".to_owned());
    let lost = strategy(1, "convoke", 1, wrong);
    for outcome in [lost.register().await, lost.discover().await.map(drop)] {
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.contains("no-such") && error.contains("cluster.mcast.iface"),
            "{error}"
        );
    }
    let mut wrong = options(port(6));
    wrong.iface = Iface::Address([192, 0, 2, 1].into());
    let lost = strategy(1, "convoke", 1, wrong);
    for outcome in [lost.register().await, lost.discover().await.map(drop)] {
        let error = outcome.unwrap_err().to_string();
        assert!(
            error.contains("192.0.2.1") && error.contains("cluster.mcast.iface"),
            "{error}"
        );
    }
    lost.withdraw().await.unwrap();
}
