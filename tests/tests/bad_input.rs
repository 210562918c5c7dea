//! What an operator can get wrong at the start: each ends in a clear sentence and exit code 78.

use std::path::{Path, PathBuf};

use convoke_tests::{Fleet, Run};

/// A configuration error, told in a few lines that hold all of these words.
#[track_caller]
fn expect_refusal(run: &Run, words: &[&str]) {
    run.expect_code(78).expect_complaint(words);
    assert!(
        run.stderr.lines().count() <= 8,
        "one clear sentence, and a place at most: {run:#?}"
    );
}

fn write(fleet: &Fleet, name: &str, text: &str) -> PathBuf {
    let path = fleet.folder().join(name);
    std::fs::write(&path, text).expect("the fleet's folder is writable");
    path
}

#[test]
fn a_malformed_configuration_is_refused_with_file_and_line() {
    let cases: [(&str, &str, &[&str]); 6] = [
        ("syntax", "[node]\nname = \"convoke1@127.0.0.1\n", &["2"]),
        (
            "unknown key",
            "[node]\n\nnmae = \"convoke1@127.0.0.1\"\n",
            &["3", "nmae", "name"],
        ),
        (
            "unknown table",
            "[nodes]\nname = \"x@127.0.0.1\"\n",
            &["1", "nodes", "node"],
        ),
        (
            "wrong type",
            "[cluster]\nautoheal = \"yes\"\n",
            &["2", "autoheal", "true"],
        ),
        (
            "bad duration",
            "[cluster]\nautoclean = \"5 parsecs\"\n",
            &["2", "autoclean", "5s", "never"],
        ),
        (
            "bad choice",
            "[cluster]\ndiscovery = \"telepathy\"\n",
            &["2", "discovery", "static"],
        ),
    ];
    let fleet = Fleet::new();
    for (what, text, words) in cases {
        let file = write(&fleet, &format!("{}.toml", what.replace(' ', "-")), text);
        let file = file.to_str().expect("a plain path");
        let started = fleet.launch(1).args(&["--config", file]).run_to_end();
        expect_refusal(&started, &[&[file], words].concat());
        let checked = fleet.convoke(&["config", "check", file]);
        assert_ne!(checked.code, Some(0), "{what}: {checked:#?}");
        checked.expect_complaint(&[&[file], words].concat());
    }
}

#[test]
fn a_missing_configuration_file_is_refused() {
    let fleet = Fleet::new();
    let started = fleet
        .launch(1)
        .args(&["--config", "/no/such/convoke.toml"])
        .run_to_end();
    expect_refusal(&started, &["/no/such/convoke.toml"]);
}

#[test]
fn an_unknown_or_senseless_variable_is_refused() {
    let fleet = Fleet::new();
    let unknown = fleet
        .launch(1)
        .env("CONVOKE_CLUSTER_NMAE", "x")
        .run_to_end();
    expect_refusal(&unknown, &["CONVOKE_CLUSTER_NMAE", "CONVOKE_CLUSTER_NAME"]);
    let senseless = fleet
        .launch(1)
        .env("CONVOKE_CLUSTER_AUTOHEAL", "perhaps")
        .run_to_end();
    expect_refusal(&senseless, &["CONVOKE_CLUSTER_AUTOHEAL", "true"]);
}

#[test]
fn what_this_version_does_not_have_is_refused_in_plain_words() {
    let fleet = Fleet::new();
    expect_refusal(
        &fleet
            .launch(1)
            .env("CONVOKE_SECURITY_MODE", "pki")
            .run_to_end(),
        &["pki", "secret"],
    );
}

#[test]
fn a_bad_name_is_refused() {
    let fleet = Fleet::new();
    for name in [
        "no spaces@127.0.0.1",
        "convoke1@",
        "@127.0.0.1",
        "convoke1@10.0.0.256",
        "a@b@c",
    ] {
        expect_refusal(&fleet.launch_named(name).run_to_end(), &["name", name]);
    }
    let by_variable = fleet
        .command(&["start"])
        .env("CONVOKE_NODE_NAME", "convoke1@-x")
        .output();
    assert_eq!(by_variable.expect("it runs").status.code(), Some(78));
}

#[test]
fn an_offset_over_999_is_refused_unless_the_ports_are_explicit() {
    let fleet = Fleet::new();
    let name = format!("convoke1000@{}", fleet.address(1));
    let refused = fleet.launch_named(&name).run_to_end();
    expect_refusal(
        &refused,
        &[
            &name,
            "999",
            "node.listen",
            "node.rpc_listen",
            "http.listen",
        ],
    );

    let explicit = fleet
        .launch_named(&name)
        .env("CONVOKE_NODE_LISTEN", format!("{}:4999", fleet.address(1)))
        .env(
            "CONVOKE_NODE_RPC_LISTEN",
            format!("{}:5999", fleet.address(1)),
        )
        .start();
    assert_eq!(
        explicit.view().members[0].address,
        format!("{}:4999", fleet.address(1))
    );
}

#[test]
fn a_taken_port_is_refused() {
    let fleet = Fleet::new();
    let first = fleet.start(1);
    let second = fleet.launch(1).at_home("second").run_to_end();
    expect_refusal(
        &second,
        &[&format!("{}:4371", fleet.address(1)), "is taken"],
    );
    first.expect_alone();

    // A configured port for calls that is taken is an error; the default one gives way.
    let taken =
        std::net::UdpSocket::bind((fleet.address(2), 5372)).expect("the fleet's own address");
    let configured = fleet.launch(2).env(
        "CONVOKE_NODE_RPC_LISTEN",
        format!("{}:5372", fleet.address(2)),
    );
    expect_refusal(
        &configured.run_to_end(),
        &[&format!("{}:5372", fleet.address(2)), "is taken"],
    );
    let gave_way = fleet.start(2);
    assert!(
        gave_way.log().contains("5372"),
        "a warning names the port: {}",
        gave_way.log()
    );
    let shown = gave_way.convoke(&["cluster", "status"]);
    assert!(
        shown.expect_code(0).stdout.contains("5372"),
        "so does the status: {shown:#?}"
    );
    drop(taken);
}

#[test]
fn a_host_that_is_not_of_this_machine_is_refused() {
    let fleet = Fleet::new();
    // TEST-NET-1 belongs to nobody.
    expect_refusal(
        &fleet.launch_named("convoke1@192.0.2.1").run_to_end(),
        &["192.0.2.1:4371"],
    );
    let unresolved = fleet
        .launch_named("convoke1@no-such-host.invalid")
        .run_to_end();
    expect_refusal(&unresolved, &["no-such-host.invalid"]);
}

#[test]
fn an_unwritable_data_directory_is_refused() {
    let fleet = Fleet::new();
    let under_a_file = write(&fleet, "file", "").join("data");
    let launch = fleet
        .launch(1)
        .env("CONVOKE_NODE_DATA_DIR", under_a_file.display().to_string());
    expect_refusal(&launch.run_to_end(), &[&under_a_file.display().to_string()]);
    let read_only = fleet.launch(1).run_to_end_on_disk("ro,size=64k", "true");
    expect_refusal(&read_only, &["/disk/data", "read-only"]);
}

#[test]
fn a_full_disk_is_refused() {
    let fleet = Fleet::new();
    // dd ends with an error when the disk is full, which is what it is for.
    let fill = "dd if=/dev/zero of=fill bs=4k 2>/dev/null || true";
    let full = fleet.launch(1).run_to_end_on_disk("size=64k", fill);
    expect_refusal(&full, &["/disk/data", "space"]);
}

#[test]
fn a_corrupt_data_directory_is_refused_and_says_the_way_out() {
    let fleet = Fleet::new();
    let mut node = fleet.start(1);
    assert_eq!(node.terminate().0, Some(0));
    let state = state_file(&node.data_dir());
    let good = std::fs::read(&state).expect("the state file");

    let digit = good
        .iter()
        .position(u8::is_ascii_digit)
        .expect("it holds numbers");
    let mut flipped = good.clone();
    flipped[digit] = if flipped[digit] == b'7' { b'8' } else { b'7' };
    let last_digit = good
        .iter()
        .rposition(u8::is_ascii_digit)
        .expect("it holds numbers");
    let mut late = good.clone();
    late[last_digit] = if late[last_digit] == b'7' { b'8' } else { b'7' };
    for bad in [
        &b"not json"[..],
        &good[..good.len() / 2],
        b"",
        b"{}",
        &flipped,
        &late,
    ] {
        std::fs::write(&state, bad).expect("the state file is ours");
        let refused = fleet.launch(1).run_to_end();
        expect_refusal(&refused, &[&state.display().to_string()]);
        assert_eq!(
            std::fs::read(&state).expect("the state file"),
            bad,
            "nothing was overwritten"
        );
    }
    std::fs::write(&state, good).expect("the state file is ours");
    node.restart();
}

fn state_file(data_dir: &Path) -> PathBuf {
    let entries = std::fs::read_dir(data_dir).expect("the data directory");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .expect("a state file")
}

#[test]
fn another_name_on_an_existing_data_directory_is_refused() {
    let fleet = Fleet::new();
    let data = fleet.folder().join("data");
    let on_data = |n| {
        fleet
            .launch(n)
            .env("CONVOKE_NODE_DATA_DIR", data.display().to_string())
    };
    let mut first = on_data(1).start();
    assert_eq!(first.terminate().0, Some(0));
    let second = on_data(2).run_to_end();
    expect_refusal(
        &second,
        &[&fleet.name(1), &fleet.name(2), &data.display().to_string()],
    );
}

#[test]
fn a_data_directory_in_use_is_refused() {
    let fleet = Fleet::new();
    let first = fleet.start(1);
    // Other ports, so that the directory alone is what both want.
    let second = fleet
        .launch(1)
        .env("CONVOKE_NODE_LISTEN", format!("{}:4999", fleet.address(2)))
        .env(
            "CONVOKE_NODE_RPC_LISTEN",
            format!("{}:5999", fleet.address(2)),
        )
        .run_to_end();
    expect_refusal(
        &second,
        &[&first.data_dir().display().to_string(), "in use"],
    );
    first.expect_alone();
}

#[test]
fn a_weak_or_readable_secret_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let fleet = Fleet::new();
    let generated = fleet.convoke(&["secret", "generate"]);
    let good = generated
        .expect_code(0)
        .stdout
        .split_whitespace()
        .last()
        .expect("a secret")
        .to_owned();
    let cases = [
        ("short", "abcdef", 0o600),
        ("zeros", &"0".repeat(64), 0o600),
        ("open", &good, 0o644),
    ];
    for (what, text, mode) in cases {
        let file = write(&fleet, what, text);
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("the file is ours");
        let refused = fleet
            .launch(1)
            .env("CONVOKE_SECURITY_SECRET_FILE", file.display().to_string())
            .run_to_end();
        expect_refusal(&refused, &[&file.display().to_string()]);
    }
}
