//! What is written down of a node: a small JSON object.
//!
//! ```json
//! {"address": "10.0.0.1:4370", "node": "convoke@10.0.0.1", "version": "0.1.0"}
//! ```
//!
//! `address` is where the node gossips, and all that is read; the rest is for people. Whoever
//! writes a node down by hand may leave the value empty: then its address follows from its name.

use std::net::SocketAddr;

use convoke_core::NodeName;
use serde::{Deserialize, Serialize};

use crate::{Me, Seed};

#[derive(Debug, Serialize)]
struct Written<'a> {
    address: SocketAddr,
    node: &'a str,
    version: &'a str,
}

#[derive(Debug, Deserialize)]
struct Read {
    address: SocketAddr,
}

/// What the own node writes down.
pub(super) fn write(me: &Me) -> Vec<u8> {
    let entry = Written {
        address: me.address,
        node: me.name.as_str(),
        version: env!("CARGO_PKG_VERSION"),
    };
    serde_json::to_vec(&entry).expect("texts and an address are JSON")
}

/// Where the node of this name might answer; none where the value can't be understood.
pub(super) fn read(name: NodeName, value: &[u8]) -> Option<Seed> {
    if value.is_empty() {
        return Some(Seed::Name(name));
    }
    let entry: Read = serde_json::from_slice(value).ok()?;
    Some(Seed::Address(entry.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> NodeName {
        "a@10.0.0.1".parse().expect("a name")
    }

    #[test]
    fn what_is_written_is_read() {
        let address = "[fd00::1]:4371".parse().expect("an address");
        let me = Me {
            name: name(),
            address,
            cluster: "c".into(),
        };
        let value = write(&me);
        assert_eq!(
            read(name(), &value),
            Some(Seed::Address(address)),
            "{}",
            String::from_utf8_lossy(&value)
        );
    }

    #[test]
    fn later_fields_are_passed_over_an_empty_value_is_the_name_and_garbage_is_nothing() {
        let later = br#"{"address": "10.0.0.1:1", "weight": [1]}"#;
        assert_eq!(
            read(name(), later),
            Some(Seed::Address("10.0.0.1:1".parse().expect("an address")))
        );
        assert_eq!(read(name(), b""), Some(Seed::Name(name())));
        for garbage in [
            &b"{}"[..],
            b"\xff",
            b"10.0.0.1:4370",
            br#"{"address": "host"}"#,
            b"null",
        ] {
            assert_eq!(read(name(), garbage), None);
        }
    }
}
