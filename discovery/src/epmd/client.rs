//! Asking an `epmd`: one connection a question, in bounded time, for an answer of bounded size.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::codec::{self, DecodeError, Request};
use super::error::EpmdError;

/// A node that an `epmd` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The part of its name before the `@`.
    pub name: String,
    /// Its port.
    pub port: u16,
}

/// The port of the node of this name (its part before the `@`), by the `epmd` at `at`, asked for
/// `limit` at the most. Cancel safe.
///
/// # Errors
/// When that does not answer in time, answers something else, or knows no such node.
pub async fn look_up(name: &str, at: SocketAddr, limit: Duration) -> Result<u16, EpmdError> {
    let found = within(at, limit, async {
        let mut stream = connect(at).await?;
        send(&mut stream, at, &Request::LookUp(name.to_owned())).await?;
        read_until(&mut stream, at, codec::FOUND_BYTES_MAX, codec::decode_found).await
    });
    match found.await? {
        None => Err(EpmdError::Unknown {
            at,
            name: name.to_owned(),
        }),
        Some(entry) if entry.name != name => Err(EpmdError::Strange {
            at,
            what: "it told of another node than the one it was asked for",
        }),
        Some(entry) => Ok(entry.port),
    }
}

/// All nodes that the `epmd` at `at` knows, asked for `limit` at the most. Cancel safe.
///
/// # Errors
/// When that does not answer in time, or answers something else.
pub async fn names(at: SocketAddr, limit: Duration) -> Result<Vec<Listed>, EpmdError> {
    let bytes = within(at, limit, async {
        let mut stream = connect(at).await?;
        send(&mut stream, at, &Request::Names).await?;
        let mut bytes = Vec::new();
        let mut bounded = stream.take(codec::NAMES_BYTES_MAX as u64);
        bounded
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| broken(at, &error))?;
        Ok(bytes)
    });
    let bytes = bytes.await?;
    let listed = codec::decode_names(&bytes).map_err(|error| undecoded(at, error, bytes.len()))?;
    let listed = listed.into_iter().map(|(name, port)| Listed { name, port });
    Ok(listed.collect())
}

pub(super) async fn within<T>(
    at: SocketAddr,
    limit: Duration,
    asking: impl Future<Output = Result<T, EpmdError>>,
) -> Result<T, EpmdError> {
    let late = |_| EpmdError::Timeout { at, after: limit };
    timeout(limit, asking).await.map_err(late)?
}

pub(super) async fn connect(at: SocketAddr) -> Result<TcpStream, EpmdError> {
    let connected = TcpStream::connect(at).await;
    connected.map_err(|error| broken(at, &error))
}

pub(super) async fn send(
    stream: &mut TcpStream,
    at: SocketAddr,
    request: &Request,
) -> Result<(), EpmdError> {
    let sent = stream.write_all(&request.encode()).await;
    sent.map_err(|error| broken(at, &error))
}

/// Reads until `decode` is content, and no more than `bytes_max`.
pub(super) async fn read_until<T>(
    stream: &mut TcpStream,
    at: SocketAddr,
    bytes_max: usize,
    decode: fn(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, EpmdError> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 512];
    loop {
        match decode(&bytes) {
            Err(DecodeError::Incomplete) if bytes.len() < bytes_max => {}
            Err(error) => return Err(undecoded(at, error, bytes.len())),
            Ok(message) => return Ok(message),
        }
        match stream.read(&mut chunk).await {
            Ok(0) => return Err(undecoded(at, DecodeError::Incomplete, bytes.len())),
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            Err(error) => return Err(broken(at, &error)),
        }
    }
}

fn undecoded(at: SocketAddr, error: DecodeError, bytes: usize) -> EpmdError {
    match error {
        DecodeError::Incomplete => EpmdError::Truncated { at, bytes },
        DecodeError::Strange(what) => EpmdError::Strange { at, what },
    }
}

fn broken(at: SocketAddr, error: &io::Error) -> EpmdError {
    let kind = error.kind();
    EpmdError::Unreachable { at, kind }
}
