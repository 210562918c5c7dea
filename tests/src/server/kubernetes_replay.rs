//! A replay of a Kubernetes API server, not a real one: it serves what a real one answers to
//! questions about EndpointSlices, word for word, over TLS. Lists with a version and by pages,
//! watches by chunks, bookmarks, 401, 403, 404 and 410.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::authority::Authority;
use crate::fleet::Fleet;

/// The fleet's address that the server listens on.
const ADDRESS: u8 = 250;
const PORT: u16 = 6443;
const TOKEN: &str = "a-service-accounts-token";
const SERVICE: &str = "convoke";
const NAMESPACE: &str = "fleet";
const ACCOUNT: &str = "system:serviceaccount:fleet:convoke";

/// A replay of an API server, at an address of a fleet, with a Service `convoke` in the namespace
/// `fleet`. It ends when this is dropped.
#[derive(Debug)]
pub struct KubernetesReplay {
    address: SocketAddr,
    shared: Arc<Shared>,
    tls: Arc<ServerConfig>,
    listening: Option<JoinHandle<()>>,
    // Their files go last.
    authority: Authority,
    folder: TempDir,
}

/// A pod as an EndpointSlice lists it.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its host name, as a StatefulSet gives it.
    pub hostname: Option<String>,
    /// Whether it is ready.
    pub ready: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    slices: BTreeMap<String, Value>,
    /// What a watch is told, with the version of each.
    history: Vec<(u64, Value)>,
    /// Watches from before this version are too old.
    oldest: u64,
    /// The verb that the account may not use.
    forbidden: Option<&'static str>,
    /// Told to the threads of connections, which end then.
    killed: bool,
    /// How often watches were ended.
    endings: u64,
    /// What was asked: `list` and `watch`.
    asked: Vec<&'static str>,
    connections: Vec<TcpStream>,
}

impl KubernetesReplay {
    /// One without pods.
    pub fn start(fleet: &Fleet) -> Self {
        let address = SocketAddr::new(fleet.address(ADDRESS).into(), PORT);
        let authority = Authority::new();
        let issued = authority.issue("apiserver", Some(address.ip()));
        let certificate =
            CertificateDer::from_pem_file(&issued.certificate).expect("it was issued");
        let key = PrivateKeyDer::from_pem_file(&issued.key).expect("it was issued");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key is the certificate's");
        let mut replay = Self {
            address,
            shared: Arc::default(),
            tls: Arc::new(tls),
            listening: None,
            authority,
            folder: tempfile::tempdir().expect("the temporary folder is writable"),
        };
        replay.shared.lock().version = 1000;
        replay.write_credentials();
        replay.start_again();
        replay
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A kubeconfig for it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A kubeconfig for it, with the authority and the token of another.
    pub fn kubeconfig_with(&self, authority: &Path, token: &str) -> PathBuf {
        let file = self.folder.path().join("other-kubeconfig");
        self.write_kubeconfig(&file, authority, token);
        file
    }

    /// What a pod finds under `/var/run/secrets/kubernetes.io/serviceaccount`.
    pub fn service_account(&self) -> PathBuf {
        self.folder.path().join("serviceaccount")
    }

    /// Has a slice of the Service list these pods.
    pub fn set(&self, slice: &str, pods: &[Pod]) {
        let mut state = self.shared.lock();
        state.version += 1;
        let (version, known) = (state.version, state.slices.contains_key(slice));
        let object = endpoint_slice(slice, version, pods);
        state.slices.insert(slice.to_owned(), object.clone());
        state.tell(if known { "MODIFIED" } else { "ADDED" }, &typed(object));
        self.shared.changed.notify_all();
    }

    /// Deletes a slice.
    pub fn delete(&self, slice: &str) {
        let mut state = self.shared.lock();
        state.version += 1;
        let mut object = state.slices.remove(slice).expect("it is there");
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.tell("DELETED", &typed(object));
        self.shared.changed.notify_all();
    }

    /// Tells watches the version, as a real one does about once a minute.
    pub fn bookmark(&self) {
        let mut state = self.shared.lock();
        // Something else happened meanwhile that is none of this Service's.
        state.version += 5;
        let metadata =
            json!({"resourceVersion": state.version.to_string(), "creationTimestamp": null});
        state.tell("BOOKMARK", &json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata, "addressType": "", "endpoints": null, "ports": null}));
        self.shared.changed.notify_all();
    }

    /// Throws its history away: a watch that was not up to date is too old (410).
    pub fn compact(&self) {
        let mut state = self.shared.lock();
        state.version += 5;
        state.oldest = state.version;
        state.history.clear();
        state.endings += 1;
        self.shared.changed.notify_all();
    }

    /// Ends all watches, as at their limit.
    pub fn end_watches(&self) {
        self.shared.lock().endings += 1;
        self.shared.changed.notify_all();
    }

    /// Does not let the account use this verb any more, or lets it use all.
    pub fn forbid(&self, verb: Option<&'static str>) {
        self.shared.lock().forbidden = verb;
    }

    /// How often it was asked `list` or `watch`.
    pub fn asked(&self, verb: &str) -> usize {
        self.shared
            .lock()
            .asked
            .iter()
            .filter(|asked| **asked == verb)
            .count()
    }

    /// Ends it, with all connections.
    pub fn kill(&mut self) {
        {
            let mut state = self.shared.lock();
            state.killed = true;
            for connection in state.connections.drain(..) {
                // It may be over already.
                let _ = connection.shutdown(Shutdown::Both);
            }
            self.shared.changed.notify_all();
        }
        // The thread that listens waits for a connection: here is one.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            listening.join().expect("it does not panic");
        }
    }

    /// Serves again, with what it knew.
    pub fn start_again(&mut self) {
        self.shared.lock().killed = false;
        let listener = TcpListener::bind(self.address).expect("the fleet's address is free");
        let (shared, tls) = (self.shared.clone(), self.tls.clone());
        self.listening = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut state = shared.lock();
                if state.killed {
                    return;
                }
                let Ok(stream) = stream else { continue };
                state.connections.extend(stream.try_clone().ok());
                drop(state);
                let (shared, tls) = (shared.clone(), tls.clone());
                std::thread::spawn(move || {
                    let connection =
                        ServerConnection::new(tls).expect("its configuration is valid");
                    // Whoever hangs up ends it.
                    let _ = serve(&shared, StreamOwned::new(connection, stream));
                });
            }
        }));
    }

    fn write_credentials(&self) {
        let account = self.service_account();
        let write = |file: PathBuf, text: &[u8]| {
            std::fs::write(file, text).expect("a fresh folder is writable");
        };
        std::fs::create_dir(&account).expect("a fresh folder is writable");
        let ca = std::fs::read(self.authority.certificate()).expect("it was written");
        write(account.join("ca.crt"), &ca);
        write(account.join("token"), TOKEN.as_bytes());
        write(account.join("namespace"), NAMESPACE.as_bytes());
        self.write_kubeconfig(&self.kubeconfig(), &self.authority.certificate(), TOKEN);
    }

    fn write_kubeconfig(&self, file: &Path, authority: &Path, token: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: replay\n  cluster:\n    server: {}\n    certificate-authority: {}\nusers:\n- name: convoke\n  user:\n    token: {token}\ncontexts:\n- name: replay\n  context:\n    cluster: replay\n    user: convoke\n    namespace: {NAMESPACE}\ncurrent-context: replay\n",
            self.url(),
            authority.display()
        );
        std::fs::write(file, text).expect("a fresh folder is writable");
    }
}

impl Drop for KubernetesReplay {
    fn drop(&mut self) {
        if self.listening.is_some() {
            self.kill();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of the replay panics")
    }
}

impl State {
    fn tell(&mut self, kind: &str, object: &Value) {
        self.history
            .push((self.version, json!({"type": kind, "object": object})));
    }
}

/// An object of a list has no type of its own, one of a watch has.
fn typed(mut object: Value) -> Value {
    object["kind"] = json!("EndpointSlice");
    object["apiVersion"] = json!("discovery.k8s.io/v1");
    object
}

fn endpoint_slice(name: &str, version: u64, pods: &[Pod]) -> Value {
    let endpoint = |pod: &Pod| {
        let mut endpoint = json!({
            "addresses": [pod.address.to_string()],
            "conditions": {"ready": pod.ready, "serving": pod.ready, "terminating": false},
            "nodeName": "worker-1",
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": "convoke-x", "uid": "5b0f7f53-0f5c-4d24-9b39-5cf0b6d3f1aa"},
        });
        if let Some(hostname) = &pod.hostname {
            endpoint["hostname"] = json!(hostname);
        }
        endpoint
    };
    json!({
        "metadata": {
            "name": name,
            "generateName": "convoke-",
            "namespace": NAMESPACE,
            "uid": "c4b43c53-8d9f-4b71-9a51-2d8c6d1f0f11",
            "resourceVersion": version.to_string(),
            "generation": 1,
            "creationTimestamp": "2026-11-20T10:00:00Z",
            "labels": {
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": SERVICE,
                "service.kubernetes.io/headless": "",
            },
        },
        "addressType": "IPv4",
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "gossip", "protocol": "UDP", "port": 4370}],
    })
}

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// One connection, question after question.
fn serve(shared: &Shared, stream: Stream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if (&mut stream).take(64 << 10).read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        answer(shared, stream.get_mut(), &head)?;
    }
}

fn answer(shared: &Shared, out: &mut Stream, head: &[String]) -> std::io::Result<()> {
    let request = head.first().map(String::as_str).unwrap_or_default();
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = Query(query);
    let verb = if query.get("watch") == Some("true") {
        "watch"
    } else {
        "list"
    };
    let authorized = head
        .iter()
        .any(|line| line.to_lowercase() == format!("authorization: bearer {TOKEN}"));
    let mut state = shared.lock();
    let namespace = path
        .strip_prefix("/apis/discovery.k8s.io/v1/namespaces/")
        .and_then(|rest| rest.strip_suffix("/endpointslices"));
    let refusal = match namespace {
        _ if !authorized => Some(status(401, "Unauthorized", "Unauthorized")),
        None => Some(status(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )),
        // The account's Role is of its own namespace.
        Some(namespace) if namespace != NAMESPACE || state.forbidden == Some(verb) => {
            let message = format!(
                "endpointslices.discovery.k8s.io is forbidden: User {ACCOUNT:?} cannot {verb} resource \"endpointslices\" in API group \"discovery.k8s.io\" in the namespace {namespace:?}"
            );
            Some(status(403, "Forbidden", &message))
        }
        Some(_) => None,
    };
    state.asked.push(verb);
    match (refusal, verb) {
        (Some((code, body)), _) => {
            drop(state);
            respond(out, code, &body)
        }
        (None, "watch") => {
            drop(state);
            watch(shared, out, &query)
        }
        (None, _) => {
            let body = list(&state, &query);
            drop(state);
            respond(out, 200, &body)
        }
    }
}

/// The values of a query, as far as they need no decoding.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find_map(|(found, value)| (found == key).then_some(value))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    fn is_for_the_service(&self) -> bool {
        self.get("labelSelector") == Some(&format!("kubernetes.io%2Fservice-name%3D{SERVICE}"))
    }
}

fn list(state: &State, query: &Query<'_>) -> Value {
    let skipped = query.number("continue").unwrap_or(0) as usize;
    let limit = query
        .number("limit")
        .map_or(usize::MAX, |limit| limit as usize);
    let all: Vec<&Value> = state
        .slices
        .values()
        .filter(|_| query.is_for_the_service())
        .collect();
    let items: Vec<&Value> = all.iter().skip(skipped).take(limit).copied().collect();
    let mut metadata = json!({"resourceVersion": state.version.to_string()});
    let rest = all.len().saturating_sub(skipped + items.len());
    if rest > 0 {
        metadata["continue"] = json!((skipped + items.len()).to_string());
        metadata["remainingItemCount"] = json!(rest);
    }
    json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata, "items": items})
}

/// Tells what happens, chunk by chunk, to the watch's limit.
fn watch(shared: &Shared, out: &mut Stream, query: &Query<'_>) -> std::io::Result<()> {
    let limit = Duration::from_secs(query.number("timeoutSeconds").unwrap_or(1800));
    let (began, mut told) = (Instant::now(), query.number("resourceVersion").unwrap_or(0));
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    out.flush()?;
    let endings = shared.lock().endings;
    loop {
        let mut state = shared.lock();
        let is_over =
            |state: &State| state.killed || state.endings != endings || began.elapsed() >= limit;
        let is_old = told < state.oldest;
        let news: Vec<(u64, Value)> = state
            .history
            .iter()
            .filter(|(version, _)| *version > told)
            .cloned()
            .collect();
        if news.is_empty() && !is_old {
            if is_over(&state) {
                break;
            }
            state = shared
                .changed
                .wait_timeout(state, Duration::from_millis(500))
                .expect("no thread panics")
                .0;
            drop(state);
            continue;
        }
        let oldest = state.oldest;
        drop(state);
        if is_old {
            let (_, object) = status(
                410,
                "Expired",
                &format!("too old resource version: {told} ({oldest})"),
            );
            chunk(out, &json!({"type": "ERROR", "object": object}))?;
            break;
        }
        for (version, event) in news {
            chunk(out, &event)?;
            told = version;
        }
    }
    out.write_all(b"0\r\n\r\n")?;
    out.flush()
}

fn chunk(out: &mut Stream, event: &Value) -> std::io::Result<()> {
    let line = format!("{event}\n");
    write!(out, "{:x}\r\n{line}\r\n", line.len())?;
    out.flush()
}

/// An error as the API server words it, with its code.
fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}),
    )
}

fn respond(out: &mut Stream, code: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        out,
        "HTTP/1.1 {code} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    out.flush()
}
