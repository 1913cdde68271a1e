//! The packets of RFC 1350 section 5 and the options of RFC 2347–2349: octets ↔ meaning.

use std::fmt;

/// A DATA packet's octets when no other size was agreed on (RFC 1350 section 2).
pub const BLOCK_SIZE_DEFAULT: u16 = 512;
/// The smallest block size (RFC 2348).
pub const BLOCK_SIZE_MIN: u16 = 8;
/// The largest block size (RFC 2348).
pub const BLOCK_SIZE_MAX: u16 = 65_464;

const RRQ: u16 = 1;
const WRQ: u16 = 2;
const DATA: u16 = 3;
const ACK: u16 = 4;
const ERROR: u16 = 5;
const OACK: u16 = 6;

/// What a client may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// One block of a file.
    Data {
        /// Its number, modulo 65,536.
        block: u16,
        /// At most a block; fewer octets end the file.
        octets: &'a [u8],
    },
    /// A block has arrived.
    Ack {
        /// Its number, modulo 65,536; 0 acknowledges a write request.
        block: u16,
    },
    /// The transfer is over.
    Error(ErrorCode),
    /// The options that the server takes (RFC 2347).
    OptionAck(Granted),
}

/// What an ERROR says (RFC 1350 appendix I, RFC 2347). A code that nobody has defined is [`ErrorCode::Undefined`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ErrorCode {
    /// Not defined; the text that nobody reads says more.
    Undefined = 0,
    /// File not found.
    FileNotFound = 1,
    /// Access violation.
    AccessViolation = 2,
    /// Disk full or allocation exceeded.
    DiskFull = 3,
    /// Illegal operation.
    IllegalOperation = 4,
    /// Unknown transfer id.
    UnknownTransfer = 5,
    /// File already exists.
    FileExists = 6,
    /// No such user.
    NoSuchUser = 7,
    /// Option negotiation failed.
    OptionsRefused = 8,
}

impl ErrorCode {
    const ALL: [ErrorCode; 9] = [
        ErrorCode::Undefined,
        ErrorCode::FileNotFound,
        ErrorCode::AccessViolation,
        ErrorCode::DiskFull,
        ErrorCode::IllegalOperation,
        ErrorCode::UnknownTransfer,
        ErrorCode::FileExists,
        ErrorCode::NoSuchUser,
        ErrorCode::OptionsRefused,
    ];

    fn from_wire(code: u16) -> ErrorCode {
        ErrorCode::ALL.get(usize::from(code)).copied().unwrap_or(ErrorCode::Undefined)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorCode::Undefined => "an error without a code",
            ErrorCode::FileNotFound => "file not found",
            ErrorCode::AccessViolation => "access violation",
            ErrorCode::DiskFull => "disk full",
            ErrorCode::IllegalOperation => "illegal operation",
            ErrorCode::UnknownTransfer => "unknown transfer id",
            ErrorCode::FileExists => "file already exists",
            ErrorCode::NoSuchUser => "no such user",
            ErrorCode::OptionsRefused => "options refused",
        })
    }
}

/// The options of an OACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// `blksize`, octets (RFC 2348).
    pub block_size: Option<u16>,
    /// `timeout`, seconds, 1–255 (RFC 2349).
    pub timeout_s: Option<u8>,
    /// `tsize`, octets (RFC 2349).
    pub size: Option<u64>,
    /// There is an option that nobody asks for here.
    pub has_other: bool,
}

/// Octets that no server sends to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPacket;

impl<'a> Packet<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    ///
    /// [`BadPacket`] when it is cut short, has octets too many, is a request, or carries an option whose value is no number in
    /// its range.
    pub fn parse(octets: &'a [u8]) -> Result<Packet<'a>, BadPacket> {
        let (operation, rest) = take_u16(octets)?;
        match operation {
            DATA => {
                let (block, octets) = take_u16(rest)?;
                Ok(Packet::Data { block, octets })
            }
            ACK => match take_u16(rest)? {
                (block, []) => Ok(Packet::Ack { block }),
                _ => Err(BadPacket),
            },
            // The text behind the code is for people, and some servers forget its last octet.
            ERROR => Ok(Packet::Error(ErrorCode::from_wire(take_u16(rest)?.0))),
            OACK => Ok(Packet::OptionAck(granted(rest)?)),
            _ => Err(BadPacket),
        }
    }
}

fn take_u16(octets: &[u8]) -> Result<(u16, &[u8]), BadPacket> {
    let (first, rest) = octets.split_first_chunk().ok_or(BadPacket)?;
    Ok((u16::from_be_bytes(*first), rest))
}

fn granted(mut octets: &[u8]) -> Result<Granted, BadPacket> {
    let mut granted = Granted::default();
    while !octets.is_empty() {
        let name = take_text(&mut octets)?;
        let value = take_text(&mut octets)?;
        // RFC 2347: the case of a name is of no importance.
        match name.to_ascii_lowercase().as_str() {
            "blksize" => granted.block_size = Some(value.parse().map_err(|_| BadPacket)?),
            "timeout" => granted.timeout_s = Some(value.parse().map_err(|_| BadPacket)?),
            "tsize" => granted.size = Some(value.parse().map_err(|_| BadPacket)?),
            _ => granted.has_other = true,
        }
    }
    Ok(granted)
}

fn take_text<'a>(octets: &mut &'a [u8]) -> Result<&'a str, BadPacket> {
    let end = octets.iter().position(|octet| *octet == 0).ok_or(BadPacket)?;
    let (text, rest) = octets.split_at(end);
    *octets = &rest[1..];
    std::str::from_utf8(text).map_err(|_| BadPacket)
}

/// Which way a request wants the file to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// RRQ: from the server.
    Read,
    /// WRQ: to the server.
    Write,
}

/// The options that a request proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// `blksize`, octets, 8–65,464.
    pub block_size: u16,
    /// `timeout`: how long the server waits before it sends a packet again, seconds, 1–255.
    pub timeout_s: u8,
    /// `tsize`: the size of the file that comes, octets.
    pub size: Option<u64>,
}

/// Writes a request in mode `octet`. The name must hold no zero octet.
pub fn write_request(out: &mut Vec<u8>, request: Request, name: &str, options: Option<Proposed>) {
    let operation = match request {
        Request::Read => RRQ,
        Request::Write => WRQ,
    };
    out.extend_from_slice(&operation.to_be_bytes());
    write_text(out, name);
    write_text(out, "octet");
    let Some(options) = options else { return };
    write_text(out, "blksize");
    write_text(out, &options.block_size.to_string());
    write_text(out, "timeout");
    write_text(out, &options.timeout_s.to_string());
    if let Some(size) = options.size {
        write_text(out, "tsize");
        write_text(out, &size.to_string());
    }
}

/// Writes one block of a file.
pub fn write_data(out: &mut Vec<u8>, block: u16, octets: &[u8]) {
    out.extend_from_slice(&DATA.to_be_bytes());
    out.extend_from_slice(&block.to_be_bytes());
    out.extend_from_slice(octets);
}

/// Writes an acknowledgement.
pub fn write_ack(out: &mut Vec<u8>, block: u16) {
    out.extend_from_slice(&ACK.to_be_bytes());
    out.extend_from_slice(&block.to_be_bytes());
}

/// Writes an error with its own words.
pub fn write_error(out: &mut Vec<u8>, code: ErrorCode) {
    out.extend_from_slice(&ERROR.to_be_bytes());
    out.extend_from_slice(&(code as u16).to_be_bytes());
    write_text(out, &code.to_string());
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}
