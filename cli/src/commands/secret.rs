//! `convoke secret`: what the nodes of a cluster share.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context as _;
use convoke::{Secret, identity};

use super::config;
use crate::args::{SecretCommand, StartArgs};
use crate::paths::Places;

pub(super) fn run(command: &SecretCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        SecretCommand::Generate { out: file } => generate(file.as_deref(), out),
        SecretCommand::Fingerprint { file } => show_fingerprint(file.as_deref(), out),
    }
}

fn show_fingerprint(file: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let file = match file {
        Some(file) => file.to_path_buf(),
        None => {
            let configured = config::load(&StartArgs::default())?.settings;
            let configured = configured.security.secret_file;
            configured.unwrap_or_else(|| Places::of_process().secret_file())
        }
    };
    let secret = Secret::load(&file)?;
    Ok(writeln!(out, "{}", identity::fingerprint(&secret))?)
}

fn generate(file: Option<&Path>, out: &mut dyn Write) -> anyhow::Result<()> {
    let secret = Secret::generate();
    match file {
        None => Ok(writeln!(out, "{}", secret.to_text())?),
        Some(file) => {
            write(file, &secret)
                .with_context(|| format!("cannot write the secret to {}", file.display()))?;
            Ok(writeln!(
                out,
                "The secret is in {} (mode 0600): copy it to every node.",
                file.display()
            )?)
        }
    }
}

/// An existing file is never overwritten: it may be the only copy of a cluster's secret.
fn write(file: &Path, secret: &Secret) -> std::io::Result<()> {
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    writeln!(opened, "{}", &*secret.to_text())?;
    opened.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_generated_file_is_a_secret_that_a_node_takes_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let command = SecretCommand::Generate {
            out: Some(file.clone()),
        };
        run(&command, &mut Vec::new()).unwrap();
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let first = Secret::load(&file).unwrap();
        assert!(run(&command, &mut Vec::new()).is_err());
        assert!(Secret::load(&file).unwrap() == first);
    }

    #[test]
    fn a_fingerprint_is_the_same_wherever_the_secret_is_and_says_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let fingerprint = |secret: &Secret, name: &str| {
            let file = folder.path().join(name);
            write(&file, secret).unwrap();
            let mut text = Vec::new();
            show_fingerprint(Some(&file), &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let (one, other) = (Secret::generate(), Secret::generate());
        let shown = fingerprint(&one, "a");
        assert_eq!(shown.len(), 17);
        assert_eq!(shown, fingerprint(&one, "b"));
        assert_ne!(shown, fingerprint(&other, "c"));
        assert!(!one.to_text().contains(shown.trim()));
    }

    #[test]
    fn a_printed_secret_is_one_line_and_another_each_time() {
        let print = || {
            let mut text = Vec::new();
            run(&SecretCommand::Generate { out: None }, &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert!(print().trim_end().parse::<Secret>().is_ok());
        assert_ne!(print(), print());
    }
}
