//! The house: which room may lean on which, where `unsafe` may stand, what lies at the top level. The map in
//! README.md says why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each room, and the rooms that it may depend on: all of these, and no other.
const EDGES: [(&str, &[&str]); 10] = [
    ("model", &[]),
    ("lanes", &[]),
    ("wire", &["model", "lanes"]),
    ("engine", &["model", "wire", "lanes"]),
    ("ledger", &["model", "wire"]),
    ("vrp", &["model"]),
    ("plane", &["model", "lanes"]),
    ("kernel", &["lanes"]),
    ("tollgate", &["model", "lanes", "wire", "engine", "ledger", "vrp", "plane", "kernel"]),
    ("sim", &["model", "lanes", "wire", "engine", "ledger", "vrp", "plane"]),
];

/// Rooms that compute and do nothing else.
const PURE: [&str; 5] = ["model", "wire", "engine", "ledger", "vrp"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn rooms_lean_only_on_the_rooms_that_the_map_allows() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let allowed: BTreeMap<&str, &[&str]> = EDGES.into();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if name == "benches" {
            continue;
        }
        let may = allowed.get(name).unwrap_or_else(|| panic!("{name} is a room without a row in the map"));
        seen.insert(name);
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let is_room = allowed.contains_key(other) && !dependency["path"].is_null();
            assert!(!is_room || may.contains(&other), "{name} may not depend on {other}");
        }
    }
    assert_eq!(seen.len(), EDGES.len(), "a room of the map is missing: {seen:?}");
}

#[test]
fn unsafe_code_lives_in_three_rooms() {
    for (room, _) in EDGES {
        let main = ["lib.rs", "main.rs"].map(|file| root().join("crates").join(room).join("src").join(file));
        let text = main.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap();
        let forbids = text.contains("#![forbid(unsafe_code)]");
        assert_eq!(forbids, !["lanes", "plane", "kernel"].contains(&room), "{room}");
    }
}

#[test]
fn pure_rooms_have_no_clock_socket_file_or_thread() {
    for room in PURE {
        let lints = std::fs::read_to_string(root().join("crates").join(room).join("clippy.toml")).unwrap();
        for banned in ["Instant::now", "SystemTime::now", "thread::spawn", "net::UdpSocket", "fs::File"] {
            assert!(lints.contains(banned), "{room}/clippy.toml does not ban {banned}");
        }
    }
}

#[test]
fn the_top_level_is_as_the_map_says() {
    let listed = Command::new("git").args(["ls-files"]).current_dir(root()).output();
    // A source archive has no git; then there is nothing to hold against the map.
    let Ok(listed) = listed else { return };
    let tops: BTreeSet<String> = String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(|path| path.split('/').next())
        .filter(|top| !top.starts_with('.'))
        .map(str::to_owned)
        .collect();
    for top in &tops {
        let known = ["Cargo.toml", "Cargo.lock", "crates", "benches", "fuzz", "scripts", "README.md"];
        assert!(known.contains(&top.as_str()) || top.starts_with("LICENSE"), "{top} has no place at the top level");
    }
}

/// The security page is worth what its tests are worth.
#[test]
fn the_security_page_names_tests_that_are_there() {
    let manual = std::fs::read_to_string(root().join("crates/tollgate/doc/manual.md")).unwrap();
    let page = manual.split_once("\n## 8. Security\n").unwrap().1.split_once("\n## 9. ").unwrap().0;
    // A word between back quotes with four underscores or more is a test's name.
    let names: BTreeSet<&str> =
        page.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() > 3).collect();
    assert!(names.len() > 25, "{names:?}");
    let listed = Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()).output();
    let Ok(listed) = listed else { return };
    let files = String::from_utf8_lossy(&listed.stdout).into_owned();
    let sources: String = files.lines().filter_map(|file| std::fs::read_to_string(root().join(file)).ok()).collect();
    let missing: Vec<_> = names.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "the manual names tests that are not there: {missing:?}");
}
