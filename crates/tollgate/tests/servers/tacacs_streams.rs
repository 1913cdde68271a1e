//! HWTACACS over the daemon's own connections: one for each request, or one for many, on both datapaths.

use crate::common::{Daemon, Feed, Manner, Site, TacacsPeer};
use crate::common::{down, seconds, up, wait_until};

const KEY: &str = "e2e-t4cacs-k3y";
const SESSIONS: usize = 100;

#[test]
fn requests_have_a_connection_each_on_io_uring() {
    check("io-uring", false);
}

#[test]
fn requests_have_a_connection_each_on_epoll() {
    check("epoll", false);
}

#[test]
fn requests_share_a_connection_on_io_uring() {
    check("io-uring", true);
}

#[test]
fn requests_share_a_connection_on_epoll() {
    check("epoll", true);
}

fn check(datapath: &str, shares: bool) {
    let (site, mut peer) = (Site::new(), TacacsPeer::start(KEY));
    let mux_mode = if shares { " mux-mode" } else { "" };
    site.configure(&format!(
        "hwtacacs-server template isp\n hwtacacs-server accounting 127.0.0.1 {}{mux_mode}\n \
         hwtacacs-server shared-key cipher {KEY}\n#\n\
         aaa\n accounting-scheme isp\n  accounting-mode hwtacacs\n domain isp\n  accounting-scheme isp\n  \
         hwtacacs-server isp\n#\nlocal-aaa-server\n local-bill-pool enable\n",
        peer.port
    ));
    let daemon = Daemon::start(&site, datapath);
    let mut feed = Feed::listen(&site);
    feed.say((0..SESSIONS).map(|number| up(&format!("s{number}"), "isp")));
    peer.wait_for_heard(SESSIONS);
    daemon.wait_for_sessions(SESSIONS, "Accounting");

    // A reply in single octets is one all the same; a server that goes away and comes back gets what waits.
    peer.behave(Manner::Dribbling);
    feed.say((0..10).map(|number| down(&format!("s{number}"), 1)));
    peer.wait_for_heard(SESSIONS + 10);
    peer.behave(Manner::Willing);
    daemon.wait_for_sessions(SESSIONS - 10, "Accounting");
    peer.stop();
    feed.say((10..SESSIONS).map(|number| down(&format!("s{number}"), 1)));
    std::thread::sleep(seconds(1));
    peer.start_again();
    feed.finish(seconds(30));
    wait_until("nobody is left", seconds(60), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    let stops = peer.heard().iter().filter(|heard| heard.flags == 0x04).count();
    let bills = daemon.bills().len();
    assert!(stops + bills >= SESSIONS, "{stops} Stops and {bills} bills");
    let (accepted, _) = peer.connections();
    assert_eq!(accepted < SESSIONS, shares, "{accepted} connections");
    assert_eq!((peer.unreadable(), peer.hasty()), (0, 0));
    wait_until("nothing is left to do", seconds(10), || daemon.load(seconds(1)) < 0.2);
    daemon.terminate();
}
