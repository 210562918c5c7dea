//! The program `convoke`: everything between an operator and a [`convoke::Node`].
//!
//! A command line (`args`) becomes either a node in the foreground (`agent`) or a question to
//! one that runs (`client`), over HTTP on the node's control socket (`api`).
//!
//! Architecture Invariant: this crate uses what the other crates make public, and nothing else;
//! whatever it can do, a program that embeds a node can do too.

mod agent;
mod api;
mod args;
mod client;
mod commands;
mod config;
mod discovery;
mod epmd;
mod exit;
mod logging;
mod paths;
mod registry;
mod signals;

use std::process::ExitCode;

use clap::Parser;

/// Carries out the command line of this process. The exit code is that of the contract: 0 done,
/// 1 refused or failed, 2 usage, 3 no node, 4 timed out, 78 a configuration error at start, 79
/// downed by `cluster.split_brain`.
pub fn run() -> ExitCode {
    match args::Cli::try_parse() {
        Ok(cli) => exit::report(commands::run(cli)),
        Err(error) => {
            // Where its stream is closed, there is nobody left to tell.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
        }
    }
}
