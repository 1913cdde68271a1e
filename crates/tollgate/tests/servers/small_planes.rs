//! The smallest planes, in C and in Rust, as they are given for an example: on a real daemon, which is killed under them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{Daemon, FreeRadius, Process, Site, free_port, path, run_command, seconds, wait_until};

#[path = "../../../plane/examples/small_plane.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod small_plane;

/// What each of them sends.
const OCTETS: u64 = 30_000;

#[test]
fn small_planes_are_accounted_for_over_a_kill_of_the_daemon() {
    let site = Site::new();
    let (port, server) = (free_port(), site.path("radius"));
    site.configure_one(port, "", "");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plane");
    let program = site.path("small_plane");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"]).arg(source.join("include"));
    run_command(compiler.arg("-o").arg(&program).arg(source.join("examples/small_plane.c"))).well();
    let _radius = FreeRadius::start(&server, port);
    let daemon = Daemon::start(&site, "auto");

    let mut in_c = Process::start(Command::new(&program).arg(site.link()).arg("c@isp").stdout(Stdio::null()));
    let link = site.link();
    let in_rust = std::thread::spawn(move || small_plane::run(path(&link), "rust@isp").unwrap().in_octets);
    daemon.wait_for_sessions(2, "Accounting");
    daemon.kill9();
    let daemon = Daemon::start(&site, "auto");
    assert!(in_c.wait(seconds(30)).success());
    assert_eq!(in_rust.join().unwrap(), OCTETS);
    wait_until("both have gone", seconds(30), || daemon.states().is_empty());
    daemon.wait_until_quiet();
    assert!(daemon.bills().is_empty());
    daemon.terminate();

    let detail = FreeRadius::detail(&server);
    let stops = detail.by_user("Stop");
    for user in ["c@isp", "rust@isp"] {
        let [stop] = stops[user][..] else { panic!("{user} has not one Stop") };
        assert_eq!((stop.totals().in_octets, stop.text("Acct-Terminate-Cause")), (OCTETS, "User-Request"), "{user}");
    }
}
