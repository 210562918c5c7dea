//! Where nodes are written down: `<prefix>/<cluster name>/nodes/<node name>`.
//!
//! Two clusters that share an etcd must not meet, so a cluster reads its own keys and nothing
//! beyond: from `…/nodes/` to the first key that does not begin with it. A cluster's name is one
//! step of the path, whatever is in it: `%` and `/` are written as `%25` and `%2F`.

use convoke_core::NodeName;

/// The keys of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    folder: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, cluster: &str) -> Self {
        let prefix = prefix.trim_end_matches('/');
        let cluster = cluster.replace('%', "%25").replace('/', "%2F");
        Self {
            folder: format!("{prefix}/{cluster}/nodes/"),
        }
    }

    /// What all of them begin with, to be shown.
    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    /// The first one.
    pub(super) fn first(&self) -> Vec<u8> {
        self.folder.clone().into_bytes()
    }

    /// The first key beyond.
    pub(super) fn end(&self) -> Vec<u8> {
        let mut end = self.first();
        *end.last_mut().expect("a folder ends with a slash") += 1;
        end
    }

    /// Where this node is written down.
    pub(super) fn of(&self, node: &NodeName) -> Vec<u8> {
        format!("{}{node}", self.folder).into_bytes()
    }

    /// The node that is written down there, if it is one.
    pub(super) fn node(&self, key: &[u8]) -> Option<NodeName> {
        let name = key.strip_prefix(self.folder.as_bytes())?;
        std::str::from_utf8(name).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().expect(text)
    }

    fn holds(keys: &Keys, key: &[u8]) -> bool {
        (keys.first().as_slice()..keys.end().as_slice()).contains(&key)
    }

    #[test]
    fn the_range_holds_the_clusters_keys_and_no_others() {
        let keys = Keys::new("convokecl", "prod");
        assert_eq!(
            keys.of(&name("a@10.0.0.1")),
            b"convokecl/prod/nodes/a@10.0.0.1"
        );
        assert!(holds(&keys, &keys.of(&name("a@10.0.0.1"))));
        assert!(holds(&keys, &keys.of(&name("z@zz.example"))));
        for other in [
            "convokecl/prod/nodes",
            "convokecl/prod/nodes0",
            "convokecl/prod/nodesx",
            "convokecl/prod2/nodes/a@h",
            "zzz",
            "convokecl/prod/",
        ] {
            assert!(!holds(&keys, other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn no_cluster_lies_in_another_whatever_its_name() {
        let names = [
            "a",
            "a/nodes",
            "a%2Fnodes",
            "a/nodes/x",
            "a%2fnodes",
            "",
            "/",
            "a/",
            "%",
            "é",
        ];
        for one in names {
            for other in names.iter().filter(|other| **other != one) {
                let (one, other) = (Keys::new("p", one), Keys::new("p", other));
                assert!(!holds(&one, &other.of(&name("n@h"))), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_prefix_may_end_with_a_slash() {
        assert_eq!(Keys::new("/p/", "c").of(&name("n@h")), b"/p/c/nodes/n@h");
    }

    #[test]
    fn only_a_node_name_is_a_node() {
        let keys = Keys::new("p", "c");
        assert_eq!(keys.node(b"p/c/nodes/n@h"), Some(name("n@h")));
        // Such as another cluster's, whose prefix is this one's folder.
        for key in [
            "p/c/nodes/x/nodes/n@h",
            "p/c/nodes/",
            "p/c/nodes/n",
            "other",
        ] {
            assert_eq!(keys.node(key.as_bytes()), None, "{key}");
        }
        assert_eq!(keys.node(b"p/c/nodes/\xff@h"), None);
    }
}
