//! Panics in tasks and threads of a round: they end a node's part, not the round, and are told.

use std::panic;
use std::sync::{Arc, Mutex, PoisonError};

/// Panics of this process since it began to count them.
#[derive(Clone, Debug, Default)]
pub(super) struct Panics(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    count: usize,
    first: String,
}

impl Panics {
    /// Counts from now on, beside what is told on stderr.
    pub(super) fn count() -> Self {
        let panics = Self::default();
        let (counter, told) = (panics.clone(), panic::take_hook());
        panic::set_hook(Box::new(move |what| {
            counter.take(&what.to_string());
            told(what);
        }));
        panics
    }

    fn take(&self, what: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.count == 0 {
            // The place, and what was wrong there: paths of crates are longer than they tell.
            seen.first = what
                .split_whitespace()
                .map(|word| word.rsplit_once("/src/index").map_or(word, |(_, end)| end))
                .collect::<Vec<_>>()
                .join(" ");
        }
        seen.count += 1;
    }

    /// How many there were, and the first; none where there were none.
    pub(super) fn words(&self) -> Option<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.count {
            0 => None,
            1 => Some(seen.first.clone()),
            count => Some(format!("{count} panics, the first: {}", seen.first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_counted_and_the_first_is_told() {
        let panics = Panics::default();
        assert_eq!(panics.words(), None);
        panics.take(
            "panicked at /home/x/.cargo/registry/src/index.crates.io-1/a-1/src/b.rs:7:1:\nno",
        );
        panics.take("panicked at elsewhere");
        let words = panics.words().unwrap();
        assert!(
            words.starts_with("2 panics, the first: panicked at "),
            "{words}"
        );
        assert!(words.ends_with("a-1/src/b.rs:7:1: no"), "{words}");
        assert!(!words.contains("/home/"), "{words}");
    }
}
