//! A user's sitting: errors and carets, what is refused, questions, commits, displays of settings.

use std::sync::Arc;

use crate::support::{World, obey, run, sitting, sitting_after};
use model::settings::{AccountingMode, InterfaceName, InterimFail, Settings, StartFail};
use serde_json::Value;
use vrp::{Answer, DisplayRequest, Pipeline, Place, Refusal, Shell};

const SCHEME: &[&str] = &["aaa", "accounting-scheme s1"];
const GROUP: &[&str] = &["radius-server group g1"];
const POOL: &[&str] = &["local-aaa-server"];

/// Types each line after `views` and expects the line back with the caret and the message, and nothing changed.
fn check_carets(views: &[&str], table: &[(&str, &str, &str)]) {
    for (line, caret, message) in table {
        let mut shell = sitting_after(views);
        let before = shell.candidate().clone();
        let said = obey(&mut shell, &World::default(), line);
        assert_eq!(said, format!("{line}\n{caret}\n{message}\n"), "{line}");
        assert_eq!(*shell.candidate(), before, "{line} was half obeyed");
    }
}

const UNRECOGNIZED: &str = "Error: Unrecognized command found at '^' position.";
const INCOMPLETE: &str = "Error: Incomplete command found at '^' position.";
const AMBIGUOUS: &str = "Error: Ambiguous command found at '^' position.";
const WRONG: &str = "Error: Wrong parameter found at '^' position.";
const TOO_MANY: &str = "Error:Too many parameters found at '^' position.";

#[test]
#[rustfmt::skip]
fn the_caret_stands_under_the_offending_word() {
    check_carets(SCHEME, &[
        ("accounting interim interval 65536",
         "                            ^", WRONG),
        ("accounting interim-fail max-times 0 online",
         "                                  ^", WRONG),
        ("accounting interim-fail max-times 256 offline",
         "                                  ^", WRONG),
        ("accounting realtime 70000",
         "                    ^", WRONG),
        ("accounting interim-fail max-times 5",
         "                                   ^", INCOMPLETE),
        ("accounting interim-fail 5 online",
         "                        ^", UNRECOGNIZED),
        ("accounting inter 5",
         "           ^", AMBIGUOUS),
        ("acc",
         "^", AMBIGUOUS),
        ("accounting realtime 5 6",
         "                      ^", TOO_MANY),
        ("accounting interim interval 5 hash second",
         "                                   ^", TOO_MANY),
        ("accounting start-fail offline keep-accounting",
         "                              ^", TOO_MANY),
        ("nonsense 5",
         "^", UNRECOGNIZED),
        ("  accounting   nonsense",
         "               ^", UNRECOGNIZED),
        ("undo accounting-scheme s1",
         "     ^", UNRECOGNIZED),
        ("undo",
         "    ^", INCOMPLETE),
    ]);
    check_carets(POOL, &[
        ("local-bill cache alarm-threshold 49",
         "                                 ^", WRONG),
        ("local-bill cache alarm-threshold 101",
         "                                 ^", WRONG),
        ("local-bill cache capacity 0",
         "                          ^", WRONG),
        ("local-bill cache capacity 16000001",
         "                          ^", WRONG),
        ("local-bill",
         "          ^", INCOMPLETE),
        ("local-bill-pool",
         "               ^", INCOMPLETE),
    ]);
    check_carets(GROUP, &[
        ("radius-server accounting 192.0.2.1",
         "                                  ^", INCOMPLETE),
        ("radius-server accounting 0.0.0.0",
         "                         ^", WRONG),
        ("radius-server accounting 192.0.2.1 0",
         "                                   ^", WRONG),
        ("radius-server accounting 192.0.2.1 1813 weight 101",
         "                                               ^", WRONG),
        ("radius-server accounting 192.0.2.1 1813 weight 1 weight",
         "                                                 ^", UNRECOGNIZED),
        ("radius-server retransmit 6",
         "                         ^", WRONG),
        ("radius-server timeout 2",
         "                      ^", WRONG),
        ("radius-server s",
         "              ^", AMBIGUOUS),
        ("radius-server source-ports 257",
         "                           ^", WRONG),
        ("radius-server accounting-stop-packet resend 0",
         "                                            ^", WRONG),
    ]);
    check_carets(&[], &[
        ("sysname",
         "       ^", INCOMPLETE),
        ("session-id prefix 12345678",
         "                  ^", WRONG),
        ("plane-link grace 86401",
         "                 ^", WRONG),
        ("radius-server group a/b",
         "                    ^", WRONG),
        ("radius-server dead-count 2",
         "                         ^", WRONG),
        ("radius-server dead-count 10 fail-rate 101",
         "                                      ^", WRONG),
        ("radius-server dead-interval 61",
         "                            ^", WRONG),
        ("radius-server dead-time 0",
         "                        ^", WRONG),
        ("radius-server dead",
         "              ^", AMBIGUOUS),
        ("bill-server 192.0.2.9 filename f",
         "^", UNRECOGNIZED),
        ("save",
         "^", UNRECOGNIZED),
    ]);
}

#[test]
fn on_a_terminal_the_caret_moves_with_the_prompt() {
    let mut shell = sitting_after(SCHEME);
    let Answer::Error(error) = shell.execute("accounting realtime 70000", &World::default()) else { panic!() };
    let indent = shell.prompt().chars().count();
    assert_eq!(
        error.to_terminal(indent),
        format!("{}^\n{WRONG}", " ".repeat("[*HUAWEI-aaa-accounting-s1]".len() + 20))
    );
}

#[test]
fn keywords_may_be_cut_and_written_large() {
    let mut shell = sitting();
    let said = run(
        &mut shell,
        &World::default(),
        &[
            "sys",
            "aa",
            "ACCOUNTING-S s1",
            "accounting start-f on keep",
            "acc real 5",
            "accounting real 5",
            "q",
            "dom d1",
        ],
    );
    assert_eq!(said, format!("Enter system view, return user view with return command.\nacc real 5\n^\n{AMBIGUOUS}\n"));
    let scheme = &shell.candidate().schemes[&"s1".into()];
    assert_eq!(scheme.start_fail, StartFail::OnlineKeepAccounting);
    assert_eq!(scheme.interim.map(|interim| interim.value), Some(5));
    assert_eq!(*shell.place(), Place::Domain("d1".into()));
}

#[test]
fn secrets_never_come_back_in_errors() {
    let world = World::default();
    let long = "x".repeat(129);
    for line in [
        "radius-server shared-key topsecret more",
        "radius-server shared-key top secret",
        "radius-server shared-keys topsecret",
        "radius-server s topsecret",
        "radius-server shard-kye topsecret",
        "radius-server accounting 192.0.2.1 1813 shared-key topsecret weight 101",
        "radius-server accounting 192.0.2.1 shared-key-cipher topsecret",
        "radius-server accounting 192.0.2.1 0 shared-key topsecret",
        "radius-server accounting 192.0.2.1 1813 sharedkey topsecret",
        "rad shared-key topsecret topsecret",
        "nonsense shared-key topsecret",
        "radius-server shared-key %^%#topsecret%^%#",
    ] {
        let mut shell = sitting_after(GROUP);
        let Answer::Error(error) = shell.execute(line, &world) else { panic!("{line} was obeyed") };
        let all = format!("{}{}{error:?}", error.to_script(), error.to_terminal(9));
        assert!(!all.contains("topsecret") && !all.contains("secret "), "{line} gave {all}");
    }
    // A secret that is too long is the offending word itself.
    let mut shell = sitting_after(GROUP);
    let said = obey(&mut shell, &world, &format!("radius-server shared-key {long}"));
    assert_eq!(said, format!("radius-server shared-key ******\n{}^\n{WRONG}\n", " ".repeat(25)));
    // Outside the group view no form has a secret: the keyword alone hides what follows.
    let mut shell = sitting_after(&[]);
    let said = obey(&mut shell, &world, "radius-server shared-key topsecret");
    assert_eq!(said, format!("radius-server shared-key ******\n{}^\n{UNRECOGNIZED}\n", " ".repeat(14)));
}

#[test]
fn what_is_in_use_or_built_in_is_not_deleted() {
    let world = World::default();
    let set_up = [
        "radius-server group g1",
        "quit",
        "aaa",
        "accounting-scheme s1",
        "quit",
        "domain d1",
        "accounting-scheme S1",
        "radius-server group G1",
        "quit",
    ];
    let in_aaa: &[(&str, &str)] = &[
        ("undo accounting-scheme s1", "Error: The accounting scheme is used by domain d1.\n"),
        ("undo accounting-scheme default", "Error: A default accounting scheme cannot be deleted.\n"),
        ("undo accounting-scheme DEFAULT1", "Error: A default accounting scheme cannot be deleted.\n"),
        ("undo accounting-scheme s2", "Error: The accounting scheme does not exist.\n"),
        ("undo domain default_admin", "Error: A default domain cannot be deleted.\n"),
        ("undo domain d2", "Error: The domain does not exist.\n"),
    ];
    for (line, message) in in_aaa {
        assert_eq!(obey(&mut sitting_after(&set_up), &world, line), *message, "{line}");
    }
    let mut shell = sitting_after(&set_up);
    let said = run(&mut shell, &world, &["quit", "undo radius-server group g1", "undo radius-server group g2"]);
    assert_eq!(
        said,
        "Error: The RADIUS server group is used by domain d1.\nError: The RADIUS server group does not exist.\n"
    );
    let said = run(&mut shell, &world, &["aaa", "undo domain d1", "undo accounting-scheme s1", "quit"]);
    assert_eq!(said + &obey(&mut shell, &world, "undo radius-server group g1"), "");
    assert_eq!(*shell.candidate(), Settings::default());
    assert!(!shell.uncommitted(), "everything is as it was");
}

#[test]
fn a_domain_binds_only_what_exists() {
    let mut shell = sitting_after(&["aaa", "domain d1"]);
    let said = run(&mut shell, &World::default(), &["accounting-scheme s9", "radius-server group g9"]);
    assert_eq!(said, "Error: The accounting scheme does not exist.\nError: The RADIUS server group does not exist.\n");
}

#[test]
fn there_are_at_most_256_schemes_and_16_servers() {
    let world = World::default();
    let mut shell = sitting_after(&["aaa"]);
    for number in 0..253 {
        assert_eq!(run(&mut shell, &world, &[&format!("accounting-scheme s{number}"), "quit"]), "");
    }
    let said = obey(&mut shell, &world, "accounting-scheme one-more");
    assert_eq!(said, "Error: The number of accounting schemes has reached the maximum (256).\n");
    assert_eq!(obey(&mut shell, &world, "accounting-scheme S7"), "", "an old one is entered all the same");
    assert_eq!(shell.prompt(), "[*HUAWEI-aaa-accounting-s7]");

    let mut shell = sitting_after(GROUP);
    for host in 1..=16 {
        assert_eq!(obey(&mut shell, &world, &format!("radius-server accounting 192.0.2.{host} 1813")), "");
    }
    let said = obey(&mut shell, &world, "radius-server accounting 192.0.2.17 1813");
    assert_eq!(said, "Error: The number of accounting servers in the group has reached the maximum (16).\n");
    assert_eq!(obey(&mut shell, &world, "radius-server accounting 192.0.2.16 1813 weight 3"), "");
}

#[test]
fn an_algorithm_replaces_the_one_before_with_all_its_words() {
    let mut shell = sitting_after(GROUP);
    for (words, stored) in [
        ("master-backup sequence strict", Some("master-backup strict sequence")),
        ("master-backup sequence", Some("master-backup sequence")),
        ("loading-share", Some("loading-share")),
        ("master-backup", None),
        ("master-backup strict", Some("master-backup strict")),
    ] {
        assert_eq!(obey(&mut shell, &World::default(), &format!("radius-server algorithm {words}")), "", "{words}");
        let written = vrp::config::write(shell.candidate());
        let found = written.lines().find_map(|line| line.trim().strip_prefix("radius-server algorithm "));
        assert_eq!(found, stored, "after {words}");
    }
}

#[test]
fn each_part_of_the_rules_of_health_replaces_itself_only() {
    let mut shell = sitting_after(&[]);
    let steps = [
        ("radius-server dead-count 5 fail-rate 50", Some("radius-server dead-count 5 fail-rate 50")),
        (
            "radius-server dead-interval 0 dead-time 9 recover-count invalid",
            Some("radius-server dead-count 5 fail-rate 50 dead-time 9 recover-count invalid dead-interval 0"),
        ),
        ("radius-server dead-count 10", Some("radius-server dead-time 9 recover-count invalid dead-interval 0")),
        ("radius-server dead-time 3", Some("radius-server dead-interval 0")),
        ("radius-server dead-count 10 fail-rate 99", Some("radius-server dead-count 10 fail-rate 99 dead-interval 0")),
        ("undo radius-server dead-interval", Some("radius-server dead-count 10 fail-rate 99")),
        ("undo radius-server dead-time dead-count", None),
    ];
    for (line, stored) in steps {
        assert_eq!(obey(&mut shell, &World::default(), line), "", "{line}");
        let written = vrp::config::write(shell.candidate());
        let found = written.lines().map(str::trim).find(|line| line.starts_with("radius-server dead"));
        assert_eq!(found, stored, "after {line}");
    }
}

#[test]
fn a_repeated_command_replaces_as_a_whole() {
    let world = World::default();
    let mut shell = sitting_after(SCHEME);
    let scheme = |shell: &Shell| shell.candidate().schemes[&"s1".into()].clone();
    run(&mut shell, &world, &["accounting interim interval 30 second hash", "accounting interim interval 10"]);
    let interim = scheme(&shell).interim.unwrap();
    assert_eq!((interim.seconds(), interim.hash), (600, false));
    run(&mut shell, &world, &["accounting interim-fail max-times 5 offline", "accounting interim-fail online"]);
    assert_eq!(scheme(&shell).interim_fail, InterimFail::default(), "max-times goes back to 3");
    run(&mut shell, &world, &["accounting realtime 7", "undo accounting interim interval"]);
    assert_eq!(scheme(&shell).interim, None, "one setting, two spellings");
    run(&mut shell, &world, &["accounting interim interval 0"]);
    assert_eq!(scheme(&shell).interim, None, "0 is the default");
    run(&mut shell, &world, &["accounting-mode none"]);
    assert_eq!(scheme(&shell).mode, Some(AccountingMode::None));
    run(&mut shell, &world, &["accounting-mode radius"]);
    assert_eq!(scheme(&shell).mode, None, "radius is the default of a scheme that a user makes");
}

#[test]
fn the_resending_of_stops_has_its_own_undo() {
    let world = World::default();
    let mut shell = sitting_after(GROUP);
    let resend = |shell: &Shell| shell.candidate().radius_groups[&"g1".into()].stop_resend;
    assert_eq!(resend(&shell), 3);
    for (line, count) in [
        ("radius-server accounting-stop-packet resend", 50),
        ("undo radius-server accounting-stop-packet resend", 0),
        ("radius-server accounting-stop-packet resend 65535", 65_535),
        ("undo radius-server accounting-stop-packet resend 7", 0),
        ("radius-server accounting-stop-packet resend 3", 3),
    ] {
        assert_eq!(obey(&mut shell, &world, line), "");
        assert_eq!(resend(&shell), count, "{line}");
    }
}

#[test]
fn server_options_come_in_any_order_and_before_or_after_the_port() {
    let world = World::default();
    for (line, own_secret, weight, signed) in [
        ("radius-server accounting 192.0.2.1 1813", false, 0, false),
        ("radius-server accounting 192.0.2.1 1813 weight 5 shared-key k", true, 5, false),
        ("radius-server accounting 192.0.2.1 1813 message-authenticator weight 5", false, 5, true),
        ("radius-server accounting 192.0.2.1 shared-key k 1813 weight 5", true, 5, false),
        ("radius-server accounting 192.0.2.1 message-authenticator shared-key-cipher k 1813", true, 0, true),
        ("radius-server accounting 2001:db8::1 1813 shared-key-cipher %^%#T6b%^%#", true, 0, false),
    ] {
        let mut shell = sitting_after(GROUP);
        assert_eq!(obey(&mut shell, &world, line), "", "{line}");
        let server = &shell.candidate().radius_groups[&"g1".into()].accounting[0];
        let secret = server.shared_key.as_ref().map(|secret| secret.octets().to_vec());
        assert_eq!(secret, own_secret.then(|| b"k".to_vec()), "{line}");
        assert_eq!((server.weight, server.message_authenticator), (weight, signed), "{line}");
    }
}

#[test]
fn servers_are_removed_by_port_or_by_address() {
    let world = World::default();
    let mut shell = sitting_after(&[
        "radius-server group g1",
        "radius-server accounting 192.0.2.1 1813",
        "radius-server accounting 192.0.2.1 1814",
        "radius-server accounting 192.0.2.2 1813",
    ]);
    let ports = |shell: &Shell| -> Vec<u16> {
        shell.candidate().radius_groups[&"g1".into()].accounting.iter().map(|server| server.address.port()).collect()
    };
    obey(&mut shell, &world, "undo radius-server accounting 192.0.2.1 1813 weight 0");
    assert_eq!(ports(&shell), [1814, 1813]);
    obey(&mut shell, &world, "undo radius-server accounting 192.0.2.1");
    assert_eq!(ports(&shell), [1813]);
    let said = obey(&mut shell, &world, "undo radius-server accounting 192.0.2.1");
    assert_eq!(said, "Error: The accounting server does not exist.\n");
}

#[test]
fn a_secret_typed_again_changes_nothing() {
    let world = World::default();
    let mut shell = sitting_after(&["radius-server group g1", "radius-server shared-key topsecret", "commit"]);
    assert!(!shell.uncommitted());
    obey(&mut shell, &world, "radius-server shared-key topsecret");
    assert_eq!(shell.prompt(), "[~HUAWEI-radius-g1]");
    obey(&mut shell, &world, "radius-server shared-key another");
    assert_eq!(shell.prompt(), "[*HUAWEI-radius-g1]");
    let shown = obey(&mut shell, &world, "display configuration candidate merge");
    assert!(!shown.contains("another") && shown.contains("shared-key-cipher %^%#T"), "{shown}");
}

#[test]
fn a_commit_puts_into_force_and_the_prompt_follows() {
    let world = World::default();
    let mut shell = sitting();
    run(&mut shell, &world, &["system-view", "sysname BNG1"]);
    assert_eq!(shell.prompt(), "[*HUAWEI]", "a new sysname shows once it is in force");
    run(&mut shell, &world, &["aaa", "accounting-scheme s1", "commit"]);
    assert_eq!(shell.prompt(), "[~BNG1-aaa-accounting-s1]");
    assert_eq!(
        shell.execute("commit", &world),
        Answer::Confirm { trial_s: None },
        "nothing is pending but, maybe, a trial"
    );
    assert_eq!(run(&mut shell, &world, &["return"]), "");
    assert_eq!(shell.prompt(), "<BNG1>");
}

#[test]
fn a_commit_is_refused_for_a_server_without_a_secret() {
    let world = World::default();
    let mut shell = sitting_after(&["radius-server group g1", "radius-server accounting 192.0.2.1 1813"]);
    let said = obey(&mut shell, &world, "commit");
    assert_eq!(said, "Error: Accounting server 192.0.2.1:1813 of RADIUS server group g1 has no shared key.\n");
    assert!(shell.uncommitted(), "the candidate is kept to be corrected");
    assert_eq!(run(&mut shell, &world, &["radius-server shared-key k", "commit"]), "");
    assert!(!shell.uncommitted());
}

#[test]
fn a_commit_warns_of_what_will_not_be_accounted() {
    let world = World::default();
    let lines = &[
        "radius-server group g1",
        "radius-server shared-key k",
        "radius-server accounting 192.0.2.1 1813",
        "undo radius-server accounting-stop-packet resend",
        "quit",
        "aaa",
        "domain d1",
        "radius-server group g1",
    ];
    let mut shell = sitting_after(lines);
    let said = obey(&mut shell, &world, "commit");
    assert!(said.starts_with("Warning: With the local bill pool disabled"), "{said}");
    assert!(said.contains("group g1"), "{said}");
    let said = run(&mut shell, &world, &["quit", "domain d2", "commit"]);
    assert!(said.contains("Warning: Domain d2 uses RADIUS accounting and has no RADIUS server group.\n"), "{said}");
    let said =
        run(&mut shell, &world, &["return", "system-view", "local-aaa-server", "local-bill-pool enable", "commit"]);
    assert!(!said.contains("With the local bill pool disabled"), "{said}");
}

#[test]
fn a_commit_over_somebody_elses_is_refused() {
    let world = World::default();
    let mut shell = sitting_after(&["sysname MINE"]);
    let theirs = Arc::new(Settings { sysname: "THEIRS".to_owned(), ..Settings::default() });
    shell.running_changed(Arc::clone(&theirs));
    let Answer::Error(error) = shell.execute("commit", &world) else { panic!("overwritten") };
    assert_eq!(error.fault, vrp::Fault::Refusal(Refusal::RunningChanged));
    assert_eq!(run(&mut shell, &world, &["clear configuration candidate", "sysname MINE", "commit"]), "");
    assert_eq!(shell.running().sysname, "MINE");

    let mut idle = sitting();
    idle.running_changed(theirs);
    assert_eq!((idle.prompt().as_str(), idle.uncommitted()), ("<THEIRS>", false), "a clean candidate follows");
}

#[test]
fn a_refused_commit_leaves_the_user_where_he_is() {
    let world = World::default();
    let mut shell = sitting_after(&["sysname BNG1"]);
    assert!(matches!(shell.execute("return", &world), Answer::Question(_)));
    assert!(matches!(shell.execute("y", &world), Answer::Commit(_)));
    shell.refused();
    assert_eq!(shell.prompt(), "[*HUAWEI]");
    obey(&mut shell, &world, "commit");
    assert_eq!(shell.prompt(), "[~BNG1]", "a later commit does not leave");
}

const LEAVE: &str =
    "Warning: Uncommitted configurations found, commit them before exiting? [Y(yes)/N(no)/C(cancel)]:\n";

#[test]
fn leaving_with_an_uncommitted_candidate_asks() {
    let world = World::default();
    for (leave, answer, prompt, sysname) in [
        ("quit", "y", "<BNG1>", "BNG1"),
        ("return", "YES", "<BNG1>", "BNG1"),
        ("quit", "n", "<HUAWEI>", "HUAWEI"),
        ("return", "c", "[*HUAWEI]", "HUAWEI"),
    ] {
        let mut shell = sitting_after(&["sysname BNG1"]);
        assert_eq!(obey(&mut shell, &world, leave), LEAVE);
        assert!(shell.is_asking());
        let again = "Error: Please choose 'YES', 'NO' or 'CANCEL' first before pressing 'Enter'. [Y/N/C]:\n";
        assert_eq!(obey(&mut shell, &world, "perhaps"), again);
        assert_eq!(obey(&mut shell, &world, answer), "");
        assert_eq!((shell.prompt().as_str(), shell.running().sysname.as_str()), (prompt, sysname), "{leave} {answer}");
        assert!(!shell.is_asking());
    }
}

#[test]
fn save_asks_first() {
    let world = World::default();
    let mut shell = sitting();
    let question =
        "Warning: The current configuration will be written to the device.\nAre you sure to continue? [Y/N]:\n";
    assert_eq!(run(&mut shell, &world, &["save", "n"]), question);
    assert_eq!(run(&mut shell, &world, &["save", "y"]), format!("{question}saved\n"));
    assert_eq!(obey(&mut shell, &world, "quit"), "ended\n");
}

#[test]
fn disabling_a_pool_with_bills_inside_asks_first() {
    let world = World { bill_count: 12, ..World::default() };
    let set_up = &["local-aaa-server", "local-bill-pool enable", "commit"];
    let question = "Warning: The local bill pool holds 12 bills.\nAre you sure to continue? [Y/N]:\n";
    for (answer, enabled) in [("n", true), ("y", false)] {
        let mut shell = sitting_after(set_up);
        assert_eq!(obey(&mut shell, &world, "undo local-bill-pool enable"), question);
        assert!(shell.candidate().local_aaa_server.pool_enabled, "nothing has happened yet");
        assert_eq!(obey(&mut shell, &world, answer), "");
        assert_eq!(shell.candidate().local_aaa_server.pool_enabled, enabled);
        assert_eq!(shell.uncommitted(), !enabled);
    }
    let mut shell = sitting_after(set_up);
    assert_eq!(obey(&mut shell, &World::default(), "undo local-bill-pool enable"), "", "an empty pool goes at once");
}

#[test]
fn clearing_the_candidate_returns_to_the_system_view() {
    let mut shell = sitting_after(&["aaa", "accounting-scheme s1"]);
    assert_eq!(obey(&mut shell, &World::default(), "clear configuration candidate"), "");
    assert_eq!(shell.prompt(), "[~HUAWEI]");
    assert_eq!(*shell.candidate(), Settings::default());
}

#[test]
fn display_this_shows_what_is_in_force_in_the_view() {
    let world = World::default();
    let mut shell = sitting_after(&["aaa", "accounting-scheme s1", "accounting realtime 3"]);
    assert_eq!(obey(&mut shell, &world, "display this"), "#\nreturn\n", "nothing is committed yet");
    run(&mut shell, &world, &["commit"]);
    assert_eq!(
        obey(&mut shell, &world, "display this"),
        "#\n accounting-scheme s1\n  accounting realtime 3\n#\nreturn\n"
    );
    let in_aaa = run(&mut shell, &world, &["quit", "display this"]);
    assert!(in_aaa.starts_with("#\naaa\n #\n accounting-scheme default\n"), "{in_aaa}");
    let in_system = run(&mut shell, &world, &["quit", "plane-link grace 60", "sysname B", "commit", "display this"]);
    assert_eq!(in_system, "#\nsysname B\n#\nplane-link grace 60\n#\nreturn\n");
}

#[test]
fn the_candidate_is_shown_with_its_differences() {
    let world = World::default();
    let mut shell = sitting_after(&[
        "sysname OLD",
        "aaa",
        "accounting-scheme s1",
        "accounting realtime 3",
        "quit",
        "accounting-scheme s2",
        "commit",
        "quit",
        "undo accounting-scheme s2",
        "accounting-scheme s1",
        "accounting interim interval 5 hash",
        "accounting start-fail offline",
        "quit",
        "domain d1",
    ]);
    assert_eq!(
        obey(&mut shell, &world, "display configuration candidate changes"),
        " aaa\n  accounting-scheme s1\n+  accounting start-fail offline\n-  accounting realtime 3\n\
         +  accounting interim interval 5 hash\n- accounting-scheme s2\n+ domain d1\n"
    );
    assert_eq!(
        obey(&mut shell, &world, "display configuration candidate"),
        "aaa\n accounting-scheme s1\n  accounting start-fail offline\n  accounting interim interval 5 hash\n domain d1\n"
    );
    run(&mut shell, &world, &["commit"]);
    assert_eq!(obey(&mut shell, &world, "display configuration candidate changes"), "");
}

#[test]
fn a_modified_line_shows_the_old_then_the_new() {
    let mut shell = sitting_after(&["sysname OLD", "commit", "sysname NEW"]);
    let shown = obey(&mut shell, &World::default(), "display configuration candidate changes");
    assert_eq!(shown, "-sysname OLD\n+sysname NEW\n");
}

#[test]
fn displays_of_live_rows_are_requests() {
    let world = World::default();
    for (line, request) in [
        ("display access-user", DisplayRequest::AccessUsers),
        ("display access-user session-id A7", DisplayRequest::AccessUser { session_id: "A7".to_owned() }),
        ("display local-bill information", DisplayRequest::LocalBillInformation),
        (
            "display radius-server packet ip-address 192.0.2.1 accounting",
            DisplayRequest::RadiusServerPacket { address: "192.0.2.1".parse().unwrap(), vpn: None, port: None },
        ),
        (
            "display radius-server packet ipv6-address 2001:db8::1 1813 accounting",
            DisplayRequest::RadiusServerPacket { address: "2001:db8::1".parse().unwrap(), vpn: None, port: Some(1813) },
        ),
        (
            "display radius-server packet ip-address 192.0.2.1 vpn-instance red 1813 accounting",
            DisplayRequest::RadiusServerPacket {
                address: "192.0.2.1".parse().unwrap(),
                vpn: InterfaceName::new("red"),
                port: Some(1813),
            },
        ),
        ("display radius-server configuration", DisplayRequest::RadiusServerConfiguration { group: None }),
        ("dis radius-s conf gr g1", DisplayRequest::RadiusServerConfiguration { group: Some("g1".into()) }),
    ] {
        assert_eq!(sitting().execute(line, &world), Answer::Display(request, Pipeline::default()), "{line}");
    }
}

#[test]
fn schemes_are_shown_by_name_by_keyword_and_by_view() {
    let world = World::default();
    let mut shell = sitting_after(&["aaa", "accounting-scheme name", "accounting interim interval 100", "commit"]);
    let detail = obey(&mut shell, &world, "display accounting-scheme");
    assert!(detail.contains("Realtime-accounting-interval(sec)     : 6000\n"), "{detail}");
    assert_eq!(obey(&mut shell, &world, "display accounting-scheme name name"), detail);
    run(&mut shell, &world, &["return"]);
    let list = obey(&mut shell, &world, "display accounting-scheme");
    assert!(list.contains("Total 4,4 printed"), "{list}");
    assert_eq!(
        obey(&mut shell, &world, "display accounting-scheme s9"),
        "Error: The accounting scheme does not exist.\n"
    );
}

#[test]
fn every_own_display_is_one_json_value() {
    let world = World::default();
    let mut shell = sitting_after(&["sysname BNG1", "commit"]);
    let json = |shell: &mut Shell, line: &str| -> Value {
        match shell.execute(line, &world) {
            Answer::Show(shown, _) => shown.json,
            other => panic!("{line}: {other:?}"),
        }
    };
    assert_eq!(json(&mut shell, "display current-configuration")["configuration"][0], "sysname BNG1");
    assert_eq!(json(&mut shell, "display accounting-scheme")[2]["method"], "radius");
    assert_eq!(json(&mut shell, "display accounting-scheme default1")["start_fail"], "online");
    assert_eq!(json(&mut shell, "display version")["product"], "Tollgate");
}
