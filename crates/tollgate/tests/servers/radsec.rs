//! RADIUS over TLS (RFC 6614) against FreeRADIUS and radsecproxy, which show their certificates and demand one.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::common::{Authority, Daemon, Feed, FreeRadius, Passing, RadsecProxy, Relay, SECRET, Signal, Site, Totals};
use crate::common::{count, down, free_port, seconds, up, wait_until};

/// A server that listens for both, and the files of both ends.
struct Office {
    site: Site,
    authority: Authority,
    ports: [u16; 2],
}

impl Office {
    fn open() -> Office {
        let ports = [free_port(), free_port()];
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
        let files = self.files_of_server();
        FreeRadius::start_over_tls(&self.directory(), self.ports, files.each_ref().map(PathBuf::as_path))
    }

    /// CA, certificate and key.
    fn files_of_server(&self) -> [PathBuf; 3] {
        ["ca.pem", "server.pem", "server.key"].map(|name| self.site.path(name))
    }

    /// The line of the server, with these files.
    fn line(&self, ca: &str, own: bool) -> String {
        self.line_to(self.ports[1], ca, own)
    }

    /// The line of whatever stands before the server at a port.
    fn line_to(&self, port: u16, ca: &str, own: bool) -> String {
        let path = |name: &str| self.site.path(name).display().to_string();
        let own = if own { format!(" cert {} key {}", path("bng.pem"), path("bng.key")) } else { String::new() };
        format!("radius-server accounting 127.0.0.1 {port} tls ca {}{own}", path(ca))
    }

    fn start_daemon(&self, line: &str, datapath: &str) -> Daemon {
        self.start_daemon_with(&[("isp", &[line])], "", datapath)
    }

    /// Domains with a group of the same name and these servers, all with a scheme of these lines.
    fn start_daemon_with(&self, domains: &[(&str, &[&str])], scheme: &str, datapath: &str) -> Daemon {
        let (mut groups, mut aaa) = (String::new(), format!("aaa\n accounting-scheme all\n{scheme}"));
        for (name, lines) in domains {
            let lines = lines.join("\n ");
            groups += &format!("radius-server group {name}\n {lines}\n radius-server timeout 3 retransmit 2\n#\n");
            aaa += &format!(" domain {name}\n  accounting-scheme all\n  radius-server group {name}\n");
        }
        self.site.configure(&format!("{groups}{aaa}#\nlocal-aaa-server\n local-bill-pool enable\n"));
        Daemon::start(&self.site, datapath)
    }

    fn heard(&self, kind: &str) -> usize {
        FreeRadius::count(&self.directory(), kind)
    }

    /// Every session has one Start, and Stops that agree on every octet: how many Stops there are.
    fn check_records(&self, sessions: u64, domain: &str) -> usize {
        let detail = FreeRadius::detail(&self.directory());
        let (starts, stops) = (detail.by_user("Start"), detail.by_user("Stop"));
        let of_session = |number: u64| {
            let user = &*format!("s{number}@{domain}");
            let stops = &stops[user];
            for record in stops.iter().chain(&starts[user]) {
                assert_eq!(record.session(), stops[0].session(), "{user}");
            }
            assert!(stops.iter().all(|stop| stop.totals() == totals(number)), "{user}: {stops:?}");
            stops.len()
        };
        (0..sessions).map(of_session).sum()
    }
}

fn totals(number: u64) -> Totals {
    Totals::of(number, number % 3)
}

fn name(number: u64) -> String {
    format!("s{number}")
}

fn ends(range: std::ops::Range<u64>) -> impl Iterator<Item = serde_json::Value> {
    range.flat_map(|number| [count(&name(number), totals(number)), down(&name(number), 1)])
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
    let mut feed = Feed::listen(&office.site);
    feed.say((0..SESSIONS).map(|number| up(&name(number), "isp")));
    wait_until("every Start is there", seconds(30), || office.heard("Start") == 100);

    // A server that goes away takes nothing with it.
    feed.say(ends(0..50));
    wait_until("half of the Stops are there", seconds(30), || office.heard("Stop") == 50);
    server.stop(Signal::TERM);
    feed.say(ends(50..SESSIONS));
    let server = office.start_server();
    feed.finish(seconds(30));
    wait_until("every Stop is there", seconds(60), || office.heard("Stop") >= 100);
    office.check_records(SESSIONS, "isp");
    daemon.wait_until_quiet();
    assert!(daemon.load(seconds(1)) < 0.2, "an idle connection takes no time");
    daemon.terminate();
    server.stop(Signal::TERM);
}

#[test]
fn free_radius_takes_two_thousand_sessions() {
    let office = Office::open();
    let server = office.start_server();
    two_thousand_sessions(&office, &office.line("ca.pem", true));
    server.stop(Signal::TERM);
}

/// TLS as far as the proxy, and UDP behind it.
#[test]
fn a_proxy_takes_two_thousand_sessions() {
    let office = Office::open();
    let server = FreeRadius::start(&office.directory(), office.ports[0]);
    let (port, files) = (free_port(), office.files_of_server());
    let ports = [port, office.ports[0]];
    let proxy = RadsecProxy::start(&office.site.path("proxy"), ports, files.each_ref().map(PathBuf::as_path));
    two_thousand_sessions(&office, &office.line_to(port, "ca.pem", true));
    proxy.stop();
    server.stop(Signal::TERM);
}

fn two_thousand_sessions(office: &Office, line: &str) {
    const SESSIONS: u64 = 2_000;
    let daemon = office.start_daemon_with(&[("isp", &[line])], "  accounting interim interval 5 second\n", "auto");
    let mut feed = Feed::listen(&office.site);
    feed.say((0..SESSIONS).map(|number| up(&name(number), "isp")));
    wait_until("every Start is there", seconds(30), || office.heard("Start") == 2_000);
    feed.say((0..SESSIONS).map(|number| count(&name(number), totals(number))));
    wait_until("everybody has an interim with all octets", seconds(30), || {
        let detail = FreeRadius::detail(&office.directory());
        let interims = detail.of("Interim-Update").filter(|record| record.totals().in_octets > 0);
        interims.map(|record| record.text("User-Name")).collect::<BTreeSet<_>>().len() == 2_000
    });
    for (user, interims) in FreeRadius::detail(&office.directory()).by_user("Interim-Update") {
        let number = user.trim_start_matches('s').trim_end_matches("@isp").parse().unwrap();
        let expected = [Totals::default(), totals(number)];
        assert!(interims.iter().all(|interim| expected.contains(&interim.totals())), "{user}: {interims:?}");
    }
    feed.say((0..SESSIONS).map(|number| down(&name(number), 1)));
    feed.finish(seconds(30));
    wait_until("every Stop is there", seconds(30), || office.heard("Stop") >= 2_000);
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty());
    daemon.terminate();
    assert_eq!(
        (office.heard("Start"), office.check_records(SESSIONS, "isp")),
        (2_000, 2_000),
        "and none of them twice"
    );
}

/// Connections are cut while Starts, interims and Stops are on their way.
#[test]
fn a_connection_that_is_cut_loses_nothing_and_is_told() {
    const SESSIONS: u64 = 600;
    let office = Office::open();
    let server = office.start_server();
    let relay = Relay::start(Passing::Freely, office.ports[1]);
    let line = office.line_to(relay.port, "ca.pem", true);
    let daemon = office.start_daemon_with(&[("isp", &[&line])], "  accounting interim interval 5 second\n", "auto");
    let mut feed = Feed::listen(&office.site);
    let mut cuts = 0;
    feed.say((0..SESSIONS).map(|number| up(&name(number), "isp")));
    wait_until("some Starts are there", seconds(30), || office.heard("Start") > 0);
    cuts += relay.cut_some();
    wait_until("every Start is there", seconds(30), || office.heard("Start") >= 600);
    feed.say((0..SESSIONS).map(|number| count(&name(number), totals(number))));
    wait_until("some interims are there", seconds(30), || office.heard("Interim-Update") > 0);
    cuts += relay.cut_some();
    for part in [0..200, 200..400, 400..SESSIONS] {
        let so_far = office.heard("Stop");
        feed.say(part.map(|number| down(&name(number), 1)));
        wait_until("some Stops are there", seconds(30), || office.heard("Stop") > so_far);
        cuts += relay.cut_some();
    }
    feed.finish(seconds(30));
    wait_until("nobody is left", seconds(60), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty());
    assert!(cuts >= 3 && relay.accepted() >= cuts, "{cuts}");
    assert!(daemon.logged("RADIUS over TLS was cut: ") > 0, "{}", daemon.log());
    daemon.terminate();
    // What was on its way may have been heard twice, and never with other counters.
    assert!(office.check_records(SESSIONS, "isp") >= 600);
    assert!(office.heard("Start") >= 600);
    server.stop(Signal::TERM);
}

/// What cuts the connection of a server that has just answered, and the handshake behind it too, has not said that the server
/// refuses us: it is called once more before it is Down, and everything arrives.
#[test]
fn a_handshake_that_is_cut_behind_an_answer_is_no_refusal() {
    let office = Office::open();
    let server = office.start_server();
    let relay = Relay::start(Passing::Freely, office.ports[1]);
    let daemon = office.start_daemon(&office.line_to(relay.port, "ca.pem", true), "auto");
    let mut feed = Feed::listen(&office.site);
    feed.say((0..20).map(|number| up(&name(number), "isp")));
    wait_until("every Start is there", seconds(30), || office.heard("Start") == 20);
    daemon.wait_until_quiet();
    // Nobody else ends it: all that was asked has been answered, and after half a minute only the daemon would ask whether the server
    // is there.
    assert_eq!((relay.cut_with_the_next(), relay.accepted()), (1, 1), "{}", daemon.log());
    feed.say(ends(0..20));
    feed.finish(seconds(30));
    wait_until("every Stop is there", seconds(20), || office.heard("Stop") == 20);
    daemon.wait_until_quiet();
    assert_eq!((relay.accepted(), daemon.logged("hwRadiusAcctServerDown")), (3, 0), "{}", daemon.log());
    daemon.terminate();
    server.stop(Signal::TERM);
}

/// One that accepts and never answers the handshake, and one that reads slowly: the server behind it in the group is asked, and
/// those of another group notice nothing.
#[test]
fn a_server_that_stands_still_stalls_no_other() {
    const SESSIONS: u64 = 100;
    for passing in [Passing::Nothing, Passing::Slowly] {
        let office = Office::open();
        let server = office.start_server();
        let relay = Relay::start(passing, office.ports[1]);
        let first = office.line_to(relay.port, "ca.pem", true);
        let second = format!("radius-server accounting 127.0.0.1 {} shared-key {SECRET}", office.ports[0]);
        let near = office.line("ca.pem", true);
        let domains: [(&str, &[&str]); 2] = [("isp", &[&first, &second]), ("near", &[&near])];
        let daemon = office.start_daemon_with(&domains, "  accounting start-fail offline\n", "auto");
        let mut feed = Feed::listen(&office.site);
        let near = |number: u64| format!("near{number}");
        feed.say((0..SESSIONS).flat_map(|number| [up(&name(number), "isp"), up(&near(number), "near")]));
        let admitted = |feed: &Feed, name: &str, patience| {
            let verdict = feed.verdict_on(name, seconds(patience));
            assert_eq!(verdict, ("admit".to_owned(), "start-accepted".to_owned()), "{name}, {passing:?}");
        };
        // The first server has its three seconds yet.
        (0..SESSIONS).for_each(|number| admitted(&feed, &near(number), 3));
        (0..SESSIONS).for_each(|number| admitted(&feed, &name(number), 30));
        feed.say((0..SESSIONS).map(|number| down(&near(number), 1)));
        feed.say(ends(0..SESSIONS));
        feed.finish(seconds(30));
        wait_until("nobody is left", seconds(60), || daemon.states().is_empty());
        daemon.wait_until_quiet();
        assert!(daemon.bills().is_empty(), "{passing:?}");
        assert!(relay.accepted() > 0);
        if passing == Passing::Nothing {
            assert!(daemon.logged("it had not answered the handshake") > 0, "{}", daemon.log());
        }
        daemon.terminate();
        assert!(office.check_records(SESSIONS, "isp") >= 100);
        server.stop(Signal::TERM);
    }
}

#[test]
fn a_server_whose_certificate_has_expired_is_refused_until_it_has_another() {
    let office = Office::open();
    let show = |until: i32| {
        let (cert, key) = office.authority.sign(&["127.0.0.1"], until);
        office.write("server.pem", &cert);
        office.write("server.key", &key);
        office.start_server()
    };
    let server = show(2009);
    let daemon = office.start_daemon(&office.line("ca.pem", true), "auto");
    let mut feed = Feed::listen(&office.site);
    feed.say([up("s0", "isp")]);
    wait_until("it is said", seconds(30), || daemon.logged("its certificate has expired at Dec 31 00:00:00 2009") > 0);
    assert_eq!(office.heard("Start"), 0);
    server.stop(Signal::TERM);
    let server = show(2096);
    wait_for_start(&office, &mut feed);
    feed.finish(seconds(30));
    assert_eq!(daemon.logged("its certificate has expired"), 1);
    daemon.terminate();
    server.stop(Signal::TERM);
}

/// Whoever comes before the server is called again is not accounted: others come until one is. The number of the last.
fn wait_for_start(office: &Office, feed: &mut Feed) -> u64 {
    let mut number = 1;
    wait_until("a Start is there", seconds(60), || {
        number += 1;
        feed.say([up(&name(number), "isp")]);
        std::thread::sleep(seconds(1));
        office.heard("Start") > 0
    });
    number
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
    let number = wait_for_start(&office, &mut feed);
    feed.say((2..=number).map(|number| down(&format!("s{number}"), 1)));
    feed.finish(seconds(30));
    wait_until("the Stop is there", seconds(60), || office.heard("Stop") > 0);
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
