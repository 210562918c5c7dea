//! Everything at once, at random; and what was found that way, one bug a test.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use convoke_core::Signal;
use convoke_core::sim::chaos::{Place, Schedule, Step, minimise, run};
use convoke_core::sim::report::Net;
use convoke_core::sim::{Health, Machine};

use crate::World;
use crate::{ms, s};

/// How many storms: `CHAOS_SEEDS` in the environment, 24 where it says nothing.
fn seeds() -> u64 {
    let set = std::env::var("CHAOS_SEEDS").ok();
    set.map_or(24, |set| set.parse().expect("CHAOS_SEEDS is a number"))
}

/// Runs the storm of a seed. Says what it broke, and how to see it again.
fn storm(seed: u64) -> Option<String> {
    let smallest = minimise(&Schedule::draw(seed))?;
    let (schedule, outcome) = (smallest.schedule, smallest.outcome);
    let (violations, story) = (outcome.violations, outcome.story);
    Some(format!(
        "tests/chaos --replay {seed}\n{schedule}{violations:#?}\n{story}"
    ))
}

#[test]
fn those_who_belong_together_find_together() {
    let (next, count) = (&AtomicU64::new(0), seeds());
    let jobs = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let broken: Vec<String> = thread::scope(|scope| {
        let run_some = move || {
            let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
            let seeds = seeds.take_while(|&seed| seed < count);
            seeds.filter_map(storm).collect::<Vec<_>>()
        };
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(run_some)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .flat_map(|broken| broken.expect("what panics is caught"))
            .collect()
    });
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

fn force_leave(world: &mut World, by: usize, subject: usize) {
    let name = world.nodes[subject].name.clone();
    let done = world.tell(by, |engine, now| engine.force_leave(now, &name));
    done.expect("it is a member");
}

fn admission(world: &World, node: usize) -> u32 {
    world.nodes[node].engine().membership().admission.0
}

/// A schedule of a cluster that remembers the lost for long.
fn breaks_nothing(seed: u64, nodes: usize, steps: Vec<(Duration, Step)>) {
    let forgets_after = s(300);
    let outcome = run(&Schedule {
        seed,
        nodes,
        forgets_after,
        steps,
    });
    assert_eq!(outcome.violations, [], "{}", outcome.story);
}

fn is_mute(node: usize) -> Step {
    Step::HostLoss {
        node,
        sent: 100,
        received: 0,
    }
}

/// Who was removed and let in again by one member, which then forgot, could tell nobody: a failed
/// member that speaks was told so first, and then the answer to its "you were removed" was held
/// back, as two answers in a second.
#[test]
fn one_that_was_let_in_again_and_of_whom_nobody_knows_finds_back() {
    let mut world = World::cluster(441, 5);
    force_leave(&mut world, 2, 4);
    world.run_for(s(5));
    world.network.cut_into(&[vec![2, 4], vec![0, 1, 3]]);
    world
        .run_until(s(60), |w| w.nodes[2].engine().size() == 1)
        .expect("it finds all others dead");
    assert_eq!(world.join(4, 2), Ok(()));
    world.run_for(s(5));
    world.kill(2);
    world
        .run_until(s(60), |w| w.nodes[4].engine().size() == 1)
        .expect("it finds it dead");
    let (name, memory) = (world.nodes[4].name.clone(), &mut world.nodes[2].memory);
    memory.contacts.retain(|contact| contact.name != name);
    world.network.mend();
    world.start(2);
    let back = world.run_until(s(60), World::is_converged);
    assert!(back.is_some(), "{}", world.describe());
}

/// A member that remembered the removal of an earlier stay let its return count as a new stay, so
/// that a removal of the present one, known elsewhere, did not hold.
#[test]
fn a_return_is_no_new_stay_where_an_earlier_one_was_removed() {
    let mut world = World::cluster(4854, 6);
    force_leave(&mut world, 3, 0);
    world.run_for(s(5));
    assert_eq!(world.join(0, 4), Ok(()));
    world.run_for(s(5));
    let stay = admission(&world, 0);
    world.kill(3);
    world.shut_down(0);
    world.network.cut_into(&[vec![0, 3], vec![1, 2, 4, 5]]);
    force_leave(&mut world, 1, 0);
    world.run_for(s(20));
    world.start(3);
    world.start(0);
    world
        .run_until(s(20), |w| w.agree(&[0, 3]))
        .expect("the two find each other");
    assert_eq!(admission(&world, 0), stay);
    world.network.mend();
    let out = world.run_until(s(30), |w| w.agree(&[1, 2, 3, 4, 5]));
    assert!(out.is_some(), "{}", world.describe());
    assert_eq!(world.nodes[0].engine().size(), 1);
}

/// One that came back elsewhere, and was waited for while its former life did not answer, was let
/// in though it was removed meanwhile.
#[test]
fn one_that_is_removed_while_its_name_is_in_doubt_is_not_let_in() {
    let mut world = World::cluster(18_956, 7);
    world.kill(3);
    world.run_for(ms(300));
    world.nodes[3].address = "10.1.1.3:4370".parse().expect("an address");
    world.start(3);
    world.run_for(ms(900));
    force_leave(&mut world, 5, 3);
    world.run_for(s(30));
    assert!(world.agree(&[0, 1, 2, 4, 5, 6]), "{}", world.describe());
    assert_eq!(world.nodes[3].engine().size(), 1);
    let told = |(_, signal): &(_, Signal)| *signal == Signal::Removed;
    assert!(world.nodes[3].signals.iter().any(told));
}

/// A request that an operator had been told was lost went on its way, and its answer let a removed
/// member in again.
#[test]
fn a_join_that_failed_does_not_take_effect_later() {
    let (one, two) = (vec![0, 2, 4, 6, 7, 8, 10], vec![5, 9, 11, 12, 13]);
    let lose = |node, sent, received| Step::HostLoss {
        node,
        sent,
        received,
    };
    let steps = vec![
        (ms(18), lose(3, 0, 80)),
        (ms(2299), Step::Join { node: 11, by: 10 }),
        (ms(11_382), lose(11, 0, 100)),
        (ms(1780), Step::Join { node: 12, by: 6 }),
        (ms(17_632), Step::Join { node: 13, by: 3 }),
        (ms(10_889), Step::Kill(7)),
        (ms(993), lose(3, 100, 0)),
        (ms(18_583), Step::Cut(vec![one, two, vec![1, 3]])),
        (ms(14_620), Step::ForceLeave { node: 4, by: 11 }),
        (ms(2570), Step::Join { node: 4, by: 12 }),
        (ms(8549), Step::Loss(10)),
    ];
    breaks_nothing(13_397, 11, steps);
}

/// A probe that was begun at the end of a silence was put off by all of it: when it ended at last,
/// its question was forgotten, and no answer counted.
#[test]
fn a_probe_is_put_off_by_no_more_than_its_own_time() {
    let mut world = World::cluster(4679, 13);
    world.machine = Machine::MEASURED;
    world.block(12);
    world.run_for(s(46));
    (0..12).for_each(|other| world.network.cut_datagrams(12, other));
    world.resume(12);
    world.run_for(ms(300));
    world.network.mend();
    world
        .run_until(s(10), World::is_converged)
        .unwrap_or_else(|| panic!("{}", world.describe()));
    world.run_for(s(3));
    let since = world.now;
    world.run_for(s(120));
    assert_eq!(world.count("suspected", since), 0);
    assert!(world.all_hold(12, Health::Alive));
}

/// Long after a mute member was heard again, it found others dead whom it had doubted meanwhile,
/// and never asked since.
#[test]
fn one_that_was_mute_does_not_act_on_doubts_of_that_time() {
    let wait = (s(75), Step::Mend);
    let steps = vec![(s(56), is_mute(9)), (ms(3300), Step::Kill(0)), wait];
    breaks_nothing(454, 12, steps);
}

/// The accusation by a mute member arrived after all at one that does not observe the accused. It
/// asked nobody, and found the accused dead when the time to refute was over.
#[test]
fn nobody_is_found_dead_on_the_word_of_one_other() {
    let steps = vec![(ms(11_342), is_mute(3)), (ms(4612), Step::Shutdown(3))];
    breaks_nothing(2248, 10, steps);
}

/// A suspicion that could not be judged in a long silence was put off by all of it, beyond its own
/// time, and stood for a minute after the network was whole.
#[test]
fn a_suspicion_is_put_off_by_no_more_than_its_own_time() {
    let restart = Step::Start {
        node: 5,
        place: Place::Same,
        forgets: false,
        clock: None,
    };
    let steps = vec![
        (ms(6473), Step::Kill(11)),
        (ms(1121), Step::Leave(2)),
        (ms(881), is_mute(0)),
        (ms(58_900), Step::Kill(5)),
        (ms(23), restart),
        (ms(68_852), Step::Mend),
    ];
    breaks_nothing(32_300, 15, steps);
}

/// When the network got wide, one host's link stayed narrow, and its queue had no end: what it sent
/// minutes ago arrived long after its link was wide as well, and connections to it opened as late. So
/// it was found dead again and again.
#[test]
fn what_waits_for_a_narrow_link_does_not_outlive_it() {
    let restart = |node| Step::Start {
        node,
        place: Place::Same,
        forgets: false,
        clock: None,
    };
    let steps = vec![
        (ms(59_155), Step::HostBandwidth(2, Some(2000))),
        (ms(79_141), Step::Travel(Net::Wan)),
        (ms(15_900), Step::Bandwidth(Some(20_000))),
        (ms(2314), Step::Kill(5)),
        (ms(21), restart(5)),
        (ms(4038), Step::Kill(4)),
        (ms(34), restart(4)),
        (ms(57_566), Step::Bandwidth(None)),
        (ms(11_162), Step::Kill(2)),
        (ms(42), restart(2)),
        (ms(4085), Step::Mend),
    ];
    let outcome = run(&Schedule {
        seed: 4404,
        nodes: 8,
        forgets_after: s(60),
        steps,
    });
    assert_eq!(outcome.violations, [], "{}", outcome.story);
}
