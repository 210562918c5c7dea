//! One question and what follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, Record};
use hickory_resolver::{TokioResolver, system_conf};
use tracing::debug;

use super::answer::Answer;
use super::error::{DnsError, REPEATS, TRY_TIMEOUT};
use super::options::{DnsOptions, DnsRecord};
use crate::seed::Seed;

/// Search domains that are tried; those beyond are not.
const SEARCH_MAX: usize = 8;
/// Hosts of SRV records whose addresses are asked for, where the answer does not have them: others
/// each time, where there are more.
const HOSTS_MAX: usize = 64;
/// How many of them at once.
const HOSTS_AT_ONCE: usize = 8;

/// A question, and the resolver that carries it. Made anew every time: the system's resolver may
/// have changed.
pub(super) struct Question<'a> {
    options: &'a DnsOptions,
    resolver: TokioResolver,
    /// The name, as it is and in the search domains, in the order in which they are tried.
    names: Vec<Name>,
    /// For errors.
    server: String,
}

impl<'a> Question<'a> {
    pub(super) fn new(options: &'a DnsOptions) -> Result<Self, DnsError> {
        options.check()?;
        let (config, mut limits) = match options.server {
            Some(server) => (own(server), own_limits()),
            None => system_conf::read_system_conf()
                .map_err(|cause| DnsError::System(cause.to_string()))?,
        };
        limits.timeout = limits.timeout.min(TRY_TIMEOUT);
        limits.attempts = limits.attempts.min(REPEATS);
        // Answers are kept here, once, where their time is known.
        limits.cache_size = 0;
        let names = candidates(options.domain()?, &config, limits.ndots);
        let server = match options.server {
            Some(server) => server.to_string(),
            None => servers(&config),
        };
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = limits;
        let resolver = builder
            .build()
            .map_err(|cause| DnsError::System(cause.to_string()))?;
        Ok(Self {
            options,
            resolver,
            names,
            server,
        })
    }

    /// Asks; `None` where there are no such records.
    pub(super) async fn ask(&self) -> Result<Option<Answer>, DnsError> {
        let Some(found) = self.find().await? else {
            return Ok(None);
        };
        let answer = match self.options.record {
            DnsRecord::A | DnsRecord::Aaaa => self.nodes(&found)?,
            DnsRecord::Srv => self.services(&found).await?,
        };
        Ok(Some(answer))
    }

    /// The first of the names that has records. What a name that failed would have had is not
    /// known: then nothing found is an error.
    async fn find(&self) -> Result<Option<Lookup>, DnsError> {
        let mut failed = None;
        for name in &self.names {
            match self.look_up(name, self.options.record).await {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error) if error.is_silence() => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    async fn look_up(&self, name: &Name, record: DnsRecord) -> Result<Option<Lookup>, DnsError> {
        match self
            .resolver
            .lookup(name.clone(), record.record_type())
            .await
        {
            Ok(found) => Ok(Some(found)),
            Err(error) => match DnsError::of(&error, &self.server, name.to_ascii(), record) {
                Some(error) => Err(error),
                None => Ok(None),
            },
        }
    }

    /// The nodes at these addresses.
    fn nodes(&self, found: &Lookup) -> Result<Answer, DnsError> {
        let addresses = found.answers().iter().filter_map(|r| r.data.ip_addr());
        let node = |address: IpAddr| {
            let name = format!("{}@{address}", self.options.app).parse();
            name.map(Seed::Name).map_err(|cause| DnsError::Address {
                address,
                cause: format!("{cause}"),
            })
        };
        Ok(Answer {
            seeds: addresses.map(node).collect::<Result<_, _>>()?,
            time_to_live: time_to_live(found.answers()),
        })
    }

    /// The addresses and ports of these services.
    async fn services(&self, found: &Lookup) -> Result<Answer, DnsError> {
        let ports = ports(found.answers());
        let mut hosts = addresses(found.additionals(), ports.keys());
        let mut shortest = time_to_live(found.answers());
        if !hosts.is_empty() {
            shortest = shortest.min(time_to_live(found.additionals()));
        }
        let missing = ports.keys().filter(|host| !hosts.contains_key(*host));
        let missing = chosen(missing.cloned().collect());
        if !missing.is_empty() {
            let (resolved, lived) = self.resolve(missing).await?;
            hosts.extend(resolved);
            shortest = shortest.min(lived);
        }
        let seeds = hosts.iter().flat_map(|(host, addresses)| {
            let ports = ports.get(host).into_iter().flatten();
            ports.flat_map(|port| addresses.iter().map(|ip| SocketAddr::new(*ip, *port)))
        });
        Ok(Answer {
            seeds: seeds.map(Seed::Address).collect(),
            time_to_live: shortest,
        })
    }

    /// The addresses of these hosts, and how long they live. A host without any is passed over, and
    /// so is one that can't be asked for, unless that is so of all.
    async fn resolve(&self, hosts: Vec<Name>) -> Result<(Addresses, Duration), DnsError> {
        let asked = stream::iter(hosts).map(|host| async move {
            let (four, six) = tokio::join!(
                self.look_up(&host, DnsRecord::A),
                self.look_up(&host, DnsRecord::Aaaa)
            );
            (host, [four, six])
        });
        let mut asked = asked.buffer_unordered(HOSTS_AT_ONCE);
        let (mut found, mut shortest, mut failed) = (Addresses::new(), Duration::MAX, None);
        while let Some((host, outcomes)) = asked.next().await {
            for outcome in outcomes {
                match outcome {
                    Ok(Some(lookup)) => {
                        let ips = lookup.answers().iter().filter_map(|r| r.data.ip_addr());
                        found.entry(host.clone()).or_default().extend(ips);
                        shortest = shortest.min(time_to_live(lookup.answers()));
                    }
                    Ok(None) => debug!(%host, "a service's host has no such address"),
                    Err(error) => {
                        debug!(%host, %error, "a service's host is passed over");
                        failed = Some(error);
                    }
                }
            }
        }
        match failed {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok((found, shortest)),
        }
    }
}

/// The addresses of hosts.
type Addresses = BTreeMap<Name, BTreeSet<IpAddr>>;

/// The ports of the services on each host. A root for a host says that there is no service.
fn ports(records: &[Record]) -> BTreeMap<Name, BTreeSet<u16>> {
    let mut ports = BTreeMap::<Name, BTreeSet<u16>>::new();
    for record in records {
        if let RData::SRV(service) = &record.data
            && !service.target.is_root()
            && service.port != 0
        {
            let host = ports.entry(service.target.clone()).or_default();
            host.insert(service.port);
        }
    }
    ports
}

/// The addresses of these hosts among records.
fn addresses<'a>(records: &[Record], hosts: impl Iterator<Item = &'a Name>) -> Addresses {
    let mut found = Addresses::new();
    for host in hosts {
        let own = records.iter().filter(|record| record.name == *host);
        let ips: BTreeSet<_> = own.filter_map(|record| record.data.ip_addr()).collect();
        if !ips.is_empty() {
            found.insert(host.clone(), ips);
        }
    }
    found
}

/// Of more than [`HOSTS_MAX`], so many at random.
fn chosen(mut hosts: Vec<Name>) -> Vec<Name> {
    if hosts.len() > HOSTS_MAX {
        let mut rng = fastrand::Rng::with_seed(RandomState::new().hash_one(0));
        rng.shuffle(&mut hosts);
        hosts.truncate(HOSTS_MAX);
    }
    hosts
}

fn time_to_live(records: &[Record]) -> Duration {
    let shortest = records.iter().map(|record| record.ttl).min();
    Duration::from_secs(shortest.unwrap_or_default().into())
}

/// The names to try, as resolvers do: a name with enough dots is tried as it is first, another one
/// in the search domains first.
fn candidates(name: Name, config: &ResolverConfig, dots: usize) -> Vec<Name> {
    if name.is_fqdn() {
        return vec![name];
    }
    let searched = match config.search() {
        [] => config.domain().cloned().into_iter().collect(),
        search => search.to_vec(),
    };
    let searched = searched.iter().take(SEARCH_MAX);
    let mut names: Vec<Name> = searched
        .filter_map(|domain| name.clone().append_domain(domain).ok())
        .collect();
    let mut whole = name;
    whole.set_fqdn(true);
    let first = usize::from(whole.num_labels()) > dots;
    let place = if first { 0 } else { names.len() };
    names.insert(place, whole);
    names
}

fn own(server: SocketAddr) -> ResolverConfig {
    let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
    for connection in &mut name_server.connections {
        connection.port = server.port();
    }
    ResolverConfig::from_parts(None, Vec::new(), vec![name_server])
}

fn own_limits() -> ResolverOpts {
    let mut limits = ResolverOpts::default();
    limits.use_hosts_file = ResolveHosts::Never;
    limits
}

fn servers(config: &ResolverConfig) -> String {
    let servers: Vec<String> = config
        .name_servers()
        .iter()
        .map(|server| server.ip.to_string())
        .collect();
    format!("{} (/etc/resolv.conf)", servers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    #[test]
    fn names_are_searched_for_as_the_system_does() {
        let search = vec![name("a.test."), name("b.test.")];
        let config = ResolverConfig::from_parts(Some(name("c.test.")), search, Vec::new());
        let tried = |text: &str, dots| {
            let names = candidates(name(text), &config, dots);
            names.iter().map(Name::to_ascii).collect::<Vec<_>>()
        };
        assert_eq!(tried("nodes.test.", 5), ["nodes.test."]);
        assert_eq!(
            tried("nodes", 1),
            ["nodes.a.test.", "nodes.b.test.", "nodes."]
        );
        assert_eq!(tried("n.x", 1), ["n.x.", "n.x.a.test.", "n.x.b.test."]);
        assert_eq!(tried("n.x", 5), ["n.x.a.test.", "n.x.b.test.", "n.x."]);
        let config = ResolverConfig::from_parts(Some(name("c.test.")), Vec::new(), Vec::new());
        let names = candidates(name("nodes"), &config, 1);
        assert_eq!(names, [name("nodes.c.test."), name("nodes.")]);
        let config = ResolverConfig::from_parts(None, vec![name("a."); 100], Vec::new());
        assert_eq!(candidates(name("nodes"), &config, 1).len(), SEARCH_MAX + 1);
    }

    #[test]
    fn hosts_without_addresses_have_their_turn() {
        let hosts: Vec<Name> = (0..500).map(|n| name(&format!("n{n}.test."))).collect();
        assert_eq!(chosen(hosts.clone()).len(), HOSTS_MAX);
        let seen: BTreeSet<Name> = (0..200).flat_map(|_| chosen(hosts.clone())).collect();
        assert!(seen.len() > 490, "{}", seen.len());
    }
}
