//! Network interfaces as sessions, and as what counts the octets of sessions: with real packets, in name spaces of the test. What
//! FreeRADIUS has recorded is what the kernel says that an interface had counted at its end.

use std::path::Path;

use serde_json::json;

use crate::common::{
    Daemon, Detail, FreeRadius, Record, SECRET, Site, SubscriberLine, ToldSocket, Totals, free_port, seconds, shell,
    wait_until,
};

fn configure(site: &Site, port: u16, sources: &str) {
    site.configure(&format!(
        "{sources}#\nradius-server group isp\n radius-server shared-key {SECRET}\n \
         radius-server accounting 127.0.0.1 {port}\n#\n\
         aaa\n accounting-scheme isp\n domain isp\n  accounting-scheme isp\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n"
    ));
}

fn only<'a>(detail: &'a Detail, kind: &str, user: &str) -> &'a Record {
    let of_user: Vec<&Record> = detail.of(kind).filter(|record| record.text("User-Name") == user).collect();
    let is_one = of_user.windows(2).all(|pair| pair[0].session() == pair[1].session());
    assert!(is_one && !of_user.is_empty(), "{kind} of {user}: {of_user:?}");
    of_user[0]
}

fn wait_for_record(server: &Path, kind: &str, user: &str) -> Detail {
    wait_until(&format!("{kind} of {user}"), seconds(30), || {
        FreeRadius::detail(server).of(kind).any(|record| record.text("User-Name") == user)
    });
    FreeRadius::detail(server)
}

#[test]
fn interfaces_are_sessions_and_end_with_what_the_kernel_counted() {
    let site = Site::new();
    let line = SubscriberLine::enter(&site);
    let (port, server, details) = (free_port(), site.path("radius"), site.path("details"));
    std::fs::create_dir(&details).unwrap();
    std::fs::write(
        details.join("sub2.json"),
        json!({"user": "bob@isp", "class": ["0a0b"], "nas_port_id": "port 2"}).to_string(),
    )
    .unwrap();
    let source = format!("session-source interfaces sub* details {} domain isp", details.display());
    configure(&site, port, &format!("{source} counter-source interfaces interval 1\n"));
    let _radius = FreeRadius::start(&server, port);
    // One that was there before anybody looked: what it had counted is not the session's.
    let early = line.add(9);
    shell("ip link set sub9 up");
    line.address(9);
    line.flood(9);
    line.wait_for_traffic(&early, Totals::default());
    let before = line.counted(&early);
    let daemon = Daemon::start(&site, "auto");
    wait_for_record(&server, "Start", "sub9");
    // An address before the interface is set up, and one behind that.
    line.add(1);
    line.address(1);
    shell("ip link set sub1 up");
    line.add(2);
    shell("ip link set sub2 up");
    wait_for_record(&server, "Start", "bob@isp");
    line.address(2);
    let detail = wait_for_record(&server, "Interim-Update", "bob@isp");
    assert_eq!(only(&detail, "Interim-Update", "bob@isp").text("Framed-IP-Address"), "10.9.2.2");
    let detail = wait_for_record(&server, "Start", "sub1");
    let start = only(&detail, "Start", "sub1");
    assert_eq!((start.text("NAS-Port-Id"), start.text("Framed-IP-Address")), ("sub1", "10.9.1.2"));
    let start = only(&detail, "Start", "bob@isp");
    assert_eq!((start.text("Class"), start.text("NAS-Port-Id")), ("0x0a0b", "port 2"));
    for number in [1, 2] {
        line.flood(number);
        line.wait_for_traffic(&format!("sub{number}"), Totals::default());
    }
    wait_until("a sweep", seconds(10), || daemon.display("display session-source")["sources"][0]["sweeps"] != 0);
    // The operator has bob logged out: his interface is set down, and says to its end what it has counted.
    daemon.cli(&["cut access-user username bob@isp", "Y"]);
    let detail = wait_for_record(&server, "Stop", "bob@isp");
    let stop = only(&detail, "Stop", "bob@isp");
    assert_eq!((stop.totals(), stop.text("Acct-Terminate-Cause")), (line.counted("sub2"), "Admin-Reset"));
    // The daemon is killed. One interface goes on, one goes, and one comes.
    line.add(3);
    shell("ip link set sub3 up");
    wait_for_record(&server, "Start", "sub3");
    daemon.kill9();
    shell("ip link del sub3");
    line.add(4);
    shell("ip link set sub4 up");
    line.address(4);
    line.flood(4);
    line.wait_for_traffic("sub4", Totals::default());
    line.wait_for_traffic("sub1", line.counted("sub1"));
    let daemon = Daemon::start(&site, "auto");
    wait_for_record(&server, "Stop", "sub3");
    wait_for_record(&server, "Start", "sub4");
    daemon.wait_for_sessions(3, "Accounting");
    for interface in ["sub1", "sub4"] {
        let last = line.delete(interface);
        let detail = wait_for_record(&server, "Stop", interface);
        let stop = only(&detail, "Stop", interface);
        assert_eq!(stop.totals(), last, "{interface}");
        assert_eq!(stop.session(), only(&detail, "Start", interface).session());
        assert_eq!(stop.text("Acct-Terminate-Cause"), "Lost-Carrier");
        assert!(last.in_packets > 20 && last.out_packets > 20, "{last:?}");
    }
    let last = line.delete(&early);
    let detail = wait_for_record(&server, "Stop", &early);
    let stop = only(&detail, "Stop", &early).totals();
    // Packets came between the look before and the start of the daemon.
    assert!(stop.in_octets <= last.in_octets - before.in_octets && stop.in_octets > 0, "{stop:?} {before:?} {last:?}");
    assert_eq!(detail.sessions("Start"), 5);
    daemon.terminate();
}

#[test]
fn an_interface_that_comes_up_again_is_another_session() {
    let site = Site::new();
    let line = SubscriberLine::enter(&site);
    let (port, server) = (free_port(), site.path("radius"));
    configure(&site, port, "session-source interfaces sub? domain isp\n");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    line.add(1);
    line.address(1);
    shell("ip link set sub1 up");
    line.flood(1);
    line.wait_for_traffic("sub1", Totals::default());
    shell("ip link set sub1 down");
    wait_for_record(&server, "Stop", "sub1");
    let first = line.counted("sub1");
    shell("ip link set sub1 up && ip addr replace 10.9.1.1 peer 10.9.1.2/32 dev sub1");
    line.wait_for_traffic("sub1", first);
    let last = line.delete("sub1");
    wait_until("both Stops", seconds(30), || FreeRadius::detail(&server).count("Stop") == 2);
    let detail = FreeRadius::detail(&server);
    let stops: Vec<&Record> = detail.of("Stop").collect();
    let of = |octets: fn(&Totals) -> u64| [octets(&stops[0].totals()), octets(&stops[1].totals())];
    assert_eq!(of(|totals| totals.in_octets), [first.in_octets, last.in_octets - first.in_octets]);
    assert_eq!(of(|totals| totals.out_octets), [first.out_octets, last.out_octets - first.out_octets]);
    assert_ne!(stops[0].session(), stops[1].session());
    daemon.terminate();
}

#[test]
fn an_interface_is_a_session_from_when_its_name_matches() {
    let site = Site::new();
    let line = SubscriberLine::enter(&site);
    let (port, server) = (free_port(), site.path("radius"));
    configure(&site, port, "session-source interfaces wan* domain isp\n");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    line.add(1);
    shell("ip link set sub1 up");
    line.address(1);
    line.exchange(1, 300, 400);
    let before = line.counted("sub1");
    shell("ip link set sub1 name wan1");
    wait_for_record(&server, "Start", "wan1");
    line.exchange(1, 20, 10);
    let last = line.delete("wan1");
    let detail = wait_for_record(&server, "Stop", "wan1");
    let Totals { in_octets, out_octets, .. } = only(&detail, "Stop", "wan1").totals();
    // A packet may have come between the look and the new name.
    let (most_in, most_out) = (last.in_octets - before.in_octets, last.out_octets - before.out_octets);
    assert!((20 * 442..=most_in).contains(&in_octets) && most_in < 30 * 442, "{in_octets} of {most_in}");
    assert!((10 * 442..=most_out).contains(&out_octets) && most_out < 20 * 442, "{out_octets} of {most_out}");
    daemon.terminate();
}

#[test]
fn the_interface_of_a_session_counts_for_it() {
    let site = Site::new();
    let line = SubscriberLine::enter(&site);
    let (port, server, path) = (free_port(), site.path("radius"), site.path("sessions.sock"));
    configure(
        &site,
        port,
        &format!("counter-source interfaces interval 1\nsession-source socket {}\n", path.display()),
    );
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    for number in [1, 2] {
        line.add(number);
        line.address(number);
    }
    shell("ip link set sub1 up");
    line.flood(1);
    line.wait_for_traffic("sub1", Totals::default());
    shell("ip link set sub1 down");
    let before = line.counted("sub1");
    let mut socket = ToldSocket::open(&path);
    for number in [1, 2] {
        let up = json!({"op": "up", "session": format!("s{number}"), "user": format!("s{number}@isp"),
            "nas_port_id": format!("sub{number}")});
        socket.taken(&up);
    }
    for number in [1, 2] {
        shell(&format!("ip link set sub{number} up"));
        line.flood(number);
        line.wait_for_traffic(&format!("sub{number}"), before);
    }
    daemon.kill9();
    line.wait_for_traffic("sub2", line.counted("sub2"));
    let daemon = Daemon::start(&site, "auto");
    let mut socket = ToldSocket::open(&path);
    // The hook comes when the interface has gone, and when it is still there.
    let last = line.delete("sub2");
    socket.taken(&json!({"op": "down", "session": "s2", "cause": 1}));
    shell("ip link set sub1 down");
    socket.taken(&json!({"op": "down", "session": "s1", "cause": 1}));
    let after = line.counted("sub1");
    wait_for_record(&server, "Stop", "s1@isp");
    let detail = wait_for_record(&server, "Stop", "s2@isp");
    assert_eq!(only(&detail, "Stop", "s2@isp").totals(), last);
    let moved = only(&detail, "Stop", "s1@isp").totals();
    assert_eq!(moved.in_octets, after.in_octets - before.in_octets);
    assert_eq!(moved.out_octets, after.out_octets - before.out_octets);
    assert_eq!(detail.sessions("Start"), 2);
    daemon.terminate();
}

#[test]
fn a_program_of_the_kernel_counts_for_a_session_by_its_address() {
    let site = Site::new();
    let line = SubscriberLine::enter(&site);
    let program = line.count_by_program(&site, "wire0");
    let (port, server, path) = (free_port(), site.path("radius"), site.path("sessions.sock"));
    let map = program.map("subscribers_v4");
    configure(
        &site,
        port,
        &format!(
            "counter-map ipv4 {}\n#\nsession-source socket {} counter-source ebpf interval 1\n",
            map.display(),
            path.display()
        ),
    );
    let _radius = FreeRadius::start(&server, port);
    line.add(1);
    shell("ip link set sub1 up");
    line.address(1);
    // What the address had moved before is not the session's.
    line.exchange(1, 7, 3);
    let daemon = Daemon::start(&site, "auto");
    let mut socket = ToldSocket::open(&path);
    socket.taken(&json!({"op": "up", "session": "s1", "user": "s1@isp", "framed_ip": "10.9.1.2"}));
    line.exchange(1, 100, 50);
    daemon.kill9();
    line.exchange(1, 10, 5);
    let daemon = Daemon::start(&site, "auto");
    wait_until("a sweep finds it", seconds(10), || {
        let shown = daemon.display("display session-source");
        shown["sources"][0]["sweeps"] != 0 && shown["sources"][0]["uncounted"] == 0
    });
    line.exchange(1, 1, 1);
    let mut socket = ToldSocket::open(&path);
    socket.taken(&json!({"op": "down", "session": "s1", "cause": 1}));
    let detail = wait_for_record(&server, "Stop", "s1@isp");
    let expected = Totals { in_octets: 111 * 442, in_packets: 111, out_octets: 56 * 442, out_packets: 56 };
    assert_eq!(only(&detail, "Stop", "s1@isp").totals(), expected);
    assert_eq!(detail.sessions("Start"), 1);
    // The map is of another shape than is said: that is refused.
    let line_of = format!("counter-map ipv4 {} value in-octets 30 out-octets 0", map.display());
    let said = daemon.cli(&["system-view", &line_of, "commit"]);
    assert!(said.code == Some(1) && said.out.contains("its values have 32 octets"), "{}", said.out);
    daemon.terminate();
}

#[test]
fn a_session_that_a_program_counts_ends_with_everything_while_packets_flow() {
    let site = Site::new();
    let line = SubscriberLine::enter(&site);
    let (port, server) = (free_port(), site.path("radius"));
    line.add(1);
    let program = line.count_by_program(&site, "sub1");
    let map = program.map("subscribers_v4");
    let source = "session-source interfaces sub* domain isp counter-source ebpf interval 1";
    configure(&site, port, &format!("counter-map ipv4 {}\n#\n{source}\n", map.display()));
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    shell("ip link set sub1 up");
    wait_for_record(&server, "Start", "sub1");
    line.address(1);
    wait_for_record(&server, "Interim-Update", "sub1");
    line.flood(1);
    line.wait_for_traffic("sub1", Totals::default());
    let last = line.delete("sub1");
    let detail = wait_for_record(&server, "Stop", "sub1");
    let stop = only(&detail, "Stop", "sub1").totals();
    assert_eq!(stop, program.counted("subscribers_v4"));
    // The interface has counted who asked for an address as well, and not what it could not send any more.
    let (asked, thrown_away) = (last.in_octets - stop.in_octets, stop.out_octets.abs_diff(last.out_octets));
    assert!(stop.in_packets > 20 && stop.out_packets > 20 && asked < 500 && thrown_away < 10_000, "{stop:?} {last:?}");
    daemon.terminate();
}

#[test]
fn octets_are_counted_elsewhere_from_a_commit_on() {
    let site = Site::new();
    let line = SubscriberLine::enter(&site);
    let (port, server, path) = (free_port(), site.path("radius"), site.path("sessions.sock"));
    let source = format!("session-source socket {}", path.display());
    configure(&site, port, &format!("{source}\n"));
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    line.add(1);
    shell("ip link set sub1 up");
    line.address(1);
    let mut socket = ToldSocket::open(&path);
    socket.taken(&json!({"op": "up", "session": "s1", "user": "s1@isp", "nas_port_id": "sub1"}));
    socket.taken(&json!({"op": "count", "session": "s1", "in_octets": 1_000, "out_octets": 2_000}));
    // This is told by nobody.
    line.exchange(1, 30, 40);
    daemon.cli(&["system-view", &format!("{source} counter-source interfaces interval 1"), "commit"]).well();
    // The commit has been heard when the next line is answered.
    socket.taken(&json!({"op": "update", "session": "s1", "calling": "c"}));
    line.exchange(1, 100, 50);
    socket.taken(&json!({"op": "down", "session": "s1", "cause": 1}));
    let detail = wait_for_record(&server, "Stop", "s1@isp");
    let Totals { in_octets, out_octets, .. } = only(&detail, "Stop", "s1@isp").totals();
    // A neighbour may have been asked for meanwhile.
    let is_near = |octets: u64, expected: u64| (expected..expected + 500).contains(&octets);
    assert!(is_near(in_octets, 1_000 + 100 * 442), "{in_octets}");
    assert!(is_near(out_octets, 2_000 + 50 * 442), "{out_octets}");
    daemon.terminate();
}

#[test]
fn a_cut_that_the_daemon_may_not_carry_out_is_told() {
    let site = Site::new();
    let line = SubscriberLine::enter(&site);
    let (port, server) = (free_port(), site.path("radius"));
    configure(&site, port, "session-source interfaces sub* domain isp\n");
    let _radius = FreeRadius::start(&server, port);
    line.add(1);
    shell("ip link set sub1 up");
    let mut command = std::process::Command::new("setpriv");
    command.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin", env!("CARGO_BIN_EXE_tollgate")]);
    let daemon = Daemon::start_by(&mut command, &site, "auto", &[]);
    wait_for_record(&server, "Start", "sub1");
    daemon.cli(&["cut access-user username sub1", "Y"]);
    wait_until("the problem is told", seconds(10), || {
        let shown = daemon.display("display session-source");
        shown["sources"][0]["last_error"].as_str().is_some_and(|error| error.contains("cannot be set down"))
    });
    daemon.terminate();
}
