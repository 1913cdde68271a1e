//! `accounting-copy`: a second FreeRADIUS hears what the first one hears, and when it is killed, the first one does not notice.

use std::time::{Duration, Instant};

use crate::common::{BadLine, Crowd, Daemon, FreeRadius, Habits, HeardOnce, SECRET, Signal, Site, TICK, Weather};
use crate::common::{free_port, seconds, wait_until};

/// Log-ins and log-outs a second.
const PACE: u32 = 60;
/// How long the work of the first server is watched.
const WATCH: Duration = Duration::from_secs(8);

fn configure(site: &Site, first: u16, copies: u16) {
    let group = |name: &str, port: u16| {
        format!(
            "radius-server group {name}\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {port}\n \
             radius-server accounting-stop-packet resend 99\n#\n"
        )
    };
    site.configure(&format!(
        "radius-server dead-count 3\nradius-server dead-time 1\nradius-server dead-interval 0\n#\n{}{}\
         aaa\n accounting-scheme isp\n  accounting start-fail offline\n  accounting interim interval 5 second hash\n \
         domain isp\n  accounting-scheme isp\n  radius-server group isp\n  accounting-copy radius-server copies\n",
        group("isp", first),
        group("copies", copies),
    ));
}

#[test]
fn copies_go_to_a_second_freeradius_whose_death_does_not_slow_the_first() {
    let site = Site::new();
    let [first, second] = ["first", "second"].map(|name| (site.path(name), free_port()));
    // Copies come late, twice, in another order or not at all.
    let line = BadLine::lay(second.1, Weather::bad(11, 30));
    configure(&site, first.1, line.port());
    let start = |server: &(std::path::PathBuf, u16)| FreeRadius::start(&server.0, server.1);
    let (_first, copies) = (start(&first), start(&second));
    let count = |server: &(std::path::PathBuf, u16), kind: &str| FreeRadius::count(&server.0, kind);
    let daemon = Daemon::start(&site, "auto");
    let habits = Habits { lines: 400, pace: PACE, tick: TICK, domains: &["isp"], first: 0, names_come_again: true };
    let crowd = Crowd::start(&site, &habits);
    wait_until("both hear of sessions that end", seconds(60), || {
        [&first, &second].iter().all(|server| count(server, "Stop") > 100)
    });
    // Nobody is let in without an answer of the first server, so its Starts tell how fast that comes.
    let starts_in_a_while = || {
        let (before, began) = (count(&first, "Start"), Instant::now());
        wait_until("time passes", seconds(60), || began.elapsed() >= WATCH);
        (count(&first, "Start") - before) as f64 / began.elapsed().as_secs_f64()
    };
    let with = starts_in_a_while();
    copies.stop(Signal::KILL);
    let heard = count(&second, "Start");
    let without = starts_in_a_while();
    println!("{with:.1} Starts a second with the copy server, {without:.1} without");
    assert!(without > with * 0.7, "{without} Starts a second without the copy server, {with} with it");
    wait_until("it is given up", seconds(60), || daemon.logged("hwRadiusAcctServerDown") > 0);
    let _copies = start(&second);
    wait_until("who comes now is copied again", seconds(120), || count(&second, "Start") > heard + 100);

    let lives = crowd.finish(seconds(60));
    wait_until("everything is acknowledged", seconds(300), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    let bills = daemon.bills();
    assert!(bills.is_empty(), "{bills:?}");
    daemon.terminate();
    let details = [&first, &second].map(|server| FreeRadius::detail(&server.0));
    println!("{:?}", HeardOnce::gather(&details[..1]).check_all(&lives, seconds(0)));
    // What both have heard says the same.
    let both = HeardOnce::gather(&details).repeated() - HeardOnce::gather(&details[..1]).repeated();
    let copied = details[1].records.len();
    println!("{copied} copies, {both} of them of what the first server has; {:?}", line.end());
    assert!(both > 400 && both * 10 > copied * 7, "{both} of {copied}");
}
