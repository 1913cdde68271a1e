//! The way of local bills: pool, CF card, bill server, replay. Real servers receive them, and real tools judge what arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::common::{Daemon, Detail, Feed, OpenSsh, Site, Totals};
use crate::common::{count, down, free_port, run_command, seconds, tollgate, up, wait_until};

/// Nobody answers, and no Stop is kept for later: what ends becomes a bill after six seconds at most.
const GROUP: &str = " radius-server retransmit 1 timeout 3\n undo radius-server accounting-stop-packet resend\n";
const SCHEME: &str = "  accounting start-fail online keep-accounting\n";

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
    let (manifests, files): (Vec<_>, Vec<_>) = all.into_iter().partition(|path| path.extension().unwrap() == "manifest");
    let beside = |file: &PathBuf| PathBuf::from(format!("{}.manifest", file.display()));
    assert_eq!(files.iter().map(beside).collect::<Vec<_>>(), manifests, "a file or a manifest is missing");
    for file in &files {
        let manifest: Value = serde_json::from_slice(&std::fs::read(beside(file)).unwrap()).unwrap();
        let sum = run_command(Command::new("sha256sum").arg(file)).well();
        assert_eq!(manifest["sha256"], sum.split(' ').next().unwrap(), "{manifest}");
        assert_eq!(manifest["file"], file.file_name().unwrap().to_str().unwrap(), "{manifest}");
    }
    if !files.is_empty() {
        let said = tollgate(["bills".as_ref(), "verify".as_ref()].into_iter().chain(files.iter().map(|file| file.as_os_str())));
        let said = said.well();
        assert_eq!(said.matches("complete and undamaged").count(), files.len(), "{said}");
    }
    files
}

/// The moment and the sequence in a file's name, `<stem>-<YYYYMMDDhhmmss><sequence>.lam`.
#[track_caller]
fn stamp_of<'a>(file: &'a Path, stem: &str) -> (&'a str, &'a str) {
    let name = file.file_name().unwrap().to_str().unwrap();
    let digits = name.strip_prefix(stem).and_then(|name| name.strip_prefix('-')).and_then(|name| name.strip_suffix(".lam"));
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
        (bill["session"].as_str().unwrap().to_owned(), (stop as u64, Totals::of_bill(bill)))
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
    let (site, server) = (Site::new(), OpenSsh::start());
    let lines = format!(
        " local-bill file-size 3\n local-bill cache backup-mode sftp\n{} bill-server host-key {}\n",
        server.lines("night"),
        server.another_fingerprint()
    );
    site.configure_bills(free_port(), GROUP, SCHEME, &lines);
    let daemon = Daemon::start(&site, "auto");
    make_bills(&site, &daemon, 0..SESSIONS);
    let bills = sessions_of(&daemon.bills());
    assert_eq!(bills.len() as u64, SESSIONS);
    println!("{}", daemon.cli(&["display local-bill information", "display local-bill configuration", "display local-bill cache 0 5"]).well());

    command(&daemon, &["local-bill cache backup"]);
    wait_until("the alarm comes", seconds(20), || daemon.logged("hwBillTransferFail") > 0);
    command(&daemon, &["local-bill cache backup"]);
    println!("{}", std::fs::read_to_string(site.path("daemon-auto.log")).unwrap());
    assert_eq!(bills_in(&daemon, "cache"), SESSIONS);
    assert_eq!(files_in(&server.inbox()), Vec::<PathBuf>::new());

    let pin = format!("bill-server host-key {}", server.fingerprint());
    command(&daemon, &[&pin, "commit"]);
    wait_for_bills(&daemon, "cache", 0);
    println!("{}", std::fs::read_to_string(site.path("daemon-auto.log")).unwrap());
    println!("{}", daemon.cli(&["display local-bill information", "display local-bill configuration", "display local-bill cache 0 5"]).well());
    assert_eq!(daemon.logged("hwBillTransferFail"), 1);
    let files = files_in(&server.inbox());
    println!("{files:?} {}", verify(&site));
    println!("{:?}", files.iter().map(|file| stamp_of(file, "night")).collect::<Vec<_>>());
    assert_eq!(stops_of(&detail_of(&files)), bills);
    panic!("look");
}
