//! `POST /v1/diagnose`: every step on the way to a node, and the first that fails.

use std::fmt::{self, Write};
use std::net::SocketAddr;

use convoke::diagnose::{self, Outcome};
use serde::{Deserialize, Serialize};

use super::model::Member;

/// The diagnosis of the way to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Diagnosis {
    /// Whom it is about, as it was given.
    pub(crate) node: String,
    /// Where that is, as far as was found out.
    pub(crate) address: Option<SocketAddr>,
    pub(crate) steps: Vec<Step>,
    /// `ok`, `member`, `myself`, or the name of the first step that fails.
    pub(crate) verdict: String,
    /// How the looking node holds it, where it is a member.
    #[serde(default)]
    pub(crate) member: Option<Member>,
}

/// A step on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) step: String,
    /// `ok`, `failed`, or `untested` where an earlier step went wrong or it makes no sense.
    pub(crate) outcome: String,
    /// What was found.
    pub(crate) detail: Option<String>,
    /// How to mend it.
    pub(crate) fix: Option<String>,
}

impl Diagnosis {
    /// What was found, with how the looking node holds the peer.
    pub(crate) fn of(found: &diagnose::Diagnosis, member: Option<Member>) -> Self {
        let verdict = match (found.is_myself, found.failed(), &member) {
            (true, _, _) => "myself",
            (false, Some(check), _) => check.as_str(),
            (false, None, Some(_)) => "member",
            (false, None, None) => "ok",
        };
        Self {
            node: found.peer.to_string(),
            address: found.address,
            steps: found.steps.iter().map(Step::of).collect(),
            verdict: verdict.to_owned(),
            member,
        }
    }

    /// The first step that fails.
    pub(crate) fn failed(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.outcome == "failed")
    }

    fn conclusion(&self) -> String {
        let node = &self.node;
        match (self.failed(), &self.member) {
            _ if self.verdict == "myself" => format!("{node} is this node itself."),
            (Some(step), member) => {
                let held = member.as_ref().map_or_else(String::new, |member| {
                    format!(" It is a member, {} since {}.", member.state, member.since)
                });
                let fix = step.fix.as_deref().unwrap_or_default();
                format!("{} fails: {fix}.{held}", step.step)
            }
            (None, Some(member)) => {
                let rtt = member.rtt_ms;
                let rtt = rtt.map_or_else(String::new, |rtt| format!(", round trip {rtt} ms"));
                format!(
                    "all is well: {node} is a member, {} since {}{rtt}.",
                    member.state, member.since
                )
            }
            (None, None) => format!(
                "all is well: {node} can be reached and is no member of this cluster; `convoke cluster join {node}` joins its own"
            ),
        }
    }
}

impl Step {
    fn of((check, outcome): &(diagnose::Check, Outcome)) -> Self {
        let (outcome, detail, fix) = match outcome {
            Outcome::Good(found) => ("ok", Some(found), None),
            Outcome::Bad { found, fix } => ("failed", Some(found), Some(fix)),
            Outcome::Untested => ("untested", None, None),
        };
        Self {
            step: check.to_string(),
            outcome: outcome.to_owned(),
            detail: detail.cloned(),
            fix: fix.cloned(),
        }
    }
}

/// A line a step that was looked at, and what it comes to.
impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for Step {
            step,
            outcome,
            detail,
            ..
        } in &self.steps
        {
            if let Some(detail) = detail {
                writeln!(text, "  {step:<9}  {outcome:<6}  {detail}")?;
            }
        }
        write!(f, "{text}{}", self.conclusion())
    }
}

#[cfg(test)]
mod tests {
    use convoke::Peer;
    use convoke::diagnose::Check;

    use super::*;

    fn found(bad: Option<Check>) -> diagnose::Diagnosis {
        let outcome = |check| match bad {
            Some(bad) if bad == check => Outcome::Bad {
                found: "it is broken".into(),
                fix: "mend it".into(),
            },
            Some(bad) if bad < check => Outcome::Untested,
            _ => Outcome::Good("fine".into()),
        };
        diagnose::Diagnosis {
            peer: Peer::Name("b@10.0.0.2".parse().unwrap()),
            address: None,
            answered: None,
            is_myself: false,
            steps: Check::ALL.map(|check| (check, outcome(check))).into(),
        }
    }

    #[test]
    fn the_first_step_that_fails_is_the_verdict_and_its_fix_the_conclusion() {
        for check in Check::ALL {
            let diagnosis = Diagnosis::of(&found(Some(check)), None);
            assert_eq!(diagnosis.verdict, check.as_str());
            let text = diagnosis.to_string();
            assert!(
                text.ends_with(&format!("{check} fails: mend it.")),
                "{text}"
            );
        }
        assert_eq!(Diagnosis::of(&found(None), None).verdict, "ok");
    }

    #[test]
    fn the_json_has_the_keys_that_scripts_read() {
        let diagnosis = Diagnosis::of(&found(Some(Check::Port)), None);
        let json = serde_json::to_value(&diagnosis).unwrap();
        let step = &json["steps"][1];
        assert_eq!(step["step"], "port");
        assert_eq!(step["outcome"], "failed");
        assert_eq!(step["detail"], "it is broken");
        assert_eq!(step["fix"], "mend it");
        assert_eq!(json["steps"][2]["outcome"], "untested");
        assert_eq!(
            (&json["node"], &json["verdict"]),
            (&"b@10.0.0.2".into(), &"port".into())
        );
    }
}
