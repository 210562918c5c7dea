//! Who was held as suspect or failed, or was forgotten, by how many, when: a table of members by
//! time.

use std::collections::BTreeMap;
use std::collections::HashMap;

use convoke_core::sim::protocol::Health;
use convoke_core::sim::report::Note;

use super::clock::Clock;

/// The most rows; of more members, several share one.
pub(super) const ROWS_MAX: usize = 180;
/// How many parts the time has.
pub(super) const COLUMNS: usize = 360;

/// How many nodes held a member as suspect, as failed, and how many forgot it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Held {
    pub(super) suspect: u32,
    pub(super) failed: u32,
    pub(super) forgotten: u32,
}

/// One row: a member, or some that are next to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The first and the last of them.
    pub(super) subjects: (u32, u32),
    /// The most in each part of the time.
    pub(super) cells: Vec<Held>,
}

/// The rows of all members that anybody ever held as suspect or failed.
pub(super) fn rows(notes: &[Note], clock: &Clock) -> Vec<Row> {
    let mut histories: BTreeMap<u32, Vec<Note>> = BTreeMap::new();
    for note in notes {
        histories.entry(note.subject).or_default().push(*note);
    }
    let accused = histories.into_iter().filter(|(_, notes)| {
        notes
            .iter()
            .any(|note| matches!(note.health, Health::Suspect | Health::Failed))
    });
    let rows: Vec<Row> = accused
        .map(|(subject, notes)| row(subject, &notes, clock))
        .collect();
    let together = rows.len().div_ceil(ROWS_MAX).max(1);
    rows.chunks(together).map(merge).collect()
}

fn row(subject: u32, notes: &[Note], clock: &Clock) -> Row {
    let mut cells = vec![Held::default(); COLUMNS];
    let mut minds: HashMap<u32, Health> = HashMap::new();
    let (mut held, mut column) = (Held::default(), 0);
    for note in notes {
        let next = clock.part(note.at, COLUMNS);
        // What was held until now was held in all parts up to this one.
        for cell in &mut cells[column..=next.max(column)] {
            *cell = most(*cell, held);
        }
        column = next.max(column);
        let before = minds.insert(note.observer, note.health);
        held = change(held, before, false);
        held = change(held, Some(note.health), true);
        cells[column] = most(cells[column], held);
    }
    for cell in &mut cells[column..] {
        *cell = most(*cell, held);
    }
    Row {
        subjects: (subject, subject),
        cells,
    }
}

/// One node more or less that holds a member so.
fn change(mut held: Held, health: Option<Health>, more: bool) -> Held {
    let count = match health {
        Some(Health::Suspect) => &mut held.suspect,
        Some(Health::Failed) => &mut held.failed,
        Some(Health::Unknown) => &mut held.forgotten,
        _ => return held,
    };
    *count = if more { *count + 1 } else { *count - 1 };
    held
}

/// The moment in which more observers accused.
fn most(left: Held, right: Held) -> Held {
    Held {
        suspect: left.suspect.max(right.suspect),
        failed: left.failed.max(right.failed),
        forgotten: left.forgotten.max(right.forgotten),
    }
}

fn merge(rows: &[Row]) -> Row {
    let mut rows = rows.iter();
    let mut merged = rows.next().expect("chunks are never empty").clone();
    for row in rows {
        merged.subjects.1 = row.subjects.1;
        for (cell, other) in merged.cells.iter_mut().zip(&row.cells) {
            *cell = most(*cell, *other);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use convoke_core::Instant;
    use std::time::Duration;

    fn clock() -> Clock {
        Clock::new(Instant::ORIGIN, Duration::from_secs(COLUMNS as u64))
    }

    /// At the middle of a column's second.
    fn note(column: u64, observer: u32, subject: u32, health: Health) -> Note {
        Note {
            at: Instant::from_micros(column * 1_000_000 + 500_000),
            observer,
            subject,
            health,
        }
    }

    #[test]
    fn a_row_counts_those_who_hold_it_so_at_the_time() {
        let notes = [
            note(2, 1, 9, Health::Suspect),
            note(3, 2, 9, Health::Suspect),
            note(5, 1, 9, Health::Failed),
            note(7, 2, 9, Health::Alive),
            note(9, 1, 9, Health::Left),
        ];
        let rows = rows(&notes, &clock());
        assert_eq!((rows.len(), rows[0].subjects), (1, (9, 9)));
        let shown: Vec<(u32, u32)> = rows[0].cells[..11]
            .iter()
            .map(|held| (held.suspect, held.failed))
            .collect();
        let expected = [
            (0, 0),
            (0, 0),
            (1, 0),
            (2, 0),
            (2, 0),
            (2, 1),
            (1, 1),
            (1, 1),
            (0, 1),
            (0, 1),
            (0, 0),
        ];
        assert_eq!(shown, expected);
        assert!(
            rows[0].cells[11..]
                .iter()
                .all(|held| *held == Held::default())
        );
    }

    #[test]
    fn what_stands_at_the_end_stands_until_the_end() {
        let rows = rows(&[note(350, 1, 2, Health::Failed)], &clock());
        assert!(rows[0].cells[350..].iter().all(|held| held.failed == 1));
    }

    #[test]
    fn the_forgotten_are_not_the_well() {
        let notes = [
            note(2, 1, 9, Health::Failed),
            note(4, 1, 9, Health::Unknown),
            note(6, 1, 9, Health::Alive),
        ];
        let rows = rows(&notes, &clock());
        let forgotten: Vec<u32> = rows[0].cells[3..8]
            .iter()
            .map(|held| held.forgotten)
            .collect();
        assert_eq!(forgotten, [0, 1, 1, 1, 0]);
    }

    #[test]
    fn the_same_word_twice_counts_once() {
        let again = [
            note(1, 1, 2, Health::Suspect),
            note(2, 1, 2, Health::Suspect),
        ];
        assert_eq!(rows(&again, &clock())[0].cells[5].suspect, 1);
    }

    #[test]
    fn those_who_were_never_accused_have_no_row() {
        let well = [note(1, 1, 2, Health::Alive), note(1, 1, 3, Health::Left)];
        assert_eq!(rows(&well, &clock()), []);
    }

    #[test]
    fn many_members_share_rows() {
        let notes: Vec<Note> = (0..1000)
            .map(|n| note(1, 5000, n, Health::Failed))
            .collect();
        let rows = rows(&notes, &clock());
        assert!(rows.len() <= ROWS_MAX, "{}", rows.len());
        assert_eq!(rows[0].subjects, (0, 5));
        assert_eq!(rows.last().unwrap().subjects.1, 999);
        assert!(rows.iter().all(|row| row.cells[2].failed == 1));
    }
}
