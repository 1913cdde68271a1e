//! What is no session's accounting comes through a bad line as well: Accounting-On and -Off, orders of `radclient`, probes.

use std::process::Command;

use crate::common::{BadLine, Daemon, Feed, FreeRadius, SECRET, Signal, Site, Weather};
use crate::common::{down, free_port, run_command, seconds, up, wait_until};

/// What `radclient` says of a request that it transmits until it is answered, the same octets each second.
fn insists(site: &Site, port: u16, kind: &str, attributes: &[&str]) -> String {
    let request = site.path("request");
    std::fs::write(&request, attributes.join("\n") + "\n").unwrap();
    let mut command = Command::new("/usr/bin/radclient");
    command.args(["-x", "-r", "20", "-t", "1", "-f"]).arg(&request).arg(format!("127.0.0.1:{port}"));
    let said = run_command(command.args([kind, SECRET]));
    said.out + &said.err
}

#[test]
fn on_orders_probes_and_off_come_through_a_line_that_loses_a_tenth_each_way() {
    let site = Site::new();
    let (acct, orders, server) = (free_port(), free_port(), site.path("radius"));
    let (towards, back) = (BadLine::lay(acct, Weather::bad(21, 100)), BadLine::lay(orders, Weather::bad(22, 100)));
    site.configure(&format!(
        "radius-server dead-count 6\nradius-server dead-time 600 recover-count invalid\nradius-server dead-interval 0\n\
         radius-server state-recovery-detect accounting detect-interval 2\n#\n\
         radius-server authorization 127.0.0.1 destination-port {orders} server-group isp\n#\n\
         radius-server group isp\n radius-server shared-key {SECRET}\n radius-server accounting 127.0.0.1 {}\n \
         radius-server retransmit 5 timeout 3\n radius-server accounting-on enable wait\n#\n\
         aaa\n accounting-scheme isp\n  accounting interim interval 3600 second\n \
         domain isp\n  accounting-scheme isp\n  radius-server group isp\n#\n\
         local-aaa-server\n local-bill-pool enable\n",
        towards.port()
    ));
    let radius = FreeRadius::start(&server, acct);
    let daemon = Daemon::start_with(&site, "auto", 2);
    let mut feed = Feed::listen(&site);
    feed.say((0..12).map(|number| up(&format!("s{number}"), "isp")));
    wait_until("all are accounted for", seconds(120), || {
        daemon.states().iter().filter(|state| *state == "Accounting").count() == 12
    });
    let kinds: Vec<String> =
        FreeRadius::detail(&server).records.iter().map(|record| record.text("Acct-Status-Type").to_owned()).collect();
    assert_eq!(kinds.first().map(String::as_str), Some("Accounting-On"), "{kinds:?}");
    assert!(kinds.iter().rposition(|kind| kind == "Accounting-On") < kinds.iter().position(|kind| kind == "Start"));

    // Asked again and again with the same octets, each order is obeyed once.
    let said = insists(&site, back.port(), "coa", &["User-Name = \"s1@isp\"", "Acct-Interim-Interval = 600"]);
    assert!(said.contains("Received CoA-ACK"), "{said}");
    wait_until("the interim", seconds(60), || {
        FreeRadius::detail(&server).by_user("Interim-Update").contains_key("s1@isp")
    });
    for user in ["s2@isp", "s3@isp", "s4@isp"] {
        let said = insists(&site, back.port(), "disconnect", &[&format!("User-Name = \"{user}\"")]);
        assert!(said.contains("Received Disconnect-ACK"), "{said}");
    }
    wait_until("their Stops", seconds(120), || {
        let detail = FreeRadius::detail(&server);
        ["s2@isp", "s3@isp", "s4@isp"].iter().all(|user| detail.by_user("Stop").contains_key(user))
    });
    assert_eq!(daemon.display("display accounting policy")["cut"], 3);

    radius.stop(Signal::KILL);
    feed.say([down("s5", 1), down("s6", 1), down("s7", 1)]);
    wait_until("it is Down", seconds(120), || daemon.logged("hwRadiusAcctServerDown") == 1);
    let _radius = FreeRadius::start(&server, acct);
    wait_until("a probe finds it", seconds(120), || daemon.logged("hwRadiusAcctServerUp") == 1);
    wait_until("what was owed", seconds(180), || {
        let detail = FreeRadius::detail(&server);
        ["s5@isp", "s6@isp", "s7@isp"].iter().all(|user| detail.by_user("Stop").contains_key(user))
    });
    let said = daemon.cli(&["shutdown accounting", "Y"]).well();
    assert!(said.contains("Accounting-Off was acknowledged by 1 servers"), "{said}");
    let detail = FreeRadius::detail(&server);
    assert!(detail.count("Accounting-Off") >= 1);
    let stopped = detail.by_user("Stop");
    for number in 0..12 {
        let stops = &stopped[format!("s{number}@isp").as_str()];
        assert!(stops.iter().all(|stop| stop.session() == stops[0].session()), "one session: {stops:?}");
    }
    println!("{:?} towards the server, {:?} from its orders", towards.end(), back.end());
    assert!(daemon.bills().is_empty());
    feed.finish(seconds(30));
    daemon.terminate();
}
