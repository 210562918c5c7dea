//! Sixty-four nodes in one process, over real QUIC on loopback.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convoke::faults::{FaultHandle, FaultyNetwork};
use convoke::{Event, MemberState, Node, NodeName, Options, Peer, Received, Secret, Subscription};
use convoke_tests::Fleet;
use tokio::task::JoinSet;

const NODES: u8 = 64;
/// One swarm at a time: two would take each other's processor time, and these tests are about time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Nodes in this process that share a network with faults, each on an address of its own.
struct Swarm {
    nodes: Vec<Node>,
    faults: FaultHandle,
    _addresses: Fleet,
}

impl Swarm {
    async fn start(count: u8) -> Self {
        let addresses = Fleet::new();
        let (network, faults) = FaultyNetwork::new(64);
        let network = Arc::new(network);
        let secret = Secret::generate();
        let mut starts = JoinSet::new();
        for n in 1..=count {
            let name: NodeName = addresses.name(n).parse().expect("a valid name");
            let options = Options {
                network: network.clone(),
                ..Options::new(name, secret.clone())
            };
            starts.spawn(async move { Node::start(options).await.expect("free ports") });
        }
        let mut nodes = starts.join_all().await;
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        Self {
            nodes,
            faults,
            _addresses: addresses,
        }
    }

    /// All others join the first at once.
    async fn storm(&self) {
        let seed = Peer::Name(self.nodes[0].name().clone());
        let mut joins = JoinSet::new();
        for node in &self.nodes[1..] {
            let (node, seed) = (node.clone(), seed.clone());
            joins.spawn(async move {
                node.join(&seed)
                    .await
                    .map_err(|error| format!("{}: {error}", node.name()))
            });
        }
        let failed: Vec<String> = joins
            .join_all()
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }

    async fn wait_until_one(&self, limit: Duration) {
        eventually("all views are one", limit, || {
            let sizes: BTreeSet<usize> = self.nodes.iter().map(|node| node.view().size()).collect();
            let prints: BTreeSet<String> = self
                .nodes
                .iter()
                .map(|node| node.view().fingerprint().to_string())
                .collect();
            let one = sizes == [self.nodes.len()].into() && prints.len() == 1;
            if one {
                Ok(())
            } else {
                Err(format!("sizes {sizes:?}, {} fingerprints", prints.len()))
            }
        })
        .await;
    }
}

async fn eventually(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<(), String>) {
    let began = Instant::now();
    while let Err(reason) = probe() {
        assert!(
            began.elapsed() < limit,
            "not within {limit:?}: {what}: {reason}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every `failed` that a subscription has been told of so far.
async fn failures(subscription: &mut Subscription) -> Vec<String> {
    let mut failures = Vec::new();
    while let Ok(received) = tokio::time::timeout(Duration::ZERO, subscription.next()).await {
        match received.expect("the node lives") {
            Received::Notice(notice) => {
                if let Event::MemberFailed { member, .. } = &notice.event {
                    failures.push(member.name.to_string());
                }
            }
            Received::Missed(missed) => {
                panic!("{missed} events missed: nobody knows what they were")
            }
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_nodes_join_one_seed_at_once_and_all_learn_of_a_leave() {
    let _turn = TURN.lock().await;
    let mut swarm = Swarm::start(NODES).await;
    swarm.storm().await;
    swarm.wait_until_one(Duration::from_secs(20)).await;

    let leaver = swarm.nodes.pop().expect("sixty-four nodes");
    let began = Instant::now();
    leaver.leave().await.expect("it is in a cluster");
    eventually("the leave is known by all", Duration::from_secs(5), || {
        let unaware: Vec<_> = swarm
            .nodes
            .iter()
            .filter(|node| {
                let view = node.view();
                view.member(leaver.name())
                    .is_none_or(|member| member.state != MemberState::Left)
            })
            .map(|node| node.name().clone())
            .collect();
        if unaware.is_empty() {
            Ok(())
        } else {
            Err(format!("not by {unaware:?}"))
        }
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    swarm.wait_until_one(Duration::from_secs(5)).await;
    assert_eq!(leaver.view().size(), 1, "it goes on alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_percent_loss_for_thirty_seconds_fails_nobody() {
    let _turn = TURN.lock().await;
    let swarm = Swarm::start(NODES).await;
    swarm.storm().await;
    swarm.wait_until_one(Duration::from_secs(20)).await;

    let mut subscriptions: Vec<_> = swarm.nodes.iter().map(Node::subscribe).collect();
    swarm.faults.set_loss(0.1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    swarm.faults.heal();
    assert!(
        swarm.faults.dropped() > 1000,
        "the loss was real: {}",
        swarm.faults.dropped()
    );

    // A suspicion that the loss raised ends within its maximum, 12 s.
    tokio::time::sleep(Duration::from_secs(13)).await;
    for (node, subscription) in swarm.nodes.iter().zip(&mut subscriptions) {
        let failed = failures(subscription).await;
        assert!(failed.is_empty(), "{} saw fail: {failed:?}", node.name());
    }
    swarm.wait_until_one(Duration::from_secs(10)).await;
}
