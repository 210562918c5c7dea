//! The keys of the configuration, in one list: the name, the field that it sets, the values that
//! it takes and what it means. The file, the environment, `--set`, `config show`, `config
//! default` and every error read this list, so that none can know a key that another does not.

use std::sync::LazyLock;

use super::settings::Settings;
use super::value::Setting;

/// One key.
pub(crate) struct Key {
    /// The dotted name, such as `cluster.static.seeds`.
    pub(crate) path: &'static str,
    /// What it means, for the template.
    pub(crate) doc: &'static str,
    /// What the template shows where the default is nothing, as TOML.
    pub(crate) example: &'static str,
    /// The least and the most, as [`super::value::Parse::measure`] counts.
    pub(crate) within: Option<(u64, u64)>,
    /// The field.
    pub(crate) field: fn(&mut Settings) -> &mut dyn Setting,
}

impl Key {
    /// The environment variable: `node.name` is `CONVOKE_NODE_NAME`.
    pub(crate) fn variable(&self) -> String {
        format!("CONVOKE_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// The table and the name within it.
    pub(crate) fn split(&self) -> (&'static str, &'static str) {
        self.path
            .rsplit_once('.')
            .expect("every key lies in a table: the list is tested")
    }

    /// The example for a key without a default.
    pub(super) const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// The range.
    pub(super) const fn within(self, least: u64, most: u64) -> Self {
        Self {
            within: Some((least, most)),
            ..self
        }
    }
}

/// A key without range or example.
pub(super) const fn key(
    path: &'static str,
    field: fn(&mut Settings) -> &mut dyn Setting,
    doc: &'static str,
) -> Key {
    Key {
        path,
        doc,
        example: "",
        within: None,
        field,
    }
}

/// Every key, in the order of the template.
pub(crate) fn all() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
        let groups = [
            node(),
            cluster(),
            strategies(),
            rest(),
            super::detector::keys(),
        ];
        groups.into_iter().flatten().collect()
    });
    &KEYS
}

/// The key of this name.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    all().iter().find(|key| key.path == path)
}

const SECOND: u64 = 1000;
const DAY: u64 = 86_400 * SECOND;

fn node() -> Vec<Key> {
    vec![
        key("node.name", |s| &mut s.node.name, "name@host. The digits that end the name are added to the conventional ports. Fixed for the life of the data directory."),
        key("node.data_dir", |s| &mut s.node.data_dir, "Where the node remembers its cluster. Default: $XDG_STATE_HOME/convoke/<node name> where that is set; else /var/lib/convoke/<node name> for root, ~/.local/state/convoke/<node name> for others.")
            .example("\"/var/lib/convoke/convoke@127.0.0.1\""),
        key("node.listen", |s| &mut s.node.listen, "Gossip, UDP. Default: the host of the name, port 4370 + offset; in epmd mode the first free one of dist_listen_min to dist_listen_max.").example("\"0.0.0.0:4370\""),
        key("node.advertise", |s| &mut s.node.advertise, "The gossip address that others are told, where it is not the one listened on (containers, NAT).")
            .example("\"203.0.113.7:4370\""),
        key("node.rpc_listen", |s| &mut s.node.rpc_listen, "Calls between nodes, UDP. Default: the host of the name, port 5370 + offset; another free port where that is taken.")
            .example("\"0.0.0.0:5370\""),
        key("node.tags", |s| &mut s.node.tags, "Labels that every member sees, as \"key=value\"."),
        key("node.port_mapping", |s| &mut s.node.port_mapping, "conventional | epmd: gossip takes the first free port of a range, which the epmd of this host (TCP 4369, or $ERL_EPMD_PORT) is told and peers ask it for. $WITH_EPMD means epmd."),
        key("node.dist_listen_min", |s| &mut s.node.dist_listen_min, "epmd mode: the first gossip port to try.").within(1, 65_535),
        key("node.dist_listen_max", |s| &mut s.node.dist_listen_max, "epmd mode: the last one.").within(1, 65_535),
        key("node.epmd_embedded", |s| &mut s.node.epmd_embedded, "epmd mode: where no epmd answers on this host, this node serves as one, at every address or at those of $ERL_EPMD_ADDRESS and loopback."),
    ]
}

fn cluster() -> Vec<Key> {
    vec![
        key(
            "cluster.name",
            |s| &mut s.cluster.name,
            "Nodes of other cluster names are refused, and the refusal is logged on both sides.",
        ),
        key(
            "cluster.discovery",
            |s| &mut s.cluster.discovery,
            "manual | static | mcast | dns | etcd | k8s.",
        ),
        key(
            "cluster.discovery_interval",
            |s| &mut s.cluster.discovery_interval,
            "Time between two lookups of the strategy.",
        )
        .within(100, DAY),
        key(
            "cluster.autoheal",
            |s| &mut s.engine.autoheal,
            "Whether failed members and addresses of the past are contacted, so that a cluster that was cut grows together again.",
        ),
        key(
            "cluster.autoclean",
            |s| &mut s.cluster.autoclean,
            "A node failed for this long is forgotten; \"never\" keeps it. The same on all nodes; SIGHUP takes it over.",
        )
        .within(SECOND, 365 * DAY),
        key(
            "cluster.quorum",
            |s| &mut s.engine.quorum,
            "majority | static:<n> | none: what `quorum` in status means.",
        ),
        key(
            "cluster.quorum_tie",
            |s| &mut s.engine.quorum_tie,
            "none | oldest: which side of an even split has quorum, where that is a majority. The oldest member is the one whose process started first.",
        ),
        key(
            "cluster.split_brain",
            |s| &mut s.cluster.split_brain,
            "off | keep-majority | static-quorum | keep-oldest | down-all: which side of a partition goes on. The nodes of the others are downed. static-quorum takes its number from quorum.",
        ),
        key(
            "cluster.stable_after",
            |s| &mut s.cluster.stable_after,
            "How long a partition must stand before split_brain acts.",
        )
        .within(SECOND, DAY),
        key(
            "cluster.on_down",
            |s| &mut s.cluster.on_down,
            "stay | exit: what a node does that split_brain downs: it says so, and comes up by itself when the partition is over; or it ends with code 79.",
        ),
        key(
            "cluster.static.seeds",
            |s| &mut s.cluster.seeds,
            "The static strategy: nodes by name or address. One that answers is enough.",
        )
        .example("[\"convoke1@10.0.0.1\", \"convoke2@10.0.0.2\"]"),
    ]
}

fn strategies() -> Vec<Key> {
    vec![
        key(
            "cluster.mcast.addr",
            |s| &mut s.cluster.mcast.addr,
            "The mcast strategy: the multicast group that nodes ask and answer on, IPv4 (239.0.0.0/8) or IPv6 (ff00::/8). The same on all nodes, as are the ports.",
        ),
        key("cluster.mcast.ports", |s| &mut s.cluster.mcast.ports, "UDP ports: a node listens on the first that no other program holds, and asks all. Nodes of one host share a port."),
        key("cluster.mcast.iface", |s| &mut s.cluster.mcast.iface, "The network interface of the group, by address, name or index. \"0.0.0.0\": the system's choice, by its routes."),
        key("cluster.mcast.ttl", |s| &mut s.cluster.mcast.ttl, "How many routers a question may pass; 0 keeps it on the host.").within(0, 255),
        key("cluster.mcast.loop", |s| &mut s.cluster.mcast.r#loop, "Whether other nodes of the same host hear this one's questions."),
        key(
            "cluster.dns.name",
            |s| &mut s.cluster.dns.name,
            "The dns strategy: the name whose records are the nodes. Without a dot at its end, and without cluster.dns.server, it is looked for in the system's search domains too.",
        )
        .example("\"nodes.example.org\""),
        key("cluster.dns.app", |s| &mut s.cluster.dns.app, "What stands before the @ in the names of all nodes: the address 10.0.0.7 is the node <app>@10.0.0.7. Default: the own name's. SRV records do without.").example("\"convoke\""),
        key(
            "cluster.dns.record_type",
            |s| &mut s.cluster.dns.record_type,
            "a | aaaa | srv. Addresses take their port from the port rule; SRV records bring it.",
        ),
        key("cluster.dns.server", |s| &mut s.cluster.dns.server, "The DNS server to ask, with its port where that is not 53. Default: the system's (/etc/hosts, /etc/resolv.conf).").example("\"10.0.0.53:53\""),
        key("cluster.etcd.server", |s| &mut s.cluster.etcd.server, "The etcd strategy: the members of an etcd (v3), http:// or https://. Whichever answers is asked; one of three may be lost unnoticed."),
        key("cluster.etcd.prefix", |s| &mut s.cluster.etcd.prefix, "Nodes are written down under <prefix>/<cluster.name>/nodes/<node.name>."),
        key("cluster.etcd.node_ttl", |s| &mut s.cluster.etcd.node_ttl, "How long a node stays written down after its process died, in whole seconds.").within(SECOND, DAY),
        key("cluster.etcd.username", |s| &mut s.cluster.etcd.username, "Where etcd asks for users: needs password, and leave to read and write <prefix>/<cluster.name>/nodes/. Without https:// both are sent in clear.")
            .example("\"convoke\""),
        key("cluster.etcd.password", |s| &mut s.cluster.etcd.password, "").example("\"…\""),
        key("cluster.etcd.ssl.cacertfile", |s| &mut s.cluster.etcd.cacertfile, "https:// servers: who signs their certificates, a PEM file. All three files are read again for every connection.")
            .example("\"ca.pem\""),
        key("cluster.etcd.ssl.certfile", |s| &mut s.cluster.etcd.certfile, "Where etcd asks clients for certificates: this node's, a PEM file.").example("\"client.pem\""),
        key("cluster.etcd.ssl.keyfile", |s| &mut s.cluster.etcd.keyfile, "Its key.").example("\"client.key\""),
        key("cluster.k8s.apiserver", |s| &mut s.cluster.k8s.apiserver, "The k8s strategy: where the API server answers. Default: what the pod's service account names, else the kubeconfig.")
            .example("\"https://kubernetes.default.svc:443\""),
        key("cluster.k8s.service_name", |s| &mut s.cluster.k8s.service_name, "The Service whose pods are the nodes. Its EndpointSlices are read and watched."),
        key("cluster.k8s.namespace", |s| &mut s.cluster.k8s.namespace, "Its namespace. Default: the pod's own, or the kubeconfig's.").example("\"default\""),
        key("cluster.k8s.address_type", |s| &mut s.cluster.k8s.address_type, "ip | dns | hostname: what nodes are named by: app@10.1.2.3, app@10-1-2-3.<namespace>.<suffix>, or app@<host name>.<service>.<namespace>.<suffix>."),
        key("cluster.k8s.app_name", |s| &mut s.cluster.k8s.app_name, "The part of the nodes' names before the @, and so their port."),
        key("cluster.k8s.suffix", |s| &mut s.cluster.k8s.suffix, "What ends the nodes' names by dns and hostname, such as pod.cluster.local and svc.cluster.local. Without it they are app@<address> and app@<host name>."),
    ]
}

fn rest() -> Vec<Key> {
    vec![
        key("security.mode", |s| &mut s.security.mode, "secret. (pki is not in this version.)"),
        key("security.secret_file", |s| &mut s.security.secret_file, "What the nodes of a cluster share: 256 bits, mode 0600, made on the first start. Default: $XDG_CONFIG_HOME/convoke/secret, else ~/.config/convoke/secret.")
            .example("\"/etc/convoke/secret\""),
        key("security.ca", |s| &mut s.security.ca, "pki mode: PEM files.").example("\"ca.pem\""),
        key("security.cert", |s| &mut s.security.cert, "").example("\"node.pem\""),
        key("security.key", |s| &mut s.security.key, "").example("\"node.key\""),
        key("security.crl", |s| &mut s.security.crl, "").example("\"crl.pem\""),
        key("http.listen", |s| &mut s.http_listen, "The HTTP API over TCP is not in this version: it is served on the control socket alone."),
        key("log.level", |s| &mut s.log.level, "off | error | warn | info | debug | trace, or levels by module: \"info,quinn=debug\"."),
        key("log.format", |s| &mut s.log.format, "text | json."),
    ]
}
