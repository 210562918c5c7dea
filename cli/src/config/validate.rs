//! What no single value can get wrong: ranges, values that contradict each other, and features
//! that this version does not have.

use convoke_core::NodeName;
use convoke_core::config::QuorumRule;
use convoke_discovery::etcd::Server;
use convoke_discovery::k8s::K8sOptionsError;
use convoke_discovery::{DnsOptionsError, McastOptionsError};

use super::choice::{Discovery, PortMapping, SecurityMode, SplitBrain};
use super::error::Problem;
use super::key::Key;
use super::kinds::Switched;
use super::origin::Origin;
use super::settings::Etcd;
use super::value::{Setting, show_duration};
use super::{Effective, Settings};
use std::collections::BTreeSet;
use std::time::Duration;

/// Whether a value that was just read is in its key's range.
///
/// # Errors
/// A sentence with the range.
pub(super) fn range(key: &Key, field: &dyn Setting) -> Result<(), String> {
    let (Some((least, most)), Some(value)) = (key.within, field.measure()) else {
        return Ok(());
    };
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let is_duration = field
        .show()
        .is_some_and(|shown| shown.starts_with(['"', '[']));
    let print = |number: u64| match is_duration {
        true => format!("{:?}", show_duration(Duration::from_millis(number))),
        false => number.to_string(),
    };
    let shown = field.show().unwrap_or_default();
    Err(format!(
        "{shown} is out of range: expected {} to {}",
        print(least),
        print(most)
    ))
}

/// What contradicts itself, or is not in this version. `effective` is otherwise right.
pub(super) fn problems(effective: &Effective) -> Vec<Problem> {
    let found = unavailable(&effective.settings)
        .into_iter()
        .chain(contradictions(&effective.settings))
        .chain(seeds(effective));
    found
        .map(|(key, message)| Problem {
            origin: effective.origin(key),
            key: Some(key.into()),
            message,
        })
        .collect()
}

/// A key, and what is wrong with it.
type Finding = (&'static str, String);

fn unavailable(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |key, what: &str, instead: &str| {
        found.push((key, format!("{what} is not in this version: {instead}")));
    };
    if settings.security.mode == SecurityMode::Pki {
        refuse("security.mode", "the pki mode", "use \"secret\"");
    }
    if settings.http_listen != Switched::Off {
        let instead = "use \"off\" (the API is served on the control socket)";
        refuse("http.listen", "HTTP over TCP", instead);
    }
    found
}

fn contradictions(settings: &Settings) -> Vec<Finding> {
    let mut found = Vec::new();
    let engine = &settings.engine;
    let (policy, quorum) = (settings.cluster.split_brain, engine.quorum);
    if policy == SplitBrain::StaticQuorum && !matches!(quorum, QuorumRule::Static(_)) {
        let message = "\"static-quorum\" needs to know how many: set cluster.quorum = \"static:<n>\", more than half of the members that the cluster is to have";
        found.push(("cluster.split_brain", message.to_owned()));
    }
    let (stable_after, least) = (settings.cluster.stable_after, engine.suspicion_max);
    if policy != SplitBrain::Off && stable_after < least {
        let message = format!(
            "{:?} is less than detector.suspicion_max ({:?}), in which the last members behind a cut are found",
            show_duration(stable_after),
            show_duration(least)
        );
        found.push(("cluster.stable_after", message));
    }
    let orders = [
        (
            "detector.probe_timeout_min",
            engine.probe_timeout_min,
            "detector.probe_timeout_max",
            engine.probe_timeout_max,
        ),
        (
            "detector.probe_timeout_max",
            engine.probe_timeout_max,
            "detector.probe_interval",
            engine.probe_interval,
        ),
        (
            "detector.suspicion_min",
            engine.suspicion_min,
            "detector.suspicion_max",
            engine.suspicion_max,
        ),
        (
            "detector.silence_min",
            engine.silence_min,
            "detector.silence_max",
            engine.silence_max,
        ),
    ];
    for (low_key, low, high_key, high) in orders {
        if low > high {
            let (low, high) = (show_duration(low), show_duration(high));
            found.push((
                low_key,
                format!("{low} is more than {high_key}, which is {high}"),
            ));
        }
    }
    if settings.node.dist_listen_min > settings.node.dist_listen_max {
        found.push((
            "node.dist_listen_min",
            "is more than node.dist_listen_max".into(),
        ));
    }
    found.extend(tags(settings));
    found.extend(names(settings));
    match settings.cluster.discovery {
        Discovery::Etcd => found.extend(etcd(&settings.cluster.etcd)),
        Discovery::K8s => found.extend(k8s(settings)),
        _ => {}
    }
    found.extend(mcast(settings));
    found.extend(dns(settings));
    found
}

/// Half of what etcd needs to know.
fn etcd(etcd: &Etcd) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut refuse = |key, message: &str| found.push((key, message.to_owned()));
    let tls = etcd.server.iter().any(Server::is_tls);
    let has_files = [&etcd.cacertfile, &etcd.certfile, &etcd.keyfile]
        .into_iter()
        .any(Option::is_some);
    if etcd.server.is_empty() {
        refuse(
            "cluster.etcd.server",
            "the etcd strategy has no server: name one at least",
        );
    }
    if tls && etcd.cacertfile.is_none() {
        refuse(
            "cluster.etcd.server",
            "a server of https:// needs cluster.etcd.ssl.cacertfile: the authority that signs its certificate (the system's are in /etc/ssl/certs/ca-certificates.crt on most)",
        );
    }
    if !tls && has_files && !etcd.server.is_empty() {
        refuse(
            "cluster.etcd.server",
            "files of cluster.etcd.ssl are set, and no server is https://",
        );
    }
    if etcd.certfile.is_some() != etcd.keyfile.is_some() {
        refuse(
            "cluster.etcd.ssl.certfile",
            "cluster.etcd.ssl.certfile and keyfile belong together: set both, or neither",
        );
    }
    if etcd.username.is_some() != etcd.password.is_some() {
        refuse(
            "cluster.etcd.username",
            "cluster.etcd.username and password belong together: set both, or neither",
        );
    }
    found
}

/// What the pods and their nodes would be called.
fn k8s(settings: &Settings) -> Option<Finding> {
    let k8s = &settings.cluster.k8s;
    let app = "cluster.k8s.app_name";
    if let Err(error) = k8s.options().check() {
        let key = match error {
            K8sOptionsError::Service(_) => "cluster.k8s.service_name",
            K8sOptionsError::Namespace(_) => "cluster.k8s.namespace",
            K8sOptionsError::App(_) => app,
            K8sOptionsError::Suffix(_) => "cluster.k8s.suffix",
        };
        return Some((key, error.to_string()));
    }
    let by_rule = settings.node.port_mapping == PortMapping::Conventional;
    let named = format!("{}@127.0.0.1", k8s.app_name).parse::<NodeName>();
    let offset = named.ok().filter(|_| by_rule)?.port_offset();
    Some((app, offset.err()?.to_string()))
}

/// Seeds without the strategy that asks them, and the strategy without seeds.
fn seeds(effective: &Effective) -> Option<Finding> {
    let cluster = &effective.settings.cluster;
    let by_flag = effective.origin("cluster.static.seeds") == Origin::Flag("--seed".into());
    match cluster.discovery {
        Discovery::Manual if by_flag => Some((
            "cluster.discovery",
            "seeds are for the static strategy, and with manual nothing asks them: use static, or leave --seed out".into(),
        )),
        Discovery::Static if cluster.seeds.is_empty() => Some((
            "cluster.static.seeds",
            "the static strategy has no seeds: set cluster.static.seeds to one node at least, such as [\"convoke1@10.0.0.1\"], or give --seed NODE".into(),
        )),
        _ => None,
    }
}

fn tags(settings: &Settings) -> Option<Finding> {
    let mut keys = BTreeSet::new();
    let twice = settings.node.tags.iter().find(|tag| !keys.insert(&tag.key));
    if let Some(tag) = twice {
        let message = format!("the tag {:?} is given twice: give it one value", tag.key);
        return Some(("node.tags", message));
    }
    let tags = settings
        .node
        .tags
        .iter()
        .map(|tag| (tag.key.clone(), tag.value.clone()))
        .collect();
    let most = convoke_core::member::TAGS_BYTES_MAX;
    let message = format!("tags are too large: keys and values may have {most} bytes in all");
    (!convoke_core::member::tags_fit(&tags)).then_some(("node.tags", message))
}

fn mcast(settings: &Settings) -> Option<Finding> {
    let error = settings.cluster.mcast.options().check().err()?;
    let key = match error {
        McastOptionsError::Group(_) => "cluster.mcast.addr",
        McastOptionsError::Ports => "cluster.mcast.ports",
        McastOptionsError::Link(_) | McastOptionsError::Family { .. } => "cluster.mcast.iface",
    };
    Some((key, error.to_string()))
}

fn dns(settings: &Settings) -> Option<Finding> {
    let cluster = &settings.cluster;
    let Some(options) = cluster.dns.options(&settings.node.name) else {
        let message = "the dns strategy has no name to ask for: set it to the name whose records are the nodes, such as \"nodes.example.org\"";
        let asks = cluster.discovery == Discovery::Dns;
        return asks.then(|| ("cluster.dns.name", message.to_owned()));
    };
    let error = options.check().err()?;
    let key = match error {
        DnsOptionsError::Name { .. } => "cluster.dns.name",
        DnsOptionsError::App(_) => "cluster.dns.app",
    };
    Some((key, error.to_string()))
}

/// The port rule needs an offset unless every port is given, or found in another way.
fn names(settings: &Settings) -> Option<Finding> {
    let node = &settings.node;
    let explicit = node.listen.is_some() && node.rpc_listen.is_some()
        || node.port_mapping == PortMapping::Epmd;
    let error = node.name.port_offset().err().filter(|_| !explicit)?;
    Some(("node.name", error.to_string()))
}
