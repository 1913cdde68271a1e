//! A server that is Down is found out to be back by a probe, long before its dead-time is over (BEHAVIOUR.md 5.2).

use serde_json::Value;

use crate::common::{Daemon, Feed, FreeRadius, Signal, Site, free_port, seconds, up, wait_for, wait_until};

/// A group of one server that is Down after three packets, for ten hours; a reply to anything but a probe does not end that.
fn configure(site: &Site, port: u16, detect: &str) {
    site.configure_one(
        port,
        " radius-server retransmit 1 timeout 3\n",
        "  accounting interim interval 2 second\n  accounting interim-fail online\n",
    );
    let text = std::fs::read_to_string(site.config()).unwrap();
    let rules = "radius-server dead-count 3 dead-time 600 recover-count invalid dead-interval 0";
    let rules = format!("{rules}\n#\nradius-server state-recovery-detect accounting{detect} detect-interval 2\n#\n");
    std::fs::write(site.config(), text.replacen("radius-server group", &format!("{rules}radius-server group"), 1))
        .unwrap();
}

fn server(daemon: &Daemon) -> Value {
    daemon.display("display radius-server packet ip-address 127.0.0.1 accounting")[0].take()
}

fn number(server: &Value, of: &str) -> u64 {
    server[of].as_u64().unwrap()
}

/// The server is killed, Down, started again, and Up by a probe; then accounting goes on.
fn comes_back(detect: &str, shards: u16) -> (Site, FreeRadius) {
    let site = Site::new();
    let (port, directory) = (free_port(), site.path("radius"));
    configure(&site, port, detect);
    let radius = FreeRadius::start(&directory, port);
    let daemon = Daemon::start_with(&site, "auto", shards);
    let mut feed = Feed::listen(&site);
    feed.say((0..8).map(|number| up(&format!("s{number}"), "isp")));
    daemon.wait_for_sessions(8, "Accounting");
    assert_eq!(number(&server(&daemon), "probes"), 0, "a server that is Up is not asked");
    radius.stop(Signal::KILL);
    wait_until("the server is Down", seconds(60), || server(&daemon)["up"] == false);
    let before =
        wait_for("two probes", seconds(30), || Some(server(&daemon)).filter(|server| number(server, "probes") >= 2));
    assert_eq!((number(&before, "probe_responses"), before["up"].as_bool()), (0, Some(false)));
    let radius = FreeRadius::start(&directory, port);
    let after =
        wait_for("a probe brings it back", seconds(30), || Some(server(&daemon)).filter(|server| server["up"] == true));
    assert!(number(&after, "probe_responses") >= 1, "{after}");
    assert_eq!(daemon.logged("hwRadiusAcctServerUp"), 1, "told once");
    wait_until("accounting goes on", seconds(30), || {
        number(&server(&daemon), "responses") > number(&before, "responses") + 8
    });
    let quiet = number(&server(&daemon), "probes");
    wait_until("more of it", seconds(30), || number(&server(&daemon), "responses") > number(&before, "responses") + 16);
    assert_eq!(number(&server(&daemon), "probes"), quiet, "a server that is Up is not asked");
    feed.finish(seconds(30));
    daemon.terminate();
    (site, radius)
}

#[test]
fn row_5_2_status_server_brings_freeradius_back_before_dead_time() {
    let (site, _radius) = comes_back("", 2);
    let detail = FreeRadius::detail(&site.path("radius"));
    let strangers = detail.records.iter().filter(|record| !record.text("User-Name").ends_with("@isp"));
    assert_eq!(strangers.count(), 0, "a probe is no accounting");
}

#[test]
fn row_5_2_a_test_user_brings_freeradius_back_and_leaves_no_session() {
    let (site, _radius) = comes_back(" username tester", 1);
    let detail = FreeRadius::detail(&site.path("radius"));
    let of = |kind: &str| {
        let records = detail.by_user(kind).remove("tester").unwrap_or_default();
        records.iter().map(|record| record.session().to_owned()).collect::<Vec<_>>()
    };
    let (starts, stops) = (of("Start"), of("Stop"));
    assert_eq!(stops.len(), 1, "{stops:?}");
    assert!(starts.iter().all(|session| session == &stops[0]), "{starts:?}, {stops:?}");
}
