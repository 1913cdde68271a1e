//! Subscribers that the engine logs out: by hand, and by `interim-fail offline`.

use crate::common::{Daemon, Feed, FreeRadius, Site, Totals, count, free_port, seconds, up, wait_until};

#[test]
fn an_operator_cuts_users() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(port, "", "");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start_with(&site, "auto", 2);
    let mut feed = Feed::listen(&site);
    feed.say([up("a", "isp"), up("b", "isp"), up("c", "isp"), count("a", Totals::of(3, 1))]);
    daemon.wait_for_sessions(3, "Accounting");
    let said = daemon.cli(&["cut access-user username nobody@isp"]);
    assert_eq!((said.code, said.out.trim()), (Some(1), "Error: The access user does not exist."), "{}", said.err);
    let said = daemon.cli(&["cut access-user username a@isp"]).well();
    assert!(said.contains("Info: 1 user is being logged out."), "{said}");
    let cut = ("cut".to_owned(), "cut-by-operator".to_owned());
    wait_until("a is cut", seconds(10), || {
        feed.verdicts().iter().any(|(who, sentence, why)| who == "a" && (sentence, why) == (&cut.0, &cut.1))
    });
    let rows = daemon.display("display access-user");
    let id = rows.as_array().unwrap().iter().find(|row| row["user"] == "b@isp").unwrap()["id"].clone();
    daemon.cli(&["system-view", &format!("cut access-user user-id {}", id.as_str().unwrap())]).well();
    wait_until("two Stops", seconds(20), || FreeRadius::detail(&server).count("Stop") == 2);
    daemon.wait_for_sessions(1, "Accounting");
    let detail = FreeRadius::detail(&server);
    for stop in detail.of("Stop") {
        assert_eq!(stop.text("Acct-Terminate-Cause"), "Admin-Reset", "{stop:?}");
    }
    let of_a = detail.of("Stop").find(|stop| stop.text("User-Name") == "a@isp").unwrap();
    assert_eq!(of_a.totals(), Totals::of(3, 1));
    assert_eq!(daemon.display("display accounting policy")["cut"], 2);
    assert_eq!(daemon.logged("command=\"cut access-user"), 3, "each is in the audit log");
    assert_eq!(daemon.logged("it was refused"), 1, "and that one of them was refused");
    feed.finish(seconds(30));
    daemon.terminate();
}

#[test]
fn a_cut_by_interim_fail_ends_with_nas_error() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    let group = " radius-server retransmit 1 timeout 3\n undo radius-server accounting-stop-packet resend\n";
    let scheme = "  accounting interim interval 4 second\n  accounting interim-fail max-times 1 offline\n";
    site.configure_one(port, group, scheme);
    let radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    feed.say([up("a", "isp")]);
    daemon.wait_for_sessions(1, "Accounting");
    drop(radius);
    wait_until("a is cut", seconds(30), || {
        feed.verdicts().iter().any(|(_, sentence, why)| (sentence.as_str(), why.as_str()) == ("cut", "interim-failed"))
    });
    wait_until("its bill", seconds(30), || !daemon.bills().is_empty());
    let bills = daemon.bills();
    assert_eq!((bills.len(), bills[0]["cause"].as_u64()), (1, Some(9)), "the plane said another: {bills:?}");
    feed.finish(seconds(30));
    daemon.terminate();
}
