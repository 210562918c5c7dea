//! A replay of a Kubernetes API server, not a real one: it serves what a real one answers to
//! questions about EndpointSlices, word for word, over TLS. Lists with a version and by pages,
//! watches by chunks, bookmarks, 401, 403, 404 and 410.

mod answers;
mod objects;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::answers::serve;
use self::objects::{endpoint_slice, typed};
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
