//! The way to a server, and from one: `vpn-instance` and `source`. Two servers have one address, in two networks; the routing
//! table leads to one of them, and requests go to the other, through the device that is named and from the address that is named.
//!
//! A device of its own stands for a VRF here, for it is a device to whoever binds to it.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::Command;

use wire::radius::attribute::{Attribute, Type};
use wire::radius::authenticator::{Unsigned, sign_request};
use wire::radius::{Code, Encoder, Packet, server::respond};

use crate::common::{Daemon, Feed, SECRET, Site, down, ip, seconds, up, wait_until, within};

/// Both servers have it.
const SERVER: &str = "198.18.9.9";
const PORT: u16 = 1813;
/// An address of the BNG that is on no way to anywhere.
const OWN: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 7);
/// The one of an interface that is there later.
const LATER: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 8);

#[test]
fn row_5_1_requests_take_the_way_that_is_named_over_io_uring() {
    requests_take_the_way_that_is_named("io-uring");
}

#[test]
fn row_5_1_requests_take_the_way_that_is_named_over_epoll() {
    requests_take_the_way_that_is_named("epoll");
}

fn requests_take_the_way_that_is_named(datapath: &str) {
    let (site, networks) = (Site::new(), Networks::new());
    let (red, plain) = (networks.server("red"), networks.server("plain"));
    let line = format!("radius-server accounting {SERVER} {PORT} vpn-instance red0 source");
    site.configure(&format!(
        "radius-server group isp\n radius-server shared-key {SECRET}\n {line} ip-address {OWN}\n#\n\
         aaa\n domain isp\n  radius-server group isp\n#\nlocal-aaa-server\n local-bill-pool enable\n"
    ));
    let daemon = networks.daemon(&site, datapath);
    let mut feed = Feed::listen(&site);
    feed.say([up("s1", "isp")]);
    assert_eq!(answer(&red), OWN, "the Start");
    daemon.wait_for_sessions(1, "Accounting");
    let row = shown(&daemon);
    assert_eq!((&row["vpn"], &row["source"]), (&"red0".into(), &format!("ip-address {OWN}").into()), "{row}");

    // Another source is another path; its interface is missing for now.
    let group = ["system-view", "radius-server group isp"];
    let said = daemon.cli(&[group[0], group[1], &format!("{line} late0"), "commit"]).well();
    for part in ["no source address towards", "source late0", "it is tried again by and by"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let row = shown(&daemon);
    assert_eq!(row["up"], false, "{row}");
    assert!(row["no_source_ip_blocks"].as_u64() > Some(0), "{row}");
    networks.bng(&["link", "add", "late0", "type", "veth", "peer", "name", "late1"]);
    networks.bng(&["address", "add", &format!("{LATER}/32"), "dev", "late0"]);
    // The next commit tries it at once.
    daemon.cli(&["system-view", "sysname BNG2", "commit"]).well();
    wait_until("the server can be spoken to", seconds(10), || shown(&daemon)["up"] == true);
    feed.say([down("s1", 1)]);
    assert_eq!(answer(&red), LATER, "the Stop");
    wait_until("the session is over", seconds(20), || daemon.states().is_empty());
    feed.finish(seconds(20));
    assert!(daemon.bills().is_empty());
    daemon.terminate();

    plain.set_nonblocking(true).unwrap();
    let heard = plain.recv_from(&mut [0; 4096]);
    assert!(heard.is_err(), "the server that the routing table leads to has heard {heard:?}");
}

/// Two authorization servers have one address, each in its own network: each is believed there alone, and answered there.
#[test]
fn row_5_6_an_authorization_server_in_a_vrf_is_heard_there() {
    let (site, networks) = (Site::new(), Networks::new());
    let (red, plain) = (networks.server("red"), networks.server("plain"));
    site.configure(&format!(
        "radius-server authorization {SERVER} shared-key of-plain\n\
         radius-server authorization {SERVER} vpn-instance red0 shared-key of-red\n"
    ));
    let daemon = networks.daemon(&site, "auto");
    for (server, bng, right, wrong) in
        [(&red, "198.18.1.1", "of-red", "of-plain"), (&plain, "198.18.0.1", "of-plain", "of-red")]
    {
        let ask = |identifier: u8, secret: &str| {
            let mut room = [0; 4096];
            let mut encoder = Encoder::packet(&mut room, Code::DISCONNECT_REQUEST, identifier);
            encoder.attribute(Attribute { kind: Type::USER_NAME, value: b"nobody@isp" });
            let packet = encoder.finish().unwrap();
            let secret = secret.as_bytes();
            sign_request(&mut Unsigned { packet, secret, message_authenticator: false });
            server.send_to(packet, (bng, 3799)).unwrap();
        };
        ask(1, wrong);
        ask(2, right);
        let mut room = [0; 4096];
        let (length, from) = server.recv_from(&mut room).expect("an answer comes");
        let answer = Packet::parse(&room[..length]).unwrap();
        assert_eq!((from.ip().to_string().as_str(), answer.identifier()), (bng, 2));
        assert_eq!(answer.code(), Code::DISCONNECT_NAK);
    }
    for vpn in ["", "vpn-instance red0 "] {
        let counts = daemon.display(&format!("display radius-server packet ip-address {SERVER} {vpn}dm"));
        let count = |name: &str| counts[name].as_u64();
        assert_eq!(
            (count("requests"), count("naks"), count("bad_authenticators")),
            (Some(2), Some(1), Some(1)),
            "{counts}"
        );
    }
    // A VRF that is not there is told at the commit, and nothing changes.
    let line = format!("radius-server authorization {SERVER} vpn-instance none0 shared-key k");
    let said = daemon.cli(&["system-view", &line, "commit"]);
    assert!(said.out.contains("vpn-instance none0") && said.code == Some(1), "{}{}", said.out, said.err);
    // Who is there no more is not heard.
    let undo = format!("undo radius-server authorization {SERVER} vpn-instance red0");
    daemon.cli(&["system-view", &undo, "commit"]).well();
    let shown = daemon.cli(&["display current-configuration"]).well();
    assert!(
        shown.contains(&format!("radius-server authorization {SERVER} shared-key")) && !shown.contains("red0"),
        "{shown}"
    );
    daemon.terminate();
}

fn shown(daemon: &Daemon) -> serde_json::Value {
    let command = format!("display radius-server packet ip-address {SERVER} vpn-instance red0 accounting");
    daemon.display(&command)[0].take()
}

/// Answers the next request, and says whom it is from; it says that itself.
fn answer(server: &UdpSocket) -> IpAddr {
    let mut room = [0; 4096];
    let (length, from) = server.recv_from(&mut room).expect("a request comes");
    let request = Packet::parse(&room[..length]).unwrap();
    let nas = request.find(Type::NAS_IP_ADDRESS).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
    assert_eq!(nas.map(IpAddr::from), Some(from.ip()), "NAS-IP-Address is the source");
    let mut reply = [0; 4096];
    server.send_to(respond(&request, SECRET.as_bytes(), &mut reply).unwrap(), from).unwrap();
    from.ip()
}

/// The BNG's namespace and two others, `red` and `plain`, with a server's address in each. Dropped, they are removed.
struct Networks {
    prefix: String,
}

impl Networks {
    /// # Panics
    /// Without the right to make namespaces: root has it.
    fn new() -> Networks {
        assert!(rustix::process::geteuid().is_root(), "this test makes network namespaces: it has to be run as root");
        let networks = Networks { prefix: format!("tgv{}", std::process::id()) };
        ip(&["netns", "add", &networks.name("bng")]);
        networks.bng(&["link", "set", "lo", "up"]);
        networks.bng(&["address", "add", &format!("{OWN}/32"), "dev", "lo"]);
        // The routing table would have plain0 for both, and an answer that comes in through red0 would be a forgery.
        for (number, other, metric) in [(0, "plain", "10"), (1, "red", "20")] {
            networks.lay(number, other);
            let (device, next) = (format!("{other}0"), format!("198.18.{number}.2"));
            networks.bng(&["route", "add", SERVER, "via", &next, "dev", &device, "metric", metric]);
            let off = format!("echo 0 > /proc/sys/net/ipv4/conf/{device}/rp_filter");
            let all = "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter";
            ip(&["netns", "exec", &networks.name("bng"), "sh", "-c", &format!("{off} && {all}")]);
        }
        networks
    }

    fn name(&self, which: &str) -> String {
        format!("{}-{which}", self.prefix)
    }

    /// `ip` in the BNG's namespace.
    fn bng(&self, arguments: &[&str]) {
        let name = self.name("bng");
        ip(&[&["-n", &name], arguments].concat());
    }

    fn lay(&self, number: u8, other: &str) {
        let (name, device) = (self.name(other), format!("{other}0"));
        ip(&["netns", "add", &name]);
        self.bng(&["link", "add", &device, "type", "veth", "peer", "name", "wan", "netns", &name]);
        self.bng(&["address", "add", &format!("198.18.{number}.1/30"), "dev", &device]);
        self.bng(&["link", "set", &device, "up"]);
        let (own, next) = (format!("198.18.{number}.2/30"), format!("198.18.{number}.1"));
        for arguments in [
            &["link", "set", "lo", "up"][..],
            &["address", "add", &format!("{SERVER}/32"), "dev", "lo"],
            &["address", "add", &own, "dev", "wan"],
            &["link", "set", "wan", "up"],
            &["route", "add", "198.18.7.0/24", "via", &next],
        ] {
            ip(&[&["-n", &name], arguments].concat());
        }
    }

    /// What the server there hears.
    fn server(&self, which: &str) -> UdpSocket {
        let socket = within(&self.name(which), || UdpSocket::bind((SERVER, PORT)).unwrap());
        socket.set_read_timeout(Some(seconds(20))).unwrap();
        socket
    }

    /// The daemon in the BNG's namespace.
    fn daemon(&self, site: &Site, datapath: &str) -> Daemon {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name("bng"), env!("CARGO_BIN_EXE_tollgate")]);
        Daemon::start_by(&mut command, site, datapath, &[])
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for which in ["red", "plain", "bng"] {
            let _ = Command::new("ip").args(["netns", "delete", &self.name(which)]).output();
        }
    }
}
