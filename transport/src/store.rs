//! What a node remembers over restarts, in its data directory.
//!
//! One file holds it all: which cluster the node is in, an incarnation that no former life has
//! used, the addresses of others, and who was removed. It is replaced as a whole and in a way that
//! a crash at any moment leaves either the old or the new one (write beside, fsync, rename, fsync
//! the folder), and carries a checksum, so that damage is told from content. A lock on the folder
//! keeps a second process out for as long as this one lives.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use convoke_core::{Acquaintance, Admission, ClusterId, Incarnation, Membership, NodeId, NodeName};
use ring::digest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::StoreError;

const FORMAT: u32 = 1;
const FILE: &str = "state.json";
const FILE_BESIDE: &str = "state.json.new";
const LOCK: &str = "lock";
/// A full address book and all tombstones take less than a tenth.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Whose data directory it is.
    pub(crate) node: NodeName,
    /// The cluster name that it was configured for.
    pub(crate) cluster_name: String,
    /// The cluster, and the stay in it. The incarnation is a ceiling: none above it was used.
    pub(crate) membership: Membership,
    /// Whether discovery was stopped, by a leave or by an operator.
    pub(crate) discovery_stopped: bool,
    /// The address book.
    pub(crate) contacts: Vec<Acquaintance>,
    /// Removals, the oldest first.
    pub(crate) tombstones: Vec<(NodeId, Admission)>,
}

/// A data directory that this process holds.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    /// Holds the lock until it is dropped.
    _lock: File,
}

impl Store {
    /// Takes the directory (made if missing) for the node of this name, and reads what is
    /// remembered there, if anything.
    pub(crate) fn open(
        dir: &Path,
        name: &NodeName,
        cluster_name: &str,
    ) -> Result<(Self, Option<Remembered>), StoreError> {
        make_private(dir).map_err(failed("make the data directory", dir))?;
        let store = Self {
            dir: dir.to_owned(),
            _lock: lock(dir)?,
        };
        let Some(remembered) = store.read()? else {
            return Ok((store, None));
        };
        if remembered.node != *name {
            let (dir, wanted) = (dir.to_owned(), name.clone());
            return Err(StoreError::OtherName {
                dir,
                found: remembered.node,
                wanted,
            });
        }
        // A node that has always been alone has no cluster to be held to.
        let alone = !remembered.membership.admitted && remembered.contacts.is_empty();
        if remembered.cluster_name != cluster_name && !alone {
            let (dir, wanted) = (dir.to_owned(), cluster_name.to_owned());
            return Err(StoreError::OtherCluster {
                dir,
                found: remembered.cluster_name,
                wanted,
            });
        }
        Ok((store, Some(remembered)))
    }

    /// Replaces what is remembered. On the disk when it returns. Blocks.
    pub(crate) fn write(&self, remembered: &Remembered) -> Result<(), StoreError> {
        let (file, beside) = (self.dir.join(FILE), self.dir.join(FILE_BESIDE));
        let text = to_text(remembered);
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        if let Err(cause) = write() {
            // What was begun takes room on a disk that may be full.
            let _ = fs::remove_file(&beside);
            return Err(failed("write", &beside)(cause));
        }
        fs::rename(&beside, &file).map_err(failed("replace", &file))?;
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(failed("write", &self.dir))
    }

    fn read(&self) -> Result<Option<Remembered>, StoreError> {
        let file = self.dir.join(FILE);
        let opened = match File::open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("read", &file))?,
        };
        let mut bytes = Vec::new();
        opened
            .take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(failed("read", &file))?;
        from_bytes(&bytes)
            .map(Some)
            .map_err(|unreadable| match unreadable {
                Unreadable::Damaged(cause) => StoreError::Corrupt { file, cause },
                Unreadable::Newer(found) => StoreError::Newer {
                    file,
                    found,
                    known: FORMAT,
                },
            })
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |cause| StoreError::Io {
        action,
        path,
        cause,
    }
}

/// Makes the folder, for this user alone. One that is there and open to others is closed only
/// where it is empty or holds a node's state: `/srv` or a home folder is not ours to close.
fn make_private(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mode = fs::metadata(dir)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let ours = [FILE, LOCK].iter().any(|file| dir.join(file).exists());
    if !ours && fs::read_dir(dir)?.next().is_some() {
        return Err(io::Error::other(
            "the folder has other things in it and is open to other users: name an empty one, or one that does not exist",
        ));
    }
    fs::set_permissions(dir, Permissions::from_mode(0o700))
}

/// The lock belongs to the open file: it ends with the process, however that ends.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let mut file = options.open(&path).map_err(failed("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let read = file.take(16).read_to_string(&mut text);
            let holder = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::InUse {
                dir: dir.to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(cause)) => return Err(failed("lock", &path)(cause)),
    }
    // The process id serves the message above only: the lock holds without it.
    let _ = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// The file: a frame that says how to read the rest, and the rest as text, which the checksum is
/// taken of.
#[derive(Serialize, Deserialize)]
struct Frame<'a> {
    format: u32,
    #[serde(default)]
    sha256: String,
    #[serde(borrow)]
    state: &'a RawValue,
}

/// The part of the frame that every format keeps.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct Content {
    node: NodeName,
    cluster_name: String,
    cluster_id: String,
    admission: Admission,
    admitted: bool,
    incarnation_ceiling: Incarnation,
    discovery: bool,
    discovery_stopped: bool,
    withdrawn: bool,
    #[serde(default)]
    down: bool,
    address_book: Vec<Acquaintance>,
    tombstones: Vec<(String, Admission)>,
}

enum Unreadable {
    Damaged(String),
    Newer(u32),
}

fn to_text(remembered: &Remembered) -> String {
    let Remembered {
        node,
        cluster_name,
        membership,
        discovery_stopped,
        contacts,
        tombstones,
    } = remembered;
    let content = Content {
        node: node.clone(),
        cluster_name: cluster_name.clone(),
        cluster_id: membership.cluster.to_string(),
        admission: membership.admission,
        admitted: membership.admitted,
        incarnation_ceiling: membership.incarnation,
        discovery: membership.discovery,
        discovery_stopped: *discovery_stopped,
        withdrawn: membership.withdrawn,
        down: membership.down,
        address_book: contacts.clone(),
        tombstones: tombstones
            .iter()
            .map(|(id, stay)| (id.to_string(), *stay))
            .collect(),
    };
    let state = serde_json::to_string_pretty(&content).expect("the content is plain data");
    let state = RawValue::from_string(state).expect("JSON: written above");
    let frame = Frame {
        format: FORMAT,
        sha256: checksum(state.get()),
        state: &state,
    };
    serde_json::to_string_pretty(&frame).expect("the frame is plain data") + "\n"
}

fn from_bytes(bytes: &[u8]) -> Result<Remembered, Unreadable> {
    let damaged = |cause: &dyn std::fmt::Display| Unreadable::Damaged(cause.to_string());
    let text = std::str::from_utf8(bytes).map_err(|error| damaged(&error))?;
    let Format { format } = serde_json::from_str(text).map_err(|error| damaged(&error))?;
    if format > FORMAT {
        return Err(Unreadable::Newer(format));
    }
    let frame: Frame<'_> = serde_json::from_str(text).map_err(|error| damaged(&error))?;
    if checksum(frame.state.get()) != frame.sha256 {
        return Err(damaged(&"its checksum is wrong"));
    }
    let content: Content =
        serde_json::from_str(frame.state.get()).map_err(|error| damaged(&error))?;
    let id = |text: &str| u64::from_str_radix(text, 16).map(NodeId);
    let tombstones = content
        .tombstones
        .iter()
        .map(|(text, stay)| Ok((id(text)?, *stay)));
    let tombstones: Result<_, std::num::ParseIntError> = tombstones.collect();
    let cluster = u128::from_str_radix(&content.cluster_id, 16).map_err(|error| damaged(&error))?;
    Ok(Remembered {
        node: content.node,
        cluster_name: content.cluster_name,
        membership: Membership {
            cluster: ClusterId(cluster),
            admission: content.admission,
            admitted: content.admitted,
            incarnation: content.incarnation_ceiling,
            discovery: content.discovery,
            withdrawn: content.withdrawn,
            down: content.down,
        },
        discovery_stopped: content.discovery_stopped,
        contacts: content.address_book,
        tombstones: tombstones.map_err(|error| damaged(&error))?,
    })
}

fn checksum(text: &str) -> String {
    let sum = digest::digest(&digest::SHA256, text.as_bytes());
    sum.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use convoke_core::Life;
    use convoke_core::member::Standing;

    use super::*;

    fn name(text: &str) -> NodeName {
        text.parse().unwrap()
    }

    fn remembered() -> Remembered {
        let life = Life {
            admission: Admission(3),
            incarnation: Incarnation(1_782_120_000_000),
        };
        let membership = Membership {
            cluster: ClusterId(u128::MAX / 3),
            admission: Admission(2),
            admitted: true,
            incarnation: Incarnation(1_782_120_001_024),
            discovery: true,
            withdrawn: false,
            down: true,
        };
        let address = "[::1]:4371".parse().unwrap();
        Remembered {
            node: name("a@10.0.0.1"),
            cluster_name: "convoke".to_owned(),
            membership,
            discovery_stopped: false,
            contacts: vec![Acquaintance {
                name: name("b1@::1"),
                address,
                standing: Standing::failed(life),
                forgotten: true,
                crashed: true,
            }],
            tombstones: vec![(NodeId(u64::MAX - 1), Admission(7))],
        }
    }

    fn open(dir: &Path) -> Result<(Store, Option<Remembered>), StoreError> {
        Store::open(dir, &name("a@10.0.0.1"), "convoke")
    }

    /// A directory with a good state file, and that file.
    fn written() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).unwrap().0.write(&remembered()).unwrap();
        let file = dir.path().join(FILE);
        (dir, file)
    }

    #[test]
    fn what_is_written_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("deep/inside");
        let (store, nothing) = open(&dir).unwrap();
        assert_eq!(nothing, None);
        store.write(&remembered()).unwrap();
        store.write(&remembered()).unwrap();
        drop(store);
        assert_eq!(open(&dir).unwrap().1, Some(remembered()));
        assert_eq!(
            fs::metadata(&dir).unwrap().permissions().mode() & 0o777,
            0o700
        );
        assert_eq!(
            fs::metadata(dir.join(FILE)).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!dir.join(FILE_BESIDE).exists());
    }

    #[test]
    fn a_second_holder_is_refused_and_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        let error = open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains(&format!("(pid {})", std::process::id())),
            "{error}"
        );
        drop(first);
        open(dir.path()).unwrap();
    }

    #[test]
    fn a_torn_file_is_damaged_wherever_it_was_torn() {
        let (dir, file) = written();
        let whole = fs::read(&file).unwrap();
        for length in (0..whole.len() - 2).step_by(13) {
            fs::write(&file, &whole[..length]).unwrap();
            assert!(
                matches!(open(dir.path()), Err(StoreError::Corrupt { .. })),
                "{length}"
            );
        }
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let (dir, file) = written();
        let whole = fs::read(&file).unwrap();
        for at in (0..whole.len() - 1).step_by(7) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&file, &flipped).unwrap();
            // Layout outside of what the checksum covers may change harmlessly.
            match open(dir.path()) {
                Ok((_, read)) => assert_eq!(read, Some(remembered()), "{at}"),
                Err(StoreError::Corrupt { .. } | StoreError::Newer { .. }) => {}
                Err(error) => panic!("{at}: {error}"),
            }
        }
    }

    #[test]
    fn damage_and_a_newer_format_each_have_a_sentence_with_the_way_out() {
        let (dir, file) = written();
        fs::write(&file, b"\0\0\0").unwrap();
        let error = open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("damaged") && error.contains("remove it"),
            "{error}"
        );
        fs::write(&file, r#"{"format": 2, "else": true}"#).unwrap();
        let error = open(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("format 2") && error.contains("newer"),
            "{error}"
        );
    }

    #[test]
    fn another_name_is_refused_with_both_ways_out() {
        let (dir, _) = written();
        let error = Store::open(dir.path(), &name("b@10.0.0.1"), "convoke").unwrap_err();
        assert!(matches!(error, StoreError::OtherName { .. }));
        let error = error.to_string();
        assert!(
            error.contains("Start it as a@10.0.0.1") && error.contains("data_dir"),
            "{error}"
        );
    }

    #[test]
    fn another_cluster_name_is_refused_only_where_there_was_a_cluster() {
        let (dir, _) = written();
        let other = |dir: &Path| Store::open(dir, &name("a@10.0.0.1"), "other");
        assert!(matches!(
            other(dir.path()),
            Err(StoreError::OtherCluster { .. })
        ));
        let mut alone = remembered();
        alone.membership.admitted = false;
        alone.contacts.clear();
        open(dir.path()).unwrap().0.write(&alone).unwrap();
        assert!(other(dir.path()).is_ok());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = open(&path).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
