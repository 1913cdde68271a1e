//! RADIUS over TLS (RFC 6614) against FreeRADIUS, which shows its certificate and demands one.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use crate::common::{Authority, Daemon, Feed, FreeRadius, Signal, Site, Totals};
use crate::common::{count, down, free_port, seconds, up, wait_until};

/// A server that listens for both, and the files of both ends.
struct Office {
    site: Site,
    authority: Authority,
    ports: [u16; 2],
}

impl Office {
    fn open() -> Office {
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        let over_tcp = std::iter::repeat_with(free_port).take(100).find(is_free).expect("a port is free for TCP too");
        let ports = [free_port(), over_tcp];
        let office = Office { site: Site::new(), authority: Authority::new("ca"), ports };
        office.write("ca.pem", &office.authority.issuer.pem());
        for (name, host) in [("server", "127.0.0.1"), ("bng", "bng.example.net")] {
            let (cert, key) = office.authority.sign(&[host], 2096);
            office.write(&format!("{name}.pem"), &cert);
            office.write(&format!("{name}.key"), &key);
        }
        office
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.site.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn directory(&self) -> PathBuf {
        self.site.path("radius")
    }

    fn start_server(&self) -> FreeRadius {
        let files = ["ca.pem", "server.pem", "server.key"].map(|name| self.site.path(name));
        FreeRadius::start_over_tls(&self.directory(), self.ports, files.each_ref().map(PathBuf::as_path))
    }

    /// The line of the server, with these files.
    fn line(&self, ca: &str, own: bool) -> String {
        let path = |name: &str| self.site.path(name).display().to_string();
        let own = if own { format!(" cert {} key {}", path("bng.pem"), path("bng.key")) } else { String::new() };
        format!("radius-server accounting 127.0.0.1 {} tls ca {}{own}", self.ports[1], path(ca))
    }

    fn start_daemon(&self, line: &str, datapath: &str) -> Daemon {
        self.site.configure(&format!(
            "radius-server group isp\n {line}\n radius-server timeout 3 retransmit 2\n#\n\
             aaa\n domain isp\n  radius-server group isp\n#\nlocal-aaa-server\n local-bill-pool enable\n"
        ));
        Daemon::start(&self.site, datapath)
    }
}

#[test]
fn sessions_are_accounted_over_tls_on_io_uring() {
    sessions_are_accounted_over_tls("io-uring");
}

#[test]
fn sessions_are_accounted_over_tls_on_epoll() {
    sessions_are_accounted_over_tls("epoll");
}

fn sessions_are_accounted_over_tls(datapath: &str) {
    const SESSIONS: u64 = 100;
    let office = Office::open();
    let server = office.start_server();
    let daemon = office.start_daemon(&office.line("ca.pem", true), datapath);
    let heard = |kind: &str| FreeRadius::count(&office.directory(), kind);
    let mut feed = Feed::listen(&office.site);
    feed.say((0..SESSIONS).map(|number| up(&format!("s{number}"), "isp")));
    wait_until("every Start is there", seconds(30), || heard("Start") == 100);

    // A server that goes away takes nothing with it.
    let ends = |range: std::ops::Range<u64>| {
        range.flat_map(|number| {
            let name = format!("s{number}");
            [count(&name, Totals::of(number, number % 3)), down(&name, 1)]
        })
    };
    feed.say(ends(0..50));
    wait_until("half of the Stops are there", seconds(30), || heard("Stop") == 50);
    server.stop(Signal::TERM);
    feed.say(ends(50..SESSIONS));
    let server = office.start_server();
    feed.finish(seconds(30));
    wait_until("every Stop is there", seconds(60), || heard("Stop") >= 100);
    let detail = FreeRadius::detail(&office.directory());
    let stops = detail.by_user("Stop");
    for number in 0..SESSIONS {
        let of_user = &stops[&*format!("s{number}@isp")];
        assert!(of_user.iter().all(|stop| stop.totals() == Totals::of(number, number % 3)), "s{number}");
    }
    daemon.wait_until_quiet();
    assert!(daemon.load(seconds(1)) < 0.2, "an idle connection takes no time");
    daemon.terminate();
    server.stop(Signal::TERM);
}

#[test]
fn a_handshake_that_fails_says_why_and_a_commit_mends_it() {
    let office = Office::open();
    office.write("strange.pem", &Authority::new("strange").issuer.pem());
    let server = office.start_server();
    let daemon = office.start_daemon(&office.line("strange.pem", true), "epoll");
    let mut feed = Feed::listen(&office.site);
    feed.say([up("s1", "isp")]);
    let commit =
        |lines: &[&str]| daemon.cli(&[&["system-view", "radius-server group isp"], lines, &["commit"]].concat());
    let says = |part: &str| wait_until(part, seconds(30), || daemon.logged(part) > 0);
    says("its certificate is signed by no CA of ");

    commit(&[&format!("{} server-name aaa.example.net", office.line("ca.pem", true))]).well();
    says("its certificate is not for aaa.example.net, but for IpAddress(127.0.0.1)");

    commit(&[&office.line("ca.pem", false)]).well();
    // FreeRADIUS sends no alert here.
    says("it may miss our certificate, or refuse it");

    let said = commit(&[&office.line("none.pem", true)]).well();
    for part in ["none.pem cannot be read: No such file", "servers that need it are not spoken to"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    commit(&[&office.line("ca.pem", true)]).well();
    // The first user was refused meanwhile, and so is whoever comes before the server is called again.
    let mut number = 1;
    wait_until("a Start is there", seconds(60), || {
        number += 1;
        feed.say([up(&format!("s{number}"), "isp")]);
        std::thread::sleep(seconds(1));
        FreeRadius::count(&office.directory(), "Start") > 0
    });
    feed.say((2..=number).map(|number| down(&format!("s{number}"), 1)));
    feed.finish(seconds(30));
    wait_until("the Stop is there", seconds(60), || FreeRadius::count(&office.directory(), "Stop") > 0);
    daemon.terminate();
    server.stop(Signal::TERM);
}

#[test]
fn a_certificate_that_ends_soon_is_alarmed() {
    let office = Office::open();
    let (cert, key) = office.authority.sign(&["bng.example.net"], 2001);
    office.write("bng.pem", &cert);
    office.write("bng.key", &key);
    let daemon = office.start_daemon(&office.line("ca.pem", true), "epoll");
    assert_eq!(daemon.logged("hwRadiusTlsCertExpires"), 1);
    let (cert, key) = office.authority.sign(&["bng.example.net"], 2096);
    office.write("bng.pem", &cert);
    office.write("bng.key", &key);
    daemon.cli(&["system-view", "sysname BNG2", "commit"]).well();
    wait_until("the alarm is cleared", seconds(10), || daemon.logged("hwRadiusTlsCertExpiresClear") == 1);
    daemon.terminate();
}
