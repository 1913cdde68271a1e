//! The relay: what may be typed, what is refused, and how it is shown.

use crate::support::{World, obey, run, sitting_after};

#[test]
fn a_relay_client_is_set_replaced_and_taken_back() {
    let world = World::default();
    let mut shell = sitting_after(&[]);
    for (line, printed) in [
        ("relay listen 127.0.0.1 1813", "relay listen 127.0.0.1 1813\n"),
        ("relay listen 2001:db8::1 1646", "relay listen 2001:db8::1 1646\n"),
        (
            "relay client 192.0.2.7 shared-key k domain default0 disconnect-port 3799 disconnect-fail stop interim 900 \
             silence 0",
            "relay client 192.0.2.7 shared-key-cipher %^%#T6b%^%# domain default0 disconnect-port 3799 disconnect-fail stop \
             interim 900 silence 0\n",
        ),
        (
            "relay client 192.0.2.7 shared-key-cipher %^%#T6b%^%# disconnect-fail keep interim follow silence 3",
            "relay client 192.0.2.7 shared-key-cipher %^%#T6b%^%#\n",
        ),
        ("relay client 2001:db8::7 shared-key k", "relay client 2001:db8::7 shared-key-cipher %^%#T6b%^%#\n"),
    ] {
        assert_eq!(run(&mut shell, &world, &[line, "commit"]), "", "{line}");
        let said = obey(&mut shell, &world, "display this");
        assert!(said.contains(printed), "{line}:\n{said}");
    }
    let said = obey(&mut shell, &world, "display this");
    assert!(!said.contains("1813") && !said.contains("3799"), "each was replaced as a whole:\n{said}");
    let undone = ["undo relay listen", "undo relay client 192.0.2.7", "undo relay client 2001:db8::7", "commit"];
    assert_eq!(run(&mut shell, &world, &undone), "");
    assert!(!obey(&mut shell, &world, "display this").contains("relay"));
}

#[test]
fn what_cannot_be_of_a_relay_is_refused() {
    let world = World::default();
    for (lines, refusal) in [
        (&["relay client 192.0.2.7"][..], "Error: Incomplete command found at '^' position."),
        (&["relay client 192.0.2.7 shared-key k interim 59"], "Error: Wrong parameter found at '^' position."),
        (&["relay listen 127.0.0.1 0"], "Error: Wrong parameter found at '^' position."),
        (&["undo relay client 192.0.2.7"], "Error: The relay client does not exist."),
        (
            &["relay client 192.0.2.7 shared-key k domain nowhere", "commit"],
            "Error: The domain of relay client 192.0.2.7 does not exist.",
        ),
    ] {
        let said = run(&mut sitting_after(&[]), &world, lines);
        assert!(said.contains(refusal), "{lines:?}: {said}");
    }
}
