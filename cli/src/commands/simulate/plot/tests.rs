use std::time::Duration;

use convoke_core::Instant;
use convoke_core::sim::protocol::Health;
use convoke_core::sim::report::{Load, Note, Run};

use super::*;
use crate::commands::simulate::figures::tests::crash;
use crate::commands::simulate::plan::tests::plan;

const LINE: &str = "crash|--nodes|1000|--seeds|2";

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1000)
}

/// As a crash of node 7 that 40 observers see.
fn seen() -> Run {
    let notes = (0..40).flat_map(|observer| {
        [(1000, Health::Suspect), (4000, Health::Failed)].map(|(millis, health)| Note {
            at: at(millis + u64::from(observer)),
            observer,
            subject: 7,
            health,
        })
    });
    Run {
        notes: notes.collect(),
        marks: vec![(at(0), "crash of <7> & \"co\"".into())],
        load: Load {
            width: Duration::from_millis(100),
            bins: (0..50).map(|bin| (bin, bin * 10_000)).collect(),
            ..Load::default()
        },
        ended: at(9000),
        ..crash(1, 4000)
    }
}

fn drawn(line: &str, run: &Run) -> String {
    let plan = plan(line).unwrap();
    let mut figures = Figures::default();
    figures.add(run);
    svg(&plan, &figures, run).expect("it can be drawn")
}

/// Every tag is closed, and none but known ones are opened; texts hold no loose markup.
fn assert_well_formed(svg: &str) {
    let mut open = Vec::new();
    let mut rest = svg;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "loose: {}", &rest[..start]);
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            _ if tag.starts_with(['?', '!']) => {}
            (Some(name), _) => assert_eq!(open.pop(), Some(name)),
            (None, true) => {}
            (None, false) => open.push(tag.split_whitespace().next().expect("a name")),
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "{open:?}");
    for ampersand in svg.match_indices('&').map(|(at, _)| &svg[at..]) {
        let known = ["&lt;", "&gt;", "&amp;", "&quot;", "&apos;"];
        assert!(known.iter().any(|known| ampersand.starts_with(known)));
    }
    for number in ["NaN", "nan", "inf"] {
        assert!(!svg.contains(&format!("\"{number}")), "{number}");
    }
    assert!(!svg.contains("NaN"));
}

#[test]
fn a_picture_is_whole_and_has_all_panels() {
    let svg = drawn(LINE, &seen());
    assert_well_formed(&svg);
    for words in [
        "One member dies without a word",
        "1,000 nodes of Convoke, lan network, no loss",
        "Time until a node knew",
        "time since it happened (s)",
        "Load over time",
        "Who was held as suspect or failed",
        "node 7",
        "999 observers",
        "crash of &lt;7&gt; &amp; ",
        "convoke simulate crash --nodes 1000 --seeds 2",
        "trace 000000000000abc1",
    ] {
        assert!(svg.contains(words), "{words}");
    }
}

#[test]
fn the_same_runs_give_the_same_bytes() {
    assert_eq!(drawn(LINE, &seen()), drawn(LINE, &seen()));
    let other = Run { trace: 1, ..seen() };
    assert_ne!(drawn(LINE, &seen()), drawn(LINE, &other));
}

#[test]
fn runs_in_which_next_to_nothing_happened_can_be_drawn() {
    let nothing = drawn("steady|--nodes|2", &Run::default());
    assert_well_formed(&nothing);
    for words in [
        "Nothing happened that every node had to learn.",
        "Nothing was sent while it was measured.",
        "Nobody was held as suspect or failed.",
    ] {
        assert!(nothing.contains(words), "{words}");
    }
    let at_once = Run {
        known: vec![Duration::ZERO; 3],
        known_by_all: vec![Duration::ZERO],
        ..seen()
    };
    assert_well_formed(&drawn("crash|--nodes|2", &at_once));
}

#[test]
fn a_hundred_thousand_accusations_make_a_picture_that_a_browser_can_show() {
    let notes = (0..100_000_u64).map(|n| Note {
        at: at(n % 9000),
        observer: (n % 97) as u32,
        subject: (n % 1009) as u32,
        health: if n % 3 == 0 {
            Health::Alive
        } else {
            Health::Suspect
        },
    });
    let mut notes: Vec<Note> = notes.collect();
    notes.sort_by_key(|note| note.at);
    let run = Run {
        notes,
        marks: (0..5000).map(|n| (at(n), format!("event {n}"))).collect(),
        ..seen()
    };
    let svg = drawn("churn|--nodes|2000", &run);
    assert_well_formed(&svg);
    assert!(svg.len() < 8 << 20, "{} bytes", svg.len());
}

#[test]
fn a_picture_of_a_failed_run_says_that_it_failed() {
    let run = Run {
        missed: 1,
        ended: at(9000),
        ..Run::default()
    };
    let svg = drawn("partition|--nodes|16|--protocol|lifeguard", &run);
    assert_well_formed(&svg);
    for words in ["healed: never (1 of 1)", "It was never one cluster again."] {
        assert!(svg.contains(words), "{words}");
    }
    assert!(!svg.contains("Nothing happened"));
}

#[test]
fn time_without_anything_to_see_is_not_drawn() {
    let quiet = Run {
        notes: Vec::new(),
        ..seen()
    };
    assert_eq!(shown(&seen()), Duration::from_millis(5100));
    assert_eq!(shown(&quiet), Duration::from_millis(5100));
    let apart = Run {
        converged: false,
        ..quiet
    };
    assert_eq!(shown(&apart), Duration::from_millis(9000));
}
