//! A user's sitting in the view of the local AAA server: ranges, what the bill server makes possible, actions, displays.

use std::sync::Arc;

use crate::support::{World, obey, run, sitting_after};
use model::settings::{
    BillFormat, BillReplay, BillServer, CacheBackupMode, CfcardBackupMode, HostKeyPolicy, LocalAaaServer, Settings,
};
use vrp::{ActionRequest, Answer, DisplayRequest, Pipeline, Problem, Shell};

const VIEW: &str = "local-aaa-server";
const TFTP_ONLY: &str = "bill-server 192.0.2.9 filename bills";
const WITH_LOGIN: &str = "bill-server 192.0.2.9 filename bills user-name u1 password cipher topsecret 22";
const HOST_KEY: &str = "bill-server host-key accept-first";

const NO_SERVER: &str = "Error: No bill server is configured.\n";
const NO_LOGIN: &str = "Error: SFTP needs the user name, password and port of the bill server.\n";

fn server(shell: &Shell) -> &LocalAaaServer {
    &shell.candidate().local_aaa_server
}

#[test]
fn one_beyond_a_range_is_a_wrong_parameter_under_its_caret() {
    for line in [
        "local-bill cache alarm-threshold 49",
        "local-bill cache alarm-threshold 101",
        "local-bill cfcard alarm-threshold 49",
        "local-bill cfcard alarm-threshold 101",
        "local-bill cache backup-interval 0",
        "local-bill cache backup-interval 65536",
        "local-bill cfcard backup-interval 0",
        "local-bill cfcard backup-interval 65536",
        "local-bill cfcard capacity 0",
        "local-bill cfcard capacity 16000001",
        "local-bill file-size 0",
        "local-bill file-size 10001",
        "bill-server tftp-port 0",
        "bill-server tftp-port 65536",
        "bill-server host-key SHA256:short",
        "bill-server 2001:db8::1",
        "bill-server 192.0.2.9 filename a-name-of-thirty-one-characters",
        "bill-server 192.0.2.9 filename a/b",
        "local-bill cfcard backup a-name-of-thirty-one-characters",
        "local-bill cfcard backup bill.lam",
        "display local-bill cache 0 0",
        "display local-bill cache 0 101",
        "display local-bill cache 49152",
        "display local-bill cache 16000000",
    ] {
        let mut shell = sitting_after(&[VIEW, WITH_LOGIN, "commit"]);
        let before = shell.candidate().clone();
        // The caret comes after a whole line, so the words behind the offending one are there.
        let line = if line.ends_with(" 49152") { format!("{line} 1") } else { line.to_owned() };
        let offending =
            if line.starts_with("display") && line.ends_with(" 1") { 3 } else { line.split(' ').count() - 1 };
        let column = line.split(' ').take(offending).map(|word| word.len() + 1).sum::<usize>();
        let expected = format!("{line}\n{}^\nError: Wrong parameter found at '^' position.\n", " ".repeat(column));
        assert_eq!(obey(&mut shell, &World::default(), &line), expected);
        assert_eq!(*shell.candidate(), before, "{line} was half obeyed");
    }
}

#[test]
fn passwords_have_1_to_16_characters_and_never_come_back() {
    let world = World::default();
    let line = |password: &str| format!("bill-server 192.0.2.9 filename f user-name u password cipher {password} 22");
    let mut shell = sitting_after(&[VIEW]);
    let said = obey(&mut shell, &world, &line("seventeen-letters"));
    let caret = " ".repeat("bill-server 192.0.2.9 filename f user-name u password cipher ".len());
    let shown = line("******").replace(" 22", " ******");
    assert_eq!(said, format!("{shown}\n{caret}^\nError: Wrong parameter found at '^' position.\n"));
    assert_eq!(obey(&mut shell, &world, &line("sixteen--letters")), "");
    let shown = run(&mut shell, &world, &["commit", "display this", "display local-bill configuration"]);
    assert!(shown.contains("password cipher %^%#T") && !shown.contains("sixteen"), "{shown}");
    assert_eq!(obey(&mut shell, &world, &line("sixteen--letters")), "");
    assert!(!shell.uncommitted(), "a password typed again changes nothing");
    for (line, end) in [
        ("bill-server 192.0.2.9 filename f user-name u", "Incomplete command found at '^' position.\n"),
        (
            "bill-server 192.0.2.9 filename f user-name u password cipher topsecret",
            "Incomplete command found at '^' position.\n",
        ),
        (
            "bill-server 192.0.2.9 filename f user-name u password topsecret 22",
            "Unrecognized command found at '^' position.\n",
        ),
        (
            "bill-server 192.0.2.9 filename f password cipher topsecret 22",
            "Unrecognized command found at '^' position.\n",
        ),
        (
            "bill-server 192.0.2.9 filename f user-name u password cipher topsecret 0",
            "Wrong parameter found at '^' position.\n",
        ),
        (
            "bill-server 192.0.2.9 filename f user-name u password cipher %^%#topsecret%^%# 22",
            "The cipher text cannot be decrypted.\n",
        ),
    ] {
        let said = obey(&mut shell, &world, line);
        assert!(said.ends_with(end) && !said.contains("topsecret"), "{line}: {said}");
    }
}

/// What is set before, the line, and what it says.
#[test]
fn a_backup_mode_needs_its_bill_server() {
    let table: &[(&[&str], &str, &str)] = &[
        (&[], "local-bill cache backup-mode cfcard", ""),
        (&[], "local-bill cache backup-mode none", ""),
        (&[], "local-bill cache backup-mode tftp", NO_SERVER),
        (&[], "local-bill cache backup-mode sftp", NO_SERVER),
        (&[], "local-bill cfcard backup-mode tftp", NO_SERVER),
        (&[], "local-bill cfcard backup-mode sftp", NO_SERVER),
        (&[TFTP_ONLY], "local-bill cache backup-mode tftp", ""),
        (&[TFTP_ONLY], "local-bill cache backup-mode sftp", NO_LOGIN),
        (&[TFTP_ONLY], "local-bill cfcard backup-mode tftp", ""),
        (&[TFTP_ONLY], "local-bill cfcard backup-mode sftp", NO_LOGIN),
        (&[WITH_LOGIN], "local-bill cache backup-mode sftp", ""),
        (&[WITH_LOGIN], "local-bill cfcard backup-mode sftp", ""),
        (&[WITH_LOGIN], "undo bill-server", ""),
        (&[WITH_LOGIN], "undo bill-server 192.0.2.9 filename bills", ""),
        (
            &[WITH_LOGIN, "local-bill cache backup-mode sftp"],
            "undo bill-server",
            "Error: The bill server is used by local-bill cache backup-mode sftp.\n",
        ),
        (
            &[TFTP_ONLY, "local-bill cache backup-mode tftp"],
            "undo bill-server",
            "Error: The bill server is used by local-bill cache backup-mode tftp.\n",
        ),
        (
            &[TFTP_ONLY, "local-bill cfcard backup-mode tftp"],
            "undo bill-server",
            "Error: The bill server is used by local-bill cfcard backup-mode tftp.\n",
        ),
        (
            &[TFTP_ONLY, "local-bill cfcard backup-mode tftp", "undo local-bill cfcard backup-mode"],
            "undo bill-server",
            "",
        ),
    ];
    for (before, line, said) in table {
        let mut shell = sitting_after(&[&[VIEW], *before].concat());
        assert_eq!(obey(&mut shell, &World::default(), line), *said, "{line} after {before:?}");
    }
}

#[test]
fn a_commit_looks_at_the_whole() {
    let table: &[(&[&str], &str)] = &[
        (&["local-bill-pool enable"], ""),
        (&["local-bill-pool enable", WITH_LOGIN, HOST_KEY], ""),
        (&["local-bill-pool enable", TFTP_ONLY, "local-bill cfcard backup-mode tftp"], ""),
        (
            &[WITH_LOGIN, "local-bill cache backup-mode sftp", TFTP_ONLY],
            "Error: local-bill cache backup-mode sftp needs the user name, password and port of the bill server.\n",
        ),
        (
            &["local-bill-pool enable", TFTP_ONLY],
            "Warning: Bills stay on the CF card: local-bill cfcard backup-mode sftp needs the user name, password and \
             port of the bill server.\n",
        ),
        (
            &["local-bill-pool enable", WITH_LOGIN],
            "Warning: Without bill-server host-key no SFTP server is trusted, and bills are not transferred.\n",
        ),
    ];
    for (lines, said) in table {
        let mut shell = sitting_after(&[&[VIEW], *lines].concat());
        assert_eq!(obey(&mut shell, &World::default(), "commit"), *said, "{lines:?}");
        assert_eq!(shell.uncommitted(), said.starts_with("Error"), "{lines:?}");
    }
}

#[test]
fn a_tree_with_a_backup_mode_and_no_server_is_not_taken() {
    let problem = |change: fn(&mut LocalAaaServer)| {
        let mut settings = Settings::default();
        change(&mut settings.local_aaa_server);
        vrp::check(&settings).pop().map(|finding| finding.problem.to_string())
    };
    assert_eq!(problem(|_| ()), None);
    let no_server = |mode: &str| Some(format!("Error: local-bill {mode} needs a bill server."));
    assert_eq!(problem(|server| server.cache.backup_mode = CacheBackupMode::Tftp), no_server("cache backup-mode tftp"));
    assert_eq!(problem(|server| server.cache.backup_mode = CacheBackupMode::Sftp), no_server("cache backup-mode sftp"));
    assert_eq!(
        problem(|server| server.cfcard.backup_mode = CfcardBackupMode::Tftp),
        no_server("cfcard backup-mode tftp")
    );
    assert!(!Problem::CfcardKept.is_error() && !Problem::HostKeyMissing.is_error());
}

#[test]
fn settings_are_set_and_taken_back() {
    let world = World::default();
    let default = LocalAaaServer::default();
    type Change = fn(&mut LocalAaaServer);
    let table: &[(&str, &str, Change)] = &[
        ("bill-server tftp-port 6969", "undo bill-server tftp-port", |server| server.tftp_port = 6969),
        (HOST_KEY, "undo bill-server host-key", |server| server.host_key = HostKeyPolicy::AcceptFirst),
        ("bill-server key-file /k", "undo bill-server key-file", |server| server.key_file = Some("/k".to_owned())),
        ("local-bill cache backup-mode none", "undo local-bill cache backup-mode", |server| {
            server.cache.backup_mode = CacheBackupMode::None;
        }),
        ("local-bill cache backup-mode none", "undo local-bill cache backup-mode none", |server| {
            server.cache.backup_mode = CacheBackupMode::None;
        }),
        ("local-bill cache backup-interval 5", "undo local-bill cache backup-interval", |server| {
            server.cache.backup_interval_min = 5;
        }),
        ("local-bill cfcard backup-interval 5", "undo local-bill cfcard backup-interval 5", |server| {
            server.cfcard.backup_interval_min = 5;
        }),
        ("local-bill cfcard alarm-threshold 85", "undo local-bill cfcard alarm-threshold", |server| {
            server.cfcard.alarm_threshold = 85;
        }),
        ("local-bill cache capacity 7", "undo local-bill cache capacity", |server| server.cache.capacity = 7),
        ("local-bill cfcard capacity 8", "undo local-bill cfcard capacity", |server| server.cfcard.capacity = 8),
        ("local-bill format csv", "undo local-bill format", |server| server.format = BillFormat::Csv),
        ("local-bill format json", "local-bill format detail", |server| server.format = BillFormat::Json),
        ("local-bill file-size 10000", "undo local-bill file-size", |server| server.file_size = 10_000),
        ("local-bill cache replay enable", "undo local-bill cache replay", |server| {
            server.replay = BillReplay::Enabled;
        }),
        ("local-bill cache replay enable start-failed", "local-bill cache replay disable", |server| {
            server.replay = BillReplay::EnabledStartFailed;
        }),
    ];
    for (set, undo, change) in table {
        let mut shell = sitting_after(&[VIEW]);
        let mut expected = default.clone();
        change(&mut expected);
        assert_eq!(obey(&mut shell, &world, set), "", "{set}");
        assert_eq!(*server(&shell), expected, "{set}");
        assert!(shell.uncommitted(), "{set}");
        assert_eq!(obey(&mut shell, &world, undo), "", "{undo}");
        assert_eq!(*server(&shell), default, "{undo}");
    }
}

#[test]
fn a_bill_server_is_replaced_as_a_whole() {
    let mut shell = sitting_after(&[VIEW, WITH_LOGIN, "bill-server 192.0.2.10 filename other"]);
    let expected = BillServer { address: "192.0.2.10".parse().unwrap(), file_name: "other".to_owned(), login: None };
    assert_eq!(server(&shell).bill_server, Some(expected));
    assert_eq!(obey(&mut shell, &World::default(), "undo bill-server"), "");
    assert_eq!(*server(&shell), LocalAaaServer::default());
}

#[test]
fn sampling_has_an_interval_of_its_own() {
    let world = World::default();
    let mut shell = sitting_after(&["accounting checkpoint-interval 5"]);
    assert_eq!(shell.candidate().checkpoint_interval_s, 5);
    let shown = run(&mut shell, &world, &["commit", "display this"]);
    assert_eq!(shown, "#\naccounting checkpoint-interval 5\n#\nreturn\n");
    assert_eq!(run(&mut shell, &world, &["undo accounting checkpoint-interval"]), "");
    assert_eq!(*shell.candidate(), Settings::default());
    for (line, column) in [("accounting checkpoint-interval 0", 31), ("accounting checkpoint-interval 3601", 31)] {
        let expected = format!("{line}\n{}^\nError: Wrong parameter found at '^' position.\n", " ".repeat(column));
        assert_eq!(obey(&mut shell, &world, line), expected);
    }
}

const RESET: &str =
    "Warning: All bills on the CF card will be deleted and cannot be restored.\nAre you sure to continue? [Y/N]:\n";

#[test]
fn actions_are_obeyed_at_once_and_are_no_configuration() {
    let world = World::default();
    let backup = |file_name: Option<&str>| ActionRequest::CfcardBackup { file_name: file_name.map(str::to_owned) };
    for (line, request) in [
        ("local-bill cache backup", ActionRequest::CacheBackup),
        ("local-bill cfcard backup", backup(None)),
        ("local-bill cfcard backup Bill", backup(Some("Bill"))),
        ("local-bill cf backup x", backup(Some("x"))),
    ] {
        let mut shell = sitting_after(&[VIEW, WITH_LOGIN, HOST_KEY, "commit"]);
        let before = shell.prompt();
        assert_eq!(shell.execute(line, &world), Answer::Action(request), "{line}");
        assert_eq!((shell.prompt(), shell.uncommitted()), (before, false), "{line}");
        assert_eq!(shell.candidate(), shell.running(), "{line}");
    }
    let mut elsewhere = sitting_after(&[]);
    let said = obey(&mut elsewhere, &world, "local-bill cache backup");
    assert!(said.ends_with("Unrecognized command found at '^' position.\n"), "{said}");
    let mut shell = sitting_after(&[VIEW]);
    let said = obey(&mut shell, &world, "undo local-bill cfcard reset");
    assert!(said.ends_with("Unrecognized command found at '^' position.\n"), "{said}");
}

#[test]
fn a_backup_of_the_card_is_judged_by_what_is_in_force() {
    let world = World::default();
    let request = Answer::Action(ActionRequest::CfcardBackup { file_name: None });
    let line = "local-bill cfcard backup";
    let mut shell = sitting_after(&[VIEW, TFTP_ONLY, "local-bill cfcard backup-mode tftp"]);
    assert_eq!(obey(&mut shell, &world, line), NO_SERVER, "the candidate is not in force");
    obey(&mut shell, &world, "commit");
    assert_eq!(shell.execute(line, &world), request);
    run(&mut shell, &world, &["undo local-bill cfcard backup-mode", "commit"]);
    assert_eq!(obey(&mut shell, &world, line), NO_LOGIN);
    let mut shell = sitting_after(&[VIEW]);
    assert_eq!(obey(&mut shell, &world, line), NO_SERVER);
    // Its pool has somewhere to go in every mode (BEHAVIOUR.md 11.6).
    obey(&mut shell, &world, "local-bill cache backup-mode none");
    assert_eq!(shell.execute("local-bill cache backup", &world), Answer::Action(ActionRequest::CacheBackup));
}

#[test]
fn deleting_the_bills_of_the_card_asks_first() {
    let world = World::default();
    let again = "Error: Please choose 'YES' or 'NO' first before pressing 'Enter'. [Y/N]:\n";
    for (answer, done) in [("y", true), ("YES", true), ("n", false), ("No", false)] {
        let mut shell = sitting_after(&[VIEW]);
        assert_eq!(run(&mut shell, &world, &["local-bill cfcard reset", "perhaps"]), format!("{RESET}{again}"));
        let expected = if done { Answer::Action(ActionRequest::CfcardReset) } else { Answer::Silent };
        assert_eq!(shell.execute(answer, &world), expected, "{answer}");
        assert_eq!((shell.prompt().as_str(), shell.is_asking()), ("[~HUAWEI-local-aaa-server]", false));
    }
}

#[test]
fn the_first_bill_shown_is_within_the_capacity_in_force() {
    let world = World::default();
    let request = |start, count| Answer::Display(DisplayRequest::LocalBillCache { start, count }, Pipeline::default());
    for (capacity, good, bad) in [(49_152, 49_151, 49_152), (7, 49_151, 49_152), (1_000_000, 999_999, 1_000_000)] {
        let mut shell = sitting_after(&[]);
        let mut settings = Settings::default();
        settings.local_aaa_server.cache.capacity = capacity;
        shell.running_changed(Arc::new(settings));
        assert_eq!(shell.execute(&format!("display local-bill cache {good} 100"), &world), request(good, 100));
        assert_eq!(shell.execute("display local-bill cache 0 1", &world), request(0, 1));
        let said = obey(&mut shell, &world, &format!("  display local-bill cache {bad} 100"));
        let expected = format!(
            "  display local-bill cache {bad} 100\n{}^\nError: Wrong parameter found at '^' position.\n",
            " ".repeat(27)
        );
        assert_eq!(said, expected);
    }
}

#[test]
fn what_is_in_force_is_displayed_in_every_view() {
    let world = World::default();
    let mut shell = sitting_after(&[VIEW, "local-bill cfcard alarm-threshold 85"]);
    let shown = obey(&mut shell, &world, "display local-bill configuration");
    assert!(shown.contains("Cfcard-Alarm-Threshold    : 75%\n"), "nothing is committed yet: {shown}");
    let shown = run(&mut shell, &world, &["commit", "return", "dis local-bill conf"]);
    assert!(shown.contains("Cfcard-Alarm-Threshold    : 85%\n"), "{shown}");
}
