//! `convoke cluster`: joins, leaves and removals. Each prints its fixed line, then the status.

use std::io::Write;
use std::time::{Duration, Instant};

use convoke::Peer;

use super::{Wanted, diagnose, status};
use crate::api::model::{
    DiscoveryAction, DiscoveryRequest, Done, NodeRequest, SeedStanding, SeedState, Status,
};
use crate::args::{ClusterCommand, DiscoveryArg};
use crate::client::Client;

/// What a join may take, its diagnosis included.
const JOIN_TIMEOUT: Duration = Duration::from_millis(9500);

pub(super) async fn run(
    command: &ClusterCommand,
    wanted: &Wanted,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let client = wanted.client().await?;
    match command {
        ClusterCommand::Join { target } => {
            let done = join(&client, target).await?;
            report(&client, out, &done, "Join the cluster successfully.").await
        }
        ClusterCommand::Leave => {
            let done = client
                .post("/v1/cluster/leave", &serde_json::json!({}))
                .await?;
            report(&client, out, &done, "Leave the cluster successfully.").await
        }
        ClusterCommand::ForceLeave { target } => {
            let done = client
                .post(
                    "/v1/cluster/force-leave",
                    &NodeRequest {
                        node: target.to_string(),
                    },
                )
                .await?;
            report(
                &client,
                out,
                &done,
                "Remove the node from cluster successfully.",
            )
            .await
        }
        ClusterCommand::Status(args) => status::run(args, &client, out).await,
        ClusterCommand::Discovery { action } => discovery(*action, &client, out).await,
    }
}

/// A join that fails is told with its diagnosis.
async fn join(client: &Client, target: &Peer) -> anyhow::Result<Done> {
    let began = Instant::now();
    let node = target.to_string();
    let request = NodeRequest { node };
    match client.post("/v1/cluster/join", &request).await {
        Ok(done) => Ok(done),
        Err(error) => {
            let left = JOIN_TIMEOUT.saturating_sub(began.elapsed());
            Err(diagnose::explain(error, client, target, left).await)
        }
    }
}

async fn report(
    client: &Client,
    out: &mut dyn Write,
    done: &Done,
    line: &str,
) -> anyhow::Result<()> {
    if !done.changed {
        return Ok(writeln!(out, "Ignore.")?);
    }
    writeln!(out, "{line}")?;
    let status: Status = client.get("/v1/status").await?;
    writeln!(out, "{}", status::line(&status))?;
    notes(out, done)
}

async fn discovery(
    action: DiscoveryArg,
    client: &Client,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let action = match action {
        DiscoveryArg::Enable => DiscoveryAction::Enable,
        DiscoveryArg::Disable => DiscoveryAction::Disable,
        DiscoveryArg::Run => DiscoveryAction::Run,
    };
    let done = client
        .post("/v1/cluster/discovery", &DiscoveryRequest { action })
        .await?;
    notes(out, &done)?;
    for of in &done.seeds {
        let SeedState { seed, reason, .. } = of;
        let state = match of.state {
            SeedStanding::Member => "member",
            SeedStanding::Refused => "answers, and is not let in",
            SeedStanding::Silent => "does not answer",
            SeedStanding::NotAMember => "not a member",
            SeedStanding::Unresolvable => "unresolvable",
        };
        let reason = reason.as_ref().map(|reason| format!(": {reason}"));
        writeln!(out, "  {seed}: {state}{}", reason.unwrap_or_default())?;
    }
    Ok(())
}

fn notes(out: &mut dyn Write, done: &Done) -> anyhow::Result<()> {
    for note in &done.notes {
        writeln!(out, "{note}")?;
    }
    Ok(())
}
