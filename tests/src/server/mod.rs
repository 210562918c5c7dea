//! The servers that discovery asks, for tests to start, kill and start again: the real ones where
//! they can be had, else a replay of their answers that says so.

mod dnsmasq;

pub use dnsmasq::Dnsmasq;
