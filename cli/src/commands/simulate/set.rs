//! `--set key=value`: what a scenario is told, and Convoke's own numbers.
//!
//! The detector's keys go through the machinery of the configuration, so that they are read,
//! bounded and complained about as in a file. A key without a table is a parameter of the
//! scenario, else a key of `[detector]`.

use std::time::Duration;

use convoke_core::Config;
use convoke_core::sim::report::{Anomaly, Cut, Net, Params, Scenario};

use crate::args::{SimulateArgs, share};
use crate::config::{self, Choice, Flag, Parse, Raw, nearest, show_duration};
use crate::exit::{Code, Exit};

/// The longest disturbance, and the longest stop of a member.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
/// The most sides of a partition.
const SIDES_MAX: usize = 64;

/// Up to so many nodes the checkers look at every step unless told not to: they take time in
/// proportion to the nodes, and change nothing else.
const CHECKED_NODES_MAX: usize = 256;

/// Keys outside `[detector]` that are numbers of the engine.
const ENGINE_KEYS: [&str; 4] = [
    "cluster.autoheal",
    "cluster.autoclean",
    "cluster.quorum",
    "cluster.quorum_tie",
];

/// What a scenario can be told, and which scenarios listen.
const PARAMETERS: [(&str, &[Scenario]); 11] = {
    use Scenario::*;
    [
        (
            "duration",
            &[
                Loss, Partition, Flapping, Churn, Steady, Anomalies, Asymmetric,
            ],
        ),
        ("share", &[MassCrash, Asymmetric, Churn]),
        ("split", &[Partition]),
        ("cut", &[Partition, Asymmetric, Flapping]),
        ("anomalous", &[Anomalies]),
        ("stop", &[Anomalies]),
        ("run", &[Anomalies]),
        ("anomaly", &[Anomalies]),
        ("refused", &[Crash, MassCrash]),
        ("cpu", &[]),
        ("checks", &[]),
    ]
};

/// What `--set` says in all.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// The scenario's parameters.
    pub(super) params: Params,
    /// Convoke's numbers.
    pub(super) config: Config,
    /// What was said in vain, in sentences.
    pub(super) vain: Vec<String>,
}

/// Reads every `--set`.
///
/// # Errors
/// The first that is wrong, or everything that is wrong with the detector's keys; usage errors.
pub(super) fn told(args: &SimulateArgs) -> Result<Told, Exit> {
    let mut params = Params {
        checks: args.nodes <= CHECKED_NODES_MAX,
        ..Params::default()
    };
    let mut flags = profile(args);
    let mut vain = Vec::new();
    for (key, value) in &args.set {
        if PARAMETERS.iter().any(|(name, _)| name == key) {
            parameter(&mut params, key, value, args.nodes).map_err(|wrong| refused(key, &wrong))?;
            vain.extend(in_vain(key, args.scenario.scenario()));
            possible(key, &params, args.scenario.scenario())
                .map_err(|wrong| refused(key, &wrong))?;
        } else {
            flags.push(detector(key, value, args)?);
        }
    }
    vain.extend(capped(&params, args));
    let effective =
        config::from_flags(&flags).map_err(|error| Exit::new(Code::Usage, error.to_string()))?;
    let config = effective.settings.engine();
    Ok(Told {
        params,
        config,
        vain,
    })
}

/// A network across regions has the profile that is made for it, unless another is set.
fn profile(args: &SimulateArgs) -> Vec<Flag> {
    let wan = args.net.net() == Net::Wan;
    let profile = Flag {
        key: "detector.profile".into(),
        value: "wan".into(),
        flag: "--net".into(),
    };
    wan.then_some(profile).into_iter().collect()
}

fn refused(key: &str, wrong: &str) -> Exit {
    Exit::new(Code::Usage, format!("--set {key}: {wrong}"))
}

/// A key of the configuration.
fn detector(key: &str, value: &str, args: &SimulateArgs) -> Result<Flag, Exit> {
    let within = format!("detector.{key}");
    let path = if config::paths().any(|path| path == within) {
        within
    } else {
        key.to_owned()
    };
    let known = config::paths().any(|candidate| candidate == path);
    let tunes = path.starts_with("detector.") || ENGINE_KEYS.contains(&path.as_str());
    match (known, tunes) {
        (false, _) => Err(refused(key, &unknown(key))),
        (true, false) => Err(refused(
            key,
            "it has no meaning in a simulation: --set takes parameters of the scenario and keys of \
             [detector]",
        )),
        (true, true) if args.protocol != crate::args::ProtocolArg::Convoke => {
            let (protocol, _) = crate::args::word(&args.protocol);
            Err(refused(
                key,
                &format!(
                    "it tunes Convoke, and {protocol} has numbers of its own: leave it out, or use \
                     --protocol convoke"
                ),
            ))
        }
        (true, true) => Ok(Flag {
            key: path,
            value: value.to_owned(),
            flag: "--set".into(),
        }),
    }
}

fn unknown(key: &str) -> String {
    let detector = || config::paths().filter_map(|path| path.strip_prefix("detector."));
    let parameters = PARAMETERS.iter().map(|(name, _)| *name);
    let full = config::paths().filter(|path| path.starts_with("detector."));
    match nearest(key, parameters.chain(detector()).chain(full)) {
        Some(near) => format!("unknown key: did you mean {near}?"),
        None => {
            let names: Vec<&str> = PARAMETERS.iter().map(|(name, _)| *name).collect();
            format!(
                "unknown key: a scenario can be told {}; `convoke config default` lists the keys of \
                 [detector]",
                names.join(", ")
            )
        }
    }
}

/// Why a parameter changes nothing, where it does not.
fn in_vain(key: &str, scenario: Scenario) -> Option<String> {
    let (_, listen) = PARAMETERS.iter().find(|(name, _)| *name == key)?;
    if listen.is_empty() || listen.contains(&scenario) {
        return None;
    }
    let listen: Vec<String> = listen.iter().map(|scenario| word(*scenario)).collect();
    Some(format!(
        "--set {key} changes nothing here: it is for {}",
        listen.join(", ")
    ))
}

/// How links can fail in a scenario, what it does unasked first; empty where none do.
const fn cuts(scenario: Scenario) -> &'static [Cut] {
    match scenario {
        Scenario::Partition => &[Cut::Both, Cut::OneWay, Cut::Pairs, Cut::Lossy],
        Scenario::Asymmetric => &[Cut::Lossy, Cut::OneWay],
        Scenario::Flapping => &[Cut::Both, Cut::OneWay],
        _ => &[],
    }
}

/// Whether a scenario that listens knows how to do this.
fn possible(key: &str, params: &Params, scenario: Scenario) -> Result<(), String> {
    let cuts = cuts(scenario);
    match params.cut.filter(|cut| !cuts.contains(cut)) {
        Some(cut) if key == "cut" && !cuts.is_empty() => {
            let word = |cut: Cut| {
                let word = Cut::WORDS.iter().find(|(_, other)| *other == cut);
                word.map_or("", |(word, _)| *word)
            };
            let known: Vec<&str> = cuts.iter().map(|cut| word(*cut)).collect();
            Err(format!(
                "{} has no links that fail {:?}: expected {} (which is the default){}",
                self::word(scenario),
                word(cut),
                known[0],
                known[1..]
                    .iter()
                    .map(|word| format!(" or {word}"))
                    .collect::<String>()
            ))
        }
        _ => Ok(()),
    }
}

/// That not everybody can die, where that is asked for.
fn capped(params: &Params, args: &SimulateArgs) -> Option<String> {
    let share = params
        .share
        .filter(|_| args.scenario.scenario() == Scenario::MassCrash)?;
    let all = (args.nodes as f64 * share).round() as usize >= args.nodes;
    all.then(|| {
        format!(
            "--set share: {} of the {} nodes die, for one has to see it",
            args.nodes - 1,
            args.nodes
        )
    })
}

/// `MassCrash` is `mass-crash` on the command line.
fn word(scenario: Scenario) -> String {
    use clap::ValueEnum as _;
    let args = crate::args::ScenarioArg::value_variants();
    let found = args.iter().find(|arg| arg.scenario() == scenario);
    found.map_or_else(String::new, |arg| crate::args::word(arg).0)
}

fn parameter(params: &mut Params, key: &str, value: &str, nodes: usize) -> Result<(), String> {
    match key {
        "duration" => params.duration = Some(duration(value)?),
        "share" => params.share = Some(of_members(value)?),
        "split" => params.split = Some(split(value, nodes)?),
        "cut" => params.cut = Some(choice(value)?),
        "anomalous" => params.anomalous = Some(anomalous(value, nodes)?),
        "stop" => params.stop = Some(duration(value)?),
        "run" => params.run = Some(duration(value)?),
        "anomaly" => params.anomaly = Some(choice(value)?),
        "refused" => params.refused = switch(value)?,
        "cpu" => params.cpu = Some(switch(value)?),
        _ => params.checks = switch(value)?,
    }
    Ok(())
}

fn duration(value: &str) -> Result<Duration, String> {
    let duration = read::<Duration>(value)?;
    if duration.is_zero() || duration > DURATION_MAX {
        return Err(format!(
            "{:?} is out of range: expected more than nothing, and {} at most",
            show_duration(duration),
            show_duration(DURATION_MAX)
        ));
    }
    Ok(duration)
}

fn of_members(value: &str) -> Result<f64, String> {
    share(value).filter(|share| *share > 0.0).ok_or_else(|| {
        format!("expected a share of the members such as 0.1 or 10%, found {value:?}")
    })
}

fn split(value: &str, nodes: usize) -> Result<Vec<u32>, String> {
    let parts: Option<Vec<u32>> = value
        .split(':')
        .map(|part| part.trim().parse().ok().filter(|part| *part > 0))
        .collect();
    let wrong =
        || format!("expected the sides in parts, such as 1:1, 9:1 or 2:1:1, found {value:?}");
    let parts = parts.filter(|parts| parts.len() > 1).ok_or_else(wrong)?;
    let most = nodes.min(SIDES_MAX);
    if parts.len() > most {
        return Err(format!(
            "{nodes} nodes can't be on {} sides: {most} are the most",
            parts.len()
        ));
    }
    Ok(parts)
}

fn anomalous(value: &str, nodes: usize) -> Result<usize, String> {
    let most = nodes - 1;
    let number = value.parse().ok().filter(|n| (1..=most).contains(n));
    number.ok_or_else(|| format!("expected a number of members, 1 to {most}, found {value:?}"))
}

fn choice<T: Choice>(value: &str) -> Result<T, String> {
    read(value)
}

fn switch(value: &str) -> Result<bool, String> {
    Ok(choice::<Switch>(value)? == Switch::On)
}

fn read<T: Parse>(value: &str) -> Result<T, String> {
    T::parse(&Raw::Word(value.to_owned())).map_err(|reason| {
        let separator = if reason.is_empty() { "" } else { ": " };
        format!(
            "expected {}, found {value:?}{separator}{reason}",
            T::expects()
        )
    })
}

impl Choice for Cut {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("both", Self::Both),
        ("one-way", Self::OneWay),
        ("pairs", Self::Pairs),
        ("lossy", Self::Lossy),
    ];
}

impl Choice for Anomaly {
    const WORDS: &'static [(&'static str, Self)] =
        &[("io-block", Self::IoBlock), ("freeze", Self::Freeze)];
}

/// Whether something is modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Switch {
    On,
    Off,
}

impl Choice for Switch {
    const WORDS: &'static [(&'static str, Self)] = &[("on", Self::On), ("off", Self::Off)];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{NetArg, ProtocolArg, ScenarioArg};

    fn args(scenario: ScenarioArg, set: &[(&str, &str)]) -> SimulateArgs {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        SimulateArgs {
            scenario,
            nodes: 100,
            seeds: 1,
            first_seed: 1,
            protocol: ProtocolArg::Convoke,
            loss: None,
            net: NetArg::Lan,
            set: set.iter().map(owned).collect(),
            json: false,
            plot: None,
            force: false,
        }
    }

    fn wrong(key: &str, value: &str) -> String {
        let exit = told(&args(ScenarioArg::Crash, &[(key, value)])).expect_err(value);
        assert_eq!(exit.code, Code::Usage);
        exit.message
    }

    #[test]
    fn nothing_said_is_the_defaults() {
        let told = told(&args(ScenarioArg::Crash, &[])).unwrap();
        let checked = Params {
            checks: true,
            ..Params::default()
        };
        assert_eq!(told.params, checked);
        assert_eq!(told.config, Config::lan());
        let mut large = args(ScenarioArg::Crash, &[]);
        large.nodes = CHECKED_NODES_MAX + 1;
        assert!(!super::told(&large).unwrap().params.checks);
    }

    #[test]
    fn a_scenario_is_told_its_parameters() {
        let set = [
            ("duration", "1m"),
            ("share", "10%"),
            ("split", "2:1:1"),
            ("cut", "one-way"),
            ("anomalous", "8"),
            ("stop", "2s"),
            ("run", "64ms"),
            ("anomaly", "freeze"),
            ("refused", "on"),
            ("cpu", "off"),
            ("checks", "off"),
        ];
        let told = told(&args(ScenarioArg::Anomalies, &set)).unwrap();
        let expected = Params {
            duration: Some(Duration::from_secs(60)),
            share: Some(0.1),
            split: Some(vec![2, 1, 1]),
            cut: Some(Cut::OneWay),
            anomalous: Some(8),
            stop: Some(Duration::from_secs(2)),
            run: Some(Duration::from_millis(64)),
            anomaly: Some(Anomaly::Freeze),
            refused: true,
            cpu: Some(false),
            checks: false,
        };
        assert_eq!(told.params, expected);
        let vain = told.vain.join("\n");
        assert_eq!(told.vain.len(), 4, "{vain}");
        assert!(vain.contains("--set share changes nothing here: it is for mass-crash,"));
    }

    #[test]
    fn detector_keys_need_no_table_and_the_last_one_holds() {
        let set = [
            ("suspicion_min", "1s"),
            ("detector.suspicion_min", "2s"),
            ("cluster.autoclean", "never"),
        ];
        let config = told(&args(ScenarioArg::Crash, &set)).unwrap().config;
        assert_eq!(config.suspicion_min, Duration::from_secs(2));
        assert_eq!(config.autoclean, None);
    }

    #[test]
    fn a_network_across_regions_has_its_profile_unless_another_is_set() {
        let mut args = args(ScenarioArg::Crash, &[]);
        args.net = NetArg::Wan;
        assert_eq!(told(&args).unwrap().config, Config::wan());
        args.set = vec![("profile".into(), "lan".into())];
        assert_eq!(told(&args).unwrap().config, Config::lan());
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        for (key, value, expected) in [
            ("suspicon_min", "2s", "did you mean suspicion_min?"),
            (
                "detector.suspicon_min",
                "2s",
                "did you mean detector.suspicion_min?",
            ),
            ("durration", "2s", "did you mean duration?"),
            ("colour", "red", "can be told duration, share,"),
            ("node.name", "a@b", "no meaning in a simulation"),
            (
                "suspicion_min",
                "soon",
                "detector.suspicion_min: expected a duration",
            ),
            ("suspicion_min", "1ms", "out of range"),
            ("suspicion_min", "1m", "is more than detector.suspicion_max"),
            ("duration", "60", "expected a duration such as \"200ms\""),
            ("duration", "0s", "more than nothing"),
            ("duration", "25h", "24h at most"),
            ("share", "0", "such as 0.1 or 10%"),
            ("share", "2", "such as 0.1 or 10%"),
            ("split", "9", "such as 1:1, 9:1"),
            ("split", "9:0", "such as 1:1, 9:1"),
            ("cut", "onee-way", "did you mean \"one-way\"?"),
            ("anomalous", "100", "1 to 99"),
            ("anomaly", "stop", "\"io-block\" or \"freeze\""),
            ("cpu", "yes", "\"on\" or \"off\""),
        ] {
            let message = wrong(key, value);
            assert!(message.contains(expected), "{key}={value}: {message}");
            assert!(message.contains("--set"), "{key}={value}: {message}");
        }
        let many = vec!["1"; 65].join(":");
        assert!(wrong("split", &many).contains("64 are the most"));
    }

    #[test]
    fn links_fail_only_as_the_scenario_knows_how_to() {
        let cut = |scenario, cut: &str| told(&args(scenario, &[("cut", cut)]));
        assert!(cut(ScenarioArg::Partition, "pairs").is_ok());
        assert!(cut(ScenarioArg::Flapping, "one-way").is_ok());
        assert_eq!(cut(ScenarioArg::Crash, "pairs").unwrap().vain.len(), 1);
        let refusal = cut(ScenarioArg::Asymmetric, "both").unwrap_err();
        assert_eq!(
            refusal.message,
            "--set cut: asymmetric has no links that fail \"both\": expected lossy (which is the \
             default) or one-way"
        );
        assert!(cut(ScenarioArg::Flapping, "lossy").is_err());
    }

    #[test]
    fn a_share_of_everybody_leaves_one() {
        let vain = |share| {
            let set = [("share", share)];
            told(&args(ScenarioArg::MassCrash, &set)).unwrap().vain
        };
        assert_eq!(vain("99%"), [""; 0]);
        let expected = "--set share: 99 of the 100 nodes die, for one has to see it";
        assert_eq!(vain("0.999"), [expected]);
    }

    #[test]
    fn the_baselines_take_parameters_and_no_keys_of_the_detector() {
        let mut args = args(ScenarioArg::Steady, &[("duration", "1m")]);
        args.protocol = ProtocolArg::Swim;
        assert!(told(&args).is_ok());
        args.set = vec![("suspicion_min".into(), "2s".into())];
        let message = told(&args).unwrap_err().message;
        assert!(message.contains("swim has numbers of its own"), "{message}");
    }

    #[test]
    fn every_parameter_has_its_arm() {
        for (key, _) in PARAMETERS {
            let mut params = Params::default();
            let value = match key {
                "split" => "1:1",
                "cut" => "both",
                "anomaly" => "freeze",
                "refused" | "cpu" | "checks" => "on",
                "share" => "1",
                "anomalous" => "1",
                _ => "1s",
            };
            parameter(&mut params, key, value, 2).expect(key);
            assert_ne!(params, Params::default(), "{key}");
        }
    }
}
