//! The TACACS+ server of the tests is proved before it proves anything: an independent client is recorded by it, an
//! independent dissector reads what passes, and each of its manners comes to what the codec calls it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use wire::tacacs::argument::{BYTES_IN, SERVICE, TASK_ID};
use wire::tacacs::encode::{AuthenMethod, AuthenService, AuthenType};
use wire::tacacs::{
    Encoder, Flags, REPLY_SIZE_MAX, Received, Record, Reply, ReplyError, Request, Status, next_packet, obfuscate,
};

use crate::common::{Manner, TacacsPeer, seconds, wait_until};

const KEY: &str = "e2e-t4cacs-k3y";

/// Each line of the client's output is whether the server said SUCCESS.
const CLIENT: &str = r#"
import sys
from tacacs_plus.client import TACACSClient
port, key = int(sys.argv[1]), sys.argv[2]
for flags, arguments in [
    (0x02, [b"task_id=7", b"service=ppp"]),
    (0x0a, [b"task_id=7", b"service=ppp", b"bytes_in=18446744073709551615"]),
    (0x04, [b"task_id=7", b"service=ppp", b"reason=" + b"x" * 240]),
]:
    client = TACACSClient("127.0.0.1", port, key, timeout=10)
    print(client.account("alice@isp", flags, arguments=arguments, rem_addr="192.0.2.1", port="tty10").valid)
"#;

/// Where scripts/test puts the client.
fn python_packages() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let packages = cache.expect("HOME is set").join("tollgate/tacacs_plus-2.6");
    assert!(packages.join("tacacs_plus").exists(), "this test needs tacacs_plus 2.6 of PyPI: scripts/test installs it");
    packages
}

fn run_client(peer: &TacacsPeer, key: &str) -> String {
    let output = Command::new("python3")
        .args(["-c", CLIENT, &peer.port.to_string(), key])
        .env("PYTHONPATH", python_packages())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_peer_records_what_an_independent_client_says() {
    let peer = TacacsPeer::start(KEY);
    assert_eq!(run_client(&peer, KEY), "True\nTrue\nTrue\n");
    let heard = peer.heard();
    assert_eq!(heard.iter().map(|heard| heard.flags).collect::<Vec<_>>(), [0x02, 0x0a, 0x04]);
    for (number, heard) in (1..).zip(&heard) {
        assert_eq!((heard.connection, heard.single_connect), (number, false));
        assert_eq!((&*heard.user, &*heard.port, &*heard.rem_addr), ("alice@isp", "tty10", "192.0.2.1"));
        // TACACS+, privilege 0, ASCII, log-in.
        assert_eq!(heard.authenticated, [6, 0, 1, 1]);
        assert_eq!(heard.argument("task_id"), Some("7"));
    }
    assert!(heard.is_sorted_by_key(|heard| heard.at));
    assert_eq!(heard[1].arguments, ["task_id=7", "service=ppp", "bytes_in=18446744073709551615"]);
    assert_eq!(heard[2].argument("reason").map(str::len), Some(240));
    assert_eq!(peer.unreadable(), 0);

    peer.behave(Manner::Failing);
    assert_eq!(run_client(&peer, KEY), "False\nFalse\nFalse\n");
    assert_eq!(peer.heard().len(), 6);
}

/// What the codec made of an answer, or what became of the connection instead.
#[derive(Debug, PartialEq)]
enum Outcome {
    Answered(u32, Status, Flags),
    Refused(ReplyError),
    Closed,
    Nothing,
}

/// A connection as a client has it, with the codec under test.
struct Client(TcpStream, Vec<u8>);

impl Client {
    fn connect(peer: &TacacsPeer) -> Client {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, peer.port)).unwrap();
        Client(stream, Vec::new())
    }

    fn ask(&mut self, session_id: u32, flags: Flags) {
        self.0.write_all(&request(session_id, flags, Record::Stop)).unwrap();
    }

    /// The next reply, read octet by octet as little as is needed.
    fn answer(&mut self) -> Outcome {
        self.0.set_read_timeout(Some(seconds(20))).unwrap();
        loop {
            let missing = match next_packet(&self.1) {
                Err(error) => return Outcome::Refused(error),
                Ok(Received::Needs(missing)) => missing,
                Ok(Received::Packet(size)) => {
                    let mut packet: Vec<u8> = self.1.drain(..size).collect();
                    return match Reply::open(&mut packet, Some(KEY.as_bytes())) {
                        Ok(reply) => Outcome::Answered(reply.session_id, reply.status, reply.flags),
                        Err(error) => Outcome::Refused(error),
                    };
                }
            };
            let mut room = [0; REPLY_SIZE_MAX];
            match self.0.read(&mut room[..missing]) {
                Ok(0) => return Outcome::Closed,
                Ok(length) => self.1.extend(&room[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Outcome::Closed,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whether the connection is still there and has nothing to say.
    fn is_quiet(&mut self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let found = self.0.read(&mut [0]);
        self.0.set_nonblocking(false).unwrap();
        found.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// A signed request, obfuscated.
fn request(session_id: u32, flags: Flags, record: Record) -> Vec<u8> {
    let mut buffer = [0; 1000];
    let mut encoder = Encoder::new(
        &mut buffer,
        &Request {
            session_id,
            flags,
            record,
            authen_method: AuthenMethod::Radius,
            priv_lvl: 0,
            authen_type: AuthenType::Chap,
            authen_service: AuthenService::Ppp,
            user: b"alice@isp",
            port: b"slot=0;subslot=1;port=0",
            rem_addr: b"02-00-00-00-00-01",
        },
    );
    encoder.text(TASK_ID, b"BNG1-7-42").text(SERVICE, b"ppp").number(BYTES_IN, u64::MAX);
    let packet = encoder.finish().unwrap();
    obfuscate(packet, KEY.as_bytes());
    packet.to_vec()
}

#[test]
fn each_manner_of_the_peer_is_told_apart_by_the_codec() {
    let (id, none, single) = (0x5eed_0007, Flags::NONE, Flags::SINGLE_CONNECT);
    let table = [
        (Manner::Willing, single, Outcome::Answered(id, Status::Success, single)),
        (Manner::Willing, none, Outcome::Answered(id, Status::Success, none)),
        (Manner::OneByOne, single, Outcome::Answered(id, Status::Success, none)),
        (Manner::Late(seconds(1)), single, Outcome::Answered(id, Status::Success, single)),
        (Manner::Dribbling, single, Outcome::Answered(id, Status::Success, single)),
        (Manner::Failing, single, Outcome::Answered(id, Status::Error, single)),
        (Manner::Following, single, Outcome::Answered(id, Status::Follow, single)),
        (Manner::AnotherKey, single, Outcome::Refused(ReplyError::Garbled)),
        (Manner::Garbage, single, Outcome::Refused(ReplyError::Garbled)),
        (Manner::Stranger, single, Outcome::Answered(!id, Status::Success, single)),
        (Manner::InTheClear, single, Outcome::Refused(ReplyError::Unencrypted)),
        (Manner::HalfClosed, single, Outcome::Closed),
        (Manner::Closing, single, Outcome::Closed),
        (Manner::Silent, single, Outcome::Nothing),
    ];
    let peer = TacacsPeer::start(KEY);
    let mut readable = 0;
    for (manner, flags, expected) in table {
        peer.behave(manner);
        let mut client = Client::connect(&peer);
        client.ask(id, flags);
        if expected == Outcome::Nothing {
            peer.wait_for_heard(readable + 1);
            assert!(client.is_quiet(), "{manner:?}");
        } else {
            assert_eq!(client.answer(), expected, "{manner:?}");
        }
        readable += usize::from(manner != Manner::AnotherKey);
        assert_eq!(peer.heard().len(), readable, "{manner:?}");
    }
    let last = peer.heard().pop().unwrap();
    assert_eq!((last.session_id, last.flags, last.single_connect), (id, 0x04, true));
    assert_eq!(last.authenticated, [0x10, 0, 3, 3]);
    assert_eq!(
        (&*last.user, &*last.port, &*last.rem_addr),
        ("alice@isp", "slot=0;subslot=1;port=0", "02-00-00-00-00-01")
    );
    assert_eq!(last.arguments, ["task_id=BNG1-7-42", "service=ppp", "bytes_in=18446744073709551615"]);
    assert_eq!((peer.unreadable(), peer.hasty(), peer.connections().0), (1, 0, 14));
}

#[test]
fn a_shared_connection_carries_many_sessions_until_the_peer_is_stopped() {
    let single = Flags::SINGLE_CONNECT;
    let mut peer = TacacsPeer::start(KEY);
    let mut client = Client::connect(&peer);
    client.ask(1, single);
    assert_eq!(client.answer(), Outcome::Answered(1, Status::Success, single));
    (2..100).for_each(|session_id| client.ask(session_id, single));
    for session_id in 2..100 {
        assert_eq!(client.answer(), Outcome::Answered(session_id, Status::Success, Flags::NONE));
    }
    assert_eq!((peer.connections(), peer.hasty()), ((1, 1), 0));

    // Without the agreement the connection ends with its session, and what was sent behind it was sent too early.
    let mut hasty = Client::connect(&peer);
    peer.behave(Manner::Silent);
    (200..202).for_each(|session_id| hasty.ask(session_id, single));
    peer.wait_for_heard(101);
    assert_eq!(peer.hasty(), 1);

    peer.stop();
    assert_eq!((client.answer(), hasty.answer()), (Outcome::Closed, Outcome::Closed));
    assert_eq!(peer.connections(), (2, 0));
    wait_until("nobody listens", seconds(10), || {
        let found = TcpStream::connect((Ipv4Addr::LOCALHOST, peer.port));
        found.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });

    peer.behave(Manner::OneByOne);
    peer.start_again();
    let mut client = Client::connect(&peer);
    client.ask(300, single);
    assert_eq!(client.answer(), Outcome::Answered(300, Status::Success, Flags::NONE));
    assert_eq!(client.answer(), Outcome::Closed);
    wait_until("the peer has closed it", seconds(10), || peer.connections() == (3, 0));
    assert_eq!(peer.heard().len(), 102);
}

/// What tshark makes of one packet that passes between these ports: these fields of it.
fn dissected(octets: &[u8], ports: (u16, u16), fields: &[&str]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let [text, capture] = ["packet.txt", "packet.pcap"].map(|name| directory.path().join(name));
    let line: String = octets.iter().map(|octet| format!(" {octet:02x}")).collect();
    std::fs::write(&text, format!("000000{line}\n")).unwrap();
    let run = |command: &mut Command| {
        let output = command.output().expect("this test needs the Debian package tshark: scripts/test installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(Command::new("text2pcap").args(["-q", "-T", &format!("{},{}", ports.0, ports.1)]).args([&text, &capture]));
    let port = ports.0.min(ports.1);
    let said = run(Command::new("tshark")
        .arg("-r")
        .arg(&capture)
        .args(["-o", &format!("tacplus.key:{KEY}"), "-d", &format!("tcp.port=={port},tacplus")])
        .args(["-T", "fields", "-E", "separator=|", "-E", "aggregator=;"])
        .args(fields.iter().flat_map(|field| ["-e", field])));
    said.trim_end_matches('\n').split('|').map(str::to_owned).collect()
}

#[test]
fn an_independent_dissector_reads_requests_and_replies() {
    let (server, client) = (4949, 40_000);
    let asked = request(0x5eed_0007, Flags::SINGLE_CONNECT, Record::WatchdogUpdate);
    let fields = [
        "tacplus.session_id",
        "tacplus.flags.singleconn",
        "tacplus.acct.flags",
        "tacplus.acct.auth_method",
        "tacplus.authentication_type",
        "tacplus.service",
        "tacplus.user",
        "tacplus.port",
        "tacplus.remote_address",
        "tacplus.arg_value",
    ];
    let expected = [
        "1592590343",
        "1",
        "0x0a",
        "0x10",
        "3",
        "3",
        "alice@isp",
        "slot=0;subslot=1;port=0",
        "02-00-00-00-00-01",
        "task_id=BNG1-7-42;service=ppp;bytes_in=18446744073709551615",
    ];
    assert_eq!(dissected(&asked, (client, server), &fields), expected);

    let peer = TacacsPeer::start(KEY);
    peer.behave(Manner::Failing);
    let mut stream = Client::connect(&peer).0;
    stream.write_all(&asked).unwrap();
    let mut answered = [0; 12 + 5 + 19];
    stream.read_exact(&mut answered).unwrap();
    let fields = ["tacplus.session_id", "tacplus.seqno", "tacplus.body_acct.status", "tacplus.body_acct.server_msg"];
    let expected = ["1592590343", "2", "0x02", "no room on the disk"];
    assert_eq!(dissected(&answered, (server, client), &fields), expected);
}
