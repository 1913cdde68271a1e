//! The examples of the seed documents, typed as they stand there, with the prompts that they show.

use crate::support::{World, obey, sitting};
use model::settings::{
    CacheBackupMode, CfcardBackupMode, Interim, InterimFail, InterimFailPolicy, InterimSpelling, IntervalUnit,
};
use vrp::Shell;

/// Types the example: each line is a prompt, a blank and a command.
fn type_example(shell: &mut Shell, example: &str) {
    for line in example.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let end = line.find(['>', ']']).expect("a prompt") + 1;
        let (prompt, command) = (&line[..end], line[end..].trim());
        assert_eq!(shell.prompt(), prompt, "before {command}");
        let said = obey(shell, &World::default(), command);
        assert!(!said.contains("Error"), "{command}: {said}");
    }
}

#[test]
fn interim_fail() {
    let mut shell = sitting();
    type_example(
        &mut shell,
        "<HUAWEI> system-view
         [~HUAWEI] aaa
         [~HUAWEI-aaa] accounting-scheme scheme1
         [*HUAWEI-aaa-accounting-scheme1] accounting realtime 3
         [*HUAWEI-aaa-accounting-scheme1] accounting interim-fail max-times 5 offline",
    );
    let scheme = &shell.candidate().schemes[&"scheme1".into()];
    assert_eq!(scheme.interim_fail, InterimFail { max_times: 5, policy: InterimFailPolicy::Offline });
    assert_eq!(scheme.interim.map(Interim::seconds), Some(180));
}

#[test]
fn interim_interval() {
    let mut shell = sitting();
    type_example(
        &mut shell,
        "<HUAWEI> system-view
         [~HUAWEI] aaa
         [~HUAWEI-aaa] accounting-scheme huawei
         [*HUAWEI-aaa-accounting-huawei] accounting interim interval 100",
    );
    let interim = Interim {
        value: 100,
        unit: IntervalUnit::Minute,
        hash: false,
        traffic: false,
        spelling: InterimSpelling::Interval,
    };
    assert_eq!(shell.candidate().schemes[&"huawei".into()].interim, Some(interim));
    assert_eq!(interim.seconds(), 6_000);
}

#[test]
fn hwtacacs_stop_resend() {
    let mut shell = sitting();
    type_example(
        &mut shell,
        "<HUAWEI> system-view
         [~HUAWEI] hwtacacs-server accounting-stop-packet resend enable 50",
    );
    assert_eq!(shell.prompt(), "[*HUAWEI]");
    assert_eq!(shell.candidate().hwtacacs.stop_resend, Some(50));
}

#[test]
fn local_bills_steps_1_to_3_and_7() {
    let mut shell = sitting();
    type_example(
        &mut shell,
        "<HUAWEI> system-view
         [~HUAWEI] local-aaa-server
         [~HUAWEI-local-aaa-server] local-bill-pool enable
         [*HUAWEI-local-aaa-server] commit
         [~HUAWEI-local-aaa-server] display local-bill information",
    );
    assert!(shell.running().local_aaa_server.pool_enabled);
}

#[test]
fn local_bills_from_the_first_step_to_the_last() {
    let mut shell = sitting();
    type_example(
        &mut shell,
        "<HUAWEI> system-view
         [~HUAWEI] local-aaa-server
         [~HUAWEI-local-aaa-server] local-bill-pool enable
         [*HUAWEI-local-aaa-server] bill-server 192.0.2.9 filename bills user-name u1 password cipher Secret-16 22
         [*HUAWEI-local-aaa-server] bill-server host-key accept-first
         [*HUAWEI-local-aaa-server] local-bill cache backup-mode sftp
         [*HUAWEI-local-aaa-server] local-bill cfcard backup-mode tftp
         [*HUAWEI-local-aaa-server] local-bill cache backup-interval 60
         [*HUAWEI-local-aaa-server] local-bill cfcard backup-interval 65535
         [*HUAWEI-local-aaa-server] local-bill cache alarm-threshold 50
         [*HUAWEI-local-aaa-server] local-bill cfcard alarm-threshold 100
         [*HUAWEI-local-aaa-server] commit
         [~HUAWEI-local-aaa-server] local-bill cache backup
         [~HUAWEI-local-aaa-server] local-bill cfcard backup
         [~HUAWEI-local-aaa-server] local-bill cfcard backup bill
         [~HUAWEI-local-aaa-server] display local-bill configuration
         [~HUAWEI-local-aaa-server] display local-bill information
         [~HUAWEI-local-aaa-server] display local-bill cache 1 1
         [~HUAWEI-local-aaa-server] local-bill cfcard reset",
    );
    assert!(shell.is_asking());
    let server = &shell.running().local_aaa_server;
    assert_eq!((server.cache.backup_mode, server.cache.backup_interval_min), (CacheBackupMode::Sftp, 60));
    assert_eq!((server.cfcard.backup_mode, server.cfcard.backup_interval_min), (CfcardBackupMode::Tftp, 65_535));
    assert_eq!((server.cache.alarm_threshold, server.cfcard.alarm_threshold), (50, 100));
    let login = server.bill_server.as_ref().and_then(|bill_server| bill_server.login.as_ref());
    assert_eq!(login.map(|login| login.password.octets()), Some(&b"Secret-16"[..]));
}
