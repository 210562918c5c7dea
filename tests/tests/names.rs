//! Who has a name: names taken over at new addresses, addresses taken over by new names, and two
//! processes of one name, on real processes.

use std::time::Duration;

use convoke_tests::{Fleet, Launch, Node, eventually, throughout};

/// Finding a node dead, and a join that waits for the dead one's answer, with the tests' machine
/// under load.
const TAKEN_OVER: Duration = Duration::from_secs(20);

/// The gossip address of what listens on the fleet's `n`-th address, away from its name's own.
fn elsewhere(fleet: &Fleet, n: u8) -> String {
    format!("{}:4999", fleet.address(n))
}

/// Started there, a node has another address than its name gives it: as a pod that was rescheduled.
fn moved(launch: Launch, fleet: &Fleet, n: u8) -> Launch {
    launch.env("CONVOKE_NODE_LISTEN", elsewhere(fleet, n)).env(
        "CONVOKE_NODE_RPC_LISTEN",
        format!("{}:5999", fleet.address(n)),
    )
}

#[track_caller]
fn wait_until_found_at(observers: &[&Node], name: &str, address: &str) {
    eventually(&format!("{name} is found at {address}"), TAKEN_OVER, || {
        for observer in observers {
            let seen = observer.status()?;
            let member = seen.member(name).filter(|member| member.state == "alive");
            if member.is_none_or(|member| member.address != address) {
                return Err(format!("{seen:#?}"));
            }
        }
        Ok(())
    });
}

/// Waits until a node goes on alone, in another cluster than this one, and says so for a while.
#[track_caller]
fn wait_until_apart(node: &Node, cluster: &str) {
    let alone = || {
        let seen = node.status()?;
        let alone = seen.running_nodes == [node.name.as_str()] && seen.stopped_nodes.is_empty();
        if alone && seen.cluster.id != cluster {
            Ok(())
        } else {
            Err(format!("{seen:#?}"))
        }
    };
    eventually(&format!("{} goes on alone", node.name), TAKEN_OVER, alone);
    throughout("it stays alone", Duration::from_secs(4), alone);
}

fn incarnation(observer: &Node, name: &str) -> u64 {
    let seen = observer.view();
    seen.member(name).expect("a member").incarnation
}

#[test]
fn a_name_that_crashed_comes_back_at_a_new_address_with_its_data_directory() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(4);
    let (name, cluster) = (members[3].name.clone(), members[0].view().cluster.id);
    let mut before = incarnation(&members[0], &name);
    // At once, while the others still hold it as alive where it was; then after it was found dead.
    for (host, dead) in [(30, false), (31, true)] {
        members[3].kill();
        if dead {
            for other in &members[..3] {
                other.wait_for_state(&name, "failed", TAKEN_OVER);
            }
        }
        members[3].restart_as(|launch| moved(launch, &fleet, host));
        let all: Vec<&Node> = members.iter().collect();
        wait_until_found_at(&all, &name, &elsewhere(&fleet, host));
        Node::wait_until_one(&all);
        let after = incarnation(&members[0], &name);
        assert!(after > before, "{after} after {before}");
        assert_eq!(members[3].view().cluster.id, cluster);
        before = after;
    }
}

#[test]
fn a_name_that_crashed_is_taken_over_at_a_new_address_without_its_data_directory() {
    let fleet = Fleet::new();
    let seed = fleet.name(1);
    let launch = |n| {
        let launch = fleet.launch(n);
        let launch = launch.args(&["--discovery", "static", "--seed", &seed]);
        launch.env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms")
    };
    let mut members: Vec<Node> = (1..=4).map(|n| launch(n).start()).collect();
    Node::wait_until_one(&members.iter().collect::<Vec<_>>());
    let name = members[3].name.clone();
    let before = incarnation(&members[0], &name);

    // A new pod of the same name, on an empty disk: discovery brings it, and no command is given.
    members[3].kill();
    let pod = launch(4).at_home_with_secret("pod");
    members[3] = moved(pod, &fleet, 30).start();
    let all: Vec<&Node> = members.iter().collect();
    wait_until_found_at(&all, &name, &elsewhere(&fleet, 30));
    Node::wait_until_one(&all);
    assert!(incarnation(&members[0], &name) > before);
}

#[test]
fn an_address_that_another_name_took_over_is_that_name_and_its_former_owner_comes_back_elsewhere() {
    let fleet = Fleet::new();
    let mut members = fleet.start_cluster(4);
    let mut former = members.pop().expect("four members");
    let place = format!("{}:4374", fleet.address(4));
    former.kill();

    let tenant = fleet.launch(9).env("CONVOKE_NODE_LISTEN", &place);
    let rpc = format!("{}:5374", fleet.address(4));
    let tenant = tenant.env("CONVOKE_NODE_RPC_LISTEN", rpc).start();
    tenant.join(&members[0].name);
    members.push(tenant);
    let all: Vec<&Node> = members.iter().collect();
    wait_until_found_at(&all, &members[3].name, &place);
    // What answers there now is not the dead one.
    for member in &members {
        member.wait_for_state(&former.name, "failed", TAKEN_OVER);
    }
    Node::wait_until_one(&all);
    for member in &members {
        let failed = member.events_of("member_failed", &members[3].name);
        assert!(failed.is_empty(), "{failed:?}");
    }

    former.restart_as(|launch| moved(launch, &fleet, 30));
    members.push(former);
    let all: Vec<&Node> = members.iter().collect();
    wait_until_found_at(&all, &members[4].name, &elsewhere(&fleet, 30));
    wait_until_found_at(&all, &members[3].name, &place);
    Node::wait_until_one(&all);
}

#[test]
fn of_two_live_nodes_of_one_name_whose_clusters_merge_the_one_that_started_later_goes_on_alone() {
    let fleet = Fleet::new();
    let found = |launch: Launch, seeds: &[&str]| {
        let mut launch = launch.args(&["--discovery", "static"]);
        for seed in seeds {
            launch = launch.args(&["--seed", seed]);
        }
        launch.env("CONVOKE_CLUSTER_DISCOVERY_INTERVAL", "500ms")
    };
    // Two fleets that do not know of each other. The later twin is in the larger one.
    let one = [1, 3].map(|n| found(fleet.launch(n), &[&fleet.name(1)]).start());
    Node::wait_until_one(&[&one[0], &one[1]]);
    let twin = moved(fleet.launch(3).at_home_with_secret("elsewhere"), &fleet, 30);
    let twin = found(twin, &[&fleet.name(4)]).start();
    let mut four = found(fleet.launch(4), &[&elsewhere(&fleet, 30)]).start();
    let five = found(fleet.launch(5), &[&fleet.name(4)]).start();
    Node::wait_until_one(&[&twin, &four, &five]);
    let cluster = one[0].view().cluster.id;
    assert_eq!(twin.view().cluster.id, cluster, "discovery begins in one");

    // One of them learns of the other fleet.
    assert_eq!(four.terminate().0, Some(0));
    four.restart_as(|launch| launch.args(&["--seed", &fleet.name(1)]));

    wait_until_apart(&twin, &cluster);
    let place = format!("{}:4373", fleet.address(3));
    assert!(
        twin.log().contains(&place) && twin.log().contains("started earlier"),
        "it is told why: {}",
        twin.log()
    );
    let merged = [&one[0], &one[1], &four, &five];
    Node::wait_until_one(&merged);
    wait_until_found_at(&merged, &one[1].name, &place);
    assert_eq!(one[1].view().cluster.id, cluster, "the first one stays");
    // Whoever held the other one, or took it over in passing, can be asked where the two are.
    let why = four.convoke(&["why", one[1].name.as_str()]);
    let told = format!("saw another process at {place} take the name");
    assert!(why.stdout.contains(&told), "{why:#?}");
}

#[test]
fn a_node_that_was_only_asleep_when_its_name_was_taken_over_gets_it_back() {
    let fleet = Fleet::new();
    let members = fleet.start_cluster(4);
    let (name, cluster) = (members[3].name.clone(), members[0].view().cluster.id);
    members[3].freeze();
    for other in &members[..3] {
        other.wait_for_state(&name, "failed", TAKEN_OVER);
    }
    let newcomer = fleet.launch(4).at_home_with_secret("elsewhere");
    let newcomer = moved(newcomer, &fleet, 30).start();
    newcomer.join(&members[0].name);
    Node::wait_until_one(&[&members[0], &members[1], &members[2], &newcomer]);

    members[3].thaw();
    wait_until_apart(&newcomer, &cluster);
    assert!(
        newcomer.log().contains("started earlier"),
        "it is told why: {}",
        newcomer.log()
    );
    let all: Vec<&Node> = members.iter().collect();
    Node::wait_until_one(&all);
    wait_until_found_at(&all, &name, &format!("{}:4374", fleet.address(4)));
    assert_eq!(members[3].view().cluster.id, cluster);
}
