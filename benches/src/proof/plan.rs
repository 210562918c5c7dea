//! What is simulated, how often, and which line of the table reads what of it.

use convoke_core::Config;
use convoke_core::sim::report::{Contender, Net, Params, Scenario, Setup};

use super::reading::Reading;
use super::rows;
use super::scale::{Scale, Size};
use super::words::counted;

/// Who is compared, in the order of the table's columns, with the names that people know.
pub(super) const CONTENDERS: [(Contender, &str); 3] = [
    (Contender::Convoke, "Convoke"),
    (Contender::Lifeguard, "memberlist"),
    (Contender::Swim, "SWIM"),
];

/// What is asked of the proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The criteria, see [`ROWS`](super::ROWS); none: all of them.
    pub rows: Vec<u8>,
    /// How many seeds for everything, instead of what suits each.
    pub seeds: Option<u64>,
    /// Smaller clusters and fewer seeds: a look within two minutes, not a proof.
    pub quick: bool,
}

impl Request {
    /// The arguments that ask for it.
    pub(super) fn arguments(&self) -> String {
        let mut arguments = Vec::new();
        if self.quick {
            arguments.push("--quick".to_owned());
        }
        arguments.extend(self.rows.iter().map(|row| format!("--row {row}")));
        arguments.extend(self.seeds.map(|seeds| format!("--seeds {seeds}")));
        arguments.join(" ")
    }
}

/// All that is simulated, and the table that comes of it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) request: Request,
    pub(super) experiments: Vec<Experiment>,
    pub(super) lines: Vec<Line>,
}

/// One protocol in some setups, each with the same seeds.
#[derive(Clone, Debug)]
pub(super) struct Experiment {
    /// What it is, for whoever watches.
    pub(super) what: String,
    pub(super) setups: Vec<Setup>,
    pub(super) seeds: u64,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) row: u8,
    pub(super) what: String,
    /// The experiment of each column; where there is none, the cell is empty.
    pub(super) cells: Cells,
    pub(super) reading: Reading,
    pub(super) target: &'static str,
}

/// For each of [`CONTENDERS`], the place of its experiment.
pub(super) type Cells = [Option<usize>; CONTENDERS.len()];

/// What is simulated with each protocol.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) what: String,
    pub(super) scenario: Scenario,
    pub(super) size: Size,
    pub(super) loss: f64,
    pub(super) net: Net,
    pub(super) config: Config,
    /// The cells of a grid; else one.
    pub(super) params: Vec<Params>,
}

impl Case {
    /// A cluster of this size, to which this happens.
    pub(super) fn new(what: impl Into<String>, scenario: Scenario, size: Size) -> Self {
        Self {
            what: what.into(),
            scenario,
            size,
            loss: 0.0,
            net: Net::Lan,
            config: Config::lan(),
            params: vec![Params::default()],
        }
    }

    /// With these parameters.
    pub(super) fn with(self, params: Params) -> Self {
        Self {
            params: vec![params],
            ..self
        }
    }

    /// Across regions, with the profile for them.
    pub(super) fn across_regions(self) -> Self {
        Self {
            what: format!("{} across regions", self.what),
            net: Net::Wan,
            config: Config::wan(),
            ..self
        }
    }

    fn setup(&self, protocol: Contender, params: &Params) -> Setup {
        Setup {
            scenario: self.scenario,
            protocol,
            nodes: self.size.nodes,
            loss: self.loss,
            net: self.net,
            config: self.config.clone(),
            params: params.clone(),
        }
    }
}

impl Plan {
    /// All that the request asks for.
    pub fn new(request: Request) -> Self {
        let scale = Scale::new(&request);
        let mut plan = Self {
            request,
            experiments: Vec::new(),
            lines: Vec::new(),
        };
        rows::fill(&mut plan, &scale);
        plan
    }

    /// How many runs that are.
    pub fn runs(&self) -> u64 {
        let runs = |experiment: &Experiment| experiment.seeds * experiment.setups.len() as u64;
        self.experiments.iter().map(runs).sum()
    }

    /// Simulates a case with all protocols.
    pub(super) fn side_by_side(&mut self, case: &Case) -> Cells {
        CONTENDERS.map(|(protocol, name)| Some(self.add(case, protocol, name)))
    }

    /// Simulates a case with Convoke only.
    pub(super) fn convoke_alone(&mut self, case: &Case) -> Cells {
        let (protocol, name) = CONTENDERS[0];
        [Some(self.add(case, protocol, name)), None, None]
    }

    /// What two lines ask for is run once.
    fn add(&mut self, case: &Case, protocol: Contender, name: &str) -> usize {
        let params = case.params.iter();
        let experiment = Experiment {
            what: format!("{}, {}: {name}", case.what, nodes(case.size)),
            setups: params.map(|params| case.setup(protocol, params)).collect(),
            seeds: case.size.seeds,
        };
        let known = self.experiments.iter().position(|e| e.asks_as(&experiment));
        known.unwrap_or_else(|| {
            self.experiments.push(experiment);
            self.experiments.len() - 1
        })
    }

    /// Adds a line about clusters of one size.
    pub(super) fn line(
        &mut self,
        row: u8,
        what: impl std::fmt::Display,
        size: Size,
        cells: Cells,
        reading: Reading,
        target: &'static str,
    ) {
        let seeds = counted(size.seeds, "seed");
        let line = Line {
            row,
            what: format!("{what}; {}, {seeds}", nodes(size)),
            cells,
            reading,
            target,
        };
        self.lines.push(line);
    }
}

impl Experiment {
    fn asks_as(&self, other: &Self) -> bool {
        // Setups have no equality of their own; their texts name every value.
        self.seeds == other.seeds && format!("{:?}", self.setups) == format!("{:?}", other.setups)
    }
}

fn nodes(size: Size) -> String {
    counted(size.nodes as u64, "node")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[u8], seeds: Option<u64>, quick: bool) -> Plan {
        let rows = arguments.to_vec();
        Plan::new(Request { rows, seeds, quick })
    }

    #[test]
    fn every_criterion_has_its_lines_for_all_three() {
        for quick in [false, true] {
            let plan = of(&[], None, quick);
            for row in super::super::ROWS {
                let full = |line: &&Line| line.cells.iter().all(Option::is_some);
                let mut lines = plan.lines.iter().filter(|line| i64::from(line.row) == row);
                assert!(lines.any(|line| full(&line)), "criterion {row}");
            }
        }
    }

    #[test]
    fn one_criterion_is_run_alone() {
        let plan = of(&[8], None, false);
        assert!(plan.lines.iter().all(|line| line.row == 8));
        let scenarios = plan.experiments.iter().flat_map(|e| &e.setups);
        assert!(scenarios.clone().count() > 0);
        assert!(scenarios.clone().all(|s| s.scenario == Scenario::Steady));
    }

    #[test]
    fn seeds_that_are_asked_for_are_those_of_every_line() {
        let plan = of(&[], Some(3), true);
        assert!(plan.experiments.iter().all(|e| e.seeds == 3));
        assert!(plan.lines.iter().all(|l| l.what.ends_with(", 3 seeds")));
    }

    #[test]
    fn what_two_lines_ask_for_is_run_once() {
        let plan = of(&[], None, false);
        let texts = plan.experiments.iter().map(|e| format!("{:?}", e.setups));
        let mut texts: Vec<_> = texts.collect();
        let all = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), all);
    }

    #[test]
    fn a_request_is_told_as_its_arguments() {
        let request = Request {
            rows: vec![1, 8],
            seeds: Some(3),
            quick: true,
        };
        assert_eq!(request.arguments(), "--quick --row 1 --row 8 --seeds 3");
        assert_eq!(Request::default().arguments(), "");
    }
}
