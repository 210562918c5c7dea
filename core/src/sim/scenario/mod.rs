//! Scenarios: what happens to a fleet, and what is measured of it.
//!
//! Each begins with a cluster that settled long ago (or with nodes that do not know each other),
//! whose connections are warm; does one thing to it; and says how long the news took, what they
//! cost, and who was wronged. One seed is one run; the same for every protocol.

mod anomalies;
mod churn;
mod crash;
mod join_storm;
mod leave;
mod partition;
mod quiet;
mod restart_all;
mod stage;
mod unsteady;

use stage::Stage;

use super::baseline::{self, Baseline};
use super::protocol::Protocol;
use super::report::{Contender, Net, Progress, Run, Scenario, Setup};
use crate::engine::Engine;

/// Runs a scenario once. `progress` is told how far it is now and then.
pub fn run(setup: &Setup, seed: u64, progress: &mut dyn FnMut(Progress)) -> Run {
    let baseline = |config: baseline::Config| match setup.net {
        Net::Wan => config.with_wan(),
        Net::Lan | Net::Tail => config,
    };
    match setup.protocol {
        Contender::Convoke => play::<Engine>(setup, setup.config.clone(), seed, progress),
        Contender::Lifeguard => {
            let config = baseline(baseline::Config::lifeguard());
            play::<Baseline>(setup, config, seed, progress)
        }
        Contender::Swim => {
            let config = baseline(baseline::Config::swim());
            play::<Baseline>(setup, config, seed, progress)
        }
    }
}

fn play<P: Protocol>(
    setup: &Setup,
    config: P::Config,
    seed: u64,
    progress: &mut dyn FnMut(Progress),
) -> Run {
    let mut stage = Stage::<P>::new(setup, config, seed, progress);
    match setup.scenario {
        Scenario::Leave => leave::play(&mut stage),
        Scenario::JoinStorm => join_storm::play(&mut stage),
        Scenario::Crash => crash::one(&mut stage),
        Scenario::MassCrash => crash::many(&mut stage),
        Scenario::Anomalies => anomalies::play(&mut stage),
        Scenario::Loss => quiet::loss(&mut stage),
        Scenario::Steady => quiet::steady(&mut stage),
        Scenario::Partition => partition::play(&mut stage),
        Scenario::Asymmetric => unsteady::asymmetric(&mut stage),
        Scenario::Flapping => unsteady::flapping(&mut stage),
        Scenario::Churn => churn::play(&mut stage),
        Scenario::RestartAll => restart_all::play(&mut stage),
    }
    stage.finish()
}

#[cfg(test)]
mod tests;
