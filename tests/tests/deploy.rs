//! The files in `cli/deploy/`: each is what it claims to be, and their configuration is accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use convoke_tests::Fleet;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Service, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../cli/deploy")
        .join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).expect(name)
}

/// The documents of `kubernetes.yaml`, by kind.
fn documents() -> BTreeMap<String, Value> {
    let parsed: Vec<Value> =
        serde_saphyr::from_multiple(&text("kubernetes.yaml")).expect("it is YAML");
    let by_kind: BTreeMap<String, Value> = parsed
        .iter()
        .map(|document| {
            (
                document["kind"]
                    .as_str()
                    .expect("each has a kind")
                    .to_owned(),
                document.clone(),
            )
        })
        .collect();
    assert_eq!(by_kind.len(), parsed.len(), "one of each kind");
    by_kind
}

/// Reads a document as its kind, strictly: what the kind does not know is an error.
fn read<T: DeserializeOwned + Serialize>(kind: &str) -> T {
    let mut documents = documents();
    let document = documents
        .remove(kind)
        .unwrap_or_else(|| panic!("no {kind}"));
    let read: T =
        serde_json::from_value(document.clone()).unwrap_or_else(|error| panic!("{kind}: {error}"));
    let known = serde_json::to_value(&read).expect("it was read");
    expect_known(kind, &document, &known);
    read
}

/// Everything that is written is there after it was read.
#[track_caller]
fn expect_known(at: &str, written: &Value, known: &Value) {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            for (key, value) in written {
                let at = format!("{at}.{key}");
                expect_known(
                    &at,
                    value,
                    known.get(key).unwrap_or_else(|| panic!("{at} is no field")),
                );
            }
        }
        (Value::Array(written), Value::Array(known)) => {
            assert_eq!(written.len(), known.len(), "{at}");
            for (n, (written, known)) in written.iter().zip(known).enumerate() {
                expect_known(&format!("{at}[{n}]"), written, known);
            }
        }
        (written, known) => assert_eq!(written, known, "{at}"),
    }
}

fn node(set: &StatefulSet) -> Container {
    let pod = set
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.clone())
        .expect("it has pods");
    pod.containers
        .into_iter()
        .find(|container| container.name == "convoke")
        .expect("it runs a node")
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_noticed() {
    let written = serde_json::json!({"metadata": {"name": "x"}, "spec": {"clusterIp": "None"}});
    let read: Service =
        serde_json::from_value(written.clone()).expect("it passes over what it does not know");
    let known = serde_json::to_value(&read).expect("it was read");
    let noticed = std::panic::catch_unwind(|| expect_known("Service", &written, &known));
    noticed.expect_err("clusterIp is clusterIP");
}

#[test]
fn the_documents_for_kubernetes_are_what_it_knows_and_belong_together() {
    let kinds: Vec<String> = documents().into_keys().collect();
    assert_eq!(
        kinds,
        [
            "ConfigMap",
            "Role",
            "RoleBinding",
            "Service",
            "ServiceAccount",
            "StatefulSet"
        ]
    );
    let account: ServiceAccount = read("ServiceAccount");
    let role: Role = read("Role");
    let binding: RoleBinding = read("RoleBinding");
    let service: Service = read("Service");
    let set: StatefulSet = read("StatefulSet");

    let rules = role.rules.expect("it has rules");
    assert_eq!(rules.len(), 1, "and no more than is needed");
    assert_eq!(
        rules[0].api_groups.as_deref(),
        Some(&["discovery.k8s.io".to_owned()][..])
    );
    assert_eq!(
        rules[0].resources.as_deref(),
        Some(&["endpointslices".to_owned()][..])
    );
    assert_eq!(rules[0].verbs, ["list", "watch"]);
    assert_eq!(Some(&binding.role_ref.name), role.metadata.name.as_ref());
    assert_eq!(
        Some(&binding.subjects.expect("it binds")[0].name),
        account.metadata.name.as_ref()
    );

    let spec = set.spec.clone().expect("it has a spec");
    let pods = spec.template.metadata.and_then(|metadata| metadata.labels);
    assert_eq!(spec.selector.match_labels, pods);
    let ports = service
        .spec
        .as_ref()
        .and_then(|spec| spec.ports.clone())
        .expect("it has ports");
    let services = service.spec.expect("it has a spec");
    assert_eq!(services.selector, pods);
    assert_eq!(services.cluster_ip.as_deref(), Some("None"), "headless");
    assert_eq!(spec.service_name, service.metadata.name);
    assert_eq!(spec.pod_management_policy.as_deref(), Some("Parallel"));
    let pod = spec.template.spec.expect("it has pods");
    assert_eq!(pod.service_account_name, account.metadata.name);
    let of_node: Vec<i32> = node(&set)
        .ports
        .expect("it has ports")
        .iter()
        .map(|port| port.container_port)
        .collect();
    assert_eq!(
        of_node,
        ports.iter().map(|port| port.port).collect::<Vec<_>>()
    );

    let volumes = pod
        .volumes
        .unwrap_or_default()
        .into_iter()
        .map(|volume| volume.name);
    let claims = spec
        .volume_claim_templates
        .unwrap_or_default()
        .into_iter()
        .filter_map(|claim| claim.metadata.name);
    let there: BTreeSet<String> = volumes.chain(claims).collect();
    let containers = pod
        .init_containers
        .unwrap_or_default()
        .into_iter()
        .chain(pod.containers);
    for mount in containers.flat_map(|container| container.volume_mounts.unwrap_or_default()) {
        assert!(there.contains(&mount.name), "no volume {}", mount.name);
    }
}

#[test]
fn the_configuration_of_the_stateful_set_is_accepted() {
    let fleet = Fleet::new();
    let config: ConfigMap = read("ConfigMap");
    let configured = config
        .data
        .expect("it has data")
        .remove("convoke.toml")
        .expect("it is mounted as that");
    let path = fleet.folder().join("convoke.toml");
    std::fs::write(&path, &configured).expect("the folder is writable");

    let check = || fleet.convoke(&["config", "check", &path.display().to_string()]);
    check().expect_code(0);
    // So that acceptance means something.
    let wrong = configured.replace("app_name = \"convoke\"", "app_name = \"no name\"");
    std::fs::write(&path, wrong).expect("the folder is writable");
    check()
        .expect_code(78)
        .expect_complaint(&["cluster.k8s.app_name"]);
    std::fs::write(&path, configured).expect("the folder is writable");

    let mut command = fleet.command(&["config", "show"]);
    command.env("CONVOKE_CONFIG", &path);
    let set: StatefulSet = read("StatefulSet");
    let pods = [
        ("$(POD_NAME)", "convoke-0"),
        ("$(POD_NAMESPACE)", "fleet"),
        ("$(POD_IP)", "10.1.2.3"),
    ];
    for variable in node(&set).env.expect("it has variables") {
        if let Some(value) = variable.value {
            let value = pods
                .iter()
                .fold(value, |value, (name, of_pod)| value.replace(name, of_pod));
            assert!(
                !value.contains("$("),
                "{value} is not made of what is set before it"
            );
            command.env(&variable.name, value);
        }
    }
    let shown = convoke_tests::run(&mut command);
    shown.expect_code(0);
    for words in [
        "convoke@convoke-0.convoke.fleet.svc.cluster.local",
        "10.1.2.3:4370",
        "hostname",
    ] {
        assert!(shown.stdout.contains(words), "no {words} in {shown:?}");
    }
}

/// The settings of the unit's `[Service]`.
fn service() -> Vec<(String, String)> {
    let text = text("convoke.service");
    let section = text.split("[Service]\n").nth(1).expect("it has a service");
    let section = section.split("\n[").next().expect("it ends");
    let lines = section
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        line.split_once('=')
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
    };
    lines
        .map(|line| pair(line).unwrap_or_else(|| panic!("{line}")))
        .collect()
}

#[test]
fn the_unit_tells_systemd_what_the_program_does() {
    let settings = service();
    let has = |key: &str, value: &str| settings.iter().any(|(k, v)| k == key && v == value);
    for (key, value) in [
        ("Type", "notify"),
        ("ExecStart", "/usr/local/bin/convoke start"),
        ("Restart", "on-failure"),
        ("RestartPreventExitStatus", "78"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("CapabilityBoundingSet", ""),
    ] {
        assert!(has(key, value), "no {key}={value} in {settings:?}");
    }
}

#[test]
fn systemd_accepts_the_unit() {
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    // It looks whether the program is there, which is installed nowhere here.
    let unit = text("convoke.service").replace("/usr/local/bin/convoke", "/bin/true");
    let path = folder.path().join("convoke.service");
    std::fs::write(&path, unit).expect("a fresh folder is writable");
    let verify = |path: &Path| {
        let mut command = Command::new("systemd-analyze");
        convoke_tests::run(command.args(["verify", "--man=no"]).arg(path))
    };
    let complaints = |run: &convoke_tests::Run| -> Vec<String> {
        let ours = |line: &&str| line.contains("convoke.service");
        run.stderr.lines().filter(ours).map(str::to_owned).collect()
    };
    let accepted = verify(&path);
    assert_eq!(complaints(&accepted), [""; 0], "{accepted:?}");
    accepted.expect_code(0);
    // So that silence means something.
    let wrong = text("convoke.service")
        .replace("/usr/local/bin/convoke", "/bin/true")
        .replace("LockPersonality", "LockPersonalty");
    std::fs::write(&path, wrong).expect("a fresh folder is writable");
    assert_ne!(complaints(&verify(&path)), [""; 0]);
}

#[test]
fn the_container_runs_the_program_as_nobody_special() {
    let text = text("Containerfile");
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let steps: Vec<(&str, &str)> = lines
        .map(|line| line.split_once(' ').unwrap_or_else(|| panic!("{line}")))
        .collect();
    let known = [
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "VOLUME",
        "EXPOSE",
        "USER",
        "STOPSIGNAL",
        "ENTRYPOINT",
        "CMD",
    ];
    for (step, _) in &steps {
        assert!(known.contains(step), "{step} is no step of a Containerfile");
    }
    assert_eq!(steps[0].0, "FROM");
    let all = |step: &str| -> Vec<&str> {
        steps
            .iter()
            .filter(|(found, _)| *found == step)
            .map(|(_, rest)| *rest)
            .collect()
    };
    assert_eq!(all("FROM").len(), 2, "what builds is not what runs");
    for image in all("FROM") {
        assert!(
            image.contains(':') && !image.contains("latest"),
            "{image} has no version"
        );
    }
    assert_eq!(all("USER"), ["65532:65532"]);
    assert_eq!(all("EXPOSE"), ["4370/udp 5370/udp"]);
    let list = |step: &str| -> Vec<String> {
        serde_json::from_str(all(step)[0]).expect("the form without a shell")
    };
    assert_eq!(list("ENTRYPOINT"), ["/usr/local/bin/convoke"]);
    assert_eq!(list("CMD"), ["start"]);
    let version = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let version = std::fs::read_to_string(version).expect("the workspace's manifest");
    let rust = version
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .expect("it has one");
    assert!(
        all("FROM")[0].contains(rust.trim_matches('"')),
        "it builds with the Rust of the workspace"
    );
}
