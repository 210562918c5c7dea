//! epmd mode: a node's gossip port is one of a range, and the `epmd` of its host knows which.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use convoke::port_map::PortFuture;
use convoke::{NodeName, PortError, PortMap};
use convoke_core::name::{OffsetError, RPC_PORT_BASE};
use convoke_discovery::epmd::{
    EpmdError, Listed, Place, Registering, Registration, Standing, look_up, names,
};
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::api::model::EpmdState;
use crate::config::{Environment, PortMapping, Settings};
use crate::exit::{Code, Exit};

/// How long a look-up may take: as long as a dial. Nodes that start together find each other
/// within that time, though one asks before the other is registered.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries of one.
const LOOK_UP_PAUSE: Duration = Duration::from_millis(100);
/// Names that an error lists.
const NAMES_SHOWN: usize = 10;

/// The port map of a node in epmd mode, and its registration.
#[derive(Debug)]
pub(crate) struct Epmd {
    place: Place,
    ports: RangeInclusive<u16>,
    embedded: bool,
    /// Locked for a look or a change, never longer.
    registration: Mutex<Option<Registration>>,
}

impl Epmd {
    /// As the configuration and Erlang's variables have it; `None` in conventional mode.
    ///
    /// # Errors
    /// When such a variable is malformed.
    pub(crate) fn of(
        settings: &Settings,
        environment: &Environment,
    ) -> anyhow::Result<Option<Arc<Self>>> {
        let node = &settings.node;
        if node.port_mapping != PortMapping::Epmd {
            return Ok(None);
        }
        let variable = |name: &str| environment.text(name).map(str::to_owned);
        let place = Place::from_variables(variable)
            .map_err(|error| Exit::new(Code::Configuration, error.to_string()))?;
        Ok(Some(Arc::new(Self {
            place,
            ports: node.dist_listen_min..=node.dist_listen_max,
            embedded: node.epmd_embedded,
            registration: Mutex::new(None),
        })))
    }

    /// How the registration stands; `None` before there is one.
    pub(crate) fn state(&self) -> Option<EpmdState> {
        let standing = self.registration().as_ref()?.standing();
        Some(match standing {
            Standing::Registered { at, embedded } => EpmdState {
                registered: true,
                at: Some(at),
                embedded,
                reason: None,
            },
            Standing::Unregistered(error) => EpmdState {
                registered: false,
                at: None,
                embedded: false,
                reason: Some(unregistered(&error)),
            },
        })
    }

    /// Takes the registration back, for the node has ended.
    pub(crate) fn end(&self) {
        self.registration().take();
    }

    fn registration(&self) -> MutexGuard<'_, Option<Registration>> {
        // Each change is a single call: a panic elsewhere leaves it whole.
        self.registration
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl PortMap for Epmd {
    fn gossip_ports(&self, _own: &NodeName) -> Result<RangeInclusive<u16>, OffsetError> {
        Ok(self.ports.clone())
    }

    /// By the port rule, as far as that goes.
    fn rpc_port(&self, own: &NodeName) -> Result<u16, OffsetError> {
        Ok(own.port_offset().map_or(0, |offset| RPC_PORT_BASE + offset))
    }

    fn announce<'a>(&'a self, own: &'a NodeName, port: u16) -> PortFuture<'a, ()> {
        Box::pin(async move {
            let registering = Registering {
                name: own.local_part().to_owned(),
                port,
                place: self.place.clone(),
                embedded: self.embedded,
            };
            let registration = Registration::begin(registering).await;
            let registration =
                registration.map_err(|error| PortError::Service(error.to_string()))?;
            if let Standing::Unregistered(error) = registration.standing() {
                warn!("{}", unregistered(&error));
            }
            *self.registration() = Some(registration);
            Ok(())
        })
    }

    fn look_up<'a>(&'a self, name: &'a NodeName, host: IpAddr) -> PortFuture<'a, u16> {
        Box::pin(async move {
            let at = self.place.of_host(host);
            let deadline = Instant::now() + LOOK_UP_TIMEOUT;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match look_up(name.local_part(), at, left.max(LOOK_UP_PAUSE)).await {
                    Ok(port) => return Ok(port),
                    Err(error) if may_come(&error) && left > LOOK_UP_PAUSE => {
                        sleep(LOOK_UP_PAUSE).await;
                    }
                    Err(error) => return Err(PortError::Service(not_found(&error).await)),
                }
            }
        })
    }

    fn words(&self) -> String {
        format!("by its epmd, at TCP port {}", self.place.port)
    }

    fn is_fixed(&self) -> bool {
        false
    }
}

/// The names of a list, as far as a line has room.
fn known(listed: &[Listed]) -> String {
    let names = listed.iter().take(NAMES_SHOWN);
    let names: Vec<&str> = names.map(|listed| listed.name.as_str()).collect();
    match listed.len().saturating_sub(NAMES_SHOWN) {
        _ if names.is_empty() => "nobody".to_owned(),
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Whether another try at once may end otherwise.
fn may_come(error: &EpmdError) -> bool {
    match error {
        EpmdError::Unknown { .. } => true,
        EpmdError::Unreachable { kind, .. } => *kind == ErrorKind::ConnectionRefused,
        _ => false,
    }
}

/// What to say of an own host where nobody can be registered.
fn unregistered(error: &EpmdError) -> String {
    format!(
        "not registered at epmd, so that others do not find this node by its name: {error}. Start one on this \
         host (`epmd -daemon`, of Debian's erlang-base), or set node.epmd_embedded = true: it is tried again until then"
    )
}

/// What to say of a peer's host that does not tell.
async fn not_found(error: &EpmdError) -> String {
    match error {
        EpmdError::Unknown { at, .. } => match names(*at, LOOK_UP_PAUSE).await {
            Ok(listed) => format!("{error}. It knows {}", known(&listed)),
            Err(_) => error.to_string(),
        },
        EpmdError::Unreachable { at, .. } | EpmdError::Timeout { at, .. } => format!(
            "{error}: start one on that host (`epmd -daemon`, or node.epmd_embedded = true for a node there), and open its TCP port {}",
            at.port()
        ),
        other => other.to_string(),
    }
}
