//! The watch loop, in tokio's paused time: waits cost nothing, and time is exact.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convoke_discovery::{
    BoxFuture, DiscoverError, Manual, SEEDS_MAX, Seed, Static, Strategy, Watch, WatchOptions, watch,
};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};

/// A strategy that plays a script, one answer a pass, the last one for ever.
struct Script {
    answers: Vec<Answer>,
    asked: Arc<Mutex<Vec<Instant>>>,
    next: AtomicUsize,
}

type Answer = fn() -> BoxFuture<'static, Result<Vec<Seed>, DiscoverError>>;

impl Strategy for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
        self.asked
            .lock()
            .expect("no test panics while it holds the lock")
            .push(Instant::now());
        let turn = self
            .next
            .fetch_add(1, Ordering::Relaxed)
            .min(self.answers.len() - 1);
        self.answers[turn]()
    }
}

fn one() -> BoxFuture<'static, Result<Vec<Seed>, DiscoverError>> {
    Box::pin(async { Ok(vec![seed("convoke1@10.0.0.1")]) })
}

fn fails() -> BoxFuture<'static, Result<Vec<Seed>, DiscoverError>> {
    Box::pin(async { Err(DiscoverError::source("the directory is closed")) })
}

fn hangs() -> BoxFuture<'static, Result<Vec<Seed>, DiscoverError>> {
    Box::pin(std::future::pending())
}

fn panics() -> BoxFuture<'static, Result<Vec<Seed>, DiscoverError>> {
    Box::pin(async { panic!("an index out of bounds") })
}

fn seed(text: &str) -> Seed {
    text.parse().expect("the test writes valid seeds")
}

struct Running {
    watch: Watch,
    proposed: mpsc::UnboundedReceiver<(Instant, Seed)>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Running {
    fn start(answers: &[Answer], options: WatchOptions) -> Self {
        let asked = Arc::default();
        let strategy = Script {
            answers: answers.to_vec(),
            asked: Arc::clone(&asked),
            next: AtomicUsize::new(0),
        };
        let (watch, proposed) = run(Arc::new(strategy), options);
        Self {
            watch,
            proposed,
            asked,
        }
    }

    async fn next(&mut self) -> (Instant, Seed) {
        let next = timeout(Duration::from_secs(600), self.proposed.recv()).await;
        next.expect("a proposal within ten minutes")
            .expect("the loop lives")
    }

    /// How long the loop waited between its passes.
    fn waits(&self) -> Vec<f64> {
        let asked = self
            .asked
            .lock()
            .expect("no test panics while it holds the lock");
        asked
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).as_secs_f64())
            .collect()
    }
}

fn run(
    strategy: Arc<dyn Strategy>,
    options: WatchOptions,
) -> (Watch, mpsc::UnboundedReceiver<(Instant, Seed)>) {
    let (sender, proposed) = mpsc::unbounded_channel();
    let watch = watch(strategy, options, move |seed| {
        let sender = sender.clone();
        Box::pin(async move {
            // The test may be over.
            let _ = sender.send((Instant::now(), seed));
        })
    });
    (watch, proposed)
}

fn every(interval: u64) -> WatchOptions {
    WatchOptions {
        interval: Duration::from_secs(interval),
        jitter_seed: 7,
        ..WatchOptions::default()
    }
}

#[tokio::test(start_paused = true)]
async fn it_asks_at_once_and_then_every_interval_and_proposes_every_time() {
    let start = Instant::now();
    let mut running = Running::start(&[one], every(8));
    assert_eq!(running.next().await, (start, seed("convoke1@10.0.0.1")));
    for _ in 0..20 {
        running.next().await;
    }
    let waits = running.waits();
    assert!(
        waits.iter().all(|wait| (6.0..=10.01).contains(wait)),
        "a quarter around 8 s: {waits:?}"
    );
    assert!(
        waits.windows(2).any(|pair| (pair[0] - pair[1]).abs() > 0.1),
        "jittered: {waits:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_are_retried_ever_later_but_within_a_minute() {
    let mut running = Running::start(
        &[fails, fails, fails, fails, fails, fails, fails, fails, one],
        every(5),
    );
    running.next().await;
    let waits = running.waits();
    for (failures, wait) in waits.iter().enumerate() {
        let full = 2f64.powi(failures as i32).min(60.0);
        assert!(
            (full / 2.0 - 0.01..=full + 0.01).contains(wait),
            "{failures}: {wait} of {full}"
        );
    }
    assert_eq!(waits.len(), 8);
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_the_last_result_since_when_and_what_comes_next() {
    let mut running = Running::start(&[fails, fails, one], every(5));
    assert!(running.watch.status().last.is_none());
    assert!(running.watch.run_once().await.is_err());
    let status = running.watch.status();
    let first = status.last.expect("a pass has ended");
    assert!(status.enabled && status.strategy == "script");
    assert_eq!(
        first.outcome.expect_err("it failed").to_string(),
        "the directory is closed"
    );
    assert!(first.failures >= 1);
    running.next().await;
    while running.watch.status().next.is_none() {
        tokio::task::yield_now().await;
    }
    let second = running.watch.status().last.expect("a pass has ended");
    assert_eq!(
        second.outcome.expect("it went well").seeds,
        [seed("convoke1@10.0.0.1")]
    );
    assert_eq!(second.failures, 0);
    assert!(second.since >= first.since);
}

#[tokio::test(start_paused = true)]
async fn a_slow_strategy_is_given_up_and_a_panicking_one_does_not_end_the_loop() {
    let start = Instant::now();
    let mut running = Running::start(&[hangs, panics, one], every(5));
    let error = running
        .watch
        .run_once()
        .await
        .expect_err("the second pass panics")
        .to_string();
    assert!(error.contains("an index out of bounds"), "{error}");
    assert!(
        start.elapsed() >= Duration::from_secs(10),
        "the first pass had its 10 s"
    );
    running.next().await;
}

#[tokio::test(start_paused = true)]
async fn a_disabled_loop_asks_only_when_told_and_an_enabled_one_at_once() {
    let mut running = Running::start(
        &[one],
        WatchOptions {
            enabled: false,
            ..every(5)
        },
    );
    let quiet = timeout(Duration::from_secs(3600), running.proposed.recv()).await;
    assert!(quiet.is_err(), "it proposed something while disabled");
    assert!(running.watch.status().next.is_none());

    let found = running.watch.run_once().await.expect("the script answers");
    assert_eq!(found.seeds, [seed("convoke1@10.0.0.1")]);
    assert!(
        running.proposed.try_recv().is_ok(),
        "proposed before run_once returned"
    );
    assert!(
        timeout(Duration::from_secs(3600), running.proposed.recv())
            .await
            .is_err()
    );

    let enabled_at = Instant::now();
    running.watch.enable();
    assert_eq!(running.next().await.0, enabled_at);
    running.watch.disable();
    assert!(
        timeout(Duration::from_secs(3600), running.proposed.recv())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_proposed_by_a_pass_during_which_discovery_was_disabled() {
    fn slow() -> BoxFuture<'static, Result<Vec<Seed>, DiscoverError>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            Ok(vec![seed("convoke1@10.0.0.1")])
        })
    }
    let mut running = Running::start(&[slow], every(5));
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.watch.disable();
    assert!(
        timeout(Duration::from_secs(3600), running.proposed.recv())
            .await
            .is_err()
    );
    assert_eq!(running.waits().len(), 0, "one pass");
}

#[tokio::test(start_paused = true)]
async fn proposals_are_bounded_in_number_and_in_time() {
    let many = |port: usize| Seed::Address(([10, 0, 0, 1], port as u16).into());
    let strategy = Static::new((1..=2 * SEEDS_MAX).map(many).chain([many(1)]).collect());
    let (sender, mut proposed) = mpsc::unbounded_channel();
    let options = WatchOptions {
        enabled: false,
        ..every(5)
    };
    let watch = watch(Arc::new(strategy), options, move |seed| {
        let sender = sender.clone();
        Box::pin(async move {
            let _ = sender.send(seed);
        })
    });
    let found = watch.run_once().await.expect("a list answers");
    assert_eq!(found.seeds.len(), SEEDS_MAX);
    let handed_on = std::iter::from_fn(|| proposed.try_recv().ok()).count();
    assert_eq!(handed_on, SEEDS_MAX);

    let strategy = Arc::new(Static::new(vec![many(1)]));
    let stuck = convoke_discovery::watch(strategy, every(5), |_| Box::pin(std::future::pending()));
    let found = timeout(Duration::from_secs(60), stuck.run_once())
        .await
        .expect("bounded by the timeout");
    assert_eq!(found.expect("a list answers").seeds, [many(1)]);
}

#[tokio::test(start_paused = true)]
async fn manual_finds_nothing() {
    let (watch, mut proposed) = run(Arc::new(Manual), every(5));
    assert_eq!(watch.run_once().await.expect("it never fails").seeds, []);
    assert!(
        timeout(Duration::from_secs(60), proposed.recv())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_ends_the_loop() {
    let mut running = Running::start(&[one], every(5));
    running.next().await;
    drop(running.watch);
    while running.proposed.recv().await.is_some() {}
}

/// A source that lists whoever registers, and says when its list changed.
#[derive(Default)]
struct Register {
    calls: Mutex<Vec<&'static str>>,
    refuses: AtomicBool,
    changed: Notify,
}

impl Register {
    fn note(&self, call: &'static str) {
        self.calls
            .lock()
            .expect("no test panics while it holds the lock")
            .push(call);
    }

    /// The calls since the last look.
    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(
            &mut *self
                .calls
                .lock()
                .expect("no test panics while it holds the lock"),
        )
    }

    fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|of| **of == call).count()
    }
}

impl Strategy for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn discover(&self) -> BoxFuture<'_, Result<Vec<Seed>, DiscoverError>> {
        self.note("discover");
        one()
    }

    fn register(&self) -> BoxFuture<'_, Result<(), DiscoverError>> {
        self.note("register");
        let refused = self.refuses.load(Ordering::Relaxed);
        Box::pin(async move {
            match refused {
                true => Err(DiscoverError::source("no permission")),
                false => Ok(()),
            }
        })
    }

    fn withdraw(&self) -> BoxFuture<'_, Result<(), DiscoverError>> {
        self.note("withdraw");
        Box::pin(async { Ok(()) })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.changed.notified())
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_is_registered_while_the_loop_is_enabled_and_withdrawn_once_when_it_is_not() {
    let source = Arc::new(Register::default());
    let options = WatchOptions {
        enabled: false,
        ..every(5)
    };
    let (watch, _proposed) = run(source.clone(), options);
    watch.run_once().await.expect("the source answers");
    assert_eq!(source.calls(), ["discover"], "disabled: not registered");
    assert!(watch.status().registration.is_none());

    watch.enable();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let registration = watch.status().registration.expect("it registers");
    assert!(registration.outcome.is_ok());
    let calls = source.calls();
    assert!(
        calls.len() >= 16 && !calls.contains(&"withdraw"),
        "{calls:?}"
    );

    watch.disable();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(source.calls(), ["withdraw"]);
    assert!(watch.status().registration.is_none());

    watch.enable();
    settle().await;
    assert_eq!(source.count("register"), 1, "at once");
    watch.shutdown().await;
    assert_eq!(source.calls(), ["withdraw"]);
    assert!(
        watch.run_once().await.is_err(),
        "the loop has ended, and says so"
    );
    watch.shutdown().await;
    assert_eq!(source.calls(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_source_that_takes_no_registration_is_believed_all_the_same_and_asked_again() {
    let source = Arc::new(Register::default());
    source.refuses.store(true, Ordering::Relaxed);
    let (watch, mut proposed) = run(source.clone(), every(5));
    assert!(proposed.recv().await.is_some());
    settle().await;
    let registration = watch.status().registration.expect("it was tried");
    let reason = registration
        .outcome
        .expect_err("it was refused")
        .to_string();
    assert_eq!(reason, "no permission");
    assert!(watch.status().last.expect("a pass").outcome.is_ok());

    source.refuses.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(20)).await;
    let registration = watch.status().registration.expect("it was tried");
    assert!(registration.outcome.is_ok());
}

#[tokio::test(start_paused = true)]
async fn news_cause_a_pass_at_once_but_a_flood_of_them_no_flood_of_passes() {
    let source = Arc::new(Register::default());
    let (watch, mut proposed) = run(source.clone(), every(3600));
    proposed.recv().await.expect("the first pass");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(source.count("discover"), 1);

    source.changed.notify_one();
    settle().await;
    assert_eq!(source.count("discover"), 1, "at once");

    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        source.changed.notify_one();
        settle().await;
    }
    let passes = source.count("discover");
    assert!((40..=51).contains(&passes), "five a second: {passes}");

    watch.disable();
    source.changed.notify_one();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(source.calls(), ["withdraw"]);
}
