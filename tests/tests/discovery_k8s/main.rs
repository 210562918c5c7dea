//! The k8s strategy against a replay of the API server's answers, for no real one can be had where
//! these tests run: the strategy alone, and fleets of real nodes that find each other by it.

mod clusters;
mod strategy;
