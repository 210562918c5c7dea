//! `convoke config`: what a configuration says, before a node runs on it.

use std::io::Write;
use std::path::Path;

use crate::args::{ConfigCommand, StartArgs};
use crate::config::{self, Effective, Environment, Sources};
use crate::exit::Exit;
use crate::paths::Places;

pub(super) fn run(command: &ConfigCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check { file: Some(file) } => {
            config::check_file(file).map_err(Exit::from)?;
            Ok(writeln!(out, "{} is valid.", file.display())?)
        }
        ConfigCommand::Check { file: None } => {
            let effective = load(&StartArgs::default())?;
            let file = effective
                .file
                .as_deref()
                .map_or_else(|| "no file".into(), Path::to_string_lossy);
            Ok(writeln!(
                out,
                "The configuration is valid ({file}, and the environment)."
            )?)
        }
        ConfigCommand::Show(args) => {
            let effective = load(args)?;
            Ok(write!(
                out,
                "{}",
                config::show(&effective, &Places::of_process())
            )?)
        }
        ConfigCommand::Default => Ok(write!(out, "{}", config::template())?),
    }
}

/// The configuration that `start` would use.
///
/// # Errors
/// Everything that is wrong with it, as a configuration error.
pub(super) fn load(args: &StartArgs) -> Result<Effective, Exit> {
    Ok(config::load(&sources(args))?)
}

/// Where the configuration of `start` comes from.
pub(super) fn sources(args: &StartArgs) -> Sources {
    Sources {
        file: args.config.clone(),
        environment: Environment::of_process(),
        flags: args.flags(),
    }
}
