//! The command line.

mod simulate;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use convoke::Peer;
use convoke_core::NodeName;

use crate::config::{Flag, Tag, cli_duration, cli_name, cli_peer};
pub(crate) use simulate::{NetArg, ProtocolArg, ScenarioArg, SimulateArgs, share, word};

/// Who is in the fleet, on every node of the fleet, without a leader.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "convoke",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(
    after_help = "Exit codes: 0 done; 1 refused or failed; 2 usage; 3 no such node runs here; \
    4 a --wait timed out; 78 a configuration error at start; 79 downed by cluster.split_brain."
)]
pub(crate) struct Cli {
    /// The running node to talk to [default: $CONVOKE_NODE_NAME, else the only one]
    #[arg(long, global = true, value_name = "NAME", display_order = 900)]
    pub(crate) node: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node in the foreground, until SIGTERM or SIGINT: then it leaves gracefully
    ///
    /// On SIGHUP it reads its configuration again: log level, cluster.autoclean and the seeds of the
    /// static strategy are taken over, other changes wait for the next start.
    Start(Box<StartArgs>),
    /// Join, leave and look at the cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// List the members
    Members(MembersArgs),
    /// Show events as they happen, one line each
    Monitor {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Tell why NODE is held as it is: who accused it, by which path, what its observers found
    ///
    /// Asks this node, NODE itself, its observers and some others, 16 at the most. Each remembers
    /// the last 32 findings about a member. All times are by this machine's clock.
    Why(WhyArgs),
    /// Find out why NODE can't be reached: name, port, UDP, TLS, secret, cluster name, version
    ///
    /// Walks every step from the running node to NODE and tells the first that fails, with its
    /// fix. Where no node runs here, looks from this host by the configuration that `start` would
    /// use. Exit code 0: all is well, 1: something fails.
    Diagnose(DiagnoseArgs),
    /// Make the secret that the nodes of a cluster share
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Check, show or begin a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show a whole cluster on loopback: join, crash, partition, heal and leave, with a timeline
    Demo(DemoArgs),
    /// Show how a large fleet takes a crash, a cut, loss and more: in virtual time, with plots
    Simulate(Box<SimulateArgs>),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    Man {
        /// The page of this command, such as `cluster join` [default: of convoke itself]
        command: Vec<String>,
        /// Write all pages into this folder instead
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        out_dir: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Join the cluster of NODE
    Join {
        /// A node name such as convoke2@10.0.0.7, or its address such as 10.0.0.7:4370
        #[arg(value_name = "NODE", value_parser = cli_peer)]
        target: Peer,
    },
    /// Leave the cluster, and go on alone
    Leave,
    /// Remove NODE from the cluster, running or not
    ForceLeave {
        /// The node's name
        #[arg(value_name = "NODE", value_parser = cli_name)]
        target: NodeName,
    },
    /// The cluster as this node sees it
    Status(StatusArgs),
    /// Discovery at run time
    Discovery {
        /// What it is to do
        action: DiscoveryArg,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiscoveryArg {
    /// Ask the strategy from now on
    Enable,
    /// Ask it no more
    Disable,
    /// Ask it once, now
    Run,
}

#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("wait").multiple(true))]
pub(crate) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Waits until exactly N members run
    #[arg(long, value_name = "N", group = "wait", value_parser = size)]
    pub(crate) wait_size: Option<usize>,
    /// Waits until all members hold the same view (their fingerprints are one)
    #[arg(long, group = "wait")]
    pub(crate) wait_converged: bool,
    /// How long to wait at the most, for what --wait-… names
    #[arg(long, value_name = "T", default_value = "30s", value_parser = cli_duration, requires = "wait")]
    pub(crate) timeout: Duration,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MembersArgs {
    /// Only members in this state
    #[arg(long, value_name = "S")]
    pub(crate) state: Option<StateArg>,
    /// Only members with this tag (repeatable: with all of them)
    #[arg(long = "tag", value_name = "K=V")]
    pub(crate) tags: Vec<Tag>,
    /// The members that were forgotten since this node started
    #[arg(long, conflicts_with_all = ["state", "tags"])]
    pub(crate) forgotten: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateArg {
    Alive,
    Suspect,
    Failed,
    Left,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WhyArgs {
    /// The node's name
    #[arg(value_name = "NODE", value_parser = cli_name)]
    pub(crate) target: NodeName,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DiagnoseArgs {
    /// A node name such as convoke2@10.0.0.7, or its address such as 10.0.0.7:4370
    #[arg(value_name = "NODE", value_parser = cli_peer)]
    pub(crate) target: Peer,
    /// Where no node runs here: the configuration file [default: as for start]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Print a new secret, or write it to a file (mode 0600) that must not exist
    Generate {
        /// The file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Print what tells the secret apart from others, and may be shown to anybody
    Fingerprint {
        /// The file [default: the one that `start` would use]
        file: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a file, or without one the configuration that `start` would use
    Check {
        /// The file
        file: Option<PathBuf>,
    },
    /// Show the effective configuration, with the origin of every value
    Show(Box<StartArgs>),
    /// Print a commented template
    Default,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(4..=128))]
    pub(crate) nodes: u16,
}

/// What `start` takes. Every flag sets a key of the configuration; `--set` sets any of them.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct StartArgs {
    /// The node's name, name@host; a bare name gets 127.0.0.1 [default: convoke@127.0.0.1]
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// How nodes find each other: manual, static, mcast, dns, etcd or k8s
    #[arg(long, value_name = "S")]
    pub(crate) discovery: Option<String>,
    /// A node to find the cluster by (repeatable; means --discovery static)
    #[arg(long = "seed", value_name = "NODE")]
    pub(crate) seeds: Vec<String>,
    /// The configuration file [default: $CONVOKE_CONFIG, ./convoke.toml, /etc/convoke/convoke.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where the node remembers its cluster
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// The gossip address [default: the host of the name, port 4370 + the number that ends the name]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// The address for calls between nodes [default: likewise, port 5370]
    #[arg(long, value_name = "ADDR")]
    pub(crate) rpc_listen: Option<String>,
    /// The gossip address that others are told (containers, NAT)
    #[arg(long, value_name = "ADDR")]
    pub(crate) advertise: Option<String>,
    /// The cluster's name: nodes of other names are refused
    #[arg(long, value_name = "NAME")]
    pub(crate) cluster_name: Option<String>,
    /// The file with the cluster's secret
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<String>,
    /// What is logged: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// How it is logged: text or json
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
    /// A label that every member sees (repeatable)
    #[arg(long = "tag", value_name = "K=V")]
    pub(crate) tags: Vec<String>,
    /// Any key of the configuration (repeatable; lists by comma)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
}

fn size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| *size > 0);
    size.ok_or_else(|| "expected a number of members, 1 at least".into())
}

fn assignment(text: &str) -> Result<(String, String), String> {
    key_and_value(text, "cluster.autoclean=10m")
}

fn key_and_value(text: &str, example: &str) -> Result<(String, String), String> {
    let found = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = found.ok_or_else(|| format!("expected KEY=VALUE, such as {example}"))?;
    Ok((key.to_owned(), value.to_owned()))
}

impl StartArgs {
    /// The keys that the flags set, `--set` last.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
        let implied =
            (self.discovery.is_none() && !self.seeds.is_empty()).then(|| "static".to_owned());
        let named = [
            ("node.name", &self.node_name, "--node-name"),
            ("cluster.discovery", &self.discovery, "--discovery"),
            ("cluster.discovery", &implied, "--seed"),
            ("cluster.static.seeds", &list(&self.seeds), "--seed"),
            ("node.data_dir", &self.data_dir, "--data-dir"),
            ("node.listen", &self.listen, "--listen"),
            ("node.rpc_listen", &self.rpc_listen, "--rpc-listen"),
            ("node.advertise", &self.advertise, "--advertise"),
            ("cluster.name", &self.cluster_name, "--cluster-name"),
            ("security.secret_file", &self.secret_file, "--secret-file"),
            ("log.level", &self.log_level, "--log-level"),
            ("log.format", &self.log_format, "--log-format"),
            ("node.tags", &list(&self.tags), "--tag"),
        ]
        .map(|(key, value, flag)| Some(self::flag(key, value.as_ref()?, flag)));
        let set = self
            .set
            .iter()
            .map(|(key, value)| flag(key, value, "--set"));
        named.into_iter().flatten().chain(set).collect()
    }
}

fn flag(key: &str, value: &str, flag: &str) -> Flag {
    Flag {
        key: key.to_owned(),
        value: value.to_owned(),
        flag: flag.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parse(line: &str) -> Result<Cli, ErrorKind> {
        Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
    }

    #[test]
    fn the_description_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_node_may_be_named_before_and_after_the_command() {
        for line in [
            "convoke --node a cluster leave",
            "convoke cluster leave --node a",
        ] {
            assert_eq!(parse(line).unwrap().node.as_deref(), Some("a"), "{line}");
        }
    }

    #[test]
    fn seeds_mean_the_static_strategy_unless_another_is_named() {
        let flags = |line| match parse(line).unwrap().command {
            Command::Start(args) => args.flags(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            flags("convoke start --seed a@h --seed 10.0.0.1:1"),
            [
                flag("cluster.discovery", "static", "--seed"),
                flag("cluster.static.seeds", "a@h,10.0.0.1:1", "--seed"),
            ]
        );
        let named = flags("convoke start --seed a@h --discovery manual");
        assert_eq!(named[0], flag("cluster.discovery", "manual", "--discovery"));
        assert_eq!(named.len(), 2);
    }

    #[test]
    fn what_was_set_by_key_comes_last() {
        let Command::Start(args) = parse("convoke start --set node.name=b --node-name a")
            .unwrap()
            .command
        else {
            panic!("start is start");
        };
        assert_eq!(
            args.flags(),
            [
                flag("node.name", "a", "--node-name"),
                flag("node.name", "b", "--set")
            ]
        );
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for line in [
            "convoke",
            "convoke top",
            "convoke cluster",
            "convoke cluster join",
            "convoke cluster status --wait-size many",
            "convoke cluster status --wait-size 0",
            "convoke cluster status --timeout 5s",
            "convoke cluster join a@b@c",
            "convoke cluster join 127.0.0.1:99999",
            "convoke cluster force-leave 10.0.0.1:4370",
            "convoke cluster status --timeout soon",
            "convoke cluster discovery maybe",
            "convoke why",
            "convoke why 10.0.0.1:4370",
            "convoke why a@h b@h",
            "convoke diagnose",
            "convoke diagnose 10.0.0.1",
            "convoke members --state dead",
            "convoke members --tag zone",
            "convoke members --forgotten --state failed",
            "convoke demo --nodes 3",
            "convoke demo --nodes 129",
            "convoke start --set node.name",
            "convoke simulate",
            "convoke simulate crash",
            "convoke simulate crash --nodes 1",
            "convoke simulate crash --nodes 8 --seeds 0",
            "convoke simulate crash --nodes 8 --loss 1",
            "convoke simulate crash --nodes 8 --set cpu",
            "convoke simulate fire --nodes 8",
            "convoke simulate crash --nodes 8 --protocol raft",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn waiting_takes_durations_and_seconds() {
        let wait = |line| match parse(line).unwrap().command {
            Command::Cluster(ClusterCommand::Status(args)) => args.timeout,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait("convoke cluster status"), Duration::from_secs(30));
        assert_eq!(
            wait("convoke cluster status --wait-size 2 --timeout 5"),
            Duration::from_secs(5)
        );
        assert_eq!(
            wait("convoke cluster status --wait-converged --timeout 250ms"),
            Duration::from_millis(250)
        );
    }
}
