//! What a person reads: the times, the load and the false alarms, each with its meaning.

use std::fmt::Write as _;
use std::time::Duration;

use convoke_core::sim::report::{Contender, Scenario};

use super::distribution::Distribution;
use super::figures::{Fault, Figures};
use super::plan::Plan;
use super::words::{bytes, count, counted, number, spoken};

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[0m";

/// How it was run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    /// By the clock on the wall.
    pub(super) took: Duration,
    /// How many worlds ran at a time.
    pub(super) side_by_side: usize,
}

/// The whole of it, with or without colours.
pub(super) fn table(plan: &Plan, figures: &Figures, effort: Effort, colour: bool) -> String {
    let mut page = Page {
        text: String::new(),
        colour,
    };
    page.header(plan);
    page.times(plan, figures);
    page.load(plan, figures);
    page.alarms(plan, figures);
    page.footer(plan, figures, effort);
    page.text
}

/// Text that grows by lines.
struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("{code}{text}{RESET}")
        } else {
            text.to_owned()
        }
    }

    fn line(&mut self, text: &str) {
        writeln!(self.text, "{}", text.trim_end()).expect("writing to a string cannot fail");
    }

    fn header(&mut self, plan: &Plan) {
        let setup = &plan.setup;
        let title = format!("{}: {}", plan.scenario, lower_first(&plan.meaning));
        self.line(&self.paint(BOLD, &title));
        let loss = match setup.loss {
            0.0 => "no loss".to_owned(),
            loss => format!("{} % loss", percent(loss)),
        };
        let seeds = match plan.seeds {
            1 => format!("seed {}", plan.first_seed),
            seeds => format!("{} from {}", counted(seeds, "seed"), count(plan.first_seed)),
        };
        let cluster = format!(
            "{} nodes of {}, {loss}, {seeds}",
            count(setup.nodes as u64),
            name(setup.protocol),
        );
        self.line(&cluster);
        let network = format!("{} network: {}", plan.net, lower_first(&plan.travel));
        self.line(&network);
        self.line("");
    }

    fn times(&mut self, plan: &Plan, figures: &Figures) {
        // Some scenarios have no deaths, but members that stop for longer than is tolerated.
        let (suspected, failed, everywhere) = match plan.setup.scenario {
            Scenario::Anomalies => (
                "from a long stop until one node suspected the stopped one",
                "until one of the others held it as failed",
                "until all the others held it as failed",
            ),
            _ => (
                "from a death until one node suspected it",
                "until one node held it as failed",
                "until all who live held it as failed",
            ),
        };
        let known = match plan.setup.scenario {
            Scenario::JoinStorm | Scenario::RestartAll => "until all views were equal",
            _ => "from the happening until the last one knew",
        };
        let never = figures.never(plan.setup.scenario);
        let rows: [(&str, &Distribution, u64, &str); 6] = [
            ("known by all", &figures.known_by_all, never.known, known),
            (
                "known by a node",
                &figures.known,
                0,
                "the same, for every node by itself",
            ),
            ("first suspected", &figures.first_suspected, 0, suspected),
            ("first failed", &figures.first_failed, 0, failed),
            (
                "failed everywhere",
                &figures.failed_everywhere,
                never.failed,
                everywhere,
            ),
            (
                "healed",
                &figures.healed,
                never.healed,
                "from the disturbance's end until one cluster again",
            ),
        ];
        let rows: Vec<_> = rows
            .iter()
            .filter(|(_, times, never, _)| times.len() + never > 0)
            .collect();
        if rows.is_empty() {
            return;
        }
        let head = format!(
            "{:<18} {:>9} {:>9} {:>9} {:>9}",
            "TIME", "P50", "P99", "MAX", "SAMPLES"
        );
        self.line(&self.paint(DIM, &head));
        for (label, times, never, meaning) in rows {
            if *never > 0 {
                let all = count(times.len() + never);
                let words = format!("{label:<18} never ({} of {all})", count(*never));
                self.line(&self.paint(RED, &words));
            }
            if times.len() == 0 {
                continue;
            }
            let [p50, p99, max] = [times.quantile(0.5), times.quantile(0.99), times.max()]
                .map(|time| time.map_or_else(String::new, spoken));
            let samples = count(times.len());
            let meaning = self.paint(DIM, meaning);
            self.line(&format!(
                "{label:<18} {p50:>9} {p99:>9} {max:>9} {samples:>9}  {meaning}"
            ));
        }
        self.line("");
    }

    fn load(&mut self, plan: &Plan, figures: &Figures) {
        let nodes = plan.setup.nodes;
        let above_rest = plan.setup.scenario == Scenario::Leave;
        let head = format!("{:<18} {:>9} {:>9}", "LOAD OF A NODE", "A SECOND", "IN ALL");
        self.line(&self.paint(DIM, &head));
        let mut row = |label: &str, rate: String, whole: String, meaning: &str| {
            let meaning = self.paint(DIM, meaning);
            self.line(&format!("{label:<18} {rate:>9} {whole:>9}  {meaning}"));
        };
        row(
            "messages",
            number(figures.messages_per_node_per_s(nodes)),
            number(figures.messages_per_node(nodes)),
            match above_rest {
                true => "sent by the protocol for it, above what it sends at rest",
                false => "sent by the protocol, on average",
            },
        );
        row(
            "bytes",
            bytes(figures.bytes_per_node_per_s(nodes)),
            bytes(figures.bytes_per_node(nodes)),
            match above_rest {
                true => "the same, with all headers, acknowledgements and handshakes",
                false => "sent, with all headers, acknowledgements and handshakes",
            },
        );
        let busiest = bytes(figures.bytes_of_busiest as f64);
        row(
            "bytes, busiest",
            String::new(),
            busiest,
            match above_rest {
                true => "the most that one node sent, with what it sends at rest",
                false => "the most that one node sent",
            },
        );
        self.line("");
    }

    fn alarms(&mut self, plan: &Plan, figures: &Figures) {
        self.line(&self.paint(DIM, "FALSE ALARMS"));
        let false_failures = match plan.setup.scenario {
            Scenario::Partition => {
                "verdicts about members that were well, by those who were not cut off"
            }
            _ => "verdicts about members that were well, by anybody",
        };
        let mut row = |label: &str, number: u64, meaning: &str| {
            let meaning = self.paint(DIM, meaning);
            self.line(&format!("{label:<18} {:>9}  {meaning}", count(number)));
        };
        row(
            "false failures",
            figures.false_failed_events,
            false_failures,
        );
        row(
            "members hit",
            figures.false_failed_members,
            "how many members these were about",
        );
        row(
            "suspicions",
            figures.suspicions,
            "told, of the dead and of the living",
        );
        row(
            "refutations",
            figures.refutations,
            "those of the suspicions that ended well",
        );
        self.line("");
    }

    fn footer(&mut self, plan: &Plan, figures: &Figures, effort: Effort) {
        let checked = match plan.setup.params.checks {
            true => ", and every step was checked",
            false => "",
        };
        let verdict = match (figures.faulty, figures.runs) {
            (0, 1) => format!("converged: at the end all held the same members{checked}"),
            (0, runs) => format!(
                "converged: at the end of all {} runs all held the same members{checked}",
                count(runs)
            ),
            (faulty, runs) => {
                format!("{} of {} went wrong", count(faulty), counted(runs, "run"))
            }
        };
        let verdict = self.paint(if figures.faulty == 0 { GREEN } else { RED }, &verdict);
        self.line(&verdict);
        let took = effort.took.as_secs_f64().max(1e-6);
        let factor = figures.simulated.as_secs_f64() / took;
        let at_a_time = match effort.side_by_side {
            1 => String::new(),
            several => format!(", {several} at a time"),
        };
        self.line(&format!(
            "{} simulated in {}{at_a_time}: {} as fast as real time",
            spoken(figures.simulated),
            spoken(effort.took),
            times(factor)
        ));
        self.line(&format!(
            "trace {}, on every machine, of: {}",
            figures.trace_hash(),
            plan.command()
        ));
    }
}

/// What went wrong with a run, and how to see it again.
pub(super) fn fault(plan: &Plan, fault: &Fault) -> String {
    let unequal = (!fault.converged).then(|| match fault.differences.is_empty() {
        true => "did not converge in time".to_owned(),
        false => {
            "did not converge: at the end not all held the members, and nobody else".to_owned()
        }
    });
    let what: Vec<String> = unequal
        .into_iter()
        .chain(fault.differences.clone())
        .chain(fault.violations.clone())
        .collect();
    format!(
        "seed {}: {}\n  again: {}",
        fault.seed,
        what.join("\n  "),
        plan.replay(fault.seed)
    )
}

/// What a protocol calls itself.
pub(super) const fn name(protocol: Contender) -> &'static str {
    match protocol {
        Contender::Convoke => "Convoke",
        Contender::Lifeguard => "SWIM with Lifeguard (memberlist)",
        Contender::Swim => "plain SWIM",
    }
}

/// "5", "0.1": a share in percent, without zeros at its end.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.3}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn times(factor: f64) -> String {
    match factor {
        _ if factor < 9.95 => format!("{factor:.1} times"),
        _ => format!("{} times", count(factor.round() as u64)),
    }
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    first.chain(chars.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use convoke_core::sim::report::Run;

    use crate::commands::simulate::figures::tests::crash;
    use crate::commands::simulate::plan::tests::plan;

    const EFFORT: Effort = Effort {
        took: Duration::from_millis(500),
        side_by_side: 2,
    };

    fn shown(colour: bool) -> String {
        let plan = plan("crash|--nodes|1000|--seeds|2|--loss|2.5%").unwrap();
        let mut figures = Figures::default();
        figures.add(&crash(1, 4000));
        figures.add(&crash(2, 4500));
        table(&plan, &figures, EFFORT, colour)
    }

    #[test]
    fn a_person_reads_what_happened_how_long_it_took_and_what_it_cost() {
        let text = shown(false);
        for expected in [
            "crash: one member dies without a word\n",
            "1,000 nodes of Convoke, 2.5 % loss, 2 seeds from 1\n",
            "lan network: one data centre: 0.25 ms, median\n",
            "known by all          4.00 s    4.50 s    4.50 s         2  from the happening",
            "first suspected       900 ms    900 ms    900 ms         2  from a death",
            "all 2 runs all held the same members\n",
            "14.0 s simulated in 500 ms, 2 at a time: 28 times as fast as real time\n",
            "convoke simulate crash --nodes 1000 --loss 0.025 --seeds 2\n",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains("healed"), "nothing to heal: {text}");
    }

    #[test]
    fn what_never_came_about_is_said_with_how_often() {
        let plan = plan("partition|--nodes|8|--seeds|2").unwrap();
        let mut figures = Figures::default();
        let never = Run {
            missed: 1,
            ..Run::default()
        };
        figures.add(&never);
        let text = table(&plan, &figures, EFFORT, true);
        let expected = format!("{RED}healed             never (1 of 1){RESET}\n");
        assert!(text.contains(&expected), "{text}");
        let healed = Run {
            healed: vec![Duration::from_secs(1)],
            ..Run::default()
        };
        figures.add(&healed);
        let text = table(&plan, &figures, EFFORT, false);
        assert!(
            text.contains("healed             never (1 of 2)\n"),
            "{text}"
        );
        assert!(text.contains("healed                1.00 s"), "{text}");
    }

    #[test]
    fn colours_change_nothing_but_colours_and_no_line_is_long() {
        let (plain, coloured) = (shown(false), shown(true));
        assert!(!plain.contains('\x1b') && coloured.contains('\x1b'));
        let mut stripped = coloured;
        for code in [BOLD, DIM, GREEN, RED, RESET] {
            stripped = stripped.replace(code, "");
        }
        assert_eq!(stripped, plain);
        for line in plain.lines() {
            assert!(
                line.chars().count() <= 110 && line.trim_end() == line,
                "{line}"
            );
        }
    }

    #[test]
    fn a_fault_is_told_with_its_seed_and_the_way_to_see_it_again() {
        let plan = plan("crash|--nodes|8|--seeds|9").unwrap();
        let fault = super::fault(
            &plan,
            &Fault {
                seed: 4,
                converged: false,
                differences: vec!["node 3, which runs, is held failed by 2 of 7".into()],
                violations: vec!["n1 rose from the dead".into()],
            },
        );
        let expected = "seed 4: did not converge: at the end not all held the members, and nobody \
                        else\n  node 3, which runs, is held failed by 2 of 7\n  n1 rose from the \
                        dead\n  again: convoke simulate crash --nodes 8 --first-seed 4";
        assert_eq!(fault, expected);
    }

    #[test]
    fn shares_are_told_in_percent() {
        assert_eq!(
            [0.05, 0.001, 0.5, 0.3].map(percent),
            ["5", "0.1", "50", "30"]
        );
    }
}
