//! Accounting-On and -Off, as FreeRADIUS writes them down.

use crate::common::{Daemon, Detail, Feed, FreeRadius, SECRET, Site, Totals};
use crate::common::{count, free_port, seconds, up, wait_until};

/// A site whose server is told, and answers before anybody's Start leaves.
fn telling(site: &Site, port: u16) {
    let text = format!(
        "sysname BNG1\n#\nplane-link path {}\n#\n\
         radius-server group isp\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {port}\n \
         radius-server accounting-on enable wait\n#\n\
         aaa\n domain isp\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n#\nreturn\n",
        site.link().display()
    );
    std::fs::write(site.config(), text).unwrap();
}

/// What the server has written down, in order: the kind, and of whom.
fn told(detail: &Detail) -> Vec<String> {
    let one = |record: &crate::common::Record| {
        let who = record.all("User-Name").first().map_or(String::new(), |user| format!(" {user}"));
        record.text("Acct-Status-Type").to_owned() + &who
    };
    detail.records.iter().map(one).collect()
}

#[test]
fn on_at_a_boot_never_at_a_restart_off_at_a_shutdown() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    telling(&site, port);
    let _radius = FreeRadius::start(&server, port);
    let heard = |records: usize| {
        wait_until("the server has heard it", seconds(30), || FreeRadius::detail(&server).records.len() >= records);
        told(&FreeRadius::detail(&server))
    };
    let daemon = Daemon::start_with(&site, "auto", 2);
    let mut feed = Feed::listen(&site);
    feed.say([up("a", "isp"), count("a", Totals::of(3, 1))]);
    assert_eq!(heard(2), ["Accounting-On", "Start a@isp"]);
    let detail = FreeRadius::detail(&server);
    let on = detail.of("Accounting-On").next().unwrap();
    assert_eq!((on.text("NAS-Identifier"), on.text("NAS-IP-Address")), ("BNG1", "127.0.0.1"), "{on:?}");
    daemon.wait_for_sessions(1, "Accounting");
    daemon.kill9();

    let daemon = Daemon::start_with(&site, "auto", 2);
    feed.say([up("b", "isp")]);
    assert_eq!(heard(3)[2..], ["Start b@isp"], "a restart closes nobody's session");
    daemon.wait_for_sessions(2, "Accounting");
    let said = daemon.cli(&["shutdown accounting", "Y"]).well();
    assert!(said.contains("2 users were logged out, 0 Stops are still"), "{said}");
    assert!(said.contains("acknowledged by 1 servers, and not by 0"), "{said}");
    let mut all = heard(6)[3..].to_vec();
    assert_eq!(all.pop().as_deref(), Some("Accounting-Off"));
    all.sort();
    assert_eq!(all, ["Stop a@isp", "Stop b@isp"]);
    let detail = FreeRadius::detail(&server);
    assert!(detail.of("Stop").all(|stop| stop.text("Acct-Terminate-Cause") == "Admin-Reboot"));
    assert_eq!(detail.by_user("Stop")["a@isp"][0].totals(), Totals::of(3, 1));
    feed.say([up("c", "isp")]);
    assert_eq!(feed.verdict_on("c", seconds(20)), ("refuse".to_owned(), "shutting-down".to_owned()));
    daemon.terminate();

    // Who is let in after that is told of first.
    let daemon = Daemon::start_with(&site, "auto", 2);
    feed.say([up("d", "isp")]);
    assert_eq!(heard(8)[6..], ["Accounting-On", "Start d@isp"]);
    feed.finish(seconds(30));
    daemon.terminate();
}
