//! The bytes of the protocol, big-endian, both ways.
//!
//! A request is a 16-bit length and that many bytes, of which the first names its kind. Answers
//! have no length: they say themselves when they are whole, or end with the connection.

use std::fmt;

/// The longest name in bytes: 255 letters of up to four bytes, as in Erlang's own.
pub const NAME_BYTES_MAX: usize = 255 * 4;
/// The longest request that a server reads: a registration with the longest name, and room for
/// what a node says about itself besides. Convoke says nothing.
pub const REQUEST_BYTES_MAX: usize = 2048;
/// The longest answer to a look-up that is read.
pub const FOUND_BYTES_MAX: usize = 4096;
/// The longest list of names that is read.
pub const NAMES_BYTES_MAX: usize = 64 << 10;

const REGISTER: u8 = 120;
const REGISTERED: u8 = 121;
const REGISTERED_LONG: u8 = 118;
const LOOK_UP: u8 = 122;
const FOUND: u8 = 119;
const NAMES: u8 = 110;
const KILL: u8 = 107;
/// The answer to an order to end while nodes are registered.
pub const KILL_DENIED: &[u8] = b"NO";

/// From this version of Erlang's distribution on, a node's creation has 32 bits.
const LONG_CREATION: u16 = 6;

/// A node, as it describes itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The part before the `@`.
    pub name: String,
    /// Its port.
    pub port: u16,
    /// 77 for a node like all others, 72 for a hidden one.
    pub kind: u8,
    /// 0: TCP over IPv4, in Erlang's eyes. There is no number for QUIC.
    pub protocol: u8,
    /// The highest version of Erlang's distribution that it speaks.
    pub highest: u16,
    /// The lowest.
    pub lowest: u16,
    /// Anything else.
    pub extra: Vec<u8>,
}

impl Entry {
    /// A node of ours.
    pub fn of(name: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            port,
            kind: 77,
            protocol: 0,
            highest: 6,
            lowest: 5,
            extra: Vec::new(),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at port {}", self.name, self.port)
    }
}

/// What an `epmd` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Keep this node registered for as long as the connection is open.
    Register(Entry),
    /// Which port has the node of this name?
    LookUp(String),
    /// Who is registered?
    Names,
    /// End.
    Kill,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// They may become one when more come.
    Incomplete,
    /// They never will.
    Strange(&'static str),
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Whether it was taken.
    pub taken_in: bool,
    /// A number that differs from that of the last node of this name.
    pub creation: u32,
}

impl Request {
    /// With its length before it.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Register(entry) => {
                body.push(REGISTER);
                put_entry(&mut body, entry);
            }
            Self::LookUp(name) => {
                body.push(LOOK_UP);
                body.extend_from_slice(name.as_bytes());
            }
            Self::Names => body.push(NAMES),
            Self::Kill => body.push(KILL),
        }
        let length =
            u16::try_from(body.len()).expect("names are short: checked when they are made");
        [&length.to_be_bytes(), body.as_slice()].concat()
    }

    /// Reads what came after the length.
    ///
    /// # Errors
    /// When that is no request; never [`DecodeError::Incomplete`].
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let strange = DecodeError::Strange;
        match body {
            [REGISTER, rest @ ..] => match entry(&mut Reader(rest)) {
                Err(DecodeError::Incomplete) => Err(strange("a registration that ends early")),
                Ok(entry) if entry.port == 0 => Err(strange("a registration without a port")),
                read => read.map(Self::Register),
            },
            [LOOK_UP, rest @ ..] => Ok(Self::LookUp(name(rest)?)),
            [NAMES] => Ok(Self::Names),
            [KILL] => Ok(Self::Kill),
            _ => Err(strange("an unknown request")),
        }
    }
}

impl Registered {
    /// The answer to a node that speaks up to this version.
    pub fn encode(self, highest: u16) -> Vec<u8> {
        let result = u8::from(!self.taken_in);
        if highest >= LONG_CREATION {
            let creation = self.creation.to_be_bytes();
            return [&[REGISTERED_LONG, result], creation.as_slice()].concat();
        }
        // Of two bits, as Erlang's own gives old nodes.
        let creation = (self.creation % 3 + 1) as u16;
        [&[REGISTERED, result], creation.to_be_bytes().as_slice()].concat()
    }

    /// Reads the answer to a registration.
    ///
    /// # Errors
    /// When it is none, or not yet.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        let kind = reader.u8()?;
        if ![REGISTERED, REGISTERED_LONG].contains(&kind) {
            return Err(DecodeError::Strange("no answer to a registration"));
        }
        let taken_in = reader.u8()? == 0;
        let creation = match kind {
            REGISTERED_LONG => reader.u32()?,
            _ => u32::from(reader.u16()?),
        };
        Ok(Self { taken_in, creation })
    }
}

/// The answer to a look-up.
pub fn encode_found(found: Option<&Entry>) -> Vec<u8> {
    match found {
        None => vec![FOUND, 1],
        Some(entry) => {
            let mut bytes = vec![FOUND, 0];
            put_entry(&mut bytes, entry);
            bytes
        }
    }
}

/// Reads the answer to a look-up; `None` where there is no such node.
///
/// # Errors
/// When it is no answer, or not yet.
pub fn decode_found(bytes: &[u8]) -> Result<Option<Entry>, DecodeError> {
    let mut reader = Reader(bytes);
    if reader.u8()? != FOUND {
        return Err(DecodeError::Strange("no answer to a look-up"));
    }
    match (reader.u8()?, reader.0) {
        (0, _) => {}
        (_, []) => return Ok(None),
        _ => return Err(DecodeError::Strange("an answer that goes on after its end")),
    }
    let entry = entry(&mut reader)?;
    if entry.port == 0 {
        return Err(DecodeError::Strange("a node without a port"));
    }
    Ok(Some(entry))
}

/// The list of names, as Erlang's `epmd -names` prints it, after the server's own port.
pub fn encode_names<'a>(port: u16, entries: impl Iterator<Item = &'a Entry>) -> Vec<u8> {
    let mut bytes = u32::from(port).to_be_bytes().to_vec();
    for Entry { name, port, .. } in entries {
        bytes.extend_from_slice(format!("name {name} at port {port}\n").as_bytes());
    }
    bytes
}

/// Reads a list of names, whole: each with its port.
///
/// # Errors
/// When it is none.
pub fn decode_names(bytes: &[u8]) -> Result<Vec<(String, u16)>, DecodeError> {
    let mut reader = Reader(bytes);
    reader.u32()?;
    let text = std::str::from_utf8(reader.0);
    let text = text.map_err(|_| DecodeError::Strange("names that are no text"))?;
    text.lines()
        .map(|line| {
            let pair = line.strip_prefix("name ")?.split_once(" at port ")?;
            Some((pair.0.to_owned(), pair.1.trim().parse().ok()?))
        })
        .collect::<Option<_>>()
        .ok_or(DecodeError::Strange("no list of names"))
}

fn put_entry(bytes: &mut Vec<u8>, entry: &Entry) {
    let text = |bytes: &mut Vec<u8>, text: &[u8]| {
        let length = u16::try_from(text.len()).expect("it is short: checked when it was read");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(text);
    };
    bytes.extend_from_slice(&entry.port.to_be_bytes());
    bytes.extend_from_slice(&[entry.kind, entry.protocol]);
    bytes.extend_from_slice(&entry.highest.to_be_bytes());
    bytes.extend_from_slice(&entry.lowest.to_be_bytes());
    text(bytes, entry.name.as_bytes());
    text(bytes, &entry.extra);
}

fn entry(reader: &mut Reader<'_>) -> Result<Entry, DecodeError> {
    let (port, kind, protocol) = (reader.u16()?, reader.u8()?, reader.u8()?);
    let (highest, lowest) = (reader.u16()?, reader.u16()?);
    let length = reader.u16()?;
    if usize::from(length) > NAME_BYTES_MAX {
        return Err(DecodeError::Strange("a name that is too long"));
    }
    let name = name(reader.take(length.into())?)?;
    let length = reader.u16()?;
    if usize::from(length) > REQUEST_BYTES_MAX {
        return Err(DecodeError::Strange("a node that says too much"));
    }
    let extra = reader.take(length.into())?.to_vec();
    Ok(Entry {
        name,
        port,
        kind,
        protocol,
        highest,
        lowest,
        extra,
    })
}

/// Names are listed a line each, so nothing in them may break a line.
fn name(bytes: &[u8]) -> Result<String, DecodeError> {
    let text = std::str::from_utf8(bytes).ok();
    let text = text.filter(|text| {
        !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains(char::is_control)
    });
    text.map(str::to_owned)
        .ok_or(DecodeError::Strange("a name that is none"))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(DecodeError::Incomplete)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("as many bytes as were asked for"))
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests;
