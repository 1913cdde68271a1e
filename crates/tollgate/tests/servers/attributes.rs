//! What `display radius-attribute` says is what a server gets.

use std::collections::BTreeMap;

use serde_json::json;

use crate::common::{Daemon, Detail, Feed, FreeRadius, Site, Totals};
use crate::common::{count, down, free_port, seconds, up, wait_until};

/// What the server calls the vendor's attributes.
const VENDOR: [(&str, &str); 6] = [
    ("Huawei-Connect-ID", "26-26"),
    ("Huawei-Startup-Stamp", "26-59"),
    ("Huawei-IPHost-Addr", "26-60"),
    ("Huawei-Domain-Name", "26-138"),
    ("Huawei-User-Mac", "26-153"),
    ("Huawei-Product-ID", "26-255"),
];

/// What the server adds to each of its records.
const ADDED: [&str; 4] = ["Packet-Type", "Timestamp", "Acct-Unique-Session-Id", "Tmp-String-9"];

/// The vendor's attributes by their number.
fn known_as(name: &str) -> &str {
    VENDOR.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, number)| number)
}

/// Every attribute of the records of this kind is displayed as sent, and what is displayed as always sent is in each.
fn check(daemon: &Daemon, detail: &Detail, kind: &str, packet: &str) {
    let rows = daemon.display(&format!("display radius-attribute server-group isp packet {packet}"));
    let rows: BTreeMap<&str, (&str, &str)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| ["type", "name", "sent"].map(|part| row[part].as_str().unwrap()))
        .map(|[number, name, sent]| (if number.starts_with("26-") { number } else { name }, (name, sent)))
        .collect();
    let mut records = 0;
    for record in detail.of(kind) {
        let names = record.names().filter(|name| !ADDED.contains(name));
        let names: Vec<&str> = names.map(known_as).collect();
        for name in &names {
            assert!(rows.get(name).is_some_and(|(_, sent)| *sent != "No"), "{kind}: {name} of {record:?} in {rows:#?}");
        }
        for (key, (name, _)) in rows.iter().filter(|(_, (_, sent))| *sent == "Yes") {
            assert!(names.contains(key), "{kind}: {name} is missing in {record:?}");
        }
        records += 1;
    }
    assert!(records > 0, "no {kind}");
}

#[test]
fn a_server_gets_the_attributes_that_are_displayed() {
    let (site, port) = (Site::new(), free_port());
    let server = site.path("radius");
    let group = " radius-server accounting-on enable\n radius-attribute disable nas-port send\n \
                 radius-attribute disable hw-connect-id send\n";
    site.configure_one(port, group, "  accounting interim interval 1 second\n");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    let mut much = up("much", "isp");
    for (name, value) in [
        ("framed_ip", json!("100.64.0.1")),
        ("framed_ipv6_prefix", json!("2001:db8:1::/64")),
        ("delegated_prefix", json!("2001:db8:8000::/56")),
        ("mac", json!("02:00:00:00:00:01")),
        ("nas_port", json!(16_781_313)),
        ("nas_port_id", json!("slot=0;subslot=1;port=0;vlanid=1")),
        ("class", json!(["0a0b"])),
        ("session_timeout", json!(86_400)),
        ("multi_session_id", json!("m1")),
    ] {
        much[name] = value;
    }
    let mut little = up("little", "isp");
    little["access"] = "static".into();
    feed.say([much, little]);
    daemon.wait_for_sessions(2, "Accounting");
    feed.say([count("much", Totals::of(1, 3))]);
    wait_until("interims", seconds(30), || FreeRadius::count(&server, "Interim-Update") >= 2);
    feed.say([down("much", 1), down("little", 1)]);
    feed.finish(seconds(30));
    wait_until("the Stops", seconds(30), || daemon.states().is_empty());
    daemon.cli(&["shutdown accounting", "y"]).well();
    let detail = FreeRadius::detail(&server);
    for (kind, packet) in [
        ("Accounting-On", "accounting-on"),
        ("Start", "accounting-start"),
        ("Interim-Update", "accounting-interim"),
        ("Stop", "accounting-stop"),
        ("Accounting-Off", "accounting-off"),
    ] {
        check(&daemon, &detail, kind, packet);
    }
    let said = daemon.cli(&["display radius-attribute server-group nobody packet accounting-on"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), "Error: The RADIUS server group does not exist.\n"));
    let said = daemon.cli(&["display radius-server packet ip-address 127.0.0.1 authentication"]);
    assert!(said.code == Some(1) && said.out.starts_with("Error: Authentication is a matter"), "{}", said.out);
    daemon.terminate();
}
