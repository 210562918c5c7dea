//! The configuration file: TOML, read with the place of every key and value.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Problem};
use super::origin::Origin;
use super::value::Raw;
use super::{Assignment, key, unknown_key, unknown_table};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The system's configuration file.
const SYSTEM_FILE: &str = "/etc/convoke/convoke.toml";
/// The one in the working directory.
const LOCAL_FILE: &str = "convoke.toml";

/// A file that was read.
#[derive(Debug)]
pub(super) struct Document {
    path: PathBuf,
    text: String,
}

/// The file to use: the one that was named, by flag or environment, else one of the usual ones
/// that exists, else none.
pub(super) fn locate(flag: Option<&Path>, variable: Option<&str>) -> Option<PathBuf> {
    let named = flag
        .map(Path::to_path_buf)
        .or_else(|| variable.map(PathBuf::from));
    named.or_else(|| {
        [LOCAL_FILE, SYSTEM_FILE]
            .into_iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
    })
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is no regular file, can't be read, is too large, or is not UTF-8.
    pub(super) fn open(path: &Path) -> Result<Self, ConfigError> {
        let fail = |message: String| {
            let origin = Origin::File {
                path: path.to_path_buf(),
                place: None,
            };
            ConfigError::of(origin, message)
        };
        // Before it is opened: to open a pipe waits for a writer.
        let metadata = std::fs::metadata(path).map_err(|error| fail(unreadable(&error)))?;
        if !metadata.is_file() {
            return Err(fail(
                "is not a regular file: name a file with the configuration".into(),
            ));
        }
        let text = read(path).map_err(|error| fail(unreadable(&error)))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(fail(format!(
                "the file is too large: {FILE_BYTES_MAX} bytes are the most"
            )));
        }
        Ok(Self::new(path, text))
    }

    /// A file whose text is known.
    pub(super) fn new(path: &Path, text: String) -> Self {
        Self {
            path: path.to_path_buf(),
            text,
        }
    }

    /// What the file sets; what is wrong goes to `problems`.
    pub(super) fn assignments(&self, problems: &mut Vec<Problem>) -> Vec<Assignment> {
        let mut found = Vec::new();
        match DeTable::parse(&self.text) {
            Ok(table) => self.walk("", table.get_ref(), &mut found, problems),
            Err(error) => problems.push(self.malformed(&error)),
        }
        found.sort_by_key(|(start, _)| *start);
        found
            .into_iter()
            .map(|(_, assignment)| assignment)
            .collect()
    }

    fn walk(
        &self,
        prefix: &str,
        table: &DeTable<'_>,
        found: &mut Vec<(usize, Assignment)>,
        problems: &mut Vec<Problem>,
    ) {
        for (name, value) in table {
            let path = join(prefix, name.get_ref());
            let at = name.span().start;
            match (key::find(&path), value.get_ref()) {
                (Some(key), _) => {
                    let (raw, origin) = (raw(value.get_ref()), self.origin(value.span().start));
                    found.push((at, Assignment { key, raw, origin }));
                }
                (None, DeValue::Table(inner)) if is_table(&path) => {
                    self.walk(&path, inner, found, problems);
                }
                (None, DeValue::Table(_)) => {
                    problems.push(unknown_table(&path, self.origin(at)));
                }
                (None, _) => problems.push(unknown_key(&path, self.origin(at))),
            }
        }
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File {
            path: self.path.clone(),
            place: Some(place(&self.text, offset)),
        }
    }

    fn malformed(&self, error: &toml::de::Error) -> Problem {
        let place = error.span().map(|span| place(&self.text, span.start));
        let origin = Origin::File {
            path: self.path.clone(),
            place,
        };
        Problem {
            origin,
            key: None,
            message: format!("not valid TOML: {}", error.message()),
        }
    }
}

/// What was read is limited, not the size that the file claims: files of `/proc` claim none.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        // Told by its size: the cut may lie within a character.
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn unreadable(error: &io::Error) -> String {
    format!("cannot read the configuration file: {error}")
}

fn is_table(path: &str) -> bool {
    key::all().iter().any(|key| {
        key.path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// A quoted key that contains a dot is one name, never a path.
fn join(prefix: &str, name: &str) -> String {
    let name = if name.contains('.') {
        format!("{name:?}")
    } else {
        name.to_owned()
    };
    if prefix.is_empty() {
        name
    } else {
        format!("{prefix}.{name}")
    }
}

/// Line and column of an offset, counted from 1.
fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Boolean(value) => Raw::Boolean(*value),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Raw::Integer(number),
            Err(_) => Raw::Other("a number beyond 64 bits"),
        },
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Float(_) => Raw::Other("a fractional number"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}
