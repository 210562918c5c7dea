//! The servers that nodes ask, for tests to start, kill and start again: the real ones where they
//! can be had, else a replay of their answers that says so.

mod dnsmasq;
pub mod epmd;

pub use dnsmasq::Dnsmasq;
