//! What is known of a Service's pods.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use tracing::debug;

use super::error::K8sError;
use super::names::Naming;
use crate::{SEEDS_MAX, Seed};

/// The most slices that are kept, of 100 pods each as a rule.
const SLICES_MAX: usize = 256;

/// The pods of a Service, slice by slice, at a version of the API server's.
#[derive(Debug, Default)]
pub(super) struct Slices {
    /// What a watch goes on from.
    pub(super) version: String,
    pods: BTreeMap<String, Vec<Pod>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pod {
    address: IpAddr,
    hostname: Option<String>,
    ready: bool,
}

impl Slices {
    /// Takes a slice; false where there is no room for another.
    pub(super) fn put(&mut self, slice: &EndpointSlice) -> bool {
        let name = slice.metadata.name.clone().unwrap_or_default();
        if self.pods.len() >= SLICES_MAX && !self.pods.contains_key(&name) {
            debug!(slice = name, most = SLICES_MAX, "more slices than are read");
            return false;
        }
        self.pods
            .insert(name, slice.endpoints.iter().filter_map(pod).collect());
        true
    }

    /// Forgets a slice.
    pub(super) fn remove(&mut self, slice: &EndpointSlice) {
        self.pods
            .remove(slice.metadata.name.as_deref().unwrap_or_default());
    }

    /// Where the nodes of the pods might answer: of those that are ready, and, as far as there is
    /// room in a pass, of those that are not.
    ///
    /// # Errors
    /// When there are pods, and none has what nodes are named by.
    pub(super) fn seeds(&self, naming: &Naming) -> Result<Vec<Seed>, K8sError> {
        let named = |ready| {
            let pods = self
                .pods
                .values()
                .flatten()
                .filter(move |pod| pod.ready == ready);
            pods.filter_map(|pod| naming.name(pod.address, pod.hostname.as_deref()))
                .map(Seed::Name)
        };
        let mut seeds: Vec<Seed> = named(true).collect();
        let ready = seeds.len();
        let room = SEEDS_MAX.saturating_sub(ready);
        seeds.extend(named(false).take(room));
        debug!(
            ready,
            not_ready = seeds.len() - ready,
            "pods of the Service"
        );
        let pods = self.pods.values().map(Vec::len).sum();
        match seeds.is_empty() && pods > 0 {
            true => Err(K8sError::Nameless { pods }),
            false => Ok(seeds),
        }
    }
}

/// Of several addresses only the first has a meaning; of those that are no address none has.
fn pod(endpoint: &Endpoint) -> Option<Pod> {
    Some(Pod {
        address: endpoint.addresses.first()?.parse().ok()?,
        hostname: endpoint.hostname.clone(),
        // What is not said counts as ready: so the API has it.
        ready: endpoint
            .conditions
            .as_ref()
            .and_then(|conditions| conditions.ready)
            .unwrap_or(true),
    })
}

#[cfg(test)]
mod tests {
    use super::super::AddressType;
    use super::*;

    fn naming() -> Naming {
        Naming {
            app: "app".into(),
            service: "svc".into(),
            namespace: "ns".into(),
            suffix: String::new(),
            address_type: AddressType::Ip,
        }
    }

    fn slice(name: &str, pods: impl Iterator<Item = (u16, Option<bool>)>) -> EndpointSlice {
        let endpoint = |(n, ready): (u16, Option<bool>)| {
            let [high, low] = n.to_be_bytes();
            Endpoint {
                addresses: vec![format!("10.0.{high}.{low}"), "10.9.9.9".into()],
                conditions: Some(k8s_openapi::api::discovery::v1::EndpointConditions {
                    ready,
                    ..Default::default()
                }),
                ..Default::default()
            }
        };
        let mut slice = EndpointSlice {
            endpoints: pods.map(endpoint).collect(),
            ..Default::default()
        };
        slice.metadata.name = Some(name.into());
        slice
    }

    fn seeds(slices: &Slices) -> Vec<String> {
        slices
            .seeds(&naming())
            .expect("pods have addresses")
            .iter()
            .map(Seed::to_string)
            .collect()
    }

    #[test]
    fn ready_pods_come_first_and_those_that_are_not_are_no_less_proposed() {
        let mut slices = Slices::default();
        slices.put(&slice("b", [(3, Some(false)), (2, Some(true))].into_iter()));
        slices.put(&slice("a", [(1, None)].into_iter()));
        assert_eq!(
            seeds(&slices),
            ["app@10.0.0.1", "app@10.0.0.2", "app@10.0.0.3"]
        );
        slices.put(&slice("b", [(4, Some(true))].into_iter()));
        assert_eq!(seeds(&slices), ["app@10.0.0.1", "app@10.0.0.4"]);
        slices.remove(&slice("a", std::iter::empty()));
        assert_eq!(seeds(&slices), ["app@10.0.0.4"]);
    }

    #[test]
    fn where_there_is_no_room_for_all_the_ready_ones_stay() {
        let mut slices = Slices::default();
        slices.put(&slice("not", (0..1000).map(|n| (n, Some(false)))));
        slices.put(&slice("ready", (1000..1600).map(|n| (n, Some(true)))));
        let seeds = slices.seeds(&naming()).unwrap();
        assert_eq!(seeds.len(), SEEDS_MAX);
        slices.remove(&slice("not", std::iter::empty()));
        let ready = slices.seeds(&naming()).unwrap();
        assert_eq!(ready.len(), 600);
        assert_eq!(seeds[..600], ready);
    }

    #[test]
    fn slices_are_bounded_and_what_is_no_address_is_passed_over() {
        let mut slices = Slices::default();
        for n in 0..SLICES_MAX {
            assert!(slices.put(&slice(&n.to_string(), std::iter::empty())));
        }
        assert!(!slices.put(&slice("one more", [(1, None)].into_iter())));
        let mut odd = slice("7", [(1, None)].into_iter());
        odd.endpoints[0].addresses = vec!["host.example".into()];
        assert!(slices.put(&odd));
        assert_eq!(seeds(&slices), [""; 0]);
    }
}
