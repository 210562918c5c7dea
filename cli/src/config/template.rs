//! The configuration as text: the commented template, and the effective values with their origin.

use std::fmt::Write;

use super::Effective;
use super::detector::{DETECT_WITHIN, TOLERATE_PAUSE};
use super::key::{self, Key};
use super::settings::Settings;
use super::value::Parse;
use crate::paths::Places;

use convoke_core::name::{GOSSIP_PORT_BASE, RPC_PORT_BASE};
use convoke_core::{Host, NodeName};

const HEADER: &str = "\
# The configuration of a Convoke node. Every line that is commented out shows the default (or,
# where there is none, an example). Each key has an environment variable, which wins over this
# file: node.name is CONVOKE_NODE_NAME, lists are separated by commas. Flags win over both.
";

/// The widest line of a comment.
const COLUMNS: usize = 96;

/// A template in which every key stands, commented out.
pub(crate) fn template() -> String {
    let mut text = HEADER.to_owned();
    let mut defaults = Settings::default();
    let mut table = "";
    for key in key::all() {
        let (of, _) = key.split();
        if of != table {
            table = of;
            text += &format!("\n[{table}]\n");
        }
        entry(&mut text, key, &mut defaults);
    }
    text
}

fn entry(text: &mut String, key: &Key, defaults: &mut Settings) {
    let (table, name) = key.split();
    if !key.doc.is_empty() && !text.ends_with(&format!("\n[{table}]\n")) {
        text.push('\n');
    }
    for line in wrap(key.doc) {
        text.push_str("# ");
        text.push_str(&line);
        text.push('\n');
    }
    let value = (key.field)(defaults)
        .show()
        .unwrap_or_else(|| key.example.to_owned());
    writeln!(text, "# {name} = {value}").expect("writing to a string cannot fail");
}

fn wrap(doc: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in doc.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < COLUMNS - 2 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// One line a key: `key = value  # origin`. Where nothing is set, the value that will be used,
/// and where none will, a comment that says so: the whole is TOML.
pub(crate) fn show(effective: &Effective, places: &Places) -> String {
    let mut settings = effective.settings.clone();
    let line = |key: &Key| {
        let value = (key.field)(&mut settings)
            .show()
            .or_else(|| computed(key.path, &effective.settings, places));
        let left = value.map_or_else(
            || format!("# {} (not set)", key.path),
            |value| format!("{} = {value}", key.path),
        );
        (left, effective.origin(key.path).to_string())
    };
    let lines: Vec<(String, String)> = key::all().iter().map(line).collect();
    let width = lines
        .iter()
        .map(|(left, _)| left.chars().count())
        .max()
        .unwrap_or(0)
        .min(COLUMNS / 2);
    lines
        .iter()
        .fold(String::new(), |mut text, (left, origin)| {
            writeln!(text, "{left:width$}  # {origin}").expect("writing to a string cannot fail");
            text
        })
}

/// What an unset key comes to, as TOML; `None` where it stays unset.
fn computed(path: &str, settings: &Settings, places: &Places) -> Option<String> {
    let node = &settings.node;
    let listen = || match node.listen {
        Some(address) => Some(address.print()),
        None => conventional(&node.name, GOSSIP_PORT_BASE),
    };
    match path {
        "node.data_dir" => Some(places.data_dir(&node.name).print()),
        "node.listen" | "node.advertise" => listen(),
        "node.rpc_listen" => conventional(&node.name, RPC_PORT_BASE),
        "cluster.dns.app" => Some(node.name.local_part().to_owned().print()),
        DETECT_WITHIN => Some(settings.engine.detect_within().print()),
        TOLERATE_PAUSE => Some(settings.engine.tolerate_pause().print()),
        "security.secret_file" => Some(places.secret_file().print()),
        _ => None,
    }
}

/// The port rule; a host that is a domain name is resolved at the start only.
fn conventional(name: &NodeName, base: u16) -> Option<String> {
    let port = base + name.port_offset().ok()?;
    let address = match name.host() {
        Host::Ip(ip) => std::net::SocketAddr::new(ip, port).to_string(),
        Host::Domain(domain) => format!("{domain}:{port}"),
    };
    Some(address.print())
}
