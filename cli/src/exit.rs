//! How the program ends: its exit codes, and the one place that turns errors into them.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::ConfigError;

/// The exit codes. They are a contract with scripts and service managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Refused or failed; the reason is on stderr.
    Refused = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// No node runs here, or not the named one.
    NoNode = 3,
    /// What was waited for did not come about in time.
    Timeout = 4,
    /// Ctrl-C ended what would have gone on.
    Interrupted = 130,
    /// The configuration or the environment is wrong: starting again will not help.
    Configuration = 78,
    /// The node was downed by `cluster.split_brain`, with `cluster.on_down = "exit"`.
    Downed = 79,
}

/// An error with its exit code. Errors of other types exit with [`Code::Refused`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// The code.
    pub(crate) code: Code,
    /// What failed, why, and what to do.
    pub(crate) message: String,
}

impl Exit {
    /// Ends with this code and these words.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// As an error of the binary.
    pub(crate) fn error(code: Code, message: impl Into<String>) -> anyhow::Error {
        Self::new(code, message).into()
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Exit {}

impl From<ConfigError> for Exit {
    fn from(error: ConfigError) -> Self {
        Self::new(Code::Configuration, error.to_string())
    }
}

/// The exit code of a result; an error is told on stderr. A reader of our stdout that went away
/// (`convoke members | head`) is no error.
pub(crate) fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    if is_closed_pipe(&error) {
        return ExitCode::SUCCESS;
    }
    let of_stdout = match is_of_stdout(&error) {
        true => "cannot write to stdout: ",
        false => "",
    };
    // Where stderr is closed as well, there is nobody left to tell.
    let _ = writeln!(io::stderr(), "convoke: {of_stdout}{error:#}");
    ExitCode::from(code(&error) as u8)
}

fn code(error: &anyhow::Error) -> Code {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Exit>())
        .map_or(Code::Refused, |exit| exit.code)
}

/// Only writing to stdout yields a bare [`io::Error`]: every other one has context around it.
fn is_of_stdout(error: &anyhow::Error) -> bool {
    error.is::<io::Error>() && error.chain().count() == 1
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe) && is_of_stdout(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn an_exit_code_survives_the_context_that_is_put_around_it() {
        let error = Err::<(), _>(Exit::error(Code::Timeout, "too late"))
            .context("waiting")
            .unwrap_err();
        assert_eq!(code(&error), Code::Timeout);
        assert_eq!(format!("{error:#}"), "waiting: too late");
    }

    #[test]
    fn an_error_without_a_code_is_a_refusal() {
        assert_eq!(code(&anyhow::anyhow!("no")), Code::Refused);
    }

    #[test]
    fn only_a_closed_pipe_of_ours_ends_quietly() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&closed().into()));
        let of_the_node = anyhow::Error::from(closed()).context("the node went away");
        let other: anyhow::Error = io::Error::from(io::ErrorKind::NotFound).into();
        assert!(!is_closed_pipe(&other));
        assert!(!is_closed_pipe(&of_the_node));
    }

    #[test]
    fn the_codes_are_those_of_the_contract() {
        let codes = [
            Code::Refused,
            Code::Usage,
            Code::NoNode,
            Code::Timeout,
            Code::Configuration,
            Code::Downed,
            Code::Interrupted,
        ];
        assert_eq!(codes.map(|code| code as u8), [1, 2, 3, 4, 78, 79, 130]);
    }
}
