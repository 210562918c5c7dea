//! A network of a process's own: a namespace that only holds its loopback interface, goes away with
//! the process, and in which nftables loses what is to be lost.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::Error;

/// Packets are dropped where they arrive: who sends them is told nothing.
const TABLE: &str = "table inet convergence";

/// A command that runs `program` in a fresh namespace, of processes too: what it leaves behind ends
/// with it. Root makes it by right, others where the system lets them.
pub(super) fn apart(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("--").arg(program);
    command
}

/// The namespace that this process is in. Only [`Ground::new`] makes one, where it is sure that it
/// is not the host's.
#[derive(Debug)]
pub(super) struct Ground(());

impl Ground {
    /// Takes the namespace into use that [`apart`] made.
    ///
    /// # Errors
    /// Where this process is in no namespace of its own, or `ip` or `nft` is missing.
    pub(super) fn new() -> Result<Self, Error> {
        let interfaces = interfaces()?;
        if interfaces != ["lo"] {
            let words = format!("the process is where {} are", interfaces.join(", "));
            return Err(Error::NoNamespace(words));
        }
        run("ip", "iproute2", &["link", "set", "lo", "up"], "")?;
        let ground = Self(());
        ground.mend()?;
        Ok(ground)
    }

    /// The address of node `number`.
    pub(super) fn address(number: usize) -> Ipv4Addr {
        let [_, a, b, c] = u32::try_from(number + 1)
            .expect("arguments bound the nodes")
            .to_be_bytes();
        Ipv4Addr::new(127, 77 + a, b, c)
    }

    /// No packet passes to or from these nodes.
    ///
    /// # Errors
    /// When `nft` fails.
    pub(super) fn silence(&self, nodes: &[usize]) -> Result<(), Error> {
        let nodes = set(nodes);
        self.lose(&format!("ip saddr {nodes} drop\nip daddr {nodes} drop\n"))
    }

    /// No packet passes between these sides.
    ///
    /// # Errors
    /// When `nft` fails.
    pub(super) fn cut(&self, left: &[usize], right: &[usize]) -> Result<(), Error> {
        let (left, right) = (set(left), set(right));
        self.lose(&format!(
            "ip saddr {left} ip daddr {right} drop\nip saddr {right} ip daddr {left} drop\n"
        ))
    }

    /// So many of a hundred packets are lost.
    ///
    /// # Errors
    /// When `nft` fails.
    pub(super) fn lose_percent(&self, percent: u8) -> Result<(), Error> {
        self.lose(&format!("numgen random mod 100 < {percent} drop\n"))
    }

    /// All packets pass.
    ///
    /// # Errors
    /// When `nft` fails.
    pub(super) fn mend(&self) -> Result<(), Error> {
        self.lose("")
    }

    /// What is lost by these rules, in place of what was before.
    fn lose(&self, rules: &str) -> Result<(), Error> {
        let text = format!(
            "{TABLE}\ndelete {TABLE}\n{TABLE} {{ chain in {{\n\
             type filter hook input priority 0; policy accept;\n{rules}}}\n}}\n"
        );
        run("nft", "nftables", &["-f", "-"], &text)
    }
}

/// The addresses of these nodes, as nftables writes sets.
fn set(nodes: &[usize]) -> String {
    let mut text = String::from("{");
    for (n, node) in nodes.iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        write!(text, "{comma}{}", Ground::address(*node)).expect("a string takes all");
    }
    text + "}"
}

/// The names of this namespace's network interfaces.
fn interfaces() -> Result<Vec<String>, Error> {
    let path = "/proc/self/net/dev";
    let text = std::fs::read_to_string(path).map_err(|cause| Error::File {
        path: path.to_owned(),
        cause,
    })?;
    let names = text.lines().filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

fn run(
    program: &'static str,
    package: &'static str,
    arguments: &[&str],
    input: &str,
) -> Result<(), Error> {
    let missing = |cause| Error::Missing {
        program,
        cause,
        package,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    let mut stdin = child.stdin.take().expect("it is piped");
    // One that ends early says why itself.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(missing)?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Fails { program, complaint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_an_address_of_its_own() {
        assert_eq!(Ground::address(0), Ipv4Addr::new(127, 77, 0, 1));
        assert_eq!(Ground::address(255), Ipv4Addr::new(127, 77, 1, 0));
        assert_eq!(set(&[0, 1]), "{127.77.0.1,127.77.0.2}");
    }

    #[test]
    fn nothing_is_dropped_on_the_hosts_own_network() {
        // A test runs where there is more than a loopback interface, or in a namespace of its own.
        let alone = interfaces().unwrap() == ["lo"];
        assert!(alone || matches!(Ground::new(), Err(Error::NoNamespace(_))));
    }
}
