//! The etcd strategy against Debian's etcd: the strategy alone, and fleets of real nodes that find
//! each other by it.

mod clusters;
mod strategy;
