//! Who is registered at an embedded server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::codec::{self, Entry, Registered};

/// The most nodes of one host that are registered; more are refused. Each holds a connection, and
/// a process may have 1024 files as a rule.
const ENTRIES_MAX: usize = 512;

/// The registered nodes, the newest last. Locked for a look or a change, never longer.
#[derive(Debug, Default)]
pub(super) struct Registry {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: Vec<Entry>,
    creation: u32,
}

/// A registered node; it is registered no more when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    registry: Arc<Registry>,
    name: String,
}

impl Registry {
    /// Takes a node in, unless its name is taken or there are too many.
    pub(super) fn register(self: &Arc<Self>, entry: Entry) -> (Registered, Option<Seat>) {
        let mut inner = self.inner();
        let taken = inner.entries.iter().any(|other| other.name == entry.name);
        inner.creation = inner.creation.wrapping_add(1).max(1);
        let (taken_in, creation) = (!taken && inner.entries.len() < ENTRIES_MAX, inner.creation);
        let seat = taken_in.then(|| {
            let name = entry.name.clone();
            inner.entries.push(entry);
            Seat {
                registry: self.clone(),
                name,
            }
        });
        (Registered { taken_in, creation }, seat)
    }

    /// The answer to a look-up.
    pub(super) fn found(&self, name: &str) -> Vec<u8> {
        let inner = self.inner();
        let found = inner.entries.iter().find(|entry| entry.name == name);
        codec::encode_found(found)
    }

    /// The list of names, the newest first.
    pub(super) fn names(&self, port: u16) -> Vec<u8> {
        codec::encode_names(port, self.inner().entries.iter().rev())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is a single call: a panic elsewhere leaves the list whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let name = &self.name;
        let mut inner = self.registry.inner();
        inner.entries.retain(|entry| entry.name != *name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_again_when_its_place_is_given_up() {
        let registry = Arc::new(Registry::default());
        let (first, seat) = registry.register(Entry::of("a", 1));
        let (second, refused) = registry.register(Entry::of("a", 2));
        assert!(first.taken_in && !second.taken_in && refused.is_none());
        drop(seat);
        assert_eq!(registry.found("a"), codec::encode_found(None));
        let (third, seat) = registry.register(Entry::of("a", 2));
        assert!(third.taken_in && third.creation != first.creation);
        let expected = codec::encode_found(Some(&Entry::of("a", 2)));
        assert_eq!(registry.found("a"), expected);
        drop(seat);
    }

    #[test]
    fn there_is_room_for_so_many_and_the_newest_is_listed_first() {
        let registry = Arc::new(Registry::default());
        let register = |n: usize| registry.register(Entry::of(&format!("n{n}"), 1)).1;
        let seats: Vec<_> = (0..ENTRIES_MAX).map(register).collect();
        assert!(seats.iter().all(Option::is_some) && register(ENTRIES_MAX).is_none());
        let listed = codec::decode_names(&registry.names(4369)).unwrap();
        let newest = format!("n{}", ENTRIES_MAX - 1);
        assert_eq!((listed.len(), &listed[0].0), (ENTRIES_MAX, &newest));
    }
}
