use super::*;

fn at(secs: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(secs)
}

const HEARS: Hearing = Hearing {
    silence: Duration::ZERO,
    unanswered: Duration::ZERO,
    accused: Duration::ZERO,
};
const BACK: Return = Return::Lived(Some(NodeId(1)));

/// A watch of a node that holds nine others.
#[derive(Default)]
struct Watch(PartitionWatch);

impl Watch {
    fn falls_silent(&mut self, id: u64, secs: u64) {
        let (config, at) = (Config::lan(), at(secs));
        self.0.on_silent(NodeId(id), &config, at, Duration::ZERO);
    }

    fn returns(&mut self, id: u64, how: Return) {
        self.0.on_returned(NodeId(id), how, &Config::lan(), at(0));
    }

    fn look(&mut self, hearing: Hearing, secs: u64) -> Verdict {
        self.0.assess(&Config::lan(), hearing, 10, 9, at(secs))
    }

    /// It hears somebody again, and most of the others answer.
    fn wakes(&mut self, secs: u64) -> Verdict {
        assert_eq!(self.look(HEARS, secs), Verdict::Same);
        assert!(self.0.is_waking() && self.0.is_alone());
        (2..=6).for_each(|id| self.0.on_answered(NodeId(id)));
        self.look(HEARS, secs)
    }

    fn say(&mut self, secs: u64) -> Option<NodeId> {
        let age_max = Config::lan().suspicion_max;
        self.0.say_side(age_max, at(secs))
    }

    fn lost(&self) -> Vec<u64> {
        self.0.lost().iter().map(|id| id.0).collect()
    }

    fn kind(&self) -> Option<PartitionKind> {
        self.0.standing().map(|open| open.kind)
    }
}

#[test]
fn one_silent_member_is_a_failure_and_two_together_are_a_cut() {
    let mut watch = Watch::default();
    watch.falls_silent(1, 10);
    assert_eq!(watch.look(HEARS, 10), Verdict::Same);
    watch.falls_silent(2, 12);
    assert_eq!(watch.look(HEARS, 12), Verdict::Detected);
    assert_eq!(watch.kind(), Some(PartitionKind::Cut));
    assert_eq!(watch.0.standing().unwrap().since, at(10));
    assert_eq!(watch.look(HEARS, 13), Verdict::Same);
}

#[test]
fn the_last_of_those_behind_a_cut_may_be_found_late() {
    let mut watch = Watch::default();
    watch.falls_silent(9, 0);
    watch.falls_silent(1, 10);
    watch.falls_silent(2, 11);
    watch.look(HEARS, 11);
    watch.falls_silent(3, 20);
    assert_eq!(watch.look(HEARS, 20), Verdict::Detected);
    assert_eq!(watch.lost(), [1, 2, 3]);
    assert_eq!(watch.0.standing().unwrap().changed, at(20));
    watch.falls_silent(4, 60);
    assert_eq!(watch.look(HEARS, 60), Verdict::Same);
    assert_eq!(watch.lost(), [1, 2, 3]);
}

#[test]
fn two_that_fail_far_apart_are_two_failures_however_late_they_are_learned() {
    let mut watch = Watch::default();
    watch.falls_silent(1, 10);
    watch.falls_silent(2, 100);
    assert_eq!(watch.look(HEARS, 100), Verdict::Same);
    let (config, mut watch) = (Config::lan(), Watch::default());
    for (id, ago) in [(1, 300), (2, 100), (3, 104)] {
        let ago = Duration::from_secs(ago);
        watch.0.on_silent(NodeId(id), &config, at(500), ago);
    }
    assert_eq!(watch.look(HEARS, 500), Verdict::Detected);
    assert_eq!(watch.lost(), [2, 3]);
}

#[test]
fn a_partition_is_healed_when_the_last_one_is_back() {
    let mut watch = Watch::default();
    for id in 1..=3 {
        watch.falls_silent(id, 10);
    }
    watch.look(HEARS, 10);
    watch.returns(1, BACK);
    watch.returns(2, BACK);
    assert_eq!(watch.look(HEARS, 60), Verdict::Same);
    assert_eq!(watch.0.standing().unwrap().changed, at(60));
    watch.returns(3, BACK);
    let lasted = Duration::from_secs(60);
    let healed = Verdict::Healed { lasted, sides: 2 };
    assert_eq!(watch.look(HEARS, 70), healed);
    assert_eq!(watch.kind(), None);
}

#[test]
fn the_sides_are_those_that_the_returned_name() {
    let sides = |returns: &[Return]| {
        let mut watch = Watch::default();
        (1..=returns.len()).for_each(|id| watch.falls_silent(id as u64, 10));
        watch.look(HEARS, 10);
        for (id, how) in (1..).zip(returns) {
            watch.returns(id, *how);
        }
        match watch.look(HEARS, 20) {
            Verdict::Healed { sides, .. } => sides,
            other => panic!("{other:?}"),
        }
    };
    let (one, two) = (BACK, Return::Lived(Some(NodeId(2))));
    assert_eq!(sides(&[one, one, two]), 3);
    assert_eq!(sides(&[one, Return::Lived(None)]), 2);
    assert_eq!(sides(&[Return::Lived(None), Return::Restarted]), 2);
    assert_eq!(sides(&[Return::Restarted, Return::Restarted]), 2);
    let unlost = Return::Lived(Some(NodeId(77)));
    assert_eq!(sides(&[unlost, one]), 2, "it was named too early");
}

#[test]
fn a_single_one_that_names_its_side_was_cut_off() {
    let back = |how| {
        let mut watch = Watch::default();
        watch.falls_silent(7, 10);
        assert_eq!(watch.look(HEARS, 10), Verdict::Same);
        watch.returns(7, how);
        let seen = watch.look(HEARS, 30);
        assert_eq!(watch.look(HEARS, 31), Verdict::Same, "it is told once");
        seen
    };
    let lasted = Duration::from_secs(20);
    let healed = Verdict::Healed { lasted, sides: 2 };
    assert_eq!(back(Return::Lived(Some(NodeId(7)))), healed);
    assert_eq!(back(Return::Lived(None)), Verdict::Same, "it stood still");
    assert_eq!(back(Return::Restarted), Verdict::Same);
}

#[test]
fn who_fell_silent_before_and_comes_back_meanwhile_heals_nothing() {
    let mut watch = Watch::default();
    watch.falls_silent(9, 0);
    (1..=2).for_each(|id| watch.falls_silent(id, 30));
    watch.look(HEARS, 30);
    watch.returns(9, Return::Lived(Some(NodeId(9))));
    assert_eq!(watch.look(HEARS, 40), Verdict::Same);
    let held = watch.0.holds(NodeId(1), Duration::ZERO, at(0));
    assert!(held, "nobody of that partition is back");
    (1..=2).for_each(|id| watch.returns(id, BACK));
    let lasted = Duration::from_secs(20);
    let healed = Verdict::Healed { lasted, sides: 2 };
    assert_eq!(watch.look(HEARS, 50), healed);
}

#[test]
fn a_side_is_said_once_after_the_end() {
    let said = |during: bool| {
        let mut watch = Watch::default();
        (1..=2).for_each(|id| watch.falls_silent(id, 10));
        watch.look(HEARS, 10);
        watch.0.name_side(Some(NodeId(5)));
        let during = during.then(|| watch.say(15));
        (1..=2).for_each(|id| watch.returns(id, BACK));
        watch.look(HEARS, 20);
        (during, watch.say(21), watch.say(22))
    };
    let side = Some(NodeId(5));
    assert_eq!(said(false), (None, side, None));
    assert_eq!(said(true), (Some(side), None, None));
}

#[test]
fn a_straggler_of_a_partition_is_no_other_one() {
    let mut watch = Watch::default();
    watch.falls_silent(9, 0);
    (1..=2).for_each(|id| watch.falls_silent(id, 30));
    watch.look(HEARS, 30);
    (1..=2).for_each(|id| watch.returns(id, BACK));
    assert!(matches!(watch.look(HEARS, 40), Verdict::Healed { .. }));
    watch.returns(9, BACK);
    assert_eq!(watch.look(HEARS, 41), Verdict::Same);
}

#[test]
fn who_stands_still_soon_after_it_was_cut_off_is_not_cut_off_again() {
    let mut watch = Watch::default();
    for (silent, back, told) in [(10, 30, true), (33, 40, false), (60, 70, true)] {
        watch.falls_silent(7, silent);
        watch.returns(7, BACK);
        let healed = matches!(watch.look(HEARS, back), Verdict::Healed { .. });
        assert_eq!(healed, told, "silent at {silent} s");
    }
}

#[test]
fn a_partition_whose_lost_members_were_all_removed_was_not_healed() {
    let mut watch = Watch::default();
    watch.falls_silent(1, 10);
    watch.falls_silent(2, 10);
    watch.look(HEARS, 10);
    watch.0.on_gone(NodeId(1));
    watch.0.on_gone(NodeId(2));
    assert!(matches!(watch.look(HEARS, 20), Verdict::Over { .. }));
}

#[test]
fn who_hears_nobody_is_isolated() {
    let deaf = Hearing {
        silence: Duration::from_secs(5),
        unanswered: Duration::from_secs(50),
        ..HEARS
    };
    let mut watch = Watch::default();
    assert_eq!(watch.look(deaf, 10), Verdict::Detected);
    assert_eq!(watch.kind(), Some(PartitionKind::Isolated));
    assert_eq!(watch.0.standing().unwrap().since, at(5));
    assert!(watch.0.is_alone());
    let lasted = Duration::from_secs(15);
    let healed = Verdict::Healed { lasted, sides: 2 };
    assert_eq!(watch.wakes(20), healed);
    let mut alone = PartitionWatch::default();
    assert_eq!(
        alone.assess(&Config::lan(), deaf, 1, 0, at(500)),
        Verdict::Same
    );
}

#[test]
fn who_hears_one_other_after_it_heard_nobody_is_not_back_by_that() {
    let deaf = Hearing {
        silence: Duration::from_secs(5),
        ..HEARS
    };
    let mut watch = Watch::default();
    assert_eq!(watch.look(deaf, 10), Verdict::Detected);
    let patience = Config::lan().suspicion_max.as_secs() * 2;
    for secs in [20, 21, 19 + patience] {
        assert_eq!(watch.look(HEARS, secs), Verdict::Same);
        watch.0.on_answered(NodeId(2));
        assert!(watch.0.is_alone());
    }
    // Whoever did not answer has been found out by now, or will be without it.
    let healed = watch.look(HEARS, 20 + patience);
    assert!(matches!(healed, Verdict::Healed { .. }));
    // Where the others are known for failed, those who are left are enough.
    let mut pair = PartitionWatch::default();
    let mut look = |hearing, awaited, secs| {
        let verdict = pair.assess(&Config::lan(), hearing, awaited, 9, at(secs));
        pair.on_answered(NodeId(2));
        (verdict, pair.is_alone())
    };
    assert_eq!(look(deaf, 10, 10), (Verdict::Detected, true));
    assert_eq!(look(HEARS, 10, 20), (Verdict::Same, true));
    assert_eq!(look(HEARS, 3, 21), (Verdict::Same, true));
    assert!(!look(HEARS, 2, 22).1);
}

#[test]
fn who_is_not_alone_any_more_waits_a_moment_for_the_others() {
    let deaf = Hearing {
        silence: Duration::from_secs(5),
        ..HEARS
    };
    let alone = || {
        let mut watch = Watch::default();
        (1..=3).for_each(|id| watch.falls_silent(id, 10));
        assert_eq!(watch.look(deaf, 12), Verdict::Detected);
        watch.returns(1, BACK);
        assert_eq!(watch.wakes(30), Verdict::Same);
        assert!(watch.0.is_dirty(), "it looks again");
        watch
    };
    let mut back = alone();
    (2..=3).for_each(|id| back.returns(id, BACK));
    assert!(matches!(back.look(HEARS, 31), Verdict::Healed { .. }));
    let mut parted = alone();
    assert_eq!(parted.look(HEARS, 31), Verdict::Detected);
    assert_eq!(parted.kind(), Some(PartitionKind::Cut));
}

#[test]
fn a_cut_of_which_half_is_heard_all_the_same_is_one_way() {
    let mut watch = Watch::default();
    (1..=4).for_each(|id| watch.falls_silent(id, 10));
    watch.look(HEARS, 10);
    watch.0.on_packet(NodeId(1), at(11));
    watch.0.on_packet(NodeId(9), at(11));
    assert_eq!(watch.0.take_heard(at(12)), []);
    assert_eq!(watch.0.take_heard(at(13)), [NodeId(1)]);
    watch.0.on_heard(NodeId(1));
    assert_eq!(watch.look(HEARS, 14), Verdict::Same);
    watch.0.on_heard(NodeId(2));
    assert_eq!(watch.look(HEARS, 15), Verdict::Detected);
    assert_eq!(watch.kind(), Some(PartitionKind::OneWay));
    assert!(!watch.0.is_alone());
    watch.0.on_packet(NodeId(3), at(16));
    assert_eq!(watch.0.take_heard(at(30)), [], "it is known");
    (1..=4).for_each(|id| watch.returns(id, BACK));
    assert!(matches!(watch.look(HEARS, 40), Verdict::Healed { .. }));
}

#[test]
fn who_hears_others_and_is_never_answered_is_at_the_wrong_end_of_a_one_way_link() {
    let unheard = |secs| Hearing {
        unanswered: Duration::from_secs(secs),
        ..HEARS
    };
    let mut watch = Watch::default();
    assert_eq!(watch.look(unheard(8), 20), Verdict::Same);
    assert_eq!(watch.look(unheard(9), 21), Verdict::Detected);
    assert_eq!(watch.kind(), Some(PartitionKind::OneWay));
    assert!(watch.0.is_alone());
}

#[test]
fn who_is_accused_and_not_answered_need_not_wait_so_long() {
    let told = |unanswered, accused, silence| Hearing {
        silence: Duration::from_secs(silence),
        unanswered: Duration::from_secs(unanswered),
        accused: Duration::from_millis(accused),
    };
    let mut watch = Watch::default();
    assert_eq!(watch.look(told(5, 1000, 0), 20), Verdict::Same);
    assert_eq!(watch.look(told(4, 2000, 0), 20), Verdict::Same);
    assert_eq!(watch.look(told(5, 2000, 0), 21), Verdict::Detected);
    assert_eq!(watch.kind(), Some(PartitionKind::OneWay));
    let quiet = watch.look(told(14, 11_000, 9), 30);
    assert_eq!(quiet, Verdict::Same, "nobody speaks to the dead");
    assert_eq!(watch.kind(), Some(PartitionKind::OneWay));
    assert!(matches!(watch.wakes(40), Verdict::Healed { .. }));
}

#[test]
fn who_spoke_after_it_was_accused_is_heard() {
    let mut watch = Watch::default();
    watch.0.on_spoken(NodeId(1), at(9));
    (1..=2).for_each(|id| watch.falls_silent(id, 10));
    assert_eq!(watch.0.take_heard(at(10)), [], "it was no member lost then");
    watch.0.on_spoken(NodeId(2), at(10));
    assert_eq!(watch.0.take_heard(at(10)), [NodeId(2)]);
}
