//! What goes wrong with etcd, in words that say how to mend it.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tonic::{Code, Status};

use super::server::Server;

/// What every error of etcd's own begins with; another server's does not.
const ETCDS_OWN: &str = "etcdserver:";

/// How deep the reason of an error is looked for.
const DEPTH_MAX: usize = 16;

/// Why etcd does not do what it was asked. Nothing changed here; what was registered lapses by
/// itself, and the next pass asks again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EtcdError {
    /// No server answers as it should: each with its reason.
    #[error("{}", faults(.0))]
    NoServer(Vec<(Server, ServerFault)>),
    /// The user is unknown, or the password is another.
    #[error(
        "etcd refuses the user {user:?}: check cluster.etcd.username and cluster.etcd.password"
    )]
    Credentials {
        /// Who asked.
        user: String,
    },
    /// etcd wants to know who asks.
    #[error(
        "etcd wants a user and a password: set cluster.etcd.username and cluster.etcd.password"
    )]
    Anonymous,
    /// The user may not read or write there.
    #[error(
        "etcd does not let {user} use the keys under {folder:?}: `etcdctl role grant-permission <role> readwrite --prefix=true '{folder}'`, for a role of that user"
    )]
    Permission {
        /// Who asked.
        user: String,
        /// Where.
        folder: String,
    },
    /// What lies under the keys of the cluster is more than nodes would write.
    #[error(
        "more lies under {folder:?} in etcd than {most} nodes would write: something else uses these keys, or cluster.etcd.prefix is another's"
    )]
    Crowded {
        /// Where.
        folder: String,
        /// How many are read.
        most: usize,
    },
    /// The lease is no more: it ran out, or was revoked by somebody.
    #[error("the lease in etcd has run out: the next pass takes another")]
    LeaseGone,
    /// etcd's own words.
    #[error("etcd refuses: {0}")]
    Refused(String),
}

/// What is wrong with one server; the next may do better.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ServerFault {
    #[error("can't connect: {0}")]
    Connect(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("can't read {}: {reason}", file.display())]
    File { file: PathBuf, reason: String },
    #[error("its certificate is not signed by an authority in cluster.etcd.ssl.cacertfile: {0}")]
    Authority(String),
    #[error(
        "it refuses the certificate of this node: check cluster.etcd.ssl.certfile and keyfile: {0}"
    )]
    Client(String),
    #[error("TLS fails: {0}")]
    Tls(String),
    #[error("it closes the connection instead of speaking TLS: should it be http://?")]
    NoTls,
    #[error("what answers there is no etcd with the v3 API, or expects https://: {0}")]
    NoEtcd(String),
    #[error("it closes the connection without a word: is it an etcd, and should it be https://?")]
    Mute,
    #[error("the connection is lost: {0}")]
    Lost(String),
    #[error("etcd can't serve now: {0}")]
    Unavailable(String),
}

fn faults(of: &[(Server, ServerFault)]) -> String {
    let each: Vec<String> = of
        .iter()
        .map(|(server, fault)| format!("{server}: {fault}"))
        .collect();
    match each.is_empty() {
        true => "no etcd server is configured: set cluster.etcd.server".into(),
        false => each.join("; "),
    }
}

/// What a failed call means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This server can't do it; another may.
    Server(ServerFault),
    /// The token is no longer taken: authenticate again.
    Token,
    /// The password is wrong.
    Credentials,
    /// Nobody may do this without a user.
    Anonymous,
    /// This user may not do this.
    Permission,
    /// There is no such lease.
    LeaseGone,
    /// There is such a lease.
    LeaseExists,
    /// The user and password are not needed.
    NoAuth,
    /// The answer is larger than is taken.
    TooLarge,
    /// No other server would say anything else.
    Refused(String),
}

/// Tells it from etcd's words, which its clients all go by, and from the codes of the transport.
pub(super) fn judge(status: &Status) -> Verdict {
    let words = status.message();
    let says = |text: &str| words.contains(text);
    match status.code() {
        _ if !is_etcds(status) => judge_foreign(status),
        _ if says("invalid auth token") || says("revision of auth store is old") => Verdict::Token,
        _ if says("authentication failed") => Verdict::Credentials,
        _ if says("authentication is not enabled") => Verdict::NoAuth,
        _ if says("user name is empty") => Verdict::Anonymous,
        _ if says("requested lease not found") => Verdict::LeaseGone,
        _ if says("lease already exists") => Verdict::LeaseExists,
        Code::PermissionDenied => Verdict::Permission,
        Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Internal => {
            Verdict::Server(ServerFault::Unavailable(words.to_owned()))
        }
        _ => Verdict::Refused(words.to_owned()),
    }
}

/// Whether etcd itself says so, and not the transport or another server.
pub(super) fn is_etcds(status: &Status) -> bool {
    status.message().starts_with(ETCDS_OWN)
}

/// Not etcd's words: the transport's, or another server's. The connection stands.
fn judge_foreign(status: &Status) -> Verdict {
    let words = status.message().to_owned();
    match status.code() {
        Code::OutOfRange => Verdict::TooLarge,
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded => {
            Verdict::Server(ServerFault::Lost(words))
        }
        _ => Verdict::Server(ServerFault::NoEtcd(words)),
    }
}

/// What the end of a connection means that could still be read from.
pub(super) fn end_fault(error: &hyper::Error) -> ServerFault {
    let mut deepest: &(dyn Error + 'static) = error;
    for _ in 0..DEPTH_MAX {
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    match error.is_timeout() {
        true => ServerFault::Lost("it does not answer any more".into()),
        // What came is no HTTP/2.
        false => ServerFault::NoEtcd(deepest.to_string()),
    }
}

/// What it means that nothing can be read any more.
pub(super) fn read_fault(error: &io::Error) -> ServerFault {
    match find_tls(error) {
        Some(tls) => tls_fault(tls),
        None => ServerFault::Lost(error.to_string()),
    }
}

/// What it means that TLS does not come about.
pub(super) fn handshake_fault(error: &io::Error) -> ServerFault {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match find_tls(error) {
        Some(tls) => tls_fault(tls),
        None if matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) => {
            ServerFault::NoTls
        }
        None => ServerFault::Lost(error.to_string()),
    }
}

fn find_tls(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn tls_fault(error: &rustls::Error) -> ServerFault {
    use rustls::{CertificateError, Error as Tls};
    match error {
        Tls::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => ServerFault::Authority(error.to_string()),
        Tls::InvalidMessage(_) => ServerFault::NoTls,
        Tls::AlertReceived(_) => ServerFault::Client(error.to_string()),
        _ => ServerFault::Tls(error.to_string()),
    }
}

/// A user in a sentence.
pub(super) fn user(name: Option<&str>) -> String {
    name.map_or_else(
        || "whoever has no user name".into(),
        |name| format!("the user {name:?}"),
    )
}
