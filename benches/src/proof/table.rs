//! The table, in Markdown.

use super::figures::Figures;
use super::plan::{CONTENDERS, Line, Plan};
use super::rows::title;

/// Where nothing is measured.
const NONE: &str = "–";
/// What it takes to make the table again.
const COMMAND: &str = "cargo run --release -p convoke-benches --bin proof --";

/// The table of a plan, `figures` as [`run`](super::run) gave them.
pub fn markdown(plan: &Plan, figures: &[Figures]) -> String {
    let mut text = head(plan);
    let names = CONTENDERS.map(|(_, name)| name);
    let targets = "target for Convoke";
    text += &row("what is measured", names.map(str::to_owned), targets);
    text += "|---|---|---|---|---|\n";
    let mut last = None;
    for line in &plan.lines {
        if last.replace(line.row) != Some(line.row) {
            let group = format!("**{}. {}**", line.row, title(line.row));
            text += &row(&group, Default::default(), "");
        }
        let cells = line.cells.map(|place| cell(line, place, figures));
        text += &row(&line.what, cells, line.target);
    }
    text
}

fn head(plan: &Plan) -> String {
    let arguments = [plan.request.arguments(), "--write".to_owned()];
    let arguments: Vec<_> = arguments.into_iter().filter(|a| !a.is_empty()).collect();
    format!(
        "Made by `{COMMAND} {}`, with the seeds from 1 to the number that each line names; the same \
         command makes the same table on every machine. Times are median / maximum, false failures \
         are verdicts / members, where no other is said. *never*: not within two minutes (a leave: \
         one minute). memberlist is SWIM with Lifeguard at its LAN defaults, SWIM the same without \
         Lifeguard; all three run in the same simulator, on its network `lan` (median 0.25 ms). Across \
         regions Convoke has its profile `wan`, and the others memberlist's WAN defaults.\n\n",
        arguments.join(" ")
    )
}

fn cell(line: &Line, place: Option<usize>, figures: &[Figures]) -> String {
    let Some(figures) = place.and_then(|place| figures.get(place)) else {
        return NONE.to_owned();
    };
    if !figures.gave_up() && figures.runs > 0 {
        (line.reading)(figures)
    } else {
        "gave up".to_owned()
    }
}

fn row(what: &str, cells: [String; CONTENDERS.len()], target: &str) -> String {
    let [convoke, memberlist, swim] = cells;
    let cells = [what, &convoke, &memberlist, &swim, target];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::{Request, reading};
    use convoke_core::Config;
    use convoke_core::sim::report::{Contender, Net, Params, Run, Scenario, Setup};
    use std::time::Duration;

    fn plan() -> Plan {
        let lines = [
            (1, [Some(0), Some(1), Some(2)], "a | b"),
            (1, [Some(0), None, None], "c"),
            (2, [Some(2), Some(2), Some(1)], "d"),
        ];
        Plan {
            request: Request {
                seeds: Some(2),
                ..Request::default()
            },
            experiments: Vec::new(),
            lines: lines
                .map(|(row, cells, what)| Line {
                    row,
                    what: what.to_owned(),
                    cells,
                    reading: reading::known,
                    target: "≤ 1 s",
                })
                .to_vec(),
        }
    }

    fn known_in(millis: u64) -> Figures {
        let setup = Setup {
            scenario: Scenario::Leave,
            protocol: Contender::Convoke,
            nodes: 8,
            loss: 0.0,
            net: Net::Lan,
            config: Config::lan(),
            params: Params::default(),
        };
        let run = Run {
            known_by_all: vec![Duration::from_millis(millis)],
            ..Run::default()
        };
        let mut figures = Figures::default();
        figures.add(&setup, &run);
        figures
    }

    #[test]
    fn lines_are_grouped_by_their_criterion() {
        let mut broken = known_in(3);
        broken.add_gave_up(7, "the roster forgot itself".into());
        let text = markdown(&plan(), &[known_in(100), known_in(2500), broken]);
        let (head, table) = text.split_once("\n\n").unwrap();
        let command = "`cargo run --release -p convoke-benches --bin proof -- --seeds 2 --write`";
        assert!(head.contains(command), "{head}");
        let expected = "\
| what is measured | Convoke | memberlist | SWIM | target for Convoke |
|---|---|---|---|---|
| **1. One member says goodbye** |  |  |  |  |
| a \\| b | 100 ms / 100 ms | 2.50 s / 2.50 s | gave up | ≤ 1 s |
| c | 100 ms / 100 ms | – | – | ≤ 1 s |
| **2. One member dies without a word** |  |  |  |  |
| d | gave up | gave up | 2.50 s / 2.50 s | ≤ 1 s |
";
        assert_eq!(table, expected);
    }

    #[test]
    fn what_was_not_run_is_no_figure() {
        let text = markdown(&plan(), &[Figures::default()]);
        assert!(
            text.contains("| a \\| b | gave up | – | – | ≤ 1 s |"),
            "{text}"
        );
    }
}
