//! What goes wrong with Kubernetes, in words that say how to mend it.

use std::error::Error;

/// How deep the reason of an error is looked for.
const DEPTH_MAX: usize = 16;

/// Why the API server tells no pods. It is asked again by the next pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum K8sError {
    /// There are neither credentials of a pod nor a kubeconfig.
    #[error(
        "there is no way to an API server: not in a pod ({in_pod}), and no kubeconfig ({outside}): run in a pod with a service account, or set KUBECONFIG"
    )]
    Nowhere {
        /// Why not as a pod.
        in_pod: String,
        /// Why not otherwise.
        outside: String,
    },
    /// The credentials can't be read or used.
    #[error("the credentials for the API server can't be used: {0}")]
    Credentials(String),
    /// The configured address is none.
    #[error("{0:?} is no address of an API server: set cluster.k8s.apiserver to https://host:port")]
    Url(String),
    /// The account may not do it.
    #[error(
        "the API server does not let this account {verb} EndpointSlices in the namespace {namespace:?}: add this rule to a Role there, and bind it to the account by a RoleBinding: {{apiGroups: [\"discovery.k8s.io\"], resources: [\"endpointslices\"], verbs: [\"list\", \"watch\"]}} (it says: {words})"
    )]
    Forbidden {
        /// What was asked.
        verb: &'static str,
        /// Where.
        namespace: String,
        /// The API server's own words.
        words: String,
    },
    /// The API server does not know who asks.
    #[error(
        "the API server does not accept the credentials: a token may have run out, or belong to another cluster (it says: {0})"
    )]
    Unauthorized(String),
    /// It has no such API.
    #[error(
        "what answers there has no EndpointSlices (discovery.k8s.io/v1, Kubernetes 1.21 or later): check cluster.k8s.apiserver (it says: {0})"
    )]
    NoApi(String),
    /// Its certificate is signed by somebody else.
    #[error(
        "the API server's certificate can't be trusted: {0}: check the authority in the kubeconfig, or cluster.k8s.apiserver"
    )]
    Authority(String),
    /// It can't be reached.
    #[error("the API server can't be reached: {0}")]
    Unreachable(String),
    /// There are pods, and none can be named as it is configured.
    #[error(
        "the Service has {pods} pods, and none of them a host name to name its node by: have a StatefulSet make them, whose serviceName is this Service, or set cluster.k8s.address_type to \"ip\""
    )]
    Nameless {
        /// How many there are.
        pods: usize,
    },
    /// Something else.
    #[error("the API server refuses to {verb} EndpointSlices: {words}")]
    Refused {
        /// What was asked.
        verb: &'static str,
        /// What it says.
        words: String,
    },
}

impl K8sError {
    /// What it means that a question was not answered.
    pub(super) fn of(verb: &'static str, namespace: &str, error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let words = status.message.clone();
                match status.code {
                    401 => Self::Unauthorized(words),
                    403 => Self::Forbidden {
                        verb,
                        namespace: namespace.to_owned(),
                        words,
                    },
                    404 => Self::NoApi(words),
                    _ => Self::Refused { verb, words },
                }
            }
            kube::Error::SerdeError(error) => Self::NoApi(error.to_string()),
            kube::Error::Auth(error) => Self::Credentials(error.to_string()),
            error => transport(error),
        }
    }
}

/// The deepest reason says most.
fn transport(error: &kube::Error) -> K8sError {
    let mut deepest: &(dyn Error + 'static) = error;
    for _ in 0..DEPTH_MAX {
        if let Some(tls) = find_tls(deepest) {
            return K8sError::Authority(tls.to_string());
        }
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    K8sError::Unreachable(deepest.to_string())
}

/// A certificate that is not believed, which errors of input or output may hide, one in another.
fn find_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut error = error;
    for _ in 0..DEPTH_MAX {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls).filter(|tls| matches!(tls, rustls::Error::InvalidCertificate(_)));
        }
        error = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
    None
}
