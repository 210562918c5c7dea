//! Logs go to stderr, as text or JSON, at a level that can change while the node runs.

use std::io::{self, IsTerminal};

use anyhow::Context as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::LogFormat;

/// Changes the level of the logs that [`start`] began.
#[derive(Clone, Debug)]
pub(crate) struct LevelHandle(reload::Handle<Targets, Registry>);

/// Begins logging, for the whole process, once.
///
/// # Errors
/// When the level can't be read, or logs were begun before.
pub(crate) fn start(level: &str, format: LogFormat) -> anyhow::Result<LevelHandle> {
    let (filter, handle) = reload::Layer::new(filter(level)?);
    let layer = match format {
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(io::stderr)
            .boxed(),
        LogFormat::Text => fmt::layer()
            .with_ansi(colour(&io::stderr()))
            .with_writer(io::stderr)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .context("cannot begin logging")?;
    Ok(LevelHandle(handle))
}

impl LevelHandle {
    /// Logs at this level from now on.
    ///
    /// # Errors
    /// When the level can't be read; it stays as it was.
    pub(crate) fn set(&self, level: &str) -> anyhow::Result<()> {
        self.0
            .reload(filter(level)?)
            .context("cannot change the log level")
    }
}

/// The text is neither a level nor levels by module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LevelError;

impl std::fmt::Display for LevelError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a log level")
    }
}

impl std::error::Error for LevelError {}

/// Reads a level ("info"), or levels by module ("info,quinn=debug"). A bare level is meant for
/// this program; libraries are heard from `warn` on, unless they are named.
///
/// # Errors
/// When it is neither.
pub(crate) fn filter(level: &str) -> Result<Targets, LevelError> {
    // The parser takes a bare word that is no level for a module's name, and nothing for "error".
    let bare = level.split(',').filter(|part| !part.contains('='));
    for word in bare {
        let parsed = word.trim().parse::<LevelFilter>();
        if word.trim().is_empty() || parsed.is_err() {
            return Err(LevelError);
        }
    }
    let named: Targets = level.parse().map_err(|_| LevelError)?;
    let own = named.default_level().unwrap_or(LevelFilter::OFF);
    let mut quiet = named.clone().with_default(own.min(LevelFilter::WARN));
    if !named.iter().any(|(target, _)| target == "quinn_udp") {
        // It warns of every datagram that the system would not take, where a link is down.
        quiet = quiet.with_target("quinn_udp", own.min(LevelFilter::ERROR));
    }
    if !named
        .iter()
        .any(|(target, _)| target.starts_with("kube_client"))
    {
        // It tells of every try that fails. Discovery does, once.
        quiet = quiet.with_target("kube_client", LevelFilter::OFF);
    }
    let own_is_named = named
        .iter()
        .any(|(target, _)| target.starts_with("convoke"));
    Ok(if own_is_named {
        quiet
    } else {
        quiet.with_target("convoke", own)
    })
}

/// Whether to colour what goes to a stream: only a terminal, and only where the user did not say
/// otherwise (<https://no-color.org>).
pub(crate) fn colour(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    stream.is_terminal() && !set("NO_COLOR") && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn a_bare_level_is_ours_and_libraries_are_heard_from_warn_on() {
        let filter = filter("debug").unwrap();
        assert!(filter.would_enable("convoke::driver", &Level::DEBUG));
        assert!(filter.would_enable("convoke_cli::agent", &Level::DEBUG));
        assert!(!filter.would_enable("quinn", &Level::INFO));
        assert!(filter.would_enable("quinn", &Level::WARN));
    }

    #[test]
    fn a_library_that_tells_of_every_try_is_heard_where_it_is_named_alone() {
        let quiet = filter("debug").unwrap();
        assert!(!quiet.would_enable("kube_client::client::builder", &Level::ERROR));
        let named = filter("info,kube_client=error").unwrap();
        assert!(named.would_enable("kube_client::client::builder", &Level::ERROR));
    }

    #[test]
    fn a_library_that_is_named_is_heard_at_its_level() {
        let filter = filter("error,quinn=trace").unwrap();
        assert!(filter.would_enable("quinn::endpoint", &Level::TRACE));
        assert!(!filter.would_enable("convoke", &Level::WARN));
        assert!(!filter.would_enable("rustls", &Level::WARN));
    }

    #[test]
    fn off_is_off_and_nonsense_is_refused() {
        assert!(
            !filter("off")
                .unwrap()
                .would_enable("convoke", &Level::ERROR)
        );
        for nonsense in ["convoke=loud", "loud", "", "info,,", "info,quinn"] {
            assert!(filter(nonsense).is_err(), "{nonsense:?}");
        }
    }
}
