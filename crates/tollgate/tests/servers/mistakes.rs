//! What people get wrong: one clear line, the right exit status, and nothing half-done.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::common::{Daemon, Process, SECRET, Signal, Site, free_port, run_command, seconds, tollgate, wait_until};

/// A site whose configuration is right.
fn site() -> Site {
    let site = Site::new();
    site.configure_one(free_port(), "", "");
    site
}

/// `tollgate run` in a site, with arguments that come after and win.
fn run(site: &Site, more: &[(&str, &Path)]) -> crate::common::Said {
    let mut arguments = Daemon::arguments(site);
    for (name, path) in more {
        let place = arguments.iter().position(|argument| argument == name);
        match place {
            Some(place) => arguments[place + 1] = path.into(),
            None => arguments.extend([name.into(), path.into()]),
        }
    }
    tollgate(arguments)
}

/// Everything below a directory: names, and the octets of regular files.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(contents(&entry.path()));
        }
        let octets = if kind.is_file() { std::fs::read(entry.path()).unwrap() } else { Vec::new() };
        found.insert(entry.path(), octets);
    }
    found
}

#[test]
fn a_wrong_line_of_the_configuration_is_named_and_nothing_is_made() {
    for (line, message) in [
        ("  accounting interim interval 65536", "Wrong parameter"),
        ("  accounting nonsense", "Unrecognized command"),
        ("  accounting interim", "Incomplete command"),
    ] {
        let site = site();
        site.configure_one(1813, "", &format!("{line}\n"));
        let number =
            std::fs::read_to_string(site.config()).unwrap().lines().position(|other| other == line).unwrap() + 1;
        let before = contents(site.directory.path());
        let place = format!("startup.cfg:{number}: ");
        for said in [run(&site, &[]), tollgate(["check", site.config().to_str().unwrap()])] {
            assert_eq!(said.err.lines().count(), 1, "{}", said.err);
            said.refused(2, &[&place, message, line.trim()]);
        }
        assert_eq!(contents(site.directory.path()), before, "{line}");
    }
}

#[test]
fn a_mistake_beside_a_secret_does_not_tell_it() {
    let site = site();
    site.configure_one(1813, &format!(" radius-server shared-key {SECRET} nonsense\n"), "");
    let said = run(&site, &[]);
    assert!(!said.err.contains(SECRET), "{}", said.err);
    said.refused(2, &["startup.cfg:", "Unrecognized command"]);
}

#[test]
fn a_file_that_is_missing_is_a_mistake_in_usage() {
    let site = site();
    let missing = site.path("missing");
    run(&site, &[("--config", &missing)]).refused(2, &["missing", "No such file"]);
    tollgate(["check", missing.to_str().unwrap()]).refused(2, &["missing", "No such file"]);
    tollgate(["bills", "list", "--state-dir", missing.to_str().unwrap()]).refused(1, &["missing"]);
    tollgate(["bills", "list"]).refused(2, &["--state-dir"]);
    assert!(!site.state().exists());
}

#[test]
fn check_says_that_a_right_file_is_right() {
    let site = site();
    let before = contents(site.directory.path());
    let said = tollgate(["check", site.config().to_str().unwrap()]).well();
    assert!(said.ends_with("the configuration is correct\n"), "{said}");
    // Correct, but a warning: an unacknowledged Stop would be abandoned.
    site.configure_one(1813, " undo radius-server accounting-stop-packet resend\n", "");
    let without_pool = std::fs::read_to_string(site.config()).unwrap().replace(" local-bill-pool enable\n", "");
    std::fs::write(site.config(), without_pool).unwrap();
    let said = tollgate(["check", site.config().to_str().unwrap()]).well();
    assert!(said.contains("Warning: ") && said.contains("abandoned"), "{said}");
    site.configure_one(1813, "", "");
    assert_eq!(contents(site.directory.path()).len(), before.len(), "check has made a file");
}

#[test]
fn an_unknown_option_or_command_is_a_mistake_in_usage() {
    for arguments in [&["run", "--shard", "2"][..], &["rum"], &["run", "--shards", "0"], &["feed"], &[]] {
        let said = tollgate(arguments);
        assert_eq!(said.code, Some(2), "{arguments:?}: {}", said.err);
        assert!(said.err.contains("Usage: ") || said.err.contains("error: "), "{}", said.err);
    }
    tollgate(["--version"]).well();
    tollgate(["run", "--help"]).well();
}

#[test]
fn a_state_directory_that_cannot_be_used_is_refused() {
    let site = site();
    let file = site.path("file");
    std::fs::write(&file, "precious").unwrap();
    for state in [file.clone(), file.join("below")] {
        run(&site, &[("--state-dir", &state)]).refused(1, &["file"]);
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[test]
fn a_state_directory_of_somebody_else_is_refused() {
    let site = site();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(site.directory.path(), 0o755);
    std::fs::create_dir(site.state()).unwrap();
    mode(&site.state(), 0o500);
    // Root may write everywhere, so somebody else must try; the program may lie where only root can read it.
    let program = site.path("tollgate");
    std::fs::copy(env!("CARGO_BIN_EXE_tollgate"), &program).unwrap();
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        command
    } else {
        std::process::Command::new(&program)
    };
    mode(&site.config(), 0o644);
    let said = run_command(command.args(Daemon::arguments(&site)));
    said.refused(1, &["state", "Permission denied"]);
    mode(&site.state(), 0o700);
    assert_eq!(std::fs::read_dir(site.state()).unwrap().count(), 0, "something was made");
}

#[test]
fn a_second_daemon_on_the_same_store_is_refused() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let before = contents(site.directory.path());
    run(&site, &[("--control", &site.path("other.sock"))]).refused(1, &["in use by process", "state"]);
    assert_eq!(contents(site.directory.path()), before, "the second daemon changed something");
    daemon.cli(&["display access-user"]).well();
    daemon.terminate();
}

#[test]
fn sockets_of_another_daemon_are_left_alone() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let other = site.path("other");
    run(&site, &[("--state-dir", &other)]).refused(1, &["another daemon answers", "control.sock"]);
    run(&site, &[("--state-dir", &other), ("--control", &site.path("other.sock"))])
        .refused(1, &["plane link", "plane.sock"]);
    assert!(!site.path("other.sock").exists(), "a socket stayed behind");
    daemon.cli(&["display access-user"]).well();
    assert!(site.link().exists());
    daemon.terminate();
    Daemon::start(&site, "auto").terminate();
}

#[test]
fn a_file_in_a_socket_s_place_is_left_alone() {
    let site = site();
    std::fs::write(site.control(), "precious").unwrap();
    run(&site, &[]).refused(1, &["control.sock"]);
    assert_eq!(std::fs::read(site.control()).unwrap(), b"precious");
    std::fs::remove_file(site.control()).unwrap();
    std::fs::write(site.link(), "precious").unwrap();
    run(&site, &[]).refused(1, &["plane.sock"]);
    assert_eq!(std::fs::read(site.link()).unwrap(), b"precious");
}

#[test]
fn too_few_descriptors_for_the_source_ports_are_said() {
    let site = site();
    site.configure_one(free_port(), " radius-server source-ports 256\n", "");
    let log = site.path("log");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tollgate")]);
    command.args(Daemon::arguments(&site)).stdin(Stdio::null()).stdout(Stdio::null());
    let mut process = Process::start(command.stderr(std::fs::File::create(&log).unwrap()));
    wait_until("the daemon is ready", seconds(30), || {
        assert!(process.ended().is_none(), "a server that cannot be spoken to yet ends the daemon");
        std::fs::read_to_string(&log).unwrap().contains("tollgate ready")
    });
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("no source port towards 127.0.0.1"), "{said}");
    process.signal(Signal::TERM);
    assert_eq!(process.wait(seconds(20)).code(), Some(0));
}

#[test]
fn the_shell_says_what_went_wrong() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let configuration = || daemon.cli(&["display current-configuration"]).well();
    let before = configuration();
    let files = contents(&site.directory.path().join("state").join("ledger"));

    let said = daemon.cli(&["system-view", "aaa", "accounting-scheme s9"]);
    assert!(said.err.contains("Warning: Uncommitted configurations"), "{}", said.err);
    assert_eq!(said.code, Some(1));
    let said = daemon.cli(&["system-view", "sysname", "display access-user"]);
    assert!(said.out.contains("Error: Incomplete command found at '^' position."), "{}", said.out);
    assert_eq!(said.code, Some(1));
    let said = daemon.cli(&["display access-user session-id nonsense"]);
    assert!(said.out.contains("Error: "), "{}", said.out);
    assert_eq!(said.code, Some(1));
    assert_eq!(configuration(), before);
    assert_eq!(contents(&site.directory.path().join("state").join("ledger")), files, "a mistake was recorded");
    daemon.terminate();

    let control = site.control();
    tollgate(["cli", "--control", control.to_str().unwrap(), "-c", "display access-user"])
        .refused(1, &["no daemon answers", "control.sock"]);
}

#[test]
fn a_commit_that_cannot_be_carried_out_changes_nothing() {
    let site = site();
    let daemon = Daemon::start(&site, "auto");
    let before = daemon.cli(&["display current-configuration"]).well();
    let file = site.path("file");
    std::fs::write(&file, "precious").unwrap();
    let link = format!("plane-link path {}", file.display());
    let said = daemon.cli(&["system-view", &link, "sysname OTHER", "commit"]);
    assert!(said.out.contains("Error: the plane link cannot be bound"), "{}", said.out);
    assert_eq!(said.code, Some(1));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    assert_eq!(daemon.cli(&["display current-configuration"]).well(), before);
    daemon.terminate();
}
