//! The file that a plot goes to: looked at before the simulation, replaced as a whole after it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::exit::{Code, Exit};

/// Room that must be there before hours of simulation begin; more than most plots take.
const ROOM_BYTES: usize = 1 << 20;

/// A place that could be written to when it was looked at.
#[derive(Debug)]
pub(in super::super) struct Target {
    path: PathBuf,
    /// A file without a name that holds the room until the plot is there.
    room: File,
}

impl Target {
    /// Looks whether a plot can be written there.
    ///
    /// # Errors
    /// Why it can't; usage errors where another name would do.
    pub(in super::super) fn new(path: &Path) -> anyhow::Result<Self> {
        let is_svg = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("svg"));
        if !is_svg {
            return Err(refused(
                path,
                "plots are SVG: name a file that ends in .svg",
            ));
        }
        // A link stays a link: what it points to is replaced.
        let path = match std::fs::canonicalize(path) {
            Ok(path) if path.is_file() => path,
            Ok(path) if path.is_dir() => {
                return Err(refused(&path, "that is a folder: name a file in it"));
            }
            Ok(path) => return Err(refused(&path, "that is no regular file: name another")),
            Err(_) => path.to_path_buf(),
        };
        let room = reserve(folder(&path)).map_err(|error| unwritable(&path, &error))?;
        Ok(Self { path, room })
    }

    /// Writes the plot, whole or not at all.
    ///
    /// # Errors
    /// When it can't be written after all; what was there is as it was.
    pub(in super::super) fn write(self, svg: &str) -> anyhow::Result<()> {
        let Self { path, room } = self;
        drop(room);
        replace(&path, svg).with_context(|| format!("cannot write the plot to {}", path.display()))
    }
}

fn folder(path: &Path) -> &Path {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// A full disk takes a file, and refuses what is written to it.
fn reserve(folder: &Path) -> io::Result<File> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&vec![0; ROOM_BYTES])?;
    file.flush()?;
    Ok(file)
}

fn replace(path: &Path, svg: &str) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".convoke-plot-")
        .permissions(readable())
        .tempfile_in(folder(path))?;
    file.write_all(svg.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// As any new file: the umask takes away what the user wants taken.
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

fn refused(path: &Path, why: &str) -> anyhow::Error {
    Exit::error(Code::Usage, format!("--plot {}: {why}", path.display()))
}

fn unwritable(path: &Path, error: &io::Error) -> anyhow::Error {
    let folder = folder(path).display();
    match error.kind() {
        io::ErrorKind::NotFound => refused(
            path,
            &format!("there is no folder {folder}: make it, or name another"),
        ),
        io::ErrorKind::NotADirectory => {
            refused(path, &format!("{folder} is no folder: name another"))
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Exit::error(
            Code::Refused,
            format!(
                "--plot {}: no room for it in {folder}: free some, or name another folder",
                path.display()
            ),
        ),
        _ => Exit::error(
            Code::Refused,
            format!(
                "--plot {}: {folder} can't be written to: {error}",
                path.display()
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_plot_replaces_what_was_there_and_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        for text in ["first", "second, and longer"] {
            Target::new(&path).unwrap().write(text).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o400, 0o400, "its owner can read it");
    }

    #[test]
    fn looking_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        drop(Target::new(&folder.path().join("a.svg")).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.svg"), folder.path().join("b.svg"));
        std::fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        Target::new(&link).unwrap().write("new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert!(link.is_symlink());
    }

    #[test]
    fn what_cannot_be_a_plot_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("dir.svg")).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("full.svg")).unwrap();
        for (name, expected) in [
            ("a.png", "ends in .svg"),
            ("svg", "ends in .svg"),
            ("dir.svg", "that is a folder"),
            ("none/a.svg", "there is no folder"),
            ("file/a.svg", "is no folder"),
            ("full.svg", "no regular file"),
        ] {
            let error = Target::new(&folder.path().join(name)).expect_err(name);
            assert!(error.to_string().contains(expected), "{name}: {error}");
            let exit = error.downcast_ref::<Exit>().expect("told at the door");
            assert_eq!(exit.code, Code::Usage, "{name}");
        }
    }
}
