//! `convoke completions` and `convoke man`, made from the description of the command line.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::{Code, Exit};

pub(super) fn completions(shell: clap_complete::Shell, out: &mut dyn Write) -> anyhow::Result<()> {
    // Into memory first: the generator panics when it can't write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "convoke", &mut script);
    Ok(out.write_all(&script)?)
}

pub(super) fn man(
    command: &[String],
    folder: Option<&Path>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    match folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
                .with_context(|| format!("cannot write manual pages to {}", folder.display()))?;
            Ok(writeln!(
                out,
                "The manual pages are in {}.",
                folder.display()
            )?)
        }
        None => Ok(out.write_all(&page(command)?)?),
    }
}

/// The page of `convoke COMMAND…`.
fn page(command: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut found = Cli::command();
    found.build();
    for name in command {
        let inner = found.find_subcommand(name).cloned();
        found =
            inner.ok_or_else(|| Exit::new(Code::Usage, format!("there is no command {name:?}")))?;
    }
    let title = found
        .get_display_name()
        .unwrap_or_else(|| found.get_name())
        .to_owned();
    let mut page = Vec::new();
    clap_mangen::Man::new(found)
        .title(title)
        .render(&mut page)
        .context("cannot render the manual page")?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_has_completions_that_know_the_commands() {
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            completions(*shell, &mut script).unwrap();
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("force-leave"), "{shell}");
        }
    }

    #[test]
    fn a_manual_page_is_that_of_the_command() {
        let page = |command: &[&str]| {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            super::page(&command).map(|page| String::from_utf8(page).unwrap())
        };
        assert!(page(&[]).unwrap().contains(".SH SUBCOMMANDS"));
        assert!(
            page(&["cluster", "status"])
                .unwrap()
                .contains("wait\\-converged")
        );
        assert!(page(&["cluster", "dance"]).is_err());
    }
}
