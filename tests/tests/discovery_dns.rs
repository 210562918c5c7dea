//! The dns strategy, against Debian's dnsmasq.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use convoke_discovery::{Dns, DnsOptions, DnsRecord, Seed, Strategy};
use convoke_tests::discovering::{
    die_and_find_each_other_again, leave_and_stay_left, never_meet, start_and_tell, start_another,
    start_at_once, start_in_rounds, stay_whole, wait_for_trouble,
};
use convoke_tests::server::Dnsmasq;
use convoke_tests::{Fleet, Launch, Network, eventually, lasting, rounds};

const PORT: u16 = 15_353;
const NAME: &str = "nodes.fleet.test";
const PATIENCE: Duration = Duration::from_secs(30);

/// The server of a fleet, at an address that no node has.
fn server(fleet: &Fleet, lines: &[String]) -> Dnsmasq {
    let mut all = vec!["local=/fleet.test/".to_owned()];
    all.extend_from_slice(lines);
    Dnsmasq::start(fleet.address(251), PORT, &all)
}

/// The addresses of these nodes as A records of the name.
fn addresses(fleet: &Fleet, nodes: impl Iterator<Item = u8>) -> Vec<String> {
    nodes
        .map(|n| format!("host-record={NAME},{}", fleet.address(n)))
        .collect()
}

/// All nodes have one name before the @.
fn launch(fleet: &Fleet, n: u8, server: SocketAddr) -> Launch {
    fleet
        .launch_named(&format!("convoke@{}", fleet.address(n)))
        .env("CONVOKE_CLUSTER_DISCOVERY", "dns")
        .env("CONVOKE_CLUSTER_DNS_NAME", NAME)
        .env("CONVOKE_CLUSTER_DNS_SERVER", server.to_string())
}

#[test]
fn five_nodes_that_start_at_once_are_one_cluster_with_and_without_the_server() {
    let fleet = Fleet::new();
    let mut dns = server(&fleet, &addresses(&fleet, 1..=6));
    let launches = (1..=5).map(|n| launch(&fleet, n, dns.address()));
    let launches = launches.map(|launch| launch.env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "1s"));
    let mut nodes = start_and_tell("five with dns", launches.collect());
    dns.kill();
    let said = wait_for_trouble(&nodes[0]);
    assert!(said.contains(&dns.address().to_string()), "{said}");
    assert!(said.contains(NAME), "{said}");
    stay_whole(&nodes, lasting(5, 30));
    dns.restart(&addresses(&fleet, 1..=6));
    start_another(&mut nodes, launch(&fleet, 6, dns.address()));
    let fails = nodes[0].log().matches("discovery fails").count();
    assert!(
        fails <= 2,
        "told once, not at every try: {}",
        nodes[0].log()
    );
}

#[test]
fn ten_nodes_that_start_at_once_are_one_cluster_every_time() {
    let fleets: Vec<Fleet> = (0..rounds(3, 20)).map(|_| Fleet::new()).collect();
    let lines = |fleet: &Fleet| addresses(fleet, 1..=10);
    let servers: Vec<Dnsmasq> = fleets.iter().map(|f| server(f, &lines(f))).collect();
    let mut turns = fleets.iter().zip(&servers);
    start_in_rounds("ten with dns", fleets.len(), || {
        let (fleet, dns) = turns.next().expect("a fleet for each round");
        (1..=10).map(|n| launch(fleet, n, dns.address())).collect()
    });
}

#[test]
fn services_bring_their_port_and_their_hosts_need_no_name_of_ours() {
    let fleet = Fleet::new();
    let mut lines = Vec::new();
    for n in 1..=4 {
        let port = 7000 + u16::from(n);
        lines.push(format!("host-record=n{n}.fleet.test,{}", fleet.address(n)));
        lines.push(format!(
            "srv-host=_gossip._udp.fleet.test,n{n}.fleet.test,{port},0,10"
        ));
    }
    let dns = server(&fleet, &lines);
    let of = |n: u8| {
        fleet
            .launch(n)
            .env(
                "CONVOKE_NODE_LISTEN",
                format!("{}:{}", fleet.address(n), 7000 + u16::from(n)),
            )
            .env("CONVOKE_CLUSTER_DISCOVERY", "dns")
            .env("CONVOKE_CLUSTER_DNS_NAME", "_gossip._udp.fleet.test")
            .env("CONVOKE_CLUSTER_DNS_RECORD_TYPE", "srv")
            .env("CONVOKE_CLUSTER_DNS_SERVER", dns.address().to_string())
    };
    start_at_once((1..=4).map(of).collect());
}

#[test]
fn after_a_total_outage_all_find_each_other_again() {
    let fleet = Fleet::new();
    let dns = server(&fleet, &addresses(&fleet, 1..=3));
    let of = |n| launch(&fleet, n, dns.address());
    let mut nodes = start_at_once((1..=3).map(of).collect());
    die_and_find_each_other_again(&mut nodes);
}

/// Hosts that have nothing in common but IPv6, and a DNS server that is asked by it.
#[test]
fn hosts_of_an_ipv6_network_find_each_other_by_their_addresses() {
    let network = Network::new(4);
    let listed = |n| format!("host-record={NAME},{}", Network::address_v6(n));
    let mut lines = vec!["local=/fleet.test/".to_owned()];
    lines.extend((1..=4).map(listed));
    let server = Network::address_v6(4);
    let dns = Dnsmasq::start_on(network.host(4), server.into(), PORT, &lines);
    let of = |n: u8| {
        network
            .launch_named(n, &format!("convoke@{}", Network::address_v6(n)))
            .env("CONVOKE_CLUSTER_DISCOVERY", "dns")
            .env("CONVOKE_CLUSTER_DNS_NAME", NAME)
            .env("CONVOKE_CLUSTER_DNS_RECORD_TYPE", "aaaa")
            .env("CONVOKE_CLUSTER_DNS_SERVER", dns.address().to_string())
    };
    let mut nodes = start_and_tell("three with dns, by IPv6", (1..=3).map(of).collect());
    start_another(&mut nodes, of(4));
    let run = nodes[0].convoke(&["cluster", "discovery", "run"]);
    let asked = format!("Asked: AAAA records of {NAME} at [{server}]:{PORT}");
    assert!(run.stdout.contains(&asked), "{run:#?}");
}

#[test]
fn who_left_stays_left_though_its_address_is_listed() {
    let fleet = Fleet::new();
    let dns = server(&fleet, &addresses(&fleet, 1..=3));
    let launches = (1..=3).map(|n| launch(&fleet, n, dns.address()));
    let launches = launches.map(|launch| launch.env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms"));
    let nodes = start_at_once(launches.collect());
    leave_and_stay_left(&nodes, "dns", lasting(8, 60));
}

#[test]
fn clusters_of_other_names_and_secrets_under_one_name_never_meet() {
    let fleet = Fleet::new();
    let dns = server(&fleet, &addresses(&fleet, 1..=6));
    let of = |n: u8, name: &str, home: &str| {
        let launch = launch(&fleet, n, dns.address());
        let launch = match home {
            "" => launch,
            home => launch.at_home(home),
        };
        launch
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
}

#[test]
fn the_system_s_resolver_is_asked_in_its_search_domains() {
    let fleet = Fleet::new();
    // The file that names servers names no port.
    let mut lines = addresses(&fleet, 1..=2);
    lines.push("local=/fleet.test/".to_owned());
    lines.push("local=/empty.test/".to_owned());
    let _dns = Dnsmasq::start(fleet.address(251), 53, &lines);
    let resolver = format!(
        "search empty.test fleet.test\nnameserver {}\n",
        fleet.address(251)
    );
    let of = |n: u8| {
        fleet
            .launch_named(&format!("convoke@{}", fleet.address(n)))
            .resolver(&resolver)
            .env("CONVOKE_CLUSTER_DISCOVERY", "dns")
            .env("CONVOKE_CLUSTER_DNS_NAME", "nodes")
    };
    start_at_once((1..=2).map(of).collect());
}

#[test]
fn a_run_tells_what_was_found_and_a_server_that_is_not_there_who_was_asked() {
    let fleet = Fleet::new();
    let mut dns = server(&fleet, &addresses(&fleet, 1..=2));
    let node = launch(&fleet, 1, dns.address())
        .env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "1h")
        .start();
    let run = node.convoke(&["cluster", "discovery", "run"]);
    run.expect_code(0);
    let (one, two) = (fleet.address(1), fleet.address(2));
    let found = format!("Discovery (dns) found: [convoke@{one}, convoke@{two}]");
    assert!(run.stdout.contains(&found), "{run:#?}");
    dns.kill();
    let asked = dns.address().to_string();
    eventually("what was found is used no longer", PATIENCE, || {
        let run = node.convoke(&["cluster", "discovery", "run"]);
        let failed = run.code == Some(1);
        let told = ["no answer from the DNS server", &asked]
            .iter()
            .all(|words| run.stderr.contains(words));
        (failed && told).then_some(()).ok_or(format!("{run:#?}"))
    });
}

mod answers {
    //! What single answers give.

    use super::*;

    fn dns(name: &str, record: DnsRecord, server: SocketAddr) -> Dns {
        Dns::new(DnsOptions {
            name: name.to_owned(),
            app: "convoke".to_owned(),
            record,
            server: Some(server),
        })
    }

    async fn found(name: &str, record: DnsRecord, server: SocketAddr) -> BTreeSet<String> {
        let seeds = dns(name, record, server).discover().await;
        let seeds = seeds.unwrap_or_else(|error| panic!("{name}: {error}"));
        seeds.iter().map(Seed::to_string).collect()
    }

    fn texts(texts: &[&str]) -> BTreeSet<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    fn zone() -> Vec<String> {
        let mut lines = [
            "local=/fleet.test/",
            "host-record=n1.fleet.test,10.0.0.1,fd00::1",
            "host-record=n2.fleet.test,10.0.0.2",
            "host-record=n3.fleet.test,fd00::3",
            "cname=alias.fleet.test,n1.fleet.test",
            "srv-host=_g._udp.fleet.test,n1.fleet.test,4370,0,10",
            "srv-host=_g._udp.fleet.test,n1.fleet.test,4371,0,10",
            "srv-host=_g._udp.fleet.test,n3.fleet.test,4372,0,10",
            "srv-host=_half._udp.fleet.test,n2.fleet.test,4370,0,10",
            "srv-host=_half._udp.fleet.test,nobody.fleet.test,4370,0,10",
            "srv-host=_none._udp.fleet.test",
        ]
        .map(str::to_owned)
        .to_vec();
        lines.extend(
            (0..200).map(|n| format!("host-record=many.fleet.test,10.1.{}.{}", n / 100, n % 100)),
        );
        lines
    }

    #[tokio::test]
    async fn records_give_nodes_and_services_give_addresses() {
        let fleet = Fleet::new();
        let server = Dnsmasq::start(fleet.address(251), PORT, &zone());
        let at = server.address();
        use DnsRecord::{A, Aaaa, Srv};
        assert_eq!(
            found("n1.fleet.test", A, at).await,
            texts(&["convoke@10.0.0.1"])
        );
        assert_eq!(
            found("n1.fleet.test.", Aaaa, at).await,
            texts(&["convoke@fd00::1"])
        );
        assert_eq!(
            found("alias.fleet.test", A, at).await,
            texts(&["convoke@10.0.0.1"])
        );
        assert_eq!(found("many.fleet.test", A, at).await.len(), 200, "by TCP");
        let services = found("_g._udp.fleet.test", Srv, at).await;
        let expected = [
            "10.0.0.1:4370",
            "10.0.0.1:4371",
            "[fd00::1]:4370",
            "[fd00::1]:4371",
            "[fd00::3]:4372",
        ];
        assert_eq!(services, texts(&expected));
        assert_eq!(
            found("_half._udp.fleet.test", Srv, at).await,
            texts(&["10.0.0.2:4370"])
        );
    }

    #[tokio::test]
    async fn nothing_is_an_empty_list_and_looked_for_again_at_once() {
        let fleet = Fleet::new();
        let mut server = Dnsmasq::start(fleet.address(251), PORT, &zone());
        let at = server.address();
        for (name, record) in [
            ("missing.fleet.test", DnsRecord::A),
            ("n2.fleet.test", DnsRecord::Aaaa),
            ("n1.fleet.test", DnsRecord::Srv),
            ("_none._udp.fleet.test", DnsRecord::Srv),
        ] {
            assert_eq!(found(name, record, at).await, texts(&[]), "{name}");
        }
        let asked = dns("missing.fleet.test", DnsRecord::A, at);
        assert_eq!(asked.discover().await.unwrap(), []);
        let mut lines = zone();
        lines.push("host-record=missing.fleet.test,10.0.0.9".to_owned());
        server.restart(&lines);
        assert_eq!(asked.discover().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_answer_is_used_as_long_as_its_records_live_and_no_longer() {
        let fleet = Fleet::new();
        let mut lines = vec!["local-ttl=7".to_owned(), "local=/fleet.test/".to_owned()];
        let one = "host-record=nodes.fleet.test,10.0.0.1".to_owned();
        let two = "host-record=nodes.fleet.test,10.0.0.2".to_owned();
        lines.push(one);
        let mut server = Dnsmasq::start(fleet.address(251), PORT, &lines);
        let asked = dns(NAME, DnsRecord::A, server.address());
        let began = Instant::now();
        assert_eq!(asked.discover().await.unwrap().len(), 1);
        lines.push(two);
        server.restart(&lines);
        let again = asked.discover().await.unwrap().len();
        assert!(again == 1 || began.elapsed() > Duration::from_secs(7));
        let changed = tokio::time::timeout(Duration::from_secs(30), asked.changed());
        changed.await.expect("the records live for seven seconds");
        assert!(began.elapsed() >= Duration::from_secs(7));
        assert_eq!(asked.discover().await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_server_that_refuses_and_one_that_is_silent_are_named() {
        let fleet = Fleet::new();
        // It knows nobody to ask about what it does not know itself.
        let server = Dnsmasq::start(fleet.address(251), PORT, &zone());
        let at = server.address();
        let asked = dns("nodes.elsewhere.test", DnsRecord::A, at);
        let error = asked.discover().await.unwrap_err().to_string();
        for word in ["REFUSED", &at.to_string(), "nodes.elsewhere.test"] {
            assert!(error.contains(word), "no {word}: {error}");
        }
        drop(server);
        let error = dns(NAME, DnsRecord::A, at).discover().await.unwrap_err();
        let error = error.to_string();
        for word in ["no answer", &at.to_string(), NAME] {
            assert!(error.contains(word), "no {word}: {error}");
        }
    }
}
