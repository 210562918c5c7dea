//! `convoke why`: one readable account of what nodes found about a member.

use std::io::Write;

use convoke_core::NodeName;

use super::{Wanted, print_json};
use crate::api::why::{Account, Asked, Found};
use crate::args::WhyArgs;

pub(super) async fn run(
    args: &WhyArgs,
    wanted: &Wanted,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let client = wanted.client().await?;
    let path = format!("/v1/members/{}/why", args.target);
    let account: Account = client.get(&path).await?;
    if args.json {
        print_json(out, &account)
    } else {
        print(out, &account)
    }
}

fn print(out: &mut dyn Write, account: &Account) -> anyhow::Result<()> {
    let name = &account.node;
    match &account.member {
        Some(member) => writeln!(
            out,
            "{name} is {} since {}, at incarnation {}.",
            member.state, member.since, member.incarnation
        )?,
        None => writeln!(out, "{name} is not in the cluster.")?,
    }
    let (silent, heard): (Vec<&Asked>, Vec<_>) = account
        .asked
        .iter()
        .partition(|asked| asked.error.is_some());
    let heard: Vec<&NodeName> = heard.into_iter().map(|asked| &asked.name).collect();
    writeln!(out, "Asked: {}.", list(&heard))?;
    for asked in silent {
        let error = asked.error.as_deref().unwrap_or_default();
        writeln!(out, "No answer from {}: {error}.", asked.name)?;
    }
    writeln!(out)?;
    if account.findings.is_empty() {
        return Ok(writeln!(out, "Nothing was found about it of late.")?);
    }
    let (hearsay, told): (Vec<&Found>, Vec<&Found>) = account
        .findings
        .iter()
        .partition(|found| is_hearsay(found, &account.findings));
    let widest = told.iter().map(|found| found.node.len()).max();
    let width = widest.unwrap_or_default();
    for found in told {
        let (at, node) = (&found.at, &found.node);
        writeln!(out, "{at}  {node:width$}  {}", words(found))?;
    }
    match hearsay.len() {
        0 => Ok(()),
        count => Ok(writeln!(
            out,
            "\nLeft out: when others heard of these accusations, {count} times. --json has all."
        )?),
    }
}

/// Whether somebody heard of an accusation that its accuser tells as well.
fn is_hearsay(found: &Found, all: &[Found]) -> bool {
    let accuser = found.by.as_ref().filter(|_| found.finding == "accused");
    let told = |accuser: &NodeName| {
        let same =
            |other: &&Found| other.finding == "silent" && other.incarnation == found.incarnation;
        all.iter()
            .filter(same)
            .any(|other| other.node == accuser.as_str())
    };
    accuser.is_some_and(told)
}

/// What a finding says, with its node as the subject.
fn words(found: &Found) -> String {
    let refused = found.refused == Some(true);
    let by = || named(found.by.as_ref(), "a member that is gone");
    let via = |before: &str| {
        let via = found.via.as_ref();
        via.map_or_else(String::new, |via| format!("{before}{via}"))
    };
    match found.finding.as_str() {
        "silent" => silent(found),
        "accused" if found.via.is_some() => format!(
            "heard{} that {} found it failed: too few had confirmed that",
            via(" by way of "),
            by()
        ),
        "accused" => format!("heard that {} accuses it{}", by(), at_its_port(refused)),
        "answered" => "looked for itself, and got an answer".to_owned(),
        "answered_late" => "got its answer after all, late, and withdrew the accusation".to_owned(),
        "refuted" => format!("heard it refute, at incarnation {}", found.incarnation),
        "withdrawn" => "withdrew its accusation: it had heard nobody else either".to_owned(),
        "convicted" => {
            let accusers: Vec<&NodeName> = found.accusers.iter().flatten().collect();
            format!(
                "found it failed: accused by {}{}",
                list(&accusers),
                at_its_port(refused)
            )
        }
        "believed" => believed(found),
        "confirmed" => {
            "tried it, for others hold it as failed: no answer, so it is failed".to_owned()
        }
        "returned" => format!("saw it come back, at incarnation {}", found.incarnation),
        "restarted" => format!("saw it restarted, at incarnation {}", found.incarnation),
        "left" => "saw it say goodbye".to_owned(),
        "removed" if found.via.is_none() => "was told to remove it".to_owned(),
        "removed" => format!("heard that it was removed{}", via(", by way of ")),
        "forgotten" => "forgot it: it was gone for long".to_owned(),
        "denied" => match &found.by {
            Some(by) => format!("heard that {by} accuses it itself, and said that it lives"),
            None => "heard that it is accused itself, and said that it lives".to_owned(),
        },
        "gave_way" => "gave the name up: another process has it, and started earlier".to_owned(),
        "replaced" => replaced(found),
        "missed" => format!(
            "remembers it from before its start, and has not met it since: failed{}",
            at_its_port(refused)
        ),
        // Of a later version.
        other => other.to_owned(),
    }
}

fn silent(found: &Found) -> String {
    let refused = at_its_port(found.refused == Some(true));
    let tried = match found.way.as_deref() {
        Some("probe") => "accuses it: no answer to a datagram and to a stream",
        Some("knock") => return "was refused at its port, and says so to the others".to_owned(),
        _ => "looked for itself and accuses it: no answer",
    };
    let helpers = |names: &Option<Vec<NodeName>>, before: &str, after: &str| {
        let names: Vec<&NodeName> = names.iter().flatten().collect();
        match names.as_slice() {
            [] => String::new(),
            names => format!("; {before}{}{after}", list(names)),
        }
    };
    format!(
        "{tried}{}{}{refused}",
        helpers(&found.heard_nothing, "", " heard nothing of it either"),
        helpers(
            &found.said_nothing,
            "no word from ",
            ", asked to try as well"
        ),
    )
}

fn believed(found: &Found) -> String {
    let count = match found.accusers_count {
        Some(count) => format!(", accused by {count}"),
        None => String::new(),
    };
    let refused = at_its_port(found.refused == Some(true));
    let via = found
        .via
        .as_ref()
        .filter(|via| found.by.as_ref() != Some(via));
    let via = via.map_or_else(String::new, |via| format!(", by way of {via}"));
    match &found.by {
        Some(by) => format!("took over the verdict of {by}{via}: failed{count}{refused}"),
        None => format!("took over that it is failed{via}{refused}"),
    }
}

fn replaced(found: &Found) -> String {
    let at = found
        .address
        .map_or_else(String::new, |at| format!(" at {at}"));
    format!(
        "saw another process{at} take the name, though this one had not failed: it moved, or two have one name"
    )
}

fn at_its_port(refused: bool) -> &'static str {
    if refused { "; its port refuses" } else { "" }
}

fn named(name: Option<&NodeName>, otherwise: &str) -> String {
    name.map_or_else(|| otherwise.to_owned(), ToString::to_string)
}

fn list(names: &[&NodeName]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::model::Member;

    fn found(json: &str) -> Found {
        let json = format!(r#"{{"at":"T","node":"a@h","incarnation":7,{json}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn each_finding_is_a_sentence() {
        let sentences = [
            (
                r#""finding":"silent","way":"probe","refused":true,"heard_nothing":["b@h","c@h"],"said_nothing":["d@h"]"#,
                "accuses it: no answer to a datagram and to a stream; b@h, c@h heard nothing of it either; no word from d@h, asked to try as well; its port refuses",
            ),
            (
                r#""finding":"silent","way":"trial","refused":false"#,
                "looked for itself and accuses it: no answer",
            ),
            (
                r#""finding":"accused","by":"b@h","refused":true"#,
                "heard that b@h accuses it; its port refuses",
            ),
            (
                r#""finding":"accused","by":"b@h","via":"c@h","refused":false"#,
                "heard by way of c@h that b@h found it failed: too few had confirmed that",
            ),
            (
                r#""finding":"accused","refused":false"#,
                "heard that a member that is gone accuses it",
            ),
            (
                r#""finding":"convicted","accusers":["a@h","b@h"],"refused":false"#,
                "found it failed: accused by a@h, b@h",
            ),
            (
                r#""finding":"believed","by":"b@h","via":"b@h","accusers_count":3,"refused":false"#,
                "took over the verdict of b@h: failed, accused by 3",
            ),
            (
                r#""finding":"believed","by":"b@h","via":"c@h","accusers_count":3,"refused":true"#,
                "took over the verdict of b@h, by way of c@h: failed, accused by 3; its port refuses",
            ),
            (
                r#""finding":"refuted""#,
                "heard it refute, at incarnation 7",
            ),
            (r#""finding":"removed""#, "was told to remove it"),
            (
                r#""finding":"removed","via":"b@h""#,
                "heard that it was removed, by way of b@h",
            ),
            (r#""finding":"of_tomorrow""#, "of_tomorrow"),
        ];
        for (json, sentence) in sentences {
            assert_eq!(words(&found(json)), sentence);
        }
    }

    #[test]
    fn who_tells_of_its_accusation_is_not_told_of_by_all_others_too() {
        let of = |node: &str, rest: &str| {
            let mut found = found(rest);
            found.node = node.into();
            found
        };
        let silent = r#""finding":"silent","way":"trial","refused":false"#;
        let heard = |by: &str| format!(r#""finding":"accused","by":"{by}","refused":false"#);
        let findings = vec![
            of("a@h", silent),
            of("b@h", &heard("a@h")),
            of("c@h", &heard("a@h")),
            of("c@h", &heard("d@h")),
        ];
        let account = Account {
            node: "x@h".parse().unwrap(),
            member: None,
            asked: Vec::new(),
            findings,
        };
        let mut text = Vec::new();
        print(&mut text, &account).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("c@h  heard that d@h accuses it"), "{text}");
        assert!(!text.contains("heard that a@h"), "{text}");
        assert!(text.ends_with("2 times. --json has all.\n"), "{text}");
    }

    #[test]
    fn the_account_says_how_it_stands_and_who_was_asked() {
        let asked = |name: &str, error: Option<&str>| Asked {
            name: name.parse().unwrap(),
            error: error.map(str::to_owned),
        };
        let member = Member {
            name: "x@h".parse().unwrap(),
            address: "10.0.0.1:4370".parse().unwrap(),
            state: "failed".into(),
            incarnation: 7,
            since: "T0".into(),
            rtt_ms: None,
            version: "0.1.0".into(),
            tags: Default::default(),
        };
        let mut account = Account {
            node: "x@h".parse().unwrap(),
            member: Some(member),
            asked: vec![asked("a@h", None), asked("b@h", Some("no answer"))],
            findings: vec![found(r#""finding":"refuted""#)],
        };
        let text = |account: &Account| {
            let mut text = Vec::new();
            print(&mut text, account).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(
            text(&account),
            "x@h is failed since T0, at incarnation 7.\n\
             Asked: a@h.\n\
             No answer from b@h: no answer.\n\
             \n\
             T  a@h  heard it refute, at incarnation 7\n"
        );
        (account.member, account.findings) = (None, Vec::new());
        let text = text(&account);
        assert!(text.starts_with("x@h is not in the cluster.\n"), "{text}");
        assert!(
            text.ends_with("Nothing was found about it of late.\n"),
            "{text}"
        );
    }
}
