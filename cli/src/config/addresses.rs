//! Values that are addresses, and what stands for them.

use std::net::{IpAddr, SocketAddr};

use convoke_discovery::Iface;

use super::value::{Parse, Raw};

/// Who is asked for names; port 53 where none is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameServer(pub(crate) SocketAddr);

impl Parse for NameServer {
    fn expects() -> String {
        "an address, with a port where that is not 53, such as \"10.0.0.53\" or \"[fd00::53]:5353\""
            .into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(String::new)?;
        let bare = || text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        let address = text.parse().or_else(|_| bare());
        match address {
            Ok(address) if address.port() != 0 && !address.ip().is_unspecified() => {
                Ok(Self(address))
            }
            _ => Err(String::new()),
        }
    }

    fn print(&self) -> String {
        self.0.print()
    }
}

impl Parse for Iface {
    fn expects() -> String {
        "a network interface by address, name or index, such as \"10.0.0.7\", \"eth0\" or \"2\"; \"0.0.0.0\" for the system's choice".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = raw
            .text()
            .filter(|text| !text.contains(char::is_whitespace));
        let text = text
            .filter(|text| !text.is_empty())
            .ok_or_else(String::new)?;
        match text.parse::<Self>() {
            Ok(Self::Index(0)) => Err("interfaces are numbered from 1".into()),
            Ok(iface) => Ok(iface),
            Err(never) => match never {},
        }
    }

    fn print(&self) -> String {
        match self {
            Self::Any => "0.0.0.0".to_owned(),
            Self::Address(address) => address.to_string(),
            Self::Name(name) => name.clone(),
            Self::Index(index) => index.to_string(),
        }
        .print()
    }
}

impl Parse for IpAddr {
    fn expects() -> String {
        "an address such as \"239.192.0.1\" or \"ff15::4370\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        raw.text()
            .and_then(|text| text.parse().ok())
            .ok_or_else(String::new)
    }

    fn print(&self) -> String {
        self.to_string().print()
    }
}
