//! The precedence of facts holds for every fact there can be, heard in any order, any number of
//! times. (Small worlds are enumerated exhaustively beside the rule itself.)

use convoke_core::member::Standing;
use convoke_core::{Admission, Incarnation, Life, State};
use proptest::prelude::*;

fn fact() -> impl Strategy<Value = Standing> {
    let life = (0..4u32, any::<u64>()).prop_map(|(admission, incarnation)| Life {
        admission: Admission(admission),
        incarnation: Incarnation(incarnation),
    });
    let state = prop::sample::select(vec![State::Alive, State::Failed, State::Left]);
    prop_oneof![
        4 => (life, state).prop_map(|(life, state)| Standing { life, state }),
        1 => (0..4u32).prop_map(|admission| Standing::removed(Admission(admission))),
    ]
}

fn heard(facts: &[Standing]) -> Option<Standing> {
    facts.iter().copied().reduce(Standing::merge)
}

proptest! {
    #[test]
    fn whatever_the_order_and_however_often_all_come_to_hold_the_same(
        facts in prop::collection::vec(fact(), 1..20),
        order in any::<u64>(),
    ) {
        let mut again = [facts.clone(), facts.clone()].concat();
        fastrand::Rng::with_seed(order).shuffle(&mut again);
        prop_assert_eq!(heard(&facts), heard(&again));
    }

    #[test]
    fn what_is_held_in_the_end_was_said_by_somebody(facts in prop::collection::vec(fact(), 1..20)) {
        prop_assert!(facts.contains(&heard(&facts).expect("there is one at least")));
    }

    #[test]
    fn nothing_of_a_stay_that_ended_is_heard_again(
        facts in prop::collection::vec(fact(), 0..20),
        ended in 0..4u32,
    ) {
        let removed = Standing::removed(Admission(ended));
        let held = heard(&[facts.as_slice(), &[removed]].concat()).expect("the removal");
        prop_assert!(held == removed || held.life.admission > Admission(ended));
    }
}
