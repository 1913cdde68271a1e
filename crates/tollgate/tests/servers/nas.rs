//! The relay: `radclient` plays NAS, and what they say reaches FreeRADIUS whole, once, and not before it is durable here.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use wire::radius::attribute::{Attribute, Type};
use wire::radius::authenticator::{Unsigned, sign_request, verify_request};
use wire::radius::authorization::answer;
use wire::radius::{Code, Encoder, PACKET_SIZE_MAX, Packet};

use crate::common::{
    Daemon, FreeRadius, Record, SECRET, Signal, Site, Totals, Tracer, free_port, run_command, seconds, tollgate,
    wait_for, wait_until,
};

/// What NAS and the relay share.
const NAS_SECRET: &str = "nas-Sh4red-s3cret";

/// A site that relays what 127.0.0.1 says, with these words behind its secret, to the server at this port.
fn relaying(site: &Site, [acct, relay]: [u16; 2], client: &str, scheme: &str) {
    let text = format!(
        "sysname BNG1\n#\nrelay listen 127.0.0.1 {relay}\nrelay client 127.0.0.1 shared-key {NAS_SECRET} {client}\n#\n\
         radius-server group isp\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {acct}\n \
         radius-server timeout 3\n#\n\
         aaa\n accounting-scheme default1\n{scheme} domain default1\n  radius-server group isp\n \
         domain isp\n  accounting-scheme default1\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n#\nreturn\n"
    );
    std::fs::write(site.config(), text).unwrap();
}

/// `radclient` says these requests, blank lines between them, each once; what it heard.
fn says(site: &Site, relay: u16, requests: &str) -> String {
    let file = site.path("requests");
    std::fs::write(&file, requests).unwrap();
    let mut command = Command::new("/usr/bin/radclient");
    command.args(["-x", "-r", "1", "-t", "10", "-f"]).arg(&file).arg(format!("127.0.0.1:{relay}"));
    let said = run_command(command.args(["acct", NAS_SECRET]));
    said.out + &said.err
}

/// One request as `radclient` takes it: what all requests of the session have, and what this one has.
fn request(session: &[&str], own: &[&str]) -> String {
    [session, own].concat().join("\n") + "\n\n"
}

/// As accel-ppp writes it.
const ACCEL_PPP: [&str; 15] = [
    "User-Name = \"alice@isp\"",
    "NAS-Identifier = \"accel-ppp\"",
    "NAS-IP-Address = 192.0.2.10",
    "NAS-Port = 1",
    "NAS-Port-Id = \"ppp0\"",
    "NAS-Port-Type = Virtual",
    "Service-Type = Framed-User",
    "Framed-Protocol = PPP",
    "Calling-Station-Id = \"02:00:00:00:00:01\"",
    "Called-Station-Id = \"02:00:00:00:00:ff\"",
    "Class = 0x636c617373",
    "Acct-Session-Id = \"c1a5e0f3d2b40001\"",
    "Acct-Authentic = RADIUS",
    "Framed-IP-Address = 100.64.0.1",
    "Framed-Interface-Id = 0:0:0:1",
];

/// As RouterOS writes it.
const MIKROTIK: [&str; 12] = [
    "User-Name = \"bob@isp\"",
    "NAS-Identifier = \"MikroTik\"",
    "NAS-IP-Address = 192.0.2.20",
    "NAS-Port = 15728641",
    "NAS-Port-Type = Ethernet",
    "Calling-Station-Id = \"02:00:00:00:00:02\"",
    "Called-Station-Id = \"isp\"",
    "NAS-Port-Id = \"bridge1\"",
    "Acct-Session-Id = \"81000003\"",
    "Framed-IP-Address = 100.64.0.2",
    "Mikrotik-Rate-Limit = \"10M/100M\"",
    "Acct-Authentic = RADIUS",
];

/// As IOS XE writes it.
const CISCO: [&str; 12] = [
    "Acct-Session-Id = \"00000C3F\"",
    "Cisco-AVPair = \"client-mac-address=0200.0000.0003\"",
    "Cisco-AVPair = \"connect-progress=Call Up\"",
    "Cisco-NAS-Port = \"0/0/1/100\"",
    "Framed-Protocol = PPP",
    "Framed-IP-Address = 100.64.0.3",
    "User-Name = \"carol@isp\"",
    "NAS-Port-Type = Virtual",
    "NAS-Port = 0",
    "NAS-Port-Id = \"0/0/1/100\"",
    "Service-Type = Framed-User",
    "NAS-IP-Address = 192.0.2.30",
];

/// What every request has that the relay says anew, or does not pass on.
fn is_said_anew(name: &str) -> bool {
    name.starts_with("Acct-") && !["Acct-Session-Id", "Acct-Authentic", "Acct-Multi-Session-Id"].contains(&name)
        || ["Event-Timestamp", "Proxy-State", "Timestamp"].contains(&name)
}

/// Every attribute that went in has come out, as often and with its value.
#[track_caller]
fn carries(record: &Record, sent: &[&str]) {
    for line in sent {
        let (name, value) = line.split_once(" = ").unwrap();
        let value = value.trim_matches('"');
        assert!(record.all(name).contains(&value), "{line} is not among {record:?}");
        let times = sent.iter().filter(|other| other.starts_with(&format!("{name} = "))).count();
        assert_eq!(record.all(name).len(), times, "{name} in {record:?}");
    }
    let of_ours = record.names().filter(|name| !is_said_anew(name));
    for name in of_ours {
        assert!(sent.iter().any(|line| line.starts_with(&format!("{name} = "))), "{name} was not sent: {record:?}");
    }
}

#[test]
fn what_nas_of_three_makers_say_reaches_the_server_whole() {
    let house = House::open("");
    let sessions: [(&[&str], &str); 3] = [(&ACCEL_PPP, "alice@isp"), (&MIKROTIK, "bob@isp"), (&CISCO, "carol@isp")];
    let starts: String = sessions
        .iter()
        .map(|(session, _)| request(session, &["Acct-Status-Type = Start", "Acct-Delay-Time = 0"]))
        .collect();
    let said = says(&house.site, house.relay, &starts);
    assert_eq!(said.matches("Received Accounting-Response").count(), 3, "{said}");
    wait_until("Starts", seconds(20), || house.heard("Start") == 3);
    let counted = [
        "Acct-Input-Octets = 4000000000",
        "Acct-Input-Gigawords = 2",
        "Acct-Output-Octets = 7",
        "Acct-Output-Gigawords = 0",
        "Acct-Input-Packets = 30",
        "Acct-Output-Packets = 40",
        "Acct-Session-Time = 61",
    ];
    let interim = [&["Acct-Status-Type = Interim-Update", "Proxy-State = 0x0102"][..], &counted].concat();
    let said = says(&house.site, house.relay, &sessions.map(|(session, _)| request(session, &interim)).concat());
    assert_eq!(said.matches("Proxy-State = 0x0102").count(), 6, "sent and echoed: {said}");
    wait_until("interims follow", seconds(20), || house.heard("Interim-Update") == 3);
    let stop = [
        "Acct-Status-Type = Stop",
        "Acct-Session-Time = 90",
        "Acct-Input-Octets = 4000000001",
        "Acct-Input-Gigawords = 2",
        "Acct-Output-Octets = 8",
        "Acct-Output-Gigawords = 1",
        "Acct-Input-Packets = 31",
        "Acct-Output-Packets = 41",
        "Acct-Terminate-Cause = User-Request",
        "Event-Timestamp = 1795000000",
        "Acct-Delay-Time = 2",
        // Only this one tells why.
        "Connect-Info = \"100000000\"",
    ];
    says(&house.site, house.relay, &sessions.map(|(session, _)| request(session, &stop)).concat());
    wait_until("Stops", seconds(20), || house.heard("Stop") == 3);

    let detail = FreeRadius::detail(&house.server);
    for (session, user) in sessions {
        for kind in ["Start", "Interim-Update", "Stop"] {
            let by_user = detail.by_user(kind);
            let [record] = by_user[user][..] else { panic!("{user} has {kind} once: {by_user:?}") };
            let only = (kind == "Stop").then_some("Connect-Info = \"100000000\"");
            carries(record, &[session, only.as_slice()].concat());
            assert!(record.all("Proxy-State").is_empty(), "{record:?}");
        }
        let interim = detail.by_user("Interim-Update")[user][0];
        let totals = |low: u64, high: u64, out: u64, packets: u64| Totals {
            in_octets: high << 32 | low,
            out_octets: out,
            in_packets: packets,
            out_packets: packets + 10,
        };
        assert_eq!(interim.totals(), totals(4_000_000_000, 2, 7, 30));
        assert_eq!(interim.number("Acct-Session-Time"), 61);
        let stop = detail.by_user("Stop")[user][0];
        assert_eq!(stop.totals(), totals(4_000_000_001, 2, (1 << 32) + 8, 31));
        assert_eq!((stop.number("Acct-Session-Time"), stop.event_time()), (90, 1_795_000_000));
        assert!((2..30).contains(&stop.number("Acct-Delay-Time")), "what is held adds its time: {stop:?}");
        assert_eq!(stop.text("Acct-Terminate-Cause"), "User-Request");
        assert!(detail.by_user("Start")[user][0].event_time() > 1_795_000_000, "it had none, and gains one");
    }
    let shown = house.daemon.display("display relay");
    let client = &shown["clients"][0];
    for (name, expected) in
        [("starts", 3), ("interims", 3), ("stops", 3), ("responses", 9), ("sessions", 0), ("joined", 0)]
    {
        assert_eq!(client[name], expected, "{name}: {shown}");
    }
    house.daemon.terminate();
}

/// A NAS of our own: every octet, the identifier and the port among them, is chosen by the test.
struct Nas {
    socket: UdpSocket,
    relay: SocketAddr,
}

/// What a request says: type and value.
type Said<'a> = (Type, &'a [u8]);

/// A box that relays to a FreeRADIUS, and a NAS that speaks to it. In the order in which they end.
struct House {
    nas: Nas,
    daemon: Daemon,
    _radius: FreeRadius,
    server: PathBuf,
    relay: u16,
    site: Site,
}

impl House {
    /// The words stand behind the secret of the relay client.
    fn open(client: &str) -> House {
        House::open_by(client, |site| Daemon::start(site, "auto"))
    }

    fn open_with(client: &str, shards: u16) -> House {
        House::open_by(client, |site| Daemon::start_with(site, "auto", shards))
    }

    fn open_by(client: &str, start: impl FnOnce(&Site) -> Daemon) -> House {
        let site = Site::new();
        let (acct, relay, server) = (free_port(), free_port(), site.path("radius"));
        relaying(&site, [acct, relay], client, "");
        let radius = FreeRadius::start(&server, acct);
        let daemon = start(&site);
        House { nas: Nas::new(relay), daemon, _radius: radius, server, relay, site }
    }

    /// How many of this Acct-Status-Type the server has written down.
    fn heard(&self, status: &str) -> usize {
        FreeRadius::detail(&self.server).count(status)
    }
}

impl Nas {
    fn new(relay: u16) -> Nas {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        Nas { socket, relay: ([127, 0, 0, 1], relay).into() }
    }

    fn packet(identifier: u8, secret: &str, said: &[Said<'_>]) -> Vec<u8> {
        let mut room = [0; PACKET_SIZE_MAX];
        let mut encoder = Encoder::packet(&mut room, Code::ACCOUNTING_REQUEST, identifier);
        for &(kind, value) in said {
            encoder.attribute(Attribute { kind, value });
        }
        let packet = encoder.finish().unwrap();
        sign_request(&mut Unsigned { packet, secret: secret.as_bytes(), message_authenticator: false });
        packet.to_vec()
    }

    fn send(&self, octets: &[u8]) {
        self.socket.send_to(octets, self.relay).unwrap();
    }

    /// The identifiers of the answers that come within this time.
    fn hears(&self, patience: Duration) -> Vec<u8> {
        let (until, mut heard, mut room) = (Instant::now() + patience, Vec::new(), [0; PACKET_SIZE_MAX]);
        while Instant::now() < until {
            if let Ok(length) = self.socket.recv(&mut room) {
                let packet = Packet::parse(&room[..length]).unwrap();
                assert_eq!(packet.code(), Code::ACCOUNTING_RESPONSE);
                heard.push(packet.identifier());
            }
        }
        heard
    }

    /// Sends it until it is answered.
    fn asks(&self, octets: &[u8]) {
        let mut room = [0; PACKET_SIZE_MAX];
        wait_until("an answer", seconds(30), || {
            self.send(octets);
            self.socket.recv(&mut room).is_ok_and(|length| length >= 20 && room[1] == octets[1])
        });
    }
}

const START: [u8; 4] = [0, 0, 0, 1];
const STOP: [u8; 4] = [0, 0, 0, 2];
const INTERIM: [u8; 4] = [0, 0, 0, 3];
const ON: [u8; 4] = [0, 0, 0, 7];

fn of<'a>(status: &'a [u8; 4], session: &'a str, more: &[Said<'a>]) -> Vec<Said<'a>> {
    let named: [Said<'_>; 3] = [
        (Type::ACCT_STATUS_TYPE, status),
        (Type::ACCT_SESSION_ID, session.as_bytes()),
        (Type::USER_NAME, b"alice@isp"),
    ];
    [&named[..], more].concat()
}

#[test]
fn a_request_that_comes_again_is_one_session() {
    let house = House::open_with("", 2);
    let name: Said<'_> = (Type::NAS_IDENTIFIER, b"bras1");
    let octets = |number: u32| number.to_be_bytes();
    let (in_octets, lasted, delay) = (octets(500), octets(60), octets(5));
    let counted: [Said<'_>; 3] = [name, (Type::ACCT_INPUT_OCTETS, &in_octets), (Type::ACCT_SESSION_TIME, &lasted)];
    let start = Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[name]));
    let start_again = Nas::packet(2, NAS_SECRET, &of(&START, "s1", &[name, (Type::ACCT_DELAY_TIME, &delay)]));
    for packet in [&start, &start, &start_again] {
        house.nas.asks(packet);
    }
    // The same port and identifier, but another NAS: that is another session.
    let other: Said<'_> = (Type::NAS_IDENTIFIER, b"bras2");
    house.nas.asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[other])));
    wait_until("Starts", seconds(20), || house.heard("Start") == 2);
    let interim = Nas::packet(3, NAS_SECRET, &of(&INTERIM, "s1", &counted));
    let interim_again = Nas::packet(4, NAS_SECRET, &of(&INTERIM, "s1", &counted));
    for packet in [&interim, &interim, &interim_again] {
        house.nas.asks(packet);
    }
    wait_until("an interim", seconds(20), || house.heard("Interim-Update") == 1);
    let stop = Nas::packet(5, NAS_SECRET, &of(&STOP, "s1", &counted));
    let stop_again =
        Nas::packet(6, NAS_SECRET, &of(&STOP, "s1", &[&counted[..], &[(Type::ACCT_DELAY_TIME, &delay)]].concat()));
    for packet in [&stop, &stop, &stop_again] {
        house.nas.asks(packet);
    }
    wait_until("its Stop", seconds(20), || house.heard("Stop") == 1);
    // What comes when the server has acknowledged all of it, and behind a restart, is known still.
    house.nas.asks(&stop_again);
    house.nas.asks(&Nas::packet(7, NAS_SECRET, &of(&INTERIM, "s1", &counted)));
    let shown = house.daemon.display("display relay");
    assert_eq!(shown["clients"][0]["sessions"], 1, "{shown}");
    assert!(shown["clients"][0]["duplicates"].as_u64() >= Some(7), "{shown}");
    house.daemon.terminate();
    let detail = FreeRadius::detail(&house.server);
    assert_eq!(["Start", "Interim-Update", "Stop"].map(|kind| detail.count(kind)), [2, 1, 1]);
    assert_eq!(detail.of("Start").map(|start| start.text("NAS-Identifier")).collect::<Vec<_>>(), ["bras1", "bras2"]);
}

/// kill -9 between a request and the end of its session: what was answered is there, with its octets.
#[test]
fn what_was_answered_outlives_the_daemon() {
    let site = Site::new();
    let (acct, relay, server) = (free_port(), free_port(), site.path("radius"));
    relaying(&site, [acct, relay], "", "");
    let radius = FreeRadius::start(&server, acct);
    let daemon = Daemon::start(&site, "auto");
    let nas = Nas::new(relay);
    let octets = |number: u32| number.to_be_bytes();
    let (first, then, lasted) = (octets(500), octets(900), [octets(60), octets(90)]);
    nas.asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[])));
    nas.asks(&Nas::packet(2, NAS_SECRET, &of(&START, "s2", &[])));
    wait_until("Starts", seconds(20), || FreeRadius::detail(&server).count("Start") == 2);
    radius.stop(Signal::TERM);
    let counted = [(Type::ACCT_INPUT_OCTETS, &first[..]), (Type::ACCT_SESSION_TIME, &lasted[0][..])];
    nas.asks(&Nas::packet(3, NAS_SECRET, &of(&INTERIM, "s1", &counted)));
    let counted = [(Type::ACCT_INPUT_OCTETS, &then[..]), (Type::ACCT_SESSION_TIME, &lasted[1][..])];
    let stop = Nas::packet(4, NAS_SECRET, &of(&STOP, "s2", &counted));
    nas.asks(&stop);
    daemon.kill9();

    let daemon = Daemon::start(&site, "auto");
    let shown = daemon.display("display relay");
    assert_eq!(shown["clients"][0]["sessions"], 1, "{shown}");
    let rows = daemon.display("display access-user");
    let s1 = rows.as_array().unwrap().iter().find(|row| row["session"] == "s1").unwrap().clone();
    assert_eq!(s1["in_octets"], 500, "{rows}");
    // The answer to the Stop was lost, for all that the NAS knows; it asks with another identifier.
    nas.asks(&stop);
    nas.asks(&Nas::packet(9, NAS_SECRET, &of(&STOP, "s2", &counted)));
    nas.asks(&Nas::packet(5, NAS_SECRET, &of(&STOP, "s1", &counted)));
    let _radius = FreeRadius::start(&server, acct);
    wait_until("Stops", seconds(60), || FreeRadius::detail(&server).count("Stop") >= 2);
    daemon.terminate();
    let detail = FreeRadius::detail(&server);
    let stops: Vec<_> = detail.of("Stop").map(|stop| (stop.session(), stop.totals().in_octets)).collect();
    assert_eq!(stops.len(), 2, "{stops:?}");
    assert!(stops.contains(&("s1", 900)) && stops.contains(&("s2", 900)), "{stops:?}");
}

/// An io_uring lets go of the sockets of a daemon that was killed when the next one has begun already; here it is somebody else who
/// is late.
#[test]
fn a_start_waits_for_a_port_that_is_let_go_late() {
    let site = Site::new();
    let (acct, relay) = (free_port(), free_port());
    relaying(&site, [acct, relay], "", "");
    let (taken, log) = (UdpSocket::bind(("127.0.0.1", relay)).unwrap(), site.path("daemon-auto.log"));
    let late = std::thread::spawn(move || {
        wait_until("the start has met the port", seconds(20), || {
            std::fs::read_to_string(&log).is_ok_and(|said| said.contains("NAS are not listened to"))
        });
        std::thread::sleep(Duration::from_millis(500));
        drop(taken);
    });
    let daemon = Daemon::start_with(&site, "auto", 2);
    late.join().unwrap();
    Nas::new(relay).asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[])));
    daemon.terminate();
}

#[test]
fn a_start_without_its_port_ends_and_says_so() {
    let site = Site::new();
    let relay = free_port();
    relaying(&site, [free_port(), relay], "", "");
    let _taken = UdpSocket::bind(("127.0.0.1", relay)).unwrap();
    let began = Instant::now();
    let place = format!("NAS cannot be listened to on 127.0.0.1:{relay}");
    tollgate(Daemon::arguments(&site)).refused(1, &[&place, "Address already in use"]);
    assert!(began.elapsed() >= seconds(5), "it was waited for");
}

/// What a commit has left is closed by the workers, a few turns later; somebody else's port is told of soon.
#[test]
fn a_commit_has_the_port_again_that_the_last_one_left() {
    let site = Site::new();
    let (one, other, taken) = (free_port(), free_port(), UdpSocket::bind("127.0.0.1:0").unwrap());
    relaying(&site, [free_port(), one], "", "");
    let daemon = Daemon::start_with(&site, "auto", 2);
    let listen = |port: u16| format!("relay listen 127.0.0.1 {port}");
    let (there, back) = (listen(other), listen(one));
    let turns: Vec<&str> = std::iter::repeat_n([there.as_str(), "commit", &back, "commit"], 10).flatten().collect();
    daemon.cli(&[&["system-view"][..], &turns].concat()).well();
    let began = Instant::now();
    let said = daemon.cli(&["system-view", &listen(taken.local_addr().unwrap().port()), "commit"]);
    assert!(said.code == Some(1) && said.out.contains("NAS cannot be listened to on"), "{}{}", said.out, said.err);
    assert!(began.elapsed() < seconds(5), "an operator waits");
    Nas::new(one).asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[])));
    daemon.terminate();
}

/// A NAS that starts ends its sessions, and only its own; asked twice, it ends no session that has begun meanwhile.
#[test]
fn accounting_on_ends_the_sessions_of_its_nas_once() {
    let house = House::open_with("", 2);
    let (one, other): (Said<'_>, Said<'_>) = ((Type::NAS_IDENTIFIER, b"bras1"), (Type::NAS_IDENTIFIER, b"bras2"));
    let sessions: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    for (identifier, session) in (0..).zip(&sessions) {
        house.nas.asks(&Nas::packet(identifier, NAS_SECRET, &of(&START, session, &[one])));
        house.nas.asks(&Nas::packet(identifier, NAS_SECRET, &of(&START, session, &[other])));
    }
    wait_until("Starts", seconds(20), || house.heard("Start") == 40);
    let on: [Said<'_>; 3] = [(Type::ACCT_STATUS_TYPE, &ON), (Type::ACCT_SESSION_ID, b"0"), one];
    house.nas.asks(&Nas::packet(100, NAS_SECRET, &on));
    house.nas.asks(&Nas::packet(101, NAS_SECRET, &of(&START, "s0", &[one])));
    house.nas.asks(&Nas::packet(102, NAS_SECRET, &on));
    wait_until("Stops", seconds(20), || house.heard("Stop") == 20);
    wait_until("the new Start", seconds(20), || house.heard("Start") == 41);
    let shown = house.daemon.display("display relay");
    assert_eq!(
        (&shown["clients"][0]["sessions"], &shown["clients"][0]["accounting_on"]),
        (&21.into(), &2.into()),
        "{shown}"
    );
    let detail = FreeRadius::detail(&house.server);
    for stop in detail.of("Stop") {
        let said = (stop.text("NAS-Identifier"), stop.text("Acct-Terminate-Cause"));
        assert_eq!(said, ("bras1", "NAS-Reboot"), "{stop:?}");
    }
    house.daemon.terminate();
}

/// What a NAS reports every minute reaches the server every so often only; its last word is told.
#[test]
fn interims_are_thinned_and_follow_the_nas_no_more() {
    let house = House::open("interim 3600");
    house.nas.asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[])));
    wait_until("a Start", seconds(20), || house.heard("Start") == 1);
    for minute in 1..=9_u8 {
        let (octets, lasted) = (u32::from(minute).to_be_bytes(), (u32::from(minute) * 60).to_be_bytes());
        let counted = [(Type::ACCT_INPUT_OCTETS, &octets[..]), (Type::ACCT_SESSION_TIME, &lasted[..])];
        house.nas.asks(&Nas::packet(1 + minute, NAS_SECRET, &of(&INTERIM, "s1", &counted)));
    }
    let rows = house.daemon.display("display access-user");
    assert_eq!((&rows[0]["in_octets"], &rows[0]["interim_s"]), (&9.into(), &3600.into()), "{rows}");
    assert_eq!(house.heard("Interim-Update"), 0);
    house.daemon.terminate();
}

/// A NAS at this port takes Disconnect-Requests: it does not hear the first `deaf` of them, and says then what it is told to.
fn takes_disconnects(socket: &UdpSocket, deaf: usize, verdict: Result<(), u32>) -> Vec<u8> {
    socket.set_read_timeout(Some(seconds(30))).unwrap();
    let (mut room, mut answered) = ([0; PACKET_SIZE_MAX], [0; PACKET_SIZE_MAX]);
    for _ in 0..deaf {
        socket.recv(&mut room).unwrap();
    }
    let (length, from) = socket.recv_from(&mut room).unwrap();
    let request = Packet::parse(&room[..length]).unwrap();
    assert_eq!((request.code(), verify_request(&request, NAS_SECRET.as_bytes())), (Code::DISCONNECT_REQUEST, Ok(())));
    let reply = answer(&request, verdict, NAS_SECRET.as_bytes(), &mut answered).unwrap();
    socket.send_to(reply, from).unwrap();
    request.octets().to_vec()
}

/// `cut access-user` reaches the NAS, once more where it is lost; what it says, or does not, is handled as configured.
#[test]
fn a_cut_reaches_the_nas_and_what_it_answers_is_handled() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let house = House::open(&format!("disconnect-port {port}"));
    let name: Said<'_> = (Type::NAS_IDENTIFIER, b"bras1");
    for (identifier, session) in (1..).zip(["agrees", "knows-nothing", "refuses"]) {
        house.nas.asks(&Nas::packet(identifier, NAS_SECRET, &of(&START, session, &[name])));
    }
    wait_until("Starts", seconds(20), || house.heard("Start") == 3);
    let cut = |session: &str| {
        let said = house.daemon.cli(&[&format!("cut access-user session-id {session}")]).well();
        assert!(!said.contains("Error"), "{said}");
    };
    // Lost twice, then heard: it is the same request all along.
    cut("agrees");
    let heard = takes_disconnects(&socket, 2, Ok(()));
    let request = Packet::parse(&heard).unwrap();
    assert_eq!(request.find(Type::ACCT_SESSION_ID), Some(&b"agrees"[..]));
    assert_eq!(request.find(Type::USER_NAME), Some(&b"alice@isp"[..]));
    assert_eq!(request.find(Type::NAS_IDENTIFIER), Some(&b"bras1"[..]));
    assert_eq!(request.find(Type::ACCT_TERMINATE_CAUSE), Some(&[0, 0, 0, 6][..]));
    house.nas.asks(&Nas::packet(4, NAS_SECRET, &of(&STOP, "agrees", &[name])));
    wait_until("its Stop", seconds(20), || house.heard("Stop") == 1);
    // There is no such session any more: its accounting ends.
    cut("knows-nothing");
    takes_disconnects(&socket, 0, Err(503));
    wait_until("the Stop of the other", seconds(60), || house.heard("Stop") == 2);
    // It does not do that: the session goes on, and its Stop tells its own cause.
    cut("refuses");
    takes_disconnects(&socket, 0, Err(501));
    let client = || house.daemon.display("display relay")["clients"][0].clone();
    wait_until("the refusal", seconds(10), || client()["disconnects"]["naks"] == 2);
    let (octets, lasted) = (77_u32.to_be_bytes(), 9_u32.to_be_bytes());
    let counted = [name, (Type::ACCT_INPUT_OCTETS, &octets[..]), (Type::ACCT_SESSION_TIME, &lasted[..])];
    house.nas.asks(&Nas::packet(5, NAS_SECRET, &of(&INTERIM, "refuses", &counted)));
    wait_until("an interim", seconds(20), || house.heard("Interim-Update") == 1);
    let cause: Said<'_> = (Type::ACCT_TERMINATE_CAUSE, &[0, 0, 0, 1]);
    house.nas.asks(&Nas::packet(6, NAS_SECRET, &of(&STOP, "refuses", &[&counted[..], &[cause]].concat())));
    wait_until("its Stop as well", seconds(20), || house.heard("Stop") == 3);
    let detail = FreeRadius::detail(&house.server);
    let cause_of = |session: &str| {
        let stop = detail.of("Stop").find(|stop| stop.session() == session).unwrap();
        stop.text("Acct-Terminate-Cause").to_owned()
    };
    assert_eq!(["agrees", "knows-nothing", "refuses"].map(cause_of), ["Admin-Reset", "Admin-Reset", "User-Request"]);
    let counts = client()["disconnects"].clone();
    for (name, expected) in [("requests", 3), ("retransmissions", 2), ("acks", 1), ("naks", 2), ("timeouts", 0)] {
        assert_eq!(counts[name], expected, "{name}: {counts}");
    }
    house.daemon.terminate();
}

/// Silence of the NAS is an answer too: under `disconnect-fail stop` the session's accounting ends.
#[test]
fn a_nas_that_does_not_answer_a_disconnect_ends_the_session_where_that_is_configured() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let house = House::open(&format!("disconnect-port {port} disconnect-fail stop"));
    house.nas.asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[])));
    wait_until("a Start", seconds(20), || house.heard("Start") == 1);
    house.daemon.cli(&["cut access-user session-id s1"]).well();
    wait_until("its Stop", seconds(90), || house.heard("Stop") == 1);
    let counts = house.daemon.display("display relay")["clients"][0]["disconnects"].clone();
    assert_eq!((&counts["retransmissions"], &counts["timeouts"]), (&4.into(), &1.into()), "{counts}");
    house.daemon.terminate();
}

/// Who is no client, who has another secret, and who says nonsense is counted by name and not answered; others are served.
#[test]
fn a_hostile_client_is_refused_by_name_and_slows_nobody() {
    let house = House::open("");
    let (nas, hostile) = (Nas::new(house.relay), Nas::new(house.relay));
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    let start = Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[]));
    stranger.send_to(&start, ("127.0.0.1", house.relay)).unwrap();
    hostile.send(&Nas::packet(1, "wrong", &of(&START, "x", &[])));
    hostile.send(&Nas::packet(2, NAS_SECRET, &of(&START, "", &[])));
    hostile.send(&Nas::packet(3, NAS_SECRET, &of(&[0, 0, 0, 99], "x", &[])));
    hostile.send(&Nas::packet(4, NAS_SECRET, &of(&START, "x", &[(Type::ACCT_INPUT_OCTETS, &[1])])));
    hostile.send(b"no packet");
    hostile.send(&[1; 4096]);
    assert_eq!(hostile.hears(Duration::from_millis(500)), [] as [u8; 0]);
    // Two hundred thousand in a row, from somebody who knows no secret; the others are served meanwhile.
    let forged = Nas::packet(7, "wrong", &of(&START, "x", &[]));
    std::thread::scope(|scope| {
        scope.spawn(|| (0..200_000).for_each(|_| drop(hostile.socket.send_to(&forged, hostile.relay))));
        for number in 0..50_u8 {
            nas.asks(&Nas::packet(number, NAS_SECRET, &of(&START, &format!("s{number}"), &[])));
        }
    });
    wait_until("Starts", seconds(30), || house.heard("Start") == 50);
    // What was not refused was dropped by the system, which says so with the next datagram.
    wait_until("what became of the flood", seconds(30), || {
        hostile.send(&forged);
        let shown = house.daemon.display("display relay");
        let counted = [&shown["clients"][0]["bad_authenticators"], &shown["overflow"]];
        counted.map(|count| count.as_u64().unwrap()).iter().sum::<u64>() >= 200_001
    });
    let shown = house.daemon.display("display relay");
    let malformed = &shown["clients"][0]["malformed"];
    assert_eq!((&shown["unknown_client"], malformed), (&1.into(), &5.into()), "{shown}");
    house.daemon.terminate();
}

/// A disk that takes its time: the answer comes behind the sync that makes its request durable, for each kind of request.
#[test]
fn an_answer_comes_only_when_the_disk_has_it() {
    const SYNC: Duration = Duration::from_millis(700);
    let house = House::open("interim 3600");
    house.nas.asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s0", &[])));
    let tracer = Tracer::slow(&house.site, house.daemon.id(), "fdatasync", SYNC);
    let (octets, lasted) = (7_u32.to_be_bytes(), 60_u32.to_be_bytes());
    let counted = [(Type::ACCT_INPUT_OCTETS, &octets[..]), (Type::ACCT_SESSION_TIME, &lasted[..])];
    let on: [Said<'_>; 2] = [(Type::ACCT_STATUS_TYPE, &ON), (Type::ACCT_SESSION_ID, b"0")];
    let requests = [
        of(&START, "s1", &[]),
        of(&INTERIM, "s1", &counted),
        of(&STOP, "s1", &counted),
        of(&STOP, "s2", &counted),
        on.to_vec(),
    ];
    let mut room = [0; PACKET_SIZE_MAX];
    house.nas.socket.set_read_timeout(Some(seconds(30))).unwrap();
    for (identifier, request) in (2..).zip(&requests) {
        // Nothing is being synced that was asked before.
        std::thread::sleep(3 * SYNC);
        let asked = Instant::now();
        house.nas.send(&Nas::packet(identifier, NAS_SECRET, request));
        // The first request may have been asked, and answered, more than once.
        while room[1] != identifier {
            house.nas.socket.recv(&mut room).unwrap();
        }
        let waited = asked.elapsed();
        assert!(waited >= SYNC, "{request:?} was answered after {waited:?}");
    }
    let trace = tracer.detach();
    assert!(trace.matches("fdatasync").count() >= requests.len(), "{trace}");
    // What changes nothing waits for no disk.
    let asked = Instant::now();
    house.nas.asks(&Nas::packet(9, NAS_SECRET, &of(&STOP, "s1", &counted)));
    assert!(asked.elapsed() < SYNC);
    house.daemon.terminate();
}

/// `start-fail offline`: the log-in that this box would refuse was let in by its NAS, and is asked to go.
#[test]
fn a_policy_of_offline_reaches_the_nas() {
    let site = Site::new();
    let (acct, relay) = (free_port(), free_port());
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let policy = "  accounting start-fail offline\n  accounting interim-fail max-times 1 offline\n";
    relaying(&site, [acct, relay], &format!("disconnect-port {port}"), policy);
    let daemon = Daemon::start(&site, "auto");
    let nas = Nas::new(relay);
    nas.asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[])));
    let heard = takes_disconnects(&socket, 0, Ok(()));
    let request = Packet::parse(&heard).unwrap();
    assert_eq!(request.find(Type::ACCT_SESSION_ID), Some(&b"s1"[..]));
    assert_eq!(request.find(Type::ACCT_TERMINATE_CAUSE), Some(&[0, 0, 0, 9][..]));
    assert_eq!(daemon.display("display accounting policy")["refused"], 1);
    // A session that runs, and whose interims nobody takes.
    let lasted = [60_u32, 120, 180].map(u32::to_be_bytes);
    for (identifier, lasted) in (2..).zip(&lasted) {
        nas.asks(&Nas::packet(identifier, NAS_SECRET, &of(&INTERIM, "s2", &[(Type::ACCT_SESSION_TIME, lasted)])));
        std::thread::sleep(seconds(10));
    }
    let heard = takes_disconnects(&socket, 0, Ok(()));
    assert_eq!(Packet::parse(&heard).unwrap().find(Type::ACCT_SESSION_ID), Some(&b"s2"[..]));
    daemon.terminate();
}

/// Twenty thousand requests at once are all answered, and all of them reach the server.
#[test]
fn twenty_thousand_requests_in_flight_are_answered() {
    const SESSIONS: usize = 20_000;
    let house = House::open("");
    let nas: Vec<Nas> = (0..SESSIONS.div_ceil(256)).map(|_| Nas::new(house.relay)).collect();
    let packets: Vec<(usize, Vec<u8>)> = (0..SESSIONS)
        .map(|number| {
            let session = format!("s{number}");
            let identifier = u8::try_from(number % 256).unwrap();
            (number / 256, Nas::packet(identifier, NAS_SECRET, &of(&START, &session, &[])))
        })
        .collect();
    let mut waiting = vec![true; SESSIONS];
    nas.iter().for_each(|nas| nas.socket.set_nonblocking(true).unwrap());
    let mut room = [0; PACKET_SIZE_MAX];
    let mut next = Instant::now();
    wait_for("every answer", seconds(60), || {
        // As a NAS does, which asks again after three seconds.
        if Instant::now() >= next {
            next = Instant::now() + seconds(3);
            for (number, (socket, packet)) in packets.iter().enumerate() {
                if waiting[number] {
                    let _ = nas[*socket].socket.send_to(packet, nas[*socket].relay);
                }
            }
        }
        for (place, nas) in nas.iter().enumerate() {
            while let Ok(length) = nas.socket.recv(&mut room) {
                assert_eq!(length, 20);
                waiting[place * 256 + usize::from(room[1])] = false;
            }
        }
        waiting.iter().all(|waits| !waits).then_some(())
    });
    wait_until("Starts", seconds(60), || FreeRadius::count(&house.server, "Start") >= SESSIONS);
    let shown = house.daemon.display("display relay");
    assert_eq!(shown["clients"][0]["sessions"], SESSIONS, "{shown}");
    house.daemon.terminate();
}

/// A NAS that stops talking: what it said last is what its session ends with.
#[test]
fn a_session_that_nobody_speaks_of_any_more_ends() {
    let house = House::open("silence 1");
    house.nas.asks(&Nas::packet(1, NAS_SECRET, &of(&START, "s1", &[])));
    // By its own measure it speaks every ten seconds.
    let lasted = [10_u32, 20].map(u32::to_be_bytes);
    for (identifier, lasted) in (2..).zip(&lasted) {
        let octets = 700_u32.to_be_bytes();
        let counted = [(Type::ACCT_INPUT_OCTETS, &octets[..]), (Type::ACCT_SESSION_TIME, &lasted[..])];
        house.nas.asks(&Nas::packet(identifier, NAS_SECRET, &of(&INTERIM, "s1", &counted)));
    }
    wait_until("its Stop", seconds(60), || house.heard("Stop") == 1);
    let detail = FreeRadius::detail(&house.server);
    let stop = detail.of("Stop").next().unwrap();
    let said = (stop.text("Acct-Terminate-Cause"), stop.number("Acct-Session-Time"), stop.totals().in_octets);
    assert_eq!(said, ("Lost-Service", 20, 700), "{stop:?}");
    assert_eq!(house.daemon.display("display relay")["clients"][0]["silent"], 1);
    house.daemon.terminate();
}
