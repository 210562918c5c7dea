//! The servers that nodes ask, for tests to start, kill and start again: the real ones where
//! they can be had, else a replay of their answers that says so.

mod authority;
mod dnsmasq;
pub mod epmd;
mod etcd;
mod kubernetes_replay;

pub use authority::{Authority, Issued};
pub use dnsmasq::Dnsmasq;
pub use etcd::{Etcd, EtcdTls};
pub use kubernetes_replay::{KubernetesReplay, Pod};
