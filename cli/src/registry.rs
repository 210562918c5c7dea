//! The nodes that run on this machine for this user, so that commands find them by name.
//!
//! A node that runs leaves an entry in the run directory that says where its control socket is.
//! The socket is the truth: an entry whose socket nobody answers is what a killed node left
//! behind, and is cleared away by whoever meets it.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use convoke_core::NodeName;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

/// How long a socket may take to answer before its node counts as silent. It is not cleared away.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// The most entries that are looked at.
const ENTRIES_MAX: usize = 4096;
/// The longest entry in bytes.
const ENTRY_BYTES_MAX: u64 = 64 * 1024;

/// A node that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: NodeName,
    /// Its process.
    pub(crate) pid: u32,
    /// Its control socket.
    pub(crate) socket: PathBuf,
    /// What it remembers.
    pub(crate) data_dir: PathBuf,
    /// Its gossip address.
    pub(crate) gossip: SocketAddr,
}

/// The run directory.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    folder: PathBuf,
}

/// An entry of this process; dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Registration {
    path: PathBuf,
    entry: Entry,
}

impl Registry {
    /// The registry in this folder, which need not exist.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Makes the folder, for its owner alone.
    ///
    /// # Errors
    /// When it can't be made.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
    }

    /// Enters a node whose control socket answers already.
    ///
    /// # Errors
    /// When the folder can't be written.
    pub(crate) fn register(&self, entry: Entry) -> io::Result<Registration> {
        self.prepare()?;
        let path = self.folder.join(file_name(&entry.name));
        let draft = path.with_extension(format!("{}.tmp", entry.pid));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(&entry).map_err(io::Error::other)?)?;
        fs::rename(&draft, &path)?;
        Ok(Registration { path, entry })
    }

    /// The nodes that answer, sorted by name.
    pub(crate) async fn running(&self) -> Vec<Entry> {
        let mut found = Vec::new();
        for path in self.entries() {
            let Some(entry) = read(&path) else { continue };
            match liveness(&entry.socket).await {
                Liveness::Answers => found.push(entry),
                Liveness::Dead => clear(&path, &entry),
                Liveness::Unknown => {}
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        paths
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .take(ENTRIES_MAX)
            .collect()
    }
}

impl Registration {
    /// The control socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.entry.socket
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        clear(&self.path, &self.entry);
    }
}

/// Whether a control socket is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// Somebody accepts.
    Answers,
    /// Nobody does, for certain.
    Dead,
    /// It can't be told: another user's, or too busy.
    Unknown,
}

/// Asks the socket.
pub(crate) async fn liveness(socket: &Path) -> Liveness {
    match tokio::time::timeout(ANSWER_WAIT, UnixStream::connect(socket)).await {
        Ok(Ok(_)) => Liveness::Answers,
        Ok(Err(error))
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
            ) =>
        {
            Liveness::Dead
        }
        Ok(Err(_)) | Err(_) => Liveness::Unknown,
    }
}

/// Names may be longer than a file name can be, ids are not.
fn file_name(name: &NodeName) -> String {
    format!("{}-{}.json", name.local_part(), name.id())
}

fn read(path: &Path) -> Option<Entry> {
    let small = fs::metadata(path).ok()?.len() <= ENTRY_BYTES_MAX;
    small
        .then(|| fs::read(path).ok())
        .flatten()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
}

/// Takes an entry away, unless another process has put its own in its place.
fn clear(path: &Path, entry: &Entry) {
    if read(path).as_ref() == Some(entry) {
        // Whoever else cleared it first did the same.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    fn entry(folder: &Path, name: &str) -> Entry {
        Entry {
            name: name.parse().unwrap(),
            pid: std::process::id(),
            socket: folder.join(format!("{name}.sock")),
            data_dir: folder.join(name),
            gossip: "127.0.0.1:4370".parse().unwrap(),
        }
    }

    #[tokio::test]
    async fn nodes_that_answer_are_listed_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(folder.path().join("run"));
        let (b, a) = (
            entry(folder.path(), "b@127.0.0.1"),
            entry(folder.path(), "a@127.0.0.1"),
        );
        let _sockets = [&b, &a].map(|entry| UnixListener::bind(&entry.socket).unwrap());
        let _kept = [&b, &a].map(|entry| registry.register(entry.clone()).unwrap());
        assert_eq!(registry.running().await, [a, b]);
    }

    #[tokio::test]
    async fn what_a_killed_node_left_behind_is_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(folder.path().to_path_buf());
        let never_bound = entry(folder.path(), "a@127.0.0.1");
        let closed = entry(folder.path(), "b@127.0.0.1");
        drop(UnixListener::bind(&closed.socket).unwrap());
        for entry in [never_bound, closed] {
            std::mem::forget(registry.register(entry).unwrap());
        }
        assert_eq!(registry.entries().len(), 2);
        assert!(registry.running().await.is_empty());
        assert!(registry.entries().is_empty());
    }

    #[tokio::test]
    async fn a_node_that_ends_takes_only_its_own_entry_away() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(folder.path().to_path_buf());
        let first = entry(folder.path(), "a@127.0.0.1");
        let second = Entry {
            pid: first.pid + 1,
            ..first.clone()
        };
        let registration = registry.register(first).unwrap();
        let _later = registry.register(second).unwrap();
        drop(registration);
        assert_eq!(registry.entries().len(), 1);
    }

    #[tokio::test]
    async fn files_of_others_are_neither_listed_nor_touched() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(folder.path().to_path_buf());
        for (name, text) in [("x.json", "{"), ("notes.txt", "hello")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        assert!(registry.running().await.is_empty());
        assert!(folder.path().join("x.json").exists() && folder.path().join("notes.txt").exists());
    }

    #[test]
    fn the_folder_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new(folder.path().join("run"));
        registry.prepare().unwrap();
        let mode = fs::metadata(folder.path().join("run"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
