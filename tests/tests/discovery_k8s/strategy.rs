//! The strategy alone: what it asks, hears and complains of.

use std::net::Ipv4Addr;
use std::time::Duration;

use convoke_discovery::k8s::{AddressType, K8s, K8sOptions};
use convoke_discovery::{Seed, Strategy};
use convoke_tests::Fleet;
use convoke_tests::server::{Authority, KubernetesReplay, Pod};
use tokio::time::timeout;

/// How long anything that is not timed by a test may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must happen for it to count.
const QUIET: Duration = Duration::from_millis(400);

fn options(replay: &KubernetesReplay) -> K8sOptions {
    K8sOptions {
        service_name: "convoke".into(),
        app_name: "app".into(),
        kubeconfig: Some(replay.kubeconfig()),
        ..K8sOptions::default()
    }
}

fn pod(n: u8, ready: bool) -> Pod {
    Pod {
        address: Ipv4Addr::new(10, 1, 0, n),
        hostname: Some(format!("pod-{n}")),
        ready,
    }
}

async fn found(strategy: &K8s) -> Vec<String> {
    let mut found: Vec<String> = strategy
        .discover()
        .await
        .expect("it answers")
        .iter()
        .map(Seed::to_string)
        .collect();
    found.sort_unstable();
    found
}

async fn complaint(options: K8sOptions) -> String {
    K8s::new(options)
        .discover()
        .await
        .expect_err("it can't be asked")
        .to_string()
}

#[track_caller]
fn expect_words(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
}

async fn news(strategy: &K8s) {
    timeout(PATIENCE, strategy.changed())
        .await
        .expect("there is news");
}

/// Asks after each news, until this is found: that a watch has ended is news too.
async fn until_found(strategy: &K8s, enough: impl Fn(&[String]) -> bool) {
    loop {
        news(strategy).await;
        if enough(&found(strategy).await) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_are_found_ready_or_not_and_named_as_configured() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    assert_eq!(found(&K8s::new(options(&replay))).await, [""; 0]);
    replay.set("convoke-a", &[pod(1, true), pod(2, false)]);
    replay.set("convoke-b", &[pod(3, true)]);
    let named = async |address_type, suffix: &str| {
        let suffix = suffix.into();
        found(&K8s::new(K8sOptions {
            address_type,
            suffix,
            ..options(&replay)
        }))
        .await
    };
    assert_eq!(
        named(AddressType::Ip, "").await,
        ["app@10.1.0.1", "app@10.1.0.2", "app@10.1.0.3"]
    );
    let dns = named(AddressType::Dns, "pod.cluster.local").await;
    assert_eq!(dns[0], "app@10-1-0-1.fleet.pod.cluster.local");
    let hostname = named(AddressType::Hostname, "svc.cluster.local").await;
    assert_eq!(hostname[2], "app@pod-3.convoke.fleet.svc.cluster.local");
    let elsewhere = K8sOptions {
        service_name: "other".into(),
        ..options(&replay)
    };
    assert_eq!(found(&K8s::new(elsewhere)).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_have_no_host_name_to_be_named_by_are_told_and_followed_all_the_same() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    let nameless = Pod {
        hostname: None,
        ..pod(1, true)
    };
    replay.set("convoke-a", std::slice::from_ref(&nameless));
    let strategy = K8s::new(K8sOptions {
        address_type: AddressType::Hostname,
        ..options(&replay)
    });
    let error = strategy.discover().await.expect_err("none can be named");
    let words = [
        "1 pods",
        "host name",
        "serviceName",
        "cluster.k8s.address_type",
    ];
    expect_words(&error.to_string(), &words);
    assert!(strategy.source().contains("convoke, namespace fleet"));
    replay.set("convoke-a", &[nameless, pod(2, true)]);
    news(&strategy).await;
    assert_eq!(found(&strategy).await, ["app@pod-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_slices_than_a_page_are_all_read() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    for n in 0..230 {
        replay.set(&format!("convoke-{n}"), &[pod(n, true)]);
    }
    assert_eq!(found(&K8s::new(options(&replay))).await.len(), 230);
    assert_eq!(replay.asked("list"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_once_and_then_kept_up_to_date_by_a_watch() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    replay.set("convoke-a", &[pod(1, true)]);
    let strategy = K8s::new(options(&replay));
    found(&strategy).await;
    // What happens while nobody listens is told to who listens next.
    replay.set("convoke-a", &[pod(1, true), pod(2, true)]);
    news(&strategy).await;
    assert_eq!(found(&strategy).await, ["app@10.1.0.1", "app@10.1.0.2"]);
    timeout(QUIET, async {
        let (_, ()) = tokio::join!(strategy.changed(), async { replay.bookmark() });
    })
    .await
    .expect_err("a bookmark is no news");
    found(&strategy).await;
    for step in 0..4 {
        replay.end_watches();
        let newcomer = format!("app@10.1.0.{}", 10 + step);
        tokio::join!(
            until_found(&strategy, |found| found.contains(&newcomer)),
            async { replay.set("convoke-b", &[pod(10 + step, true)]) }
        );
    }
    replay.delete("convoke-a");
    until_found(&strategy, |found| found == ["app@10.1.0.13"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_watch_stands_nothing_is_asked() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    replay.set("convoke-a", &[pod(1, true)]);
    let strategy = K8s::new(options(&replay));
    found(&strategy).await;
    let asking = async {
        while replay.asked("watch") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let before = replay.asked("list");
        for n in 2..6 {
            found(&strategy).await;
            replay.set("convoke-a", &[pod(n, true)]);
        }
        before
    };
    let listening = async {
        let mut heard = 0;
        while heard < 4 {
            news(&strategy).await;
            heard += 1;
        }
    };
    let (before, ()) = tokio::join!(asking, listening);
    assert_eq!(found(&strategy).await, ["app@10.1.0.5"]);
    assert_eq!((replay.asked("list"), replay.asked("watch")), (before, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_ends_at_its_limit_is_taken_up_where_it_ended() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    replay.set("convoke-a", &[pod(1, true)]);
    let strategy = K8s::new(options(&replay));
    found(&strategy).await;
    let watches = async |count| {
        while replay.asked("watch") < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ((), ()) = tokio::join!(news(&strategy), async {
        watches(1).await;
        // What ends sooner counts as failed.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        replay.end_watches();
        watches(2).await;
        replay.set("convoke-a", &[pod(2, true)]);
    });
    assert_eq!(found(&strategy).await, ["app@10.1.0.2"]);
    assert_eq!(replay.asked("list"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_too_old_causes_a_new_list() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    replay.set("convoke-a", &[pod(1, true)]);
    let strategy = K8s::new(options(&replay));
    found(&strategy).await;
    replay.set("convoke-a", &[pod(2, true)]);
    replay.compact();
    news(&strategy).await;
    assert_eq!(found(&strategy).await, ["app@10.1.0.2"]);
    assert_eq!(replay.asked("list"), 2);
    // And goes on from there.
    replay.set("convoke-a", &[pod(3, true)]);
    news(&strategy).await;
    assert_eq!(found(&strategy).await, ["app@10.1.0.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_and_comes_is_followed_again() {
    let fleet = Fleet::new();
    let mut replay = KubernetesReplay::start(&fleet);
    replay.set("convoke-a", &[pod(1, true)]);
    let strategy = K8s::new(options(&replay));
    found(&strategy).await;
    let (waited, ()) = tokio::join!(timeout(PATIENCE, strategy.changed()), async {
        while replay.asked("watch") == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        replay.kill();
    });
    waited.expect("the loss is news");
    let error = strategy
        .discover()
        .await
        .expect_err("it is down")
        .to_string();
    expect_words(&error, &["can't be reached", "refused"]);
    replay.start_again();
    replay.set("convoke-a", &[pod(2, true)]);
    assert_eq!(found(&strategy).await, ["app@10.1.0.2"]);
    replay.set("convoke-a", &[pod(3, true)]);
    news(&strategy).await;
    assert_eq!(found(&strategy).await, ["app@10.1.0.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_tells_the_rule_that_is_missing() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    replay.forbid(Some("list"));
    let error = complaint(options(&replay)).await;
    expect_words(
        &error,
        &[
            "list EndpointSlices in the namespace \"fleet\"",
            r#"{apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"]}"#,
            "RoleBinding",
            "system:serviceaccount:fleet:convoke",
        ],
    );
    // Who may list and not watch is asked at every pass.
    replay.forbid(Some("watch"));
    let strategy = K8s::new(options(&replay));
    replay.set("convoke-a", &[pod(1, true)]);
    found(&strategy).await;
    timeout(QUIET, strategy.changed())
        .await
        .expect_err("nothing is known of news");
    replay.set("convoke-a", &[pod(2, true)]);
    assert_eq!(found(&strategy).await, ["app@10.1.0.2"]);
    assert!(replay.asked("watch") <= 2, "it asks less and less often");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_authorities_and_addresses_are_told_apart() {
    let fleet = Fleet::new();
    let replay = KubernetesReplay::start(&fleet);
    let authority = Authority::new();
    let with = |file| K8sOptions {
        kubeconfig: Some(file),
        ..options(&replay)
    };
    let right = replay.service_account().join("ca.crt");
    let error = complaint(with(replay.kubeconfig_with(&right, "another-token"))).await;
    expect_words(&error, &["does not accept the credentials"]);
    let error = complaint(with(
        replay.kubeconfig_with(&authority.certificate(), "token"),
    ))
    .await;
    expect_words(
        &error,
        &["certificate can't be trusted", "invalid peer certificate"],
    );
    let error = complaint(with("/nowhere/kubeconfig".into())).await;
    expect_words(&error, &["/nowhere/kubeconfig"]);
    let elsewhere = K8sOptions {
        namespace: Some("other".into()),
        ..options(&replay)
    };
    let error = complaint(elsewhere).await;
    expect_words(&error, &["in the namespace \"other\"", "Role there"]);
    let apiserver = Some(format!("{}/elsewhere", replay.url()));
    let error = complaint(K8sOptions {
        apiserver,
        ..options(&replay)
    })
    .await;
    expect_words(&error, &["has no EndpointSlices", "cluster.k8s.apiserver"]);
    let apiserver = Some(format!("https://{}:1", fleet.address(1)));
    let error = complaint(K8sOptions {
        apiserver,
        ..options(&replay)
    })
    .await;
    expect_words(&error, &["can't be reached"]);
    let apiserver = Some(replay.url());
    assert_eq!(
        found(&K8s::new(K8sOptions {
            apiserver,
            ..options(&replay)
        }))
        .await,
        [""; 0]
    );
}
