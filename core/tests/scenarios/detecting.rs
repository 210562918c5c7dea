//! Nodes fall silent, or only seem to.

use convoke_core::Life;
use convoke_core::member::Standing;
use convoke_core::message::{Failed, Message, Rumor, Suspect};

use crate::World;
use crate::{ms, s};
use convoke_core::sim::Health;

#[test]
fn a_silent_crash_is_known_by_all_within_seconds_whatever_the_size() {
    for size in [2, 3, 4, 5, 8, 12, 16, 17, 24, 40] {
        for seed in 0..6 {
            let mut world = World::cluster(seed, size);
            world.run_for(ms(97) * seed as u32);
            let (since, victim) = (world.now, (seed as usize * 7 + 1) % size);
            world.crash(victim);
            let took = world.run_until(s(20), |w| w.all_hold(victim, Health::Failed));
            assert!(
                took.is_some_and(|t| t <= ms(6500)),
                "n{victim} of {size}, seed {seed}: {took:?}\n{}",
                world.describe()
            );
            world.run_for(s(10));
            assert_eq!(
                world.wrong_failures(since).len(),
                0,
                "of {size}, seed {seed}"
            );
            assert!(world.is_converged(), "{}", world.describe());
        }
    }
}

#[test]
fn a_silent_crash_is_known_by_all_in_less_than_five_seconds_on_average() {
    for size in [8, 64, 128] {
        let mut sum = ms(0);
        for seed in 0..10 {
            let mut world = World::cluster(10 + seed, size);
            world.run_for(ms(97) * seed as u32);
            world.crash(5);
            let took = world.run_until(s(20), |w| w.all_hold(5, Health::Failed));
            sum += took.expect("it is found dead");
        }
        assert!(sum / 10 < s(5), "of {size}: {:?}", sum / 10);
    }
}

#[test]
fn a_node_whose_link_to_one_other_is_dead_is_not_even_failed_by_that_one() {
    for seed in 0..4 {
        let mut world = World::cluster(20 + seed, 8);
        let since = world.now;
        world.network.cut_pair(2, 5);
        world.run_for(s(60));
        assert_eq!(world.count("failed", since), 0, "seed {seed}");
        assert_eq!(
            world.count("suspected", since),
            0,
            "seed {seed}: helpers vouch for it"
        );
        assert!(world.is_converged());
    }
}

#[test]
fn one_way_links_between_two_harm_nobody() {
    for seed in 0..4 {
        let mut world = World::cluster(30 + seed, 8);
        let since = world.now;
        world.network.cut_one_way(2, 5);
        world.run_for(s(60));
        assert_eq!(world.count("failed", since), 0, "seed {seed}");
    }
}

#[test]
fn streams_keep_a_node_alive_whose_datagrams_are_all_lost() {
    let mut world = World::cluster(40, 8);
    let since = world.now;
    (1..8).for_each(|other| world.network.cut_datagrams(0, other));
    world.run_for(s(60));
    assert_eq!(world.count("failed", since), 0);
}

#[test]
fn a_suspect_that_is_reached_again_refutes_with_a_higher_incarnation() {
    let mut world = World::cluster(50, 16);
    let since = world.now;
    let before = world.nodes[7].engine().profile().life;
    let others: Vec<usize> = (0..16).filter(|&n| n != 7).collect();
    world.network.cut_into(&[vec![7], others.clone()]);
    let suspected = |w: &World| others.iter().any(|&o| w.health(o, 7) == Health::Suspect);
    world.run_until(s(10), suspected).expect("it is suspected");
    world.run_for(ms(300));
    world.network.mend();
    world
        .run_until(s(5), |w| w.all_hold(7, Health::Alive))
        .expect("it is cleared");
    world.run_for(s(15));
    let after = world.nodes[7].engine().profile().life;
    assert!(
        after > before && after.admission == before.admission,
        "{before:?} {after:?}"
    );
    assert_eq!(world.count("failed", since), 0);
    assert!(world.count("refuted", since) > 0);
    assert!(world.is_converged(), "{}", world.describe());
}

#[test]
fn old_facts_and_accusations_change_nothing() {
    let mut world = World::cluster(60, 6);
    let old = world.nodes[1].engine().profile().clone();
    let tags = [("role".to_owned(), "db".to_owned())].into();
    world
        .tell(1, |engine, now| engine.set_tags(now, tags))
        .expect("tags fit");
    world.run_for(s(1));
    let since = world.now;
    let (id, life) = (old.id(), old.life);
    assert!(world.nodes[1].engine().profile().life > life);
    let by = world.nodes[2].id();
    for rumor in [
        Rumor::Alive(old),
        Rumor::Failed(Failed {
            id,
            life,
            by,
            accusers: 5,
            doubtful: false,
            refused: false,
            heard: false,
        }),
        Rumor::Left { id, life },
    ] {
        world.forge(
            2,
            3,
            vec![
                Message::Rumor(rumor),
                Message::Suspect(Suspect {
                    id,
                    life,
                    refused: false,
                }),
            ],
        );
        world.run_for(s(1));
        assert!(world.all_hold(1, Health::Alive), "{}", world.describe());
    }
    assert_eq!(world.history(3, 1, since), [""; 0]);
}

#[test]
fn a_failed_member_stays_failed_at_its_old_incarnation() {
    let mut world = World::cluster(61, 6);
    let profile = world.nodes[1].engine().profile().clone();
    world.crash(1);
    world
        .run_until(s(20), |w| w.all_hold(1, Health::Failed))
        .expect("it is found dead");
    let since = world.now;
    let failed = Failed {
        id: profile.id(),
        life: profile.life,
        by: world.nodes[2].id(),
        accusers: 5,
        doubtful: false,
        refused: false,
        heard: false,
    };
    world.forge(2, 3, vec![Message::Rumor(Rumor::Alive(profile))]);
    world.forge(2, 3, vec![Message::Rumor(Rumor::Failed(failed))]);
    world.run_for(s(5));
    assert_eq!(world.health(3, 1), Health::Failed);
    assert_eq!(world.history(3, 1, since), [""; 0]);
}

#[test]
fn one_nodes_verdict_does_not_fell_a_healthy_member() {
    for accusers in [1, 2, u8::MAX] {
        let mut world = World::cluster(62, 16);
        let since = world.now;
        let (id, life) = (world.nodes[1].id(), world.nodes[1].engine().profile().life);
        let by = world.nodes[2].id();
        let verdict = Rumor::Failed(Failed {
            id,
            life,
            by,
            accusers,
            doubtful: false,
            refused: false,
            heard: false,
        });
        for to in 3..16 {
            world.forge(2, to, vec![Message::Rumor(verdict.clone())]);
        }
        world.run_for(s(3));
        assert!(world.all_hold(1, Health::Alive), "{}", world.describe());
        if accusers < 3 {
            assert_eq!(
                world.count("failed", since),
                0,
                "below the quorum it is an accusation"
            );
        }
    }
}

#[test]
fn a_node_stays_in_when_a_fifth_of_all_packets_is_lost() {
    for seed in 0..3 {
        let mut world = World::cluster(70 + seed, 48);
        let since = world.now;
        world.network.loss = 0.2;
        world.run_for(s(120));
        assert_eq!(world.count("failed", since), 0, "seed {seed}");
        world.network.loss = 0.0;
        world.run_for(s(10));
        assert!(world.is_converged(), "seed {seed}:\n{}", world.describe());
    }
}

#[test]
fn a_node_that_pauses_for_two_seconds_is_never_failed() {
    for seed in 0..8 {
        let mut world = World::cluster(80 + seed, 8);
        world.run_for(ms(seed * 131));
        let since = world.now;
        world.pause(3);
        world.run_for(s(2));
        world.resume(3);
        world.run_for(s(20));
        assert_eq!(world.count("failed", since), 0, "seed {seed}");
        assert!(world.is_converged(), "seed {seed}:\n{}", world.describe());
    }
}

#[test]
fn a_node_that_pauses_for_twenty_seconds_is_failed_and_comes_back_by_itself() {
    for (seed, size) in [(90, 3), (91, 8), (92, 8), (93, 64)] {
        let mut world = World::cluster(seed, size);
        let since = world.now;
        world.pause(2);
        world.run_for(s(20));
        assert!(
            world.all_hold(2, Health::Failed),
            "of {size}:\n{}",
            world.describe()
        );
        world.resume(2);
        let back = world.run_until(s(3), World::is_converged);
        assert!(back.is_some(), "of {size}:\n{}", world.describe());
        world.run_for(s(20));
        assert!(world.is_converged(), "of {size}:\n{}", world.describe());
        let others = world.wrong_failures(since);
        assert!(
            others.is_empty(),
            "of {size}: the paused node blames nobody: {others:?}"
        );
    }
}

#[test]
fn a_deaf_and_a_mute_node_are_failed_and_nobody_else() {
    for mute in [true, false] {
        let mut world = World::cluster(100, 32);
        let since = world.now;
        for other in 1..32 {
            match mute {
                true => world.network.cut_one_way(0, other),
                false => world.network.cut_one_way(other, 0),
            }
        }
        let failed = |w: &World| (1..32).all(|o| w.health(o, 0) == Health::Failed);
        let took = world.run_until(s(20), failed);
        assert!(
            took.is_some_and(|t| t < s(8)),
            "mute {mute}: {took:?}\n{}",
            world.describe()
        );
        world.run_for(s(30));
        let healthy: Vec<_> = world
            .wrong_failures(since)
            .into_iter()
            .filter(|f| f.about != 0 && f.by != 0)
            .collect();
        assert!(healthy.is_empty(), "mute {mute}: {healthy:?}");
        world.network.mend();
        let back = world.run_until(s(15), World::is_converged);
        assert!(back.is_some(), "mute {mute}:\n{}", world.describe());
    }
}

#[test]
fn many_that_crash_at_once_are_agreed_upon() {
    for (seed, crashed) in [(110, 12), (111, 16)] {
        let mut world = World::cluster(seed, 50);
        let since = world.now;
        (0..crashed).for_each(|number| world.crash(3 * number));
        let gone = |w: &World| (0..crashed).all(|n| w.all_hold(3 * n, Health::Failed));
        let took = world.run_until(s(30), gone);
        assert!(
            took.is_some_and(|t| t < s(15)),
            "{crashed}: {took:?}\n{}",
            world.describe()
        );
        assert!(world.is_converged(), "{}", world.describe());
        assert_eq!(world.wrong_failures(since).len(), 0);
    }
}

#[test]
fn five_crash_while_ten_join() {
    let mut world = World::cluster(120, 30);
    let since = world.now;
    (0..5).for_each(|number| world.crash(4 * number + 1));
    for n in 0..10 {
        let joiner = world.add();
        world.begin_join(joiner, [0, 2, 4][n % 3]);
        world.run_for(ms(300));
    }
    let took = world.run_until(s(30), World::is_converged);
    assert!(took.is_some(), "{}", world.describe());
    assert_eq!(world.nodes[0].engine().size(), 35);
    assert_eq!(world.wrong_failures(since).len(), 0);
}

#[test]
fn a_host_that_loses_four_packets_of_five_harms_nobody_else() {
    let mut world = World::cluster(130, 100);
    let since = world.now;
    world.network.host_loss.push((42, 0.8, 0.8));
    world.run_for(s(120));
    let healthy: Vec<_> = world
        .wrong_failures(since)
        .into_iter()
        .filter(|failure| failure.about != 42)
        .collect();
    assert!(healthy.is_empty(), "{healthy:?}");
    world.network.host_loss.clear();
    let back = world.run_until(s(15), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
}

#[test]
fn a_host_that_is_deaf_and_hears_by_turns_of_20_s_harms_nobody_else() {
    let mut world = World::cluster(131, 100);
    let since = world.now;
    for _ in 0..4 {
        (0..100)
            .filter(|&n| n != 42)
            .for_each(|other| world.network.cut_one_way(other, 42));
        world.run_for(s(20));
        world.network.mend();
        world.run_for(s(20));
    }
    let healthy: Vec<_> = world
        .wrong_failures(since)
        .into_iter()
        .filter(|failure| failure.about != 42 && failure.by != 42)
        .collect();
    assert!(healthy.is_empty(), "{healthy:?}");
    assert!(world.is_converged(), "{}", world.describe());
}

/// Three that hear each other alone are as many as make a verdict. What they had found was taken
/// from their lists, passed on as whole facts, and believed unexamined.
#[test]
fn three_that_hear_nobody_else_fell_no_healthy_one() {
    for seed in 0..6 {
        let mut world = World::cluster(seed, 24);
        let since = world.now;
        let deaf = [3, 10, 17];
        let others = (0..24).filter(|n| !deaf.contains(n));
        others.for_each(|other| {
            deaf.iter()
                .for_each(|&to| world.network.cut_one_way(other, to));
        });
        world.run_for(s(40));
        let healthy: Vec<_> = world
            .wrong_failures(since)
            .into_iter()
            .filter(|failure| !deaf.contains(&failure.about) && !deaf.contains(&failure.by))
            .collect();
        assert!(healthy.is_empty(), "{seed}: {healthy:?}");
    }
}

/// While three hear each other alone they are a side of their own, and may find others failed. That
/// is theirs: nobody who hears them believes it, and no more of it is carried out in the moment in
/// which they hear again.
#[test]
fn three_that_are_deaf_by_turns_of_20_s_fell_nobody_when_they_hear_again() {
    let deaf = [3, 10, 17];
    for seed in 0..8 {
        let mut world = World::cluster(seed, 64);
        for _ in 0..2 {
            let since = world.now;
            for other in (0..64).filter(|n| !deaf.contains(n)) {
                deaf.iter()
                    .for_each(|&to| world.network.cut_one_way(other, to));
            }
            world.run_for(s(20));
            world.network.mend();
            let mended = world.now;
            world.run_for(s(20));
            let wrong = world.wrong_failures(since).into_iter();
            let healthy: Vec<_> = wrong
                .filter(|at| !deaf.contains(&at.about))
                .filter(|at| !deaf.contains(&at.by) || at.at >= mended)
                .collect();
            assert!(healthy.is_empty(), "{seed}: {healthy:?}");
        }
        assert!(world.is_converged(), "{seed}: {}", world.describe());
    }
}

#[test]
fn nodes_that_block_now_and_then_fell_no_healthy_one() {
    // Lifeguard's anomaly: some nodes stop for a while, run for a moment, stop again.
    for (blocked, stopped, runs) in [
        (4, ms(2048), ms(1024)),
        (16, ms(8192), ms(64)),
        (32, ms(512), ms(16)),
    ] {
        let mut world = World::cluster(140, 128);
        let since = world.now;
        while world.now.since(since) < s(60) {
            (0..blocked).for_each(|number| world.pause(4 * number));
            world.run_for(stopped);
            (0..blocked).for_each(|number| world.resume(4 * number));
            world.run_for(runs);
        }
        let blocks = |number: usize| number.is_multiple_of(4) && number < 4 * blocked;
        let healthy: Vec<_> = world
            .wrong_failures(since)
            .into_iter()
            .filter(|f| !blocks(f.about))
            .collect();
        assert!(
            healthy.is_empty(),
            "{blocked} nodes, {stopped:?}, {runs:?}: {healthy:?}"
        );
        let back = world.run_until(s(15), World::is_converged);
        assert!(back.is_some(), "{}", world.describe());
    }
}

#[test]
fn a_flapping_link_fells_nobody() {
    let mut world = World::cluster(150, 10);
    let since = world.now;
    for _ in 0..20 {
        world.network.cut_pair(3, 4);
        world.run_for(s(2));
        world.network.mend_pair(3, 4);
        world.run_for(s(1));
    }
    assert_eq!(world.count("failed", since), 0);
}

#[test]
fn three_of_five_that_reach_each_other_only_through_the_rest_stay_in() {
    let mut world = World::cluster(160, 5);
    let since = world.now;
    world.network.cut_into(&[vec![0], vec![1], vec![2]]);
    world.run_for(s(60));
    assert_eq!(world.count("failed", since), 0);
    assert!(world.is_converged(), "{}", world.describe());
}

#[test]
fn a_cluster_at_rest_costs_little_whatever_its_size() {
    let rate = |size| {
        let mut world = World::cluster(170, size);
        world.run_for(s(30));
        let bytes = |world: &World| world.nodes.iter().map(|n| n.sent.bytes).sum::<u64>();
        let before = bytes(&world);
        world.run_for(s(300));
        (bytes(&world) - before) as f64 / 300.0 / size as f64
    };
    let (small, large) = (rate(32), rate(128));
    assert!(
        small < 260.0 && large < 260.0,
        "{small} and {large} bytes a second and node"
    );
}

#[test]
fn a_verdict_names_the_life_that_ended() {
    let mut world = World::cluster(180, 6);
    let life: Life = world.nodes[1].engine().profile().life;
    world.crash(1);
    world
        .run_until(s(20), |w| w.all_hold(1, Health::Failed))
        .expect("it is found dead");
    let id = world.nodes[1].id();
    assert_eq!(
        world.nodes[0]
            .engine()
            .member(id)
            .map(|member| member.standing),
        Some(Standing::failed(life))
    );
}
