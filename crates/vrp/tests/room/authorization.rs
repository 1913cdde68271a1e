//! Authorization servers: what may be typed, what is refused, and how it is shown.

use crate::support::{World, obey, run, sitting_after};

const GROUP: [&str; 3] = ["radius-server group g1", "radius-server shared-key top", "quit"];

#[test]
fn row_5_6_an_authorization_server_is_set_replaced_and_taken_back() {
    let world = World::default();
    let mut shell = sitting_after(&GROUP);
    let first = "radius-server authorization 192.0.2.7 destination-port 1700 server-group g1 shared-key k \
                 ack-reserved-interval 0";
    let second = "radius-server authorization 192.0.2.7 shared-key-cipher %^%#T6b%^%#";
    for (line, printed) in [
        (
            first,
            "radius-server authorization 192.0.2.7 destination-port 1700 shared-key-cipher %^%#T6b%^%# server-group g1 \
             ack-reserved-interval 0\n",
        ),
        (second, "radius-server authorization 192.0.2.7 shared-key-cipher %^%#T6b%^%#\n"),
        (
            "radius-server authorization 2001:db8::7 destination-ip 2001:db8::1 server-group G1",
            "radius-server authorization 2001:db8::7 destination-ip 2001:db8::1 server-group G1\n",
        ),
        (
            "radius-server authorization 192.0.2.7 vpn-instance red destination-port 1701 shared-key k",
            "radius-server authorization 192.0.2.7 vpn-instance red destination-port 1701 shared-key-cipher %^%#T6b%^%#\n",
        ),
        (
            "radius-server authorization accounting-realtime-packet disable",
            "radius-server authorization accounting-realtime-packet disable\n",
        ),
    ] {
        assert_eq!(run(&mut shell, &world, &[line, "commit"]), "", "{line}");
        let said = obey(&mut shell, &world, "display this");
        assert!(said.contains(printed), "{line}:\n{said}");
    }
    let said = obey(&mut shell, &world, "display this");
    assert!(!said.contains("1700"), "it was replaced as a whole");
    assert!(said.contains("authorization 192.0.2.7 shared-key"), "and its namesake in a VRF is another:\n{said}");
    let shown = obey(&mut shell, &world, "display radius-server authorization configuration");
    assert!(shown.contains("2001:db8::7") && shown.contains("Disable"), "{shown}");
    let undone = [
        "undo radius-server authorization 192.0.2.7",
        "undo radius-server authorization 192.0.2.7 vpn-instance red",
        "undo radius-server authorization 2001:db8::7 destination-ip 2001:db8::1 server-group G1",
        "undo radius-server authorization accounting-realtime-packet disable",
        "commit",
    ];
    assert_eq!(run(&mut shell, &world, &undone), "");
    assert!(!obey(&mut shell, &world, "display this").contains("authorization"));
}

#[test]
fn row_5_6_what_cannot_be_is_refused() {
    let world = World::default();
    for (lines, refusal) in [
        (
            &["radius-server authorization 192.0.2.7 destination-ip 2001:db8::1 shared-key k"][..],
            "Error: Wrong parameter found at '^' position.",
        ),
        (&["undo radius-server authorization 192.0.2.7"], "Error: The authorization server does not exist."),
        (
            &["radius-server authorization 192.0.2.7 server-group g1", "undo radius-server group g1"],
            "Error: The RADIUS server group is used by authorization server 192.0.2.7.",
        ),
        (
            &["radius-server authorization 192.0.2.7 server-group g2", "commit"],
            "Error: The RADIUS server group of authorization server 192.0.2.7 does not exist.",
        ),
        (
            &["radius-server group g3", "quit", "radius-server authorization 192.0.2.7 server-group g3", "commit"],
            "Error: Authorization server 192.0.2.7 has no shared key.",
        ),
        (
            &[
                "radius-server authorization 192.0.2.7 destination-ip 192.0.2.1 shared-key k",
                "radius-server authorization 192.0.2.8 shared-key k",
                "commit",
            ],
            "Error: The destination-ip of authorization server 192.0.2.7 needs one at every other server of its port",
        ),
        (&["radius-server authorization 192.0.2.7"], "Error: Incomplete command found at '^' position."),
        (
            &["radius-server authorization 192.0.2.7 shared-key k ack-reserved-interval 301"],
            "Error: Wrong parameter found at '^' position.",
        ),
    ] {
        let mut shell = sitting_after(&GROUP);
        let said = run(&mut shell, &world, lines);
        assert!(said.contains(refusal), "{lines:?}:\n{said}");
    }
    // On another port, in another VRF, or of another family, nobody is in the way.
    let mut shell = sitting_after(&[
        "radius-server authorization 192.0.2.7 destination-ip 192.0.2.1 shared-key k",
        "radius-server authorization 192.0.2.8 destination-port 1700 shared-key k",
        "radius-server authorization 192.0.2.8 vpn-instance red shared-key k",
        "radius-server authorization 2001:db8::8 shared-key k",
    ]);
    assert_eq!(obey(&mut shell, &world, "commit"), "");
}

#[test]
fn there_are_at_most_16_authorization_servers() {
    let world = World::default();
    let mut shell = sitting_after(&[]);
    for number in 1..=16 {
        let line = format!("radius-server authorization 192.0.2.{number} shared-key k");
        assert_eq!(obey(&mut shell, &world, &line), "", "{line}");
    }
    let said = obey(&mut shell, &world, "radius-server authorization 192.0.2.17 shared-key k");
    assert!(said.contains("has reached the maximum (16)"), "{said}");
    assert_eq!(obey(&mut shell, &world, "radius-server authorization 192.0.2.16 shared-key other"), "");
}
