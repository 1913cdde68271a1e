//! `tollgate feed` at the edges of a play: counters that begin again, and a name that somebody has.

use serde_json::json;

use crate::common::wait_until;
use crate::common::{Daemon, Detail, Feed, FreeRadius, Site, Totals, count, down, free_port, seconds, tollgate, up};

#[test]
fn counters_that_begin_again_lose_nothing() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(port, "", "");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    // Nobody has time to look between a count and the loss of the counters.
    let parts = [Totals::of(1, 1), Totals::of(2, 0), Totals::of(3, 2)];
    for session in ["s1", "s2"] {
        feed.say([up(session, "isp")]);
        for totals in &parts[..2] {
            feed.say([count(session, *totals), json!({"op": "reset", "session": session})]);
        }
        feed.say([count(session, parts[2]), down(session, 1)]);
    }
    feed.finish(seconds(30));
    let detail = || FreeRadius::detail(&server);
    wait_until("both Stops are recorded", seconds(30), || detail().count("Stop") == 2);
    let sum = |part: fn(&Totals) -> u64| parts.iter().map(part).sum::<u64>();
    let expected = Totals {
        in_octets: sum(|totals| totals.in_octets),
        in_packets: sum(|totals| totals.in_packets),
        out_octets: sum(|totals| totals.out_octets),
        out_packets: sum(|totals| totals.out_packets),
    };
    let detail: Detail = detail();
    for stop in detail.of("Stop") {
        assert_eq!(stop.totals(), expected, "{stop:?}");
    }
    daemon.terminate();
}

#[test]
fn a_name_that_another_plane_has_is_said() {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    feed.say([up("s1", "isp")]);
    feed.verdict_on("s1", seconds(10));
    let script = site.path("script");
    std::fs::write(&script, format!("{}\n", up("s2", "isp"))).unwrap();
    let link = site.link();
    let arguments = ["feed", "--link", link.to_str().unwrap(), "--plane", "p1", script.to_str().unwrap()];
    tollgate(arguments).refused(1, &["refused the plane", "p1 is linked already"]);
    feed.finish(seconds(30));
    daemon.terminate();
}

/// The first session of the name is refused when the second is there already.
#[test]
fn a_refusal_is_not_taken_for_one_of_the_next_session_of_that_name() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(port, "", "");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    let (names, totals): (Vec<_>, _) = ((0..2000).map(|number| format!("s{number}")).collect(), Totals::of(4, 0));
    // So many that now and then the engine has read the first Up and not the second.
    feed.say(names.iter().flat_map(|name| {
        let mut for_no_time = up(name, "isp");
        for_no_time["session_timeout"] = 0.into();
        [for_no_time, down(name, 1), up(name, "isp")]
    }));
    let detail = || FreeRadius::detail(&server);
    wait_until("all are online", seconds(30), || detail().count("Start") == names.len());
    feed.say(names.iter().flat_map(|name| [count(name, totals), down(name, 1)]));
    feed.finish(seconds(30));
    wait_until("all Stops are recorded", seconds(30), || detail().count("Stop") == names.len());
    let detail: Detail = detail();
    assert!(detail.of("Stop").all(|stop| stop.totals() == totals), "{:?}", detail.records);
    daemon.terminate();
}
