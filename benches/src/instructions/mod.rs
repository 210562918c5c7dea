//! How many instructions the hot paths take, counted by valgrind: the same on a busy machine as on
//! an idle one, so that a path that got dearer is seen, however little.
//!
//! Each path runs in a process of its own under `callgrind`, which counts only what one
//! function calls. What is accepted lies in `benches/instructions.json`.

mod accepted;
mod paths;
mod valgrind;

pub use accepted::{Accepted, TOLERANCE, Verdict};
pub use paths::{PATHS, Path};
pub use valgrind::{CountError, count};
