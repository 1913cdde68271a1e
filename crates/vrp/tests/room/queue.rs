//! The queue of accounting packets that no server acknowledged.

use model::report::QueueSelector;
use model::settings::ShellLevel;
use vrp::{ActionRequest, Answer, Shell};

use crate::support::{World, obey, run};

#[test]
fn room_for_fewer_than_there_are_is_refused() {
    let world = World { queued_count: 9_000, ..World::default() };
    let mut shell = Shell::new(Default::default(), ShellLevel::Management);
    let said = run(&mut shell, &world, &["system-view", "radius-server accounting cache 10000", "commit"]);
    assert!(!said.contains("Error"), "{said}");
    for line in ["radius-server accounting cache 8999", "undo radius-server accounting cache"] {
        let said = obey(&mut shell, &world, line);
        assert!(said.contains("The cache holds packets of 9000 users"), "{line}: {said}");
    }
    let said = obey(&mut shell, &world, "display this");
    assert!(said.contains("radius-server accounting cache 10000\n"), "{said}");
}

#[test]
fn the_all_clear_comes_below_the_alarm() {
    let world = World::default();
    let mut shell = Shell::new(Default::default(), ShellLevel::Management);
    obey(&mut shell, &world, "system-view");
    for (limits, is_good) in [("80 lower-limit 80", false), ("50 lower-limit 60", false), ("1 lower-limit 0", true)] {
        let line = format!("radius-server accounting cache-warning-threshold upper-limit {limits}");
        let said = obey(&mut shell, &world, &line);
        assert_eq!(!said.contains("Error: The lower limit must be less than the upper limit."), is_good, "{said}");
    }
}

#[test]
fn what_is_done_by_hand_is_done_at_once() {
    let world = World::default();
    let mut shell = Shell::new(Default::default(), ShellLevel::Management);
    let reset = |hwtacacs, server: Option<&str>| {
        let server = server.map(|text| text.parse().unwrap());
        ActionRequest::ResetQueue(QueueSelector { hwtacacs, server })
    };
    for (line, request) in [
        ("radius-server cache resend packet", ActionRequest::ResendQueue),
        ("reset radius-server accounting-stop-packet all", reset(false, None)),
        ("reset radius-server accounting-stop-packet ip 192.0.2.1", reset(false, Some("192.0.2.1"))),
        ("reset radius-server accounting-stop-packet ipv6 2001:db8::1", reset(false, Some("2001:db8::1"))),
        ("reset hwtacacs-server accounting-stop-packet all", reset(true, None)),
        ("reset hwtacacs-server accounting-stop-packet ip 192.0.2.1", reset(true, Some("192.0.2.1"))),
        ("reset hwtacacs-server accounting-stop-packet ipv6 2001:db8::1", reset(true, Some("2001:db8::1"))),
        ("reset hwtacacs-server statistics all", ActionRequest::ResetHwtacacsStatistics),
        ("reset hwtacacs-server statistics accounting", ActionRequest::ResetHwtacacsStatistics),
    ] {
        assert_eq!(shell.execute(line, &world), Answer::Action(request), "{line}");
    }
}
