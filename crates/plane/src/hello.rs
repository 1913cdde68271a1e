//! The handshake: one message each way on a `SOCK_SEQPACKET` socket. With HELLO the plane passes three descriptors, in
//! this order: its memory, the engine's eventfd, the plane's eventfd.
//!
//! ```text
//! HELLO, 64 octets                       WELCOME, 32 octets
//!   0 "TLGHELLO"                           0 "TLGWELCM"
//!   8 version (32 bits)                    8 the engine's version (32 bits)
//!  12 octets of the name (16 bits)        12 the plane's version, repeated (32 bits)
//!  14 flags (16 bits): 1 a new start,
//!     2 counters of 32 bits
//!  16 plane epoch (64 bits)               16 answer (32 bits): 0 accepted, else why not
//!  24 octets of the memory (64 bits)      20 zero
//!  32 name, filled up with zeros
//! ```
//!
//! Everything is little-endian. The first twelve octets of both mean the same in every version. After WELCOME the
//! socket says one thing more, by being closed: that a side is gone.

use std::fmt;

use model::ids::PLANE_NAME_MAX;

use crate::layout::{LinkError, VERSION};

/// Octets of a HELLO.
pub const HELLO_BYTES: usize = 64;

/// Octets of a WELCOME.
pub const WELCOME_BYTES: usize = 32;

/// Descriptors that come with a HELLO.
pub const HELLO_DESCRIPTORS: usize = 3;

const HELLO_MAGIC: [u8; 8] = *b"TLGHELLO";
const WELCOME_MAGIC: [u8; 8] = *b"TLGWELCM";

/// What a plane says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Random per memory, never 0.
    pub epoch: u64,
    /// Octets of the memory.
    pub memory_bytes: u64,
    /// No session lives on from an earlier memory of this plane: an Up of a name that is known from there is a new
    /// session, and none is announced. A plane that was restarted under live sessions does not say so.
    pub new_start: bool,
    /// Each counter of this plane has 32 bits in truth, and begins at zero again behind the last of them. The totals of a Down
    /// as well.
    pub narrow: bool,
    name: [u8; PLANE_NAME_MAX],
    name_len: u8,
}

/// The flag of [`Hello::new_start`].
const NEW_START: u16 = 1;
/// The flag of [`Hello::narrow`].
const NARROW: u16 = 2;

/// Why the octets are no HELLO of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// Not a HELLO, or one with impossible values.
    Malformed,
    /// A HELLO of another version.
    Version {
        /// What the plane speaks.
        plane: u32,
    },
}

impl Hello {
    /// A HELLO, or `None` when the name has no octet, more than 32, or other than printable ASCII without spaces.
    pub fn new(name: &str, epoch: u64, memory_bytes: u64) -> Option<Hello> {
        let octets = name.as_bytes();
        let mut place = [0; PLANE_NAME_MAX];
        place.get_mut(..octets.len())?.copy_from_slice(octets);
        let good = !octets.is_empty() && octets.iter().all(u8::is_ascii_graphic);
        let name_len = u8::try_from(octets.len()).ok()?;
        good.then_some(Hello { epoch, memory_bytes, new_start: false, narrow: false, name: place, name_len })
    }

    /// The plane's name, 1–32 printable characters without spaces.
    pub fn name(&self) -> &str {
        str::from_utf8(&self.name[..usize::from(self.name_len)]).unwrap_or_default()
    }

    /// As octets.
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut out = [0; HELLO_BYTES];
        out[..8].copy_from_slice(&HELLO_MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..14].copy_from_slice(&u16::from(self.name_len).to_le_bytes());
        let flag = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
        let flags = flag(self.new_start, NEW_START) | flag(self.narrow, NARROW);
        out[14..16].copy_from_slice(&flags.to_le_bytes());
        out[16..24].copy_from_slice(&self.epoch.to_le_bytes());
        out[24..32].copy_from_slice(&self.memory_bytes.to_le_bytes());
        out[32..].copy_from_slice(&self.name);
        out
    }

    /// From octets.
    ///
    /// # Errors
    ///
    /// [`HelloError`], which says how to answer.
    pub fn decode(octets: &[u8]) -> Result<Hello, HelloError> {
        let rest = octets.strip_prefix(&HELLO_MAGIC).ok_or(HelloError::Malformed)?;
        let plane = u32::from_le_bytes(*rest.first_chunk().ok_or(HelloError::Malformed)?);
        if plane != VERSION {
            return Err(HelloError::Version { plane });
        }
        Hello::decode_body(octets).ok_or(HelloError::Malformed)
    }

    fn decode_body(octets: &[u8]) -> Option<Hello> {
        let octets: &[u8; HELLO_BYTES] = octets.try_into().ok()?;
        let name_len = u16::from_le_bytes(*octets[12..].first_chunk()?);
        let flags = u16::from_le_bytes(*octets[14..].first_chunk()?);
        let (name, padding) = octets[32..].split_at_checked(name_len.into())?;
        let epoch = u64::from_le_bytes(*octets[16..].first_chunk()?);
        let memory_bytes = u64::from_le_bytes(*octets[24..].first_chunk()?);
        let good = epoch != 0 && flags & !(NEW_START | NARROW) == 0 && padding.iter().all(|octet| *octet == 0);
        let hello = Hello::new(str::from_utf8(name).ok()?, epoch, memory_bytes)?;
        good.then_some(Hello { new_start: flags & NEW_START != 0, narrow: flags & NARROW != 0, ..hello })
    }
}

/// What the engine answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Answer {
    /// The link stands; the plane announces its live sessions now.
    Accepted = 0,
    /// The versions differ; both are in the message.
    Version = 1,
    /// The HELLO makes no sense.
    Malformed = 2,
    /// A plane of this name is linked already.
    NameTaken = 3,
    /// The memory can be resized.
    Unsealed = 4,
    /// The memory's header or positions are not believed.
    Memory = 5,
    /// No more planes can be linked.
    TooMany = 6,
    /// The engine is about to stop.
    ShuttingDown = 7,
    /// The descriptors are not those three.
    Descriptors = 8,
}

impl Answer {
    /// From the number in a WELCOME.
    pub const fn from_u32(value: u32) -> Option<Answer> {
        Some(match value {
            0 => Answer::Accepted,
            1 => Answer::Version,
            2 => Answer::Malformed,
            3 => Answer::NameTaken,
            4 => Answer::Unsealed,
            5 => Answer::Memory,
            6 => Answer::TooMany,
            7 => Answer::ShuttingDown,
            8 => Answer::Descriptors,
            _ => return None,
        })
    }

    /// A word of lower-case letters and hyphens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Answer::Accepted => "accepted",
            Answer::Version => "version",
            Answer::Malformed => "malformed",
            Answer::NameTaken => "name-taken",
            Answer::Unsealed => "unsealed",
            Answer::Memory => "memory",
            Answer::TooMany => "too-many",
            Answer::ShuttingDown => "shutting-down",
            Answer::Descriptors => "descriptors",
        }
    }
}

impl From<LinkError> for Answer {
    fn from(error: LinkError) -> Answer {
        match error {
            LinkError::Version { .. } => Answer::Version,
            LinkError::Magic | LinkError::Epoch | LinkError::Geometry | LinkError::Short | LinkError::HostileIndex => {
                Answer::Memory
            }
        }
    }
}

/// The engine's answer with both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// What the engine speaks.
    pub engine_version: u32,
    /// What the plane said it speaks.
    pub plane_version: u32,
    /// Whether the link stands.
    pub answer: Answer,
}

impl Welcome {
    /// The answer to a HELLO of this version.
    pub const fn new(answer: Answer) -> Welcome {
        Welcome { engine_version: VERSION, plane_version: VERSION, answer }
    }

    /// The answer to octets that are no HELLO.
    pub const fn refusing(error: HelloError) -> Welcome {
        match error {
            HelloError::Malformed => Welcome::new(Answer::Malformed),
            HelloError::Version { plane } => {
                Welcome { engine_version: VERSION, plane_version: plane, answer: Answer::Version }
            }
        }
    }

    /// As octets.
    pub fn encode(&self) -> [u8; WELCOME_BYTES] {
        let mut out = [0; WELCOME_BYTES];
        out[..8].copy_from_slice(&WELCOME_MAGIC);
        out[8..12].copy_from_slice(&self.engine_version.to_le_bytes());
        out[12..16].copy_from_slice(&self.plane_version.to_le_bytes());
        out[16..20].copy_from_slice(&(self.answer as u32).to_le_bytes());
        out
    }

    /// From octets; `None` when they are no WELCOME. An engine of another version that answers anything but
    /// `accepted` or a reason known here is understood as refusing the version.
    pub fn decode(octets: &[u8]) -> Option<Welcome> {
        let rest = octets.strip_prefix(&WELCOME_MAGIC)?;
        let engine_version = u32::from_le_bytes(*rest.first_chunk()?);
        let number = |at: usize| Some(u32::from_le_bytes(*rest.get(at..)?.first_chunk()?));
        if engine_version != VERSION {
            let plane_version = number(4).unwrap_or(VERSION);
            return Some(Welcome { engine_version, plane_version, answer: Answer::Version });
        }
        Some(Welcome { engine_version, plane_version: number(4)?, answer: Answer::from_u32(number(8)?)? })
    }
}

/// `accepted`, or why not; versions when they differ.
impl fmt::Display for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.answer.as_str())?;
        if self.answer == Answer::Version {
            write!(f, ": the plane speaks version {}, the engine version {}", self.plane_version, self.engine_version)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn a_hello_survives_its_octets() {
        for name in ["p", "plane-0", "a-name-of-exactly-32-characters!"] {
            let hello = Hello::new(name, 7, 1 << 20).unwrap();
            for (new_start, narrow) in [(false, false), (true, false), (false, true), (true, true)] {
                let hello = Hello { new_start, narrow, ..hello };
                let read = Hello::decode(&hello.encode()).unwrap();
                assert_eq!((read, read.name()), (hello, name));
            }
        }
    }

    #[test]
    fn names_outside_their_range_are_refused() {
        for name in ["", "a name", "pläne", "a-name-of-more-than-32-characters", "x\n"] {
            assert_eq!(Hello::new(name, 7, 4096), None, "{name:?}");
        }
    }

    #[test]
    fn wrong_octets_are_refused_by_name() {
        let good = Hello::new("plane", 7, 4096).unwrap().encode();
        let changed = |at: usize, octet: u8| {
            let mut octets = good;
            octets[at] = octet;
            Hello::decode(&octets)
        };
        assert_eq!(Hello::decode(b""), Err(HelloError::Malformed));
        assert_eq!(Hello::decode(&good[..63]), Err(HelloError::Malformed));
        assert_eq!(changed(0, b'X'), Err(HelloError::Malformed));
        assert_eq!(changed(8, 9), Err(HelloError::Version { plane: 9 }));
        assert_eq!(changed(12, 33), Err(HelloError::Malformed));
        assert_eq!(changed(12, 4), Err(HelloError::Malformed), "a name that goes on behind its end");
        assert_eq!(changed(14, 4), Err(HelloError::Malformed), "a flag of a later version");
        assert_eq!(changed(16, 0), Err(HelloError::Malformed), "epoch 0");
        assert_eq!(changed(33, 0xff), Err(HelloError::Malformed));
    }

    #[test]
    fn a_refusal_of_the_version_names_both() {
        let mut octets = [0; 200];
        octets[..12].copy_from_slice(b"TLGHELLO\x05\0\0\0");
        let error = Hello::decode(&octets).unwrap_err();
        let welcome = Welcome::decode(&Welcome::refusing(error).encode()).unwrap();
        assert_eq!(welcome.to_string(), "version: the plane speaks version 5, the engine version 1");
    }

    #[test]
    fn every_answer_survives_its_octets() {
        for number in 0..=8 {
            let welcome = Welcome::new(Answer::from_u32(number).unwrap());
            assert_eq!(Welcome::decode(&welcome.encode()), Some(welcome));
        }
        assert_eq!(Answer::from_u32(9), None);
        assert_eq!(Welcome::decode(&[0; 32]), None);
        assert_eq!(Welcome::decode(b"TLGWELCM\x02\0\0\0").map(|welcome| welcome.answer), Some(Answer::Version));
    }
}
