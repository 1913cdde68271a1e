//! Accounting-On and -Off: what may be typed, and how it is kept.

use vrp::{ActionRequest, Answer};

use crate::support::{World, obey, run, sitting_after};

#[test]
fn row_5_6_accounting_on_is_set_and_taken_back() {
    let world = World::default();
    let mut shell = sitting_after(&["radius-server group g1"]);
    let line = "radius-server accounting-on enable";
    let wait = format!("{line} wait");
    for (typed, printed, other) in [(line, format!(" {line}\n"), "wait"), (&wait, format!(" {wait}\n"), "enable\n")] {
        assert_eq!(run(&mut shell, &world, &[typed, "commit"]), "", "{typed}");
        let said = obey(&mut shell, &world, "display this");
        assert!(said.contains(printed.trim_start()) && !said.contains(other), "{typed}:\n{said}");
    }
    assert_eq!(run(&mut shell, &world, &["undo radius-server accounting-on enable", "commit"]), "");
    assert!(!obey(&mut shell, &world, "display this").contains("accounting-on"));
}

#[test]
fn shutdown_accounting_asks_first() {
    let world = World::default();
    let mut shell = sitting_after(&["quit"]);
    let said = obey(&mut shell, &world, "shutdown accounting");
    assert!(said.ends_with("Are you sure to continue? [Y/N]:") || said.contains("[Y/N]"), "{said}");
    assert_eq!(shell.execute("N", &world), Answer::Silent);
    obey(&mut shell, &world, "shutdown accounting");
    assert_eq!(shell.execute("Y", &world), Answer::Action(ActionRequest::ShutdownAccounting));
    let mut shell = sitting_after(&[]);
    let said = obey(&mut shell, &world, "shutdown accounting");
    assert!(said.ends_with("Unrecognized command found at '^' position.\n"), "{said}");
}
