//! TACACS+ packets: the text vectors, and the property that what is written is what a decoder that knows nothing of this
//! crate reads. What the vectors say and how to add one stands at the top of `vectors/tacacs.txt`.

#![expect(clippy::unwrap_used, reason = "a vector that cannot be read fails the test")]

mod text;

use std::fmt::Write;

use md5::{Digest, Md5};
use proptest::prelude::*;
use wire::tacacs::argument::Name;
use wire::tacacs::encode::{AuthenMethod, AuthenService, AuthenType};
use wire::tacacs::{Clear, Encoder, Flags, Record, Reply, Request, Status, obfuscate, obfuscate_all};

use text::{hex, meaningful_lines, pairs, unhex};

#[test]
fn requests() {
    let vectors = parse_vectors(include_str!("vectors/tacacs.txt"));
    assert_eq!(vectors.len(), 5, "a vector was added or lost");
    let clear: Vec<Vec<u8>> = vectors.iter().map(Vector::encoded).collect();
    for (vector, clear) in vectors.iter().zip(&clear) {
        assert_eq!(hex(clear), hex(&vector.clear), "{}: clear", vector.name);
        let mut packet = clear.clone();
        obfuscate(&mut packet, vector.key.as_deref().unwrap_or_default());
        assert_eq!(hex(&packet), hex(&vector.request), "{}: alone", vector.name);
    }
    // All of them together, each many times, which no group of lanes divides.
    let many = || vectors.iter().cycle().take(97);
    let mut packets: Vec<Vec<u8>> = clear.iter().cycle().take(97).cloned().collect();
    let batch = packets.iter_mut().zip(many());
    let mut batch: Vec<Clear<'_>> =
        batch.map(|(packet, vector)| Clear { packet, key: vector.key.as_deref().unwrap_or_default() }).collect();
    obfuscate_all(&mut batch);
    for (packet, vector) in packets.iter().zip(many()) {
        assert_eq!(hex(packet), hex(&vector.request), "{}: among many", vector.name);
    }
}

#[test]
fn replies() {
    for (expected, octets) in pairs(include_str!("vectors/tacacs_replies.txt"), "<-") {
        let (key, expected) = expected.trim().split_once(' ').unwrap();
        let key = (key != "none").then_some(key.as_bytes());
        let mut packet = unhex(octets);
        let found = Reply::open(&mut packet, key).map_or_else(|error| error.as_str().to_owned(), said);
        assert_eq!(found, expected, "{octets}");
    }
}

/// A reply as its line says it.
fn said(reply: Reply<'_>) -> String {
    assert_eq!(reply.session_id, 0x5eed_0001);
    let mut line = match reply.status {
        Status::Success => "success".to_owned(),
        Status::Error => "error".to_owned(),
        Status::Follow => "follow".to_owned(),
        Status::Other(number) => format!("other-{number}"),
    };
    if reply.flags.has(Flags::SINGLE_CONNECT) {
        line.push_str("+single");
    }
    let texts = [reply.server_msg, reply.data].map(|text| std::str::from_utf8(text).unwrap());
    if texts != ["", ""] {
        write!(line, " {:?} {:?}", texts[0], texts[1]).unwrap();
    }
    line
}

/// What one `packet` says.
#[derive(Default)]
struct Vector {
    name: String,
    key: Option<Vec<u8>>,
    session_id: u32,
    single_connect: bool,
    record: String,
    authenticated: String,
    user: String,
    port: String,
    rem_addr: String,
    arguments: Vec<(Name, String)>,
    clear: Vec<u8>,
    request: Vec<u8>,
}

impl Vector {
    /// The packet that the vector describes, in the clear.
    fn encoded(&self) -> Vec<u8> {
        let [method, privilege, kind, service] =
            self.authenticated.split(' ').collect::<Vec<_>>().try_into().unwrap_or_else(|_| panic!("{}", self.name));
        let unencrypted = if self.key.is_none() { Flags::UNENCRYPTED } else { Flags::NONE };
        let request = Request {
            session_id: self.session_id,
            flags: if self.single_connect { unencrypted.with(Flags::SINGLE_CONNECT) } else { unencrypted },
            record: one_of(
                &self.record,
                [
                    ("start", Record::Start),
                    ("stop", Record::Stop),
                    ("watchdog", Record::Watchdog),
                    ("update", Record::WatchdogUpdate),
                ],
            ),
            authen_method: one_of(
                method,
                [
                    ("not-set", AuthenMethod::NotSet),
                    ("none", AuthenMethod::None),
                    ("tacacs+", AuthenMethod::TacacsPlus),
                    ("radius", AuthenMethod::Radius),
                ],
            ),
            priv_lvl: privilege.parse().unwrap(),
            authen_type: one_of(
                kind,
                [("not-set", AuthenType::NotSet), ("ascii", AuthenType::Ascii), ("chap", AuthenType::Chap)],
            ),
            authen_service: one_of(
                service,
                [("none", AuthenService::None), ("login", AuthenService::Login), ("ppp", AuthenService::Ppp)],
            ),
            user: self.user.as_bytes(),
            port: self.port.as_bytes(),
            rem_addr: self.rem_addr.as_bytes(),
        };
        let mut buffer = [0xee; 1000];
        let mut encoder = Encoder::new(&mut buffer, &request);
        for (name, value) in &self.arguments {
            // Numbers and texts come to the same octets.
            match value.parse() {
                Ok(number) => encoder.number(*name, number),
                Err(_) => encoder.text(*name, value.as_bytes()),
            };
        }
        encoder.finish().unwrap().to_vec()
    }
}

fn one_of<T: Copy, const N: usize>(word: &str, table: [(&str, T); N]) -> T {
    table.iter().find(|(name, _)| *name == word).unwrap_or_else(|| panic!("no {word:?}")).1
}

/// Names are constants; these live as long as the test does.
fn name(text: &str) -> Name {
    Name(text.to_owned().leak())
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
            match octets_of {
                "clear" => vector.clear.extend(unhex(line)),
                "request" => vector.request.extend(unhex(line)),
                _ => panic!("octets of what? {line:?}"),
            }
            continue;
        }
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match word {
            "key" => vector.key = Some(rest.into()),
            "session" => vector.session_id = u32::from_str_radix(rest, 16).unwrap(),
            "single-connect" => vector.single_connect = true,
            "record" => vector.record = rest.to_owned(),
            "authenticated" => vector.authenticated = rest.to_owned(),
            "user" => vector.user = rest.to_owned(),
            "port" => vector.port = rest.to_owned(),
            "rem_addr" => vector.rem_addr = rest.to_owned(),
            "clear" | "request" => octets_of = word,
            _ => {
                let (argument, value) = line.trim().split_once('=').unwrap_or_else(|| panic!("{line:?}"));
                vector.arguments.push((name(argument), value.to_owned()));
            }
        }
    }
    vectors
}

/// What RFC 8907 section 7.1 says these octets are, on the way that a server has: a header, the pad, the lengths, the texts.
#[derive(Debug, PartialEq)]
struct Decoded {
    header: [u8; 8],
    fixed: [u8; 5],
    texts: [Vec<u8>; 3],
    arguments: Vec<Vec<u8>>,
}

fn decode(packet: &[u8], key: &[u8]) -> Decoded {
    let length = u32::from_be_bytes(packet[8..12].try_into().unwrap());
    assert_eq!(usize::try_from(length).unwrap(), packet.len() - 12);
    let (mut body, mut pad) = (Vec::new(), Vec::new());
    for piece in packet[12..].chunks(16) {
        pad = Md5::digest([&packet[4..8], key, &packet[..1], &packet[2..3], &pad].concat()).to_vec();
        body.extend(piece.iter().zip(&pad).map(|(octet, pad)| octet ^ pad));
    }
    let argument_lengths = &body[9..9 + usize::from(body[8])];
    let mut texts = body[9 + argument_lengths.len()..].iter().copied();
    let mut take = |length: &u8| -> Vec<u8> { texts.by_ref().take(usize::from(*length)).collect() };
    let decoded = Decoded {
        header: packet[..8].try_into().unwrap(),
        fixed: body[..5].try_into().unwrap(),
        texts: [take(&body[5]), take(&body[6]), take(&body[7])],
        arguments: argument_lengths.iter().map(&mut take).collect(),
    };
    assert_eq!(texts.next(), None, "the lengths do not add up");
    decoded
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        session_id in any::<u32>(),
        record in prop::sample::select(vec![(Record::Start, 2_u8), (Record::Stop, 4), (Record::Watchdog, 8), (Record::WatchdogUpdate, 10)]),
        priv_lvl in 0..16_u8,
        fields in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..=255)),
        arguments in prop::collection::vec(("[a-z_-]{0,20}", prop::collection::vec(any::<u8>(), 0..=234)), 0..=255),
        key in prop::collection::vec(any::<u8>(), 0..=255),
    ) {
        let request = Request {
            session_id,
            flags: Flags::SINGLE_CONNECT,
            record: record.0,
            authen_method: AuthenMethod::Rcmd,
            priv_lvl,
            authen_type: AuthenType::MsChapV2,
            authen_service: AuthenService::FwProxy,
            user: &fields[0],
            port: &fields[1],
            rem_addr: &fields[2],
        };
        let mut buffer = vec![0xee; 70_000];
        let mut encoder = Encoder::new(&mut buffer, &request);
        for (argument, value) in &arguments {
            encoder.text(name(argument), value);
        }
        let packet = encoder.finish().unwrap();
        obfuscate(packet, &key);
        let [a, b, c, d] = session_id.to_be_bytes();
        let expected = Decoded {
            header: [0xc0, 3, 1, 4, a, b, c, d],
            fixed: [record.1, 0x20, priv_lvl, 6, 9],
            texts: fields,
            arguments: arguments.iter().map(|(name, value)| [name.as_bytes(), b"=", value].concat()).collect(),
        };
        prop_assert_eq!(decode(packet, &key), expected);
    }
}
