//! Debian's dnsmasq.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::host::Host;
use crate::wait::eventually;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);
/// A query for the name `up.`, type A: any answer says that somebody serves.
const QUERY: [u8; 20] =
    *b"\x42\x17\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02up\x00\x00\x01\x00\x01";

/// A DNS server that answers from the lines that it is given, and knows nobody else to ask.
/// Dropping it kills it.
#[derive(Debug)]
pub struct Dnsmasq {
    address: SocketAddr,
    /// Where it runs, if not beside the tests.
    host: Option<Host>,
    folder: TempDir,
    child: Option<Child>,
}

impl Dnsmasq {
    /// Starts one at this address and waits until it serves. The lines are of its configuration:
    /// `host-record=nodes.fleet.test,10.0.0.7`.
    ///
    /// # Panics
    /// Where it can't be started: for want of `dnsmasq` (package dnsmasq-base), or because the
    /// address is taken.
    pub fn start(ip: Ipv4Addr, port: u16, lines: &[String]) -> Self {
        Self::start_at((ip, port).into(), None, lines)
    }

    /// Starts one on a host, at an address of it.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_on(host: &Host, ip: IpAddr, port: u16, lines: &[String]) -> Self {
        Self::start_at((ip, port).into(), Some(host.clone()), lines)
    }

    fn start_at(address: SocketAddr, host: Option<Host>, lines: &[String]) -> Self {
        let folder = tempfile::Builder::new().prefix("convoke-dns-").tempdir();
        let mut server = Self {
            address,
            host,
            folder: folder.expect("the temporary folder is writable"),
            child: None,
        };
        server.restart(lines);
        server
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it without a goodbye.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the child is ours");
            child.wait().expect("the child is ours");
        }
    }

    /// Starts it again with these lines, at the same address; kills it first where it runs.
    pub fn restart(&mut self, lines: &[String]) {
        self.kill();
        let (ip, port) = (self.address.ip(), self.address.port());
        let user = match rustix::process::geteuid().is_root() {
            true => "user=root\n",
            false => "",
        };
        let own = format!(
            "port={port}\nlisten-address={ip}\nbind-interfaces\nno-resolv\nno-hosts\nkeep-in-foreground\nlog-facility=-\npid-file\n{user}"
        );
        let file = self.folder.path().join("dnsmasq.conf");
        std::fs::write(&file, own + &lines.join("\n") + "\n").expect("the folder is writable");
        let log = File::create(self.folder.path().join("log")).expect("the folder is writable");
        let mut command = Command::new("dnsmasq");
        command.arg(format!("--conf-file={}", file.display()));
        if let Some(host) = &self.host {
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command = host.wrap(&command);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(log).spawn();
        let missing = |error| panic!("dnsmasq does not run: {error} (package dnsmasq-base)");
        self.child = Some(child.unwrap_or_else(missing));
        self.wait_until_serving();
    }

    fn wait_until_serving(&mut self) {
        match self.host {
            Some(_) => self.wait_until_started(),
            None => self.wait_until_answering(),
        }
    }

    /// From here it can't be asked: it says itself when it has its sockets.
    fn wait_until_started(&mut self) {
        eventually("dnsmasq starts", PATIENCE, || {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            let log = log.expect("the folder is readable");
            log.contains("started, version").then_some(()).ok_or(log)
        });
    }

    fn wait_until_answering(&mut self) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let pause = Duration::from_millis(100);
        let timed = socket.set_read_timeout(Some(pause));
        timed.expect("a timeout that is not zero");
        let address = self.address;
        eventually("dnsmasq serves", PATIENCE, || {
            let child = self.child.as_mut().expect("it was started");
            if let Some(status) = child.try_wait().expect("the child is ours") {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                panic!("dnsmasq at {address} ended ({status}): {log:?}");
            }
            let asked = socket.send_to(&QUERY, address);
            let answered = asked.and_then(|_| socket.recv(&mut [0; 512]));
            answered.map(drop).map_err(|error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer yet".to_owned(),
                _ => error.to_string(),
            })
        });
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
