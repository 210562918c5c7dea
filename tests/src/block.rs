//! A block of loopback addresses that no other test uses at the same time.

use std::fs::{File, TryLockError};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

/// 127.a.b.0/24, reserved by a lock on a file for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Block {
    prefix: [u8; 3],
    _lock: File,
}

impl Block {
    /// The first block that is free.
    pub(crate) fn reserve() -> Self {
        let folder = std::env::temp_dir().join("convoke-test-addresses");
        std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
        // Beginning at another place every time keeps a block that was just freed out of use for a
        // while: its sockets may still be closing, and late packets meet nobody.
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        let start = std::process::id().wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed)) % 8192;
        for n in (0..8192).map(|n| (start + n) % 8192) {
            let lock =
                File::create(folder.join(n.to_string())).expect("the temporary folder is writable");
            match lock.try_lock() {
                Ok(()) => {
                    return Self {
                        prefix: [127, 96 + (n / 256) as u8, (n % 256) as u8],
                        _lock: lock,
                    };
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    panic!("cannot lock a file in {folder:?}: {error}")
                }
            }
        }
        panic!("all 8192 blocks of addresses are in use: {folder:?}");
    }

    /// The `n`-th address.
    pub(crate) fn address(&self, n: u8) -> Ipv4Addr {
        let [a, b, c] = self.prefix;
        Ipv4Addr::new(a, b, c, n)
    }
}
