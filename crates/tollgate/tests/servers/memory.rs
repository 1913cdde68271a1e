//! A box that has no memory left. What the engine works with it has taken at its start, so the subscribers' accounting goes on. Who
//! types something has to wait for better times.

use std::process::Command;

use crate::common::{Crowd, Daemon, FreeRadius, Habits, HeardOnce, Site, TICK};
use crate::common::{free_port, run_command, seconds, wait_until};

/// So much address space the process may have; the hard limit stays as it is.
fn bound(daemon: &Daemon, limit: &str) {
    let (id, limit) = (daemon.id().to_string(), format!("--as={limit}:"));
    run_command(Command::new("prlimit").args(["--pid", &id, &limit])).well();
}

/// Octets of address space that it has.
fn taken(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn who_gets_no_more_memory_accounts_on_and_loses_nothing() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(port, "", "  accounting interim interval 3 second\n");
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start_with(&site, "auto", 2);
    let habits = Habits { lines: 400, pace: 100, tick: TICK, domains: &["isp"], first: 0, names_come_again: true };
    let crowd = Crowd::start(&site, &habits);
    let starts = || FreeRadius::detail(&server).count("Start");
    wait_until("sessions come and go", seconds(30), || starts() > 100);

    bound(&daemon, &taken(&daemon).to_string());
    let before = starts();
    wait_until("they come and go on", seconds(60), || starts() > before + 500);
    // More shells than may be open at once. Some are answered, where a thread or some memory is left.
    let shells = 100;
    let answered = (0..shells).filter(|_| daemon.cli(&["display access-user"]).code == Some(0)).count();
    println!("{answered} shells of {shells} were answered");
    let before = starts();
    wait_until("they still come and go", seconds(60), || starts() > before + 100);

    bound(&daemon, "unlimited");
    daemon.cli(&["display access-user"]).well();
    let lives = crowd.finish(seconds(60));
    wait_until("everything is acknowledged", seconds(60), || daemon.states().is_empty());
    println!("{:?}", HeardOnce::gather(&[FreeRadius::detail(&server)]).check_all(&lives, seconds(0)));
    daemon.terminate();
}
