//! `convoke cluster status`, and the waiting for it.

use std::io::{self, Write};
use std::time::Duration;

use convoke_core::NodeName;
use tokio::time::{Instant, sleep, timeout_at};

use super::print_json;
use crate::api::model::{Details, DiscoveryState, Fingerprints, Status, Trouble};
use crate::args::StatusArgs;
use crate::client::Client;
use crate::exit::{Code, Exit};

/// Between two looks while waiting.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How many nodes an error names at the most.
const NAMED_MAX: usize = 8;

pub(super) async fn run(
    args: &StatusArgs,
    client: &Client,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if args.wait_size.is_some() || args.wait_converged {
        wait(args, client).await?;
    }
    let status: Status = client.get("/v1/status").await?;
    if args.json {
        return print_json(out, &status);
    }
    let details: Details = client.get("/v1/node").await?;
    print(out, &status, &details)
}

/// The line that every command on the cluster ends with. Its form is a contract.
pub(super) fn line(status: &Status) -> String {
    let running = join(&status.running_nodes);
    let stopped = join(&status.stopped_nodes);
    format!("Cluster status: running_nodes: [{running}], stopped_nodes: [{stopped}]")
}

fn join(names: &[NodeName]) -> String {
    let names: Vec<&str> = names.iter().map(NodeName::as_str).collect();
    names.join(", ")
}

fn print(out: &mut dyn Write, status: &Status, details: &Details) -> anyhow::Result<()> {
    let cluster = &status.cluster;
    writeln!(out, "{}", line(status))?;
    writeln!(out, "Cluster:     {} ({})", cluster.name, cluster.id)?;
    let quorum = if cluster.quorum {
        "quorum"
    } else {
        "NO QUORUM"
    };
    writeln!(
        out,
        "Members:     {} running, {quorum}, fingerprint {}",
        cluster.size, cluster.fingerprint
    )?;
    writeln!(
        out,
        "This node:   {}, gossip {}, rpc {} (udp)",
        status.local, details.gossip, details.rpc
    )?;
    if let Some(epmd) = &details.epmd {
        writeln!(out, "epmd:        {epmd}")?;
    }
    write_discovery(&details.discovery, out)?;
    if let Some(partition) = &cluster.partition {
        let (kind, since, share) = (&partition.kind, &partition.since, partition.share * 100.0);
        let unreachable = join(&partition.unreachable);
        writeln!(
            out,
            "Partition:   {kind} since {since}, {share:.0} % unreachable: [{unreachable}]"
        )?;
    }
    if let Some(down) = &cluster.down {
        writeln!(
            out,
            "DOWN:        since {}: split_brain = {:?}, and only {} of {} members were on this side. This node \
             should serve nobody; it comes up by itself when the partition is over",
            down.since, down.policy, down.present, down.all
        )?;
    }
    for warning in &details.warnings {
        writeln!(out, "Warning:     {warning}")?;
    }
    Ok(())
}

fn write_discovery(discovery: &DiscoveryState, out: &mut dyn Write) -> io::Result<()> {
    let strategy = discovery.strategy.as_str();
    match (strategy, discovery.enabled, &discovery.failing) {
        ("manual", ..) => return Ok(()),
        (_, false, _) => writeln!(out, "Discovery:   {strategy}, disabled")?,
        (_, true, Some(Trouble { reason, since })) => {
            writeln!(
                out,
                "Discovery:   {strategy}, FAILING since {since}: {reason}"
            )?;
        }
        (_, true, None) => match discovery.found {
            Some(1) => writeln!(out, "Discovery:   {strategy}, 1 seed found")?,
            Some(found) => writeln!(out, "Discovery:   {strategy}, {found} seeds found")?,
            None => writeln!(out, "Discovery:   {strategy}, not answered yet")?,
        },
    }
    if let Some(remark) = &discovery.remark {
        writeln!(out, "             {remark}")?;
    }
    if let Some(Trouble { reason, since }) = &discovery.unregistered {
        writeln!(
            out,
            "             others can't find this node by it since {since}: {reason}"
        )?;
    }
    Ok(())
}

/// What was seen when it was last looked.
#[derive(Debug, Default)]
struct Seen {
    size: Option<usize>,
    differing: Option<Fingerprints>,
}

/// Returns when what is waited for was seen.
async fn wait(args: &StatusArgs, client: &Client) -> anyhow::Result<()> {
    let deadline = Instant::now() + args.timeout;
    let mut seen = Seen::default();
    loop {
        // A look that is under way at the deadline is too late.
        match timeout_at(deadline, look(args, client, &mut seen)).await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(too_late(args, &seen)),
        }
        if Instant::now() + LOOK_INTERVAL >= deadline {
            return Err(too_late(args, &seen));
        }
        sleep(LOOK_INTERVAL).await;
    }
}

async fn look(args: &StatusArgs, client: &Client, seen: &mut Seen) -> anyhow::Result<bool> {
    let status: Status = client.get("/v1/status").await?;
    seen.size = Some(status.cluster.size);
    if args
        .wait_size
        .is_some_and(|wanted| wanted != status.cluster.size)
    {
        return Ok(false);
    }
    if !args.wait_converged {
        return Ok(true);
    }
    let answers: Fingerprints = client.get("/v1/cluster/fingerprints").await?;
    let converged = answers.converged;
    seen.differing = (!converged).then_some(answers);
    Ok(converged)
}

fn too_late(args: &StatusArgs, seen: &Seen) -> anyhow::Error {
    let mut message = format!("timed out after {:?}", args.timeout);
    match (seen.size, args.wait_size) {
        (None, _) => message += ": the node did not answer in time",
        (Some(size), Some(wanted)) if size != wanted => {
            message += &format!(": {size} running, waiting for {wanted}");
        }
        (Some(size), _) => message += &format!(": {size} running"),
    }
    if let Some(answers) = &seen.differing {
        message += &format!("; not converged: {}", disagreement(answers));
    }
    Exit::error(Code::Timeout, message)
}

/// Who says what, those who did not answer first.
fn disagreement(answers: &Fingerprints) -> String {
    let mut nodes: Vec<_> = answers.nodes.iter().collect();
    nodes.sort_by_key(|node| node.fingerprint.is_some());
    let say = |node: &&crate::api::model::FingerprintOf| match (&node.fingerprint, &node.error) {
        (Some(fingerprint), _) => format!("{} has {fingerprint}", node.name),
        (None, Some(error)) => format!("{}: {error}", node.name),
        (None, None) => format!("{} has not answered", node.name),
    };
    let said: Vec<String> = nodes.iter().take(NAMED_MAX).map(say).collect();
    let more = nodes.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 {
        format!(", and {more} more")
    } else {
        String::new()
    };
    format!("{}{more}", said.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::{Cluster, FingerprintOf};

    fn status(running: &[&str], stopped: &[&str]) -> Status {
        let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        let cluster = Cluster {
            name: "convoke".into(),
            id: "5f0c".into(),
            size: running.len(),
            fingerprint: "9b1d".into(),
            quorum: true,
            partition: None,
            down: None,
        };
        let (running_nodes, stopped_nodes) = (names(running), names(stopped));
        let local = "a@10.0.0.1".parse().unwrap();
        Status {
            cluster,
            local,
            running_nodes,
            stopped_nodes,
            members: Vec::new(),
        }
    }

    #[test]
    fn the_line_is_that_of_the_contract() {
        let two = status(&["convoke1@10.0.0.1", "convoke2@10.0.0.2"], &[]);
        assert_eq!(
            line(&two),
            "Cluster status: running_nodes: [convoke1@10.0.0.1, convoke2@10.0.0.2], stopped_nodes: []"
        );
        let one = status(&["a@10.0.0.1"], &["b@10.0.0.2"]);
        assert_eq!(
            line(&one),
            "Cluster status: running_nodes: [a@10.0.0.1], stopped_nodes: [b@10.0.0.2]"
        );
    }

    #[test]
    fn a_wait_that_ends_too_late_says_what_was_seen_last() {
        let args = StatusArgs {
            json: false,
            wait_size: Some(3),
            wait_converged: true,
            timeout: Duration::from_secs(2),
        };
        let seen = Seen {
            size: Some(2),
            differing: None,
        };
        assert_eq!(
            too_late(&args, &seen).to_string(),
            "timed out after 2s: 2 running, waiting for 3"
        );
        let node = |name: &str, fingerprint: Option<&str>, error: Option<&str>| FingerprintOf {
            name: name.parse().unwrap(),
            fingerprint: fingerprint.map(Into::into),
            error: error.map(Into::into),
        };
        let nodes = vec![
            node("a@h", Some("01"), None),
            node("b@h", None, Some("no answer")),
        ];
        let seen = Seen {
            size: Some(3),
            differing: Some(Fingerprints {
                converged: false,
                nodes,
            }),
        };
        let error = too_late(&args, &seen);
        assert!(
            error
                .to_string()
                .ends_with("3 running; not converged: b@h: no answer, a@h has 01"),
            "{error}"
        );
        assert_eq!(error.downcast_ref::<Exit>().unwrap().code, Code::Timeout);
    }
}
