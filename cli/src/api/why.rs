//! `GET /v1/members/{name}/why`: what several nodes found about a member of late, in the order of
//! time.

use std::net::SocketAddr;

use convoke::{Testimony, Way, What, Witness};
use convoke_core::NodeName;
use serde::{Deserialize, Serialize};

use super::model::{Member, rfc3339};

/// The account of a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) node: NodeName,
    /// How the asked node holds it; null where it is no member there.
    pub(crate) member: Option<Member>,
    pub(crate) asked: Vec<Asked>,
    /// All findings, the oldest first.
    pub(crate) findings: Vec<Found>,
}

/// A node that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) name: NodeName,
    /// Why it gave no answer.
    pub(crate) error: Option<String>,
}

/// A finding. Keys that do not apply to it are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) at: String,
    /// Who found it.
    pub(crate) node: String,
    pub(crate) finding: String,
    pub(crate) incarnation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<NodeName>,
    /// Who passed it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) via: Option<NodeName>,
    /// `probe`, `trial` or `knock`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) way: Option<String>,
    /// Whether the member's port refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<bool>,
    /// The helpers that heard nothing of the member either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heard_nothing: Option<Vec<NodeName>>,
    /// The helpers that said nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) said_nothing: Option<Vec<NodeName>>,
    /// Who accused the member when this node's verdict fell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) accusers: Option<Vec<NodeName>>,
    /// How many accused it, according to somebody else's verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) accusers_count: Option<u8>,
    /// Where the process is that has the name now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
}

impl Account {
    /// What the witnesses said, told as one; `None` where nobody knows anything of the name.
    pub(crate) fn of(
        node: NodeName,
        member: Option<Member>,
        witnesses: Vec<Witness>,
    ) -> Option<Self> {
        let (mut asked, mut findings) = (Vec::new(), Vec::new());
        for Witness { node, answer } in witnesses {
            let error = match answer {
                Ok(told) => {
                    findings.extend(told.into_iter().map(|told| (told, node.clone())));
                    None
                }
                Err(error) => Some(error.to_string()),
            };
            asked.push(Asked { name: node, error });
        }
        findings.sort_by(|(a, by_a), (b, by_b)| (a.at, by_a).cmp(&(b.at, by_b)));
        let known = member.is_some() || !findings.is_empty();
        known.then(|| Self {
            node,
            member,
            asked,
            findings: findings.into_iter().map(Found::of).collect(),
        })
    }
}

impl Found {
    fn of((told, node): (Testimony, NodeName)) -> Self {
        let found = Self {
            at: rfc3339(told.at),
            node: node.to_string(),
            incarnation: told.incarnation.0,
            ..Self::default()
        };
        found.with(told.what)
    }

    fn with(self, what: What) -> Self {
        let named = |finding: &str, found: Self| Self {
            finding: finding.to_owned(),
            ..found
        };
        match what {
            What::Silent { way, refused } => named("silent", self.tried(way, refused)),
            What::Accused { by, via, refused } => Self {
                by,
                via,
                refused: Some(refused),
                ..named("accused", self)
            },
            What::Answered => named("answered", self),
            What::AnsweredLate => named("answered_late", self),
            What::Refuted => named("refuted", self),
            What::Withdrawn => named("withdrawn", self),
            What::Convicted { accusers, refused } => Self {
                accusers: Some(accusers),
                refused: Some(refused),
                ..named("convicted", self)
            },
            What::Believed {
                by,
                via,
                accusers,
                refused,
            } => Self {
                by,
                via,
                accusers_count: Some(accusers).filter(|count| *count > 0),
                refused: Some(refused),
                ..named("believed", self)
            },
            What::Confirmed => named("confirmed", self),
            What::Returned => named("returned", self),
            What::Restarted => named("restarted", self),
            What::Left => named("left", self),
            What::Removed { via } => Self {
                via,
                ..named("removed", self)
            },
            What::Forgotten => named("forgotten", self),
            What::Denied { by } => Self {
                by,
                ..named("denied", self)
            },
            What::GaveWay => named("gave_way", self),
            What::Replaced { at } => Self {
                address: Some(at),
                ..named("replaced", self)
            },
            What::Missed { refused } => Self {
                refused: Some(refused),
                ..named("missed", self)
            },
        }
    }

    fn tried(self, way: Way, refused: bool) -> Self {
        let (word, helpers) = match way {
            Way::Probe {
                heard_nothing,
                said_nothing,
            } => ("probe", Some((heard_nothing, said_nothing))),
            Way::Trial => ("trial", None),
            Way::Knock => ("knock", None),
        };
        let (heard_nothing, said_nothing) = helpers.unzip();
        Self {
            way: Some(word.to_owned()),
            refused: Some(refused),
            heard_nothing,
            said_nothing,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use convoke::{Incarnation, RpcError};

    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn told(secs: u64, what: What) -> Testimony {
        Testimony {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(secs),
            incarnation: Incarnation(7),
            what,
        }
    }

    #[test]
    fn what_several_say_is_told_in_the_order_of_time() {
        let (a, b, c) = (name("a@h"), name("b@h"), name("c@h"));
        let accused = What::Accused {
            by: Some(b.clone()),
            via: None,
            refused: true,
        };
        let witnesses = vec![
            Witness {
                node: a,
                answer: Ok(vec![told(2, accused), told(9, What::Refuted)]),
            },
            Witness {
                node: b,
                answer: Ok(vec![told(1, What::Answered), told(3, What::Forgotten)]),
            },
            Witness {
                node: c.clone(),
                answer: Err(RpcError::OtherCluster),
            },
        ];
        let account = Account::of(name("x@h"), None, witnesses).unwrap();
        let order: Vec<_> = account
            .findings
            .iter()
            .map(|f| f.finding.as_str())
            .collect();
        assert_eq!(order, ["answered", "accused", "forgotten", "refuted"]);
        assert_eq!(account.asked[2].name, c);
        assert!(account.asked[2].error.is_some() && account.asked[1].error.is_none());
        let json = serde_json::to_string(&account.findings[1]).unwrap();
        let expected = r#"{"at":"1970-01-01T00:00:02.000Z","node":"a@h","finding":"accused","incarnation":7,"by":"b@h","refused":true}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn of_whom_nobody_knows_anything_there_is_no_account() {
        let witness = |told| Witness {
            node: name("a@h"),
            answer: Ok(told),
        };
        assert!(Account::of(name("x@h"), None, vec![witness(Vec::new())]).is_none());
        let removed = told(1, What::Removed { via: None });
        let account = Account::of(name("x@h"), None, vec![witness(vec![removed])]);
        assert_eq!(account.unwrap().findings.len(), 1);
    }
}
