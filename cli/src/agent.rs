//! Puts a node together: the node itself, its discovery, its control socket, its entry among the
//! running nodes; and takes it apart again when a signal says so.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use convoke::{Node, Options, Secret, StartError, View};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::api::journal::Journal;
use crate::api::model::Details;
use crate::api::server::{self, Service};
use crate::config::{self, Effective, Environment, OnDown, Settings, Sources};
use crate::discovery::Discovery;
use crate::epmd::Epmd;
use crate::exit::{Code, Exit};
use crate::logging::{self, LevelHandle};
use crate::paths::Places;
use crate::registry::{Entry, Registration, Registry};
use crate::signals::{Heard, Signals};

/// How long open answers may take once the node has ended.
const ANSWERS_WAIT: Duration = Duration::from_millis(500);
/// The longest that a graceful leave may take.
const LEAVE_WAIT: Duration = Duration::from_secs(10);

/// Runs a node until a signal ends it.
///
/// # Errors
/// When it can't start, with [`Code::Configuration`] where only the operator can help; or when it
/// ended by itself.
pub(crate) async fn run(sources: &Sources, effective: &Effective) -> anyhow::Result<()> {
    let settings = &effective.settings;
    let level = logging::start(&settings.log.level.0, settings.log.format)?;
    // Before anybody is told that this node is up: a signal that comes then must find us ready.
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let agent = tokio::select! {
        agent = Agent::start(settings) => agent?,
        number = signals.end() => return Err(interrupted(number)),
    };
    agent.announce(effective);
    notify(&[sd_notify::NotifyState::Ready]);
    let ended = agent.serve(sources, effective, &level, &mut signals).await;
    notify(&[sd_notify::NotifyState::Stopping]);
    match ended {
        Ended::Signal => tokio::select! {
            () = agent.end(true) => Ok(()),
            number = signals.end() => at_once(number),
        },
        Ended::Downed => {
            let message = downed(&agent.node);
            tokio::select! {
                () = agent.end(false) => Err(Exit::error(Code::Downed, message)),
                number = signals.end() => at_once(number),
            }
        }
        Ended::ByItself => Err(anyhow::anyhow!("the node has ended by itself: see its log")),
    }
}

/// Why the node is to end.
enum Ended {
    Signal,
    ByItself,
    /// By `split_brain`.
    Downed,
}

/// A node and what belongs to it.
struct Agent {
    node: Node,
    discovery: Arc<Discovery>,
    epmd: Option<Arc<Epmd>>,
    details: Arc<Details>,
    secret_file: PathBuf,
    secret_is_new: bool,
    registration: Registration,
    api: JoinHandle<()>,
    journal: JoinHandle<()>,
}

impl Agent {
    async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let places = Places::of_process();
        let secret_file = settings
            .security
            .secret_file
            .clone()
            .unwrap_or_else(|| places.secret_file());
        let (secret, secret_is_new) = Secret::load_or_create(&secret_file)
            .map_err(|error| Exit::new(Code::Configuration, error.to_string()))?;
        let data_dir = settings
            .node
            .data_dir
            .clone()
            .unwrap_or_else(|| places.data_dir(&settings.node.name));
        let epmd = Epmd::of(settings, &Environment::of_process())?;
        let options = options(settings, secret.clone(), data_dir.clone(), epmd.clone());
        let node = Node::start(options)
            .await
            .map_err(|error| start_error(&error))?;
        let discovery = Arc::new(Discovery::start(&node, settings, &secret));
        let details = Arc::new(details(&node, &data_dir, &discovery, epmd.as_deref()));
        let (log, journal) = Journal::keep(&node);
        let service = Service {
            node: node.clone(),
            journal: log,
            discovery: discovery.clone(),
            epmd: epmd.clone(),
            details: details.clone(),
            changing: Arc::default(),
        };
        let (registration, api) = match open(&places, &node, &data_dir, service) {
            Ok(opened) => opened,
            Err(error) => {
                // Others may have heard of this node by now: it says goodbye.
                node.shutdown().await;
                return Err(error);
            }
        };
        Ok(Self {
            node,
            discovery,
            epmd,
            details,
            secret_file,
            secret_is_new,
            registration,
            api,
            journal,
        })
    }

    /// Says on stdout what an operator wants to know. A stdout that is closed is no reason to end.
    fn announce(&self, effective: &Effective) {
        let details = &self.details;
        let made = if self.secret_is_new {
            " (made now: copy it to the other nodes)"
        } else {
            ""
        };
        let file = effective
            .file
            .as_deref()
            .map_or_else(|| "none".into(), Path::to_string_lossy);
        let discovery = match (&details.discovery.strategy, details.discovery.enabled) {
            (strategy, false) if strategy != "manual" => {
                format!("{strategy}, disabled since a leave: `convoke cluster discovery enable`")
            }
            (strategy, _) => strategy.clone(),
        };
        let epmd = details.epmd.as_ref();
        let epmd = epmd.map_or_else(String::new, |epmd| format!("  epmd            {epmd}\n"));
        let mut text = format!(
            "Node {} is started.\n  gossip          {} (udp)\n  rpc             {} (udp)\n{epmd}  http            off\n  \
             data directory  {}\n  control socket  {}\n  cluster         {} ({})\n  discovery       {discovery}\n  \
             secret file     {}{made}\n  configuration   {file}\n",
            details.name,
            details.gossip,
            details.rpc,
            details.data_dir.display(),
            self.registration.socket().display(),
            self.node.view().cluster_name(),
            self.node.view().cluster_id(),
            self.secret_file.display(),
        );
        for warning in &details.warnings {
            text += &format!("  warning         {warning}\n");
            warn!("{warning}");
        }
        let mut out = io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Runs until a signal says to end.
    async fn serve(
        &self,
        sources: &Sources,
        running: &Effective,
        level: &LevelHandle,
        signals: &mut Signals,
    ) -> Ended {
        let follow = self.discovery.follow();
        let downed = self.downed();
        tokio::pin!(follow, downed);
        let exits = running.settings.cluster.on_down == OnDown::Exit;
        let mut following = self.discovery.is_configured();
        loop {
            tokio::select! {
                heard = signals.next() => match heard {
                    Heard::Reload => self.reload(sources, running, level).await,
                    Heard::End(number) => {
                        info!(signal = number, "leaving: a second signal ends this node at once");
                        return Ended::Signal;
                    }
                },
                () = self.node.closed() => return Ended::ByItself,
                () = &mut downed, if exits => return Ended::Downed,
                () = &mut follow, if following => following = false,
            }
        }
    }

    /// Returns when this node goes down. One that was down before it was started waits for the end of
    /// the partition: it would only be started once more.
    async fn downed(&self) {
        let mut events = self.node.subscribe();
        let goes_down = |view: &View| view.down().is_some_and(|down| !down.resumed);
        while !goes_down(&self.node.view()) {
            if events.next().await.is_none() {
                return std::future::pending().await;
            }
        }
    }

    /// Reads the configuration again, for what can change while the node runs. `running` is what
    /// it was started with.
    async fn reload(&self, sources: &Sources, running: &Effective, level: &LevelHandle) {
        let changed = config::load(sources)
            .map_err(anyhow::Error::from)
            .and_then(|effective| {
                level.set(&effective.settings.log.level.0)?;
                self.discovery.reload(&effective.settings);
                Ok(effective)
            });
        match changed {
            Ok(effective) => {
                let autoclean = effective.settings.cluster.autoclean.0;
                self.node.set_autoclean(autoclean).await;
                self.tell_reloaded(&running.differing(&effective));
            }
            Err(error) => {
                error!("the configuration is wrong, everything stays as it was: {error:#}");
            }
        }
    }

    /// Says what was taken over, and which changes wait for the next start.
    fn tell_reloaded(&self, changed: &[&str]) {
        let (taken, keys): (_, &[&str]) = match self.discovery.asks_seeds() {
            true => (
                "log level, autoclean and seeds",
                &["log.level", "cluster.autoclean", "cluster.static.seeds"],
            ),
            false => (
                "log level and autoclean",
                &["log.level", "cluster.autoclean"],
            ),
        };
        info!("the configuration was read again: {taken} are taken over");
        // A profile changes many numbers: it stands for them.
        let profile = changed.contains(&"detector.profile");
        let implied =
            |key: &str| profile && key.starts_with("detector.") && key != "detector.profile";
        for key in changed {
            if !keys.contains(key) && !implied(key) {
                warn!("{key} changed: takes effect at the next start");
            }
        }
    }

    /// Closes everything, and says goodbye to the cluster before. Who is down does not: its mates
    /// would count without it, and each of those who go down after it sees a smaller side.
    async fn end(self, goodbye: bool) {
        let node = async {
            match goodbye {
                true => self.node.shutdown().await,
                false => self.node.halt().await,
            }
        };
        let ended = async { tokio::join!(node, self.discovery.end()) };
        if tokio::time::timeout(LEAVE_WAIT, ended).await.is_err() {
            warn!("the goodbye took too long: others will find this node failed");
        }
        if let Some(epmd) = &self.epmd {
            epmd.end();
        }
        let socket = self.registration.socket().to_path_buf();
        drop(self.registration);
        // Streams of events end with the journal; what is still open after that is cut off.
        let _ = tokio::time::timeout(ANSWERS_WAIT, self.journal).await;
        tokio::task::yield_now().await;
        self.api.abort();
        let _ = std::fs::remove_file(socket);
    }
}

/// What is said of a node that ends because it is down.
fn downed(node: &Node) -> String {
    let view = node.view();
    let (present, all) = view.down().map_or((0, 0), |down| (down.present, down.all));
    format!(
        "downed by cluster.split_brain: {present} of {all} members were on this side of a partition, and cluster.on_down \
         is \"exit\". Started again, the node comes back to its cluster by itself as soon as it reaches it"
    )
}

fn options(
    settings: &Settings,
    secret: Secret,
    data_dir: PathBuf,
    epmd: Option<Arc<Epmd>>,
) -> Options {
    let node = &settings.node;
    let defaults = Options::new(node.name.clone(), secret);
    Options {
        cluster_name: settings.cluster.name.0.clone(),
        listen: node.listen,
        rpc_listen: node.rpc_listen,
        advertise: node.advertise,
        data_dir: Some(data_dir),
        engine: settings.engine(),
        tags: node
            .tags
            .iter()
            .map(|tag| (tag.key.clone(), tag.value.clone()))
            .collect(),
        discovery: settings.cluster.discovery != config::Discovery::Manual,
        port_map: match epmd {
            Some(epmd) => epmd,
            None => defaults.port_map.clone(),
        },
        ..defaults
    }
}

/// Nearly every reason lies in the configuration or the machine: another start will not help.
fn start_error(error: &StartError) -> anyhow::Error {
    let code = match error {
        StartError::Identity(_) => Code::Refused,
        _ => Code::Configuration,
    };
    Exit::error(code, error.to_string())
}

fn details(node: &Node, data_dir: &Path, discovery: &Discovery, epmd: Option<&Epmd>) -> Details {
    Details {
        name: node.name().clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        data_dir: data_dir.to_path_buf(),
        gossip: node.gossip_address(),
        rpc: node.rpc_address(),
        discovery: discovery.state(),
        epmd: epmd.and_then(Epmd::state),
        warnings: node.warnings().to_vec(),
    }
}

/// Serves the API on the control socket, then enters the node among the running ones.
fn open(
    places: &Places,
    node: &Node,
    data_dir: &Path,
    service: Service,
) -> anyhow::Result<(Registration, JoinHandle<()>)> {
    let registry = Registry::new(places.run_dir());
    let socket = std::path::absolute(places.control_socket(node.name(), data_dir))?;
    let failed = |what: &str, path: &Path, error: io::Error| {
        let message = format!(
            "cannot {what} {}: {error}: set node.data_dir or XDG_RUNTIME_DIR to a folder that this user may write",
            path.display()
        );
        Exit::error(Code::Configuration, message)
    };
    let folder = places.run_dir();
    registry
        .prepare()
        .map_err(|error| failed("make the folder", &folder, error))?;
    let listener =
        server::bind(&socket).map_err(|error| failed("open the control socket", &socket, error))?;
    let api = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, server::router(service)).await {
            error!(%error, "the control socket is closed: commands do not reach this node any more");
        }
    });
    let entry = Entry {
        name: node.name().clone(),
        pid: std::process::id(),
        socket,
        data_dir: std::path::absolute(data_dir)?,
        gossip: node.gossip_address(),
    };
    let registration = registry.register(entry).map_err(|error| {
        api.abort();
        failed("register this node in", &folder, error)
    })?;
    Ok((registration, api))
}

/// As a shell reports a process that a signal ended.
fn at_once(number: i32) -> ! {
    std::process::exit(128 + number)
}

fn interrupted(number: i32) -> anyhow::Error {
    anyhow::anyhow!("ended by signal {number} before the node was up")
}

/// Tells systemd, where it asked to be told.
fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // An empty variable is an error to the library, and means nothing to us.
    if std::env::var_os("NOTIFY_SOCKET").is_none_or(|socket| socket.is_empty()) {
        return;
    }
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd could not be told");
    }
}
