//! The demo as somebody runs it who has just built it.

use std::process::{Command, Stdio};

#[test]
fn a_short_demo_accounts_for_every_octet() {
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["demo", "--sessions", "2000", "--seconds", "10"])
        .env("TMPDIR", scratch.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(shown.lines().any(|line| line.trim() == "every octet is accounted for"), "{shown}");
    let bills = shown.lines().find_map(|line| line.trim().strip_prefix("Bills")).unwrap();
    assert!(!bills.trim_start().starts_with("0 "), "the outage made no bill:\n{shown}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "something was left behind");
}
