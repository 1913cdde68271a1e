//! Replies that are no replies: each is counted by its name, and changes nothing.

use std::net::{SocketAddr, UdpSocket};

use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::common::{Daemon, Feed, SECRET, Site, Totals, count, down, seconds, up, wait_until};

const ACCOUNTING_RESPONSE: u8 = 5;

/// A request as it came.
struct Request {
    octets: Vec<u8>,
    from: SocketAddr,
}

impl Request {
    fn receive(socket: &UdpSocket) -> Request {
        let mut room = [0; 4096];
        let (length, from) = socket.recv_from(&mut room).expect("a request comes");
        Request { octets: room[..length].to_vec(), from }
    }

    fn identifier(&self) -> u8 {
        self.octets[1]
    }

    /// A reply with these attributes and the authenticator of RFC 2866 section 3.
    fn reply(&self, code: u8, identifier: u8, attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(20 + attributes.len()).unwrap().to_be_bytes();
        let mut reply = vec![code, identifier, length[0], length[1]];
        let digest = Md5::new()
            .chain_update(&reply)
            .chain_update(&self.octets[4..20])
            .chain_update(attributes)
            .chain_update(SECRET)
            .finalize();
        reply.extend_from_slice(&digest);
        reply.extend_from_slice(attributes);
        reply
    }

    fn right(&self) -> Vec<u8> {
        self.reply(ACCOUNTING_RESPONSE, self.identifier(), &[])
    }

    /// Sends everything that is wrong, one of each kind.
    fn answer_wrongly(&self, server: &UdpSocket) {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(&self.right(), self.from).unwrap();
        let mut wrong_authenticator = self.right();
        wrong_authenticator[19] ^= 1;
        let mut oversized = self.right();
        oversized.resize(5_000, 0);
        for reply in [
            wrong_authenticator,
            self.reply(ACCOUNTING_RESPONSE, self.identifier().wrapping_add(1), &[]),
            self.reply(2, self.identifier(), &[]),
            // Reply-Message with a length that leads out of the packet.
            self.reply(ACCOUNTING_RESPONSE, self.identifier(), &[18, 9, b'h', b'i']),
            self.right()[..19].to_vec(),
            oversized,
        ] {
            server.send_to(&reply, self.from).unwrap();
        }
    }
}

fn shown(daemon: &Daemon) -> Value {
    daemon.display("display radius-server packet ip-address 127.0.0.1 accounting")[0].clone()
}

/// What is shown after so many rounds of wrong answers, and `late` right ones that came twice.
fn discards(rounds: u64, late: u64) -> Value {
    json!({"truncated": rounds, "oversized": rounds, "malformed": rounds, "unexpected_code": rounds,
        "wrong_address": rounds, "unknown_identifier": rounds + late, "bad_authenticator": rounds})
}

#[test]
fn hostile_replies_are_counted_and_change_nothing_io_uring() {
    hostile_replies("io-uring");
}

#[test]
fn hostile_replies_are_counted_and_change_nothing_epoll() {
    hostile_replies("epoll");
}

fn hostile_replies(datapath: &str) {
    let site = Site::new();
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(seconds(20))).unwrap();
    // The wait is long, so that nothing is sent twice.
    site.configure_one(server.local_addr().unwrap().port(), " radius-server timeout 25\n", "");
    let daemon = Daemon::start(&site, datapath);
    let mut feed = Feed::listen(&site);
    feed.say([up("s1", "isp")]);

    let start = Request::receive(&server);
    start.answer_wrongly(&server);
    wait_until("each wrong answer to the Start is counted", seconds(10), || {
        shown(&daemon)["discards"] == discards(1, 0)
    });
    let row = shown(&daemon);
    assert_eq!((row["responses"].as_u64(), row["pending"].as_u64()), (Some(0), Some(1)), "{row}");
    assert_eq!(daemon.states(), ["Starting"]);
    server.send_to(&start.right(), start.from).unwrap();
    daemon.wait_for_sessions(1, "Accounting");

    feed.say([count("s1", Totals::of(1, 1)), down("s1", 1)]);
    feed.finish(seconds(20));
    let stop = Request::receive(&server);
    // The Start's own answer, once more: its identifier may be in use again by now, but not its authenticator.
    assert_ne!(
        (start.from, start.identifier()),
        (stop.from, stop.identifier()),
        "an identifier was used again at once"
    );
    server.send_to(&start.right(), start.from).unwrap();
    stop.answer_wrongly(&server);
    wait_until("each wrong answer to the Stop is counted", seconds(10), || {
        shown(&daemon)["discards"] == discards(2, 1)
    });
    assert_eq!(daemon.states(), ["Stopping"]);
    server.send_to(&stop.right(), stop.from).unwrap();
    wait_until("the session is over", seconds(10), || daemon.states().is_empty());
    let row = shown(&daemon);
    assert_eq!((row["responses"].as_u64(), row["retransmissions"].as_u64()), (Some(2), Some(0)), "{row}");
    assert!(daemon.bills().is_empty());
    daemon.terminate();
}
