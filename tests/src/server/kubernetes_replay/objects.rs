//! The objects of the API, as a real server words them.

use serde_json::{Value, json};

use super::{NAMESPACE, Pod, SERVICE};

/// An object of a list has no type of its own, one of a watch has.
pub(super) fn typed(mut object: Value) -> Value {
    object["kind"] = json!("EndpointSlice");
    object["apiVersion"] = json!("discovery.k8s.io/v1");
    object
}

pub(super) fn endpoint_slice(name: &str, version: u64, pods: &[Pod]) -> Value {
    let endpoint = |pod: &Pod| {
        let mut endpoint = json!({
            "addresses": [pod.address.to_string()],
            "conditions": {"ready": pod.ready, "serving": pod.ready, "terminating": false},
            "nodeName": "worker-1",
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": "convoke-x", "uid": "5b0f7f53-0f5c-4d24-9b39-5cf0b6d3f1aa"},
        });
        if let Some(hostname) = &pod.hostname {
            endpoint["hostname"] = json!(hostname);
        }
        endpoint
    };
    json!({
        "metadata": {
            "name": name,
            "generateName": "convoke-",
            "namespace": NAMESPACE,
            "uid": "c4b43c53-8d9f-4b71-9a51-2d8c6d1f0f11",
            "resourceVersion": version.to_string(),
            "generation": 1,
            "creationTimestamp": "2026-11-20T10:00:00Z",
            "labels": {
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": SERVICE,
                "service.kubernetes.io/headless": "",
            },
        },
        "addressType": "IPv4",
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": [{"name": "gossip", "protocol": "UDP", "port": 4370}],
    })
}

/// An error as the API server words it, with its code.
pub(super) fn status(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}),
    )
}
