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
    assert_eq!(
        obey(&mut mine, &world, "refresh configuration candidate"),
        "Warning: \"sysname MINE\" replaces \"sysname THEIRS\", which another user has set meanwhile.\n"
    );
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

/// What a refresh says, and what the candidate is then against what runs, when both began with `base`.
fn refreshed(base: &[&str], mine: &[&str], theirs: &[&str]) -> (String, String) {
    let world = World::default();
    let running = Arc::new(sitting_after(base).candidate().clone());
    let [mut mine, theirs] = [mine, theirs].map(|lines| {
        let mut shell = Shell::new(Arc::clone(&running), ShellLevel::Management);
        let said = run(&mut shell, &world, &[&["system-view"], lines].concat());
        assert!(!said.contains("Error"), "{said}");
        shell
    });
    mine.running_changed(Arc::new(theirs.candidate().clone()));
    let said = obey(&mut mine, &world, "refresh configuration candidate");
    (said, obey(&mut mine, &world, "display configuration candidate changes"))
}

#[test]
#[rustfmt::skip]
fn what_both_changed_is_told_at_the_refresh() {
    let base = &[
        "radius-server group g1", "radius-server shared-key k", "radius-server timeout 7",
        "radius-server accounting 192.0.2.1 1813 weight 1", "radius-server accounting 192.0.2.2 1813 weight 2", "quit",
        "radius-server accounting pending-limit 5", "radius-server accounting speed-limit 9 9",
        "hwtacacs-server template t1", "hwtacacs-server accounting 192.0.2.1",
        "hwtacacs-server accounting 192.0.2.2 secondary", "quit",
        "aaa", "accounting-scheme s1", "accounting realtime 3", "quit", "quit",
    ];
    let stays = |place: &str, line: &str| {
        format!("Warning: {place}\"{line}\" stays, for another user has changed what the candidate takes out.\n")
    };
    let comes_back = |place: &str, line: &str| {
        format!("Warning: {place}\"{line}\" stays, for the candidate changes what another user has taken out.\n")
    };
    let table = [
        // One setting: taken out here and changed there, even to the other spelling of it; and the other way round.
        (vec!["aaa", "accounting-scheme s1", "undo accounting interim interval"],
         vec!["aaa", "accounting-scheme s1", "accounting interim interval 9"],
         stays("accounting-scheme s1: ", "accounting interim interval 9"), ""),
        (vec!["radius-server group g1", "radius-server timeout 9"], vec!["radius-server group g1", "undo radius-server timeout"],
         comes_back("radius-server group g1: ", "radius-server timeout 9"),
         " radius-server group g1\n+ radius-server timeout 9\n"),
        // Of several servers the one that is meant.
        (vec!["radius-server group g1", "undo radius-server accounting 192.0.2.1 1813"],
         vec!["radius-server group g1", "radius-server accounting 192.0.2.1 1813 weight 8"],
         stays("radius-server group g1: ", "radius-server accounting 192.0.2.1 1813 weight 8"), ""),
        (vec!["radius-server group g1", "undo radius-server accounting 192.0.2.1 1813"],
         vec!["radius-server group g1", "radius-server accounting 192.0.2.2 1813 weight 8"],
         String::new(), " radius-server group g1\n- radius-server accounting 192.0.2.1 1813 weight 1\n"),
        (vec!["hwtacacs-server template t1", "undo hwtacacs-server accounting secondary"],
         vec!["hwtacacs-server template t1", "hwtacacs-server accounting 192.0.2.3 third", "hwtacacs-server accounting 192.0.2.4"],
         String::new(), " hwtacacs-server template t1\n- hwtacacs-server accounting 192.0.2.2 secondary\n"),
        (vec!["hwtacacs-server template t1", "undo hwtacacs-server accounting secondary"],
         vec!["hwtacacs-server template t1", "hwtacacs-server accounting 192.0.2.3 secondary"],
         stays("hwtacacs-server template t1: ", "hwtacacs-server accounting 192.0.2.3 secondary"), ""),
        // Of two limits the one that is meant.
        (vec!["undo radius-server accounting pending-limit"], vec!["radius-server accounting pending-limit 6"],
         stays("", "radius-server accounting pending-limit 6"), ""),
        (vec!["undo radius-server accounting pending-limit"], vec!["radius-server accounting speed-limit 8 8"],
         String::new(), "-radius-server accounting pending-limit 5\n"),
        // A section as a whole.
        (vec!["aaa", "undo accounting-scheme s1"], vec!["aaa", "accounting-scheme s1", "accounting realtime 4"],
         stays("aaa: ", "accounting-scheme s1"), ""),
        (vec!["aaa", "accounting-scheme s1", "accounting interim-fail offline"], vec!["aaa", "undo accounting-scheme s1"],
         comes_back("aaa: ", "accounting-scheme s1"),
         " aaa\n+ accounting-scheme s1\n+  accounting realtime 3\n+  accounting interim-fail offline\n"),
        // Both the same: nothing to tell, and nothing left to commit.
        (vec!["radius-server dead-count 7"], vec!["radius-server dead-count 7"], String::new(), ""),
        // No secret is told.
        (vec!["radius-server group g1", "radius-server shared-key mine"], vec!["radius-server group g1", "undo radius-server shared-key"],
         comes_back("radius-server group g1: ", "radius-server shared-key-cipher %^%#******%^%#"),
         " radius-server group g1\n+ radius-server shared-key-cipher %^%#T6d696e65%^%#\n"),
    ];
    for (mine, theirs, said, changes) in table {
        assert_eq!(refreshed(base, &mine, &theirs), (said, changes.to_owned()), "{mine:?} and {theirs:?}");
    }
}

#[test]
fn ciphers_are_for_management_only() {
    let world = World::default();
    let running = sitting_after(&["radius-server group g1", "radius-server shared-key k"]).candidate().clone();
    for (level, word) in [(ShellLevel::Management, "%^%#T6b%^%#"), (ShellLevel::Configuration, "%^%#******%^%#")] {
        let mut shell = Shell::new(Arc::new(running.clone()), level);
        let line = format!("\n radius-server shared-key-cipher {word}\n");
        run(&mut shell, &world, &["system-view", "radius-server group g1", "radius-server timeout 9"]);
        let mut shown = 0;
        for display in ["display this", "display current-configuration", "display configuration candidate merge"] {
            let said = obey(&mut shell, &world, display);
            let refused = level != ShellLevel::Management && said.contains("do not have permission");
            assert!(said.contains(&line) || refused, "{display}: {said}");
            let json = obey(&mut shell, &world, &format!("{display} | json"));
            assert!(json.contains(word) || refused, "{display}: {json}");
            shown += usize::from(!refused);
        }
        assert!(shown > 0);
        // What was masked is nobody's secret.
        let pasted = obey(&mut shell, &world, "radius-server shared-key-cipher %^%#******%^%#");
        assert_eq!(pasted, "Error: The cipher text cannot be decrypted.\n");
    }
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
        // What was asked for in vain as well.
        ("undo radius-server group g2", None),
        ("return", None),
        ("n", None),
        ("system-view", None),
        ("local-aaa-server", None),
        ("local-bill cfcard backup", Some("local-bill cfcard backup")),
        ("return", None),
        ("system-view immediately", None),
        ("radius-server group g9", Some("radius-server group g9")),
        ("quit", None),
        ("undo radius-server group g7", Some("undo radius-server group g7")),
        ("radius-server group g9", None),
        ("bill-server nowhere", None),
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
