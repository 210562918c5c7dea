//! What is asked of the server, and how it answers: HTTP/1.1, and JSON in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::objects::status;
use super::{ACCOUNT, NAMESPACE, SERVICE, Shared, State, TOKEN};

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// One connection, question after question.
pub(super) fn serve(shared: &Shared, stream: Stream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if (&mut stream).take(64 << 10).read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        answer(shared, stream.get_mut(), &head)?;
    }
}

fn answer(shared: &Shared, out: &mut Stream, head: &[String]) -> std::io::Result<()> {
    let request = head.first().map(String::as_str).unwrap_or_default();
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = Query(query);
    let verb = if query.get("watch") == Some("true") {
        "watch"
    } else {
        "list"
    };
    let authorized = head
        .iter()
        .any(|line| line.to_lowercase() == format!("authorization: bearer {TOKEN}"));
    let mut state = shared.lock();
    let namespace = path
        .strip_prefix("/apis/discovery.k8s.io/v1/namespaces/")
        .and_then(|rest| rest.strip_suffix("/endpointslices"));
    let refusal = match namespace {
        _ if !authorized => Some(status(401, "Unauthorized", "Unauthorized")),
        None => Some(status(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )),
        // The account's Role is of its own namespace.
        Some(namespace) if namespace != NAMESPACE || state.forbidden == Some(verb) => {
            let message = format!(
                "endpointslices.discovery.k8s.io is forbidden: User {ACCOUNT:?} cannot {verb} resource \"endpointslices\" in API group \"discovery.k8s.io\" in the namespace {namespace:?}"
            );
            Some(status(403, "Forbidden", &message))
        }
        Some(_) => None,
    };
    state.asked.push(verb);
    match (refusal, verb) {
        (Some((code, body)), _) => {
            drop(state);
            respond(out, code, &body)
        }
        (None, "watch") => {
            drop(state);
            watch(shared, out, &query)
        }
        (None, _) => {
            let body = list(&state, &query);
            drop(state);
            respond(out, 200, &body)
        }
    }
}

/// The values of a query, as far as they need no decoding.
struct Query<'a>(&'a str);

impl Query<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .into_iter()
            .find_map(|(found, value)| (found == key).then_some(value))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    fn is_for_the_service(&self) -> bool {
        self.get("labelSelector") == Some(&format!("kubernetes.io%2Fservice-name%3D{SERVICE}"))
    }
}

fn list(state: &State, query: &Query<'_>) -> Value {
    let skipped = query.number("continue").unwrap_or(0) as usize;
    let limit = query
        .number("limit")
        .map_or(usize::MAX, |limit| limit as usize);
    let all: Vec<&Value> = state
        .slices
        .values()
        .filter(|_| query.is_for_the_service())
        .collect();
    let items: Vec<&Value> = all.iter().skip(skipped).take(limit).copied().collect();
    let mut metadata = json!({"resourceVersion": state.version.to_string()});
    let rest = all.len().saturating_sub(skipped + items.len());
    if rest > 0 {
        metadata["continue"] = json!((skipped + items.len()).to_string());
        metadata["remainingItemCount"] = json!(rest);
    }
    json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata, "items": items})
}

/// Tells what happens, chunk by chunk, to the watch's limit.
fn watch(shared: &Shared, out: &mut Stream, query: &Query<'_>) -> std::io::Result<()> {
    let limit = Duration::from_secs(query.number("timeoutSeconds").unwrap_or(1800));
    let (began, mut told) = (Instant::now(), query.number("resourceVersion").unwrap_or(0));
    out.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    out.flush()?;
    let endings = shared.lock().endings;
    loop {
        let mut state = shared.lock();
        let is_over =
            |state: &State| state.killed || state.endings != endings || began.elapsed() >= limit;
        let is_old = told < state.oldest;
        let news: Vec<(u64, Value)> = state
            .history
            .iter()
            .filter(|(version, _)| *version > told)
            .cloned()
            .collect();
        if news.is_empty() && !is_old {
            if is_over(&state) {
                break;
            }
            state = shared
                .changed
                .wait_timeout(state, Duration::from_millis(500))
                .expect("no thread panics")
                .0;
            drop(state);
            continue;
        }
        let oldest = state.oldest;
        drop(state);
        if is_old {
            let (_, object) = status(
                410,
                "Expired",
                &format!("too old resource version: {told} ({oldest})"),
            );
            chunk(out, &json!({"type": "ERROR", "object": object}))?;
            break;
        }
        for (version, event) in news {
            chunk(out, &event)?;
            told = version;
        }
    }
    out.write_all(b"0\r\n\r\n")?;
    out.flush()
}

fn chunk(out: &mut Stream, event: &Value) -> std::io::Result<()> {
    let line = format!("{event}\n");
    write!(out, "{:x}\r\n{line}\r\n", line.len())?;
    out.flush()
}

fn respond(out: &mut Stream, code: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    write!(
        out,
        "HTTP/1.1 {code} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    out.flush()
}
