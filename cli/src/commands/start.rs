//! `convoke start`: a node in the foreground.

use super::config;
use crate::agent;
use crate::args::StartArgs;

pub(super) async fn run(args: &StartArgs) -> anyhow::Result<()> {
    let sources = config::sources(args);
    let effective = config::load(args)?;
    agent::run(&sources, &effective).await
}
