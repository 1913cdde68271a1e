//! Exchanges as text, one datagram a line. `>` is sent, to the peer or to the port that is named, and nothing else is; `<` arrives, from
//! the peer or from the port that is named; `.` is time, milliseconds; `=` is the end.

use std::net::SocketAddr;
use std::time::Duration;

use model::time::Mono;

use super::super::packet::{self, BadPacket, Granted, Packet};
use super::super::{BadName, ErrorCode, Failure, Outcome, Transfer, Tuning};

/// Where requests go.
const SERVER_PORT: u16 = 69;
/// The port that answers them unless a line names another one.
const PEER_PORT: u16 = 2_000;

fn tuning() -> Tuning {
    Tuning { block_size: 8, timeout_s: 2, patience: Duration::from_secs(1), transmissions: 3 }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 9], port))
}

/// `OPERATION words…`; what stands behind `|` is data.
fn octets_of(text: &str) -> Vec<u8> {
    let (head, data) = text.split_once('|').unwrap_or((text, ""));
    let mut words = head.split_whitespace();
    let operation = words.next().unwrap();
    let code = ["", "RRQ", "WRQ", "DATA", "ACK", "ERROR", "OACK"].iter().position(|known| *known == operation);
    let mut out = vec![0, u8::try_from(code.unwrap()).unwrap()];
    if ["DATA", "ACK", "ERROR"].contains(&operation) {
        out.extend_from_slice(&words.next().unwrap().parse::<u16>().unwrap().to_be_bytes());
    } else {
        words.for_each(|word| out.extend(word.bytes().chain([0])));
    }
    out.extend_from_slice(data.as_bytes());
    out
}

fn is_same(sent: &[u8], text: &str) -> bool {
    // The words of an error are free.
    if text.starts_with("ERROR") { sent[..4] == octets_of(text)[..4] } else { sent == octets_of(text) }
}

fn check(what: &str, mut transfer: Transfer<'_>, script: &str) {
    let mut now = Mono::from_nanos(5);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (sign, rest) = line.split_once(' ').unwrap();
        let port = sign[1..].parse().unwrap_or(PEER_PORT);
        let mut sent = Vec::new();
        let to = transfer.poll_transmit(now, &mut sent);
        if sign.starts_with('>') {
            let to = to.unwrap_or_else(|| panic!("{what}: nothing is sent, not {line}"));
            assert!(is_same(&sent, rest), "{what}: {line}, not {:?}", String::from_utf8_lossy(&sent));
            let is_request = rest.starts_with("WRQ") || rest.starts_with("RRQ");
            assert_eq!(to.port(), if is_request { SERVER_PORT } else { port }, "{what}: {line}");
            continue;
        }
        assert_eq!(to, None, "{what}: before {line} {sent:?} is sent");
        match sign.as_bytes()[0] {
            b'<' => transfer.handle_datagram(address(port), &octets_of(rest)),
            b'.' => {
                now = now.plus(Duration::from_millis(rest.parse().unwrap()));
                transfer.handle_timeout(now);
            }
            b'=' => assert_eq!(format!("{:?}", transfer.outcome()), rest, "{what}"),
            _ => panic!("{what}: {line}"),
        }
    }
}

fn put<'a>(octets: &'a str) -> Transfer<'a> {
    Transfer::put(address(SERVER_PORT), "f", octets.as_bytes(), tuning()).unwrap()
}

fn compare<'a>(expected: &'a str) -> Transfer<'a> {
    Transfer::compare(address(SERVER_PORT), "f", expected.as_bytes(), tuning()).unwrap()
}

#[test]
fn a_put_sends_each_block_once() {
    check(
        "options",
        put("abcdefghijk"),
        "> WRQ f octet blksize 8 timeout 2 tsize 11
         < OACK BlkSize 8 tsize 11 timeout 2
         > DATA 1 |abcdefgh
         < ACK 1
         > DATA 2 |ijk
         = None
         < ACK 2
         = Some(Ok(Stored))
         < ACK 2
         . 9000
         = Some(Ok(Stored))",
    );
    check(
        "a multiple of the block size ends with an empty block",
        put("abcdefgh"),
        "> WRQ f octet blksize 8 timeout 2 tsize 8
         < OACK blksize 8
         > DATA 1 |abcdefgh
         < ACK 1
         > DATA 2 |
         < ACK 2
         = Some(Ok(Stored))",
    );
    check(
        "an empty file is one empty block",
        put(""),
        "> WRQ f octet blksize 8 timeout 2 tsize 0
         < OACK blksize 8
         > DATA 1 |
         < ACK 1
         = Some(Ok(Stored))",
    );
    let long = "x".repeat(513);
    check(
        "options are ignored: 512 octets",
        put(&long),
        &format!(
            "> WRQ f octet blksize 8 timeout 2 tsize 513
             < ACK 0
             > DATA 1 |{}
             < ACK 1
             > DATA 2 |x
             < ACK 2
             = Some(Ok(Stored))",
            "x".repeat(512)
        ),
    );
    check(
        "a smaller block than was proposed, and not all of the options",
        Transfer::put(address(SERVER_PORT), "f", b"abcdefghi", Tuning { block_size: 16, ..tuning() }).unwrap(),
        "> WRQ f octet blksize 16 timeout 2 tsize 9
         < OACK blksize 8
         > DATA 1 |abcdefgh
         < ACK 1
         > DATA 2 |i
         < ACK 2
         = Some(Ok(Stored))",
    );
    check(
        "options are refused: a request without any; the refusal comes twice",
        put("abc"),
        "> WRQ f octet blksize 8 timeout 2 tsize 3
         <3000 ERROR 8 |no
         > WRQ f octet
         <3000 ERROR 8 |no
         <3001 ERROR 8 |no
         = None
         < ACK 0
         > DATA 1 |abc
         < ACK 1
         = Some(Ok(Stored))",
    );
}

#[test]
fn only_a_timeout_sends_data_again() {
    check(
        "acknowledgements that come twice, late, or from the future",
        put("abcdefghijklmnopqrst"),
        "> WRQ f octet blksize 8 timeout 2 tsize 20
         < OACK blksize 8
         > DATA 1 |abcdefgh
         < OACK blksize 8
         < ACK 0
         < ACK 1
         > DATA 2 |ijklmnop
         < ACK 1
         < ACK 1
         < ACK 3
         < ACK 2
         > DATA 3 |qrst
         < ACK 2
         < ACK 1
         < DATA 3 |qrst
         < ACK 3
         = Some(Ok(Stored))",
    );
    check(
        "lost data and lost acknowledgements: each wait is twice as long; progress begins the count again",
        put("abcdefghi"),
        "> WRQ f octet blksize 8 timeout 2 tsize 9
         . 999
         . 1
         > WRQ f octet blksize 8 timeout 2 tsize 9
         . 1999
         < OACK blksize 8
         > DATA 1 |abcdefgh
         . 999
         . 1
         > DATA 1 |abcdefgh
         . 1999
         . 1
         > DATA 1 |abcdefgh
         . 3999
         < ACK 1
         > DATA 2 |i
         . 1000
         > DATA 2 |i
         < ACK 1
         . 2000
         > DATA 2 |i
         < ACK 1
         . 3999
         = None
         . 1
         = Some(Err(TimedOut))
         < ACK 2
         = Some(Err(TimedOut))",
    );
    check(
        "a server that is not there",
        put(""),
        "> WRQ f octet blksize 8 timeout 2 tsize 0
         . 1000
         > WRQ f octet blksize 8 timeout 2 tsize 0
         . 2000
         > WRQ f octet blksize 8 timeout 2 tsize 0
         . 4000
         = Some(Err(TimedOut))",
    );
}

#[test]
fn a_packet_from_elsewhere_changes_nothing() {
    check(
        "another port while a put runs",
        put("abcdefghi"),
        "> WRQ f octet blksize 8 timeout 2 tsize 9
         < OACK blksize 8
         > DATA 1 |abcdefgh
         <2001 ACK 1
         >2001 ERROR 5
         <2001 ERROR 3
         <69 ERROR 3
         <2001 OACK blksize 8
         >2001 ERROR 5
         < ACK 1
         > DATA 2 |i
         <2001 ACK 2
         >2001 ERROR 5
         = None
         < ACK 2
         = Some(Ok(Stored))",
    );
    check(
        "another port while a comparison runs",
        compare("abcdefghi"),
        "> RRQ f octet blksize 8 timeout 2
         < OACK blksize 8
         > ACK 0
         <2001 DATA 1 |xxxxxxxx
         >2001 ERROR 5
         < DATA 1 |abcdefgh
         > ACK 1
         < DATA 2 |i
         > ACK 2
         = Some(Ok(Same))",
    );
    let mut transfer = put("abc");
    let mut out = Vec::new();
    let now = Mono::from_nanos(1);
    transfer.poll_transmit(now, &mut out);
    let stranger = SocketAddr::from(([192, 0, 2, 10], PEER_PORT));
    transfer.handle_datagram(stranger, &octets_of("ACK 0"));
    out.clear();
    assert_eq!(transfer.poll_transmit(now, &mut out), Some(stranger), "another box answered");
    assert!(is_same(&out, "ERROR 5"));
    for garbage in
        [&b""[..], b"\0", b"\0\x04", b"\0\x04\0", b"\0\x04\0\0\0", b"\0\x02f\0octet\0", b"\0\x06blksize", b"\x04\0\0\0"]
    {
        transfer.handle_datagram(address(PEER_PORT), garbage);
        assert_eq!((transfer.poll_transmit(now, &mut out), transfer.outcome()), (None, None), "{garbage:?}");
    }
}

#[test]
fn a_comparison_says_what_the_server_holds() {
    check(
        "the same, without options",
        compare("abc"),
        "> RRQ f octet blksize 8 timeout 2
         < DATA 1 |abc
         > ACK 1
         = Some(Ok(Same))",
    );
    check(
        "an empty file is there, and expected",
        compare(""),
        "> RRQ f octet blksize 8 timeout 2
         < OACK blksize 8
         > ACK 0
         < DATA 1 |
         > ACK 1
         = Some(Ok(Same))",
    );
    check(
        "a put that was cut off between two blocks",
        compare("abcdefghijk"),
        "> RRQ f octet blksize 8 timeout 2
         < OACK blksize 8
         > ACK 0
         < DATA 1 |abcdefgh
         > ACK 1
         < DATA 2 |
         > ACK 2
         = Some(Ok(Shorter { octets: 8 }))",
    );
    check(
        "one octet is another: the rest is not wanted",
        compare("abcdefghijk"),
        "> RRQ f octet blksize 8 timeout 2
         < OACK blksize 8
         > ACK 0
         < DATA 1 |abcdefgH
         > ERROR 0
         = Some(Ok(Different))",
    );
    check(
        "longer by a whole block",
        compare("abcdefgh"),
        "> RRQ f octet blksize 8 timeout 2
         < OACK blksize 8
         > ACK 0
         < DATA 1 |abcdefgh
         > ACK 1
         < DATA 2 |i
         > ERROR 0
         = Some(Ok(Different))",
    );
    check(
        "blocks that come twice are acknowledged again, and counted once; lost acknowledgements",
        compare("abcdefghi"),
        "> RRQ f octet blksize 8 timeout 2
         < OACK blksize 8
         > ACK 0
         < OACK blksize 8
         > ACK 0
         < DATA 1 |abcdefgh
         > ACK 1
         < DATA 1 |abcdefgh
         > ACK 1
         . 999
         < DATA 3 |zzz
         < DATA 2 |i plus more than a block
         = None
         . 1
         > ACK 1
         . 2000
         > ACK 1
         . 4000
         = Some(Err(TimedOut))",
    );
}

#[test]
fn a_refusal_ends_a_transfer_with_its_code() {
    for (code, name) in [
        (0, "Undefined"),
        (1, "FileNotFound"),
        (2, "AccessViolation"),
        (3, "DiskFull"),
        (4, "IllegalOperation"),
        (6, "FileExists"),
        (7, "NoSuchUser"),
        (4711, "Undefined"),
    ] {
        let end = format!("< ERROR {code} |sorry\n= Some(Err(Refused({name})))\n. 9000\n= Some(Err(Refused({name})))");
        check("at once", put("abc"), &format!("> WRQ f octet blksize 8 timeout 2 tsize 3\n{end}"));
        check("at once", compare("abc"), &format!("> RRQ f octet blksize 8 timeout 2\n{end}"));
        let begin = "> WRQ f octet blksize 8 timeout 2 tsize 3\n< OACK blksize 8\n> DATA 1 |abc\n";
        check("later", put("abc"), &format!("{begin}{end}"));
    }
    for options in ["blksize 9", "blksize 7", "timeout 3", "windowsize 4", "blksize 8 multicast x"] {
        let script = format!(
            "> WRQ f octet blksize 8 timeout 2 tsize 3\n< OACK {options}\n> ERROR 8\n= Some(Err(BadOptions))\n. 9000\n< ACK 0"
        );
        check(options, put("abc"), &script);
    }
    check(
        "options were not proposed any more",
        put("abc"),
        "> WRQ f octet blksize 8 timeout 2 tsize 3
         < ERROR 8
         > WRQ f octet
         < OACK blksize 8
         > ERROR 8
         = Some(Err(BadOptions))",
    );
}

#[test]
fn the_last_acknowledgement_is_said_again_while_dallying() {
    let mut transfer = compare("abc");
    let now = Mono::from_nanos(7);
    let mut out = Vec::new();
    transfer.poll_transmit(now, &mut out);
    assert!(transfer.dally(now).is_none(), "nothing has been received");
    transfer.handle_datagram(address(PEER_PORT), &octets_of("DATA 1 |abc"));
    let mut dally = transfer.dally(now).unwrap();
    assert_eq!(dally.until(), now.plus(Duration::from_secs(4)));
    for (port, text, answered) in
        [(PEER_PORT, "DATA 1 |abc", true), (PEER_PORT, "DATA 2 |abc", false), (2_001, "DATA 1 |abc", false)]
    {
        dally.handle_datagram(address(port), &octets_of(text));
        out.clear();
        assert_eq!(dally.poll_transmit(&mut out), answered.then_some(address(PEER_PORT)), "{port} {text}");
        assert!(!answered || is_same(&out, "ACK 1"));
        assert_eq!(dally.poll_transmit(&mut out), None);
    }
}

#[test]
fn block_numbers_roll_over() {
    // 65,536 blocks of 8 octets and 3 octets more: the last block's number is 1 again, after 65,535 and 0.
    let file: Vec<u8> = (0..65_536u32 * 8 + 3).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let now = Mono::from_nanos(1);
    let mut received = Vec::new();
    let mut transfer = Transfer::put(address(SERVER_PORT), "f", &file, tuning()).unwrap();
    let mut answer = octets_of("OACK blksize 8");
    let mut numbers = Vec::new();
    while transfer.outcome().is_none() {
        let mut out = Vec::new();
        transfer.poll_transmit(now, &mut out).unwrap();
        if let Ok(Packet::Data { block, octets }) = Packet::parse(&out) {
            received.extend_from_slice(octets);
            numbers.push(block);
            answer.clear();
            packet::write_ack(&mut answer, block);
        }
        transfer.handle_datagram(address(PEER_PORT), &answer);
    }
    assert_eq!(transfer.outcome(), Some(Ok(Outcome::Stored)));
    assert_eq!((numbers.len(), &numbers[65_533..]), (65_537, &[65_534, 65_535, 0, 1][..]));
    assert!(received == file, "what arrives is another file");

    let mut transfer = Transfer::compare(address(SERVER_PORT), "f", &file, tuning()).unwrap();
    let mut blocks = file.chunks(8).zip((1..=u16::MAX).chain(0..=1));
    let mut out = Vec::new();
    transfer.poll_transmit(now, &mut out).unwrap();
    transfer.handle_datagram(address(PEER_PORT), &octets_of("OACK blksize 8"));
    while transfer.poll_transmit(now, &mut out).is_some() && transfer.outcome().is_none() {
        let (octets, block) = blocks.next().unwrap();
        out.clear();
        packet::write_data(&mut out, block, octets);
        transfer.handle_datagram(address(PEER_PORT), &std::mem::take(&mut out));
    }
    assert_eq!((transfer.outcome(), blocks.next()), (Some(Ok(Outcome::Same)), None));
}

#[test]
fn packets_and_names() {
    let granted = Granted { block_size: Some(1428), timeout_s: Some(2), size: Some(7), has_other: false };
    for (octets, packet) in [
        (octets_of("OACK tsize 7 BLKSIZE 1428 timeout 2"), Ok(Packet::OptionAck(granted))),
        (octets_of("OACK"), Ok(Packet::OptionAck(Granted::default()))),
        (octets_of("OACK x y"), Ok(Packet::OptionAck(Granted { has_other: true, ..Granted::default() }))),
        (octets_of("OACK blksize"), Err(BadPacket)),
        (octets_of("OACK blksize 65536"), Err(BadPacket)),
        (octets_of("OACK timeout -1"), Err(BadPacket)),
        (octets_of("ERROR 3"), Ok(Packet::Error(ErrorCode::DiskFull))),
        (octets_of("DATA 7 |"), Ok(Packet::Data { block: 7, octets: b"" })),
        (octets_of("RRQ f octet"), Err(BadPacket)),
    ] {
        assert_eq!(Packet::parse(&octets), packet, "{octets:?}");
    }
    let long = "n".repeat(256);
    for name in ["", "a\0b", &long] {
        assert_eq!(Transfer::put(address(69), name, b"", tuning()).err(), Some(BadName), "{name:?}");
    }
    for failure in [Failure::TimedOut, Failure::Refused(ErrorCode::DiskFull), Failure::BadOptions] {
        assert!(!failure.to_string().is_empty());
    }
}
