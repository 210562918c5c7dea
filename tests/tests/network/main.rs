//! Twelve hosts on a network that is cut, loses packets and comes back: real processes, real
//! sockets, real packets that are dropped.
//!
//! The tests have deadlines that any machine keeps. What they measure on the way is told as
//! figures; with `TESTS_LONG=1` everything lasts as long, and is repeated as often, as figures that
//! mean something take.

mod apart;
mod autoclean;
mod crash;
mod ground;
mod links;
mod loss;
mod one_way;
mod split_brain;
mod splits;

use convoke_tests::figures;
