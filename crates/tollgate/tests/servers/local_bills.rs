//! The way of local bills: pool, CF card, bill server, replay. Real servers receive them, and real tools judge what arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::common::{Daemon, Detail, Feed, FreeRadius, OpenSsh, Plan, Site, Tftpd, Totals};
use crate::common::{count, down, free_port, run_command, seconds, tollgate, up, wait_until};

/// Nobody answers, and no Stop is kept for later: what ends becomes a bill after six seconds at most.
const GROUP: &str = " radius-server retransmit 1 timeout 3\n undo radius-server accounting-stop-packet resend\n";
const SCHEME: &str = "  accounting start-fail online keep-accounting\n";

/// A domain whose sessions are only let in when their Start has failed: their bills are of another kind.
const PLAIN: &str = " accounting-scheme plain\n  accounting start-fail online\n domain plain\n  accounting-scheme plain\n  \
                     radius-server group isp\n";

/// What a session moves in its life.
fn moved(number: u64) -> Totals {
    Totals::of(number, number % 3)
}

/// Makes a bill of each of these sessions, in the pool.
fn make_bills(site: &Site, daemon: &Daemon, numbers: Range<u64>) {
    let expected = bills_in(daemon, "cache") + (numbers.end - numbers.start);
    let mut feed = Feed::listen(site);
    feed.say(numbers.clone().map(|number| up(&format!("s{number}"), "isp")));
    feed.say(numbers.flat_map(|number| {
        let name = format!("s{number}");
        [count(&name, moved(number)), down(&name, 1)]
    }));
    feed.finish(seconds(30));
    wait_for_bills(daemon, "cache", expected);
}

/// How many bills a store has, `cache` or `cfcard`.
fn bills_in(daemon: &Daemon, store: &str) -> u64 {
    let information = daemon.display("display local-bill information");
    information[store]["bills"].as_u64().unwrap_or_else(|| panic!("{store} in {information}"))
}

fn wait_for_bills(daemon: &Daemon, store: &str, expected: u64) {
    wait_until(&format!("{expected} bills are in {store}"), seconds(30), || bills_in(daemon, store) == expected);
}

/// Commands of the view of local bills, which must go well.
#[track_caller]
fn command(daemon: &Daemon, commands: &[&str]) -> String {
    daemon.cli(&[&["system-view", "local-aaa-server"], commands].concat()).well()
}

/// `tollgate bills verify --state-dir`, of a store that must be complete.
#[track_caller]
fn verify(site: &Site) -> String {
    let said = tollgate(["bills", "verify", "--state-dir", site.state().to_str().unwrap()]).well();
    assert!(said.ends_with("the store is complete and undamaged\n"), "{said}");
    said
}

/// The bill files in an inbox, ascending. Each has its manifest beside it, is what that says, and nothing else is there.
#[track_caller]
fn files_in(inbox: &Path) -> Vec<PathBuf> {
    let all: BTreeSet<PathBuf> = std::fs::read_dir(inbox).unwrap().map(|entry| entry.unwrap().path()).collect();
    let (manifests, files): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|path| path.extension().unwrap() == "manifest");
    let beside = |file: &PathBuf| PathBuf::from(format!("{}.manifest", file.display()));
    assert_eq!(files.iter().map(beside).collect::<Vec<_>>(), manifests, "a file or a manifest is missing");
    for file in &files {
        let manifest: Value = serde_json::from_slice(&std::fs::read(beside(file)).unwrap()).unwrap();
        let sum = run_command(Command::new("sha256sum").arg(file)).well();
        assert_eq!(manifest["sha256"], sum.split(' ').next().unwrap(), "{manifest}");
        assert_eq!(manifest["file"], file.file_name().unwrap().to_str().unwrap(), "{manifest}");
    }
    if !files.is_empty() {
        let said = tollgate(
            ["bills".as_ref(), "verify".as_ref()].into_iter().chain(files.iter().map(|file| file.as_os_str())),
        );
        let said = said.well();
        assert_eq!(said.matches("complete and undamaged").count(), files.len(), "{said}");
    }
    files
}

/// The moment and the sequence in a file's name, `<stem>-<YYYYMMDDhhmmss><sequence>.lam`.
#[track_caller]
fn stamp_of<'a>(file: &'a Path, stem: &str) -> (&'a str, &'a str) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let digits =
        name.strip_prefix(stem).and_then(|name| name.strip_prefix('-')).and_then(|name| name.strip_suffix(".lam"));
    let digits = digits.unwrap_or_else(|| panic!("{name} is no file of {stem}"));
    assert!(digits.len() == 17 && digits.bytes().all(|digit| digit.is_ascii_digit()), "{name}");
    digits.split_at(14)
}

/// What identifies a session, and what it moved.
type Sessions = BTreeMap<String, (u64, Totals)>;

/// By session id, the time and the totals of every Stop; each session once.
#[track_caller]
fn stops_of(detail: &Detail) -> Sessions {
    let mut stops = Sessions::new();
    for stop in detail.of("Stop") {
        let before = stops.insert(stop.session().to_owned(), (stop.event_time(), stop.totals()));
        assert_eq!(before, None, "a second Stop: {stop:?}");
    }
    stops
}

/// The same of bills.
fn sessions_of(bills: &[Value]) -> Sessions {
    let session = |bill: &Value| {
        let stop = bill["stop"].as_f64().unwrap();
        (bill["session"].as_str().unwrap().to_owned(), (Duration::from_secs_f64(stop).as_secs(), Totals::of_bill(bill)))
    };
    bills.iter().map(session).collect()
}

fn detail_of(files: &[PathBuf]) -> Detail {
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    Detail::parse(&texts.concat())
}

#[test]
fn bills_go_to_an_sftp_server_whose_key_is_pinned() {
    const SESSIONS: u64 = 10;
    let (site, server) = (Site::new(), OpenSsh::start(Plan::default()));
    let lines = format!(
        "{} bill-server host-key {}\n local-bill cache backup-mode sftp\n local-bill file-size 3\n",
        server.lines("night"),
        server.another_fingerprint()
    );
    site.configure_bills(free_port(), GROUP, SCHEME, &lines);
    let daemon = Daemon::start(&site, "auto");
    make_bills(&site, &daemon, 0..SESSIONS);
    let bills = sessions_of(&daemon.bills());
    assert_eq!(bills.len() as u64, SESSIONS);
    check_displays_of_a_full_pool(&daemon, &server, &bills);

    // Somebody else's key: nothing is said to that server, and one alarm, however often it is tried.
    command(&daemon, &["local-bill cache backup"]);
    let refused = "a bill file was not delivered";
    wait_until("the host key is refused", seconds(20), || daemon.logged(refused) == 1);
    command(&daemon, &["local-bill cache backup"]);
    wait_until("the host key is refused again", seconds(20), || daemon.logged(refused) == 2);
    assert_eq!(daemon.logged("hwBillTransferFail (Store=cache, Server=127.0.0.1, Reason=host key not accepted)"), 1);
    assert_eq!(files_in(&server.inbox()), Vec::<PathBuf>::new());
    assert_eq!(sessions_of(&daemon.bills()), bills);

    // The right one: what was asked for goes on by itself.
    let pin = format!("bill-server host-key {}", server.fingerprint());
    command(&daemon, &[&pin, "commit"]);
    wait_for_bills(&daemon, "cache", 0);
    assert_eq!((daemon.logged("hwBillTransferFail"), daemon.logged("the bill server takes files again")), (1, 1));
    let files = files_in(&server.inbox());
    let stamps: Vec<_> = files.iter().map(|file| stamp_of(file, "night")).collect();
    let moment = stamps[0].0;
    assert_eq!(stamps, ["001", "002", "003", "004"].map(|sequence| (moment, sequence)));
    assert_eq!(stops_of(&detail_of(&files)), bills);

    let shown = daemon.cli(&["display local-bill information", "display local-bill cache 0 5"]).well();
    let parts = ["Bills: 0 ", "Void-No: 49152", "Locked: No", "Total printed 0 bills from cache."];
    check_holds(&shown, &parts);
    check_is_refused(&daemon, "local-bill cache backup", "there are no bills");
    verify(&site);
    daemon.kill9();
    verify(&site);
    let daemon = Daemon::start(&site, "auto");
    assert_eq!((bills_in(&daemon, "cache"), daemon.bills().len()), (0, 0));
}

fn check_displays_of_a_full_pool(daemon: &Daemon, server: &OpenSsh, bills: &Sessions) {
    let displays =
        ["display local-bill information", "display local-bill configuration", "display local-bill cache 0 10"];
    let shown = daemon.cli(&displays).well();
    let pin = format!("Bill-Server-Host-Key      : {}", server.another_fingerprint());
    let parts = [
        "Bills: 10 ",
        "Void-No: 49142",
        "Locked: No",
        "Bill-Server               : 127.0.0.1\n",
        "Bill-Server-Filename      : night\n",
        "Cache-Backup-Mode         : sftp\n",
        "Bill-File-Size            : 3\n",
        &pin,
        // Session 4 has moved 2 * 2^32 octets down, and 2^32 up.
        "User-name                             : s4@isp\n",
        "User-received                     : Bytes=2@50124, Pkts=48\n",
        "User-sent                         : Bytes=1@1068, Pkts=14\n",
        "Total printed 10 bills from cache.",
    ];
    check_holds(&shown, &parts);
    assert_eq!(shown.matches("Contents of Bill ").count(), 10, "{shown}");
    let shown = daemon.cli(&["display local-bill cache 0 5"]).well();
    assert_eq!(shown.matches("Contents of Bill ").count(), 5, "{shown}");
    check_holds(&shown, &["Total printed 5 bills from cache."]);
    for row in daemon.display("display local-bill cache 0 5").as_array().unwrap() {
        assert!(bills.contains_key(row["session"].as_str().unwrap()), "{row}");
    }
}

#[track_caller]
fn check_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in:\n{text}");
    }
}

#[track_caller]
fn check_is_refused(daemon: &Daemon, action: &str, why: &str) {
    let said = daemon.cli(&["system-view", "local-aaa-server", action]);
    assert_eq!(said.code, Some(1), "{}", said.out);
    check_holds(&format!("{}{}", said.out, said.err), &[why]);
}

#[test]
fn the_card_keeps_bills_and_gives_them_to_a_tftp_server() {
    let (site, server) = (Site::new(), Tftpd::start("", "022"));
    let lines = format!("{} local-bill cfcard backup-mode tftp\n", server.lines("card"));
    site.configure_bills(free_port(), GROUP, SCHEME, &lines);
    let daemon = Daemon::start(&site, "auto");
    make_bills(&site, &daemon, 0..6);
    let bills = sessions_of(&daemon.bills());
    command(&daemon, &["local-bill cache backup"]);
    wait_for_bills(&daemon, "cfcard", 6);
    assert_eq!(bills_in(&daemon, "cache"), 0);
    assert!(std::fs::read_dir(site.state().join("cfcard")).unwrap().next().is_some());

    daemon.kill9();
    verify(&site);
    let daemon = Daemon::start(&site, "auto");
    wait_for_bills(&daemon, "cfcard", 6);
    assert_eq!(sessions_of(&daemon.bills()), bills);
    verify(&site);

    command(&daemon, &["local-bill cfcard backup April"]);
    wait_for_bills(&daemon, "cfcard", 0);
    let files = files_in(&server.inbox());
    let [file] = &files[..] else { panic!("one file: {files:?}") };
    assert_eq!(stamp_of(file, "April").1, "001");
    assert_eq!(stops_of(&detail_of(&files)), bills);
    check_is_refused(&daemon, "local-bill cfcard backup", "there are no bills");
    verify(&site);

    make_bills(&site, &daemon, 6..10);
    command(&daemon, &["local-bill cache backup"]);
    wait_for_bills(&daemon, "cfcard", 4);
    check_a_card_that_was_emptied_by_hand(&site);
    command(&daemon, &["local-bill cfcard reset", "N"]);
    assert_eq!(bills_in(&daemon, "cfcard"), 4);
    command(&daemon, &["local-bill cfcard reset", "Y"]);
    wait_for_bills(&daemon, "cfcard", 0);
    assert_eq!(daemon.logged("the CF card was reset bills=4"), 1);
    daemon.wait_until_quiet();
    verify(&site);
    daemon.kill9();
    verify(&site);
    let daemon = Daemon::start(&site, "auto");
    assert_eq!((bills_in(&daemon, "cfcard"), daemon.bills().len()), (0, 0));
    assert_eq!(files_in(&server.inbox()), files);
}

/// A copy of the store, whose card has lost its bills: no reset told of that, so they are missed.
fn check_a_card_that_was_emptied_by_hand(site: &Site) {
    let copy = site.path("copy");
    assert!(Command::new("cp").arg("-r").args([&site.state(), &copy]).status().unwrap().success());
    for entry in std::fs::read_dir(copy.join("cfcard")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let said = tollgate(["bills", "verify", "--state-dir", copy.to_str().unwrap()]);
    check_holds(&said.out, &["4 bills are missing"]);
    said.refused(1, &["damaged or incomplete"]);
}

#[test]
fn bills_are_replayed_to_a_server_that_has_come_back() {
    const SESSIONS: u64 = 100;
    let (site, port) = (Site::new(), free_port());
    let directory = site.path("radius");
    site.configure_bills(port, GROUP, &[SCHEME, PLAIN].concat(), "");
    let daemon = Daemon::start(&site, "auto");
    make_bills(&site, &daemon, 0..SESSIONS);
    let bills = sessions_of(&daemon.bills());
    assert_eq!(bills.len() as u64, SESSIONS);
    // One whose Start was never acknowledged.
    let mut feed = Feed::listen(&site);
    feed.say([up("odd", "plain")]);
    daemon.wait_for_sessions(1, "Start-failed");
    feed.say([down("odd", 1)]);
    feed.finish(seconds(30));
    wait_for_bills(&daemon, "cache", SESSIONS + 1);

    // Switched off by default: the server is back, answers, and hears of none of them.
    let _radius = FreeRadius::start(&directory, port);
    let mut feed = Feed::listen(&site);
    feed.say([up("herald", "isp")]);
    wait_until("the server answers", seconds(30), || FreeRadius::detail(&directory).count("Start") == 1);
    daemon.wait_for_sessions(1, "Accounting");
    assert_eq!((FreeRadius::detail(&directory).count("Stop"), bills_in(&daemon, "cache")), (0, SESSIONS + 1));

    command(&daemon, &["local-bill cache replay enable", "commit"]);
    wait_for_bills(&daemon, "cache", 1);
    assert_eq!(stops_of(&FreeRadius::detail(&directory)), bills);
    for stop in FreeRadius::detail(&directory).of("Stop") {
        assert!(stop.number("Acct-Delay-Time") >= 3, "its server was silent: {stop:?}");
    }
    assert_eq!(daemon.bills()[0]["reason"], "start-failed");
    command(&daemon, &["local-bill cache replay enable start-failed", "commit"]);
    wait_for_bills(&daemon, "cache", 0);
    feed.say([down("herald", 1)]);
    feed.finish(seconds(30));
    daemon.wait_for_sessions(0, "");
    daemon.wait_until_quiet();
    daemon.kill9();
    verify(&site);
    let daemon = Daemon::start(&site, "auto");
    assert!(daemon.bills().is_empty());
    daemon.terminate();
    let mut stops = stops_of(&FreeRadius::detail(&directory));
    stops.retain(|session, _| !bills.contains_key(session));
    assert_eq!(stops.len(), 2, "no other Stops but these two have come, of the one whose Start failed and the herald");
}

#[test]
fn a_detail_reader_takes_what_was_uploaded() {
    const SESSIONS: u64 = 25;
    let (site, server) = (Site::new(), Tftpd::start("", "022"));
    let lines = format!("{} local-bill cache backup-mode tftp\n local-bill file-size 10\n", server.lines("bills"));
    site.configure_bills(free_port(), GROUP, SCHEME, &lines);
    let daemon = Daemon::start(&site, "auto");
    make_bills(&site, &daemon, 0..SESSIONS);
    let bills = sessions_of(&daemon.bills());
    command(&daemon, &["local-bill cache backup"]);
    wait_for_bills(&daemon, "cache", 0);
    assert_eq!(files_in(&server.inbox()).len(), 3);

    let directory = site.path("radius");
    let pattern = format!("{}/*.lam", server.inbox().display());
    let _radius = FreeRadius::start_reading(&directory, free_port(), &pattern);
    wait_until("the reader has taken everything", seconds(30), || {
        FreeRadius::detail(&directory).count("Stop") as u64 >= SESSIONS
    });
    let detail = FreeRadius::detail(&directory);
    assert_eq!(stops_of(&detail), bills);
    for stop in detail.of("Stop") {
        assert_eq!(stop.text("NAS-Identifier"), "BNG1");
        // The reader adds the time that has passed.
        assert!(stop.number("Acct-Delay-Time") >= 3, "{stop:?}");
    }
    wait_until("the files are used up", seconds(30), || {
        let names = std::fs::read_dir(server.inbox()).unwrap().map(|entry| entry.unwrap().path());
        names.into_iter().all(|path| path.extension().is_some_and(|extension| extension == "manifest"))
    });
    assert_eq!(stops_of(&FreeRadius::detail(&directory)), bills);
}

/// A directory that is mounted at another place. Dropped, it is unmounted.
struct Mount {
    at: PathBuf,
}

impl Mount {
    /// # Panics
    /// Without the right to mount: root has it.
    fn new(arguments: &[&str], at: PathBuf) -> Mount {
        assert!(rustix::process::geteuid().is_root(), "this test mounts a file system: it has to be run as root");
        std::fs::create_dir_all(&at).unwrap();
        run_command(Command::new("mount").args(arguments).arg(&at)).well();
        Mount { at }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Whoever still has a file open loses it when he ends.
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

#[test]
fn a_card_that_is_pulled_out_costs_no_bill() {
    const FAILING: &str = "the CF card cannot be used";
    let site = Site::new();
    site.configure_bills(free_port(), GROUP, SCHEME, "");
    let stored = site.path("stored");
    std::fs::create_dir_all(stored.join("card")).unwrap();
    let slot = site.path("slot");
    let put_in = || Mount::new(&["--bind", stored.to_str().unwrap()], slot.clone());
    let card = slot.join("card");
    let start = || Daemon::start_told(&site, "auto", &["--card-dir", card.to_str().unwrap()]);

    // Out while nothing was written to it: bills stay in the pool, with one alarm.
    let mount = put_in();
    let daemon = start();
    make_bills(&site, &daemon, 0..5);
    let bills = sessions_of(&daemon.bills());
    drop(mount);
    command(&daemon, &["local-bill cache backup"]);
    wait_until("the card is missed", seconds(20), || daemon.logged(FAILING) == 1);
    command(&daemon, &["local-bill cache backup"]);
    wait_until("the card is missed again", seconds(20), || daemon.logged("slot/card") > 1);
    assert_eq!((bills_in(&daemon, "cache"), bills_in(&daemon, "cfcard"), daemon.logged(FAILING)), (5, 0, 1));
    assert_eq!(sessions_of(&daemon.bills()), bills);

    // In again: what was asked for goes on by itself.
    let mount = put_in();
    wait_for_bills(&daemon, "cfcard", 5);
    assert_eq!((bills_in(&daemon, "cache"), daemon.logged("the CF card can be used again")), (0, 1));
    verify(&site);

    // Out while the box is off: its bills are away, and known to be on the card.
    daemon.terminate();
    drop(mount);
    let daemon = start();
    wait_until("the card is missed", seconds(20), || daemon.logged(FAILING) == 1);
    assert_eq!((bills_in(&daemon, "cache"), bills_in(&daemon, "cfcard")), (0, 0));
    verify(&site);
    let _mount = put_in();
    wait_for_bills(&daemon, "cfcard", 5);
    assert_eq!(sessions_of(&daemon.bills()), bills);
    verify(&site);
}
