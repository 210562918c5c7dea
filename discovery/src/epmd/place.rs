//! Where the `epmd` of a host is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port where the others do not say so.
pub const PORT: u16 = 4369;
/// Erlang's variable for another one.
const PORT_VARIABLE: &str = "ERL_EPMD_PORT";
/// Erlang's variable for the addresses that a server listens on.
const ADDRESS_VARIABLE: &str = "ERL_EPMD_ADDRESS";
/// The most addresses that a server listens on.
const ADDRESSES_MAX: usize = 16;

/// The port of `epmd`, the same on every host, and the addresses that an embedded one listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The port. Default 4369.
    pub port: u16,
    /// What an embedded server listens on, besides loopback. Default none named: everything.
    pub listen: Vec<IpAddr>,
}

/// A variable of the environment says nothing that `epmd` would understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("environment {variable}: {value:?} is wrong: expected {expected}")]
pub struct PlaceError {
    variable: &'static str,
    value: String,
    expected: &'static str,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            port: PORT,
            listen: Vec::new(),
        }
    }
}

impl Place {
    /// As Erlang's programs take it from the environment: `ERL_EPMD_PORT`, and for servers
    /// `ERL_EPMD_ADDRESS` (a comma list of addresses, to which loopback is added). `variable` is
    /// asked for each; empty is unset.
    ///
    /// # Errors
    /// When one of them is malformed.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, PlaceError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let port = set(PORT_VARIABLE).map_or(Ok(PORT), |value| {
            let port = value.trim().parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| wrong(PORT_VARIABLE, &value, "a port, 1 to 65535"))
        })?;
        let listen = set(ADDRESS_VARIABLE).map_or(Ok(Vec::new()), |value| addresses(&value))?;
        Ok(Self { port, listen })
    }

    /// Where the `epmd` of the own host is asked, in this order.
    pub(crate) fn own(&self) -> [SocketAddr; 2] {
        [
            (Ipv4Addr::LOCALHOST, self.port).into(),
            (Ipv6Addr::LOCALHOST, self.port).into(),
        ]
    }

    /// Where the `epmd` of the host with this address is asked. Each address of loopback is this
    /// host's, and a server may be at the first alone.
    pub fn of_host(&self, host: IpAddr) -> SocketAddr {
        let ip = match host {
            IpAddr::V4(v4) if v4.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            other => other,
        };
        SocketAddr::new(ip, self.port)
    }
}

fn addresses(value: &str) -> Result<Vec<IpAddr>, PlaceError> {
    let expected = "addresses by comma, 16 at the most, such as 10.0.0.7,::1";
    let parts: Vec<&str> = value.split(',').map(str::trim).collect();
    let parsed: Option<Vec<IpAddr>> = parts.iter().map(|part| part.parse().ok()).collect();
    parsed
        .filter(|addresses| addresses.len() <= ADDRESSES_MAX)
        .ok_or_else(|| wrong(ADDRESS_VARIABLE, value, expected))
}

fn wrong(variable: &'static str, value: &str, expected: &'static str) -> PlaceError {
    PlaceError {
        variable,
        value: value.chars().take(200).collect(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(port: &str, address: &str) -> Result<Place, PlaceError> {
        Place::from_variables(|name| {
            let value = match name {
                "ERL_EPMD_PORT" => port,
                "ERL_EPMD_ADDRESS" => address,
                other => panic!("{other} was asked for"),
            };
            Some(value.to_owned())
        })
    }

    #[test]
    fn the_environment_says_where_as_it_does_for_erlang() {
        assert_eq!(place("", ""), Ok(Place::default()));
        assert_eq!(Place::default().port, 4369);
        let listen = vec!["10.0.0.7".parse().unwrap(), "::1".parse().unwrap()];
        let expected = Place {
            port: 43690,
            listen,
        };
        assert_eq!(place("43690", "10.0.0.7, ::1"), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (port, address, named) in [
            ("0", "", "ERL_EPMD_PORT"),
            ("65536", "", "ERL_EPMD_PORT"),
            ("epmd", "", "ERL_EPMD_PORT"),
            ("", "localhost", "ERL_EPMD_ADDRESS"),
            ("", "10.0.0.7,", "ERL_EPMD_ADDRESS"),
            ("", &"::1,".repeat(17), "ERL_EPMD_ADDRESS"),
        ] {
            let error = place(port, address).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
