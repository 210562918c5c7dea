//! What a command line asks for: the setup of every run, its seeds, and the command again.

use convoke_core::sim::report::{Scenario, Setup};

use super::set;
use crate::args::{NetArg, ProtocolArg, SimulateArgs, word};
use crate::exit::{Code, Exit};

/// The loss of the scenario that is about it, where none is given.
const LOSS_OF_LOSS: f64 = 0.1;

/// What is to be simulated.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Of every run.
    pub(super) setup: Setup,
    /// The words of the command line.
    pub(super) scenario: String,
    pub(super) protocol: String,
    pub(super) net: String,
    /// What happens, in a sentence.
    pub(super) meaning: String,
    /// How packets travel, in a sentence.
    pub(super) travel: String,
    pub(super) seeds: u64,
    pub(super) first_seed: u64,
    /// What was said in vain, in sentences.
    pub(super) vain: Vec<String>,
    /// The part of the command that all seeds have in common.
    common: String,
}

impl Plan {
    /// Reads the arguments.
    ///
    /// # Errors
    /// What makes no sense, as a usage error.
    pub(super) fn new(args: &SimulateArgs) -> Result<Self, Exit> {
        let told = set::told(args)?;
        let last = args.first_seed.checked_add(args.seeds - 1);
        last.ok_or_else(|| {
            let largest = u64::MAX;
            Exit::new(
                Code::Usage,
                format!(
                    "--first-seed: {} seeds from there go beyond {largest}",
                    args.seeds
                ),
            )
        })?;
        let (scenario, meaning) = word(&args.scenario);
        let (protocol, _) = word(&args.protocol);
        let (net, travel) = word(&args.net);
        Ok(Self {
            setup: Setup {
                scenario: args.scenario.scenario(),
                protocol: args.protocol.contender(),
                nodes: args.nodes,
                loss: args.loss.unwrap_or_else(|| usual_loss(args)),
                net: args.net.net(),
                config: told.config,
                params: told.params,
            },
            common: common(args, &scenario),
            scenario,
            protocol,
            net,
            meaning,
            travel,
            seeds: args.seeds,
            first_seed: args.first_seed,
            vain: told.vain,
        })
    }

    /// The command that gives all of this again.
    pub(super) fn command(&self) -> String {
        self.with_seeds(self.first_seed, self.seeds)
    }

    /// The command that gives the run of one seed again.
    pub(super) fn replay(&self, seed: u64) -> String {
        self.with_seeds(seed, 1)
    }

    fn with_seeds(&self, first: u64, seeds: u64) -> String {
        let mut command = self.common.clone();
        if seeds != 1 {
            command += &format!(" --seeds {seeds}");
        }
        if first != 1 {
            command += &format!(" --first-seed {first}");
        }
        command
    }
}

fn usual_loss(args: &SimulateArgs) -> f64 {
    match args.scenario.scenario() {
        Scenario::Loss => LOSS_OF_LOSS,
        _ => 0.0,
    }
}

fn common(args: &SimulateArgs, scenario: &str) -> String {
    let mut command = format!("convoke simulate {scenario} --nodes {}", args.nodes);
    if args.protocol != ProtocolArg::Convoke {
        command += &format!(" --protocol {}", word(&args.protocol).0);
    }
    if let Some(loss) = args.loss {
        command += &format!(" --loss {loss}");
    }
    if args.net != NetArg::Lan {
        command += &format!(" --net {}", word(&args.net).0);
    }
    for (key, value) in &args.set {
        command += &format!(" --set {}", quoted(&format!("{key}={value}")));
    }
    command
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "=.,:_-/%+@".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;

    /// The plan of `convoke simulate LINE`; words are parted by bars.
    pub(in super::super) fn plan(line: &str) -> Result<Plan, Exit> {
        let words = ["convoke", "simulate"].into_iter().chain(line.split('|'));
        match Cli::try_parse_from(words).expect(line).command {
            Command::Simulate(args) => Plan::new(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_is_the_shortest_that_gives_the_same() {
        let crash = plan("crash|--nodes|8|--protocol|convoke|--seeds|1").unwrap();
        assert_eq!(crash.command(), "convoke simulate crash --nodes 8");
        let replay = crash.replay(7);
        assert_eq!(replay, "convoke simulate crash --nodes 8 --first-seed 7");
        let options = "--protocol|swim|--seeds|3|--first-seed|5|--loss|5%|--net|wan";
        let steady = plan(&format!("steady|--nodes|8|{options}|--set|duration=1m 30s")).unwrap();
        let common = "convoke simulate steady --nodes 8 --protocol swim --loss 0.05 --net wan \
                      --set 'duration=1m 30s'";
        let command = format!("{common} --seeds 3 --first-seed 5");
        assert_eq!(steady.command(), command);
        assert_eq!(steady.replay(6), format!("{common} --first-seed 6"));
    }

    #[test]
    fn the_scenario_of_loss_loses_something() {
        let loss = |line| plan(line).unwrap().setup.loss;
        assert_eq!(loss("crash|--nodes|8"), 0.0);
        assert_eq!(loss("loss|--nodes|8"), LOSS_OF_LOSS);
        assert_eq!(loss("loss|--nodes|8|--loss|0"), 0.0);
    }

    #[test]
    fn seeds_end_where_numbers_do() {
        let last = "crash|--nodes|8|--first-seed|18446744073709551615";
        assert!(plan(last).is_ok());
        let exit = plan(&format!("{last}|--seeds|2")).unwrap_err();
        assert_eq!(exit.code, Code::Usage);
    }

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        assert_eq!(quoted("split=9:1"), "split=9:1");
        assert_eq!(quoted("a=b c"), "'a=b c'");
        assert_eq!(quoted("a='$x'"), r"'a='\''$x'\'''");
    }
}
