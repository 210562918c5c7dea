//! Maps by id, in the order of arrival.

use std::hash::{BuildHasherDefault, Hasher};

use indexmap::IndexMap;

use crate::name::NodeId;

/// The hasher of maps by [`NodeId`]: ids are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(word);
        }
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }
}

pub(crate) type ById<T> = IndexMap<NodeId, T, BuildHasherDefault<IdHasher>>;
