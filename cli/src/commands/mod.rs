//! The commands: each reads, asks a node where it needs one, and prints.

mod cluster;
mod config;
mod demo;
mod diagnose;
mod documents;
mod members;
mod monitor;
mod secret;
mod simulate;
mod start;
mod status;
mod why;

use std::io::{self, Write};

use anyhow::Context as _;
use tokio::runtime::{self, Runtime};

use crate::args::{Cli, Command};
use crate::client::Client;
use crate::config::Environment;
use crate::exit::{Code, Exit};
use crate::paths::Places;

/// Carries a command line out.
///
/// # Errors
/// Why it failed, with its exit code.
pub(crate) fn run(cli: Cli) -> anyhow::Result<()> {
    let out = &mut io::stdout().lock();
    let wanted = Wanted { node: cli.node };
    match cli.command {
        Command::Start(args) => {
            wanted.refuse("start", "--node-name names the node to start")?;
            many_threads()?.block_on(start::run(&args))
        }
        Command::Demo(args) => {
            wanted.refuse("demo", "it runs nodes of its own")?;
            many_threads()?.block_on(demo::run(&args, out))
        }
        Command::Simulate(args) => {
            wanted.refuse("simulate", "--nodes says how many nodes are simulated")?;
            let stop = simulate::Stop::on_interrupt().context("cannot listen to Ctrl-C")?;
            simulate::run(&args, &convoke_core::sim::run, &stop, out)
        }
        Command::Cluster(command) => one_thread()?.block_on(cluster::run(&command, &wanted, out)),
        Command::Members(args) => one_thread()?.block_on(members::run(&args, &wanted, out)),
        Command::Monitor { json } => one_thread()?.block_on(monitor::run(json, &wanted, out)),
        Command::Diagnose(args) => one_thread()?.block_on(diagnose::run(&args, &wanted, out)),
        Command::Why(args) => one_thread()?.block_on(why::run(&args, &wanted, out)),
        Command::Secret(command) => secret::run(&command, out),
        Command::Config(command) => config::run(&command, out),
        Command::Completions { shell } => documents::completions(shell, out),
        Command::Man { command, out_dir } => documents::man(&command, out_dir.as_deref(), out),
    }
}

/// Which node a command is to talk to.
#[derive(Clone, Debug)]
struct Wanted {
    node: Option<String>,
}

impl Wanted {
    async fn client(&self) -> anyhow::Result<Client> {
        let environment = Environment::of_process();
        environment
            .check_names()
            .map_err(|error| Exit::new(Code::Usage, error.to_string()))?;
        let named = self
            .node
            .as_deref()
            .or_else(|| environment.text("CONVOKE_NODE_NAME"));
        Client::find(named, &Places::of_process()).await
    }

    fn refuse(&self, command: &str, reason: &str) -> anyhow::Result<()> {
        match self.node {
            Some(_) => Err(Exit::error(
                Code::Usage,
                format!("{command} does not take --node: {reason}"),
            )),
            None => Ok(()),
        }
    }
}

fn many_threads() -> anyhow::Result<Runtime> {
    runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start threads")
}

fn one_thread() -> anyhow::Result<Runtime> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")
}

/// JSON with a line feed at its end.
fn print_json<T: serde::Serialize>(out: &mut dyn Write, value: &T) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    Ok(writeln!(out, "{text}")?)
}
