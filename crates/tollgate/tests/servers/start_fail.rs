//! What becomes of a log-in when its Start finds no server: each policy of a scheme.

use crate::common::{Daemon, Feed, FreeRadius, SECRET, Site, Totals, count, down, free_port, seconds, up, wait_until};

#[test]
fn start_fail_policies() {
    let site = Site::new();
    let (dead, late) = (free_port(), free_port());
    let group = |name: &str, port: u16| {
        format!(
            "radius-server group {name}\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {port}\n \
             radius-server retransmit 1 timeout 3\n undo radius-server accounting-stop-packet resend\n#\n"
        )
    };
    let scheme = |name: &str, policy: &str| {
        format!(" accounting-scheme {name}\n  accounting start-fail {policy}\n  accounting interim interval 3 second\n")
    };
    let domain = |name: &str, group: &str| {
        format!(" domain {name}\n  accounting-scheme {name}\n  radius-server group {group}\n")
    };
    let blocks = [
        group("dead", dead),
        group("late", late),
        "aaa\n".to_owned(),
        scheme("offline", "offline"),
        scheme("online", "online"),
        scheme("keep", "online keep-accounting"),
        domain("offline", "dead"),
        domain("online", "dead"),
        domain("keep", "late"),
        "#\nlocal-aaa-server\n local-bill-pool enable\n".to_owned(),
    ];
    site.configure(&blocks.concat());
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    feed.say([up("a", "offline"), up("b", "online"), up("c", "keep")]);
    let verdict = |verdict: &str, reason: &str| (verdict.to_owned(), reason.to_owned());
    // Online: the plane need not wait for a server.
    assert_eq!(feed.verdict_on("b", seconds(2)).0, "admit");
    assert_eq!(feed.verdict_on("c", seconds(2)).0, "admit");
    assert!(feed.verdicts().iter().all(|(session, ..)| session != "a"), "a verdict before the Start's outcome");
    // Offline: refused, and no bill.
    assert_eq!(feed.verdict_on("a", seconds(20)), verdict("refuse", "start-failed"));
    wait_until("b goes without accounting, c with it", seconds(20), || {
        let mut states = daemon.states();
        states.sort_unstable();
        states == ["Accounting", "Start-failed"]
    });
    assert!(daemon.bills().is_empty(), "a bill while everybody is online");

    // Keep-accounting: the server comes back, hears interims and a Stop.
    let server = site.path("radius");
    let _radius = FreeRadius::start(&server, late);
    feed.say([count("b", Totals::of(3, 0)), count("c", Totals::of(4, 2))]);
    wait_until("an interim of c with its counters", seconds(30), || {
        FreeRadius::detail(&server).of("Interim-Update").any(|record| record.totals() == Totals::of(4, 2))
    });
    feed.say([count("b", Totals::of(5, 1)), down("b", 1), count("c", Totals::of(6, 3)), down("c", 4)]);
    feed.finish(seconds(30));
    wait_until("everybody is offline", seconds(30), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    let bills = daemon.bills();
    daemon.terminate();

    let detail = FreeRadius::detail(&server);
    let [stop] = detail.of("Stop").collect::<Vec<_>>()[..] else { panic!("one Stop was due") };
    assert_eq!((stop.text("User-Name"), stop.totals()), ("c@keep", Totals::of(6, 3)));
    assert_eq!(stop.text("Acct-Terminate-Cause"), "Idle-Timeout");
    let session = stop.session();
    assert!(detail.records.iter().all(|record| record.session() == session), "c has two session ids");
    assert_eq!(detail.count("Start"), 0, "the Start had failed");

    // Online: accounted for by one bill at the log-out.
    let [bill] = &bills[..] else { panic!("one bill was due: {bills:?}") };
    assert_eq!((bill["user"].as_str(), bill["reason"].as_str()), (Some("b@online"), Some("start-failed")));
    assert_eq!((Totals::of_bill(bill), bill["cause"].as_u64()), (Totals::of(5, 1), Some(1)));
}
