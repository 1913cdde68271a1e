//! Session sources: what may be typed, what is refused, and how it is printed.

use crate::support::{World, obey, run, sitting_after};

#[test]
fn sources_are_set_replaced_and_taken_back() {
    let world = World::default();
    let mut shell = sitting_after(&[]);
    for (line, printed) in [
        ("session-source interfaces ppp*", "session-source interfaces ppp*\n"),
        (
            "session-source interfaces ppp* details /run/ppp domain default1 counter-source interfaces interval 30",
            "session-source interfaces ppp* details /run/ppp domain default1 counter-source interfaces interval 30\n",
        ),
        // `interfaces` is the kind of source here, and says nothing of counters.
        (
            "session-source interfaces ppp* counter-source table",
            "session-source interfaces ppp* counter-source table\n",
        ),
        ("undo session-source interfaces ppp*", ""),
        ("counter-source interfaces interval 10", "counter-source interfaces\n"),
        ("undo counter-source", ""),
        (
            "counter-map ipv6 /m prefix 64 value in-octets 0 in-packets 8 out-octets 16 out-packets 24",
            "counter-map ipv6 /m\n",
        ),
        (
            "counter-map ipv6 /m prefix 56 value in-octets 8 out-octets 0",
            "counter-map ipv6 /m prefix 56 value in-octets 8 out-octets 0\n",
        ),
        ("undo counter-map ipv6", ""),
    ] {
        assert_eq!(obey(&mut shell, &world, line), "", "{line}");
        let changes = obey(&mut shell, &world, "display configuration candidate merge");
        let ours = changes.lines().filter(|line| line.contains("source") || line.contains("counter-map"));
        let ours: String = ours.map(|line| format!("{}\n", line.trim())).collect();
        assert_eq!(ours, printed, "{line}");
    }
}

#[test]
fn what_cannot_be_is_said() {
    let world = World::default();
    for (lines, refusal) in [
        (&["undo session-source socket /s"][..], "Error: The session source does not exist."),
        (
            &["session-source socket /s domain nowhere", "commit"],
            "Error: The domain of session-source socket /s does not exist.",
        ),
        (
            &["session-source directory /d counter-source ebpf", "commit"],
            "Error: session-source directory /d is counted by counter-source ebpf, and there is no counter-map.",
        ),
        (
            &["counter-source ebpf", "session-source interfaces ppp*", "commit"],
            "Error: session-source interfaces ppp* is counted by counter-source ebpf, and there is no counter-map.",
        ),
        (&["session-source directory"], "Error: Incomplete command found at '^' position."),
        (&["counter-source table interval 0"], "Error: Wrong parameter found at '^' position."),
        (&["counter-map ipv6 /m prefix 129"], "Error: Wrong parameter found at '^' position."),
    ] {
        let mut shell = sitting_after(&[]);
        let said = run(&mut shell, &world, lines);
        assert!(said.contains(refusal), "{lines:?}:\n{said}");
    }
    let mut shell = sitting_after(&["counter-map ipv4 /m", "session-source directory /d counter-source ebpf"]);
    assert_eq!(obey(&mut shell, &world, "commit"), "");
}
