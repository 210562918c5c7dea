//! A node whose process stands still, as under SIGSTOP or on a starved host.
#![allow(clippy::unwrap_used)] // A failing test is to panic.

mod common;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{address, all_hold, converged, options, until};
use convoke::{EngineConfig, Event, MemberState, Node, NodeName, Options, Peer, Received, Secret};

/// A node on a thread of its own, which can be made to stand still.
struct Stallable {
    node: Node,
    stalls: mpsc::Sender<Duration>,
}

impl Stallable {
    fn start(options: Options, seed: Peer) -> Self {
        let (stalls, stall) = mpsc::channel::<Duration>();
        let (started, node) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let node = Node::start(options).await.unwrap();
                node.join(&seed).await.unwrap();
                started.send(node).unwrap();
                loop {
                    match stall.try_recv() {
                        // Nothing else runs on this thread's runtime meanwhile.
                        Ok(stall) => thread::sleep(stall),
                        Err(mpsc::TryRecvError::Empty) => {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        Err(mpsc::TryRecvError::Disconnected) => return,
                    }
                }
            });
        });
        Self {
            node: node.recv().unwrap(),
            stalls,
        }
    }

    fn stall(&self, stall: Duration) {
        self.stalls.send(stall).unwrap();
    }
}

async fn fleet(engine: EngineConfig) -> (Vec<Node>, Stallable) {
    let secret = Secret::generate();
    let start = |text: &str| Options {
        engine: engine.clone(),
        ..options(text, &secret)
    };
    let mut nodes = Vec::new();
    for at in 0..6 {
        nodes.push(
            Node::start(start(&format!("n{at}@127.0.0.1")))
                .await
                .unwrap(),
        );
    }
    for node in &nodes[1..] {
        node.join(&address(&nodes[0])).await.unwrap();
    }
    let (options, seed) = (start("slow@127.0.0.1"), address(&nodes[0]));
    let slow = tokio::task::spawn_blocking(move || Stallable::start(options, seed));
    let slow = slow.await.unwrap();
    let all: Vec<_> = nodes.iter().chain([&slow.node]).cloned().collect();
    converged(&all).await;
    (nodes, slow)
}

fn failures(events: &mut convoke::Subscription) -> Vec<NodeName> {
    let mut failed = Vec::new();
    while let Some(Some(received)) = futures_util::FutureExt::now_or_never(events.next()) {
        if let Received::Notice(notice) = received
            && let Event::MemberFailed { member, .. } = &notice.event
        {
            failed.push(member.name.clone());
        }
    }
    failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_seconds_of_standing_still_fail_nobody_on_either_side() {
    let (nodes, slow) = fleet(EngineConfig::lan()).await;
    let mut events: Vec<_> = nodes
        .iter()
        .chain([&slow.node])
        .map(Node::subscribe)
        .collect();
    for _ in 0..3 {
        slow.stall(Duration::from_secs(2));
        tokio::time::sleep(Duration::from_millis(4500)).await;
    }
    for events in &mut events {
        assert_eq!(failures(events), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stood_still_until_it_was_failed_is_back_by_itself() {
    let (nodes, slow) = fleet(EngineConfig::lan()).await;
    let name = slow.node.name().clone();
    let mut events = slow.node.subscribe();
    slow.stall(Duration::from_secs(10));
    let resumes = Instant::now() + Duration::from_secs(10);
    all_hold(&nodes, &name, Some(MemberState::Failed)).await;
    tokio::time::sleep_until(resumes.into()).await;
    let all: Vec<_> = nodes.iter().chain([&slow.node]).cloned().collect();
    until("it is back", || {
        let view = nodes.iter().find(|node| node.view().size() != all.len());
        view.map(|node| format!("{node:?}"))
    })
    .await;
    assert!(
        resumes.elapsed() < Duration::from_secs(3),
        "{:?}",
        resumes.elapsed()
    );
    converged(&all).await;
    assert_eq!(failures(&mut events), [], "the slow one blames nobody");
}
