//! A line card is pulled: all its subscribers go at once, and their Stops drain as fast as the server bears.
//!
//! Times are measured on whatever machine this runs on, beside whatever else it does: they are printed, and in the short form
//! what is asserted of them is only what no busy neighbour explains. The long form asserts what is promised; how soon everything
//! is durable it asserts of a release build.

use std::time::Duration;

use crate::common::{Daemon, LineCard, SECRET, Site, SlowServer, seconds, wait_until};

/// Requests a second that the server bears.
const BEARS: u64 = 3_000;

fn is_full() -> bool {
    std::env::var("TOLLGATE_TEST_FULL").is_ok_and(|full| full == "1")
}

/// As many subscribers as the line card has; the long form has them all.
fn sessions() -> usize {
    if is_full() { 100_000 } else { 10_000 }
}

/// Who logs in waits for the server, and no Stop is given up.
fn site(server: &SlowServer) -> Site {
    let site = Site::new();
    site.configure(&format!(
        "radius-server dead-count 3\nradius-server dead-interval 0\nradius-server accounting cache 256000\n\
         radius-server accounting cache memory-threshold 85\n#\n\
         radius-server group isp\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {}\n \
         radius-server retransmit 2 timeout 3\n radius-server accounting-stop-packet resend 99\n#\n\
         aaa\n accounting-scheme isp\n  accounting start-fail offline\n \
         domain isp\n  accounting-scheme isp\n  radius-server group isp\n",
        server.port
    ));
    site
}

fn start(site: &Site) -> Daemon {
    Daemon::start_sized(site, "auto", 2 * sessions())
}

/// Every Stop has come, with all that was moved, and nobody is left.
fn wait_for_stops(server: &SlowServer, daemon: &Daemon, count: usize) {
    let drains = Duration::from_secs(count as u64 / BEARS);
    wait_until("every Stop is answered", 10 * drains + seconds(60), || server.served().stops == count as u64);
    wait_until("nobody is left", seconds(30), || daemon.states().is_empty());
    let served = server.served();
    let moved: u64 = (0..count).map(LineCard::octets).sum();
    assert_eq!((served.octets, served.contradicting), (moved, 0), "{served:?}");
}

#[test]
fn a_storm_of_log_outs_is_durable_at_once_and_drains_as_fast_as_the_server_bears() {
    let server = SlowServer::start();
    let site = site(&server);
    let daemon = start(&site);
    let mut card = LineCard::link(&site, sessions());
    card.come(sessions());
    server.bear(BEARS);
    let durable = card.go(0..sessions());
    wait_for_stops(&server, &daemon, sessions());
    let served = server.served();
    let share = served.share(BEARS);
    println!(
        "{} went; durable after {durable:?}; drained at {share:.1} % of {BEARS}/s; {} repeated, {} lost, at most {} waited",
        sessions(),
        served.repeated,
        served.lost,
        served.most_waiting
    );
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty());
    daemon.terminate();
    assert!(served.repeated * 1_000 <= served.stops, "{served:?}");
    let (soonest, least) = match is_full() {
        true if !cfg!(debug_assertions) => (seconds(1), 95.0),
        true => (seconds(20), 95.0),
        false => (seconds(20), 50.0),
    };
    assert!(durable < soonest && share >= least, "{durable:?}, {share} %");
}

#[test]
fn a_log_in_has_its_verdict_at_once_while_the_parked_stops_of_a_storm_drain() {
    // Few enough that the drain outlasts them.
    let log_ins = if is_full() { 200 } else { 20 };
    let server = SlowServer::start();
    let site = site(&server);
    let daemon = start(&site);
    let mut card = LineCard::link(&site, sessions() + 1 + log_ins);
    card.come(sessions());
    server.bear(0);
    card.go(0..sessions());
    let resting = || daemon.display("display radius-server backlog")["groups"][0]["resting"].as_u64().unwrap();
    wait_until("the Stops are parked", seconds(120), || resting() > sessions() as u64 - 10);
    server.bear(BEARS);
    server.forget();
    // It finds that the server is back.
    card.log_in();
    let mut waits: Vec<Duration> = Vec::new();
    for _ in 0..log_ins {
        waits.push(card.log_in());
        card.hear(Duration::from_millis(20));
    }
    let left = sessions() as u64 - server.served().stops;
    let row = &daemon.display("display radius-server packet ip-address 127.0.0.1 accounting")[0];
    let round_trip = Duration::from_nanos(row["round_trip_ns"].as_u64().unwrap());
    waits.sort_unstable();
    let (median, slowest) = (waits[log_ins / 2], waits[log_ins - 1]);
    let in_time = waits.iter().filter(|wait| **wait <= round_trip + Duration::from_millis(50)).count();
    println!(
        "{in_time} of {log_ins} log-ins within the round trip of {round_trip:?} and 50 ms more; median {median:?}, slowest \
         {slowest:?}; {left} Stops still wait"
    );
    assert!(left > 0, "nothing drains any more");
    let all = sessions() + 1 + log_ins;
    card.go(sessions()..all);
    wait_for_stops(&server, &daemon, all);
    let served = server.served();
    println!(
        "drained at {:.1} % of {BEARS}/s; {} repeated, {} lost",
        served.share(BEARS),
        served.repeated,
        served.lost
    );
    daemon.terminate();
    let promised = if is_full() { round_trip + Duration::from_millis(50) } else { Duration::from_millis(500) };
    assert!(median <= promised && slowest < seconds(3), "{promised:?}: {waits:?}");
}
