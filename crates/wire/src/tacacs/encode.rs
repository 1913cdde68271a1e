//! Writing an accounting REQUEST (RFC 8907 section 7.1) into the caller's buffer.
//!
//! ```text
//! +---------------+---------------+---------------+---------------+
//! |     Flags     | Authen method |   Privilege   |  Authen type  |
//! +---------------+---------------+---------------+---------------+
//! | Authen service|  User length  |  Port length  |Rem addr length|
//! +---------------+---------------+---------------+---------------+
//! |Argument count | Length of each argument …
//! +---------------+---------------+---------------+---------------+
//! | User … port … remote address … argument 1 … argument N
//! ```
//!
//! The lengths of the arguments stand before the texts, and how many there will be is known at the end: until then they
//! are kept aside, and [`Encoder::finish`] moves the texts to make room. What did not fit is remembered and told there.
//! Texts are written as they are given: that they have no control characters (RFC 8907 section 3.7) is the caller's to see to.

use std::fmt::{self, Display, Write};

use super::argument::Name;
use super::{ARGUMENT_COUNT_MAX, BODY_SIZE_MAX, FIELD_SIZE_MAX, Flags, HEADER_SIZE, Header};

/// Octets of the body before the lengths of the arguments.
const FIXED_SIZE: usize = 9;

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncodeError {
    /// The packet does not fit into the buffer, or its body into 65,535 octets.
    Overflow,
    /// A user, a port or a remote address has more than 255 octets.
    FieldTooLong,
    /// An argument has more than 255 octets, with its name and the `=` between.
    ArgumentTooLong,
    /// There are more than 255 arguments.
    TooManyArguments,
}

impl Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::Overflow => "the packet is full",
            EncodeError::FieldTooLong => "a field has more than 255 octets",
            EncodeError::ArgumentTooLong => "an argument has more than 255 octets",
            EncodeError::TooManyArguments => "there are more than 255 arguments",
        })
    }
}

impl std::error::Error for EncodeError {}

/// What a record says (RFC 8907 section 7.2): the flags that are valid together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Record {
    /// Something begins.
    Start = 0x02,
    /// It is over.
    Stop = 0x04,
    /// It still runs; what the record says is no news, and a server takes no counters from it.
    Watchdog = 0x08,
    /// It still runs, and this is what has been counted so far.
    WatchdogUpdate = 0x0a,
}

/// How the user was authenticated: `TAC_PLUS_AUTHEN_METH_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AuthenMethod {
    #[default]
    NotSet = 0x00,
    None = 0x01,
    Krb5 = 0x02,
    Line = 0x03,
    Enable = 0x04,
    Local = 0x05,
    TacacsPlus = 0x06,
    Guest = 0x08,
    Radius = 0x10,
    Krb4 = 0x11,
    Rcmd = 0x20,
}

/// What the user proved it with: `TAC_PLUS_AUTHEN_TYPE_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AuthenType {
    #[default]
    NotSet = 0x00,
    Ascii = 0x01,
    Pap = 0x02,
    Chap = 0x03,
    MsChap = 0x05,
    MsChapV2 = 0x06,
}

/// What asked for authentication: `TAC_PLUS_AUTHEN_SVC_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AuthenService {
    #[default]
    None = 0x00,
    Login = 0x01,
    Enable = 0x02,
    Ppp = 0x03,
    Pt = 0x05,
    Rcmd = 0x06,
    X25 = 0x07,
    Nasi = 0x08,
    FwProxy = 0x09,
}

/// What a record says beside its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What matches the reply; unpredictable, and not in use on this connection.
    pub session_id: u32,
    /// [`Flags::SINGLE_CONNECT`] to offer it; [`Flags::UNENCRYPTED`] where there is no key.
    pub flags: Flags,
    /// The kind of record.
    pub record: Record,
    /// How the user was authenticated.
    pub authen_method: AuthenMethod,
    /// 0–15; what the user may do on the device, 0 for a subscriber.
    pub priv_lvl: u8,
    /// With which proof.
    pub authen_type: AuthenType,
    /// For what.
    pub authen_service: AuthenService,
    /// Who, at most 255 octets.
    pub user: &'a [u8],
    /// Where on this device, at most 255 octets.
    pub port: &'a [u8],
    /// From where, at most 255 octets.
    pub rem_addr: &'a [u8],
}

/// Writes a request, argument by argument.
#[derive(Debug)]
pub struct Encoder<'a> {
    /// At most a header and [`BODY_SIZE_MAX`] octets.
    buffer: &'a mut [u8],
    /// Where the next text goes. The lengths of the arguments, which come before the texts, are not in the buffer yet.
    end: usize,
    header: Header,
    argument_lengths: [u8; ARGUMENT_COUNT_MAX],
    argument_count: u8,
    error: Option<EncodeError>,
}

impl<'a> Encoder<'a> {
    /// Begins a packet.
    pub fn new(buffer: &'a mut [u8], request: &Request<'_>) -> Encoder<'a> {
        let size = buffer.len().min(HEADER_SIZE + BODY_SIZE_MAX);
        let mut encoder = Encoder {
            buffer: &mut buffer[..size],
            end: HEADER_SIZE,
            header: Header::of_request(request.flags, request.session_id, 0),
            argument_lengths: [0; ARGUMENT_COUNT_MAX],
            argument_count: 0,
            error: None,
        };
        let fields = [request.user, request.port, request.rem_addr];
        let [user, port, rem_addr] = fields.map(|field| encoder.length_of(field));
        encoder.put(&[
            request.record as u8,
            request.authen_method as u8,
            request.priv_lvl,
            request.authen_type as u8,
            request.authen_service as u8,
            user,
            port,
            rem_addr,
            0,
        ]);
        fields.into_iter().for_each(|field| encoder.put(field));
        encoder
    }

    /// `name=value`. An argument without a value is written too.
    pub fn text(&mut self, name: Name, value: &[u8]) -> &mut Self {
        self.argument(name, |encoder| encoder.put(value))
    }

    /// `name=value`, in decimal.
    pub fn number(&mut self, name: Name, value: u64) -> &mut Self {
        self.argument(name, |encoder| encoder.decimal(value))
    }

    /// `name=value`, as the value shows itself: an address, a time.
    pub fn display(&mut self, name: Name, value: impl Display) -> &mut Self {
        self.argument(name, |encoder| {
            // What finds no room is remembered by `put`.
            let _ = write!(Texts(encoder), "{value}");
        })
    }

    /// Ends the packet and gives its octets, in the clear. What stands behind them in the buffer means nothing.
    pub fn finish(mut self) -> Result<&'a mut [u8], EncodeError> {
        let texts = HEADER_SIZE + FIXED_SIZE..self.end;
        let lengths = HEADER_SIZE + FIXED_SIZE..HEADER_SIZE + FIXED_SIZE + usize::from(self.argument_count);
        let end = self.end + lengths.len();
        if end > self.buffer.len() {
            self.fail(EncodeError::Overflow);
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        let packet = &mut self.buffer[..end];
        packet.copy_within(texts, lengths.end);
        packet[lengths.start - 1] = self.argument_count;
        packet[lengths].copy_from_slice(&self.argument_lengths[..usize::from(self.argument_count)]);
        let length = u32::try_from(end - HEADER_SIZE).map_err(|_| EncodeError::Overflow)?;
        packet[..HEADER_SIZE].copy_from_slice(&Header { length, ..self.header }.octets());
        Ok(packet)
    }

    fn argument(&mut self, name: Name, write_value: impl FnOnce(&mut Self)) -> &mut Self {
        let begin = self.end;
        self.put(name.0.as_bytes());
        self.put(b"=");
        write_value(self);
        match (u8::try_from(self.end - begin), self.argument_lengths.get_mut(usize::from(self.argument_count))) {
            (Ok(length), Some(place)) => {
                *place = length;
                self.argument_count += 1;
            }
            (Err(_), _) => self.fail(EncodeError::ArgumentTooLong),
            (_, None) => self.fail(EncodeError::TooManyArguments),
        }
        self
    }

    fn decimal(&mut self, value: u64) {
        let mut digits = [b'0'; DIGIT_COUNT_MAX];
        let mut rest = value;
        let mut begin = digits.len();
        for place in digits.iter_mut().rev() {
            *place += (rest % 10).to_le_bytes()[0];
            rest /= 10;
            begin -= 1;
            if rest == 0 {
                break;
            }
        }
        self.put(&digits[begin..]);
    }

    fn length_of(&mut self, field: &[u8]) -> u8 {
        u8::try_from(field.len()).unwrap_or_else(|_| {
            self.fail(EncodeError::FieldTooLong);
            0
        })
    }

    fn put(&mut self, octets: &[u8]) {
        match self.buffer.get_mut(self.end..).and_then(|room| room.get_mut(..octets.len())) {
            Some(place) => {
                place.copy_from_slice(octets);
                self.end += octets.len();
            }
            None => self.fail(EncodeError::Overflow),
        }
    }

    /// The first error is the one that is told.
    #[cold]
    fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }
}

/// Digits of 2⁶⁴ − 1.
const DIGIT_COUNT_MAX: usize = 20;

const _: () = assert!(FIELD_SIZE_MAX == u8::MAX as usize && ARGUMENT_COUNT_MAX == u8::MAX as usize);

/// The encoder as something that is written to.
struct Texts<'e, 'a>(&'e mut Encoder<'a>);

impl Write for Texts<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.put(text.as_bytes());
        if self.0.error.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tacacs::argument::{ADDR, BYTES_IN, TASK_ID};

    const REQUEST: Request<'_> = Request {
        session_id: 0x0102_0304,
        flags: Flags::NONE,
        record: Record::Stop,
        authen_method: AuthenMethod::Radius,
        priv_lvl: 0,
        authen_type: AuthenType::Chap,
        authen_service: AuthenService::Ppp,
        user: b"u",
        port: b"",
        rem_addr: b"",
    };

    /// What a request with these arguments comes to, in a buffer of `size` octets.
    fn written(
        size: usize,
        request: &Request<'_>,
        write: impl FnOnce(&mut Encoder<'_>),
    ) -> Result<Vec<u8>, EncodeError> {
        let mut buffer = vec![0xee; size];
        let mut encoder = Encoder::new(&mut buffer, request);
        write(&mut encoder);
        encoder.finish().map(|packet| packet.to_vec())
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let long = [b'x'; 256];
        let user = |length| Request { user: &long[..length], ..REQUEST };
        let value = |length: usize| {
            written(1000, &REQUEST, |e| {
                e.text(TASK_ID, &long[..length]);
            })
        };
        let arguments = |count: usize| {
            written(70_000, &REQUEST, |e| {
                (0..count).for_each(|_| {
                    e.text(Name("n"), b"");
                });
            })
        };
        let full = |value: &[u8]| {
            written(70_000, &Request { user: &long[..255], rem_addr: &long[..255], ..REQUEST }, |e| {
                (0..253).for_each(|_| {
                    e.text(TASK_ID, &long[..247]);
                });
                e.text(TASK_ID, value);
            })
        };
        // 9 + 510 + 253 · 256 = 65,287 octets, and 248 with the last argument: its length, its name, its value.
        let table = [
            ("user 255", written(1000, &user(255), |_| {}).map(|packet| packet.len()), Ok(12 + 9 + 255)),
            ("user 256", written(1000, &user(256), |_| {}).map(|packet| packet.len()), Err(EncodeError::FieldTooLong)),
            ("argument 255", value(247).map(|packet| packet.len()), Ok(12 + 9 + 1 + 1 + 255)),
            ("argument 256", value(248).map(|packet| packet.len()), Err(EncodeError::ArgumentTooLong)),
            ("255 arguments", arguments(255).map(|packet| packet.len()), Ok(12 + 9 + 255 + 1 + 510)),
            ("256 arguments", arguments(256).map(|packet| packet.len()), Err(EncodeError::TooManyArguments)),
            ("65,535 octets", full(&long[..239]).map(|packet| packet.len()), Ok(12 + 65_535)),
            ("65,536 octets", full(&long[..240]).map(|packet| packet.len()), Err(EncodeError::Overflow)),
        ];
        for (what, found, expected) in table {
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn a_full_buffer_is_an_error_wherever_it_ends() {
        let whole = 12 + 9 + 2 + "u".len() + "task_id=7".len() + "addr=100.64.255.255".len();
        for size in 0..whole + 5 {
            let found = written(size, &REQUEST, |e| {
                e.text(TASK_ID, b"7").display(ADDR, std::net::Ipv4Addr::new(100, 64, 255, 255));
            });
            let expected = if size < whole { Err(EncodeError::Overflow) } else { Ok(whole) };
            assert_eq!(found.map(|packet| packet.len()), expected, "{size}");
        }
    }

    #[test]
    fn the_first_error_is_told() {
        let found = written(100, &Request { port: &[b'x'; 256], ..REQUEST }, |e| {
            e.text(TASK_ID, &[b'x'; 300]);
        });
        assert_eq!(found, Err(EncodeError::FieldTooLong));
    }

    proptest! {
        #[test]
        fn numbers_are_decimal(value in prop_oneof![any::<u64>(), 0..2000_u64, Just(u64::MAX)]) {
            let packet = written(100, &REQUEST, |e| {
                e.number(BYTES_IN, value);
            });
            let expected = format!("ubytes_in={value}");
            prop_assert!(packet.unwrap().ends_with(expected.as_bytes()));
        }
    }
}
