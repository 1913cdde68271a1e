//! Candidates and commits (BEHAVIOUR.md 2.2), levels (2.4), and what follows a bar.

use std::sync::Arc;

use model::settings::{Settings, ShellLevel};
use vrp::{ActionRequest, Answer, CommitPoint, CommitTerms, Shell};

use crate::support::{World, obey, run, sitting, sitting_after};

fn committed_terms(line: &str) -> CommitTerms {
    let mut shell = sitting_after(&["sysname BNG1"]);
    match shell.execute(line, &World::default()) {
        Answer::Commit(commit) => commit.terms,
        answer => panic!("{line}: {answer:?}"),
    }
}

#[test]
fn a_commit_has_a_trial_a_label_and_a_description() {
    let terms = |trial_s, label: Option<&str>, description: Option<&str>| CommitTerms {
        trial_s,
        label: label.map(str::to_owned),
        description: description.map(str::to_owned),
    };
    let table = [
        ("commit", terms(None, None, None)),
        ("commit trial", terms(Some(600), None, None)),
        ("commit trial 60", terms(Some(60), None, None)),
        ("com tr 65535 la L1", terms(Some(65_535), Some("L1"), None)),
        (
            "commit label L1 description two  words | and a bar ",
            terms(None, Some("L1"), Some("two  words | and a bar")),
        ),
    ];
    for (line, expected) in table {
        assert_eq!(committed_terms(line), expected, "{line}");
    }
}

#[test]
#[rustfmt::skip]
fn what_is_wrong_with_a_commit_is_pointed_at() {
    let wrong = "Error: Wrong parameter found at '^' position.";
    for (line, caret) in [
        ("commit trial 59",        "             ^"),
        ("commit trial 65536",     "             ^"),
        ("commit label 1st",       "             ^"),
        ("commit label -",         "             ^"),
    ] {
        let mut shell = sitting_after(&["sysname BNG1"]);
        assert_eq!(obey(&mut shell, &World::default(), line), format!("{line}\n{caret}\n{wrong}\n"));
        assert!(shell.uncommitted(), "{line}");
    }
}

#[test]
fn a_refreshed_candidate_keeps_what_it_changed() {
    let world = World::default();
    let base = &["radius-server group g1", "radius-server retransmit 4", "quit", "radius-server group g2", "quit"];
    let running = Arc::new(sitting_after(base).candidate().clone());
    let mut mine = Shell::new(Arc::clone(&running), ShellLevel::Management);
    run(
        &mut mine,
        &world,
        &["system-view", "radius-server group g1", "radius-server timeout 9", "quit", "sysname MINE"],
    );
    run(&mut mine, &world, &["undo radius-server group g2"]);
    let mut theirs = Shell::new(running, ShellLevel::Management);
    let lines =
        ["system-view", "radius-server dead-count 7", "radius-server group g3", "quit", "sysname THEIRS", "commit"];
    run(&mut theirs, &world, &lines);

    mine.running_changed(Arc::new(theirs.running().clone()));
    assert!(obey(&mut mine, &world, "commit").contains("changed by another user"), "nothing is overwritten unseen");
    assert_eq!(obey(&mut mine, &world, "refresh configuration candidate"), "");
    assert!(mine.uncommitted());
    let changes = obey(&mut mine, &world, "display configuration candidate changes");
    assert_eq!(
        changes,
        "-sysname THEIRS\n+sysname MINE\n radius-server group g1\n\
         - radius-server retransmit 4\n+ radius-server retransmit 4 timeout 9\n-radius-server group g2\n"
    );
    assert_eq!(obey(&mut mine, &world, "commit"), "");
    let all = obey(&mut mine, &world, "display current-configuration");
    assert!(all.contains("radius-server dead-count 7") && all.contains("radius-server group g3"), "{all}");
}

#[test]
fn a_candidate_that_cannot_be_refreshed_stays_as_it_was() {
    let world = World::default();
    let mut base = sitting_after(&["aaa", "accounting-scheme s1"]);
    obey(&mut base, &world, "commit");
    let mut mine = Shell::new(Arc::new(base.running().clone()), ShellLevel::Management);
    run(&mut mine, &world, &["system-view", "aaa", "domain d1", "accounting-scheme s1"]);
    let before = mine.candidate().clone();
    mine.running_changed(Arc::new(Settings::default()));
    let said = obey(&mut mine, &world, "refresh configuration candidate");
    assert!(said.contains("Error: The accounting scheme does not exist."), "{said}");
    assert_eq!((mine.candidate(), mine.uncommitted()), (&before, true));
}

#[test]
fn in_the_immediate_mode_every_line_is_a_commit() {
    let world = World::default();
    let mut shell = sitting();
    let entered = obey(&mut shell, &world, "system-view immediately");
    assert_eq!(
        (entered.as_str(), shell.prompt().as_str()),
        ("Enter system view, return user view with return command.\n", "[HUAWEI]")
    );
    obey(&mut shell, &world, "sysname BNG1");
    assert_eq!((shell.running().sysname.as_str(), shell.prompt().as_str()), ("BNG1", "[BNG1]"));
    run(&mut shell, &world, &["radius-server group g1"]);
    let said = obey(&mut shell, &world, "radius-server accounting 192.0.2.1 1813");
    assert!(said.contains("has no shared key"), "{said}");
    assert_eq!(shell.candidate(), shell.running(), "what was refused is not left behind");
    run(&mut shell, &world, &["radius-server shared-key k", "radius-server accounting 192.0.2.1 1813"]);
    assert_eq!(shell.running().radius_groups[&"g1".into()].accounting.len(), 1);
    assert!(matches!(shell.execute("radius-server timeout 7", &world), Answer::Commit(_)));
    shell.refused();
    assert_eq!(shell.candidate(), shell.running(), "nor is what the daemon refused");
    assert_eq!(run(&mut shell, &world, &["return"]), "", "there is nothing to ask for");
    run(&mut shell, &world, &["system-view"]);
    assert_eq!(shell.prompt(), "[~BNG1]");
}

#[test]
fn a_level_admits_the_commands_up_to_it() {
    let world = World::default();
    let no = "Error: You do not have permission to run the command or the command is incomplete.\n";
    let mut monitor = Shell::new(Arc::default(), ShellLevel::Monitoring);
    assert_eq!(obey(&mut monitor, &world, "system-view"), no);
    assert_eq!(obey(&mut monitor, &world, "display current-configuration"), no);
    assert_eq!(obey(&mut monitor, &world, "cut access-user username a"), no);
    assert!(obey(&mut monitor, &world, "display version").starts_with("Tollgate"));
    let mut engineer = Shell::new(Arc::default(), ShellLevel::Configuration);
    assert_ne!(obey(&mut engineer, &world, "system-view"), no);
    assert_eq!(obey(&mut engineer, &world, "sysname BNG1"), "");
    assert_eq!(obey(&mut engineer, &world, "control-socket group noc level management"), no);
    assert_eq!(engineer.expected("control-s"), []);
}

#[test]
fn a_rollback_asks_first() {
    let world = World::default();
    for (line, point) in [
        ("rollback configuration last 2", CommitPoint::Last(2)),
        ("rollback configuration to commit-id 7", CommitPoint::Id(7)),
        ("rollback configuration to label L1", CommitPoint::Label("L1".to_owned())),
    ] {
        let mut shell = sitting();
        assert!(matches!(shell.execute(line, &world), Answer::Question(_)), "{line}");
        assert_eq!(shell.execute("y", &world), Answer::Action(ActionRequest::Rollback(point)), "{line}");
        assert_eq!(shell.change(), Some(line));
    }
}

#[test]
fn what_changes_something_is_told_without_its_secrets() {
    let world = World::default();
    let mut shell = sitting_after(&["radius-server group g1"]);
    for (line, change) in [
        ("radius-server shared-key Zq9", Some("radius-server shared-key ******")),
        ("radius-server accounting 192.0.2.1 1813", Some("radius-server accounting 192.0.2.1 1813")),
        ("display this", None),
        ("commit", Some("commit")),
        ("commit", None),
        ("nonsense", None),
        ("undo radius-server timeout", None),
        ("radius-server timeout 7", Some("radius-server timeout 7")),
        ("quit", None),
    ] {
        obey(&mut shell, &world, line);
        assert_eq!(shell.change(), change, "{line}");
    }
}

#[test]
fn a_display_may_be_filtered() {
    let world = World::default();
    let mut shell = sitting_after(&["sysname BNG1", "commit"]);
    let table = [
        ("display current-configuration | include sysname", "sysname BNG1\n"),
        ("dis cur | i ^aaa | c", "Total lines: 1.\n"),
        ("display this | include nothing", ""),
    ];
    for (line, said) in table {
        assert_eq!(obey(&mut shell, &world, line), said, "{line}");
    }
    let json = obey(&mut shell, &world, "display version | json");
    assert!(json.starts_with('{') && json.ends_with("}\n"), "{json}");
    let said = obey(&mut shell, &world, "sysname a | include b");
    assert_eq!(said, "sysname a | include b\n          ^\nError:Too many parameters found at '^' position.\n");
    let said = obey(&mut shell, &world, "display this | nonsense");
    assert_eq!(said, "display this | nonsense\n               ^\nError: Unrecognized command found at '^' position.\n");
}
