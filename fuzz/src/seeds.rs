//! What each target begins with: the octets of the text vectors, configurations that stand in tests, and what encoders write.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ledger::bill::Format;
use ledger::tftp::packet::{ErrorCode, write_ack, write_data, write_error};
use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Access, Authentic, Down, PlaneEvent, Prefix, Reset, Subscriber, Up, Update};
use plane::hello::{Answer, Hello, HelloError, Welcome};
use plane::record::{BODY_BYTES_MAX, FIRST_BODY_BYTES, NEXT_BODY_BYTES, encode};

use crate::bill_file;
use crate::ledger_segment::{bill_segment, good_segment};

type Seeds = Vec<Vec<u8>>;

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")
}

fn text(path: &str) -> String {
    let path = crates().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Packets of the text vectors of RADIUS.
pub fn radius() -> Seeds {
    vectors(|name| !name.starts_with("tacacs"))
}

/// Packets of the text vectors of TACACS+.
pub fn tacacs() -> Seeds {
    vectors(|name| name.starts_with("tacacs"))
}

fn vectors(is_meant: impl Fn(&str) -> bool) -> Seeds {
    let directory = crates().join("wire/tests/vectors");
    let files = fs::read_dir(&directory).unwrap_or_else(|error| panic!("cannot read {}: {error}", directory.display()));
    let mut names: Vec<String> = files.flatten().map(|file| file.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let meant = names.iter().filter(|name| is_meant(name));
    meant.flat_map(|name| packets_in(&text(&format!("wire/tests/vectors/{name}")))).collect()
}

/// Octets stand behind `<-`, or alone on lines that are indented by four.
fn packets_in(text: &str) -> Seeds {
    let mut packets: Seeds = Vec::new();
    let mut goes_on = false;
    for line in text.lines() {
        if let Some((_, octets)) = line.split_once("<-") {
            packets.extend(unhex(octets));
        }
        let continued = line.strip_prefix("    ").and_then(unhex);
        match (continued, packets.last_mut()) {
            (Some(octets), Some(packet)) if goes_on => packet.extend(octets),
            (Some(octets), _) => packets.push(octets),
            (None, _) => {}
        }
        goes_on = line.starts_with("    ");
    }
    packets
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.split_whitespace().map(|octet| u8::from_str_radix(octet, 16).ok()).collect()
}

/// One thing behind the other, each with the length that its step has.
fn steps(parts: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (head, octets) in parts {
        let Ok(length) = u8::try_from(octets.len()) else { continue };
        out.extend_from_slice(head);
        out.push(length);
        out.extend_from_slice(octets);
    }
    out
}

/// The attributes of the packets of RADIUS, as requests of a client: each alone, and Start, interim and Stop of one session.
pub fn requests() -> Seeds {
    let attributes = radius().into_iter().filter_map(|packet| packet.get(20..).map(<[u8]>::to_vec));
    let alone =
        attributes.filter(|run| !run.is_empty()).flat_map(|run| [0, 1].map(|kind| steps(&[(&[kind, 7], run.clone())])));
    let session = b"\x2c\x04s1\x01\x06user\x04\x06\xc0\x00\x02\x05".to_vec();
    let story = [0, 2, 1].map(|kind| (kind, session.clone()));
    let story: Vec<u8> =
        story.into_iter().zip(1..).flat_map(|((kind, run), number)| steps(&[(&[kind, number], run)])).collect();
    let asked = steps(&[(&[0, 1], b"\x01\x06user".to_vec()), (&[1, 2], b"\x01\x06user\x19\x04c1".to_vec())]);
    alone.chain([story, asked]).collect()
}

/// Good files of every format.
pub fn bill_files() -> Seeds {
    let formats = [Format::Csv, Format::Json, Format::Detail].into_iter().zip(0..);
    formats
        .map(|(format, number)| [&[number], bill_file::file(format, b"\x01\x06user", 3).0.as_bytes()].concat())
        .collect()
}

/// Their manifests, and one of an empty file.
pub fn manifests() -> Seeds {
    let formats = [(Format::Csv, 3), (Format::Json, 1), (Format::Detail, 3), (Format::Json, 0)];
    formats.map(|(format, count)| bill_file::file(format, b"\x01\x06user", count).1.to_json().into_bytes()).into()
}

/// Segments of acknowledgements and of bills, and a few changes of them.
pub fn segments() -> Seeds {
    vec![good_segment(), bill_segment(12), vec![0x10, 0x04, 0xff, 0x00, 0x06, 0x00], (0..192).collect()]
}

/// Maps of addresses, of prefixes and of interfaces, two entries and two sweeps each.
pub fn counter_maps() -> Seeds {
    let table = [(0, 0, 4, 32), (1, 64, 8, 32), (1, 128, 16, 32), (2, 0, 4, 40)];
    let seed = |(kind, length, key_bytes, value_bytes): (u8, u8, u8, u8)| {
        let per_sweep = 2 * (key_bytes + 2 * value_bytes);
        let mut out = vec![kind, length, 0, 8, 16, 24, 0b1011, key_bytes, value_bytes, 2, per_sweep / 4, 7];
        for number in 1..=2_u8 {
            out.extend(std::iter::repeat_n(7, key_bytes.into()).chain(std::iter::repeat_n(0, key_bytes.into())));
            out.extend(std::iter::repeat_n([number, 0, 0, 0, 0, 0, 0, 0], usize::from(value_bytes) / 2).flatten());
            out.push(0);
        }
        out
    };
    table.map(seed).into()
}

/// An interface that comes, is counted, and goes; a dump and its end.
pub fn netlink() -> Seeds {
    let attribute = |kind: u16, value: &[u8]| {
        let length = u16::try_from(4 + value.len()).expect("it is short");
        let mut out = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        out.resize(out.len().next_multiple_of(4), 0);
        out
    };
    let message = |kind: u16, sequence: u32, body: &[u8]| {
        let length = u32::try_from(16 + body.len()).expect("it is short");
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[2, 0], &sequence.to_ne_bytes(), &[0; 4], body].concat()
    };
    let numbers: Vec<u8> = [3_u64, 4, 300, 400].into_iter().chain([0; 20]).flat_map(u64::to_ne_bytes).collect();
    let link = |index: u8| {
        let mut out = vec![0, 0, 1, 0, index, 0, 0, 0, 0x41, 0, 0, 0, 0, 0, 0, 0];
        out.extend([attribute(3, b"ppp0\0"), attribute(1, &[2, 0, 0, 0, 0, 1]), attribute(23, &numbers)].concat());
        out
    };
    let statistics =
        [&[0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0][..], &attribute(4, &numbers), &attribute(1, &numbers)].concat();
    let address = [&[2, 24, 0, 0, 7, 0, 0, 0][..], &attribute(2, &[192, 0, 2, 1])].concat();
    let done = [0; 4];
    let story = [
        message(16, 1, &link(7)),
        message(16, 1, &link(8)),
        message(3, 1, &done),
        message(92, 2, &statistics),
        message(3, 2, &done),
        message(20, 0, &address),
        message(17, 0, &link(7)),
    ];
    let failed = message(2, 1, &[[0xed, 0xff, 0xff, 0xff].as_slice(), &[0; 16]].concat());
    story.iter().cloned().chain([story.concat(), failed]).collect()
}

/// A HELLO, one of another version, and what is answered.
pub fn hellos() -> Seeds {
    let hello = Hello::new("plane-0", 7, 1 << 20).expect("a good name").encode().to_vec();
    let mut other_version = hello.clone();
    other_version[8] = 2;
    let answers = [Welcome::new(Answer::Accepted), Welcome::refusing(HelloError::Version { plane: 2 })];
    [hello, other_version].into_iter().chain(answers.map(|answer| answer.encode().to_vec())).collect()
}

/// An event of each kind, of session `a`, as the body of its records.
fn events() -> Vec<(u8, u64, Vec<u8>)> {
    let prefix =
        |length| Some(Prefix { address: [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into(), length });
    let whole = Subscriber {
        user: Some(b"user"),
        domain: Some(b"isp"),
        framed_ip: Some(Ipv4Addr::new(100, 64, 0, 1)),
        framed_ipv6_prefix: prefix(64),
        delegated_prefix: prefix(56),
        mac: Some([2, 0, 0, 0, 0, 1]),
        nas_port: Some(1),
        nas_port_id: Some(b"slot=0;subslot=1;port=0;vlanid=1"),
        access: Some(Access::Pppoe),
        authentic: Some(Authentic::Radius),
        acct_interim_interval: Some(60),
        session_timeout: Some(3600),
        time_quota: Some(1000),
        volume_quota: Some(1 << 33),
        ..Subscriber::default()
    };
    let short = Subscriber { user: Some(b"user"), domain: Some(b"isp"), ..Subscriber::default() };
    let changed = Subscriber { framed_ip: Some(Ipv4Addr::new(100, 64, 0, 2)), ..Subscriber::default() };
    let (session, counters): (&[u8], _) = (b"a", CounterSlot { slot: 1, generation: 1 });
    let v4 = Totals { in_octets: 1 << 33, out_octets: 7, ..Totals::default() };
    let totals = Some(Counters { v4, ..Counters::ZERO });
    let events = [
        PlaneEvent::Up(Up { session, subscriber: whole, counters, at: None }),
        PlaneEvent::Up(Up { session, subscriber: short, counters, at: None }),
        PlaneEvent::Update(Update { session, changed, at: None }),
        PlaneEvent::Reset(Reset { session, counters: CounterSlot { generation: 2, ..counters } }),
        PlaneEvent::Down(Down { session, cause: 1, totals, at: None }),
        PlaneEvent::ResyncBegin,
        PlaneEvent::ResyncEnd,
    ];
    let encoded = events.iter().map(|event| {
        let mut room = [0; BODY_BYTES_MAX];
        let encoded = encode(event, &mut room).expect("a good event");
        (encoded.kind as u8, encoded.hash, encoded.body.to_vec())
    });
    encoded.collect()
}

/// Lives of sessions: events one behind the other, with octets counted and time between them.
pub fn plane_events() -> Seeds {
    // The target writes the session's name itself.
    let step =
        |event: &(u8, u64, Vec<u8>)| steps(&[(&[event.0 - 1, 0], event.2.get(3..).unwrap_or_default().to_vec())]);
    let events: Seeds = events().iter().map(step).collect();
    let count = steps(&[(&[6, 0], (1..=32).collect())]);
    let pass = [7, 10, 7];
    let life = [&events[0][..], &count, &pass, &events[2], &events[3], &pass, &events[4]].concat();
    let resync = [&events[1][..], &events[5], &events[1], &events[6], &pass, &events[4]].concat();
    events.into_iter().chain([life, resync]).collect()
}

/// The records of an event of each kind.
pub fn plane_records() -> Seeds {
    let records = |(kind, hash, body): (u8, u64, Vec<u8>)| {
        let (first, rest) = body.split_at(body.len().min(FIRST_BODY_BYTES));
        let rest: Vec<&[u8]> = rest.chunks(NEXT_BODY_BYTES).collect();
        let count = u8::try_from(1 + rest.len()).expect("it is short");
        let [low, high] = u16::try_from(body.len()).expect("it is short").to_le_bytes();
        let head = |index| [1, kind, index, count, low, high, 0, 0];
        let mut out = [&[count][..], &head(0), &hash.to_le_bytes(), first].concat();
        for (index, body) in (1..).zip(rest) {
            out.resize(1 + usize::from(index) * 256, 0);
            out.extend([&head(index)[..], body].concat());
        }
        out
    };
    events().into_iter().map(records).collect()
}

/// A plane that says it has written, reads verdicts, and writes elsewhere.
pub fn plane_steps() -> Seeds {
    let step = |what: u8, place: u8, value: u64| [&[what << 1, place][..], &value.to_le_bytes()].concat();
    let written = [step(5, 0, 1), step(7, 0, 0), step(6, 4, 0x61), step(3, 0, 1), step(7, 0, 0)].concat();
    let hostile = [step(0, 1, u64::MAX), step(7, 0, 0), step(1, 0, 99), step(7, 0, 0), step(4, 3, 7)].concat();
    vec![written, hostile]
}

/// Lines of every kind.
pub fn scripts() -> Seeds {
    let lines = [
        r#"{"at":0,"op":"up","session":"s1","user":"alice@isp","domain":"isp","framed_ip":"100.64.0.1","framed_ipv6_prefix":"2001:db8:1::/64","delegated_prefix":"2001:db8:8000::/56","mac":"02:00:00:00:00:01","calling":"02-00-00-00-00-01","nas_port":16781313,"nas_port_id":"slot=0;subslot=1;port=0;vlanid=1","access":"pppoe","class":["0a0b"],"acct_interim_interval":60,"session_timeout":86400}"#,
        r#"{"op":"update","session":"s1","auth_type":"local","interface_id":7,"time_quota":5,"volume_quota":6,"auth_server":"2001:db8::1","multi_session_id":"m"}"#,
        r#"{"at":1.5,"op":"count","session":"s1","in_octets":1000,"in_packets":3,"out_octets":50000,"v6_in_octets":7}"#,
        r#"{"at":1795000009.25,"op":"down","session":"s1","cause":1}"#,
        r#"{"op":"reset","session":"s1"}"#,
        r#"{"op":"resync"}"#,
    ];
    lines.iter().map(|line| line.as_bytes().to_vec()).chain([lines.join("\n").into_bytes()]).collect()
}

/// Good replies, forged ones, garbage, and a connection that ends.
pub fn radius_streams() -> Seeds {
    let honest = steps(&[(&[0, 0], vec![]), (&[0, 1], vec![]), (&[0, 2], vec![])]);
    let forged = steps(&[(&[1, 3], vec![0; 4]), (&[1, 0], vec![0; 20])]);
    let attributes = steps(&[(&[2, 0], b"\x21\x05abc\x12\x06text".to_vec()), (&[2, 1], vec![0x50, 18])]);
    let torn = steps(&[(&[3, 0], vec![]), (&[7, 30], vec![]), (&[0, 1], vec![])]);
    let raw = radius().into_iter().filter(|packet| packet.len() < 256).map(|packet| steps(&[(&[4, 3], packet)]));
    raw.chain([honest, forged, attributes, torn]).collect()
}

/// A put and a comparison that go well, and what servers refuse with.
pub fn tftp() -> Seeds {
    let packet = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    let ack = |block| packet(&|out| write_ack(out, block));
    let data = |block, octets: &[u8]| packet(&|out| write_data(out, block, octets));
    let error = |code| packet(&|out| write_error(out, code));
    let granted = b"\0\x06blksize\x0016\0timeout\x002\0".to_vec();
    let play = |first: u8, packets: &[Vec<u8>]| {
        let mut out = vec![first];
        packets.iter().for_each(|packet| out.extend(steps(&[(&[1], packet.clone())])));
        out
    };
    let file = [0x5a; 16];
    vec![
        play(8, &[ack(0), ack(1)]),
        play(16, &[granted.clone(), ack(1), ack(2), ack(3)]),
        play(9, &[data(1, &file)]),
        play(17, &[granted.clone(), data(1, &file), data(2, &file), data(3, &[])]),
        play(17, &[granted, data(1, &[0; 16])]),
        play(8, &[error(ErrorCode::OptionsRefused), ack(0), ack(1)]),
        play(8, &[error(ErrorCode::DiskFull)]),
    ]
}

/// A whole configuration, each of its lines alone, and what is typed in a sitting.
pub fn shell() -> Seeds {
    let whole = text("vrp/tests/room/whole.cfg");
    let sitting = "system-view\naaa\naccounting-scheme s1\naccounting realtime 3\naccounting interim-fail max-times 5 offline\n\
        commit\nquit\ndisplay this\ndisplay current-configuration | include aaa\nundo accounting-scheme s1\nreturn\nsave\nquit\n";
    let displays =
        "display access-user\ndisplay local-bill cache 1 1\nlocal-bill cfcard reset\nY\nscreen-length 10 temporary\n";
    let lines = whole.lines().map(|line| format!("system-view\n{line}\ncommit\n").into_bytes());
    lines.chain([whole.clone().into_bytes(), sitting.into(), displays.into()]).collect()
}
