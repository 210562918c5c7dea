//! What the bench is told on its command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::engine::Engine;
use super::figure::Figure;
use super::outcome::{Assignment, Times};

/// The most nodes of one cluster.
const NODES_MAX: u64 = 4096;
/// The most processes of one cluster.
const PROCESSES_MAX: u64 = 128;
/// The most rounds.
const ROUNDS_MAX: u64 = 1000;
/// The longest rest, in seconds.
const IDLE_MAX: u64 = 24 * 3600;

/// Measures real nodes over real QUIC: how long they take to know, what they cost, and what they get
/// wrong. All nodes of a round run in one process, each on a loopback address of its own, in a network
/// namespace of their own; every round in a fresh one.
#[derive(Clone, Debug, Parser)]
#[command(name = "convergence")]
pub(super) struct Arguments {
    /// Sizes of clusters
    #[arg(long, num_args = 1.., value_delimiter = ',', default_values_t = [16, 64, 128],
          value_parser = clap::value_parser!(u64).range(2..=NODES_MAX))]
    pub(super) nodes: Vec<u64>,
    /// What is measured [default: all]
    #[arg(long, num_args = 1.., value_delimiter = ',', value_enum)]
    pub(super) figures: Vec<Figure>,
    /// Which engines are, side by side. All but `convoke` need the feature `peers`
    #[arg(long, num_args = 1.., value_delimiter = ',', value_enum, default_values_t = [Engine::Convoke])]
    pub(super) subjects: Vec<Engine>,
    /// How often each is
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=ROUNDS_MAX))]
    pub(super) rounds: u64,
    /// Decides who leaves, who falls silent and who is on which side
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    /// How many `convoke` processes there are, of which one is killed
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(2..=PROCESSES_MAX))]
    pub(super) processes: u64,
    /// How long nothing happens in the figure `idle`, in seconds [default: 25]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=IDLE_MAX))]
    pub(super) idle: Option<u64>,
    /// Shorter rests, losses and cuts: to see that everything works
    #[arg(long)]
    pub(super) quick: bool,
    /// Write all that was measured here, for programs
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write a report with plots here
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// The `convoke` program [default: the one that was built beside this bench]
    #[arg(long, value_name = "FILE")]
    pub(super) program: Option<PathBuf>,
    /// One round of one figure, in the namespace that this process is in
    #[arg(long, hide = true, value_parser = assignment)]
    pub(super) assignment: Option<Assignment>,
    /// What cargo tells every bench
    #[arg(long, hide = true)]
    pub(super) bench: bool,
}

fn assignment(text: &str) -> Result<Assignment, serde_json::Error> {
    serde_json::from_str(text)
}

impl Arguments {
    /// The figures, each once, in their order.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let wanted = |figure: &Figure| self.figures.is_empty() || self.figures.contains(figure);
        Figure::ALL.into_iter().filter(wanted).collect()
    }

    /// The engines, each once, in their order.
    pub(super) fn subjects(&self) -> Vec<Engine> {
        let wanted = |engine: &Engine| self.subjects.contains(engine);
        Engine::ALL.into_iter().filter(wanted).collect()
    }

    /// What is measured, in order: each figure of each size of each engine, as far as the engine has
    /// such. Of processes that are killed there is one size.
    pub(super) fn experiments(&self) -> Vec<(Figure, usize, Engine)> {
        let mut experiments = Vec::new();
        for figure in self.figures() {
            for nodes in self.sizes(figure) {
                let engines = self.subjects().into_iter();
                let able = engines.filter(|engine| figure.is_of(*engine) && engine.takes(nodes));
                experiments.extend(able.map(|engine| (figure, nodes, engine)));
            }
        }
        experiments
    }

    fn sizes(&self, figure: Figure) -> impl Iterator<Item = usize> {
        let sizes = match figure {
            Figure::Kill => std::slice::from_ref(&self.processes),
            _ => &self.nodes,
        };
        sizes
            .iter()
            .map(|size| usize::try_from(*size).expect("the parser bounds the sizes"))
    }

    /// How long what is done lasts.
    pub(super) fn times(&self) -> Times {
        let times = if self.quick {
            Times::QUICK
        } else {
            Times::FULL
        };
        let idle = self.idle.map_or(times.idle, Duration::from_secs);
        Times { idle, ..times }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Arguments, ErrorKind> {
        Arguments::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn figures_are_taken_in_their_order_and_once() {
        let arguments = parse("c --nodes 16 8 --figures kill,join join --processes 9 --bench");
        let experiments = arguments.unwrap().experiments();
        assert_eq!(
            experiments,
            [
                (Figure::Join, 16, Engine::Convoke),
                (Figure::Join, 8, Engine::Convoke),
                (Figure::Kill, 9, Engine::Convoke)
            ]
        );
    }

    #[test]
    fn engines_stand_side_by_side_as_far_as_they_go() {
        let arguments =
            parse("c --nodes 20,21 --figures leave,kill --subjects serf,chitchat,convoke");
        let experiments = arguments.unwrap().experiments();
        assert_eq!(
            experiments,
            [
                (Figure::Leave, 20, Engine::Convoke),
                (Figure::Leave, 20, Engine::Serf),
                (Figure::Leave, 21, Engine::Convoke),
                (Figure::Kill, 12, Engine::Convoke)
            ]
        );
    }

    #[test]
    fn arguments_that_make_no_sense_are_usage_errors() {
        for line in [
            "c --nodes 1",
            "c --rounds 0",
            "c --idle 0",
            "c --nodes 5000",
        ] {
            assert_eq!(
                parse(line).unwrap_err(),
                ErrorKind::ValueValidation,
                "{line}"
            );
        }
        assert_eq!(
            parse("c --figures what").unwrap_err(),
            ErrorKind::InvalidValue
        );
    }

    #[test]
    fn an_assignment_is_handed_over_whole() {
        let given = Assignment {
            engine: Engine::GoMemberlist,
            figure: Figure::Crash10,
            nodes: 16,
            seed: 7,
            times: Times::QUICK,
            program: Some("/convoke".into()),
        };
        let text = serde_json::to_string(&given).unwrap();
        let read = Arguments::try_parse_from(["c", "--assignment", &text]);
        assert_eq!(read.unwrap().assignment, Some(given));
    }
}
