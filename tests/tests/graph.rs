//! The shape of the workspace: who may use whom, and what the engine must not touch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Who may use whom. What is not here may not be.
const MAY_USE: [(&str, &str, &[&str]); 6] = [
    ("core", "convoke-core", &[]),
    ("transport", "convoke", &["convoke-core"]),
    ("discovery", "convoke-discovery", &["convoke-core"]),
    (
        "cli",
        "convoke-cli",
        &["convoke-core", "convoke", "convoke-discovery"],
    ),
    (
        "benches",
        "convoke-benches",
        &[
            "convoke-core",
            "convoke",
            "convoke-discovery",
            "convoke-cli",
        ],
    ),
    (
        "tests",
        "convoke-tests",
        &[
            "convoke-core",
            "convoke",
            "convoke-discovery",
            "convoke-cli",
        ],
    ),
];

/// What the top level holds, dotfiles aside.
const TOP_LEVEL: [&str; 10] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "cli",
    "core",
    "discovery",
    "tests",
    "transport",
];

/// Crates that bring a runtime, a socket, a clock or randomness of their own. None may be anywhere
/// under the engine.
const IMPURE: [&str; 22] = [
    "async-io",
    "async-std",
    "chrono",
    "futures",
    "futures-util",
    "getrandom",
    "hyper",
    "jiff",
    "libc",
    "log",
    "mio",
    "nix",
    "quinn",
    "quinn-udp",
    "rand",
    "ring",
    "rustix",
    "rustls",
    "socket2",
    "time",
    "tokio",
    "tracing",
];

/// What the engine's sources must not name: input, output, clocks, threads, the environment,
/// randomness without a seed, maps whose order differs from run to run.
const UNSPEAKABLE: [&str; 29] = [
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::io",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::time::Instant",
    "std::time::SystemTime",
    "SystemTime::now",
    "Instant::now",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "UnixStream",
    "ToSocketAddrs",
    "tokio",
    "async fn",
    "async move",
    "async {",
    "RandomState",
    "HashMap::new",
    "HashSet::new",
    "Rng::new()",
    "fastrand::u",
    "fastrand::shuffle",
    "fastrand::choice",
    "thread_rng",
    "getrandom",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
}

fn output(program: &str, args: &[&str]) -> String {
    let run = Command::new(program)
        .args(args)
        .current_dir(root())
        .output()
        .expect(program);
    assert!(
        run.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).expect("it prints UTF-8")
}

fn metadata() -> Value {
    let version = output("rustc", &["-vV"]);
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc has a host");
    let args = [
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        host,
    ];
    serde_json::from_str(&output("cargo", &args)).expect("cargo prints JSON")
}

fn manifest(folder: &str) -> toml::Table {
    let path = root().join(folder).join("Cargo.toml");
    std::fs::read_to_string(&path)
        .expect("a manifest")
        .parse()
        .expect("cargo accepts it")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} is a text in {value}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("{key} is a list in {value}"))
}

#[test]
fn packages_use_only_what_the_architecture_allows() {
    let metadata = metadata();
    let packages: BTreeMap<&str, &Value> = list(&metadata, "packages")
        .iter()
        .map(|package| (text(package, "name"), package))
        .collect();
    assert_eq!(
        list(&metadata, "workspace_members").len(),
        MAY_USE.len(),
        "a package without a rule"
    );
    for (folder, name, allowed) in MAY_USE {
        let package = packages
            .get(name)
            .unwrap_or_else(|| panic!("no package {name}"));
        assert_eq!(
            Path::new(text(package, "manifest_path")),
            root().join(folder).join("Cargo.toml")
        );
        let used = list(package, "dependencies")
            .iter()
            .map(|dependency| text(dependency, "name"));
        // A package's tests may turn its own features on.
        let ours = used.filter(|used| *used == "convoke" || used.starts_with("convoke-"));
        for used in ours.filter(|used| *used != name) {
            assert!(allowed.contains(&used), "{name} must not use {used}");
        }
    }
}

#[test]
fn nothing_under_the_engine_brings_a_runtime_a_socket_a_clock_or_randomness() {
    let metadata = metadata();
    let names: BTreeMap<&str, &str> = list(&metadata, "packages")
        .iter()
        .map(|package| (text(package, "id"), text(package, "name")))
        .collect();
    let nodes: BTreeMap<&str, &Value> = list(&metadata["resolve"], "nodes")
        .iter()
        .map(|node| (text(node, "id"), node))
        .collect();
    let (core, _) = names
        .iter()
        .find(|(_, name)| **name == "convoke-core")
        .expect("the engine is there");

    let normal = |dep: &&Value| {
        list(dep, "dep_kinds")
            .iter()
            .any(|kind| kind["kind"].is_null())
    };
    let mut reached = BTreeSet::new();
    let mut open = vec![*core];
    while let Some(id) = open.pop() {
        if reached.insert(names[id]) {
            open.extend(
                list(nodes[id], "deps")
                    .iter()
                    .filter(normal)
                    .map(|dep| text(dep, "pkg")),
            );
        }
    }
    assert!(
        reached.contains("postcard"),
        "the walk saw the engine's dependencies: {reached:?}"
    );
    let impure: Vec<_> = IMPURE
        .iter()
        .filter(|name| reached.contains(*name))
        .collect();
    assert!(impure.is_empty(), "under the engine: {impure:?}");
}

#[test]
fn the_engine_names_no_input_output_clock_thread_or_unseeded_randomness() {
    let sources = rust_files(&root().join("core/src"));
    assert!(
        sources.len() > 5,
        "the engine's sources were found: {sources:?}"
    );
    let mut found = Vec::new();
    for path in sources {
        let source = std::fs::read_to_string(&path).expect("a source");
        for (number, line) in source.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let named = UNSPEAKABLE.iter().filter(|word| code.contains(*word));
            found.extend(named.map(|word| format!("{}:{}: {word}", path.display(), number + 1)));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn the_top_level_holds_nothing_else() {
    let listed = output(
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    );
    let top: BTreeSet<&str> = listed
        .lines()
        .filter_map(|path| path.split('/').next())
        .collect();
    assert!(
        top.contains("Cargo.toml"),
        "git lists the workspace: {top:?}"
    );
    let strange: Vec<_> = top
        .iter()
        .filter(|e| !e.starts_with('.') && !TOP_LEVEL.contains(e))
        .collect();
    assert!(strange.is_empty(), "at the top level: {strange:?}");
}

#[test]
fn no_package_may_hold_unsafe_code() {
    let lints = &manifest("")["workspace"]["lints"];
    assert_eq!(lints["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for (folder, name, _) in MAY_USE {
        let manifest = manifest(folder);
        let inherits = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            inherits.and_then(toml::Value::as_bool),
            Some(true),
            "{name} inherits the lints"
        );
    }
}

#[test]
fn every_dependency_says_why_it_is_there_and_has_one_version() {
    let manifest =
        std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace's manifest");
    let section = manifest
        .split("[workspace.dependencies]\n")
        .nth(1)
        .expect("a section of dependencies");
    let section = section.split("\n[").next().expect("it ends");
    let mut above = "";
    for line in section.lines() {
        let foreign = !line.is_empty() && !line.starts_with('#') && !line.contains("path =");
        assert!(
            !foreign || above.starts_with('#'),
            "without a reason: {line}"
        );
        above = line;
    }
    for (folder, name, _) in MAY_USE {
        for (dependency, spec) in dependencies(&self::manifest(folder)) {
            let shared = spec.get("workspace").and_then(toml::Value::as_bool) == Some(true);
            assert!(shared, "{name} has a version of {dependency} of its own");
        }
    }
}

fn dependencies(manifest: &toml::Table) -> Vec<(String, toml::Value)> {
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = sections
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table());
    tables.flat_map(|table| table.clone()).collect()
}
