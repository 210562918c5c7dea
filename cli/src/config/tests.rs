use std::collections::BTreeSet;
use std::time::Duration;

use convoke_core::Config as EngineConfig;
use convoke_core::config::{
    ProbeTargets, QuorumRule, QuorumTie, SplitBrain as EnginePolicy, Tuning,
};

use super::choice::{
    AddressType, Choice, OnDown, PortMapping, Profile, RecordType, SecurityMode, SplitBrain, word,
};
use super::value::parse_duration;
use super::*;
use crate::paths::Places;

const FILE: &str = "c.toml";

/// What a file with this text comes to.
fn from_text(text: &str) -> Result<Effective, ConfigError> {
    check(
        Path::new(FILE),
        &Document::new(Path::new(FILE), text.to_owned()),
    )
}

/// The single problem of a file with this text.
fn problem(text: &str) -> String {
    let error = from_text(text).expect_err(text);
    assert_eq!(error.problems.len(), 1, "{error}");
    error.to_string()
}

fn from_environment(variables: &[(&str, &str)]) -> Result<Effective, ConfigError> {
    load_from("", variables, &[])
}

/// As [`load`], with a real file.
fn load_from(
    text: &str,
    variables: &[(&str, &str)],
    flags: &[(&str, &str)],
) -> Result<Effective, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join(FILE);
    std::fs::write(&file, text).expect("the folder is ours");
    let flag = |(key, value): &(&str, &str)| Flag {
        key: (*key).into(),
        value: (*value).into(),
        flag: "--set".into(),
    };
    load(&Sources {
        file: Some(file),
        environment: Environment::of(variables),
        flags: flags.iter().map(flag).collect(),
    })
}

#[test]
fn nothing_configured_is_the_defaults() {
    let effective = from_text("").unwrap();
    assert_eq!(effective.settings.node.name.as_str(), "convoke@127.0.0.1");
    assert_eq!(effective.settings.engine(), EngineConfig::lan());
    assert_eq!(effective.origin("node.name"), Origin::Default);
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file_which_wins_over_defaults() {
    let file = "[cluster]\nname = \"file\"";
    let variables = [("CONVOKE_CLUSTER_NAME", "environment")];
    let flags = [("cluster.name", "flag")];
    let name = |effective: Effective| {
        (
            effective.settings.cluster.name.0.clone(),
            effective.origin("cluster.name").to_string(),
        )
    };
    assert_eq!(
        name(load_from("", &[], &[]).unwrap()),
        ("convoke".into(), "default".into())
    );
    let (value, origin) = name(load_from(file, &[], &[]).unwrap());
    assert!(
        value == "file" && origin.ends_with("c.toml:2:8"),
        "{value} {origin}"
    );
    let from_variable = name(load_from(file, &variables, &[]).unwrap());
    assert_eq!(
        from_variable,
        (
            "environment".into(),
            "environment CONVOKE_CLUSTER_NAME".into()
        )
    );
    let from_flag = name(load_from(file, &variables, &flags).unwrap());
    assert_eq!(from_flag, ("flag".into(), "flag --set".into()));
}

#[test]
fn an_overruled_mistake_is_still_a_mistake() {
    let error = load_from(
        "[cluster]\nautoclean = 5",
        &[("CONVOKE_CLUSTER_AUTOCLEAN", "5m")],
        &[],
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("c.toml:2:13: cluster.autoclean: expected a duration"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_is_told_with_its_place_and_the_nearest_one() {
    let cases = [
        (
            "[node]\nnmae = \"a@h\"",
            "c.toml:2:1: node.nmae: unknown key: did you mean node.name?",
        ),
        (
            "[clustre]\nname = \"x\"",
            "c.toml:1:2: clustre: unknown table: did you mean [cluster]?",
        ),
        (
            "[cluster.static]\nseed = []",
            "c.toml:2:1: cluster.static.seed: unknown key: did you mean cluster.static.seeds?",
        ),
        ("zzz = 1", "c.toml:1:1: zzz: unknown key"),
        (
            "[nod]",
            "c.toml:1:2: nod: unknown table: did you mean [node]?",
        ),
        (
            "[cluster.statc]\nseeds = []",
            "c.toml:1:10: cluster.statc: unknown table: did you mean [cluster.static]?",
        ),
        (
            "[detector]\nspeed = 1",
            "c.toml:2:1: detector.speed: unknown key",
        ),
        (
            "\"node.name\" = \"a@h\"",
            "c.toml:1:1: \"node.name\": unknown key: did you mean node.name?",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_its_place_and_what_would_be_right() {
    let cases = [
        (
            "[node]\nname = 5",
            "c.toml:2:8: node.name: expected a node name such as \"convoke1@10.0.0.1\", found 5",
        ),
        (
            "[cluster]\nautoheal = \"yes\"",
            "c.toml:2:12: cluster.autoheal: expected true or false, found \"yes\"",
        ),
        (
            "[cluster]\ndiscovery_interval = 5",
            "c.toml:2:22: cluster.discovery_interval: expected a duration such as \"200ms\", \"5s\" or \"1m 30s\", found 5",
        ),
        (
            "[node]\nlisten = \"10.0.0.1\"",
            "c.toml:2:10: node.listen: expected an address with a port, such as \"10.0.0.7:4370\" or \"[::1]:4370\", found \"10.0.0.1\"",
        ),
        (
            "[cluster]\nquorum = \"static:0\"",
            "c.toml:2:10: cluster.quorum: expected \"majority\", \"static:<n>\" (such as \"static:3\") or \"none\", found \"static:0\": a static quorum is at least 1",
        ),
        (
            "[log]\nformat = \"jsn\"",
            "c.toml:2:10: log.format: expected \"text\" or \"json\", found \"jsn\": did you mean \"json\"?",
        ),
        (
            "[log]\nlevel = \"loud\"",
            "c.toml:2:9: log.level: expected \"off\"",
        ),
        (
            "[cluster.static]\nseeds = [\"a b\"]",
            "c.toml:2:9: cluster.static.seeds: expected a list, each entry a node such as",
        ),
        (
            "[detector]\nfanout = 1.5",
            "c.toml:2:10: detector.fanout: expected a whole number, found a fractional number",
        ),
        (
            "[node]\nname = { a = 1 }",
            "c.toml:2:8: node.name: expected a node name such as \"convoke1@10.0.0.1\", found a table",
        ),
    ];
    for (text, expected) in cases {
        let problem = problem(text);
        assert!(problem.starts_with(expected), "{problem}\n{expected}");
    }
}

#[test]
fn a_value_out_of_range_is_told_with_the_range() {
    let cases = [
        (
            "[node]\ndist_listen_min = 0",
            "c.toml:2:19: node.dist_listen_min: 0 is out of range: expected 1 to 65535",
        ),
        (
            "[node]\ndist_listen_min = 70000",
            "c.toml:2:19: node.dist_listen_min: expected a whole number, found 70000: it is out of range",
        ),
        (
            "[detector]\nprobe_interval = \"1ms\"",
            "c.toml:2:18: detector.probe_interval: \"1ms\" is out of range: expected \"10ms\" to \"1h\"",
        ),
        (
            "[cluster]\nautoclean = \"10ms\"",
            "c.toml:2:13: cluster.autoclean: \"10ms\" is out of range: expected \"1s\" to \"8760h\"",
        ),
        (
            "[cluster]\nautoclean = \"9999999999999h\"",
            "c.toml:2:13: cluster.autoclean: \"9999999999999h\" is out of range: expected \"1s\" to \"8760h\"",
        ),
        (
            "[detector]\nprobe_interval = \"9999999999999h\"",
            "c.toml:2:18: detector.probe_interval: \"9999999999999h\" is out of range: expected \"10ms\" to \"1h\"",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    let problem = problem("[node]\nname = \"a@h\n");
    assert!(
        problem.starts_with("c.toml:2:") && problem.contains("not valid TOML"),
        "{problem}"
    );
    let twice = self::problem("[node]\nname = \"a@h\"\nname = \"b@h\"");
    assert!(
        twice.starts_with("c.toml:3:") && twice.contains("duplicate"),
        "{twice}"
    );
}

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_file() {
    let error =
        from_text("[log]\nformat = 1\n[cluster]\nautoheal = 2\n[node]\nname = 3").unwrap_err();
    let keys: Vec<_> = error
        .problems
        .iter()
        .filter_map(|problem| problem.key.clone())
        .collect();
    assert_eq!(keys, ["log.format", "cluster.autoheal", "node.name"]);
    let mixed = from_text("[node]\nname = 3\nzzz = 1\n[log]\nlvl = 1\nformat = 2").unwrap_err();
    let keys: Vec<_> = mixed
        .problems
        .iter()
        .filter_map(|problem| problem.key.as_deref())
        .collect();
    assert_eq!(keys, ["node.name", "node.zzz", "log.lvl", "log.format"]);
}

#[test]
fn a_file_that_is_named_and_missing_is_an_error() {
    let file = Some(PathBuf::from("/nonexistent/convoke.toml"));
    let error = load(&Sources {
        file,
        ..Sources::default()
    })
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/convoke.toml: cannot read"),
        "{error}"
    );
    let environment = Environment::of(&[("CONVOKE_CONFIG", "/nonexistent/other.toml")]);
    let error = load(&Sources {
        environment,
        ..Sources::default()
    })
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nonexistent/other.toml: cannot read"),
        "{error}"
    );
}

#[test]
fn lists_in_the_environment_are_separated_by_commas() {
    let seeds = "convoke1@10.0.0.1, [::1]:4370 ,convoke2";
    let effective = from_environment(&[("CONVOKE_CLUSTER_STATIC_SEEDS", seeds)]).unwrap();
    let found: Vec<_> = effective
        .settings
        .cluster
        .seeds
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        ["convoke1@10.0.0.1", "[::1]:4370", "convoke2@127.0.0.1"]
    );
    for list in ["1ms,2s", "[1ms, 2s]", r#"["1ms", "2s"]"#] {
        let effective = from_environment(&[("CONVOKE_DETECTOR_RECONCILE_DELAY", list)]).unwrap();
        assert_eq!(
            effective.settings.engine.reconcile_delay,
            (Duration::from_millis(1), Duration::from_secs(2))
        );
    }
}

#[test]
fn a_day_has_24_hours() {
    let hours = |text| parse_duration(text).map(|duration| duration.as_secs() / 3600);
    let texts = ["1d", "1d 12h", "36h", " 2 d ", "1h 1d", "-1d", "d", "1day"];
    let expected = [
        Some(24),
        Some(36),
        Some(36),
        Some(48),
        None,
        None,
        None,
        None,
    ];
    assert_eq!(texts.map(hours), expected);
}

#[test]
fn words_of_the_environment_take_the_type_of_their_key() {
    let effective = from_environment(&[
        ("CONVOKE_CLUSTER_AUTOHEAL", "false"),
        ("CONVOKE_DETECTOR_FANOUT", "7"),
        ("CONVOKE_CLUSTER_QUORUM", "static:3"),
        ("CONVOKE_CLUSTER_AUTOCLEAN", "never"),
        ("CONVOKE_NODE_NAME", "convoke2"),
        ("CONVOKE_LOG_LEVEL", ""),
    ])
    .unwrap();
    let engine = effective.settings.engine();
    assert!(!engine.autoheal);
    assert_eq!(
        (engine.fanout, engine.quorum, engine.autoclean),
        (7, QuorumRule::Static(3), None)
    );
    assert_eq!(effective.settings.node.name.as_str(), "convoke2@127.0.0.1");
    assert_eq!(
        effective.origin("log.level"),
        Origin::Default,
        "an empty variable sets nothing"
    );
}

#[test]
fn an_unknown_variable_is_an_error_with_the_nearest_one() {
    let error = from_environment(&[("CONVOKE_NODE_NMAE", "a@h")])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "environment CONVOKE_NODE_NMAE: no configuration key has this variable: did you mean CONVOKE_NODE_NAME?"
    );
    let error = from_environment(&[("CONVOKE_DETECTOR_FANOUT", "many")])
        .unwrap_err()
        .to_string();
    let expected = "environment CONVOKE_DETECTOR_FANOUT: detector.fanout: expected a whole number, found \"many\"";
    assert_eq!(error, expected);
}

#[test]
fn what_kubernetes_puts_into_the_environment_is_no_mistake() {
    let links = [
        ("CONVOKE_SERVICE_HOST", "10.0.0.1"),
        ("CONVOKE_SERVICE_PORT_HTTP", "80"),
        ("CONVOKE_PORT", "tcp://10.0.0.1:80"),
        ("CONVOKE_PORT_80_TCP_ADDR", "10.0.0.1"),
    ];
    from_environment(&links).unwrap();
}

#[test]
fn an_unknown_key_on_the_command_line_is_an_error_with_the_nearest_one() {
    let error = load_from("", &[], &[("detector.fanuot", "3")])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "flag --set: detector.fanuot: unknown key: did you mean detector.fanout?"
    );
}

#[test]
fn single_detector_values_win_over_the_profile_wherever_they_stand() {
    let text = "[detector]\nsuspicion_max = \"20s\"\nprofile = \"wan\"\n";
    let engine = from_text(text).unwrap().settings.engine();
    let expected = EngineConfig {
        suspicion_max: Duration::from_secs(20),
        ..EngineConfig::wan()
    };
    assert_eq!(engine, expected);
    let late = load_from(text, &[("CONVOKE_DETECTOR_PROFILE", "local")], &[]).unwrap();
    let expected = EngineConfig {
        suspicion_max: Duration::from_secs(20),
        ..EngineConfig::local()
    };
    assert_eq!(late.settings.engine(), expected);
    let all =
        from_text("[detector]\nprobe_targets = \"all\"\n[cluster]\nautoclean = \"1m\"").unwrap();
    assert_eq!(all.settings.engine().probe_targets, ProbeTargets::All);
    assert_eq!(
        all.settings.engine().autoclean,
        Some(Duration::from_secs(60))
    );
}

/// A data centre's numbers with these knobs, in milliseconds.
fn lan(detect_within: Option<u64>, tolerate_pause: Option<u64>) -> EngineConfig {
    let tuning = Tuning {
        detect_within: detect_within.map(Duration::from_millis),
        tolerate_pause: tolerate_pause.map(Duration::from_millis),
    };
    EngineConfig::lan().tuned(tuning).unwrap()
}

#[test]
fn the_detectors_numbers_follow_from_its_knobs() {
    let engine = |text: &str| {
        let effective = from_text(&format!("[detector]\n{text}")).unwrap();
        effective.settings.engine()
    };
    assert_eq!(engine("detect_within = \"2.5s\""), lan(Some(2500), None));
    assert_eq!(engine("tolerate_pause = \"10s\""), lan(None, Some(10_000)));
    assert_eq!(
        engine("tolerate_pause = \"1s\"\ndetect_within = \"2500ms\""),
        lan(Some(2500), Some(1000))
    );
    assert_eq!(
        engine("detect_within = \"5s\"\ntolerate_pause = \"3s\""),
        EngineConfig::lan()
    );
    let variables = [("CONVOKE_DETECTOR_DETECT_WITHIN", "4s")];
    let flags = [("detector.tolerate_pause", "2s")];
    let mixed = load_from("[detector]\nprofile = \"local\"", &variables, &flags).unwrap();
    let tuning = mixed.settings.tuning;
    assert_eq!(
        Ok(mixed.settings.engine()),
        EngineConfig::local().tuned(tuning)
    );
}

#[test]
fn knobs_win_over_the_profile_and_single_values_over_knobs_wherever_they_stand() {
    let lines = [
        "suspicion_max = \"20s\"",
        "detect_within = \"9s\"",
        "profile = \"wan\"",
    ];
    let tuning = Tuning {
        detect_within: Some(Duration::from_secs(9)),
        tolerate_pause: None,
    };
    let expected = EngineConfig {
        suspicion_max: Duration::from_secs(20),
        ..EngineConfig::wan().tuned(tuning).unwrap()
    };
    assert_ne!(expected.suspicion_min, EngineConfig::wan().suspicion_min);
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let text = order.map(|line| lines[line]).join("\n");
        let effective = from_text(&format!("[detector]\n{text}")).unwrap();
        assert_eq!(effective.settings.engine(), expected, "{text}");
    }
}

#[test]
fn knobs_reckon_with_the_single_values_that_they_leave_alone() {
    let fast = "[detector]\ndetect_within = \"1s\"\n";
    let found = problem(fast);
    assert_eq!(
        found,
        "c.toml:2:17: detector.detect_within: 1s is too soon: 1.48s is the least where a probe waits 200ms for its answer"
    );
    let engine = from_text(&format!("{fast}probe_timeout_min = \"100ms\""))
        .unwrap()
        .settings
        .engine();
    assert!(engine.detect_within() <= Duration::from_secs(1));
    assert_eq!(engine.probe_timeout_min, Duration::from_millis(100));
}

#[test]
fn knobs_that_contradict_each_other_are_refused_with_what_is_possible() {
    let knobs = "[detector]\ntolerate_pause = \"3s\"\ndetect_within = \"3s\"";
    let expected = "detector.detect_within: 3s is too soon to tolerate a pause of 3s: that takes 3.88s at the least, and 3s tolerates a pause of 2.12s at the most";
    assert_eq!(problem(knobs), format!("c.toml:3:17: {expected}"));
    let variables = [("CONVOKE_DETECTOR_DETECT_WITHIN", "3s")];
    let error = load_from("[detector]\ntolerate_pause = \"3s\"", &variables, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("environment CONVOKE_DETECTOR_DETECT_WITHIN: {expected}")
    );
    let found = problem("[detector]\ntolerate_pause = \"16m\"");
    assert!(found.ends_with("expected \"10ms\" to \"15m\""), "{found}");
}

#[test]
fn show_says_which_values_follow_from_what() {
    let shown = |text: &str| {
        let places = Places::of(Environment::of(&[]), true);
        let shown = show(&from_text(&format!("[detector]\n{text}")).unwrap(), &places);
        shown.parse::<toml::Table>().expect("what is shown is TOML");
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        shown.lines().map(words).collect::<Vec<_>>()
    };
    let cases: [(&str, &[&str]); 5] = [
        (
            "",
            &[
                "detector.detect_within = \"5s\" # default",
                "detector.tolerate_pause = \"3s\" # default",
                "detector.probe_interval = \"1s\" # default",
            ],
        ),
        (
            "profile = \"wan\"",
            &[
                "detector.profile = \"wan\" # c.toml:2:11",
                "detector.detect_within = \"12s 300ms\" # from the values below",
                "detector.suspicion_min = \"8s\" # from detector.profile",
                "detector.fanout = 4 # default",
            ],
        ),
        (
            "detect_within = \"2500ms\"",
            &[
                "detector.detect_within = \"2s 500ms\" # c.toml:2:17",
                "detector.tolerate_pause = \"1s 290ms\" # from the values below",
                "detector.probe_interval = \"430ms\" # from detector.detect_within",
                "detector.suspicion_min = \"1s 290ms\" # from detector.detect_within",
                "detector.probe_timeout_min = \"200ms\" # default",
            ],
        ),
        (
            "detect_within = \"4s\"\ntolerate_pause = \"2s\"\nsuspicion_max = \"20s\"",
            &[
                "detector.probe_interval = \"1s\" # from detector.detect_within",
                "detector.suspicion_min = \"2s\" # from detector.tolerate_pause",
                "detector.suspicion_max = \"20s\" # c.toml:4:17",
                "detector.cut_window = \"4s\" # from detector.tolerate_pause",
            ],
        ),
        (
            "tolerate_pause = \"2s\"",
            &[
                "detector.detect_within = \"4s\" # from the values below",
                "detector.tolerate_pause = \"2s\" # c.toml:2:18",
                "detector.probe_interval = \"1s\" # default",
            ],
        ),
    ];
    for (text, expected) in cases {
        let shown = shown(text);
        for line in expected {
            assert!(
                shown.iter().any(|shown| shown == line),
                "{line}\n{shown:#?}"
            );
        }
    }
}

#[test]
fn what_this_version_lacks_is_refused_in_plain_words() {
    let cases = [
        (
            "[security]\nmode = \"pki\"",
            "c.toml:2:8: security.mode: the pki mode is not in this version: use \"secret\"",
        ),
        (
            "[http]\nlisten = \"127.0.0.1:18083\"",
            "c.toml:2:10: http.listen: HTTP over TCP is not in this version: use \"off\" (the API is served on the control socket)",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn epmd_mode_is_one_variable_and_takes_names_that_the_port_rule_refuses() {
    let mapping = |variables: &[(&str, &str)]| {
        let effective = from_environment(variables).unwrap();
        (
            effective.settings.node.port_mapping,
            effective.origin("node.port_mapping").to_string(),
        )
    };
    let on = (PortMapping::Epmd, "environment WITH_EPMD".to_owned());
    let far = ("CONVOKE_NODE_NAME", "convoke1000@127.0.0.1");
    assert_eq!(mapping(&[("WITH_EPMD", "1")]), on);
    assert_eq!(mapping(&[("WITH_EPMD", "true"), far]), on);
    for off in ["", "0"] {
        let (mapping, _) = mapping(&[("WITH_EPMD", off)]);
        assert_eq!(mapping, PortMapping::Conventional);
    }
    assert!(from_environment(&[far]).is_err());
}

#[test]
fn what_mcast_and_dns_can_not_use_is_refused_at_its_place() {
    let cases = [
        (
            "[cluster.mcast]\naddr = \"10.0.0.7\"",
            "c.toml:2:8: cluster.mcast.addr: 10.0.0.7 is no multicast address: use one of 239.0.0.0/8 (239.192.0.1) or ff00::/8 (ff15::4370)",
        ),
        (
            "[cluster.mcast]\nports = [4370, 0]",
            "c.toml:2:9: cluster.mcast.ports: expected 1 to 16 ports, from 1 to 65535 each",
        ),
        (
            "[cluster.mcast]\niface = \"::1\"",
            "c.toml:2:9: cluster.mcast.iface: the interface is ::1 and the group 239.192.0.1: use an address of the same family, or the interface's name",
        ),
        (
            "[cluster]\ndiscovery = \"dns\"",
            "cluster.dns.name: the dns strategy has no name to ask for: set it to the name whose records are the nodes, such as \"nodes.example.org\"",
        ),
        (
            "[cluster.dns]\nname = \"a..b\"",
            "c.toml:2:8: cluster.dns.name: \"a..b\" is no domain name: expected one such as \"nodes.example.org\"",
        ),
        (
            "[cluster.dns]\nname = \"a.b\"\napp = \"a@b\"",
            "c.toml:3:7: cluster.dns.app: \"a@b\" is no name of nodes",
        ),
        (
            "[cluster.dns]\nserver = \"ns.example.org\"",
            "c.toml:2:10: cluster.dns.server: ",
        ),
        (
            "[cluster.dns]\nserver = \"10.0.0.53:0\"",
            "c.toml:2:10: cluster.dns.server: ",
        ),
        (
            "[cluster.mcast]\niface = \"0\"",
            "c.toml:2:9: cluster.mcast.iface: ",
        ),
    ];
    for (text, expected) in cases {
        let found = problem(text);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let found = problem("[detector]\nsuspicion_min = \"20s\"");
    assert_eq!(
        found,
        "c.toml:2:17: detector.suspicion_min: 20s is more than detector.suspicion_max, which is 12s"
    );
    let tags: Vec<String> = (0..60)
        .map(|number| format!("\"key{number}=value\""))
        .collect();
    let found = problem(&format!("[node]\ntags = [{}]", tags.join(", ")));
    assert!(found.contains("node.tags: tags are too large"), "{found}");
}

#[test]
fn seeds_and_the_strategy_that_asks_them_belong_together() {
    let none = problem("[cluster]\ndiscovery = \"static\"");
    assert!(
        none.starts_with("cluster.static.seeds: the static strategy has no seeds"),
        "{none}"
    );
    let empty = problem("[cluster]\ndiscovery = \"static\"\nstatic.seeds = []");
    assert!(
        empty.starts_with("c.toml:3:16: cluster.static.seeds: the static"),
        "{empty}"
    );
    from_text("[cluster]\ndiscovery = \"manual\"\nstatic.seeds = [\"a@h\"]").unwrap();
}

#[test]
fn half_of_what_etcd_needs_to_know_is_refused() {
    let etcd = |lines: &str| format!("[cluster]\ndiscovery = \"etcd\"\n[cluster.etcd]\n{lines}");
    for (lines, key, words) in [
        ("server = []", "cluster.etcd.server", "no server"),
        (
            "server = [\"https://h\"]",
            "cluster.etcd.server",
            "needs cluster.etcd.ssl.cacertfile",
        ),
        (
            "ssl.cacertfile = \"ca.pem\"",
            "cluster.etcd.server",
            "no server is https://",
        ),
        (
            "server = [\"https://h\"]\nssl.cacertfile = \"ca.pem\"\nssl.keyfile = \"k.pem\"",
            "cluster.etcd.ssl.certfile",
            "belong together",
        ),
        (
            "username = \"u\"",
            "cluster.etcd.username",
            "belong together",
        ),
        (
            "password = \"p\"",
            "cluster.etcd.username",
            "belong together",
        ),
        (
            "server = [\"10.0.0.1:2379\"]",
            "cluster.etcd.server",
            "https://etcd.example:2379",
        ),
    ] {
        let found = problem(&etcd(lines));
        assert!(
            found.contains(&format!("{key}: ")) && found.contains(words),
            "{lines}: {found}"
        );
    }
    from_text(&etcd("")).unwrap();
    from_text(&etcd(
        "server = [\"https://h\"]\nssl.cacertfile = \"ca.pem\"\nusername = \"u\"\npassword = \"p\"",
    ))
    .unwrap();
}

#[test]
fn what_pods_would_be_named_and_where_their_api_server_is_must_be_right() {
    let k8s = |lines: &str| format!("[cluster]\ndiscovery = \"k8s\"\n[cluster.k8s]\n{lines}");
    for (lines, expected) in [
        ("app_name = \"a b\"", "c.toml:4:12: cluster.k8s.app_name: "),
        (
            "app_name = \"n1000\"",
            "c.toml:4:12: cluster.k8s.app_name: ",
        ),
        ("suffix = \"a b\"", "c.toml:4:10: cluster.k8s.suffix: "),
        ("suffix = \".x.\"", "c.toml:4:10: cluster.k8s.suffix: "),
        (
            "service_name = \"A_b\"",
            "c.toml:4:16: cluster.k8s.service_name: ",
        ),
        (
            "namespace = \"x/y\"",
            "c.toml:4:13: cluster.k8s.namespace: ",
        ),
        (
            "apiserver = \"kubernetes\"",
            "c.toml:4:13: cluster.k8s.apiserver: expected a URL",
        ),
    ] {
        let found = problem(&k8s(lines));
        assert!(found.starts_with(expected), "{lines}: {found}");
    }
    from_text(&k8s("apiserver = \"https://kubernetes.default.svc:443\"")).unwrap();
}

#[test]
fn a_name_of_a_cluster_is_a_word_on_one_line() {
    for name in [" a", "a ", "a\\nb", "a\\u0007", " "] {
        let found = problem(&format!("[cluster]\nname = \"{name}\""));
        assert!(
            found.starts_with("c.toml:2:8: cluster.name: expected a text without control"),
            "{found}"
        );
    }
    from_text("[cluster]\nname = \"the fleet\"").unwrap();
}

#[test]
fn a_tag_has_one_value() {
    let found = problem("[node]\ntags = [\"zone=a\", \"rack=1\", \"zone=b\"]");
    assert_eq!(
        found,
        "c.toml:2:8: node.tags: the tag \"zone\" is given twice: give it one value"
    );
}

#[test]
fn only_true_and_false_are_booleans() {
    for word in ["yes", "1", "on", "TRUE"] {
        let error = from_environment(&[("CONVOKE_CLUSTER_AUTOHEAL", word)])
            .unwrap_err()
            .to_string();
        assert!(error.contains("expected true or false"), "{error}");
    }
}

#[test]
fn the_names_of_variables_can_be_checked_alone() {
    let senseless = Environment::of(&[("CONVOKE_CLUSTER_AUTOHEAL", "perhaps")]);
    senseless.check_names().unwrap();
    let mistyped = Environment::of(&[("CONVOKE_NODE_NMAE", "a")]);
    let error = mistyped.check_names().unwrap_err().to_string();
    assert!(
        error.ends_with("did you mean CONVOKE_NODE_NAME?"),
        "{error}"
    );
}

#[test]
fn a_name_beyond_the_port_rule_needs_explicit_addresses() {
    let found = problem("[node]\nname = \"n1000@127.0.0.1\"");
    assert!(
        found.starts_with("c.toml:2:8: node.name:") && found.contains("node.listen"),
        "{found}"
    );
    let explicit = "listen = \"127.0.0.1:9000\"\nrpc_listen = \"127.0.0.1:9001\"";
    from_text(&format!("[node]\nname = \"n1000@127.0.0.1\"\n{explicit}")).unwrap();
}

#[test]
fn the_template_is_valid_and_every_line_of_it_can_be_uncommented() {
    let template = template();
    from_text(&template).unwrap();
    let uncommented: String = template
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_assignment(rest) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let effective = from_text(&uncommented).unwrap();
    let set = key::all()
        .iter()
        .filter(|key| effective.origin(key.path) != Origin::Default)
        .count();
    assert_eq!(set, key::all().len(), "the template shows every key");
    assert_eq!(effective.settings.engine(), EngineConfig::lan());
}

fn is_assignment(line: &str) -> bool {
    line.split_once(" = ").is_some_and(|(name, _)| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
    })
}

/// The keys of the operator's contract.
#[test]
fn a_file_with_every_key_of_the_contract_is_read() {
    let text = r#"
        [node]
        name = "convoke@127.0.0.1"
        data_dir = "/d"
        listen = "127.0.0.1:4370"
        advertise = "127.0.0.1:4370"
        rpc_listen = "127.0.0.1:5370"
        port_mapping = "conventional"
        dist_listen_min = 6369
        dist_listen_max = 6369
        epmd_embedded = false
        [cluster]
        name = "convoke"
        discovery = "manual"
        discovery_interval = "5s"
        autoheal = true
        autoclean = "5m"
        quorum = "majority"
        quorum_tie = "none"
        split_brain = "off"
        stable_after = "20s"
        on_down = "stay"
        [cluster.static]
        seeds = ["convoke1@10.0.0.1", "convoke2@10.0.0.2"]
        [cluster.mcast]
        addr = "239.192.0.1"
        ports = [4369, 4370]
        iface = "0.0.0.0"
        ttl = 255
        loop = true
        [cluster.dns]
        name = "nodes.example.org"
        app = "convoke"
        record_type = "a"
        server = "10.0.0.53"
        [cluster.etcd]
        server = ["http://127.0.0.1:2379"]
        prefix = "convokecl"
        node_ttl = "1m"
        ssl.cacertfile = "ca.pem"
        ssl.certfile = "c.pem"
        ssl.keyfile = "c.key"
        username = "u"
        password = "p"
        [cluster.k8s]
        apiserver = "https://kubernetes.default.svc:443"
        service_name = "convoke"
        namespace = "default"
        address_type = "ip"
        app_name = "convoke"
        suffix = ""
        [security]
        mode = "secret"
        secret_file = "/s"
        ca = "ca.pem"
        cert = "n.pem"
        key = "n.key"
        crl = "c.pem"
        [detector]
        profile = "lan"
        [http]
        listen = "off"
        [log]
        level = "info"
        format = "text"
    "#;
    from_text(text).unwrap();
}

#[test]
fn show_names_every_value_with_its_origin_and_hides_passwords() {
    let variables = [
        ("CONVOKE_CLUSTER_ETCD_PASSWORD", "hunter2"),
        ("CONVOKE_NODE_NAME", "a@h.example"),
    ];
    let places = Places::of(Environment::of(&[]), true);
    let shown = show(&from_environment(&variables).unwrap(), &places);
    assert!(!shown.contains("hunter2"), "{shown}");
    let line = |key: &str| {
        shown
            .lines()
            .find(|line| line.starts_with(&format!("{key} ")))
            .expect(key)
    };
    assert!(
        line("node.name").ends_with("# environment CONVOKE_NODE_NAME"),
        "{shown}"
    );
    assert!(
        line("node.name").starts_with("node.name = \"a@h.example\""),
        "{shown}"
    );
    assert!(
        line("node.listen").starts_with("node.listen = \"h.example:4370\""),
        "{shown}"
    );
    assert!(
        line("node.data_dir").contains("= \"/var/lib/convoke/a@h.example\""),
        "{shown}"
    );
    assert_eq!(shown.lines().count(), key::all().len());
    shown.parse::<toml::Table>().expect("what is shown is TOML");
    assert!(
        line("detector.probe_interval").contains("= \"1s\""),
        "{shown}"
    );
    assert!(
        line("detector.probe_interval").ends_with("# default"),
        "{shown}"
    );
}

#[test]
fn keys_and_variables_are_unique_and_keys_lie_in_tables() {
    let keys: BTreeSet<_> = key::all().iter().map(|key| key.path).collect();
    let variables: BTreeSet<_> = key::all().iter().map(Key::variable).collect();
    assert_eq!(
        (keys.len(), variables.len()),
        (key::all().len(), key::all().len())
    );
    for key in key::all() {
        let (table, name) = key.split();
        assert!(!table.is_empty() && !name.is_empty());
    }
    assert_eq!(
        key::find("cluster.static.seeds").unwrap().variable(),
        "CONVOKE_CLUSTER_STATIC_SEEDS"
    );
}

#[test]
fn a_split_brain_policy_comes_with_what_it_needs() {
    let quorum = problem("[cluster]\nsplit_brain = \"static-quorum\"");
    assert!(
        quorum.starts_with("c.toml:2:15: cluster.split_brain: "),
        "{quorum}"
    );
    assert!(
        quorum.contains("set cluster.quorum = \"static:<n>\""),
        "{quorum}"
    );
    let soon = problem("[cluster]\nsplit_brain = \"down-all\"\nstable_after = \"5s\"");
    let place = "c.toml:3:16: cluster.stable_after: \"5s\" is less";
    assert!(soon.starts_with(place), "{soon}");
    let policy = |text: &str| {
        let effective = from_text(&format!("[cluster]\n{text}"));
        effective.expect(text).settings.engine().split_brain
    };
    let static_quorum = policy("quorum = \"static:3\"\nsplit_brain = \"static-quorum\"");
    assert_eq!(static_quorum, EnginePolicy::StaticQuorum(3));
    for (text, expected) in [
        (
            "split_brain = \"keep-majority\"",
            EnginePolicy::KeepMajority,
        ),
        ("split_brain = \"keep-oldest\"", EnginePolicy::KeepOldest),
        ("split_brain = \"down-all\"", EnginePolicy::DownAll),
        ("stable_after = \"5s\"", EnginePolicy::Off),
    ] {
        assert_eq!(policy(text), expected, "{text}");
    }
}

#[test]
fn every_choice_has_one_word() {
    fn holds<T: Choice + std::fmt::Debug>() {
        let words: BTreeSet<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
        assert_eq!(words.len(), T::WORDS.len());
        for (text, value) in T::WORDS {
            assert_eq!(word(*value), *text);
        }
    }
    holds::<Discovery>();
    holds::<SplitBrain>();
    holds::<PortMapping>();
    holds::<OnDown>();
    holds::<RecordType>();
    holds::<AddressType>();
    holds::<SecurityMode>();
    holds::<Profile>();
    holds::<LogFormat>();
    holds::<ProbeTargets>();
    holds::<QuorumTie>();
}
