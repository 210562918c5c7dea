//! Talks to a running node over its control socket.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use convoke_core::NodeName;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::api::problem::Problem;
use crate::config::local_name;
use crate::exit::{Code, Exit};
use crate::paths::Places;
use crate::registry::{Entry, Liveness, Registry, liveness};

/// How long a question may take.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How long a change of cluster may take: a join's 10 s, the program's 8 s to prepare, and some.
const CHANGE_WAIT: Duration = Duration::from_secs(25);
/// The largest answer that is read, in bytes: a hundred thousand members.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A node to talk to.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    name: NodeName,
    socket: PathBuf,
}

impl Client {
    /// The node that is wanted: by name, else the only one that runs.
    ///
    /// # Errors
    /// When it does not run, several do and none was named, or the name is none.
    pub(crate) async fn find(wanted: Option<&str>, places: &Places) -> anyhow::Result<Self> {
        let running = Registry::new(places.run_dir()).running().await;
        match wanted {
            Some(wanted) => Self::named(wanted, &running, places).await,
            None => Self::only(&running),
        }
    }

    fn only(running: &[Entry]) -> anyhow::Result<Self> {
        match running {
            [] => Err(Exit::error(
                Code::NoNode,
                "no node runs here: `convoke start` starts one",
            )),
            [one] => Ok(Self::of(one)),
            several => {
                let message = format!(
                    "several nodes run here: choose one with --node: {}",
                    names(several)
                );
                Err(Exit::error(Code::Usage, message))
            }
        }
    }

    async fn named(wanted: &str, running: &[Entry], places: &Places) -> anyhow::Result<Self> {
        let name = local_name(wanted).map_err(|error| Exit::new(Code::Usage, error.to_string()))?;
        if let Some(entry) = running.iter().find(|entry| entry.name == name) {
            return Ok(Self::of(entry));
        }
        let alike: Vec<Entry> = match wanted.contains('@') {
            true => Vec::new(),
            false => running
                .iter()
                .filter(|entry| entry.name.local_part() == wanted)
                .cloned()
                .collect(),
        };
        match alike.as_slice() {
            [one] => return Ok(Self::of(one)),
            [] => {}
            several => {
                let message = format!(
                    "several nodes are named {wanted}: give the whole name: {}",
                    names(several)
                );
                return Err(Exit::error(Code::Usage, message));
            }
        }
        // Started with another run directory, it is still found where nodes lie by default.
        let socket = places.control_socket(&name, &places.data_dir(&name));
        match liveness(&socket).await {
            Liveness::Answers => Ok(Self { name, socket }),
            Liveness::Dead | Liveness::Unknown => Err(not_running(&name, running)),
        }
    }

    fn of(entry: &Entry) -> Self {
        Self {
            name: entry.name.clone(),
            socket: entry.socket.clone(),
        }
    }

    /// The node's name.
    pub(crate) fn name(&self) -> &NodeName {
        &self.name
    }

    /// Asks a question.
    ///
    /// # Errors
    /// When the node does not answer, or answers with a problem.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.call(Request::get(path).body(Full::default())?, ANSWER_WAIT)
            .await
    }

    /// Gives an order.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> anyhow::Result<T> {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.call(
            request.body(Full::from(serde_json::to_vec(body)?))?,
            CHANGE_WAIT,
        )
        .await
    }

    /// Opens the stream of events.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn events(&self) -> anyhow::Result<Incoming> {
        let request = Request::get("/v1/events").body(Full::default())?;
        let response = timeout(ANSWER_WAIT, self.send(request))
            .await
            .map_err(|_| self.silent(ANSWER_WAIT))??;
        Ok(response.into_body())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        request: Request<Full<Bytes>>,
        wait: Duration,
    ) -> anyhow::Result<T> {
        let exchange = async {
            let response = self.send(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX)
                .collect()
                .await;
            let bytes = body
                .map_err(|error| anyhow!("{} broke off its answer: {error}", self.name))?
                .to_bytes();
            Ok((status, bytes))
        };
        let answer: anyhow::Result<(StatusCode, Bytes)> = timeout(wait, exchange)
            .await
            .map_err(|_| self.silent(wait))?;
        let (status, bytes) = answer?;
        match status.is_success() {
            true => serde_json::from_slice(&bytes).with_context(|| self.strange()),
            false => {
                let problem: Problem =
                    serde_json::from_slice(&bytes).with_context(|| self.strange())?;
                Err(Exit::error(Code::Refused, problem.detail))
            }
        }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let gone = || format!("{} does not answer on {}", self.name, self.socket.display());
        let stream = UnixStream::connect(&self.socket).await.with_context(gone)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .with_context(gone)?;
        // An error of the connection is also the error of the exchange on it.
        tokio::spawn(connection);
        let (mut parts, body) = request.into_parts();
        parts
            .headers
            .insert(header::HOST, header::HeaderValue::from_static("localhost"));
        sender
            .send_request(Request::from_parts(parts, body))
            .await
            .with_context(gone)
    }

    fn silent(&self, wait: Duration) -> anyhow::Error {
        anyhow!(
            "{} has not answered within {} s: is the process stopped or overloaded?",
            self.name,
            wait.as_secs()
        )
    }

    fn strange(&self) -> String {
        format!(
            "{} gave an answer that this version of convoke does not understand",
            self.name
        )
    }
}

fn not_running(name: &NodeName, running: &[Entry]) -> anyhow::Error {
    let hint = match running {
        [] => "no node runs here".to_owned(),
        others => format!("running here: {}", names(others)),
    };
    Exit::error(Code::NoNode, format!("{name} does not run here ({hint})"))
}

fn names(entries: &[Entry]) -> String {
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    fn code(result: anyhow::Result<Client>) -> Code {
        result
            .expect_err("no node is to be found")
            .downcast_ref::<Exit>()
            .expect("an exit")
            .code
    }

    /// A run directory with a listening node for each name.
    struct Fleet {
        folder: tempfile::TempDir,
        _nodes: Vec<(UnixListener, crate::registry::Registration)>,
    }

    impl Fleet {
        fn of(names: &[&str]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let registry = Registry::new(folder.path().join("convoke"));
            let node = |name: &&str| Self::node(folder.path(), &registry, name);
            let nodes = names.iter().map(node).collect();
            Self {
                folder,
                _nodes: nodes,
            }
        }

        fn node(
            folder: &Path,
            registry: &Registry,
            name: &str,
        ) -> (UnixListener, crate::registry::Registration) {
            let entry = Entry {
                name: name.parse().unwrap(),
                pid: 1,
                socket: folder.join(format!("{name}.sock")),
                data_dir: folder.to_path_buf(),
                gossip: "127.0.0.1:4370".parse().unwrap(),
            };
            (
                UnixListener::bind(&entry.socket).unwrap(),
                registry.register(entry).unwrap(),
            )
        }

        async fn find(&self, wanted: Option<&str>) -> anyhow::Result<Client> {
            let folder = self.folder.path().to_str().unwrap();
            let variables = [("XDG_RUNTIME_DIR", folder), ("XDG_STATE_HOME", folder)];
            Client::find(wanted, &Places::of(Environment::of(&variables), false)).await
        }
    }

    #[tokio::test]
    async fn the_only_node_needs_no_name() {
        let fleet = Fleet::of(&["a@127.0.0.1"]);
        assert_eq!(
            fleet.find(None).await.unwrap().name().as_str(),
            "a@127.0.0.1"
        );
    }

    #[tokio::test]
    async fn of_several_nodes_one_must_be_named_and_the_error_lists_them() {
        let fleet = Fleet::of(&["b@127.0.0.1", "a@127.0.0.1"]);
        let error = fleet.find(None).await.unwrap_err();
        assert!(
            error.to_string().ends_with("a@127.0.0.1, b@127.0.0.1"),
            "{error}"
        );
        assert_eq!(code(Err(error)), Code::Usage);
        assert_eq!(
            fleet
                .find(Some("b@127.0.0.1"))
                .await
                .unwrap()
                .name()
                .local_part(),
            "b"
        );
    }

    #[tokio::test]
    async fn a_bare_name_is_the_local_node_or_the_only_one_of_that_name() {
        let fleet = Fleet::of(&[
            "a@127.0.0.1",
            "a@10.0.0.1",
            "c@10.0.0.1",
            "d@10.0.0.1",
            "d@10.0.0.2",
        ]);
        assert_eq!(
            fleet.find(Some("a")).await.unwrap().name().as_str(),
            "a@127.0.0.1"
        );
        assert_eq!(
            fleet.find(Some("c")).await.unwrap().name().as_str(),
            "c@10.0.0.1"
        );
        assert_eq!(code(fleet.find(Some("d")).await), Code::Usage);
    }

    #[tokio::test]
    async fn where_no_such_node_runs_the_exit_code_says_so() {
        assert_eq!(code(Fleet::of(&[]).find(None).await), Code::NoNode);
        let fleet = Fleet::of(&["a@127.0.0.1"]);
        assert_eq!(code(fleet.find(Some("b")).await), Code::NoNode);
        assert_eq!(code(fleet.find(Some("a@10.0.0.1")).await), Code::NoNode);
        assert_eq!(code(fleet.find(Some("a b")).await), Code::Usage);
    }
}
