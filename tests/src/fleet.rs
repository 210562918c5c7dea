//! A fleet: one user's machine, with folders and addresses of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::block::Block;
use crate::host::Host;
use crate::node::Node;
use crate::program::{Run, binary, run};

/// A machine of its own for nodes to run on. Its folder and addresses are free again when the
/// fleet and all its nodes are dropped.
#[derive(Clone, Debug)]
pub struct Fleet {
    ground: Arc<Ground>,
}

#[derive(Debug)]
struct Ground {
    folder: TempDir,
    block: Block,
}

impl Fleet {
    /// A fresh fleet without nodes. Its secret is made by the first node that starts.
    #[expect(
        clippy::new_without_default,
        reason = "a fleet takes addresses and makes folders"
    )]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("convoke-").tempdir();
        let folder = folder.expect("the temporary folder is writable");
        std::fs::create_dir(folder.path().join("run")).expect("a fresh folder is writable");
        Self {
            ground: Arc::new(Ground {
                folder,
                block: Block::reserve(),
            }),
        }
    }

    /// Where everything of this fleet lies.
    pub fn folder(&self) -> &Path {
        self.ground.folder.path()
    }

    /// Makes the secret, which otherwise the first node does that starts.
    pub(crate) fn make_secret(&self) {
        let file = self.folder().join("config/convoke/secret");
        std::fs::create_dir_all(file.parent().expect("it has folders"))
            .expect("the folder is writable");
        let file = file.display().to_string();
        self.convoke(&["secret", "generate", "--out", &file])
            .expect_code(0);
    }

    /// The name of node `n`, `convoke<n>@<its address>`: 1 to 250.
    pub fn name(&self, n: u8) -> String {
        format!("convoke{n}@{}", self.ground.block.address(n))
    }

    /// The `n`-th address of the fleet.
    pub fn address(&self, n: u8) -> std::net::Ipv4Addr {
        self.ground.block.address(n)
    }

    /// Node `n`, to be started.
    pub fn launch(&self, n: u8) -> Launch {
        self.launch_named(&self.name(n))
    }

    /// A node of any name, to be started.
    pub fn launch_named(&self, name: &str) -> Launch {
        Launch {
            fleet: self.clone(),
            name: name.to_owned(),
            env: BTreeMap::new(),
            args: Vec::new(),
            host: None,
            resolver: None,
            home: self.folder().to_owned(),
            files: None,
        }
    }

    /// Starts node `n` with the defaults and waits until it serves.
    pub fn start(&self, n: u8) -> Node {
        self.launch(n).start()
    }

    /// Starts nodes `1..=n`, and joins all others to the first.
    pub fn start_cluster(&self, n: u8) -> Vec<Node> {
        let nodes: Vec<Node> = (1..=n).map(|n| self.start(n)).collect();
        for node in &nodes[1..] {
            node.join(&nodes[0].name);
        }
        Node::wait_until_one(&nodes.iter().collect::<Vec<_>>());
        nodes
    }

    /// The `convoke` command of this fleet's user.
    pub fn command(&self, args: &[&str]) -> Command {
        command(self.folder(), args)
    }

    /// Runs `convoke` to its end.
    pub fn convoke(&self, args: &[&str]) -> Run {
        run(&mut self.command(args))
    }
}

/// The environment has nothing but what a user's shell has.
fn command(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("XDG_STATE_HOME", home.join("state"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_RUNTIME_DIR", home.join("run"))
        .env("RUST_BACKTRACE", "1")
        .current_dir(home)
        .args(args);
    command
}

/// The same command with another `/etc/resolv.conf`.
fn with_resolver(command: &Command, file: &Path) -> Command {
    let mount = format!("mount --bind '{}' /etc/resolv.conf", file.display());
    after_mount(&mount, command)
}

/// The same command, where the files of `folder` are at `path` under `/run`.
fn with_files_at(command: &Command, path: &str, folder: &Path) -> Command {
    let folder = folder.display();
    let mount =
        format!("mount -t tmpfs tmpfs /run && mkdir -p '{path}' && cp '{folder}'/* '{path}'");
    after_mount(&mount, command)
}

/// The same command in a mount namespace of its own, after `mount` (shell) ran there.
fn after_mount(mount: &str, command: &Command) -> Command {
    let script = format!("{mount} && exec \"$@\"");
    let mut wrapped = Command::new("unshare");
    wrapped.args(["--mount", "sh", "-c", &script, "sh"]);
    wrapped.arg(command.get_program()).args(command.get_args());
    let set = command
        .get_envs()
        .filter_map(|(key, value)| Some((key, value?)));
    wrapped.env_clear().envs(set);
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

/// How a node is started.
#[derive(Clone, Debug)]
pub struct Launch {
    fleet: Fleet,
    name: String,
    env: BTreeMap<String, String>,
    args: Vec<String>,
    host: Option<Host>,
    resolver: Option<PathBuf>,
    home: PathBuf,
    files: Option<(String, PathBuf)>,
}

impl Launch {
    /// With a variable in its environment.
    pub fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.env.insert(key.to_owned(), value.into());
        self
    }

    /// With its wall clock off by this much; its monotonic one is right, as on a host with a wrong
    /// clock.
    ///
    /// # Panics
    /// Where libfaketime is missing.
    pub fn with_clock(self, offset_secs: i64) -> Self {
        let library = format!(
            "/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1",
            std::env::consts::ARCH
        );
        assert!(
            Path::new(&library).exists(),
            "{library} is missing: install libfaketime, which shifts the clock of one process"
        );
        self.env("LD_PRELOAD", library)
            .env("FAKETIME", format!("{offset_secs:+}s"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    /// On a host of its own, where every address and port is free.
    pub fn on(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// With another file for the system's resolver, in a mount namespace of the process. As root.
    pub fn resolver(mut self, text: &str) -> Self {
        let file = self.fleet.folder().join("resolv.conf");
        std::fs::write(&file, text).expect("the fleet's folder is writable");
        self.resolver = Some(file);
        self
    }

    /// With these arguments to `start`.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(ToString::to_string));
        self
    }

    /// With the files of `folder` at `path` under `/run`, in a mount namespace of its own: as a pod
    /// has them. Nothing else is under `/run` then.
    pub fn with_files_at(mut self, path: &str, folder: &Path) -> Self {
        assert!(path.starts_with("/run/"), "{path}");
        self.files = Some((path.to_owned(), folder.to_owned()));
        self
    }

    /// On a machine of its own: other state, other configuration, other secret.
    pub fn at_home(mut self, name: &str) -> Self {
        self.home = self.fleet.folder().join(name);
        std::fs::create_dir_all(self.home.join("run")).expect("the fleet's folder is writable");
        self
    }

    /// On a machine of its own as with [`Launch::at_home`], but with the fleet's secret.
    pub fn at_home_with_secret(self, name: &str) -> Self {
        let launch = self.at_home(name);
        let secret = |home: &Path| home.join("config/convoke/secret");
        let target = secret(&launch.home);
        std::fs::create_dir_all(target.parent().expect("it has folders"))
            .expect("the folder is writable");
        // Copies the mode too.
        std::fs::copy(secret(launch.fleet.folder()), target)
            .expect("a node of the fleet made the secret");
        launch
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data directory, by default.
    pub fn data_dir(&self) -> PathBuf {
        let default = || self.home.join("state/convoke").join(&self.name);
        self.env
            .get("CONVOKE_NODE_DATA_DIR")
            .map_or_else(default, PathBuf::from)
    }

    /// Where what it prints and logs is collected.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.home.join("logs").join(format!("{}.log", self.name))
    }

    /// The `convoke` command on this node's machine, with this node's environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(&self.home, args);
        command.envs(&self.env);
        command
    }

    /// The command that starts it.
    pub fn start_command(&self) -> Command {
        let mut command = self.command(&["start", "--node-name", &self.name]);
        command.args(&self.args);
        if let Some((path, folder)) = &self.files {
            command = with_files_at(&command, path, folder);
        }
        if let Some(file) = &self.resolver {
            command = with_resolver(&command, file);
        }
        match &self.host {
            Some(host) => host.wrap(&command),
            None => command,
        }
    }

    /// Runs `convoke start` to its end: for starts that must fail.
    pub fn run_to_end(&self) -> Run {
        run(&mut self.start_command())
    }

    /// As [`Launch::run_to_end`], with the data directory on a small disk of its own: a tmpfs with
    /// these mount options in a mount namespace of the process, on which `prepare` (shell) runs
    /// first, with the disk as its working directory.
    pub fn run_to_end_on_disk(&self, options: &str, prepare: &str) -> Run {
        let disk = self.home.join("disk");
        std::fs::create_dir_all(&disk).expect("the fleet's folder is writable");
        let launch = self.clone().env(
            "CONVOKE_NODE_DATA_DIR",
            disk.join("data").display().to_string(),
        );
        let start = launch.start_command();
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let script = format!(
            "mount -t tmpfs -o {options} tmpfs '{0}' && cd '{0}' && {{ {prepare}; }} && cd / && exec \"$@\"",
            disk.display()
        );
        command
            .args(["sh", "-c", &script, "sh"])
            .arg(start.get_program())
            .args(start.get_args());
        command.env_clear().current_dir(&self.home);
        command.envs(
            start
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        );
        run(&mut command)
    }

    /// Starts it and waits until it serves.
    pub fn start(self) -> Node {
        Node::start(self)
    }
}
