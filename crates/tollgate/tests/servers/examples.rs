//! The vendor's own examples, typed on a terminal as they stand, on a box that has the name that they show.

use crate::common::{Daemon, Feed, OpenSsh, Plan, Site, Terminal, down, free_port, seconds, up, wait_until};

/// Gives the box the name that the examples show.
fn call_it_huawei(site: &Site) {
    let text = std::fs::read_to_string(site.config()).unwrap();
    std::fs::write(site.config(), text.replace("sysname BNG1", "sysname HUAWEI")).unwrap();
}

/// What leads through one command, and what an operator looks at afterwards. A further example is a further row: its name, and
/// its transcript as [`Terminal::transcript`] takes it.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "accounting interim-fail",
        "
<HUAWEI> system-view
Enter system view, return user view with return command.
[~HUAWEI] aaa
[~HUAWEI-aaa] accounting-scheme scheme1
[*HUAWEI-aaa-accounting-scheme1] accounting realtime 3
[*HUAWEI-aaa-accounting-scheme1] accounting interim-fail max-times 5 offline
[*HUAWEI-aaa-accounting-scheme1] commit
[~HUAWEI-aaa-accounting-scheme1] display this
#
 accounting-scheme scheme1
  accounting realtime 3
  accounting interim-fail max-times 5 offline
#
return
[~HUAWEI-aaa-accounting-scheme1] undo accounting interim-fail
[*HUAWEI-aaa-accounting-scheme1] display configuration candidate changes
 aaa
  accounting-scheme scheme1
-  accounting interim-fail max-times 5 offline
[*HUAWEI-aaa-accounting-scheme1]",
    ),
    (
        "accounting interim interval",
        "
<HUAWEI> system-view
Enter system view, return user view with return command.
[~HUAWEI] aaa
[~HUAWEI-aaa] accounting-scheme huawei
[*HUAWEI-aaa-accounting-huawei] accounting interim interval 100
[*HUAWEI-aaa-accounting-huawei] commit
[~HUAWEI-aaa-accounting-huawei] display this
#
 accounting-scheme huawei
  accounting interim interval 100
#
return
[~HUAWEI-aaa-accounting-huawei] undo accounting interim interval
[*HUAWEI-aaa-accounting-huawei] commit
[~HUAWEI-aaa-accounting-huawei] display this
#
 accounting-scheme huawei
#
return
[~HUAWEI-aaa-accounting-huawei]",
    ),
    (
        "hwtacacs-server accounting-stop-packet resend",
        "
<HUAWEI> system-view
Enter system view, return user view with return command.
[~HUAWEI] hwtacacs-server accounting-stop-packet resend enable 50
[*HUAWEI] commit
[~HUAWEI] hwtacacs-server accounting-stop-packet resend disable
[*HUAWEI] display configuration candidate changes
-hwtacacs-server accounting-stop-packet resend enable 50
+hwtacacs-server accounting-stop-packet resend disable
[*HUAWEI] commit
[~HUAWEI] undo hwtacacs-server accounting-stop-packet resend
[*HUAWEI] display configuration candidate changes
-hwtacacs-server accounting-stop-packet resend disable
[*HUAWEI] commit
[~HUAWEI] display hwtacacs-server accounting-stop-packet all
…
  Whole accounting stop packet to resend:0
[~HUAWEI]",
    ),
];

#[test]
fn examples_of_commands_are_typed_as_they_stand() {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    call_it_huawei(&site);
    for (name, transcript) in EXAMPLES {
        let daemon = Daemon::start(&site, "auto");
        Terminal::open(&site, &name.replace(' ', "-"), (120, 50)).transcript(transcript);
        daemon.terminate();
    }
}

/// Steps 1 to 7, and the checks of a box without bills. `{…}` is what stands for a parameter of the procedure here.
const PROCEDURE: &str = "
<HUAWEI> system-view
Enter system view, return user view with return command.
[~HUAWEI] local-aaa-server
[~HUAWEI-local-aaa-server] local-bill-pool enable
[*HUAWEI-local-aaa-server] {bill-server}
[*HUAWEI-local-aaa-server] bill-server host-key {host-key}
[*HUAWEI-local-aaa-server] local-bill cache backup-mode none
[*HUAWEI-local-aaa-server] local-bill cache backup-mode tftp
[*HUAWEI-local-aaa-server] local-bill cache backup-mode sftp
[*HUAWEI-local-aaa-server] local-bill cfcard backup-mode tftp
[*HUAWEI-local-aaa-server] local-bill cfcard backup-mode sftp
[*HUAWEI-local-aaa-server] local-bill cache backup-interval 60
[*HUAWEI-local-aaa-server] local-bill cfcard backup-interval 120
[*HUAWEI-local-aaa-server] local-bill cache alarm-threshold 80
[*HUAWEI-local-aaa-server] local-bill cfcard alarm-threshold 85
[*HUAWEI-local-aaa-server] local-bill cfcard reset
Warning: …
Are you sure to continue? [Y/N]: y
[*HUAWEI-local-aaa-server] commit
[~HUAWEI-local-aaa-server] display local-bill configuration
Bill-Pool                 : Enable
Bill-Server               : 127.0.0.1
Bill-Server-Filename      : night
Bill-Server-User / Port   : {user} / {port}
Cache-Backup-Mode         : sftp
Cache-Backup-Interval(min): 60
Cache-Alarm-Threshold     : 80%
Cfcard-Backup-Mode        : sftp
Cfcard-Backup-Interval(min): 120
Cfcard-Alarm-Threshold    : 85%
…
[~HUAWEI-local-aaa-server] display local-bill information
Cache-Used-Information:
  Bills: 0                Void-No: 49152
  Max-Volume: 49152       Alarm-Threshold: 80%(39321)
  Bill-Size: 296          Locked: No
Cfcard or Hd-Bill-Information:
  Bills-Num: 0            Max-Volume: 235410
  Alarm-Threshold: 85%(200098)
…
[~HUAWEI-local-aaa-server] display local-bill cache 0 10
Total printed 0 bills from cache.
[~HUAWEI-local-aaa-server] local-bill cache backup
Error: there are no bills.
[~HUAWEI-local-aaa-server] local-bill cfcard backup
Error: there are no bills.
[~HUAWEI-local-aaa-server]";

/// The checks of a box with two bills, and both ways that bills are moved by hand: this one first.
const MOVED_FROM_THE_POOL: &str = "
[~HUAWEI-local-aaa-server] display local-bill information
Cache-Used-Information:
  Bills: 2                Void-No: 49150
…
[~HUAWEI-local-aaa-server] display local-bill cache 1 1
Contents of Bill 1:
…
  User-name                             : s…
…
Total printed 1 bills from cache.
[~HUAWEI-local-aaa-server] local-bill cache backup
[~HUAWEI-local-aaa-server]";

/// The pool's bills go to the card instead.
const TO_THE_CARD: &str = "
[~HUAWEI-local-aaa-server] undo local-bill cache backup-mode
[*HUAWEI-local-aaa-server] commit
[~HUAWEI-local-aaa-server] local-bill cache backup
[~HUAWEI-local-aaa-server]";

const MOVED_FROM_THE_CARD: &str = "
[~HUAWEI-local-aaa-server] local-bill cfcard backup April
[~HUAWEI-local-aaa-server]";

/// Step 6 with bills on the card: first by mistake.
const RESET: &str = "
[~HUAWEI-local-aaa-server] local-bill cfcard reset
Warning: …
Are you sure to continue? [Y/N]: n
[~HUAWEI-local-aaa-server] local-bill cfcard reset
Warning: …
Are you sure to continue? [Y/N]: y
[~HUAWEI-local-aaa-server] return
<HUAWEI>";

#[test]
fn local_bills_are_configured_checked_and_moved_by_the_procedure() {
    let (site, server) = (Site::new(), OpenSsh::start(Plan::default()));
    // A server that never answers, and no pool until there is one: what ends becomes a bill then.
    let without_pool = "undo local-bill-pool enable\n";
    let group = " radius-server retransmit 1 timeout 3\n undo radius-server accounting-stop-packet resend\n";
    site.configure_bills(free_port(), group, "  accounting start-fail online keep-accounting\n", without_pool);
    call_it_huawei(&site);
    let daemon = Daemon::start(&site, "auto");
    let terminal = Terminal::open(&site, "one", (140, 50));
    let parameters = [
        ("{bill-server}", server.command("night")),
        ("{host-key}", server.fingerprint()),
        ("{user}", server.user().to_owned()),
        ("{port}", server.port.to_string()),
    ];
    let procedure = parameters.iter().fold(PROCEDURE.to_owned(), |text, (name, value)| text.replace(name, value));
    terminal.transcript(&procedure);

    let bills = |store: &str| daemon.display("display local-bill information")[store]["bills"].as_u64();
    let wait_for_bills = |store: &str, expected: u64| {
        wait_until(&format!("{expected} bills are in {store}"), seconds(30), || bills(store) == Some(expected));
    };
    let make_bills = || {
        let mut feed = Feed::listen(&site);
        feed.say(["s0", "s1"].map(|name| up(name, "isp")));
        feed.say(["s0", "s1"].map(|name| down(name, 1)));
        feed.finish(seconds(30));
        wait_for_bills("cache", 2);
    };
    let files = || {
        let names = std::fs::read_dir(server.inbox()).unwrap().map(|entry| entry.unwrap().file_name().into_string());
        let mut names: Vec<String> = names.map(Result::unwrap).filter(|name| name.ends_with(".lam")).collect();
        names.sort_unstable();
        names
    };
    make_bills();
    terminal.transcript(MOVED_FROM_THE_POOL);
    wait_for_bills("cache", 0);
    let [night] = &files()[..] else { panic!("one file: {:?}", files()) };
    assert!(night.starts_with("night-") && night.ends_with("001.lam"), "{night}");

    make_bills();
    terminal.transcript(TO_THE_CARD);
    wait_for_bills("cfcard", 2);
    terminal.transcript(MOVED_FROM_THE_CARD);
    wait_for_bills("cfcard", 0);
    let found = files();
    assert!(found.len() == 2 && found[0].starts_with("April-"), "{found:?}");

    make_bills();
    terminal.transcript("[~HUAWEI-local-aaa-server] local-bill cache backup\n[~HUAWEI-local-aaa-server]");
    wait_for_bills("cfcard", 2);
    terminal.transcript(RESET);
    wait_for_bills("cfcard", 0);
    assert_eq!(files(), found, "what was deleted went nowhere");
    daemon.terminate();
}
