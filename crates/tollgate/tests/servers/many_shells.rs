//! Shells at once, one of them stuck, and a daemon that is killed while one of them commits.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::common::{Daemon, Feed, FreeRadius, Site, Sitting, Terminal, down, free_port, seconds, up, wait_until};

/// Lines for a commit that takes its time.
fn groups(name: &str, count: usize) -> String {
    (0..count).map(|number| format!("radius-server group {name}{number}\n#\n")).collect()
}

/// What the kernel counts of a process's memory, octets.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Adds a scheme and commits it, however often somebody else was quicker.
fn configure(sitting: &mut Sitting, name: &str, seconds: usize) {
    for line in ["system-view", "aaa", &format!("accounting-scheme {name}")] {
        sitting.obey(line);
    }
    sitting.obey(&format!("accounting interim interval {seconds} second"));
    for _ in 0..1000 {
        let (said, is_error) = sitting.ask("commit");
        if !is_error {
            sitting.obey("return");
            return;
        }
        assert!(said.contains("refresh"), "{said}");
        sitting.obey("refresh configuration candidate");
    }
    panic!("{name}: somebody else was quicker each time");
}

#[test]
fn thirty_two_shells_work_beside_one_that_reads_nothing_and_accounting_goes_on() {
    const SOCKETS: usize = 28;
    const STUCK_LINES: usize = 100_000;
    const LONG: &str = "display current-configuration";
    let (site, port) = (Site::new(), free_port());
    let server = site.path("radius");
    site.configure_one(port, "", "  accounting interim interval 1 second\n");
    let text = std::fs::read_to_string(site.config()).unwrap().replace("#\nreturn\n", "#\n");
    std::fs::write(site.config(), text + &groups("g", 120) + "return\n").unwrap();
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    feed.say([up("before", "isp")]);
    daemon.wait_for_sessions(1, "Accounting");

    let mut sittings: Vec<Sitting> = (0..SOCKETS).map(|_| Sitting::open(&site)).collect();
    let terminals = ["one", "two", "three"].map(|name| Terminal::open(&site, name, (100, 30)));
    terminals[2].type_text("monitor accounting");
    terminals[2].press("Enter");
    let long = sittings[0].obey(LONG).len();

    // It asks and asks, and never looks at an answer.
    let mut stuck = Sitting::open(&site);
    let before = resident(daemon.id());
    stuck.say("monitor accounting");
    let mut asked = stuck.insist(LONG, STUCK_LINES);
    wait_until("the daemon takes no more", seconds(30), || {
        let more = stuck.insist(LONG, STUCK_LINES);
        asked += more;
        more == 0
    });
    assert!(asked < STUCK_LINES, "it is read no further than it reads");
    let (grown, answers) = (resident(daemon.id()).saturating_sub(before), asked * long);
    assert!(grown < 8 << 20, "{grown} octets more, for {answers} octets of answers that were asked for");

    feed.say([up("meanwhile", "isp")]);
    std::thread::scope(|scope| {
        for (number, sitting) in sittings.iter_mut().enumerate() {
            scope.spawn(move || {
                let name = format!("shell{number}");
                configure(sitting, &name, 100 + number);
                let shown = sitting.obey(&format!("display accounting-scheme {name}"));
                assert!(shown.contains(&format!("{}", 100 + number)), "{shown}");
                let shown = sitting.obey(LONG);
                assert!(shown.contains(&format!(" accounting-scheme {name}\n")), "{shown}");
                assert!(sitting.obey("display accounting health").contains("Sessions online"));
                assert!(sitting.obey("display access-user").contains("meanwhile@isp"));
            });
        }
    });
    for (number, terminal) in terminals[..2].iter().enumerate() {
        let view = format!("BNG1-aaa-accounting-tty{number}");
        terminal.line("system-view", "[~BNG1]");
        terminal.line("aaa", "[~BNG1-aaa]");
        terminal.line(&format!("accounting-scheme tty{number}"), &format!("[*{view}]"));
        terminal.line("commit", &format!("[~{view}]"));
        let last = format!("\n accounting-scheme shell{}\n[~{view}]", SOCKETS - 1);
        terminal.line("display current-configuration | include shell27$", &last);
    }
    terminals[2].wait_for("Sessions online                       : 2");

    feed.say([down("before", 1), down("meanwhile", 1)]);
    wait_until("both are accounted for to their ends", seconds(30), || FreeRadius::count(&server, "Stop") == 2);
    wait_until("the Stops are acknowledged", seconds(30), || daemon.states().is_empty());
    let detail = FreeRadius::detail(&server);
    for user in ["before@isp", "meanwhile@isp"] {
        assert!(
            detail.by_user("Start").contains_key(user) && detail.by_user("Interim-Update").contains_key(user),
            "{user}"
        );
    }
    terminals[2].press("q");
    terminals[2].wait_for_end("<BNG1>monitor accounting\n<BNG1>");

    // Nothing of what it asked for is lost, and it may go on.
    assert!(stuck.hear()["again"].as_bool().unwrap());
    drop(sittings);
    for _ in 0..asked {
        assert!(stuck.hear()["text"].as_str().unwrap().starts_with("sysname BNG1\n"));
    }
    configure(&mut stuck, "stuck", 99);
    feed.finish(seconds(30));
    daemon.terminate();
}

/// The configurations in the list of commits, without the comments that they begin with.
fn committed(state: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(state.join("commits")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|it| it == "cfg")).collect();
    files.sort_unstable();
    let without_comments = |path: PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter(|line| !line.starts_with('!')).map(|line| format!("{line}\n")).collect()
    };
    files.into_iter().map(without_comments).collect()
}

#[test]
fn a_commit_is_all_or_nothing_wherever_a_kill_falls() {
    const ROUNDS: u32 = 24;
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    let daemon = Daemon::start(&site, "auto");
    daemon.cli(&["save", "y"]).well();
    let old = std::fs::read_to_string(site.config()).unwrap();
    // A sitting that has changed much, and has only to commit.
    let ready = || {
        let mut sitting = Sitting::open(&site);
        for line in ["system-view", "sysname BNG2", "local-aaa-server", "undo local-bill-pool enable", "quit"] {
            sitting.obey(line);
        }
        for number in 0..40 {
            sitting.obey(&format!("radius-server group g{number}"));
            sitting.obey("quit");
        }
        sitting
    };
    let mut sitting = ready();
    let began = Instant::now();
    sitting.obey("commit label new");
    let whole = began.elapsed();
    let new = daemon.cli(&["display current-configuration"]).well();
    assert!(new.contains("radius-server group g39\n") && new != old);
    daemon.kill9();

    let mut listed = 0;
    let mut daemon = Daemon::start(&site, "auto");
    for round in 0..ROUNDS {
        let before = committed(&site.state()).iter().filter(|text| **text == new).count();
        let mut sitting = ready();
        sitting.say("commit label new");
        std::thread::sleep(whole * 3 * round / (2 * ROUNDS));
        daemon.kill9();
        assert_eq!(std::fs::read_to_string(site.config()).unwrap(), old, "nobody has saved");
        let commits = committed(&site.state());
        assert!(commits.iter().all(|text| *text == old || *text == new), "{commits:#?}");
        listed += commits.iter().filter(|text| **text == new).count() - before;

        daemon = Daemon::start(&site, "auto");
        assert_eq!(daemon.cli(&["display current-configuration"]).well(), old, "round {round}");
    }
    println!("{listed} of {ROUNDS} commits, which take {whole:?}, were written down before the kill");
    daemon.cli(&["rollback configuration to label new", "y", "save", "y"]).well();
    assert_eq!(daemon.cli(&["display current-configuration"]).well(), new);
    daemon.kill9();
    assert_eq!(std::fs::read_to_string(site.config()).unwrap(), new);
    let daemon = Daemon::start(&site, "auto");
    assert_eq!(daemon.cli(&["display current-configuration"]).well(), new);
    daemon.terminate();
}
