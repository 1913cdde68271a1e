//! Nothing is lost and nothing is counted twice, whoever is killed: the server, or the daemon itself.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::{Daemon, Detail, Feed, FreeRadius, Record, Script, Signal, Site, Totals};
use crate::common::{count, down, free_port, seconds, up, wait_until};

/// What all copies of a session's records must agree in.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    session: String,
    event_time: u64,
    totals: Option<Totals>,
    cause: Option<String>,
}

impl Identity {
    fn of(record: &Record) -> Identity {
        let is_stop = record.text("Acct-Status-Type") == "Stop";
        Identity {
            session: record.session().to_owned(),
            event_time: record.event_time(),
            totals: is_stop.then(|| record.totals()),
            cause: is_stop.then(|| record.text("Acct-Terminate-Cause").to_owned()),
        }
    }
}

/// The records of a kind, one for each user; the server may have written one again after its reply was lost, and then
/// both say the same.
fn one_per_user(detail: &Detail, kind: &str) -> BTreeMap<String, Identity> {
    let one = |(user, records): (&str, Vec<&Record>)| {
        let first = Identity::of(records[0]);
        for again in &records[1..] {
            assert_eq!(Identity::of(again), first, "{user} has two different records of kind {kind}");
        }
        (user.to_owned(), first)
    };
    detail.by_user(kind).into_iter().map(one).collect()
}

/// What a session moves in its life.
fn moved(number: usize) -> Totals {
    let number = number as u64;
    Totals::of(number, number % 3)
}

fn user(number: usize) -> String {
    format!("s{number}@isp")
}

/// Every session is acknowledged or billed; in both places only where the daemon could not know better.
fn check_in_one_place(detail: &Detail, bills: &[Value], sessions: usize) {
    let starts = one_per_user(detail, "Start");
    let stops = one_per_user(detail, "Stop");
    let mut billed = BTreeMap::new();
    for bill in bills {
        assert_eq!(bill["reason"], "stop-unanswered", "{bill}");
        assert!(billed.insert(bill["user"].as_str().unwrap(), bill).is_none(), "two bills: {bill}");
    }
    for number in 0..sessions {
        let user = user(number);
        let totals = moved(number);
        let (stop, bill) = (stops.get(&user), billed.get(user.as_str()));
        assert!(stop.is_some() || bill.is_some(), "{user} is nowhere");
        if let Some(stop) = stop {
            assert_eq!((stop.totals, &stop.session), (Some(totals), &starts[&user].session), "{user}");
        }
        if let Some(bill) = bill {
            assert_eq!(Totals::of_bill(bill), totals, "{bill}");
            assert_eq!(bill["session"], starts[&user].session, "{bill}");
        }
        if let (Some(_), Some(bill)) = (stop, bill) {
            assert_eq!(bill["delivered"], "unknown", "{user} was recorded too: {bill}");
        }
    }
}

/// Sessions that come within two seconds and go one by one while the server dies and comes back.
fn script_through_an_outage(sessions: usize) -> Script {
    let mut script = Script::default();
    for number in 0..sessions {
        let name = format!("s{number}");
        let went = 3.0 + 12.0 * number as f64 / sessions as f64;
        script.at(number as f64 * 0.005, up(&name, "isp"));
        script.at(went, count(&name, moved(number)));
        script.at(went, down(&name, 1));
    }
    script
}

/// The server comes back when the outage `is_felt`.
fn play_through_an_outage(
    site: &Site,
    resend: &str,
    signal: Signal,
    is_felt: impl Fn(&Daemon) -> bool,
) -> (Detail, Vec<Value>) {
    const SESSIONS: usize = 400;
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(
        port,
        &format!(" radius-server retransmit 1 timeout 3\n {resend}\n"),
        "  accounting interim interval 3 second\n",
    );
    let radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(site, "auto");
    let feed = Feed::play(site, &script_through_an_outage(SESSIONS).write(site, "script"));
    wait_until("some sessions have ended", seconds(30), || FreeRadius::detail(&server).count("Stop") > 50);
    radius.stop(signal);
    wait_until("Stops find no server", seconds(30), || is_felt(&daemon));
    let _radius = FreeRadius::start(&server, port);
    feed.finish(seconds(60));
    // Parked Stops are tried again after half a minute.
    wait_until("every session is over", seconds(90), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    let bills = daemon.bills();
    daemon.terminate();
    let detail = FreeRadius::detail(&server);
    check_in_one_place(&detail, &bills, SESSIONS);
    (detail, bills)
}

#[test]
fn survives_a_server_restart() {
    let site = Site::new();
    let off = "undo radius-server accounting-stop-packet resend";
    let (_, bills) = play_through_an_outage(&site, off, Signal::KILL, |daemon| daemon.bills().len() > 20);
    assert!(bills.len() > 20, "the outage made only {} bills", bills.len());
}

#[test]
fn survives_a_server_restart_with_resend() {
    let site = Site::new();
    let on = "radius-server accounting-stop-packet resend 9";
    let (_, bills) = play_through_an_outage(&site, on, Signal::TERM, |daemon| {
        let row = &daemon.display("display radius-server packet ip-address 127.0.0.1 accounting")[0];
        row["timeouts"].as_u64() >= Some(10)
    });
    assert!(bills.is_empty(), "the server came back, and still there are bills: {bills:?}");
}

#[test]
fn a_bill_whose_reply_was_late_says_so() {
    const SESSIONS: usize = 30;
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    let group = " radius-server retransmit 1 timeout 3\n undo radius-server accounting-stop-packet resend\n";
    site.configure_one(port, group, "");
    let radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    come(&mut feed, 0..SESSIONS);
    daemon.wait_for_sessions(SESSIONS, "Accounting");
    // Held, the server takes requests in and answers too late.
    radius.signal(Signal::STOP);
    go(&mut feed, 0..SESSIONS);
    feed.finish(seconds(30));
    wait_until("every session is billed", seconds(30), || daemon.bills().len() == SESSIONS);
    radius.signal(Signal::CONT);
    // What found no place before the server was Down was never sent.
    let bills = daemon.bills();
    let sent = bills.iter().filter(|bill| bill["delivered"] == "unknown").count();
    assert!(sent >= 4, "{sent} of {bills:?}");
    wait_until("what was sent is recorded", seconds(30), || FreeRadius::detail(&server).count("Stop") == sent);
    check_in_one_place(&FreeRadius::detail(&server), &bills, SESSIONS);
    daemon.terminate();
}

/// Sessions of a batch log in. None counts more than it has moved in the end: a Stop never says less than was read before.
fn come(feed: &mut Feed, numbers: std::ops::Range<usize>) {
    feed.say(numbers.clone().map(|number| up(&format!("s{number}"), "isp")));
    feed.say(numbers.map(|number| count(&format!("s{number}"), Totals::of(0, 0))));
}

/// They log out with what they moved.
fn go(feed: &mut Feed, numbers: std::ops::Range<usize>) {
    feed.say(numbers.flat_map(|number| {
        let name = format!("s{number}");
        [count(&name, moved(number)), down(&name, 2)]
    }));
}

#[test]
fn survives_kill_9() {
    const QUIET: usize = 300;
    const ALL: usize = 900;
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(port, "", "  accounting interim interval 4 second\n");
    let _radius = FreeRadius::start(&server, port);
    let recorded = |kind: &str| FreeRadius::detail(&server).by_user(kind).len();

    // In a quiet moment: everything that was answered is durable.
    let daemon = Daemon::start(&site, "io-uring");
    let mut feed = Feed::listen(&site);
    come(&mut feed, 0..QUIET);
    daemon.wait_for_sessions(QUIET, "Accounting");
    daemon.wait_until_quiet();
    daemon.kill9();
    let starts = one_per_user(&FreeRadius::detail(&server), "Start");

    // Among log-ins.
    let daemon = Daemon::start(&site, "io-uring");
    come(&mut feed, QUIET..ALL);
    wait_until("some of the second batch have come", seconds(30), || recorded("Start") > QUIET + 20);
    daemon.kill9();
    let daemon = Daemon::start(&site, "epoll");
    daemon.wait_for_sessions(ALL, "Accounting");
    wait_until("interims go on after the restart", seconds(30), || recorded("Interim-Update") == ALL);

    // An orderly end, too, ends no session.
    daemon.terminate();
    let daemon = Daemon::start(&site, "auto");
    assert_eq!(daemon.display("display access-user").as_array().map(Vec::len), Some(ALL));

    // Among log-outs.
    go(&mut feed, 0..ALL / 2);
    wait_until("some have gone", seconds(30), || recorded("Stop") > 20);
    daemon.kill9();
    let daemon = Daemon::start(&site, "auto");
    go(&mut feed, ALL / 2..ALL);
    feed.finish(seconds(60));
    wait_until("every session is over", seconds(60), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    let bills = daemon.bills();
    daemon.terminate();

    let detail = FreeRadius::detail(&server);
    assert!(bills.is_empty(), "the server was there all the time: {bills:?}");
    assert_eq!(one_per_user(&detail, "Start").len(), ALL);
    check_in_one_place(&detail, &bills, ALL);
    let all = detail.by_user("Start");
    for number in 0..QUIET {
        let user = user(number);
        let [start] = all[user.as_str()][..] else { panic!("{user} has a second Start: {:?}", all[user.as_str()]) };
        assert_eq!(Identity::of(start), starts[&user]);
    }
    check_interims(&detail);
}

/// Interims keep their phase and their session's id through every restart.
fn check_interims(detail: &Detail) {
    let starts = one_per_user(detail, "Start");
    for (user, records) in detail.by_user("Interim-Update") {
        for record in records {
            assert_eq!(record.session(), starts[user].session, "{user}");
            let since_tick = record.number("Acct-Session-Time") % 4;
            assert!(since_tick <= 1, "{user}: an interim out of its phase: {record:?}");
        }
    }
}
