//! Real servers of other projects, for the tests to have and to take away.

pub mod epmd;
