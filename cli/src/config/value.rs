//! What a value of the configuration may look like, and how it is read and written.
//!
//! A file has types, the environment and the command line have words only. Both become a [`Raw`]
//! and are read by the type of the field they are for ([`Parse`]), so that every source takes
//! the same values and complains in the same words.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use convoke_core::NodeName;
use jiff::SignedDuration;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// A string of the file.
    Text(String),
    /// An integer of the file.
    Integer(i64),
    /// A boolean of the file.
    Boolean(bool),
    /// An array of the file.
    List(Vec<Raw>),
    /// Anything, from the environment or the command line: its type is what the key wants.
    Word(String),
    /// A type of TOML that no key takes.
    Other(&'static str),
}

impl Raw {
    /// The text, where there is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }

    /// What was found, for an error.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Text(text) | Self::Word(text) => format!("{:?}", shorten(text)),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(value) => value.to_string(),
            Self::List(_) => "a list".into(),
            Self::Other(what) => (*what).into(),
        }
    }
}

fn shorten(text: &str) -> String {
    const QUOTED_CHARS_MAX: usize = 80;
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

/// A type that a value can have.
pub(crate) trait Parse: Sized {
    /// What would be right, to follow "expected".
    fn expects() -> String;
    /// Reads a value. The error adds a reason to what [`Parse::expects`] says; it may be empty.
    fn parse(raw: &Raw) -> Result<Self, String>;
    /// Writes the value as TOML.
    fn print(&self) -> String;
    /// The value as a number that a range can bound: durations in milliseconds.
    fn measure(&self) -> Option<u64> {
        None
    }
}

/// A field of the configuration: a value, a list, or one that may be unset.
pub(crate) trait Setting {
    /// What would be right.
    fn expects(&self) -> String;
    /// Takes a value; on an error the field is as it was.
    fn read(&mut self, raw: &Raw) -> Result<(), String>;
    /// The value as TOML, `None` where it is unset.
    fn show(&self) -> Option<String>;
    /// As [`Parse::measure`].
    fn measure(&self) -> Option<u64>;
}

impl<T: Parse> Setting for T {
    fn expects(&self) -> String {
        T::expects()
    }

    fn read(&mut self, raw: &Raw) -> Result<(), String> {
        *self = T::parse(raw)?;
        Ok(())
    }

    fn show(&self) -> Option<String> {
        Some(self.print())
    }

    fn measure(&self) -> Option<u64> {
        Parse::measure(self)
    }
}

impl<T: Parse> Setting for Option<T> {
    fn expects(&self) -> String {
        T::expects()
    }

    fn read(&mut self, raw: &Raw) -> Result<(), String> {
        *self = Some(T::parse(raw)?);
        Ok(())
    }

    fn show(&self) -> Option<String> {
        self.as_ref().map(T::print)
    }

    fn measure(&self) -> Option<u64> {
        self.as_ref().and_then(Parse::measure)
    }
}

/// The most values that a list of the configuration may have.
pub(crate) const LIST_MAX: usize = 4096;

impl<T: Parse> Parse for Vec<T> {
    fn expects() -> String {
        format!("a list, each entry {}", T::expects())
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let items = match raw {
            Raw::List(items) => items.clone(),
            Raw::Word(words) => split(words),
            _ => return Err(String::new()),
        };
        if items.len() > LIST_MAX {
            return Err(format!(
                "it has {} entries, {LIST_MAX} are the most",
                items.len()
            ));
        }
        let item = |raw| T::parse(raw).map_err(|reason| in_list(raw, &reason));
        items.iter().map(item).collect()
    }

    fn print(&self) -> String {
        let items: Vec<String> = self.iter().map(T::print).collect();
        format!("[{}]", items.join(", "))
    }
}

/// Words with commas between them; also as a file has them, `["50ms", "250ms"]`.
fn split(words: &str) -> Vec<Raw> {
    let list = words.trim().strip_prefix('[');
    let list = list.and_then(|list| list.strip_suffix(']'));
    let bare = |word: &str| {
        let quoted = word
            .strip_prefix('"')
            .and_then(|word| word.strip_suffix('"'));
        quoted.filter(|_| list.is_some()).unwrap_or(word).to_owned()
    };
    let words = list
        .unwrap_or(words)
        .split(',')
        .map(|word| bare(word.trim()))
        .filter(|word| !word.is_empty());
    words.map(Raw::Word).collect()
}

fn in_list(raw: &Raw, reason: &str) -> String {
    match reason {
        "" => format!("{} is not one", raw.describe()),
        reason => reason.to_owned(),
    }
}

impl Parse for String {
    fn expects() -> String {
        "a text".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        match raw.text() {
            Some("") => Err("it is empty".into()),
            Some(text) => Ok(text.to_owned()),
            None => Err(String::new()),
        }
    }

    fn print(&self) -> String {
        toml::Value::String(self.clone()).to_string()
    }
}

impl Parse for PathBuf {
    fn expects() -> String {
        "a path".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        String::parse(raw).map(Self::from)
    }

    fn print(&self) -> String {
        self.to_string_lossy().into_owned().print()
    }
}

impl Parse for bool {
    fn expects() -> String {
        "true or false".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Boolean(value) => Ok(*value),
            Raw::Word(word) => word.parse().map_err(|_| String::new()),
            _ => Err(String::new()),
        }
    }

    fn print(&self) -> String {
        self.to_string()
    }
}

/// Reads an integer of any width; what is too wide is out of range.
fn integer<T: TryFrom<i64>>(raw: &Raw) -> Result<T, String> {
    let number = match raw {
        Raw::Integer(number) => *number,
        Raw::Word(word) => word.parse().map_err(|_| String::new())?,
        _ => return Err(String::new()),
    };
    T::try_from(number).map_err(|_| "it is out of range".into())
}

impl Parse for u8 {
    fn expects() -> String {
        "a whole number".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        integer(raw)
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn measure(&self) -> Option<u64> {
        Some((*self).into())
    }
}

impl Parse for u16 {
    fn expects() -> String {
        "a whole number".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        integer(raw)
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn measure(&self) -> Option<u64> {
        Some((*self).into())
    }
}

impl Parse for u32 {
    fn expects() -> String {
        "a whole number".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        integer(raw)
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn measure(&self) -> Option<u64> {
        Some((*self).into())
    }
}

impl Parse for usize {
    fn expects() -> String {
        "a whole number".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        integer(raw)
    }

    fn print(&self) -> String {
        self.to_string()
    }

    fn measure(&self) -> Option<u64> {
        u64::try_from(*self).ok()
    }
}

impl Parse for Duration {
    fn expects() -> String {
        "a duration such as \"200ms\", \"5s\" or \"1m 30s\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(String::new)?;
        parse_duration(text).ok_or_else(String::new)
    }

    fn print(&self) -> String {
        show_duration(*self).print()
    }

    fn measure(&self) -> Option<u64> {
        // What does not fit is beyond every range, and must be seen to be.
        Some(u64::try_from(self.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Reads "200ms", "5s", "1m 30s", "1d 12h"; `None` where it is something else or negative. A day
/// has 24 hours.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let days = text.trim().split_once('d').and_then(|(days, rest)| {
        let days = Duration::from_secs(24 * 3600).checked_mul(days.trim().parse().ok()?)?;
        match rest.trim() {
            "" => Some(days),
            rest => days.checked_add(parse_clock(rest)?),
        }
    });
    days.or_else(|| parse_clock(text))
}

/// Hours and what is smaller.
fn parse_clock(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
}

/// Writes a duration so that [`parse_duration`] reads it.
pub(crate) fn show_duration(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| format!("{}s", duration.as_secs()), |d| format!("{d:#}"))
}

/// Two durations, as a list.
impl Parse for (Duration, Duration) {
    fn expects() -> String {
        "a list of two durations, the shorter first, such as [\"50ms\", \"250ms\"]".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        match Vec::<Duration>::parse(raw)?.as_slice() {
            [low, high] if low <= high => Ok((*low, *high)),
            _ => Err(String::new()),
        }
    }

    fn print(&self) -> String {
        vec![self.0, self.1].print()
    }

    fn measure(&self) -> Option<u64> {
        Parse::measure(&self.1)
    }
}

impl Parse for SocketAddr {
    fn expects() -> String {
        "an address with a port, such as \"10.0.0.7:4370\" or \"[::1]:4370\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        raw.text()
            .and_then(|text| text.parse().ok())
            .ok_or_else(String::new)
    }

    fn print(&self) -> String {
        self.to_string().print()
    }
}

impl Parse for NodeName {
    fn expects() -> String {
        "a node name such as \"convoke1@10.0.0.1\"".into()
    }

    fn parse(raw: &Raw) -> Result<Self, String> {
        let text = raw.text().ok_or_else(String::new)?;
        local_name(text).map_err(|error| error.to_string())
    }

    fn print(&self) -> String {
        self.to_string().print()
    }
}

/// Reads a node name; a bare `name` gets the local host.
///
/// # Errors
/// When it is no node name.
pub(crate) fn local_name(text: &str) -> Result<NodeName, convoke_core::name::NameError> {
    match text.contains('@') || text.is_empty() {
        true => text.parse(),
        false => format!("{text}@127.0.0.1").parse(),
    }
}
