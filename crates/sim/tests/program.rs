//! The program: what it prints, and when it ends.

use std::process::{Command, Output};

fn sim(arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().expect("the simulator runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
fn a_soak_ends_after_its_time_and_says_what_it_came_to() {
    let (output, text) = sim(&["--soak", "0.0002", "--from", "5", "--minutes", "1", "--sessions", "2"]);
    assert!(output.status.success(), "{text}");
    assert!(text.starts_with("seeds from 5\n"), "{text}");
    let closing = text.lines().last().unwrap_or_default();
    assert!(closing.contains(" session-days, 0 violations; "), "{text}");
}

#[test]
fn an_operation_that_fails_stands_in_the_trace() {
    let (output, text) = sim(&["--seed", "1", "--minutes", "1", "--sessions", "2", "--fail", "2:0"]);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Ledger fails, Whole(Io)"), "{text}");
    let (output, _) = sim(&["--fail", "2"]);
    assert_eq!(output.status.code(), Some(2), "a failure has a way");
}

#[test]
fn sessions_that_last_have_days() {
    let (output, text) = sim(&["--seeds", "1", "--stretch", "100", "--sessions", "20"]);
    assert!(output.status.success(), "{text}");
    let days = text.split(" session-days").next().and_then(|before| before.rsplit(' ').next()).unwrap_or_default();
    assert!(days.parse::<f64>().is_ok_and(|days| days > 1.0), "{text}");
}
