//! The commands beside the daemon: what a shell is told when it is one too many, too long or too late, what becomes of
//! two commits at once, and of a reader that has had enough.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{Daemon, Process, Site, free_port, run_command, seconds, tollgate, wait_until};

/// Shells at once, and octets of a line.
const SHELLS_MAX: usize = 64;
const LINE_MAX: usize = 64 * 1024;

fn site() -> Site {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    site
}

/// `tollgate` whose standard output was closed before it said anything.
fn unheard(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut errors = tempfile::NamedTempFile::new().unwrap();
    let mut process = Process::start(
        Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(errors.reopen().unwrap()),
    );
    let code = process.wait(seconds(30)).code();
    let mut said = String::new();
    std::io::Read::read_to_string(errors.as_file_mut(), &mut said).unwrap();
    (code, said)
}

/// A shell that speaks for itself.
struct Shell(BufReader<UnixStream>);

impl Shell {
    fn open(site: &Site) -> Shell {
        Shell(BufReader::new(UnixStream::connect(site.control()).unwrap()))
    }

    /// The daemon's answer to these octets and a line's end.
    fn ask(&mut self, octets: &str) -> Value {
        // The daemon may have said what it has to say and closed the door.
        let _ = self.0.get_mut().write_all(format!("{octets}\n").as_bytes());
        let mut reply = String::new();
        self.0.read_line(&mut reply).unwrap();
        serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
    }

    fn line(&mut self, text: &str) -> Value {
        self.ask(&json!({"line": {"text": text, "json": false}}).to_string())
    }
}

#[test]
fn a_candidate_that_the_end_of_input_discards_is_said() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    for (commands, code, warned) in [
        (&["system-view", "sysname Z", "return"][..], 1, true),
        (&["system-view", "sysname Z"], 1, true),
        (&["system-view", "sysname Z", "return", "bogus"], 1, true),
        // Whoever answers has been asked.
        (&["system-view", "sysname Z", "return", "N"], 0, false),
        (&["system-view", "sysname Z", "return", "bogus", "N"], 1, false),
        (&["save"], 0, false),
    ] {
        let said = daemon.cli(commands);
        assert_eq!(said.code, Some(code), "{commands:?}: {}{}", said.out, said.err);
        let warning = "Warning: Uncommitted configurations were discarded.";
        assert_eq!(said.err.contains(warning), warned, "{commands:?}: {}", said.err);
    }
    assert!(daemon.cli(&["display current-configuration"]).well().contains("sysname BNG1"));
    daemon.terminate();
}

#[test]
fn a_reader_that_has_gone_ends_a_command_quietly() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let (control, state, config) = (site.control(), site.state(), site.config());
    let [control, state, config] = [&control, &state, &config].map(|path| path.to_str().unwrap());
    let script = site.path("script");
    std::fs::write(
        &script,
        "{\"op\":\"up\",\"session\":\"s1\",\"user\":\"s1@isp\"}\n{\"op\":\"resync\",\"session\":\"x\",\"at\":1}\n",
    )
    .unwrap();
    let link = site.link();
    for arguments in [
        &["cli", "--control", control, "-c", "display current-configuration"][..],
        &["check", config],
        &["bills", "list", "--state-dir", state],
        &["bills", "verify", "--state-dir", state],
        &["bills", "verify", "--format", "json", "--state-dir", state],
        &["feed", "--link", link.to_str().unwrap(), script.to_str().unwrap()],
    ] {
        assert_eq!(unheard(arguments), (Some(1), String::new()), "{arguments:?}");
    }
    daemon.terminate();
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_sitting_goes_on() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let mut shell = Shell::open(&site);
    for length in [LINE_MAX, 10 * LINE_MAX] {
        let reply = shell.line(&"x".repeat(length));
        assert_eq!(reply["text"], format!("Error: The line is longer than {LINE_MAX} octets.\n"));
        assert_eq!((&reply["error"], &reply["ended"]), (&true.into(), &false.into()));
    }
    assert_eq!(shell.line("system-view")["error"], false);
    let reply = shell.ask("{\"other\":1}");
    assert_eq!(reply["text"], "Error: The line is no request of this version.\n");
    assert_eq!(reply["ended"], true);

    let long = "x".repeat(LINE_MAX);
    let said = daemon.cli(&[&long, "display access-user"]);
    assert!(said.out.contains("Error: The line is longer"), "{}{}", said.out, said.err);
    assert_eq!(said.code, Some(1));
    daemon.terminate();
}

#[test]
fn a_shell_too_many_is_told_so() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let mut shells: Vec<Shell> = (0..SHELLS_MAX).map(|_| Shell::open(&site)).collect();
    for shell in &mut shells {
        assert_eq!(shell.line("")["error"], false);
    }
    let reply = Shell::open(&site).line("system-view");
    assert!(reply["text"].as_str().unwrap().starts_with("Error: 64 shells are open already"), "{reply}");
    assert_eq!((&reply["error"], &reply["ended"]), (&true.into(), &true.into()));
    let said = daemon.cli(&["system-view", "display access-user"]);
    assert!(said.out.contains("64 shells") || said.err.contains("64 shells"), "{}{}", said.out, said.err);
    assert_eq!(said.code, Some(1));
    tollgate(["bills", "list", "--state-dir", site.state().to_str().unwrap()]).refused(1, &["64 shells"]);
    shells.pop();
    wait_until("a shell is free again", seconds(10), || daemon.cli(&["display access-user"]).code == Some(0));
    daemon.terminate();
}

#[test]
fn the_control_socket_is_for_its_owner_whatever_the_umask() {
    let site = site();
    for mask in ["000", "077"] {
        let mut command = Command::new("sh");
        command.args(["-c", "umask $0; exec \"$@\"", mask, env!("CARGO_BIN_EXE_tollgate")]);
        let mut process = Process::start(
            command.args(Daemon::arguments(&site)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()),
        );
        let mut modes = Vec::new();
        wait_until("the daemon answers", seconds(30), || {
            modes.extend(std::fs::metadata(site.control()).map(|found| found.permissions().mode() & 0o777));
            let control = site.control();
            tollgate(["cli", "--control", control.to_str().unwrap(), "-c", "display access-user"]).code == Some(0)
        });
        assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == 0o600), "{mask}: {modes:?}");
        process.signal(crate::common::Signal::TERM);
        process.wait(seconds(20));
    }
}

#[test]
fn a_commit_over_settings_that_another_changed_is_refused() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let (mut one, mut other) = (Shell::open(&site), Shell::open(&site));
    for (shell, name) in [(&mut one, "one"), (&mut other, "other")] {
        shell.line("system-view");
        shell.line(&format!("radius-server group {name}"));
    }
    assert_eq!(one.line("commit")["error"], false);
    let refused = other.line("commit");
    assert_eq!((&refused["error"], &refused["uncommitted"]), (&true.into(), &true.into()));
    assert!(refused["text"].as_str().unwrap().contains("changed by another user"), "{refused}");
    other.line("clear configuration candidate");
    other.line("radius-server group other");
    assert_eq!(other.line("commit")["error"], false);
    daemon.terminate();
}

#[test]
fn of_commits_at_once_none_undoes_another() {
    const SHELLS: usize = 8;
    const ROUNDS: usize = 12;
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let commit = |name: &str| {
        let mut shell = Shell::open(&site);
        shell.line("system-view");
        shell.line(&format!("radius-server group {name}"));
        shell.line("commit")["error"] == false
    };
    let committed: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..SHELLS)
            .map(|shell| {
                scope.spawn(move || {
                    let names = (0..ROUNDS).map(|round| format!("g{shell}-{round}"));
                    names.filter(|name| commit(name)).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(!committed.is_empty());
    let running = daemon.cli(&["display current-configuration"]).well();
    for name in &committed {
        assert!(
            running.contains(&format!("radius-server group {name}\n")),
            "{name} was committed and is gone:\n{running}"
        );
    }
    assert_eq!(running.matches("radius-server group g").count(), committed.len(), "a refused commit is in force");
    daemon.terminate();
}

#[test]
fn a_log_that_nobody_reads_stops_no_daemon() {
    let site = site();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut process = Process::start(
        Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(Daemon::arguments(&site))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(writer),
    );
    let control = site.control();
    let cli = ["cli", "--control", control.to_str().unwrap(), "-c", "display access-user"];
    wait_until("the daemon answers", seconds(30), || {
        assert!(process.ended().is_none(), "the daemon has ended");
        run_command(Command::new(env!("CARGO_BIN_EXE_tollgate")).args(cli)).code == Some(0)
    });
    process.signal(crate::common::Signal::TERM);
    assert_eq!(process.wait(seconds(20)).code(), Some(0));
}
