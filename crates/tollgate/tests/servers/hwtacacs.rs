//! Accounting by HWTACACS (BEHAVIOUR.md section 6) against servers of their own making, and what an independent dissector reads of
//! all that passes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use crate::common::{Daemon, Feed, Heard, Manner, Process, Signal, Site, TacacsPeer, Totals, count, down};
use crate::common::{seconds, up, wait_until};

const KEY: &str = "e2e-t4cacs-k3y";

const START: u8 = 0x02;
const STOP: u8 = 0x04;
const WATCHDOG: u8 = 0x0a;

fn is_full() -> bool {
    std::env::var("TOLLGATE_TEST_FULL").is_ok_and(|full| full == "1")
}

/// A box with a template of two servers.
struct Office {
    site: Site,
    primary: TacacsPeer,
    secondary: TacacsPeer,
}

impl Office {
    fn new() -> Office {
        let secondary = TacacsPeer::start_on(Ipv4Addr::new(127, 0, 0, 2), KEY);
        Office { site: Site::new(), primary: TacacsPeer::start(KEY), secondary }
    }

    /// `servers`: of 1 and 2; `system` and the others: lines more of their views.
    fn start(&self, servers: u8, mode: &str, system: &str, template: &str, scheme: &str) -> Daemon {
        let (primary, secondary) = (self.primary.port, self.secondary.port);
        let second = format!(" hwtacacs-server accounting 127.0.0.2 {secondary} secondary{mode}\n");
        self.site.configure(&format!(
            "{system}#\nhwtacacs-server template ht\n hwtacacs-server shared-key cipher {KEY}\n \
             hwtacacs-server accounting 127.0.0.1 {primary}{mode}\n{}{template}#\n\
             aaa\n accounting-scheme isp\n  accounting-mode hwtacacs\n{scheme} domain isp\n  accounting-scheme isp\n  \
             hwtacacs-server ht\n#\nlocal-aaa-server\n local-bill-pool enable\n local-bill cache backup-mode none\n",
            if servers > 1 { &second } else { "" }
        ));
        Daemon::start(&self.site, "auto")
    }
}

fn name(number: usize) -> String {
    format!("s{number}")
}

fn totals(number: usize) -> Totals {
    Totals::of(number as u64, u64::from(number.is_multiple_of(7)))
}

/// Every record of each session, in order.
fn by_task(heard: &[Heard]) -> BTreeMap<String, Vec<&Heard>> {
    let mut tasks: BTreeMap<String, Vec<&Heard>> = BTreeMap::new();
    for record in heard {
        tasks.entry(record.argument("task_id").unwrap().to_owned()).or_default().push(record);
    }
    tasks
}

fn flags_of(heard: &[Heard], flags: u8) -> usize {
    heard.iter().filter(|heard| heard.flags == flags).count()
}

fn number(heard: &Heard, name: &str) -> u64 {
    heard.argument(name).unwrap_or_else(|| panic!("{name} in {heard:?}")).parse().unwrap()
}

fn two_thousand_sessions(mode: &str) {
    let sessions = 2_000;
    let office = Office::new();
    let daemon = office.start(1, mode, "", "", "  accounting interim interval 5 second\n");
    let mut feed = Feed::listen(&office.site);
    feed.say((0..sessions).map(|number| up(&name(number), "isp")));
    let peer = &office.primary;
    wait_until("every START is recorded", seconds(60), || flags_of(&peer.heard(), START) == sessions);
    feed.say((0..sessions).map(|number| count(&name(number), totals(number))));
    let seen = || peer.heard().iter().filter(|heard| heard.flags == WATCHDOG).map(|h| h.user.clone()).collect();
    wait_until("everybody has an interim", seconds(60), || {
        let users: std::collections::BTreeSet<String> = seen();
        users.len() == sessions
    });
    feed.say((0..sessions).map(|number| down(&name(number), 1)));
    feed.finish(seconds(30));
    wait_until("every STOP is recorded", seconds(60), || flags_of(&peer.heard(), STOP) >= sessions);
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty());
    daemon.terminate();

    let heard = peer.heard();
    let tasks = by_task(&heard);
    assert_eq!(tasks.len(), sessions, "one task for each session");
    let numbers: BTreeMap<String, usize> =
        (0..sessions).map(|number| (format!("{}@isp", name(number)), number)).collect();
    for records in tasks.values() {
        let first = records[0];
        let number_of = numbers[&first.user];
        let kinds: Vec<u8> = records.iter().map(|record| record.flags).collect();
        assert_eq!((kinds[0], kinds[kinds.len() - 1]), (START, STOP), "{}", first.user);
        assert!(kinds[1..kinds.len() - 1].iter().all(|kind| *kind == WATCHDOG) && kinds.len() > 2, "{kinds:?}");
        for record in records {
            assert_eq!((&record.user, record.argument("start_time")), (&first.user, first.argument("start_time")));
            assert_eq!((record.argument("service"), record.argument("protocol")), (Some("ppp"), Some("ip")));
        }
        let stop = records[records.len() - 1];
        let told = Totals {
            in_octets: number(stop, "bytes_in"),
            in_packets: number(stop, "paks_in"),
            out_octets: number(stop, "bytes_out"),
            out_packets: number(stop, "paks_out"),
        };
        assert_eq!(told, totals(number_of), "{}", first.user);
        assert_eq!(number(stop, "disc-cause"), 1);
        let lasted = number(stop, "stop_time") - number(stop, "start_time");
        assert!(number(stop, "elapsed_time").abs_diff(lasted) <= 1);
    }
    assert_eq!((peer.unreadable(), peer.hasty()), (0, 0));
    let connections = peer.connections().0;
    match mode {
        "" => assert_eq!(connections, heard.len(), "a connection for each"),
        _ => assert!(connections <= 2, "{connections}"),
    }
}

#[test]
fn two_thousand_sessions_on_a_single_connection() {
    two_thousand_sessions(" mux-mode");
}

#[test]
fn two_thousand_sessions_with_a_connection_for_each_request() {
    two_thousand_sessions("");
}

#[test]
fn the_secondary_takes_over_and_the_quiet_timer_brings_the_primary_back() {
    for mode in ["", " mux-mode"] {
        let mut office = Office::new();
        let template = " hwtacacs-server timer response-timeout 2\n hwtacacs-server timer quiet 1\n";
        let daemon = office.start(2, mode, "", template, "");
        let mut feed = Feed::listen(&office.site);
        feed.say((0..200).map(|number| up(&name(number), "isp")));
        office.primary.wait_for_heard(200);
        office.primary.stop();
        feed.say((200..400).map(|number| up(&name(number), "isp")));
        feed.say((0..100).map(|number| down(&name(number), 1)));
        office.secondary.wait_for_heard(300);
        assert_eq!(daemon.display("display hwtacacs-server template ht")[0]["current"], server(&office.secondary, 2));
        office.primary.start_again();
        if is_full() || mode.is_empty() {
            std::thread::sleep(seconds(61));
            feed.say((100..200).map(|number| down(&name(number), 1)));
            wait_until("the primary is asked again", seconds(20), || flags_of(&office.primary.heard(), STOP) > 0);
            feed.say((200..400).map(|number| down(&name(number), 1)));
        } else {
            feed.say((100..400).map(|number| down(&name(number), 1)));
        }
        feed.finish(seconds(30));
        let stops = || flags_of(&office.primary.heard(), STOP) + flags_of(&office.secondary.heard(), STOP);
        wait_until("every STOP is recorded", seconds(30), || stops() >= 400);
        daemon.wait_until_quiet();
        assert!(daemon.bills().is_empty());
        daemon.terminate();
    }
}

fn server(peer: &TacacsPeer, host: u8) -> String {
    format!("127.0.0.{host}:{}", peer.port)
}

/// `resend enable N` sends 1 + N times, `disable` once.
#[test]
fn a_stop_is_sent_as_often_as_it_says() {
    let table: &[(&str, usize)] = if is_full() {
        &[("disable", 1), ("enable 3", 4), ("enable 50", 51)]
    } else {
        &[("disable", 1), ("enable 3", 4)]
    };
    for &(resend, sends) in table {
        let office = Office::new();
        let system = format!("hwtacacs-server accounting-stop-packet resend {resend}\n");
        let daemon = office.start(1, "", &system, " hwtacacs-server timer response-timeout 1\n", "");
        let mut feed = Feed::listen(&office.site);
        feed.say([up("s1", "isp")]);
        office.primary.wait_for_heard(1);
        office.primary.behave(Manner::Silent);
        feed.say([down("s1", 1)]);
        feed.finish(seconds(30));
        let patience = Duration::from_secs(8 * sends as u64 + 20);
        wait_until("a bill stands for it", patience, || daemon.bills().len() == 1);
        let stops = flags_of(&office.primary.heard(), STOP);
        assert_eq!(stops, sends, "{resend}");
        let bill = &daemon.bills()[0];
        assert_eq!((&bill["method"], &bill["delivered"]), (&"hwtacacs".into(), &"unknown".into()), "{bill}");
        daemon.terminate();
    }
}

/// What a server may do: none of it keeps the other one from its work, nor a log-in from its verdict.
#[test]
fn no_manner_of_a_server_stalls_anybody() {
    for manner in [
        Manner::AnotherKey,
        Manner::Garbage,
        Manner::Stranger,
        Manner::InTheClear,
        Manner::HalfClosed,
        Manner::Closing,
        Manner::Silent,
        Manner::Failing,
        Manner::Following,
        Manner::Dribbling,
        Manner::Late(seconds(1)),
    ] {
        let office = Office::new();
        office.primary.behave(manner);
        let daemon = office.start(
            2,
            " mux-mode",
            "",
            " hwtacacs-server timer response-timeout 2\n",
            "  accounting start-fail offline\n",
        );
        let mut feed = Feed::listen(&office.site);
        feed.say((0..20).map(|number| up(&name(number), "isp")));
        for number in 0..20 {
            let (verdict, reason) = feed.verdict_on(&name(number), seconds(20));
            assert_eq!((&*verdict, &*reason), ("admit", "start-accepted"), "{manner:?}");
        }
        feed.say((0..20).map(|number| down(&name(number), 1)));
        feed.finish(seconds(30));
        let answered = |heard: &[Heard]| flags_of(heard, STOP);
        wait_until("every STOP is recorded", seconds(30), || {
            answered(&office.primary.heard()) + answered(&office.secondary.heard()) >= 20
        });
        daemon.wait_until_quiet();
        assert!(daemon.bills().is_empty(), "{manner:?}");
        let said = match manner {
            Manner::AnotherKey | Manner::Garbage => Some("garbled"),
            Manner::InTheClear => Some("unencrypted"),
            _ => None,
        };
        if let Some(said) = said {
            assert!(daemon.logged(said) > 0, "{manner:?}");
        }
        daemon.terminate();
    }
}

/// Both servers are away: policies act in time, bills stand for Stops.
#[test]
fn an_outage_of_both_is_ended_by_the_policies() {
    let mut office = Office::new();
    let system = "hwtacacs-server accounting-stop-packet resend disable\n";
    let template = " hwtacacs-server timer response-timeout 1\n";
    let daemon = office.start(2, " mux-mode", system, template, "  accounting start-fail offline\n");
    let mut feed = Feed::listen(&office.site);
    feed.say((0..50).map(|number| up(&name(number), "isp")));
    office.primary.wait_for_heard(50);
    office.primary.stop();
    office.secondary.stop();
    feed.say((0..50).map(|number| down(&name(number), 1)));
    feed.say([up("late", "isp")]);
    let (verdict, reason) = feed.verdict_on("late", seconds(20));
    assert_eq!((&*verdict, &*reason), ("refuse", "start-failed"));
    wait_until("bills stand for all", seconds(30), || daemon.bills().len() == 50);
    let bill = &daemon.bills()[0];
    assert_eq!(bill["method"], "hwtacacs");
    office.primary.start_again();
    // Who comes while nobody has called the server yet is refused as well, and comes again.
    let mut tries = 0;
    wait_until("somebody is let in", seconds(20), || {
        tries += 1;
        let name = format!("again{tries}");
        feed.say([up(&name, "isp")]);
        let (verdict, _) = feed.verdict_on(&name, seconds(20));
        feed.say([down(&name, 1)]);
        verdict == "admit"
    });
    feed.finish(seconds(30));
    wait_until("its STOP is recorded", seconds(20), || flags_of(&office.primary.heard(), STOP) >= 1);
    daemon.terminate();
}

#[test]
fn an_independent_dissector_finds_nothing_malformed() {
    for mode in ["", " mux-mode"] {
        let office = Office::new();
        let capture = office.site.path("capture.pcap");
        let port = office.primary.port;
        let mut tshark = Process::start(
            Command::new("tshark")
                .args(["-q", "-i", "lo", "-f", &format!("tcp port {port}"), "-w"])
                .arg(&capture)
                .stderr(std::process::Stdio::null()),
        );
        wait_until("tshark listens", seconds(30), || capture.metadata().is_ok_and(|file| file.len() > 0));
        let daemon = office.start(1, mode, "", "", "  accounting interim interval 2 second\n");
        let mut feed = Feed::listen(&office.site);
        feed.say((0..50).map(|number| up(&name(number), "isp")));
        feed.say((0..50).map(|number| count(&name(number), totals(number))));
        wait_until("there are interims", seconds(30), || flags_of(&office.primary.heard(), WATCHDOG) >= 50);
        feed.say((0..50).map(|number| down(&name(number), 1)));
        feed.finish(seconds(30));
        wait_until("every STOP is recorded", seconds(30), || flags_of(&office.primary.heard(), STOP) >= 50);
        daemon.wait_until_quiet();
        daemon.terminate();
        let heard = office.primary.heard();
        let read = |filter: &str| {
            let output = Command::new("tshark")
                .arg("-r")
                .arg(&capture)
                .args(["-o", &format!("tacplus.key:{KEY}"), "-d", &format!("tcp.port=={port},tacplus"), "-Y", filter])
                .args(["-T", "fields", "-e", "tacplus.acct.flags", "-e", "_ws.expert.message"])
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let count = |text: &str| text.split(['\n', '\t', ',']).filter(|field| field.starts_with("0x")).count();
        // What was captured last is on its way to the file.
        wait_until("every request is dissected", seconds(30), || count(&read("tacplus.acct.flags")) >= heard.len());
        tshark.signal(Signal::INT);
        tshark.wait(seconds(20));
        assert_eq!(read("_ws.malformed || (tacplus && _ws.expert.severity == error)"), "", "{mode:?}");
    }
}
