//! `convoke members`: a table of who is in the cluster, or who was.

use std::io::Write;

use comfy_table::{Table, presets};

use super::{Wanted, print_json};
use crate::api::model::{Forgotten, Member};
use crate::args::{MembersArgs, StateArg};

pub(super) async fn run(
    args: &MembersArgs,
    wanted: &Wanted,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let client = wanted.client().await?;
    if args.forgotten {
        let forgotten: Vec<Forgotten> = client.get("/v1/members?forgotten=true").await?;
        return if args.json {
            print_json(out, &forgotten)
        } else {
            print_forgotten(out, &forgotten)
        };
    }
    let mut members: Vec<Member> = client.get("/v1/members").await?;
    members.retain(|member| is_wanted(args, member));
    if args.json {
        print_json(out, &members)
    } else {
        print(out, &members)
    }
}

fn is_wanted(args: &MembersArgs, member: &Member) -> bool {
    let state = args.state.is_none_or(|state| word(state) == member.state);
    state
        && args
            .tags
            .iter()
            .all(|tag| member.tags.get(&tag.key) == Some(&tag.value))
}

fn word(state: StateArg) -> &'static str {
    match state {
        StateArg::Alive => "alive",
        StateArg::Suspect => "suspect",
        StateArg::Failed => "failed",
        StateArg::Left => "left",
    }
}

fn print(out: &mut dyn Write, members: &[Member]) -> anyhow::Result<()> {
    let mut table = table(&[
        "NAME", "ADDRESS", "STATE", "SINCE", "RTT", "VERSION", "TAGS",
    ]);
    for member in members {
        let rtt = member
            .rtt_ms
            .map_or_else(|| "-".into(), |ms| format!("{ms:.2} ms"));
        let tags: Vec<String> = member
            .tags
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        table.add_row([
            member.name.to_string(),
            member.address.to_string(),
            member.state.clone(),
            member.since.clone(),
            rtt,
            member.version.clone(),
            tags.join(","),
        ]);
    }
    Ok(writeln!(out, "{}", trimmed(&table))?)
}

fn print_forgotten(out: &mut dyn Write, forgotten: &[Forgotten]) -> anyhow::Result<()> {
    let mut table = table(&["NAME", "INCARNATION", "FORGOTTEN"]);
    for member in forgotten {
        table.add_row([
            member.name.to_string(),
            member.incarnation.to_string(),
            member.at.clone(),
        ]);
    }
    Ok(writeln!(out, "{}", trimmed(&table))?)
}

/// Columns without lines, for eyes and for `awk`.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn trimmed(table: &Table) -> String {
    let lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, state: &str, tags: &[(&str, &str)]) -> Member {
        Member {
            name: name.parse().unwrap(),
            address: "10.0.0.1:4370".parse().unwrap(),
            state: state.into(),
            incarnation: 1,
            since: "2026-11-22T17:02:11.120Z".into(),
            rtt_ms: None,
            version: "0.1.0".into(),
            tags: tags
                .iter()
                .map(|(key, value)| ((*key).into(), (*value).into()))
                .collect(),
        }
    }

    #[test]
    fn members_are_chosen_by_state_and_by_all_tags() {
        let members = [
            member("a@h", "alive", &[("zone", "x"), ("rack", "1")]),
            member("b@h", "failed", &[("zone", "x")]),
        ];
        let chosen = |state, tags: &[&str]| {
            let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
            let args = MembersArgs {
                state,
                tags,
                forgotten: false,
                json: false,
            };
            members
                .iter()
                .filter(|member| is_wanted(&args, member))
                .map(|member| member.name.local_part())
                .collect()
        };
        let all: Vec<&str> = chosen(None, &[]);
        assert_eq!(all, ["a", "b"]);
        let failed: Vec<&str> = chosen(Some(StateArg::Failed), &[]);
        assert_eq!(failed, ["b"]);
        let tagged: Vec<&str> = chosen(None, &["zone=x", "rack=1"]);
        assert_eq!(tagged, ["a"]);
        let none: Vec<&str> = chosen(Some(StateArg::Left), &["zone=x"]);
        assert!(none.is_empty());
    }

    #[test]
    fn the_table_has_a_line_a_member_and_no_blanks_at_line_ends() {
        let mut text = Vec::new();
        print(&mut text, &[member("a@h", "alive", &[("zone", "x")])]).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("NAME"), "{text}");
        assert!(
            lines[1].starts_with("a@h") && lines[1].ends_with("zone=x"),
            "{text}"
        );
    }
}
