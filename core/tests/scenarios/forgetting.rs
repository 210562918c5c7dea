//! The dead are forgotten by all, late learners and late sleepers included.

use crate::World;
use crate::s;
use convoke_core::sim::Health;

fn cleaning_after_30_s(seed: u64, size: usize) -> World {
    let mut world = World::new(seed);
    world.config.autoclean = Some(s(30));
    world.grow(size);
    world
}

#[test]
fn one_that_slept_through_a_death_and_its_forgetting_learns_of_it() {
    for (seed, sleep) in [(1, 25), (2, 60)] {
        let mut world = cleaning_after_30_s(seed, 26);
        world.run_for(s(10));
        world.pause(3);
        world.run_for(s(1));
        world.crash(9);
        world.run_for(s(sleep));
        world.resume(3);
        let awake = world.run_until(s(15), World::is_converged);
        assert!(awake.is_some(), "{}", world.describe());
        assert_ne!(world.health(3, 9), Health::Alive);
    }
}

#[test]
fn newcomers_do_not_keep_the_dead_from_being_forgotten() {
    let mut world = cleaning_after_30_s(3, 6);
    world.crash(4);
    world
        .run_until(s(20), |w| w.all_hold(4, Health::Failed))
        .expect("it is found dead");
    let since = world.now;
    for _ in 0..8 {
        let newcomer = world.add();
        assert_eq!(world.join(newcomer, 0), Ok(()));
        world.run_for(s(8));
    }
    assert!(world.all_hold(4, Health::Unknown), "{}", world.describe());
    for number in (0..6).filter(|&n| n != 4) {
        assert_eq!(world.history(number, 4, since), ["forgotten"], "n{number}");
    }
}

#[test]
fn a_newcomer_shows_the_failed_like_everybody_else() {
    let mut world = cleaning_after_30_s(4, 6);
    world.crash(4);
    world
        .run_until(s(20), |w| w.all_hold(4, Health::Failed))
        .expect("it is found dead");
    let newcomer = world.add();
    assert_eq!(world.join(newcomer, 0), Ok(()));
    let shown = world.run_until(s(10), |w| w.health(newcomer, 4) == Health::Failed);
    assert!(shown.is_some(), "{}", world.describe());
    let told = &world.nodes[newcomer].changed;
    assert!(told.contains(&world.nodes[4].id()), "and its view is told");
}

#[test]
fn the_time_can_be_changed_while_they_run() {
    let mut world = World::new(5);
    world.config.autoclean = None;
    world.grow(6);
    let set = |world: &mut World, autoclean| {
        for number in world.running() {
            world.tell(number, |engine, now| engine.set_autoclean(now, autoclean));
        }
    };
    world.crash(4);
    world.run_for(s(900));
    assert!(world.all_hold(4, Health::Failed), "{}", world.describe());
    set(&mut world, Some(s(600)));
    world.run_for(s(5));
    assert!(world.all_hold(4, Health::Unknown), "{}", world.describe());
    world.crash(5);
    world.run_for(s(400));
    set(&mut world, None);
    world.run_for(s(900));
    assert!(world.all_hold(5, Health::Failed), "{}", world.describe());
    set(&mut world, Some(s(30)));
    let forgotten = world.run_until(s(5), |w| w.all_hold(5, Health::Unknown));
    assert!(forgotten.is_some(), "{}", world.describe());
    // Each held the other way by some: nothing comes back, nobody asks for ever.
    let since = world.now;
    world.run_for(s(60));
    assert_eq!(world.count("joined", since), 0);
}
