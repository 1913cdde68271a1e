//! The shell: on a terminal, and several beside each other (BEHAVIOUR.md 2).

use std::io::{BufRead, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::common::{
    Daemon, Feed, FreeRadius, Signal, Site, Sitting, Terminal, down, free_port, run_command, seconds, tollgate, up,
    wait_until,
};

fn site() -> Site {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    site
}

#[test]
fn a_terminal_edits_completes_and_helps() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let terminal = Terminal::open(&site, "one", (100, 40));
    terminal.type_text("dis");
    terminal.press("Tab");
    terminal.wait_for_end("<BNG1>display");
    terminal.type_text("acc?");
    terminal.wait_for("  accounting-scheme  Accounting schemes\n");
    terminal.wait_for_end("<BNG1>display acc");
    terminal.press("C-c");
    terminal.line("system-view", "Enter system view, return user view with return command.\n[~BNG1]");
    terminal.line("aaa", "[~BNG1-aaa]");
    terminal.line("accounting-scheme s9", "[*BNG1-aaa-accounting-s9]");
    let caret = " ".repeat("[*BNG1-aaa-accounting-s9]accounting realtime ".len());
    let wrong = "Error: Wrong parameter found at '^' position.";
    terminal.line("accounting realtime 70000", &format!("{caret}^\n{wrong}\n[*BNG1-aaa-accounting-s9]"));
    terminal.press("Up");
    terminal.wait_for_end("]accounting realtime 70000");
    for _ in 0.."0000".len() {
        terminal.press("BSpace");
    }
    terminal.press("Enter");
    terminal.wait_for_end("]accounting realtime 7\n[*BNG1-aaa-accounting-s9]");
    // What stands behind the cursor stays there.
    terminal.type_text("accounting 5");
    terminal.press("Left");
    terminal.type_text("interim interval ?");
    terminal.wait_for("  INTEGER<0-65535>");
    terminal.wait_for_end("]accounting interim interval 5");
    terminal.press("Enter");
    terminal.line("commit", "]commit\n[~BNG1-aaa-accounting-s9]");
    terminal.press("C-z");
    terminal.wait_for_end("\n<BNG1>");
    assert!(daemon.cli(&["display current-configuration"]).well().contains("  accounting interim interval 5\n"));
    terminal.line("quit", "<BNG1>quit\nended with 0");
    daemon.terminate();
}

#[test]
fn help_behind_a_wrong_word_says_what_is_wrong() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let terminal = Terminal::open(&site, "one", (100, 40));
    terminal.type_text("display nonsense ?");
    let caret = " ".repeat("<BNG1>display ".len());
    let wrong = "Error: Unrecognized command found at '^' position.";
    terminal.wait_for_end(&format!("\n{caret}^\n{wrong}\n<BNG1>display nonsense"));
    terminal.press("C-u");
    terminal.type_text("screen-length 600?");
    let caret = " ".repeat("<BNG1>screen-length ".len());
    let wrong = "Error: Wrong parameter found at '^' position.";
    terminal.wait_for_end(&format!("\n{caret}^\n{wrong}\n<BNG1>screen-length 600"));
    daemon.terminate();
}

#[test]
fn what_is_pasted_is_obeyed_line_by_line() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let terminal = Terminal::open(&site, "one", (100, 40));
    let schemes = (0..60).map(|number| format!("accounting-scheme s{number}\naccounting realtime {number}\nquit\n"));
    terminal.paste(&format!("system-view\naaa\n{}commit\n", schemes.collect::<String>()));
    terminal.wait_for_end("]commit\n[~BNG1-aaa]");
    let text = daemon.cli(&["display current-configuration | include realtime"]).well();
    // 0 is the default.
    assert_eq!(text.lines().count(), 59, "{text}");
    daemon.terminate();
}

#[test]
fn what_a_subscriber_says_moves_no_cursor_and_a_caret_stands_behind_a_secret() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    let mut hostile = up("s1", "isp");
    hostile["user"] = "al\u{1b}]0;owned\u{7}ice\r\nFAKE\u{202e}@isp".into();
    feed.say([hostile]);
    daemon.wait_for_sessions(1, "Starting");
    let text = daemon.cli(&["display access-user"]).well();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}'), "{text:?}");
    assert!(text.contains("al\\u{1b}]0;owned\\u{7}ice\\r\\nFAKE\\u{202e}@isp"), "{text}");
    let terminal = Terminal::open(&site, "one", (120, 30));
    terminal.line("system-view", "[~BNG1]");
    terminal.line("radius-server group g1", "[*BNG1-radius-g1]");
    let line = "radius-server accounting 192.0.2.1 1813 shared-key foo weight ";
    let caret = " ".repeat("[*BNG1-radius-g1]".len() + line.len());
    let wrong = "Error: Wrong parameter found at '^' position.";
    terminal.line(&format!("{line}999"), &format!("{caret}^\n{wrong}\n[*BNG1-radius-g1]"));
    // What may hold a secret is not gone back to.
    terminal.press("Up");
    terminal.wait_for_end("[*BNG1-radius-g1]radius-server group g1");
    terminal.press("Up");
    terminal.wait_for_end("[*BNG1-radius-g1]system-view");
    drop(feed);
    daemon.terminate();
}

#[test]
fn leaving_asks_on_a_terminal() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let terminal = Terminal::open(&site, "one", (120, 40));
    let question = "commit them before exiting? [Y(yes)/N(no)/C(cancel)]:";
    terminal.line("system-view", "[~BNG1]");
    terminal.line("sysname BNG2", "[*BNG1]");
    terminal.press("C-z");
    terminal.wait_for_end(question);
    terminal.line("c", "c\n[*BNG1]");
    terminal.press("C-z");
    terminal.wait_for_end(question);
    terminal.line("what", "before pressing 'Enter'. [Y/N/C]:");
    terminal.line("n", "n\n<BNG1>");
    terminal.line("system-view", "[~BNG1]");
    terminal.line("sysname BNG2", "[*BNG1]");
    terminal.line("quit", question);
    terminal.line("y", "y\n<BNG2>");
    terminal.line("save", "Are you sure to continue? [Y/N]:");
    terminal.line("y", "Info: The configuration was saved.\n<BNG2>");
    assert!(std::fs::read_to_string(site.config()).unwrap().starts_with("sysname BNG2\n"));
    daemon.terminate();
}

#[test]
fn a_long_display_waits_for_a_key() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let terminal = Terminal::open(&site, "one", (80, 10));
    terminal.line("display current-configuration", "  ---- More ----");
    let shown = terminal.visible();
    assert_eq!(shown.lines().count(), 10, "the screen is full:\n{shown}");
    terminal.press("Enter");
    terminal.wait_for("plane-link path");
    terminal.resize(80, 20);
    terminal.press("Space");
    terminal.wait_for("radius-server group isp");
    terminal.press("q");
    terminal.wait_for_end("<BNG1>");
    assert!(!terminal.screen().contains("\nreturn"), "the end was not asked for");
    terminal.line("display current-configuration | include sysname", "\nsysname BNG1\n<BNG1>");
    terminal.line("screen-length 0 temporary", "temporary\n<BNG1>");
    terminal.line("display current-configuration", "\nreturn\n<BNG1>");
    daemon.terminate();
}

#[test]
fn a_trial_is_rolled_back_and_commits_are_gone_back_to() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let one = Terminal::open(&site, "one", (120, 40));
    let other = Terminal::open(&site, "other", (120, 40));
    one.line("system-view", "[~BNG1]");
    one.line("sysname TRIAL", "[*BNG1]");
    one.line("commit trial 3600 label L1 description a new  name", "[~TRIAL]");
    other.line("display configuration trial status", "<TRIAL>");
    other.wait_for("ACTIVE");
    other.line("system-view", "[~TRIAL]");
    other.line("sysname OTHER", "[*TRIAL]");
    let said = daemon.cli(&["save", "y"]);
    assert!(said.out.contains("Error: a trial commit is not confirmed"), "{}{}", said.out, said.err);
    one.line("commit trial 7200", "[~TRIAL]");
    let left = daemon.display("display configuration trial status")["remaining_s"].as_u64();
    assert!(left.is_some_and(|left| left > 3_600), "its time began anew: {left:?}");
    one.line("abort trial", "Info: The trial commit was rolled back.\n[~BNG1]");
    one.line("commit", "Error: the trial commit was rolled back before it was confirmed.\n[~BNG1]");
    one.line("commit", "commit\n[~BNG1]");
    other.line("commit", "refresh or clear the configuration candidate first.\n[*BNG1]");
    other.line("refresh configuration candidate", "[*BNG1]");
    other.line("commit label L2", "[~OTHER]");
    one.line("return", "<OTHER>");
    one.line("lock configuration", "nobody else can commit.\n<OTHER>");
    other.line("sysname OTHER2", "[*OTHER]");
    other.line("commit", "is locked by user root; try again later.\n[*OTHER]");
    other.line("return", "[Y(yes)/N(no)/C(cancel)]:");
    other.line("c", "[*OTHER]");
    one.line("unlock configuration", "<OTHER>");
    other.line("commit", "[~OTHER2]");
    one.line("rollback configuration to label L1", "[Y/N]:");
    one.line("y", "Info: The configuration was rolled back.\n<TRIAL>");
    one.line("rollback configuration last 1", "[Y/N]:");
    one.line("y", "Info: The configuration was rolled back.\n<OTHER2>");
    daemon.kill9();

    let daemon = Daemon::start(&site, "auto");
    let list = daemon.display("display configuration commit list");
    let told: Vec<_> =
        list["commits"].as_array().unwrap().iter().map(|row| (&row["label"], &row["description"])).collect();
    assert_eq!(list["total"], 8, "with what either life began with: {list:#}");
    assert_eq!(told[6], (&"L1".into(), &"a new  name".into()));
    assert_eq!(told[5], (&serde_json::Value::Null, &"roll-back of a trial".into()));
    assert_eq!(told[0].1, "startup configuration");
    assert!(daemon.cli(&["display current-configuration"]).well().contains("sysname BNG1"), "nobody saved");
    daemon.terminate();
}

/// In `scripts/test --full`: a trial lasts a minute at least.
#[test]
fn a_trial_that_nobody_confirms_ends() {
    if std::env::var("TOLLGATE_TEST_FULL").as_deref() != Ok("1") {
        return;
    }
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    daemon.cli(&["system-view", "sysname TRIAL", "commit trial 60"]).well();
    assert!(daemon.cli(&["display current-configuration"]).well().contains("sysname TRIAL"), "its shell has gone");
    wait_until("the trial is rolled back", seconds(90), || {
        daemon.cli(&["display current-configuration"]).well().contains("sysname BNG1")
    });
    assert_eq!(daemon.display("display configuration trial status")["active"], false);
    daemon.terminate();
}

#[test]
fn who_asked_for_what_in_vain_is_in_the_log_as_well() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let mut one = Sitting::open(&site);
    let mut other = Sitting::open(&site);
    for line in ["system-view", "sysname ONE"] {
        one.obey(line);
    }
    for line in ["system-view", "sysname OTHER", "commit"] {
        other.obey(line);
    }
    let refused = |daemon: &Daemon, parts: &[&str]| {
        let log = daemon.log();
        let is_it = |line: &&str| line.contains("it was refused") && parts.iter().all(|part| line.contains(part));
        log.lines().filter(is_it).count()
    };
    assert!(one.ask("commit").1);
    assert_eq!(refused(&daemon, &["user=\"root\"", "command=\"commit\"", "was changed by another user"]), 1);
    one.obey("refresh configuration candidate");
    // Only the daemon finds out that it cannot be had.
    one.obey(&format!("plane-link path {}", site.config().display()));
    one.obey("radius-server group g1");
    one.obey("radius-server shared-key Zq9");
    assert!(one.ask("commit label L9").1);
    assert_eq!(refused(&daemon, &["command=\"commit label L9\"", "the plane link cannot be bound"]), 1);
    other.obey("return");
    other.obey("lock configuration");
    assert!(one.ask("commit").1);
    assert_eq!(refused(&daemon, &["command=\"commit\"", "is locked by user root"]), 1);
    assert!(other.ask("abort trial").1);
    assert_eq!(refused(&daemon, &["command=\"abort trial\"", "no trial commit is under way"]), 1);
    for line in ["system-view immediately", "local-aaa-server"] {
        other.obey(line);
    }
    other.obey("bill-server 192.0.2.9 filename f user-name u password cipher Zq9 22");
    assert!(other.ask("local-bill cfcard backup").1);
    assert_eq!(refused(&daemon, &["command=\"local-bill cfcard backup\"", "why="]), 1);
    assert_eq!(daemon.logged("Zq9"), 0);
    daemon.terminate();
}

#[test]
fn a_group_of_the_system_has_its_level() {
    let site = site();
    let open = |mode| std::fs::set_permissions(site.directory.path(), PermissionsExt::from_mode(mode)).unwrap();
    open(0o755);
    let (nobody, nogroup) = (65_534, 65_534);
    let program = site.path("tollgate");
    std::fs::copy(env!("CARGO_BIN_EXE_tollgate"), &program).unwrap();
    let daemon = Daemon::start(&site, "auto");
    let try_it = |commands: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["cli", "--control"]).arg(site.control()).uid(nobody).gid(nogroup);
        run_command(command.args(commands.iter().flat_map(|command| ["-c", command])))
    };
    let said = try_it(&["display version"]);
    assert!(said.err.contains("Permission denied"), "{}{}", said.out, said.err);
    daemon.cli(&["system-view", "control-socket group root level management", "commit"]).well();
    let said = try_it(&["display version"]);
    assert!(
        said.out.contains("do not belong to a group") || said.err.contains("do not belong"),
        "{}{}",
        said.out,
        said.err
    );
    daemon.cli(&["system-view", "control-socket group nogroup level configuration", "commit"]).well();
    try_it(&["display version"]).well();
    let said = try_it(&["display local-bill information"]);
    assert!(said.out.contains("You do not have permission"), "{}{}", said.out, said.err);
    try_it(&["system-view", "radius-server group g9", "radius-server shared-key Zq9", "commit"]).well();
    assert_eq!(daemon.logged("user=\"nobody\" uid=65534"), 3, "who did what is in the log");
    assert_eq!(daemon.logged("command=\"radius-server shared-key ******\""), 1);
    assert_eq!(daemon.logged("Zq9"), 0);
    // Who sits there when the group goes is sent away.
    let mut child = Command::new(&program)
        .args(["cli", "--control"])
        .arg(site.control())
        .uid(nobody)
        .gid(nogroup)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = child.stdin.take().unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    typed.write_all(b"display version\n").unwrap();
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("Tollgate"), "{line}");
    daemon.cli(&["system-view", "undo control-socket group nogroup", "commit"]).well();
    typed.write_all(b"display version\n").unwrap();
    line.clear();
    said.read_line(&mut line).unwrap();
    assert!(line.contains("do not belong"), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    daemon.cli(&["system-view", "control-socket group nogroup level configuration", "commit"]).well();
    daemon
        .cli(&["system-view", "undo control-socket group nogroup", "undo control-socket group root", "commit"])
        .well();
    let said = try_it(&["display version"]);
    assert!(said.err.contains("Permission denied"), "{}{}", said.out, said.err);
    daemon.terminate();
}

#[test]
fn a_configuration_is_the_old_one_or_the_new_one_wherever_a_kill_falls() {
    let site = site();
    let original = std::fs::read_to_string(site.config()).unwrap();
    for round in 0..12 {
        std::fs::write(site.config(), &original).unwrap();
        let daemon = Daemon::start(&site, "auto");
        let control = site.control();
        let saving = std::thread::spawn(move || {
            let groups: String = (0..40).map(|group| format!("radius-server group g{group}\nquit\n")).collect();
            let script = format!("system-view\nsysname BNG2\n{groups}commit\nreturn\nsave\ny\n");
            let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
            command.args(["cli", "--control"]).arg(control).stdin(std::process::Stdio::piped());
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            let mut child = command.spawn().unwrap();
            // The daemon may die while it listens.
            let _ = child.stdin.take().unwrap().write_all(script.as_bytes());
            child.wait().unwrap();
        });
        std::thread::sleep(std::time::Duration::from_millis(20 * round));
        daemon.kill9();
        saving.join().unwrap();
        let text = std::fs::read_to_string(site.config()).unwrap();
        let is_new =
            text.starts_with("sysname BNG2\n") && (0..40).all(|group| text.contains(&format!("group g{group}\n")));
        assert!(is_new || text == original, "round {round}:\n{text}");
        tollgate(["check", site.config().to_str().unwrap()]).well();
    }
}

#[test]
fn health_is_watched_until_a_key_is_pressed() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let health = daemon.display("display accounting health");
    assert_eq!((&health["online"], &health["ledger_failing"]), (&0.into(), &false.into()), "{health}");
    assert_eq!(health["servers"].as_array().map(Vec::len), Some(1), "{health}");
    assert_eq!(daemon.display("display accounting phase")["phases"].as_array().map(Vec::len), Some(60));
    let lateness = daemon.display("display accounting lateness");
    assert_eq!((&lateness["tick_ms"], &lateness["interims"]), (&20.into(), &0.into()), "{lateness}");
    let terminal = Terminal::open(&site, "one", (100, 30));
    terminal.type_text("monitor accounting");
    terminal.press("Enter");
    terminal.wait_for("Sessions online                       : 0 (0 without accounting)");
    let mut feed = Feed::listen(&site);
    feed.say([up("s1", "isp")]);
    terminal.wait_for("Session slots                         : 1 of 20000");
    terminal.press("q");
    terminal.wait_for_end("<BNG1>monitor accounting\n<BNG1>");
    daemon.cli(&["monitor accounting"]).well();
    drop(feed);
    daemon.terminate();
}

/// A stored secret is another one each time.
fn without_secrets(text: &str) -> String {
    let word = |word: &str| if word.starts_with("%^%#") { "******".to_owned() } else { word.to_owned() };
    text.lines().map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn a_fresh_daemon_takes_every_command_and_prints_it_as_it_stood() {
    let site = Site::new();
    let whole = include_str!("../../../vrp/tests/room/whole.cfg");
    let text = whole.replace("/run/plane.sock", site.link().to_str().unwrap());
    // Whoever runs beside this may listen as well.
    let text = text.replace("destination-port 3800", &format!("destination-port {}", free_port()));
    std::fs::write(site.config(), without_secrets(&text).replace("******", "a-secret")).unwrap();
    let daemon = Daemon::start(&site, "auto");
    let printed = daemon.cli(&["display current-configuration"]).well();
    assert_eq!(without_secrets(&printed), without_secrets(&text));
    daemon.cli(&["save", "y"]).well();
    daemon.terminate();
    assert_eq!(std::fs::read_to_string(site.config()).unwrap(), printed, "secrets are stored as they were printed");
    let daemon = Daemon::start(&site, "auto");
    assert_eq!(daemon.cli(&["display current-configuration"]).well(), printed);
    daemon.terminate();
}

#[test]
fn why_tells_what_was_sent_what_came_back_and_what_comes_next() {
    let site = Site::new();
    let port = free_port();
    site.configure_one(port, "", "  accounting interim interval 60 second\n");
    let server = FreeRadius::start(site.directory.path(), port);
    let daemon = Daemon::start(&site, "auto");
    let mut feed = Feed::listen(&site);
    feed.say([up("s1", "isp")]);
    daemon.wait_for_sessions(1, "Accounting");
    let id = daemon.display("display access-user")[0]["session"].as_str().unwrap().to_owned();
    let story = |id: &str| daemon.display(&format!("display accounting session {id} why"));
    let events = |story: &serde_json::Value| -> Vec<String> {
        let steps = story["steps"].as_array().unwrap().iter();
        steps.map(|step| format!("{}: {}", step["source"].as_str().unwrap(), step["event"].as_str().unwrap())).collect()
    };
    let told = story(&id);
    let has = |told: &serde_json::Value, event: &str| events(told).iter().any(|told| told.starts_with(event));
    for event in [
        "engine: came up",
        "engine: Start sent, transmission 1",
        "engine: Start acknowledged",
        "engine: verdict admit",
        "ledger: opened",
    ] {
        assert!(has(&told, event), "{event}: {told:#}");
    }
    assert_eq!(
        told["steps"].as_array().unwrap().iter().filter(|step| step["server"] == format!("127.0.0.1:{port}")).count(),
        2
    );
    assert!(told["next"][0].as_str().unwrap().starts_with("Its next interim is due in "), "{told:#}");
    server.stop(Signal::KILL);
    feed.say([down("s1", 1)]);
    wait_until("the Stop rests", seconds(40), || has(&story(&id), "engine: the Stop rests"));
    let told = story(&id);
    for event in [
        "engine: went down, Acct-Terminate-Cause 1",
        "engine: Stop sent, transmission 3",
        "engine: Stop failed",
        "ledger: closed, cause 1",
    ] {
        assert!(has(&told, event), "{event}: {told:#}");
    }
    assert!(
        told["next"].as_array().unwrap().iter().any(|next| next.as_str().unwrap().starts_with("It rests in the queue")),
        "{told:#}"
    );
    let text = daemon.cli(&[&format!("display accounting session {id} why")]).well();
    assert!(text.contains("  What comes next\n"), "{text}");
    let said = daemon.cli(&["display accounting session nobody why"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), "Error: The access user does not exist.\n"), "{}", said.err);
    drop(feed);
    daemon.terminate();
}
