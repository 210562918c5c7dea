//! A real etcd (Debian's `etcd-server`), of one member or of several.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::authority::{Authority, Issued};
use crate::fleet::Fleet;
use crate::program::{Run, run};
use crate::wait::eventually;

/// The fleet's last addresses are etcd's.
const FIRST_ADDRESS: u8 = 251;
const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;
/// Three members elect a leader, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// An etcd at addresses of a fleet. It is killed when this is dropped.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    tls: Option<EtcdTls>,
    user: Option<String>,
    // Its files go last.
    folder: TempDir,
}

#[derive(Debug)]
struct Member {
    address: Ipv4Addr,
    child: Option<Child>,
}

/// The certificates of an etcd that wants its clients to show theirs.
#[derive(Debug)]
pub struct EtcdTls {
    /// Who signs them.
    pub authority: Authority,
    /// That of clients.
    pub client: Issued,
    server: Issued,
}

impl Etcd {
    /// One of a single member, without TLS.
    pub fn start(fleet: &Fleet) -> Self {
        Self::start_members(fleet, 1, None)
    }

    /// One of three members.
    pub fn start_three(fleet: &Fleet) -> Self {
        Self::start_members(fleet, 3, None)
    }

    /// One of a single member that takes only clients with a certificate of its authority.
    pub fn start_tls(fleet: &Fleet) -> Self {
        let authority = Authority::new();
        let address = fleet.address(FIRST_ADDRESS).into();
        let tls = EtcdTls {
            server: authority.issue("server", Some(address)),
            client: authority.issue("client", None),
            authority,
        };
        Self::start_members(fleet, 1, Some(tls))
    }

    fn start_members(fleet: &Fleet, count: u8, tls: Option<EtcdTls>) -> Self {
        let member = |n| Member {
            address: fleet.address(FIRST_ADDRESS + n),
            child: None,
        };
        let mut etcd = Self {
            members: (0..count).map(member).collect(),
            tls,
            user: None,
            folder: tempfile::tempdir().expect("the temporary folder is writable"),
        };
        for n in 0..etcd.members.len() {
            etcd.spawn(n);
        }
        for n in 0..etcd.members.len() {
            etcd.wait_until_serving(n);
        }
        etcd
    }

    /// Where its members answer.
    pub fn urls(&self) -> Vec<String> {
        (0..self.members.len()).map(|n| self.url(n)).collect()
    }

    /// Its certificates.
    ///
    /// # Panics
    /// Where it has none.
    pub fn tls(&self) -> &EtcdTls {
        self.tls.as_ref().expect("it was started with TLS")
    }

    /// Kills the `n`-th member.
    pub fn kill(&mut self, n: usize) {
        let mut child = self.members[n].child.take().expect("it runs");
        child.kill().expect("the child is ours");
        child.wait().expect("the child is ours");
    }

    /// Starts the `n`-th member again, with what it knew.
    pub fn start_again(&mut self, n: usize) {
        self.spawn(n);
        self.wait_until_serving(n);
    }

    /// Starts the `n`-th member again, with nothing.
    pub fn start_afresh(&mut self, n: usize) {
        std::fs::remove_dir_all(self.data(n)).expect("it was started before");
        self.start_again(n);
    }

    /// Runs `etcdctl` to its end, which must be a good one. Returns what it printed.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> String {
        let run = self.try_ctl(&self.urls(), args);
        run.expect_code(0);
        run.stdout
    }

    /// The keys that begin with this.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        let listed = self.ctl(&["get", "--prefix", "--keys-only", prefix]);
        listed
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Does these operations at once: 128 at most, a line each, as `etcdctl txn` reads them.
    #[track_caller]
    pub fn transaction(&self, operations: &str) {
        self.ctl_with_input(&["txn"], &format!("\n{operations}\n\n"));
    }

    /// Puts a value that is too long for a command line.
    #[track_caller]
    pub fn put_long(&self, key: &str, value: &str) {
        self.ctl_with_input(&["put", key], value);
    }

    /// Sets a user's password.
    #[track_caller]
    pub fn set_password(&self, user: &str, password: &str) {
        self.ctl_with_input(
            &["user", "passwd", user, "--interactive=false"],
            &format!("{password}\n"),
        );
    }

    #[track_caller]
    fn ctl_with_input(&self, args: &[&str], input: &str) {
        let file = self.folder.path().join("input");
        std::fs::write(&file, input).expect("a fresh folder is writable");
        let ctl = self.command(&self.urls(), args);
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec \"$@\" < '{}'", file.display()), "sh"])
            .arg(ctl.get_program())
            .args(ctl.get_args());
        command.env("ETCDCTL_API", "3");
        run(&mut command).expect_code(0);
    }

    /// Asks everybody for a user from now on, and makes one with this password, who may read and
    /// write what begins with `prefix`. `root` keeps the password `root`.
    pub fn enable_users(&mut self, user: &str, password: &str, prefix: &str) {
        let named = |name: &str, password: &str| format!("{name}:{password}");
        self.ctl(&["user", "add", &named("root", "root")]);
        self.ctl(&["user", "grant-role", "root", "root"]);
        self.ctl(&["user", "add", &named(user, password)]);
        self.ctl(&["role", "add", user]);
        self.ctl(&[
            "role",
            "grant-permission",
            user,
            "readwrite",
            "--prefix=true",
            prefix,
        ]);
        self.ctl(&["user", "grant-role", user, user]);
        self.ctl(&["auth", "enable"]);
        self.user = Some(named("root", "root"));
    }

    fn url(&self, n: usize) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{CLIENT_PORT}", self.members[n].address)
    }

    fn data(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("data{n}"))
    }

    fn spawn(&mut self, n: usize) {
        let (url, address) = (self.url(n), self.members[n].address);
        let peer = |address: Ipv4Addr| format!("http://{address}:{PEER_PORT}");
        let all: Vec<String> = (0..)
            .zip(&self.members)
            .map(|(n, member)| format!("m{n}={}", peer(member.address)))
            .collect();
        let log = File::create(self.folder.path().join(format!("log{n}")))
            .expect("a fresh folder is writable");
        let mut command = Command::new("etcd");
        command
            .env_clear()
            .args([
                "--name",
                &format!("m{n}"),
                "--data-dir",
                &self.data(n).display().to_string(),
            ])
            .args([
                "--listen-client-urls",
                &url,
                "--advertise-client-urls",
                &url,
            ])
            .args([
                "--listen-peer-urls",
                &peer(address),
                "--initial-advertise-peer-urls",
                &peer(address),
            ])
            .args([
                "--initial-cluster",
                &all.join(","),
                "--initial-cluster-state",
                "new",
            ]);
        if let Some(tls) = &self.tls {
            command.args([
                "--cert-file",
                &shown(&tls.server.certificate),
                "--key-file",
                &shown(&tls.server.key),
            ]);
            command.args([
                "--client-cert-auth",
                "--trusted-ca-file",
                &shown(&tls.authority.certificate()),
            ]);
        }
        command.stdin(Stdio::null());
        command
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("etcd (package etcd-server) does not start: {error}"));
        self.members[n].child = Some(child);
    }

    fn wait_until_serving(&self, n: usize) {
        eventually(&format!("member {n} of etcd serves"), PATIENCE, || {
            let health = self.try_ctl(&[self.url(n)], &["endpoint", "health"]);
            if health.code == Some(0) {
                return Ok(());
            }
            let log = std::fs::read_to_string(self.folder.path().join(format!("log{n}")));
            Err(format!("{health:?} {}", log.unwrap_or_default()))
        });
    }

    fn try_ctl(&self, urls: &[String], args: &[&str]) -> Run {
        run(&mut self.command(urls, args))
    }

    fn command(&self, urls: &[String], args: &[&str]) -> Command {
        let mut command = Command::new("etcdctl");
        command
            .env_clear()
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &urls.join(",")]);
        if let Some(user) = &self.user {
            command.args(["--user", user]);
        }
        if let Some(tls) = &self.tls {
            command.args(["--cacert", &shown(&tls.authority.certificate())]);
            command.args([
                "--cert",
                &shown(&tls.client.certificate),
                "--key",
                &shown(&tls.client.key),
            ]);
        }
        command.args(args);
        command
    }
}

fn shown(file: &std::path::Path) -> String {
    file.display().to_string()
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for child in self
            .members
            .iter_mut()
            .filter_map(|member| member.child.as_mut())
        {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
