//! The cluster's secret: 256 bits that every node of a cluster holds, and nobody else.
//!
//! Everything that proves membership is derived from it (see [`crate::identity`]); it never
//! crosses the network itself. On disk it is 64 hexadecimal digits in a file that only its owner
//! may read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::identity::Derived;

/// How long a secret is.
pub const SECRET_BYTES: usize = 32;
/// Of 32 random bytes fewer than 16 different ones are seen in one of 10²⁰ secrets.
const DIFFERENT_BYTES_MIN: usize = 16;
const FILE_BYTES_MAX: u64 = 4096;

/// The cluster's secret. Wiped from memory when it is dropped; never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<[u8; SECRET_BYTES]>);

/// Why there is no secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The text is no secret at all.
    #[error(
        "a secret is 64 hexadecimal digits (256 bits): make one with `convoke secret generate`"
    )]
    Malformed,
    /// The text is a secret that can be guessed.
    #[error(
        "the secret is too simple to keep anybody out: make one with `convoke secret generate`"
    )]
    Weak,
    /// The file's content is one of the above.
    #[error("the secret file {} can't be used: {cause}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: Box<SecretError>,
    },
    /// Others may read the file.
    #[error("the secret file {path} can be read by others (mode {mode:04o}): run `chmod 600 {path}`", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// There is no such file.
    #[error("there is no secret file {path}: copy it from another node, or run `convoke secret generate`", path = path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be read or made.
    #[error("can't {action} the secret file {} ({cause}): mend it, or set security.secret_file", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl Secret {
    /// A new random secret, from the system's generator.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        SystemRandom::new()
            .fill(&mut *bytes)
            .expect("the system has random numbers");
        Self(bytes)
    }

    /// The secret in a file.
    ///
    /// # Errors
    /// When there is none, when it is malformed or weak, or when the file's group or others may
    /// read or write it.
    pub fn load(path: &Path) -> Result<Self, SecretError> {
        let failed = |cause| SecretError::Io {
            action: "read",
            path: path.into(),
            cause,
        };
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SecretError::Missing { path: path.into() });
            }
            opened => opened.map_err(failed)?,
        };
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed {
                path: path.into(),
                mode,
            });
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(FILE_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::Malformed);
        text.and_then(|text| text.trim().parse())
            .map_err(|cause| SecretError::Content {
                path: path.into(),
                cause: Box::new(cause),
            })
    }

    /// The secret in a file, which is made with a new random one if it is missing (mode 0600, its
    /// folder 0700). Whether it was made is the second value. Safe against others that do the same
    /// at the same time: all get the one secret.
    ///
    /// # Errors
    /// As [`Secret::load`], and when the file can't be made.
    pub fn load_or_create(path: &Path) -> Result<(Self, bool), SecretError> {
        match Self::load(path) {
            Err(SecretError::Missing { .. }) => {}
            loaded => return loaded.map(|secret| (secret, false)),
        }
        let created = Self::generate();
        let made = created.create(path);
        match made.map_err(|cause| SecretError::Io {
            action: "make",
            path: path.into(),
            cause,
        })? {
            true => Ok((created, true)),
            false => Self::load(path).map(|secret| (secret, false)),
        }
    }

    /// The secret as text: 64 hexadecimal digits.
    pub fn to_text(&self) -> String {
        use fmt::Write as _;
        let mut text = String::with_capacity(2 * SECRET_BYTES);
        for byte in self.0.iter() {
            write!(text, "{byte:02x}").expect("a string takes everything");
        }
        text
    }

    /// A key for something beside the node that its cluster's nodes do together, such as finding
    /// each other: the same on all of them, and of no use for anything else. `purpose` says what it
    /// is for; each has a key of its own, from which neither the secret nor another key follows.
    pub fn derive_key(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(Derived::from(self).key(&[b"purpose ", purpose.as_bytes()]))
    }

    pub(crate) fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// Makes the file appear whole and at once, or not at all when there is one already (false):
    /// written beside it, then linked, which fails where a rename would replace.
    fn create(&self, path: &Path) -> io::Result<bool> {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new("."));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let mut suffix = [0; 8];
        SystemRandom::new()
            .fill(&mut suffix)
            .expect("the system has random numbers");
        let beside = folder.join(format!(".secret-{:016x}", u64::from_le_bytes(suffix)));
        let linked = self
            .write_new(&beside)
            .and_then(|()| fs::hard_link(&beside, path));
        let removed = fs::remove_file(&beside);
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
            Ok(()) => removed
                .and_then(|()| File::open(folder)?.sync_all())
                .map(|()| true),
        }
    }

    fn write_new(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        let text = Zeroizing::new(self.to_text() + "\n");
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }

    fn is_weak(&self) -> bool {
        let mut seen = [false; 256];
        for &byte in self.0.iter() {
            seen[usize::from(byte)] = true;
        }
        let different = seen.iter().filter(|&&seen| seen).count();
        let step = |pair: &[u8]| pair[1].wrapping_sub(pair[0]);
        let is_sequence = self.0.windows(2).all(|pair| step(pair) == step(&*self.0));
        different < DIFFERENT_BYTES_MIN || is_sequence
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        if text.len() != 2 * SECRET_BYTES || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(SecretError::Malformed);
        }
        let mut secret = Self(Zeroizing::new([0; SECRET_BYTES]));
        for (byte, at) in secret.0.iter_mut().zip((0..text.len()).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal: checked above");
        }
        if secret.is_weak() {
            Err(SecretError::Weak)
        } else {
            Ok(secret)
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inner/secret");
        (dir, path)
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_secret_survives_text_and_is_never_shown() {
        let secret = Secret::generate();
        assert_eq!(secret.to_text().parse::<Secret>().unwrap(), secret);
        assert_ne!(Secret::generate(), secret);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn every_secret_and_every_purpose_has_a_key_of_its_own() {
        let (one, other) = (Secret::generate(), Secret::generate());
        assert_eq!(one.derive_key("a"), one.derive_key("a"));
        assert_ne!(one.derive_key("a"), other.derive_key("a"));
        assert_ne!(one.derive_key("a"), one.derive_key("b"));
        assert_ne!(one.derive_key(""), one.derive_key("a"));
        assert_ne!(&*one.derive_key("a"), one.as_bytes());
    }

    #[test]
    fn weak_secrets_are_refused() {
        let sequence: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        for weak in [
            "00".repeat(32),
            "ff".repeat(32),
            "0123456789abcdef".repeat(4),
            sequence,
        ] {
            assert!(
                matches!(weak.parse::<Secret>(), Err(SecretError::Weak)),
                "{weak}"
            );
        }
        for malformed in [
            "",
            "hunter2",
            &"0".repeat(63),
            &"g".repeat(64),
            &"é".repeat(32),
        ] {
            assert!(matches!(
                malformed.parse::<Secret>(),
                Err(SecretError::Malformed)
            ));
        }
    }

    #[test]
    fn a_file_is_made_for_its_owner_alone_and_then_kept() {
        let (_dir, path) = scratch();
        let (made, new) = Secret::load_or_create(&path).unwrap();
        assert!(new);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let (kept, new) = Secret::load_or_create(&path).unwrap();
        assert!(!new && kept == made);
        let entries = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(entries, 1, "the file beside is gone");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_cure() {
        let (_dir, path) = scratch();
        for mode in [0o640, 0o604, 0o660, 0o644] {
            write(&path, &Secret::generate().to_text(), mode);
            let error = Secret::load(&path).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_bad_file_is_named() {
        let (_dir, path) = scratch();
        assert!(matches!(
            Secret::load(&path),
            Err(SecretError::Missing { .. })
        ));
        for text in ["", "short", &"ab".repeat(32)] {
            write(&path, text, 0o600);
            for error in [
                Secret::load(&path).unwrap_err(),
                Secret::load_or_create(&path).unwrap_err(),
            ] {
                assert!(
                    error.to_string().contains(path.to_str().unwrap()),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn all_that_start_together_share_the_winners_secret() {
        let (_dir, path) = scratch();
        let starters: Vec<_> = (0..16)
            .map(|_| {
                let path = path.clone();
                std::thread::spawn(move || Secret::load_or_create(&path).unwrap())
            })
            .collect();
        let got: Vec<_> = starters
            .into_iter()
            .map(|starter| starter.join().unwrap())
            .collect();
        let texts: BTreeSet<_> = got.iter().map(|(secret, _)| secret.to_text()).collect();
        assert_eq!(texts.len(), 1);
        assert_eq!(got.iter().filter(|(_, made)| *made).count(), 1);
    }
}
