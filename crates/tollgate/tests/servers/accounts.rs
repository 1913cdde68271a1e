//! The main job: every session is in the server's own files with one Start, its interims when they are due, and one
//! Stop with the very octets that it moved.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{Daemon, Detail, Feed, FreeRadius, Record, SECRET, Script, Site, Totals};
use crate::common::{count, down, free_port, seconds, up, wait_until};

const SESSIONS: u64 = 2_000;
/// The interim interval of both schemes, seconds.
const INTERVAL: f64 = 4.0;
/// What is allowed between a time that is due and a whole second that a record names.
const TOLERANCE: f64 = 1.5;
/// Acct-Terminate-Cause, as the script and as FreeRADIUS name it.
const CAUSES: [(u8, &str); 5] =
    [(1, "User-Request"), (2, "Lost-Carrier"), (4, "Idle-Timeout"), (5, "Session-Timeout"), (6, "Admin-Reset")];

/// What one session of the script does.
struct Expected {
    class: String,
    cause: &'static str,
    /// At log-in, from the middle on, at the end.
    totals: [Totals; 3],
    lifetime: f64,
}

#[test]
fn accounts_2000_sessions_over_io_uring() {
    accounts_2000_sessions("io-uring");
}

#[test]
fn accounts_2000_sessions_over_epoll() {
    accounts_2000_sessions("epoll");
}

fn accounts_2000_sessions(datapath: &str) {
    let site = Site::new();
    let port = free_port();
    configure(&site, port);
    let server = site.path("radius");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, datapath);
    let (script, expected) = script();
    let feed = Feed::play(&site, &script.write(&site, "script"));
    feed.finish(seconds(60));
    wait_until("every Stop is recorded", seconds(30), || {
        FreeRadius::detail(&server).count("Stop") >= expected.len() && daemon.states().is_empty()
    });
    assert!(daemon.bills().is_empty());
    daemon.terminate();

    let detail = FreeRadius::detail(&server);
    let (starts, interims, stops) = (detail.by_user("Start"), detail.by_user("Interim-Update"), detail.by_user("Stop"));
    assert_eq!((starts.len(), stops.len()), (expected.len(), expected.len()));
    let mut ids = BTreeSet::new();
    for (user, expected) in &expected {
        let [start] = starts[user.as_str()][..] else { panic!("{user} has several Starts") };
        let [stop] = stops[user.as_str()][..] else { panic!("{user} has several Stops") };
        assert!(ids.insert(start.session()), "{user} has another session's id");
        let interims = interims.get(user.as_str()).map_or(&[][..], |records| &records[..]);
        check_session(user, expected, start, interims, stop);
    }
    check_spread(&detail);
}

fn configure(site: &Site, port: u16) {
    site.configure(&format!(
        "radius-server group isp\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {port}\n#\n\
         aaa\n accounting-scheme plain\n  accounting interim interval {INTERVAL} second\n \
         accounting-scheme hash\n  accounting interim interval {INTERVAL} second hash\n \
         domain plain\n  accounting-scheme plain\n  radius-server group isp\n \
         domain hash\n  accounting-scheme hash\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n"
    ));
}

fn script() -> (Script, BTreeMap<String, Expected>) {
    let mut script = Script::default();
    let mut expected = BTreeMap::new();
    for number in 0..SESSIONS {
        let name = format!("s{number}");
        let domain = if number % 2 == 0 { "plain" } else { "hash" };
        let came = number as f64 * 0.0015;
        let lifetime = 14.0 + (number % 5) as f64 * 0.3;
        let (cause, cause_name) = CAUSES[(number % 5) as usize];
        let class = format!("0a0b{number:08x}");
        // Every seventh moves more than 2^33 octets before it ends, some of them before the first interim.
        let giga = if number % 7 == 0 { 1 + number % 3 } else { 0 };
        let totals = [Totals::of(number, giga / 2), Totals::of(3 * number, giga), Totals::of(5 * number, 2 * giga)];
        let mut login = up(&name, domain);
        login["class"] = [class.as_str(), "ff00"].as_slice().into();
        login["framed_ip"] = format!("100.64.{}.{}", number >> 8, number & 255).into();
        script.at(came, login);
        script.at(came, count(&name, totals[0]));
        script.at(came + 6.0, count(&name, totals[1]));
        script.at(came + lifetime, count(&name, totals[2]));
        script.at(came + lifetime, down(&name, cause));
        expected.insert(format!("{name}@{domain}"), Expected { class, cause: cause_name, totals, lifetime });
    }
    (script, expected)
}

fn check_session(user: &str, expected: &Expected, start: &Record, interims: &[&Record], stop: &Record) {
    let records = || [start].into_iter().chain(interims.iter().copied()).chain([stop]);
    for record in records() {
        assert_eq!(record.session(), start.session(), "{user} changed its session id");
        assert_eq!(record.all("Class"), [format!("0x{}", expected.class), "0xff00".to_owned()], "{user}");
        assert_eq!(record.text("NAS-Identifier"), "BNG1");
    }
    assert_eq!(stop.totals(), expected.totals[2], "{user}: {stop:?}");
    assert_eq!(stop.text("Acct-Terminate-Cause"), expected.cause, "{user}");
    check_time(user, stop, start, expected.lifetime);

    let times: Vec<f64> = interims.iter().map(|record| record.number("Acct-Session-Time") as f64).collect();
    let near = |time: f64, due: f64| (time - due).abs() <= TOLERANCE;
    let first = if user.ends_with("@plain") { INTERVAL } else { *times.first().unwrap_or(&INTERVAL) };
    assert!(
        (INTERVAL - TOLERANCE..=2.0 * INTERVAL + TOLERANCE).contains(&first),
        "{user}: first interim after {first} s"
    );
    let due: Vec<f64> = (0..4).map(|tick| first + INTERVAL * f64::from(tick)).collect();
    let certain = due.iter().take_while(|due| **due < expected.lifetime - TOLERANCE).count();
    let possible = due.iter().take_while(|due| **due < expected.lifetime + TOLERANCE).count();
    assert!((certain..=possible).contains(&times.len()), "{user}: interims after {times:?} s of {}", expected.lifetime);
    for ((time, due), record) in times.iter().zip(&due).zip(interims) {
        assert!(near(*time, *due), "{user}: an interim after {time} s was due after {due} s");
        check_time(user, record, start, *due);
        let totals = record.totals();
        let now = if *time > 6.0 { 1 } else { 0 };
        // Around the change in the middle either is right.
        let either = near(*time, 6.0) && expected.totals[..2].contains(&totals);
        assert!(totals == expected.totals[now] || either, "{user} after {time} s: {totals:?}");
    }
}

/// The record's two times agree with when it was due.
fn check_time(user: &str, record: &Record, start: &Record, due: f64) {
    let since_start = record.event_time() as f64 - start.event_time() as f64;
    let session_time = record.number("Acct-Session-Time") as f64;
    assert!(
        (since_start - due).abs() <= TOLERANCE + 0.5,
        "{user}: {since_start} s after its Start, due {due}: {record:?}"
    );
    assert!((session_time - due).abs() <= TOLERANCE, "{user}: after {session_time} s, due {due}: {record:?}");
}

/// With `hash` the first interims are spread over the whole second interval.
fn check_spread(detail: &Detail) {
    let interims = detail.by_user("Interim-Update");
    let mut firsts = BTreeMap::new();
    for (user, records) in interims.iter().filter(|(user, _)| user.ends_with("@hash")) {
        assert!(!records.is_empty(), "{user}");
        *firsts.entry(records[0].number("Acct-Session-Time")).or_insert(0) += 1;
    }
    let per_second = SESSIONS / 2 / 4;
    for second in 4..8u64 {
        let found = firsts.get(&second).copied().unwrap_or(0);
        assert!(found > per_second / 2 && found < per_second * 2, "first interims by second: {firsts:?}");
    }
}
