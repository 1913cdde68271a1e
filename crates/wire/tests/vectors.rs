//! The text vectors: attributes in, octets out, and back. What they say and how to add one stands at the top of
//! `vectors/rfc.txt`.

#![expect(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

mod text;

use model::event::Prefix;
use model::time::Wall;
use wire::radius::authenticator::{Unsigned, sign_request, verify_request, verify_response};
use wire::radius::name::{self, Form, Name};
use wire::radius::{Code, Encoder, Packet, Type, VendorType, authorization, message_authenticator, server};

use text::{hex, meaningful_lines, pairs, unhex};

#[test]
fn packets() {
    let files = [
        include_str!("vectors/rfc.txt"),
        include_str!("vectors/freeradius.txt"),
        include_str!("vectors/accounting.txt"),
        include_str!("vectors/authorization.txt"),
    ];
    let vectors: Vec<Vector> = files.iter().flat_map(|file| parse_vectors(file)).collect();
    assert_eq!(vectors.len(), 13, "a vector was added or lost");
    vectors.iter().for_each(check);
}

#[test]
fn attributes() {
    for (line, octets) in pairs(include_str!("vectors/attributes.txt"), " -> ") {
        let octets = unhex(octets);
        assert_eq!(encoded(&[line]), octets, "{line}");
        assert_eq!(detail_lines(&octets), [line]);
    }
}

#[test]
fn datagrams() {
    for (expected, octets) in pairs(include_str!("vectors/datagrams.txt"), "<-") {
        let found = Packet::parse(&unhex(octets)).map_or_else(|error| error.as_str(), |_| "ok");
        assert_eq!(found, expected.trim(), "{octets}");
    }
}

/// What one `packet` says.
#[derive(Debug, Default)]
struct Vector {
    name: String,
    code: u8,
    identifier: u8,
    secret: Vec<u8>,
    authenticator: Option<[u8; 16]>,
    attributes: Vec<String>,
    request: Vec<u8>,
    reply: Vec<u8>,
    our_reply: Vec<u8>,
    our_verdict: Option<Result<(), u32>>,
}

fn check(vector: &Vector) {
    let name = &vector.name;
    let attributes: Vec<&str> = vector.attributes.iter().map(String::as_str).collect();
    assert_eq!(hex(&request_of(vector, &attributes)), hex(&vector.request), "{name}: request");

    let request = Packet::parse(&vector.request).unwrap();
    assert_eq!((request.code(), request.identifier()), (Code(vector.code), vector.identifier), "{name}");
    let said: Vec<&str> = attributes.into_iter().filter(|line| *line != "Message-Authenticator").collect();
    assert_eq!(detail_lines(request.attribute_run()), said, "{name}: read back");
    // An Access-Request is no request of ours, and nothing in it is verifiable.
    if request.code() != Code(1) {
        assert_eq!(verify_request(&request, &vector.secret), Ok(()), "{name}: request");
    }
    for reply in [&vector.reply, &vector.our_reply].into_iter().filter(|reply| !reply.is_empty()) {
        let reply = Packet::parse(reply).unwrap();
        assert_eq!(verify_response(&reply, request.authenticator(), &vector.secret), Ok(()), "{name}: reply");
    }
    if !vector.our_reply.is_empty() {
        let mut buffer = [0; 4096];
        let reply = match vector.our_verdict {
            None => server::respond(&request, &vector.secret, &mut buffer).unwrap(),
            Some(verdict) => authorization::answer(&request, verdict, &vector.secret, &mut buffer).unwrap(),
        };
        assert_eq!(hex(reply), hex(&vector.our_reply), "{name}: our reply");
    }
}

/// The signed packet that the vector describes.
fn request_of(vector: &Vector, attributes: &[&str]) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut encoder = Encoder::packet(&mut buffer, Code(vector.code), vector.identifier);
    let with_message_authenticator = attributes.contains(&"Message-Authenticator");
    encoder.authenticator(&vector.authenticator.unwrap_or_default());
    attributes.iter().for_each(|line| encode(&mut encoder, line));
    let packet = encoder.finish().unwrap();
    match vector.authenticator {
        Some(_) => message_authenticator::sign(packet, &vector.secret),
        None => sign_request(&mut Unsigned {
            packet,
            secret: &vector.secret,
            message_authenticator: with_message_authenticator,
        }),
    }
    packet.to_vec()
}

/// The run of these attributes.
fn encoded(lines: &[&str]) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut encoder = Encoder::run(&mut buffer);
    lines.iter().for_each(|line| encode(&mut encoder, line));
    encoder.finish().unwrap().to_vec()
}

/// Writes what a line `Name = value` says.
fn encode(encoder: &mut Encoder<'_>, line: &str) {
    if line == "Message-Authenticator" {
        encoder.message_authenticator();
        return;
    }
    let (attribute, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no value in {line:?}"));
    if let Some(number) = attribute.strip_prefix("Attr-") {
        let octets = unhex(value.strip_prefix("0x").unwrap());
        match number.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>()[..] {
            [kind] => {
                encoder.attribute(wire::radius::Attribute { kind: Type(kind.try_into().unwrap()), value: &octets })
            }
            [26, vendor, number] => {
                encoder.vendor_bytes(VendorType { vendor, number: number.try_into().unwrap() }, &octets)
            }
            _ => panic!("{line:?}"),
        };
    } else if let Some((kind, name)) = name::lookup(attribute) {
        encode_standard(encoder, kind, name, value);
    } else {
        let (kind, name) = name::lookup_vendor(attribute).unwrap_or_else(|| panic!("no attribute {attribute:?}"));
        match name.form {
            Form::Integer => encoder.vendor_u32(kind, number_of(name, value)),
            Form::Text => encoder.vendor_bytes(kind, &unquoted(value)),
            _ => panic!("{line:?}"),
        };
    }
}

fn encode_standard(encoder: &mut Encoder<'_>, kind: Type, name: &Name, value: &str) {
    match name.form {
        Form::Text => encoder.bytes(kind, &unquoted(value)),
        Form::Octets => {
            let value = unhex(value.strip_prefix("0x").unwrap());
            encoder.attribute(wire::radius::Attribute { kind, value: &value })
        }
        Form::Integer | Form::Time => encoder.u32(kind, number_of(name, value)),
        Form::Ipv4 => encoder.ipv4(kind, value.parse().unwrap()),
        Form::Ipv6 => encoder.ipv6(kind, value.parse().unwrap()),
        Form::Prefix => {
            let (address, length) = value.split_once('/').unwrap();
            encoder.prefix(kind, Prefix { address: address.parse().unwrap(), length: length.parse().unwrap() })
        }
        Form::InterfaceId => {
            let words = value.split(':').map(|word| u64::from_str_radix(word, 16).unwrap());
            encoder.interface_id(kind, words.fold(0, |id, word| id << 16 | word))
        }
    };
}

fn number_of(name: &Name, value: &str) -> u32 {
    let named = name.values.iter().find(|(_, word)| *word == value);
    named.map_or_else(|| value.parse().unwrap(), |(number, _)| *number)
}

/// The octets of a quoted text: `\n`, `\r`, `\t`, `\ooo`, and `\` before anything else.
fn unquoted(value: &str) -> Vec<u8> {
    let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
    let mut octets = Vec::new();
    let mut rest = inside.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (*first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                octets.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (b'\\', [escaped, after @ ..]) => {
                octets.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest = after;
            }
            (octet, _) => octets.push(octet),
        }
    }
    octets
}

/// The run as a detail entry says it, without what surrounds it.
fn detail_lines(run: &[u8]) -> Vec<String> {
    let mut text = String::new();
    wire::detail::write_entry(&mut text, Wall::from_millis(0), run).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix('\t'));
    lines.filter(|line| !line.starts_with("Timestamp = ")).map(str::to_owned).collect()
}

fn parse_vectors(file: &str) -> Vec<Vector> {
    let mut vectors: Vec<Vector> = Vec::new();
    let mut octets_of = "";
    for line in meaningful_lines(file) {
        if let Some(name) = line.strip_prefix("packet ") {
            vectors.push(Vector { name: name.to_owned(), ..Vector::default() });
            continue;
        }
        let vector = vectors.last_mut().expect("a line before the first packet");
        if line.starts_with("    ") {
            let octets = unhex(line);
            match octets_of {
                "request" => vector.request.extend(octets),
                "reply" => vector.reply.extend(octets),
                "our-reply" => vector.our_reply.extend(octets),
                _ => panic!("octets of what? {line:?}"),
            }
            continue;
        }
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match word {
            "code" => vector.code = rest.parse().unwrap(),
            "identifier" => vector.identifier = rest.parse().unwrap(),
            "secret" => vector.secret = rest.into(),
            "authenticator" => vector.authenticator = Some(unhex(rest).try_into().unwrap()),
            "our-verdict" => vector.our_verdict = Some(rest.parse().map_or(Ok(()), Err)),
            "request" | "reply" | "our-reply" => octets_of = word,
            _ => vector.attributes.push(line.trim().to_owned()),
        }
    }
    vectors
}
