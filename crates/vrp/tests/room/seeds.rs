//! The examples of the seed documents, typed as they stand there, with the prompts that they show.

use crate::support::{World, obey, sitting};
use model::settings::{Interim, InterimFail, InterimFailPolicy, InterimSpelling, IntervalUnit};
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
    let interim = Interim { value: 100, unit: IntervalUnit::Minute, hash: false, spelling: InterimSpelling::Interval };
    assert_eq!(shell.candidate().schemes[&"huawei".into()].interim, Some(interim));
    assert_eq!(interim.seconds(), 6_000);
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
