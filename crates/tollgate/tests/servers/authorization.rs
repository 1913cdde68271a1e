//! Dynamic authorization: FreeRADIUS' `radclient` has users logged out and changed.

use std::net::UdpSocket;
use std::process::Command;

use crate::common::{
    Daemon, Feed, FreeRadius, SECRET, Site, Totals, count, free_port, run_command, seconds, up, wait_until,
};

/// A site whose authorization server is on the loopback, with this interim interval in seconds.
fn trusting(site: &Site, acct: u16, port: u16, interval_s: u32) {
    let link = site.link();
    let text = format!(
        "sysname BNG1\n#\nplane-link path {}\n#\n\
         radius-server authorization 127.0.0.1 destination-port {port} server-group isp\n#\n\
         radius-server group isp\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {acct}\n#\n\
         aaa\n accounting-scheme isp\n  accounting interim interval {interval_s} second\n \
         domain isp\n  accounting-scheme isp\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n#\nreturn\n",
        link.display()
    );
    std::fs::write(site.config(), text).unwrap();
}

/// What `radclient` says of a request of this kind, `disconnect` or `coa`, after one try, and what it is answered.
fn asks(site: &Site, port: u16, kind: &str, secret: &str, attributes: &[&str]) -> String {
    let request = site.path("request");
    std::fs::write(&request, attributes.join("\n") + "\n").unwrap();
    let mut command = Command::new("/usr/bin/radclient");
    command.args(["-x", "-r", "1", "-t", "3", "-f"]).arg(&request).arg(format!("127.0.0.1:{port}"));
    let said = run_command(command.args([kind, secret]));
    said.out + &said.err
}

fn counters(daemon: &Daemon, kind: &str) -> serde_json::Value {
    daemon.display(&format!("display radius-server packet ip-address 127.0.0.1 {kind}"))
}

#[test]
fn dm_cuts_a_session_and_its_stop_follows() {
    let site = Site::new();
    let (acct, port, server) = (free_port(), free_port(), site.path("radius"));
    trusting(&site, acct, port, 3600);
    let _radius = FreeRadius::start(&server, acct);
    let daemon = Daemon::start_with(&site, "auto", 2);
    let mut feed = Feed::listen(&site);
    feed.say([up("a", "isp"), up("b", "isp"), up("c", "isp"), count("a", Totals::of(3, 1))]);
    daemon.wait_for_sessions(3, "Accounting");
    let rows = daemon.display("display access-user");
    let row = |user: &str| rows.as_array().unwrap().iter().find(|row| row["user"] == user).unwrap();
    let id = format!("Acct-Session-Id = \"{}\"", row("a@isp")["session"].as_str().unwrap());
    let said =
        asks(&site, port, "disconnect", SECRET, &[&id, "NAS-Identifier = \"BNG1\"", "Event-Timestamp = 1000000000"]);
    assert!(said.contains("No reply from server"), "stale: {said}");
    let said = asks(&site, port, "disconnect", SECRET, &[&id, "NAS-IP-Address = 127.0.0.1", "Proxy-State = 0x0102"]);
    assert!(said.contains("Received Disconnect-ACK") && said.contains("Proxy-State = 0x0102"), "{said}");
    let is_cut = |who: &str, sentence: &str, why: &str| (who, sentence, why) == ("a", "cut", "disconnected");
    wait_until("a is cut", seconds(10), || feed.verdicts().iter().any(|(who, what, why)| is_cut(who, what, why)));
    wait_until("its Stop", seconds(20), || FreeRadius::detail(&server).count("Stop") == 1);
    let detail = FreeRadius::detail(&server);
    let stop = detail.of("Stop").next().unwrap();
    assert_eq!((stop.text("User-Name"), stop.text("Acct-Terminate-Cause")), ("a@isp", "Admin-Reset"), "{stop:?}");
    assert_eq!(stop.totals(), Totals::of(3, 1));
    daemon.wait_for_sessions(2, "Accounting");

    // Whom nobody knows, what nobody understands, and who is another.
    let said = asks(&site, port, "disconnect", SECRET, &["User-Name = \"nobody@isp\""]);
    assert!(said.contains("Received Disconnect-NAK") && said.contains("Session-Context-Not-Found"), "503: {said}");
    let said = asks(&site, port, "disconnect", SECRET, &["User-Name = \"b@isp\"", "NAS-Identifier = \"BNG2\""]);
    assert!(said.contains("NAS-Identification-Mismatch"), "403: {said}");
    let said = asks(&site, port, "disconnect", SECRET, &["User-Name = \"b@isp\"", "Filter-Id = \"x\""]);
    assert!(said.contains("Unsupported-Attribute"), "401: {said}");
    let said = asks(&site, port, "disconnect", SECRET, &["NAS-Identifier = \"BNG1\""]);
    assert!(said.contains("Missing-Attribute"), "402: {said}");
    let said = asks(&site, port, "disconnect", "wrong", &["User-Name = \"b@isp\""]);
    assert!(said.contains("No reply from server"), "{said}");
    daemon.wait_for_sessions(2, "Accounting");
    let counts = counters(&daemon, "dm");
    for (name, expected) in [("requests", 7), ("acks", 1), ("naks", 4), ("bad_authenticators", 1), ("stale", 1)] {
        assert_eq!(counts[name], expected, "{name}: {counts}");
    }
    assert_eq!(daemon.display("display accounting policy")["cut"], 1);
    let said = daemon.cli(&["system-view", "undo radius-server authorization 127.0.0.1", "commit"]).well();
    assert!(!said.contains("Error"), "{said}");
    let said = asks(&site, port, "disconnect", SECRET, &["User-Name = \"b@isp\""]);
    assert!(said.contains("No reply from server"), "nobody listens any more: {said}");
    feed.finish(seconds(30));
    daemon.terminate();
}

#[test]
fn coa_changes_the_interval_and_an_interim_follows() {
    let site = Site::new();
    let (acct, port, server) = (free_port(), free_port(), site.path("radius"));
    trusting(&site, acct, port, 3600);
    let _radius = FreeRadius::start(&server, acct);
    let daemon = Daemon::start_with(&site, "auto", 2);
    let mut feed = Feed::listen(&site);
    feed.say([up("a", "isp"), up("b", "isp")]);
    daemon.wait_for_sessions(2, "Accounting");
    let said = asks(
        &site,
        port,
        "coa",
        SECRET,
        &["User-Name = \"a@isp\"", "Acct-Interim-Interval = 60", "Class = 0x676f6c64", "Message-Authenticator = 0x00"],
    );
    assert!(said.contains("Received CoA-ACK"), "{said}");
    wait_until("the interim", seconds(20), || FreeRadius::detail(&server).count("Interim-Update") == 1);
    let detail = FreeRadius::detail(&server);
    let interim = detail.of("Interim-Update").next().unwrap();
    assert_eq!((interim.text("User-Name"), interim.text("Class")), ("a@isp", "0x676f6c64"), "{interim:?}");
    let rows = daemon.display("display access-user");
    let interval = |user: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["user"] == user).unwrap();
        let id = row["session"].as_str().unwrap();
        daemon.display(&format!("display access-user session-id {id}"))["interim_s"].as_u64()
    };
    assert_eq!((interval("a@isp"), interval("b@isp")), (Some(60), Some(3600)));
    for (attributes, expected) in [
        (&["User-Name = \"b@isp\"", "Acct-Interim-Interval = 59"][..], "Invalid-Attribute-Value"),
        (&["User-Name = \"b@isp\"", "Session-Timeout = 60", "Filter-Id = \"x\""], "Unsupported-Attribute"),
        (&["User-Name = \"x@isp\"", "Session-Timeout = 60"], "Session-Context-Not-Found"),
    ] {
        let said = asks(&site, port, "coa", SECRET, attributes);
        assert!(said.contains("Received CoA-NAK") && said.contains(expected), "{said}");
    }
    let counts = counters(&daemon, "coa");
    assert_eq!(
        (counts["requests"].as_u64(), counts["acks"].as_u64(), counts["naks"].as_u64()),
        (Some(4), Some(1), Some(3))
    );
    feed.finish(seconds(30));
    daemon.terminate();
}

/// A port that somebody else has is told at the commit, and changes nothing.
#[test]
fn a_port_that_is_taken_is_refused() {
    let site = Site::new();
    let (acct, port) = (free_port(), free_port());
    site.configure_one(acct, "", "");
    let daemon = Daemon::start(&site, "auto");
    let taken = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    let line = format!("radius-server authorization 127.0.0.1 destination-port {port} shared-key k");
    let said = daemon.cli(&["system-view", &line, "commit"]);
    assert!(said.code == Some(1) && said.out.contains("cannot be listened to"), "{}{}", said.out, said.err);
    assert!(!daemon.cli(&["display current-configuration"]).well().contains("authorization"));
    drop(taken);
    // Any address of the port, then one of them, then any again: each is open, and what is not needed is closed.
    let one = line.replace(" destination-port", " destination-ip 127.0.0.1 destination-port");
    for (line, has_all) in [(&line, true), (&one, false), (&line, true)] {
        daemon.cli(&["system-view", line, "commit"]).well();
        assert!(UdpSocket::bind(("127.0.0.1", port)).is_err(), "{line}");
        assert_eq!(UdpSocket::bind(("127.0.0.2", port)).is_err(), has_all, "{line}");
    }
    daemon.terminate();
}
