//! Who is not let in: another secret, another cluster name, another protocol version. Both sides
//! say so in plain words, and neither shows anything of the other.

use std::net::SocketAddr;
use std::time::Duration;

use convoke::{Identity, NodeName, Secret};
use convoke_tests::{Fleet, Node, eventually};

const SECONDS_10: Duration = Duration::from_secs(10);

/// Waits until the node's log says all of this in one line.
#[track_caller]
fn wait_for_log(node: &Node, words: &[&str]) {
    eventually(&format!("{} logs {words:?}", node.name), SECONDS_10, || {
        let log = node.log().to_lowercase();
        let said = log
            .lines()
            .any(|line| words.iter().all(|word| line.contains(&word.to_lowercase())));
        if said { Ok(()) } else { Err(log) }
    });
}

/// Neither is in the other's view, in any state, and no event ever spoke of it.
#[track_caller]
fn expect_strangers(nodes: &[&Node], stranger: &Node) {
    for (one, other) in nodes
        .iter()
        .flat_map(|node| [(*node, stranger), (stranger, *node)])
    {
        assert_eq!(
            one.view().state_of(&other.name),
            "unknown",
            "{:#?}",
            one.view()
        );
        let heard = one
            .events()
            .into_iter()
            .find(|event| event.node.as_ref() == Some(&other.name));
        assert!(
            heard.is_none(),
            "{} heard of {}: {heard:?}",
            one.name,
            other.name
        );
    }
}

#[test]
fn another_secret_gets_no_further_than_the_handshake() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(2);
    let stranger = fleet.launch(3).at_home("stranger").start();
    let (inside, outside) = (members[0].view(), stranger.view());

    let joined = stranger.convoke(&["cluster", "join", &members[0].name]);
    joined.expect_code(1).expect_complaint(&["secret"]);
    assert!(joined.took < SECONDS_10, "{joined:?}");
    wait_for_log(
        &stranger,
        &["secret", &format!("{}:4371", fleet.address(1))],
    );
    wait_for_log(&members[0], &["secret", &fleet.address(3).to_string()]);

    expect_strangers(&[&members[0], &members[1]], &stranger);
    assert_eq!(
        members[0].view().cluster.fingerprint,
        inside.cluster.fingerprint
    );
    assert_eq!(stranger.view().cluster.id, outside.cluster.id);
}

#[test]
fn another_cluster_name_is_refused_on_both_sides() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(2);
    let stranger = fleet
        .launch(3)
        .env("CONVOKE_CLUSTER_NAME", "orchestra")
        .start();
    let (inside, outside) = (members[0].view(), stranger.view());
    assert_eq!(outside.cluster.name, "orchestra");

    let joined = stranger.convoke(&["cluster", "join", &members[0].name]);
    joined
        .expect_code(1)
        .expect_complaint(&["convoke", "orchestra", "cluster.name"]);
    assert!(joined.took < SECONDS_10, "{joined:?}");
    wait_for_log(&members[0], &["orchestra", &stranger.name]);
    wait_for_log(&stranger, &["orchestra", "\"convoke\""]);

    expect_strangers(&[&members[0], &members[1]], &stranger);
    assert_eq!(
        members[0].view().cluster.fingerprint,
        inside.cluster.fingerprint
    );
    assert_eq!(stranger.view().cluster.id, outside.cluster.id);
}

/// What a node of a version that is yet to come has: the secret, a certificate, another protocol.
fn identity_of_the_future(fleet: &Fleet, n: u8) -> Identity {
    let secret =
        Secret::load(&fleet.folder().join("config/convoke/secret")).expect("a node made it");
    let name: NodeName = fleet.name(n).parse().expect("a valid name");
    Identity::new(&name, &secret).expect("a certificate")
}

const FUTURE: &[u8] = b"convoke/99";

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_another_version_is_refused_and_logged() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let target: NodeName = node.name.parse().expect("a valid name");
    let identity = identity_of_the_future(&fleet, 9);
    let local = SocketAddr::from((fleet.address(9), 0));
    let endpoint = quinn::Endpoint::client(local).expect("the fleet's own address");
    let connecting = endpoint.connect_with(
        identity.client_config(FUTURE),
        SocketAddr::from((fleet.address(1), 4371)),
        &convoke::identity::server_name(target.id()),
    );
    let refused = connecting.expect("the configuration is complete").await;
    let error = refused.expect_err("no protocol in common").to_string();
    assert!(
        error.contains("120") || error.to_lowercase().contains("protocol"),
        "{error}"
    );
    wait_for_log(&node, &["version", &fleet.address(9).to_string()]);
    node.expect_alone();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_of_another_version_is_told_in_plain_words() {
    let fleet = Fleet::new();
    let node = fleet.start(1);
    let before = node.view();
    let identity = identity_of_the_future(&fleet, 9);
    let listen = SocketAddr::from((fleet.address(9), 4379));
    let endpoint = quinn::Endpoint::server(identity.server_config(FUTURE), listen);
    let endpoint = endpoint.expect("the fleet's own address");
    let accepting = tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            // Refused in the handshake: that is what the other side is asked about.
            let _ = incoming.await;
        }
    });
    let joined = node.convoke(&["cluster", "join", &fleet.name(9)]);
    joined
        .expect_code(1)
        .expect_complaint(&["version", &listen.to_string()]);
    assert!(joined.took < SECONDS_10, "{joined:?}");
    wait_for_log(&node, &["version", &listen.to_string()]);
    assert_eq!(node.view().cluster.id, before.cluster.id);
    node.expect_alone();
    accepting.abort();
}
