//! A few lines of HTTP over a node's control socket: quicker than a process for every glance.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a node may take to begin its answer, on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(5);

/// The body of `GET path`. HTTP 1.0 has the server end the body by closing, without chunks.
pub(crate) fn get(socket: &Path, path: &str) -> Result<String, String> {
    let (head, body) = exchange(socket, path, "", PATIENCE)?;
    match head.split_whitespace().nth(1) {
        Some("200") => Ok(body),
        _ => Err(format!(
            "GET {path}: {}: {body}",
            head.lines().next().unwrap_or_default()
        )),
    }
}

/// What an endless `GET path` sends before it is quiet for `quiet`.
pub(crate) fn get_until_quiet(
    socket: &Path,
    path: &str,
    header: &str,
    quiet: Duration,
) -> Result<String, String> {
    exchange(socket, path, header, quiet).map(|(_, body)| body)
}

fn exchange(
    socket: &Path,
    path: &str,
    header: &str,
    quiet: Duration,
) -> Result<(String, String), String> {
    let shown = |error: std::io::Error| format!("GET {path} at {}: {error}", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(shown)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(shown)?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: localhost\r\n{header}\r\n"
    )
    .map_err(shown)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => {
                answer.extend_from_slice(&chunk[..n]);
                stream.set_read_timeout(Some(quiet)).map_err(shown)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(shown(error)),
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("GET {path}: no answer in time"))?;
    Ok((head.to_owned(), body.to_owned()))
}
