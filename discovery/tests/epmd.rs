//! An `epmd` of our own, our clients of one, and everything else that may answer in its place.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use convoke_discovery::epmd::codec::{Entry, Request, encode_found};
use convoke_discovery::epmd::{
    EpmdError, Place, Registering, Registration, Server, Standing, look_up, names,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(300);

/// A place where nobody listens: of loopback alone, below the ports that connections take, and
/// another one for every test of every process.
fn free_place() -> Place {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let listen = vec![Ipv4Addr::LOCALHOST.into()];
    loop {
        let nth = std::process::id() * 31 + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + (nth % 20_000) as u16;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Place { port, listen };
        }
    }
}

/// A server at a place of its own.
fn server() -> (Server, Place, SocketAddr) {
    loop {
        let place = free_place();
        if let Ok(server) = Server::start(&place) {
            let at = (Ipv4Addr::LOCALHOST, place.port).into();
            return (server, place, at);
        }
    }
}

fn registering(name: &str, port: u16, place: &Place) -> Registering {
    Registering {
        name: name.to_owned(),
        port,
        place: place.clone(),
        embedded: false,
    }
}

async fn eventually(what: &str, mut probe: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !probe().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn serves(at: SocketAddr, name: &str, port: u16) -> bool {
    look_up(name, at, PATIENCE).await == Ok(port)
}

#[tokio::test]
async fn a_node_is_found_for_as_long_as_it_is_registered() {
    let (_server, place, at) = server();
    let one = Registration::begin(registering("one", 6369, &place))
        .await
        .unwrap();
    let two = Registration::begin(registering("two", 6370, &place))
        .await
        .unwrap();
    let embedded = false;
    assert_eq!(one.standing(), Standing::Registered { at, embedded });
    assert_eq!(look_up("one", at, PATIENCE).await, Ok(6369));
    let listed = names(at, PATIENCE).await.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|of| (of.name.as_str(), of.port))
        .collect();
    assert_eq!(listed, [("two", 6370), ("one", 6369)], "the newest first");
    drop(one);
    eventually("it is known no more", async || {
        matches!(
            look_up("one", at, PATIENCE).await,
            Err(EpmdError::Unknown { .. })
        )
    })
    .await;
    drop(two);
}

#[tokio::test]
async fn a_name_that_is_taken_is_an_error_that_names_it() {
    let (_server, place, _) = server();
    let _first = Registration::begin(registering("one", 6369, &place))
        .await
        .unwrap();
    let second = Registration::begin(registering("one", 6370, &place)).await;
    let error = second.expect_err("it is taken");
    assert!(matches!(error, EpmdError::Taken { .. }), "{error:?}");
    assert!(error.to_string().contains("epmd -names"), "{error}");
}

#[tokio::test]
async fn a_name_is_back_when_its_server_is() {
    let (server, place, at) = server();
    let mut node = Registration::begin(registering("one", 6369, &place))
        .await
        .unwrap();
    drop(server);
    assert!(matches!(node.changed().await, Standing::Unregistered(_)));
    let started = Instant::now();
    let _server = loop {
        match Server::start(&place) {
            Ok(server) => break server,
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    };
    let back = timeout(PATIENCE, node.changed())
        .await
        .expect("it comes back");
    assert!(matches!(back, Standing::Registered { .. }), "{back:?}");
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(serves(at, "one", 6369).await);
}

#[tokio::test]
async fn where_nobody_serves_one_of_those_who_may_does_and_then_the_next() {
    let place = free_place();
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, place.port));
    let begin = async |name: &str, port| {
        let embedded = true;
        let registering = Registering {
            embedded,
            ..registering(name, port, &place)
        };
        Registration::begin(registering)
            .await
            .expect("no name is taken")
    };
    let first = begin("one", 6369).await;
    let second = begin("two", 6370).await;
    let (mine, others) = (
        Standing::Registered { at, embedded: true },
        Standing::Registered {
            at,
            embedded: false,
        },
    );
    assert_eq!(
        (first.standing(), second.standing()),
        (mine.clone(), others)
    );
    let third = begin("three", 6371).await;
    drop(first);
    eventually("another serves, and all are registered there", async || {
        serves(at, "two", 6370).await && serves(at, "three", 6371).await
    })
    .await;
    eventually("exactly one of them knows that it serves", async || {
        [second.standing(), third.standing()]
            .iter()
            .filter(|standing| **standing == mine)
            .count()
            == 1
    })
    .await;
    let listed = names(at, PATIENCE).await.unwrap();
    assert_eq!(listed.len(), 2, "{listed:?}");
}

/// Answers every connection with these bytes, and then closes it or does not.
async fn pretender(answer: Vec<u8>, closes: bool) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("loopback has ports");
    let at = listener.local_addr().expect("it is bound");
    let task = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            // Closed with something unread, the connection would be reset.
            let length = stream.read_u16().await.unwrap_or_default();
            let mut request = vec![0; length.into()];
            let _ = stream.read_exact(&mut request).await;
            let _ = stream.write_all(&answer).await;
            if !closes {
                kept.push(stream);
            }
        }
    });
    (at, task)
}

#[tokio::test]
async fn whatever_answers_a_look_up_ends_in_a_clear_error_and_in_time() {
    let whole = encode_found(Some(&Entry::of("one", 6369)));
    let other = encode_found(Some(&Entry::of("two", 6369)));
    let mut strange = vec![
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0; 70_000],
        vec![b'w'; 70_000],
        other,
        b"w\x00\x00\x00M\x00\x00\x06\x00\x05\x00\x03one\x00\x00".to_vec(),
        b"w\x00\x11\x12M\x00\x00\x06\x00\x05\xff\xff".to_vec(),
    ];
    strange.push(b"w\x00\x11\x12M\x00\x00\x06\x00\x05\x00\x03\xff\xfe\xfd\x00\x00".to_vec());
    for answer in strange {
        let (at, task) = pretender(answer.clone(), true).await;
        let error = look_up("one", at, PATIENCE).await.expect_err("no answer");
        let head = &answer[..answer.len().min(40)];
        assert!(
            matches!(error, EpmdError::Strange { .. }),
            "{head:?}: {error:?}"
        );
        assert!(error.to_string().contains(&at.to_string()), "{error}");
        task.abort();
    }
    for end in 0..whole.len() {
        let (at, task) = pretender(whole[..end].to_vec(), true).await;
        let error = look_up("one", at, PATIENCE)
            .await
            .expect_err("no whole answer");
        assert_eq!(error, EpmdError::Truncated { at, bytes: end });
        task.abort();
        let (at, task) = pretender(whole[..end].to_vec(), false).await;
        let error = look_up("one", at, SOON).await.expect_err("no whole answer");
        assert_eq!(error, EpmdError::Timeout { at, after: SOON });
        task.abort();
    }
    let (at, task) = pretender(whole, false).await;
    assert_eq!(
        look_up("one", at, PATIENCE).await,
        Ok(6369),
        "it need not close"
    );
    task.abort();
}

#[tokio::test]
async fn a_list_without_an_end_is_an_error() {
    let (at, task) = pretender(b"\0\0\x11\x11".repeat(40_000), true).await;
    let error = names(at, PATIENCE).await.expect_err("no list");
    assert!(matches!(error, EpmdError::Strange { .. }), "{error:?}");
    task.abort();
    let (at, task) = pretender(b"\0\0\x11\x11name one at port 6369\n".to_vec(), false).await;
    let error = names(at, SOON).await.expect_err("it does not end");
    assert_eq!(error, EpmdError::Timeout { at, after: SOON });
    task.abort();
}

#[tokio::test]
async fn a_node_waits_for_a_server_that_answers_nonsense_or_nothing() {
    for (answer, closes) in [
        (b"HTTP/1.1 400\r\n".to_vec(), true),
        (b"v".to_vec(), true),
        (Vec::new(), false),
    ] {
        let (at, task) = pretender(answer, closes).await;
        let place = Place {
            port: at.port(),
            listen: Vec::new(),
        };
        let began = Instant::now();
        let node = Registration::begin(registering("one", 6369, &place))
            .await
            .unwrap();
        assert!(began.elapsed() < PATIENCE);
        assert!(
            matches!(node.standing(), Standing::Unregistered(_)),
            "{:?}",
            node.standing()
        );
        task.abort();
    }
}

#[tokio::test]
async fn a_server_that_takes_a_node_in_and_puts_it_out_at_once_is_not_asked_without_a_pause() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("loopback has ports");
    let place = Place {
        port: listener.local_addr().expect("it is bound").port(),
        listen: Vec::new(),
    };
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            let length = stream.read_u16().await.unwrap_or_default();
            let _ = stream.read_exact(&mut vec![0; length.into()]).await;
            let _ = stream.write_all(b"v\0\0\0\0\x01").await;
        }
    });
    let node = Registration::begin(registering("one", 6369, &place)).await;
    let node = node.expect("it is taken in");
    // Each wait is twice the one before, 50 ms at first.
    let began = Instant::now();
    eventually("it tries again", async || {
        asked.load(Ordering::Relaxed) >= 3
    })
    .await;
    sleep(Duration::from_secs(1).saturating_sub(began.elapsed())).await;
    assert!(
        asked.load(Ordering::Relaxed) < 40,
        "{} tries",
        asked.load(Ordering::Relaxed)
    );
    drop(node);
    task.abort();
}

/// Whether the other end has closed it.
async fn is_closed(stream: &mut TcpStream) -> bool {
    !matches!(
        timeout(Duration::from_millis(1), stream.read(&mut [0; 64])).await,
        Err(_) | Ok(Ok(1..))
    )
}

#[tokio::test]
async fn those_who_say_nothing_are_put_out_and_the_rest_is_served_meanwhile() {
    let (_server, place, at) = server();
    let _node = Registration::begin(registering("one", 6369, &place))
        .await
        .unwrap();
    let mut idle = Vec::new();
    for n in 0..400 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        // Half of them begin to say something.
        if n % 2 == 0 {
            stream.write_all(b"\x00\xffx").await.unwrap();
        }
        idle.push(stream);
        if n % 20 == 0 {
            assert!(serves(at, "one", 6369).await, "after {n}");
        }
    }
    let mut open = 0;
    for stream in &mut idle {
        open += usize::from(!is_closed(stream).await);
    }
    assert!(open <= 64, "{open} are open");
    eventually("all of them are put out", async || {
        let mut open = false;
        for stream in &mut idle {
            open |= !is_closed(stream).await;
        }
        !open
    })
    .await;
    assert!(serves(at, "one", 6369).await);
}

#[tokio::test]
async fn garbage_changes_nothing() {
    let (_server, place, at) = server();
    let node = Registration::begin(registering("one", 6369, &place))
        .await
        .unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    for n in 0..2000 {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let mut bytes: Vec<u8> = (0..rng.usize(0..300)).map(|_| rng.u8(..)).collect();
        if n % 3 == 0 {
            // A right request with a byte that is wrong.
            bytes = Request::Register(Entry::of("one", 1 + rng.u16(..9))).encode();
            let place = rng.usize(2..bytes.len());
            bytes[place] = rng.u8(..);
        }
        // It may be closed before all of it is said.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .expect("it is closed");
        assert!(answer.len() < 4096);
    }
    assert!(matches!(node.standing(), Standing::Registered { .. }));
    assert!(serves(at, "one", 6369).await);
}

#[tokio::test]
async fn an_order_to_end_is_denied() {
    let (_server, _, at) = server();
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(&Request::Kill.encode()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"NO");
    assert_eq!(names(at, PATIENCE).await, Ok(Vec::new()));
}
