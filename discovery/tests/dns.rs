//! The dns strategy and servers that answer wrongly. Those that answer rightly are asked in the
//! tests of whole clusters.
#![cfg(feature = "dns")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use convoke_discovery::{Dns, DnsOptions, DnsRecord, Strategy};
use tokio::net::UdpSocket;

/// What a server makes of a query.
type Answer = fn(&[u8]) -> Vec<u8>;

/// A server that answers every query with what `answer` makes of it.
async fn server(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let socket = socket.expect("a port is free");
    let address = socket.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((bytes, from)) = socket.recv_from(&mut buffer).await {
            let answer = answer(&buffer[..bytes]);
            // Who does not want it does not want it.
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

async fn error(server: SocketAddr, record: DnsRecord) -> String {
    let dns = Dns::new(DnsOptions {
        name: "nodes.fleet.test".to_owned(),
        app: "convoke".to_owned(),
        record,
        server: Some(server),
    });
    let outcome = dns.discover().await;
    outcome.expect_err("no list").to_string()
}

/// The query as an answer with this code.
fn with_code(query: &[u8], code: u8) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2] |= 0x80;
    answer[3] = 0x80 | code;
    answer
}

#[tokio::test]
async fn a_server_with_a_fault_is_an_error_and_no_empty_list() {
    for (code, word) in [(2, "SERVFAIL"), (5, "REFUSED"), (4, "NOTIMP")] {
        let at = server(move |query| with_code(query, code)).await;
        for record in [DnsRecord::A, DnsRecord::Aaaa, DnsRecord::Srv] {
            let error = error(at, record).await;
            for part in [
                word,
                &at.to_string(),
                "nodes.fleet.test",
                &record.to_string(),
            ] {
                assert!(error.contains(part), "no {part}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_an_error_within_the_time_of_a_pass() {
    let noise: [Answer; 6] = [
        |_| Vec::new(),
        |_| vec![0xff; 4000],
        |query| query[..query.len() / 2].to_vec(),
        // Another question's answer.
        |query| [&[!query[0], !query[1]], &query[2..]].concat(),
        // An answer that promises records and has none.
        |query| {
            let mut answer = with_code(query, 0);
            answer[6..8].copy_from_slice(&u16::MAX.to_be_bytes());
            answer
        },
        // A name that points at itself.
        |query| {
            let mut answer = with_code(query, 0);
            answer[6..8].copy_from_slice(&1_u16.to_be_bytes());
            let place = u8::try_from(answer.len()).expect("a short query");
            answer.extend([0xc0, place, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1]);
            answer
        },
    ];
    for (n, answer) in noise.into_iter().enumerate() {
        let at = server(answer).await;
        let began = Instant::now();
        let error = error(at, DnsRecord::A).await;
        assert!(error.contains(&at.to_string()), "{n}: {error}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{n}: {took:?}");
    }
}
