//! The service of systemd that is shipped: systemd understands it, and it is as closed as the manual says.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::path::Path;
use std::process::{Command, Output};

const UNIT: &str = include_str!("../assets/tollgate.service");

/// systemd-analyze's words about the unit, as it would be where its program is installed. `None`: systemd is not there, and its
/// judgement is missing.
fn analyze(arguments: &[&str]) -> Option<Output> {
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("tollgate.service");
    // The program is another place's here; manual pages are installed by nobody.
    let text = UNIT.replace("/usr/bin/tollgate", env!("CARGO_BIN_EXE_tollgate"));
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("Documentation=")).collect();
    std::fs::write(&unit, text.join("\n") + "\n").unwrap();
    let program = Path::new("/usr/bin/systemd-analyze");
    if !program.exists() {
        return None;
    }
    Some(Command::new(program).args(arguments).arg(unit).output().unwrap())
}

#[test]
fn systemd_understands_every_line() {
    let Some(said) = analyze(&["verify"]) else { return };
    let errors = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && !errors.contains("/tollgate.service:"), "{errors}");
}

#[test]
fn systemd_finds_it_well_closed() {
    // Tenths of systemd's scale, on which 0 is closed and 100 open: sockets, the box's network and one capability make 17.
    let Some(said) = analyze(&["security", "--offline=yes", "--threshold=20", "--no-pager"]) else { return };
    let (table, errors) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{table}{errors}");
}

#[test]
fn the_unit_says_what_the_manual_says_of_it() {
    for line in [
        "User=tollgate",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=CAP_NET_BIND_SERVICE",
        "ProtectSystem=strict",
        "StateDirectory=tollgate",
        "RuntimeDirectory=tollgate",
        "ReadWritePaths=-/etc/tollgate",
        "LimitCORE=0",
        "Type=notify",
    ] {
        assert!(UNIT.lines().any(|other| other == line), "{line}");
    }
}
