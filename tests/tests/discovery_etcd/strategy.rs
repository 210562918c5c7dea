//! The strategy alone: what it writes, reads, hears and complains of.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use convoke_discovery::etcd::{ClientFiles, Credentials, Etcd as Found, EtcdOptions, TlsFiles};
use convoke_discovery::{Me, Seed, Strategy};
use convoke_tests::Fleet;
use convoke_tests::server::{Authority, Etcd, Issued};
use tokio::time::{sleep, timeout};

/// How long anything that is not timed by a test may take.
const PATIENCE: Duration = Duration::from_secs(20);
const TTL: Duration = Duration::from_secs(3);

fn me(node: u8) -> Me {
    me_in("fleet", node)
}

fn me_in(cluster: &str, node: u8) -> Me {
    Me {
        name: format!("n{node}@10.0.0.{node}").parse().expect("a name"),
        address: format!("10.0.0.{node}:4370").parse().expect("an address"),
        cluster: cluster.into(),
    }
}

fn seed(node: u8) -> Seed {
    Seed::Address(me(node).address)
}

fn options(urls: &[String]) -> EtcdOptions {
    EtcdOptions {
        servers: urls.iter().map(|url| url.parse().expect("a URL")).collect(),
        node_ttl: TTL,
        ..EtcdOptions::default()
    }
}

fn at(etcd: &Etcd, node: u8) -> Found {
    Found::new(&me(node), options(&etcd.urls()))
}

fn key(node: u8) -> String {
    format!("convokecl/fleet/nodes/n{node}@10.0.0.{node}")
}

async fn found(strategy: &Found) -> Vec<Seed> {
    strategy.discover().await.expect("etcd answers")
}

async fn register(strategy: &Found) {
    strategy.register().await.expect("etcd takes it");
}

/// Both sides of the strategy, which ask for themselves, must complain in these words.
async fn expect_complaint(options: EtcdOptions, words: &[&str]) {
    let password = options
        .credentials
        .clone()
        .map(|credentials| credentials.password);
    let strategy = Found::new(&me(1), options);
    let asked = strategy.discover().await.expect_err("it can't be asked");
    expect_words(&asked.to_string(), words);
    let told = strategy.register().await.expect_err("it can't be told");
    expect_words(&told.to_string(), words);
    let shown = format!("{asked} {asked:?} {told} {told:?}");
    assert!(
        !password.is_some_and(|password| shown.contains(&password)),
        "the password is shown: {shown}"
    );
}

#[track_caller]
fn expect_words(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
}

/// Waits until etcd has exactly these keys; returns how long that took.
async fn until_keys(etcd: &Etcd, expected: &[String]) -> Duration {
    let began = Instant::now();
    loop {
        let keys = etcd.keys("");
        if keys == expected {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "{keys:?}, not {expected:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_register_are_found_and_those_that_withdraw_are_not() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let (one, two) = (at(&etcd, 1), at(&etcd, 2));
    assert_eq!(found(&one).await, []);
    register(&one).await;
    register(&two).await;
    assert_eq!(etcd.keys(""), [key(1), key(2)]);
    let value = etcd.ctl(&["get", "--print-value-only", &key(2)]);
    expect_words(
        &value,
        &[r#""address":"10.0.0.2:4370""#, r#""node":"n2@10.0.0.2""#],
    );
    assert_eq!(found(&one).await, [seed(1), seed(2)]);
    one.withdraw().await.expect("etcd takes it back");
    assert_eq!(etcd.keys(""), [key(2)]);
    assert_eq!(found(&two).await, [seed(2)]);
    one.withdraw().await.expect("it is taken back already");
    let leases = etcd.ctl(&["lease", "list"]);
    assert_eq!(
        leases.lines().count(),
        2,
        "a heading and one lease: {leases}"
    );
    register(&one).await;
    assert_eq!(found(&two).await, [seed(1), seed(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_outlives_its_time_to_live_while_its_process_lives_and_no_longer() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let (one, two) = (at(&etcd, 1), at(&etcd, 2));
    register(&one).await;
    register(&two).await;
    sleep(TTL * 3).await;
    assert_eq!(etcd.keys(""), [key(1), key(2)]);
    // As if its process were killed: nobody keeps the lease alive, nobody revokes it.
    drop(two);
    let took = until_keys(&etcd, &[key(1)]).await;
    // It was kept alive up to a third of its time before; etcd looks twice a second.
    assert!(took > TTL / 6 && took < TTL * 3, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_of_other_names_and_prefixes_never_meet_in_one_etcd() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let of = |prefix: &str, cluster: &str, node| {
        let prefix = prefix.into();
        Found::new(
            &me_in(cluster, node),
            EtcdOptions {
                prefix,
                ..options(&etcd.urls())
            },
        )
    };
    let all = [
        of("convokecl", "fleet", 1),
        of("convokecl", "fleet2", 2),
        of("convokecl", "fleet/nodes", 3),
        of("convokecl/fleet/nodes", "x", 4),
        of("convokecl", "zzz", 5),
        of("zzz", "fleet", 6),
        of("convokecl", "fleet%2Fnodes", 7),
    ];
    for strategy in &all {
        register(strategy).await;
    }
    etcd.ctl(&["put", "convokecl/fleet/nodes0", "{}"]);
    etcd.ctl(&["put", "zzzz", "{}"]);
    for (node, strategy) in (1..).zip(&all) {
        assert_eq!(found(strategy).await, [seed(node)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_by_hand_is_read_and_garbage_passed_over() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    etcd.ctl(&["put", "convokecl/fleet/nodes/a@10.0.0.9", ""]);
    etcd.ctl(&["put", "convokecl/fleet/nodes/b@10.0.0.9", "garbage"]);
    etcd.ctl(&[
        "put",
        "convokecl/fleet/nodes/garbage",
        r#"{"address":"10.0.0.8:1"}"#,
    ]);
    etcd.ctl(&[
        "put",
        "convokecl/fleet/nodes/c@h.example",
        r#"{"address":"10.0.0.7:1"}"#,
    ]);
    let expected = ["a@10.0.0.9", "10.0.0.7:1"].map(|text| text.parse::<Seed>().expect(text));
    assert_eq!(found(&at(&etcd, 1)).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_is_news_and_the_own_registration_is_none() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let (one, two) = (at(&etcd, 1), at(&etcd, 2));
    found(&one).await;
    register(&one).await;
    let quiet = timeout(Duration::from_millis(500), one.changed()).await;
    quiet.expect_err("the own registration is no news");
    // What happens while nobody listens is told to who listens next.
    register(&two).await;
    timeout(PATIENCE, one.changed())
        .await
        .expect("a newcomer is news");
    assert_eq!(found(&one).await, [seed(1), seed(2)]);
    let (waited, ()) = tokio::join!(timeout(PATIENCE, one.changed()), async {
        two.withdraw().await.expect("etcd takes it back");
    });
    waited.expect("who goes is news");
    assert_eq!(found(&one).await, [seed(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_etcd_has_thrown_away_cause_a_new_list() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let one = at(&etcd, 1);
    register(&one).await;
    found(&one).await;
    for _ in 0..3 {
        etcd.ctl(&["put", "elsewhere", "x"]);
    }
    let status = etcd.ctl(&["get", "elsewhere", "-w", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).expect("etcdctl prints JSON");
    etcd.ctl(&["compaction", &status["header"]["revision"].to_string()]);
    timeout(PATIENCE, one.changed())
        .await
        .expect("a list is needed");
    found(&one).await;
    timeout(Duration::from_millis(500), one.changed())
        .await
        .expect_err("nothing is new since");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_deleted_by_hand_is_written_down_again() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let one = at(&etcd, 1);
    register(&one).await;
    found(&one).await;
    etcd.ctl(&["del", &key(1)]);
    timeout(PATIENCE, one.changed()).await.expect("it is news");
    assert_eq!(found(&one).await, []);
    register(&one).await;
    assert_eq!(found(&one).await, [seed(1)]);
    // And still on the lease.
    one.withdraw().await.expect("etcd takes it back");
    assert_eq!(etcd.keys(""), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_etcd_lost_is_news_and_is_replaced() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start(&fleet);
    let one = at(&etcd, 1);
    register(&one).await;
    let leases = etcd.ctl(&["lease", "list"]);
    let lease = leases.lines().nth(1).expect("there is one");
    etcd.ctl(&["lease", "revoke", lease]);
    timeout(PATIENCE, one.changed())
        .await
        .expect("the loss is news");
    register(&one).await;
    assert_eq!(etcd.keys(""), [key(1)]);

    etcd.kill(0);
    one.discover().await.expect_err("etcd is down");
    etcd.start_afresh(0);
    timeout(PATIENCE, one.changed())
        .await
        .expect("the loss is news");
    register(&one).await;
    assert_eq!(found(&one).await, [seed(1)]);
    sleep(TTL * 2).await;
    assert_eq!(etcd.keys(""), [key(1)], "the new lease is kept alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_down_for_longer_than_a_lease_has_it_still_when_it_is_back() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start(&fleet);
    let one = at(&etcd, 1);
    register(&one).await;
    etcd.kill(0);
    sleep(TTL * 2).await;
    etcd.start_again(0);
    sleep(TTL * 2).await;
    assert_eq!(etcd.keys(""), [key(1)]);
    assert_eq!(found(&one).await, [seed(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_any_one_of_three_servers_goes_unnoticed() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start_three(&fleet);
    let (one, two) = (at(&etcd, 1), at(&etcd, 2));
    register(&one).await;
    register(&two).await;
    for victim in 0..3 {
        found(&one).await;
        found(&two).await;
        etcd.kill(victim);
        for _ in 0..3 {
            assert_eq!(found(&one).await, [seed(1), seed(2)], "without {victim}");
            assert_eq!(found(&two).await, [seed(1), seed(2)], "without {victim}");
            register(&one).await;
        }
        if victim == 0 {
            found(&one).await;
            listening_for(&one, TTL * 2).await;
        }
        etcd.start_again(victim);
    }
    assert_eq!(etcd.keys(""), [key(1), key(2)]);
}

/// Listens, and must hear nothing.
async fn listening_for(strategy: &Found, span: Duration) {
    timeout(span, strategy.changed())
        .await
        .expect_err("nobody came or went");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_nodes_than_a_page_are_found_and_more_than_nodes_would_write_is_an_error() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let one = at(&etcd, 1);
    for batch in 0..6 {
        let puts: Vec<String> = (0..100)
            .map(|n| format!("put convokecl/fleet/nodes/n{n}@10.0.{batch}.1 \"\"\n"))
            .collect();
        etcd.transaction(&puts.concat());
    }
    assert_eq!(found(&one).await.len(), 600);
    let large = "x".repeat(1_400_000);
    for n in 0..4 {
        etcd.put_long(&format!("convokecl/fleet/nodes/long{n}@h"), &large);
    }
    let error = one
        .discover()
        .await
        .expect_err("five megabytes")
        .to_string();
    expect_words(&error, &["convokecl/fleet/nodes/", "cluster.etcd.prefix"]);
    register(&one).await;
}

fn secured(etcd: &Etcd, ca: &Authority, client: Option<&Issued>) -> EtcdOptions {
    let client = client.map(|issued| ClientFiles {
        certificate: issued.certificate.clone(),
        key: issued.key.clone(),
    });
    let tls = Some(TlsFiles {
        ca: ca.certificate(),
        client,
    });
    EtcdOptions {
        tls,
        ..options(&etcd.urls())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_both_sides_show_who_they_are() {
    let fleet = Fleet::new();
    let etcd = Etcd::start_tls(&fleet);
    let tls = etcd.tls();
    let right = Found::new(&me(1), secured(&etcd, &tls.authority, Some(&tls.client)));
    register(&right).await;
    assert_eq!(found(&right).await, [seed(1)]);

    let stranger = Authority::new();
    expect_complaint(
        secured(&etcd, &stranger, Some(&tls.client)),
        &[
            "not signed by an authority in cluster.etcd.ssl.cacertfile",
            &etcd.urls()[0],
        ],
    )
    .await;
    expect_complaint(
        secured(&etcd, &tls.authority, None),
        &[
            "refuses the certificate of this node",
            "cluster.etcd.ssl.certfile",
        ],
    )
    .await;
    let strange = stranger.issue("client", None);
    expect_complaint(
        secured(&etcd, &tls.authority, Some(&strange)),
        &["refuses the certificate of this node"],
    )
    .await;
    let plain = etcd
        .urls()
        .iter()
        .map(|url| url.replace("https", "http"))
        .collect::<Vec<_>>();
    expect_complaint(options(&plain), &["https://"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_tls_are_read_at_every_connection_and_named_when_they_are_wrong() {
    let fleet = Fleet::new();
    let etcd = Etcd::start_tls(&fleet);
    let tls = etcd.tls();
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let ca = folder.path().join("authority.pem");
    let files = TlsFiles {
        ca: ca.clone(),
        ..secured(&etcd, &tls.authority, Some(&tls.client))
            .tls
            .expect("it has files")
    };
    let strategy = Found::new(
        &me(1),
        EtcdOptions {
            tls: Some(files),
            ..options(&etcd.urls())
        },
    );
    for text in [None, Some("no certificate")] {
        if let Some(text) = text {
            std::fs::write(&ca, text).expect("a fresh folder is writable");
        }
        let error = strategy
            .discover()
            .await
            .expect_err("there is no authority")
            .to_string();
        expect_words(&error, &["can't read", "authority.pem"]);
    }
    std::fs::copy(tls.authority.certificate(), &ca).expect("a fresh folder is writable");
    assert_eq!(found(&strategy).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_told_from_one_with_it() {
    let fleet = Fleet::new();
    let etcd = Etcd::start(&fleet);
    let authority = Authority::new();
    let tls = TlsFiles {
        ca: authority.certificate(),
        client: None,
    };
    let urls = etcd
        .urls()
        .iter()
        .map(|url| url.replace("http", "https"))
        .collect::<Vec<_>>();
    expect_complaint(
        EtcdOptions {
            tls: Some(tls),
            ..options(&urls)
        },
        &["instead of speaking TLS", "http://"],
    )
    .await;
    expect_complaint(options(&urls), &["cluster.etcd.ssl.cacertfile"]).await;
}

fn with_user(etcd: &Etcd, user: &str, password: &str) -> EtcdOptions {
    let credentials = Some(Credentials {
        user: user.into(),
        password: password.into(),
    });
    EtcdOptions {
        credentials,
        ..options(&etcd.urls())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_known_by_their_password_and_may_do_what_their_role_may() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start(&fleet);
    // Without users whoever has one is served like anybody.
    found(&Found::new(&me(1), with_user(&etcd, "convoke", "secret"))).await;
    etcd.enable_users("convoke", "secret", "convokecl/fleet/nodes/");
    let right = Found::new(&me(1), with_user(&etcd, "convoke", "secret"));
    register(&right).await;
    assert_eq!(found(&right).await, [seed(1)]);
    timeout(Duration::from_millis(300), right.changed())
        .await
        .expect_err("nothing is new");

    expect_complaint(
        with_user(&etcd, "convoke", "wrong"),
        &["refuses the user \"convoke\"", "cluster.etcd.password"],
    )
    .await;
    expect_complaint(
        with_user(&etcd, "nobody", "secret"),
        &["refuses the user \"nobody\""],
    )
    .await;
    expect_complaint(
        options(&etcd.urls()),
        &["wants a user and a password", "cluster.etcd.username"],
    )
    .await;
    let elsewhere = EtcdOptions {
        prefix: "elsewhere".into(),
        ..with_user(&etcd, "convoke", "secret")
    };
    expect_complaint(
        elsewhere,
        &[
            "does not let the user \"convoke\"",
            "etcdctl role grant-permission",
            "elsewhere/fleet/nodes/",
        ],
    )
    .await;
    right.withdraw().await.expect("etcd takes it back");
    assert_eq!(etcd.keys(""), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_run_out_is_renewed() {
    let fleet = Fleet::new();
    let mut etcd = Etcd::start(&fleet);
    etcd.enable_users("convoke", "secret", "convokecl/");
    let one = Found::new(&me(1), with_user(&etcd, "convoke", "secret"));
    register(&one).await;
    found(&one).await;
    // etcd throws away the tokens of a user whose password is set.
    etcd.set_password("convoke", "secret");
    assert_eq!(found(&one).await, [seed(1)]);
    sleep(TTL * 2).await;
    assert_eq!(etcd.keys(""), [key(1)], "the lease is kept alive");
    one.withdraw().await.expect("etcd takes it back");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_etcd_is_told_by_what_it_does() {
    let address = Fleet::new().address(1);
    let url = |port: u16| vec![format!("http://{address}:{port}")];
    expect_complaint(options(&url(1)), &["can't connect", "refused", &url(1)[0]]).await;

    let web = TcpListener::bind((address, 0)).expect("a free port");
    let port = web.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in web.incoming() {
            let answer =
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // Whoever asked may be gone.
            let _ = stream.and_then(|mut stream| stream.write_all(answer));
        }
    });
    expect_complaint(options(&url(port)), &["no etcd"]).await;

    let silent = TcpListener::bind((address, 0)).expect("a free port");
    let port = silent.local_addr().expect("it is bound").port();
    expect_complaint(options(&url(port)), &["no answer within"]).await;

    expect_complaint(
        options(&["http://etcd.invalid:2379".into()]),
        &["can't connect"],
    )
    .await;
}
