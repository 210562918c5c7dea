//! `convoke diagnose`: why a node can't be reached, from the running node's standpoint; where none
//! runs here, from this host's, by the configuration that `start` would use.

use std::io::Write;
use std::time::Duration;

use anyhow::anyhow;
use convoke::{Options, Peer, Secret};

use super::{Wanted, config, print_json};
use crate::api::diagnosis::Diagnosis;
use crate::api::model::{Details, NodeRequest};
use crate::args::{DiagnoseArgs, StartArgs};
use crate::client::Client;
use crate::config::{Environment, Settings};
use crate::epmd::Epmd;
use crate::exit::{Code, Exit};
use crate::paths::Places;

pub(super) async fn run(
    args: &DiagnoseArgs,
    wanted: &Wanted,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let (diagnosis, standpoint) = match wanted.client().await {
        Ok(client) => {
            let details: Details = client.get("/v1/node").await?;
            let standpoint = format!("seen by {}, at {}", details.name, details.gossip);
            (ask(&client, &args.target).await?, standpoint)
        }
        // A node that was named is to run.
        Err(error) if wanted.node.is_some() || !is_nobody(&error) => return Err(error),
        Err(_) => look(args).await?,
    };
    if args.json {
        print_json(out, &diagnosis)?;
    } else {
        let at = diagnosis.address;
        let at = at.map_or_else(String::new, |at| format!(" at {at}"));
        writeln!(out, "{}{at}, {standpoint}:\n{diagnosis}", diagnosis.node)?;
    }
    match diagnosis.failed() {
        None => Ok(()),
        Some(step) => Err(Exit::error(
            Code::Refused,
            format!("{} can't be reached: {} fails", diagnosis.node, step.step),
        )),
    }
}

/// Has a running node look.
pub(super) async fn ask(client: &Client, target: &Peer) -> anyhow::Result<Diagnosis> {
    let node = target.to_string();
    client.post("/v1/diagnose", &NodeRequest { node }).await
}

/// What to add to the error of a join: what the diagnosis found, if that is there in time and
/// explains anything.
pub(super) async fn explain(
    error: anyhow::Error,
    client: &Client,
    target: &Peer,
    left: Duration,
) -> anyhow::Error {
    let refused = error
        .downcast_ref::<Exit>()
        .is_some_and(|exit| exit.code == Code::Refused);
    if !refused {
        return error;
    }
    match tokio::time::timeout(left, ask(client, target)).await {
        Ok(Ok(diagnosis)) if diagnosis.failed().is_some() => {
            Exit::error(Code::Refused, format!("{error}\n{diagnosis}"))
        }
        _ => error,
    }
}

fn is_nobody(error: &anyhow::Error) -> bool {
    let exit = error.downcast_ref::<Exit>();
    exit.is_some_and(|exit| exit.code == Code::NoNode)
}

/// Looks without a node.
async fn look(args: &DiagnoseArgs) -> anyhow::Result<(Diagnosis, String)> {
    let start = StartArgs {
        config: args.config.clone(),
        ..StartArgs::default()
    };
    let settings = config::load(&start)?.settings;
    let options = options(&settings)?;
    let found = convoke::diagnose::diagnose(&options, &args.target).await;
    let found = found.map_err(|error| anyhow!("{error}"))?;
    let standpoint = format!(
        "seen from this host, where no node runs, by the configuration of {}",
        settings.node.name
    );
    Ok((Diagnosis::of(&found, None), standpoint))
}

fn options(settings: &Settings) -> anyhow::Result<Options> {
    let file = settings.security.secret_file.clone();
    let file = file.unwrap_or_else(|| Places::of_process().secret_file());
    let secret =
        Secret::load(&file).map_err(|error| Exit::new(Code::Configuration, error.to_string()))?;
    let mut options = Options::new(settings.node.name.clone(), secret);
    options.cluster_name = settings.cluster.name.0.clone();
    options.listen = settings.node.listen;
    if let Some(epmd) = Epmd::of(settings, &Environment::of_process())? {
        options.port_map = epmd;
    }
    Ok(options)
}
