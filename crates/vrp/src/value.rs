//! What one word of a line may be: the argument types of the notation, their ranges and their values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::ids::SessionSerial;
use model::settings::InterfaceName;

use crate::secret;

/// The type of an argument. Lengths are in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `INTEGER<a-b>`: decimal digits only.
    Integer { min: u32, max: u32 },
    /// `STRING<a-b>`: printable ASCII without blanks.
    Text { min: u32, max: u32 },
    /// `LABEL<a-b>`: a string that does not begin with a digit and is not `-` (BEHAVIOUR.md 2.2).
    Label { min: u32, max: u32 },
    /// `LINE<a-b>`: everything to the end of the line, blanks included; nothing may follow it.
    Line { min: u32, max: u32 },
    /// `NAME<a-b>`: a string that may name a scheme, domain or group (BEHAVIOUR.md 3.1).
    Name { min: u32, max: u32 },
    /// `STEM<a-b>`: a name without a suffix, for files that get one (BEHAVIOUR.md 7.1).
    Stem { min: u32, max: u32 },
    /// `INTERFACE`: the name of a network interface or of a VRF.
    Interface,
    /// `SHA256`: the fingerprint of a host key as OpenSSH prints it, `SHA256:` and 43 characters of Base64.
    Fingerprint,
    /// `PATH<a-b>`: anything without blanks and control characters.
    Path { min: u32, max: u32 },
    /// `SECRET<a-b>`: a plain secret of that length, or the stored form of one.
    Secret { min: u32, max: u32 },
    /// `USERID`: a session's name for life, engine start and number with `-` between.
    UserId,
    /// `X.X.X.X`: the address of a host.
    Ipv4,
    /// `X:X::X:X`: the address of a host.
    Ipv6,
}

/// What an argument held.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Number(u32),
    Text(String),
    Address(IpAddr),
    UserId(SessionSerial),
}

/// The longest stored secret: 255 octets in hex with the marks, and room for what a cipher adds.
const STORED_SECRET_MAX: usize = 640;

/// Characters that no name may hold (BEHAVIOUR.md 3.1).
const NOT_IN_NAMES: &str = "/\\:*?\"<>|";

impl Kind {
    /// From the notation; `None` when there is no such type or its range is empty.
    pub(crate) fn from_notation(text: &str) -> Option<Kind> {
        match text {
            "X.X.X.X" => return Some(Kind::Ipv4),
            "X:X::X:X" => return Some(Kind::Ipv6),
            "INTERFACE" => return Some(Kind::Interface),
            "USERID" => return Some(Kind::UserId),
            "SHA256" => return Some(Kind::Fingerprint),
            _ => {}
        }
        let (word, range) = text.strip_suffix('>')?.split_once('<')?;
        let (min, max) = range.split_once('-')?;
        let (min, max) = (min.parse().ok()?, max.parse().ok()?);
        if min > max {
            return None;
        }
        Some(match word {
            "INTEGER" => Kind::Integer { min, max },
            "STRING" => Kind::Text { min, max },
            "LABEL" => Kind::Label { min, max },
            "LINE" => Kind::Line { min, max },
            "NAME" => Kind::Name { min, max },
            "STEM" => Kind::Stem { min, max },
            "PATH" => Kind::Path { min, max },
            "SECRET" => Kind::Secret { min, max },
            _ => return None,
        })
    }

    /// The value of `word`, or `None` when it is of another type or out of range.
    pub(crate) fn accept(self, word: &str) -> Option<Value> {
        let text = |fits: bool| fits.then(|| Value::Text(word.to_owned()));
        match self {
            Kind::Integer { min, max } => integer(word).filter(|n| (min..=max).contains(n)).map(Value::Number),
            Kind::Text { min, max } => text(within(word, min, max) && graphic(word)),
            Kind::Label { min, max } => {
                let named = word != "-" && !word.starts_with(|c: char| c.is_ascii_digit());
                text(within(word, min, max) && graphic(word) && named)
            }
            Kind::Line { min, max } => text(within(word, min, max) && !word.chars().any(char::is_control)),
            Kind::Name { min, max } => text(within(word, min, max) && graphic(word) && may_name(word)),
            Kind::Stem { min, max } => {
                text(within(word, min, max) && graphic(word) && may_name(word) && !word.contains('.'))
            }
            Kind::Interface => text(InterfaceName::new(word).is_some()),
            Kind::Fingerprint => text(is_fingerprint(word)),
            Kind::Path { min, max } => text(within(word, min, max) && !word.chars().any(char::is_control)),
            Kind::Secret { min, max } => text(may_be_secret(word, min, max)),
            Kind::UserId => user_id(word).map(Value::UserId),
            Kind::Ipv4 => word.parse().ok().filter(is_host_v4).map(|ip| Value::Address(IpAddr::V4(ip))),
            Kind::Ipv6 => word.parse().ok().filter(is_host_v6).map(|ip| Value::Address(IpAddr::V6(ip))),
        }
    }

    /// As help prints it (BEHAVIOUR.md 2.3).
    pub(crate) fn label(self) -> String {
        match self {
            Kind::Integer { min, max } => format!("INTEGER<{min}-{max}>"),
            Kind::Text { min, max }
            | Kind::Label { min, max }
            | Kind::Line { min, max }
            | Kind::Name { min, max }
            | Kind::Stem { min, max }
            | Kind::Path { min, max } => format!("STRING<{min}-{max}>"),
            Kind::Interface => format!("STRING<1-{}>", InterfaceName::LENGTH_MAX),
            Kind::Fingerprint => "SHA256:STRING<43-43>".to_owned(),
            Kind::Secret { min, max } => {
                // The stored form, as long as the vendor says (BEHAVIOUR.md 5.1, 6.1).
                let stored = if max <= 128 { 268 } else { 428 };
                format!("STRING<{min}-{max}>/<{min}-{stored}>")
            }
            Kind::UserId => "INTEGER-INTEGER".to_owned(),
            Kind::Ipv4 => "X.X.X.X".to_owned(),
            Kind::Ipv6 => "X:X::X:X".to_owned(),
        }
    }
}

fn integer(word: &str) -> Option<u32> {
    // `str::parse` takes a sign; the vendor does not.
    word.bytes().all(|octet| octet.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

fn user_id(word: &str) -> Option<SessionSerial> {
    let digits = |word: &str| word.bytes().all(|octet| octet.is_ascii_digit());
    let (epoch, sequence) = word.split_once('-').filter(|(epoch, sequence)| digits(epoch) && digits(sequence))?;
    Some(SessionSerial { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
}

fn within(word: &str, min: u32, max: u32) -> bool {
    u32::try_from(word.len()).is_ok_and(|length| (min..=max).contains(&length))
}

fn graphic(word: &str) -> bool {
    word.bytes().all(|octet| octet.is_ascii_graphic())
}

fn may_name(word: &str) -> bool {
    !word.contains(|c| NOT_IN_NAMES.contains(c)) && word != "-" && word != "--"
}

/// 32 octets are 43 characters of six bits; the last two bits of the last one carry nothing and are zero.
fn is_fingerprint(word: &str) -> bool {
    let base64 = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'+' || octet == b'/';
    word.strip_prefix("SHA256:").is_some_and(|digest| {
        digest.len() == 43 && digest.bytes().all(base64) && digest.ends_with(|c| "AEIMQUYcgkosw048".contains(c))
    })
}

fn may_be_secret(word: &str, min: u32, max: u32) -> bool {
    if word.chars().any(char::is_control) {
        return false;
    }
    if secret::is_stored(word) { word.len() <= STORED_SECRET_MAX } else { within(word, min, max) }
}

fn is_host_v4(ip: &Ipv4Addr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast()
}

fn is_host_v6(ip: &Ipv6Addr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_or_refused_by_type() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("INTEGER<0-65535>", &["0", "65535", "007"], &["65536", "-1", "+1", "1.0", "1s", "99999999999999999999"]),
            ("STRING<1-4>", &["a", "a?%^"], &["abcde", "\u{e9}", "a\u{7f}"]),
            (
                "NAME<1-32>",
                &["s1", "a@b", "---", "a-"],
                &["-", "--", "a/b", "a:b", "a*b", "a|b", "a<b", "a\\b", "a\"b"],
            ),
            ("LABEL<1-4>", &["a", "a-1"], &["1a", "-", "abcde", "a b"]),
            ("LINE<1-9>", &["a", "a b  c"], &["a b c d e f", "a\u{1}"]),
            ("STEM<1-4>", &["bill", "b-1"], &["bills", "b.x", "a/b", "..", "-"]),
            (
                "SHA256",
                &["SHA256:uNiVztksCsDhcc0u9e8BrDsuBdAUZgaPAtvCIcMgYc8"],
                &[
                    "uNiVztksCsDhcc0u9e8BrDsuBdAUZgaPAtvCIcMgYc8",
                    "sha256:uNiVztksCsDhcc0u9e8BrDsuBdAUZgaPAtvCIcMgYc8",
                    "SHA256:uNiVztksCsDhcc0u9e8BrDsuBdAUZgaPAtvCIcMgYc9",
                    "SHA256:uNiVztksCsDhcc0u9e8BrDsuBdAUZgaPAtvCIcMgYc",
                    "SHA256:uNiVztksCsDhcc0u9e8BrDsuBdAUZgaPAtvCIcMgYc8=",
                    "SHA256:uNiVztksCsDhcc0u9e8BrDsuBdAUZgaPAtvCIc-gYc8",
                    "accept-frist",
                ],
            ),
            ("INTERFACE", &["a", "LoopBack0", "eth0.100"], &["..", "a/b", "eth0:1", "sixteen-octets-x", "\u{e9}"]),
            ("PATH<1-8>", &["/a/b", "/\u{e9}"], &["/12345678", "/\u{1}"]),
            ("SECRET<1-4>", &["abcd", "%^%#sealed%^%#"], &["abcde", "%^%#abc", "ab\u{0}"]),
            (
                "X.X.X.X",
                &["192.0.2.1", "127.0.0.1"],
                &["192.0.2", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "1.2.3.256"],
            ),
            ("X:X::X:X", &["2001:db8::1", "::1"], &["192.0.2.1", "::", "ff02::1", "2001:db8:::1"]),
        ];
        for (notation, good, bad) in table {
            let kind = Kind::from_notation(notation).unwrap();
            for word in *good {
                assert!(kind.accept(word).is_some(), "{notation} refused {word}");
            }
            for word in *bad {
                assert!(kind.accept(word).is_none(), "{notation} took {word}");
            }
        }
    }

    #[test]
    fn a_stored_secret_has_a_length_limit_of_its_own() {
        let kind = Kind::from_notation("SECRET<1-128>").unwrap();
        let stored = |length: usize| format!("%^%#{}%^%#", "x".repeat(length));
        assert!(kind.accept(&stored(STORED_SECRET_MAX - 8)).is_some());
        assert!(kind.accept(&stored(STORED_SECRET_MAX - 7)).is_none());
    }

    #[test]
    fn unknown_types_are_no_types() {
        for notation in ["INTEGER", "INTEGER<5-4>", "INTEGER<1>", "WORD<1-2>", "STRING<1-x>", ""] {
            assert_eq!(Kind::from_notation(notation), None, "{notation}");
        }
    }
}
