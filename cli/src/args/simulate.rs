//! What `convoke simulate` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use convoke_core::sim::report::{Contender, Net, Scenario};

use super::key_and_value;

/// The fewest and the most nodes of a simulated cluster.
const NODES: std::ops::RangeInclusive<u64> = 2..=100_000;
/// The most seeds of one command.
const SEEDS_MAX: u64 = 1_000_000;

/// A scenario, by which protocol, on which network, how often.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP, allow_negative_numbers = true)]
pub(crate) struct SimulateArgs {
    /// What happens to the cluster
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenario: ScenarioArg,
    /// How many nodes
    #[arg(long, value_name = "N", value_parser = nodes)]
    pub(crate) nodes: usize,
    /// How many times, each with another seed
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = seeds)]
    pub(crate) seeds: u64,
    /// The first seed; the others follow
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = first_seed)]
    pub(crate) first_seed: u64,
    /// Who keeps the membership
    #[arg(long, value_name = "P", default_value = "convoke")]
    pub(crate) protocol: ProtocolArg,
    /// The share of packets that every link loses, such as 0.05 or 5% [default: 0; in the scenario loss: 0.1]
    #[arg(long, value_name = "P", value_parser = loss)]
    pub(crate) loss: Option<f64>,
    /// How long packets take. With wan, the detector's wan profile is used, and the baselines take
    /// memberlist's WAN defaults
    #[arg(long, value_name = "NET", default_value = "lan")]
    pub(crate) net: NetArg,
    /// A parameter of the scenario, or a key of the detector (repeatable), see below
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = told)]
    pub(crate) set: Vec<(String, String)>,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw time to know, load and verdicts into this SVG file
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// Begin also where this machine's memory can't hold so many nodes
    #[arg(long)]
    pub(crate) force: bool,
}

const AFTER_HELP: &str = "\
--set takes what a scenario can be told (in brackets what holds where nothing is said):
  duration=TIME    how long the disturbance lasts, such as 90s or 5m [loss: 10m; asymmetric, flapping,
                   anomalies: 2m; partition, churn, steady: 1m]
  share=SHARE      the share of the members that is hit, such as 0.1 or 10% [mass-crash: 0.1;
                   churn, each minute: 0.2; asymmetric: 0.01]
  split=PARTS      the sides of a partition, in parts, such as 9:1 or 2:1:1 [partition: 1:1]
  cut=HOW          how links fail [partition: both, else one-way, pairs or lossy; asymmetric: lossy,
                   else one-way; flapping: both, else one-way]
  anomalous=N      how many members stop again and again [anomalies: 4, 16 and 32]
  stop=TIME        for how long they stop [anomalies: 512ms, 8192ms and 32768ms]
  run=TIME         for how long they run between two stops [anomalies: 1ms, 64ms and 4096ms]
  anomaly=HOW      how they stop, io-block or freeze [anomalies: io-block]
  refused=on       processes are killed on hosts that live, and so refuse [crash, mass-crash: off]
  cpu=off          packets and handshakes cost no CPU time [all: on]
  checks=off       no checkers look at every step; they take time [all: on up to 256 nodes]
and every key of [detector] in `convoke config default`, with or without its table: suspicion_min=2s.

The same command gives the same result on every machine, to the byte. Exit code 1: a run did not
converge, or broke a rule that must always hold; the seed and the command that replays it are told.
Ctrl-C prints what the runs that ended came to, and exits with 130.";

/// What happens to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScenarioArg {
    /// One member says goodbye
    Leave,
    /// All others join one node at the same moment
    JoinStorm,
    /// One member dies without a word
    Crash,
    /// A share of the members dies at the same moment
    MassCrash,
    /// Some members stop again and again (all of Lifeguard's grid, unless narrowed)
    Anomalies,
    /// Packets get lost for ten minutes
    Loss,
    /// The network falls apart, and is whole again after a while
    Partition,
    /// Some nodes hear but are not heard, or lose most of what they send
    Asymmetric,
    /// Members come and go
    Churn,
    /// Nothing happens
    Steady,
    /// One member's links fail and return, over and over
    Flapping,
    /// All nodes restart within a second
    RestartAll,
}

impl ScenarioArg {
    /// The simulator's word for it.
    pub(crate) const fn scenario(self) -> Scenario {
        match self {
            Self::Leave => Scenario::Leave,
            Self::JoinStorm => Scenario::JoinStorm,
            Self::Crash => Scenario::Crash,
            Self::MassCrash => Scenario::MassCrash,
            Self::Anomalies => Scenario::Anomalies,
            Self::Loss => Scenario::Loss,
            Self::Partition => Scenario::Partition,
            Self::Asymmetric => Scenario::Asymmetric,
            Self::Churn => Scenario::Churn,
            Self::Steady => Scenario::Steady,
            Self::Flapping => Scenario::Flapping,
            Self::RestartAll => Scenario::RestartAll,
        }
    }
}

/// A protocol to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProtocolArg {
    /// This project's
    Convoke,
    /// memberlist's: SWIM with Lifeguard, at its LAN defaults
    Lifeguard,
    /// SWIM with suspicion, without Lifeguard, at the same intervals
    Swim,
}

impl ProtocolArg {
    /// The simulator's word for it.
    pub(crate) const fn contender(self) -> Contender {
        match self {
            Self::Convoke => Contender::Convoke,
            Self::Lifeguard => Contender::Lifeguard,
            Self::Swim => Contender::Swim,
        }
    }
}

/// How long packets take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetArg {
    /// One data centre: 0.25 ms, median
    Lan,
    /// Four regions: up to 120 ms one way between them
    Wan,
    /// One data centre with a heavy tail: one packet in a hundred takes 10 to 200 ms
    Tail,
}

impl NetArg {
    /// The simulator's word for it.
    pub(crate) const fn net(self) -> Net {
        match self {
            Self::Lan => Net::Lan,
            Self::Wan => Net::Wan,
            Self::Tail => Net::Tail,
        }
    }
}

/// The word of the command line for a choice, and what it means.
pub(crate) fn word(choice: &impl ValueEnum) -> (String, String) {
    let value = choice
        .to_possible_value()
        .expect("no choice of a simulation is hidden");
    let meaning = value.get_help().map(ToString::to_string);
    (value.get_name().to_owned(), meaning.unwrap_or_default())
}

fn told(text: &str) -> Result<(String, String), String> {
    key_and_value(text, "duration=5m or suspicion_min=2s")
}

fn nodes(text: &str) -> Result<usize, String> {
    let (least, most) = (NODES.start(), NODES.end());
    text.parse::<u64>()
        .ok()
        .filter(|nodes| NODES.contains(nodes))
        .and_then(|nodes| usize::try_from(nodes).ok())
        .ok_or_else(|| format!("expected a number of nodes, {least} to {most}"))
}

fn seeds(text: &str) -> Result<u64, String> {
    let number = text.parse().ok();
    number
        .filter(|seeds| (1..=SEEDS_MAX).contains(seeds))
        .ok_or_else(|| format!("expected a number of seeds, 1 to {SEEDS_MAX}"))
}

fn first_seed(text: &str) -> Result<u64, String> {
    let number = text.parse().ok();
    number.ok_or_else(|| format!("expected a seed, a number from 0 to {}", u64::MAX))
}

fn loss(text: &str) -> Result<f64, String> {
    share(text)
        .filter(|share| *share < 1.0)
        .ok_or_else(|| match text.parse::<f64>() {
            Ok(percent) if 1.0 < percent && percent < 100.0 => format!(
                "a share is less than 1: write {text}% for {text} of a hundred packets, or {}",
                percent / 100.0
            ),
            _ if share(text) == Some(1.0) => {
                "no protocol works where every packet is lost: use 0.99, or partition to cut links"
                    .to_owned()
            }
            _ => "expected a share of packets from 0 to less than 1, such as 0.05 or 5%".to_owned(),
        })
}

/// Reads "0.05" or "5%" as a share from 0 to 1.
pub(crate) fn share(text: &str) -> Option<f64> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let share = number.parse::<f64>().ok()? / whole;
    // Which also refuses what is no number; and there is one zero only.
    (0.0..=1.0).contains(&share).then_some(share.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_fractions_or_percent() {
        assert_eq!(share("0.05"), Some(0.05));
        assert_eq!(share("5%"), Some(0.05));
        assert_eq!(share("100 %"), Some(1.0));
        assert!(share("-0").is_some_and(f64::is_sign_positive));
        for nonsense in ["", "%", "1.1", "-0.1", "nan", "inf", "101%", "five"] {
            assert_eq!(share(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_loss_that_was_meant_in_percent_is_told_how_to_write_it() {
        assert!(loss("5").unwrap_err().contains("write 5% "));
        assert!(loss("5").unwrap_err().contains("or 0.05"));
        for nonsense in ["1", "100%", "-1", "nan", "most", "250"] {
            assert!(loss(nonsense).is_err(), "{nonsense}");
        }
        assert_eq!(loss("0"), Ok(0.0));
        for all in ["1.0", "1", "100%"] {
            assert!(loss(all).unwrap_err().contains("use 0.99"), "{all}");
        }
    }

    #[test]
    fn numbers_below_zero_are_told_what_would_be_right() {
        use crate::args::Cli;
        use clap::Parser as _;
        for (flag, expected) in [
            ("--loss=-0.1", "from 0 to less than 1"),
            ("--loss -0.1", "from 0 to less than 1"),
            ("--seeds -3", "a number of seeds, 1 to 1000000"),
            ("--seeds 0", "a number of seeds, 1 to 1000000"),
            ("--first-seed -1", "a number from 0 to"),
            ("--nodes -3", "a number of nodes, 2 to"),
        ] {
            let line = format!("convoke simulate crash {flag} --json");
            let error = Cli::try_parse_from(line.split(' ')).expect_err(flag);
            assert!(error.to_string().contains(expected), "{flag}: {error}");
        }
    }

    #[test]
    fn a_cluster_has_two_nodes_at_least() {
        for nonsense in ["1", "0", "100001", "-5", "many", ""] {
            assert!(nodes(nonsense).is_err(), "{nonsense}");
        }
        assert_eq!((nodes("2"), nodes("100000")), (Ok(2), Ok(100_000)));
    }

    #[test]
    fn every_choice_has_its_word_and_its_meaning() {
        let words: Vec<(String, String)> = ScenarioArg::value_variants().iter().map(word).collect();
        let names: Vec<&str> = words.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names.join(" "),
            "leave join-storm crash mass-crash anomalies loss partition asymmetric churn steady \
             flapping restart-all"
        );
        assert!(words.iter().all(|(_, meaning)| !meaning.is_empty()));
        for arg in ScenarioArg::value_variants() {
            let debug = format!("{:?}", arg.scenario());
            assert_eq!(debug, format!("{arg:?}"), "each stands for its own");
        }
    }
}
