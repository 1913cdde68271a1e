//! The box is booted: whoever was online in the earlier boot ends with what the ledger knew of it.

use std::collections::BTreeSet;

use crate::common::{Daemon, Feed, FreeRadius, Site, Totals};
use crate::common::{count, free_port, seconds, up, wait_until};

const SESSIONS: usize = 200;
const BOOT_ID: &str = "0b2f6d1c-5a0e-4f7b-9c61-3d8e2a7745f0\n";

#[test]
fn a_reboot_ends_every_session_once_with_its_last_sample() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(port, "", "  accounting interim interval 3 second\n");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    let moved = |number: usize| Totals::of(number as u64 + 1, number as u64 % 3);
    feed.say((0..SESSIONS).map(|number| up(&format!("s{number}"), "isp")));
    daemon.wait_for_sessions(SESSIONS, "Accounting");
    feed.say((0..SESSIONS).map(|number| count(&format!("s{number}"), moved(number))));
    let expected: Vec<(String, Totals)> =
        (0..SESSIONS).map(|number| (format!("s{number}@isp"), moved(number))).collect();
    wait_until("an interim of every session tells its totals", seconds(30), || {
        let detail = FreeRadius::detail(&server);
        let interims = detail.by_user("Interim-Update");
        let is_told = |(user, totals): &(String, Totals)| {
            interims.get(user.as_str()).is_some_and(|records| records.iter().any(|record| record.totals() == *totals))
        };
        expected.iter().all(is_told)
    });
    daemon.wait_until_quiet();
    daemon.kill9();
    // With the box goes the plane's memory.
    drop(feed);

    let daemon = Daemon::start_booted(&site, "auto", BOOT_ID);
    wait_until("every session is over", seconds(60), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty());
    daemon.kill9();
    // A restart of the engine in the same boot closes nothing again.
    let daemon = Daemon::start_booted(&site, "auto", BOOT_ID);
    assert!(daemon.states().is_empty());
    daemon.terminate();

    let detail = FreeRadius::detail(&server);
    let (starts, stops) = (detail.by_user("Start"), detail.by_user("Stop"));
    assert_eq!((starts.len(), stops.len()), (SESSIONS, SESSIONS));
    let ids: BTreeSet<(&str, &str)> =
        detail.records.iter().map(|record| (record.text("User-Name"), record.session())).collect();
    assert_eq!(ids.len(), SESSIONS, "one id for each session");
    for (user, totals) in &expected {
        let came = starts[user.as_str()][0].event_time();
        // One whose reply was lost may be there again, and says the same.
        for stop in &stops[user.as_str()] {
            assert_eq!((stop.totals(), stop.text("Acct-Terminate-Cause")), (*totals, "NAS-Reboot"), "{user}");
            let lasted = stop.number("Acct-Session-Time");
            assert!(stop.event_time().abs_diff(came + lasted) <= 1, "{user}: came {came}, {stop:?}");
        }
    }
}
