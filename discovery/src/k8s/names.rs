//! What the node of a pod is called.

use std::net::IpAddr;

use convoke_core::NodeName;

use super::AddressType;

/// How the nodes of a Service's pods are named.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    pub(super) app: String,
    pub(super) service: String,
    pub(super) namespace: String,
    pub(super) suffix: String,
    pub(super) address_type: AddressType,
}

impl Naming {
    /// The node of the pod at this address, with this host name; none where it has none of what
    /// it would be named by.
    pub(super) fn name(&self, address: IpAddr, hostname: Option<&str>) -> Option<NodeName> {
        let Self {
            app,
            service,
            namespace,
            suffix,
            ..
        } = self;
        let host = match (self.address_type, suffix.is_empty()) {
            (AddressType::Ip, _) | (AddressType::Dns, true) => address.to_string(),
            (AddressType::Dns, false) => {
                let dashed = address.to_string().replace(['.', ':'], "-");
                format!("{dashed}.{namespace}.{suffix}")
            }
            (AddressType::Hostname, true) => hostname?.to_owned(),
            (AddressType::Hostname, false) => {
                format!("{}.{service}.{namespace}.{suffix}", hostname?)
            }
        };
        format!("{app}@{host}").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(
        address_type: AddressType,
        suffix: &str,
        address: &str,
        hostname: Option<&str>,
    ) -> Option<String> {
        let naming = Naming {
            app: "app".into(),
            service: "svc".into(),
            namespace: "ns".into(),
            suffix: suffix.into(),
            address_type,
        };
        let address = address.parse().expect("an address");
        naming.name(address, hostname).map(|name| name.to_string())
    }

    #[test]
    fn a_pod_is_named_by_its_address_its_name_in_dns_or_its_host_name() {
        use AddressType::{Dns, Hostname, Ip};
        let named = |of, suffix| name(of, suffix, "10.1.2.3", Some("pod-0")).expect("a name");
        assert_eq!(named(Ip, ""), "app@10.1.2.3");
        assert_eq!(named(Ip, "pod.cluster.local"), "app@10.1.2.3");
        assert_eq!(named(Dns, ""), "app@10.1.2.3");
        assert_eq!(
            named(Dns, "pod.cluster.local"),
            "app@10-1-2-3.ns.pod.cluster.local"
        );
        assert_eq!(named(Hostname, ""), "app@pod-0");
        assert_eq!(
            named(Hostname, "svc.cluster.local"),
            "app@pod-0.svc.ns.svc.cluster.local"
        );
        assert_eq!(
            name(Ip, "", "fd00::1", None).expect("a name"),
            "app@fd00::1"
        );
        assert_eq!(
            name(Dns, "x", "fd00::1", None).expect("a name"),
            "app@fd00--1.ns.x"
        );
        assert_eq!(name(Hostname, "x", "10.1.2.3", None), None);
    }
}
