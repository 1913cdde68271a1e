//! HWTACACS: templates, the Stops that are sent again, and what is said of mistakes.

use std::sync::Arc;

use model::settings::{AccountingMode, HwtacacsTemplate, Secret, Settings, ShellLevel};
use vrp::{Answer, DisplayRequest, Shell, config};

use crate::support::{World, obey, run, sitting, sitting_after};

const TEMPLATE: &[&str] = &["hwtacacs-server template ht"];

/// A domain whose sessions report to the template.
const BOUND: &[&str] = &[
    "hwtacacs-server template ht",
    "hwtacacs-server shared-key cipher top",
    "hwtacacs-server accounting 192.0.2.1",
    "quit",
    "aaa",
    "accounting-scheme s1",
    "accounting-mode hwtacacs",
    "quit",
    "domain isp",
    "accounting-scheme s1",
    "hwtacacs-server ht",
    "return",
];

fn template(settings: &Settings) -> &HwtacacsTemplate {
    &settings.hwtacacs.templates[&"ht".into()]
}

/// The lines of the template in the saved text.
fn lines(settings: &Settings) -> Vec<String> {
    let text = config::write(settings);
    let behind = text.lines().skip_while(|line| !line.starts_with("hwtacacs-server template")).skip(1);
    behind.take_while(|line| *line != "#").map(|line| line.trim().to_owned()).collect()
}

/// Settings after these lines and a commit, and what was said.
fn committed(lines: &[&str]) -> (Shell, String) {
    let world = World::default();
    let mut shell = sitting();
    let mut said = run(&mut shell, &world, &["system-view"]);
    said.clear();
    for line in lines {
        said += &obey(&mut shell, &world, if *line == "return" { "commit" } else { line });
    }
    (shell, said)
}

#[test]
fn the_view_of_a_template_has_its_prompt_and_is_left_to_the_system_view() {
    let world = World::default();
    let mut shell = sitting_after(TEMPLATE);
    assert_eq!(shell.prompt(), "[*HUAWEI-hwtacacs-ht]");
    assert_eq!(run(&mut shell, &world, &["quit", "hwtacacs-server template HT"]), "");
    assert_eq!(shell.prompt(), "[*HUAWEI-hwtacacs-ht]");
    assert_eq!(obey(&mut shell, &world, "quit"), "");
    assert_eq!(shell.prompt(), "[*HUAWEI]");
}

#[test]
fn a_server_may_be_typed_in_any_order_and_is_printed_in_one() {
    for (typed, stored) in [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1 49 public-net", "192.0.2.1"),
        ("2001:db8::1 50 third", "2001:db8::1 50 third"),
        (
            "192.0.2.1 mux-mode shared-key cipher k fourth vpn-instance red",
            "192.0.2.1 vpn-instance red fourth shared-key cipher %^%#T6b%^%# mux-mode",
        ),
        ("192.0.2.1 secondary mux-mode", "192.0.2.1 secondary mux-mode"),
    ] {
        for service in ["accounting", "authentication", "authorization"] {
            let shell = sitting_after(&[TEMPLATE[0], &format!("hwtacacs-server {service} {typed}")]);
            assert_eq!(lines(shell.candidate()), [format!("hwtacacs-server {service} {stored}")], "{typed}");
        }
    }
}

#[test]
fn a_server_is_taken_out_by_its_rank_or_its_address() {
    let servers = ["192.0.2.1", "192.0.2.2 50 secondary", "192.0.2.3 vpn-instance red third", "2001:db8::1 fourth"];
    for (undo, gone) in [
        ("", Some(0)),
        ("secondary", Some(1)),
        ("192.0.2.2", Some(1)),
        ("192.0.2.2 50", Some(1)),
        ("192.0.2.2 49", None),
        ("192.0.2.2 secondary", Some(1)),
        ("192.0.2.2 third", None),
        ("192.0.2.3", None),
        ("192.0.2.3 vpn-instance red", Some(2)),
        ("2001:db8::1 fourth mux-mode", Some(3)),
        ("192.0.2.9", None),
    ] {
        let typed: Vec<String> = servers.iter().map(|server| format!("hwtacacs-server accounting {server}")).collect();
        let before: Vec<&str> = TEMPLATE.iter().copied().chain(typed.iter().map(String::as_str)).collect();
        let mut shell = sitting_after(&before);
        let said = obey(&mut shell, &World::default(), &format!("undo hwtacacs-server accounting {undo}"));
        let missing = "Error: The HWTACACS server template has no such server.\n";
        assert_eq!(said, if gone.is_some() { "" } else { missing }, "{undo}");
        let left: Vec<bool> = template(shell.candidate()).accounting.iter().map(Option::is_some).collect();
        let expected: Vec<bool> = (0..servers.len()).map(|rank| gone != Some(rank)).collect();
        assert_eq!(left, expected, "{undo}");
    }
}

#[test]
fn a_key_is_sealed_and_kept_as_long_as_it_is_the_same() {
    let world = World::default();
    let mut shell = sitting_after(TEMPLATE);
    for line in ["hwtacacs-server shared-key top", "hwtacacs-server shared-key cipher top"] {
        assert_eq!(obey(&mut shell, &world, line), "", "{line}");
        assert_eq!(lines(shell.candidate()), ["hwtacacs-server shared-key cipher %^%#T746f70%^%#"], "{line}");
    }
    let longest = "k".repeat(255);
    assert_eq!(obey(&mut shell, &world, &format!("hwtacacs-server shared-key {longest}")), "");
    let settings = config::read(&config::write(shell.candidate()), &world).unwrap();
    let key = template(&settings).shared_key.as_ref().map(Secret::octets);
    assert_eq!(key, Some(longest.as_bytes()), "its stored form reads back");
    let said = obey(&mut shell, &world, &format!("hwtacacs-server shared-key {longest}k"));
    assert!(said.contains("Wrong parameter") && !said.contains("kk"), "{said}");
}

#[test]
fn what_a_domain_uses_is_neither_deleted_nor_given_another_response_timeout() {
    let world = World::default();
    let (mut shell, said) = committed(BOUND);
    assert_eq!(said, "");
    let bound = "Error: The HWTACACS server template is used by domain isp.\n";
    let view = ["return", "system-view", "hwtacacs-server template ht"];
    let entered = run(&mut shell, &world, &view);
    assert!(!entered.contains("Error"), "{entered}");
    for (line, expected) in [
        ("hwtacacs-server timer response-timeout 6", bound),
        ("hwtacacs-server timer response-timeout 5", ""),
        ("undo hwtacacs-server timer response-timeout", ""),
        ("hwtacacs-server timer quiet 6", ""),
        ("quit", ""),
        ("undo hwtacacs-server template ht", bound),
        ("undo hwtacacs-server template other", "Error: The HWTACACS server template does not exist.\n"),
        ("aaa", ""),
        ("domain isp", ""),
        ("hwtacacs-server other", "Error: The HWTACACS server template does not exist.\n"),
        ("undo hwtacacs-server", ""),
        ("quit", ""),
        ("quit", ""),
        ("undo hwtacacs-server template HT", ""),
    ] {
        assert_eq!(obey(&mut shell, &world, line), expected, "{line}");
    }
    assert!(shell.candidate().hwtacacs.templates.is_empty());
}

#[test]
fn what_only_the_whole_tree_can_tell_is_said_at_the_commit() {
    let with = |more: &[&'static str]| [&BOUND[..2], more, &["quit"], &BOUND[4..]].concat();
    let keyless = [&BOUND[..1], &BOUND[2..]].concat();
    let no_template: Vec<_> = BOUND.iter().copied().filter(|line| *line != "hwtacacs-server ht").collect();
    let disabled = [&["undo hwtacacs enable"], BOUND].concat();
    let unprotected = [&["hwtacacs-server accounting-stop-packet resend disable"], BOUND].concat();
    for (lines, said) in [
        (with(&["hwtacacs-server accounting 192.0.2.1", "hwtacacs-server accounting 192.0.2.2 third"]), ""),
        (
            with(&["hwtacacs-server accounting 192.0.2.1", "hwtacacs-server accounting 192.0.2.1 50 third"]),
            "Error: Two accounting servers of HWTACACS server template ht have the address 192.0.2.1.",
        ),
        (
            with(&[
                "hwtacacs-server accounting 192.0.2.1",
                "hwtacacs-server accounting 192.0.2.1 vpn-instance red secondary",
            ]),
            "",
        ),
        (with(&[]), "Warning: The HWTACACS server template of domain isp has no accounting server."),
        (keyless, "Error: Accounting server 192.0.2.1:49 of HWTACACS server template ht has no shared key."),
        (no_template, "Warning: Domain isp uses HWTACACS accounting and has no HWTACACS server template."),
        (disabled, "Warning: Domain isp uses HWTACACS accounting, and HWTACACS is disabled."),
        (
            unprotected,
            "Warning: With the local bill pool disabled and hwtacacs-server accounting-stop-packet resend disabled, \
             accounting of domain isp that no server acknowledges is abandoned.",
        ),
    ] {
        assert_eq!(committed(&lines).1.trim_end(), said, "{lines:?}");
    }
}

#[test]
fn a_file_names_the_block_that_a_mistake_is_in() {
    let text = "hwtacacs-server template ht\n hwtacacs-server accounting 192.0.2.1\n#\nreturn\n";
    let errors = config::read(text, &World::default()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].number, 1);
}

#[test]
fn a_routers_template_is_read_as_it_stands() {
    let text = "\
hwtacacs enable
#
hwtacacs-server template ht
 hwtacacs-server authentication 192.0.2.1
 hwtacacs-server authentication 192.0.2.2 secondary
 hwtacacs-server authorization 192.0.2.1
 hwtacacs-server accounting 192.0.2.1
 hwtacacs-server shared-key cipher %^%#T746f70%^%#
hwtacacs-server template ht2
#
aaa
 accounting-scheme s1
  accounting-mode hwtacacs
 domain isp
  accounting-scheme s1
  hwtacacs-server ht
  hwtacacs-server accounting-stop-packet resend disable
return
";
    let settings = config::read(text, &World::default()).unwrap();
    assert_eq!(settings.schemes[&"s1".into()].mode, Some(AccountingMode::Hwtacacs));
    assert_eq!(settings.domains[&"isp".into()].hwtacacs_template, Some("ht".into()));
    assert_eq!(settings.hwtacacs.stop_resend, None);
    assert!(!settings.hwtacacs.is_disabled);
    assert!(template(&settings).authentication[1].is_some() && template(&settings).authorization[0].is_some());
    assert!(settings.hwtacacs.templates.contains_key(&"ht2".into()));
}

#[test]
fn stops_are_sent_again_three_times_unless_it_is_said_otherwise() {
    let world = World::default();
    let mut shell = sitting_after(&[]);
    for (line, times, stored) in [
        ("hwtacacs-server accounting-stop-packet resend enable 50", Some(50), Some("enable 50")),
        ("hwtacacs-server accounting-stop-packet resend disable", None, Some("disable")),
        ("undo hwtacacs-server accounting-stop-packet resend", Some(3), None),
        ("hwtacacs-server accounting-stop-packet resend enable 300", Some(300), Some("enable 300")),
        ("hwtacacs-server accounting-stop-packet resend enable 3", Some(3), None),
    ] {
        assert_eq!(obey(&mut shell, &world, line), "", "{line}");
        assert_eq!(shell.candidate().hwtacacs.stop_resend, times, "{line}");
        let text = config::write(shell.candidate());
        let found = text.lines().find_map(|line| line.strip_prefix("hwtacacs-server accounting-stop-packet resend "));
        assert_eq!(found, stored, "{line}");
    }
    let mut shell = Shell::new(Arc::new(Settings::default()), ShellLevel::Configuration);
    let said = run(&mut shell, &world, &["system-view", "hwtacacs-server accounting-stop-packet resend disable"]);
    assert!(said.ends_with("You do not have permission to run the command or the command is incomplete.\n"), "{said}");
}

#[test]
fn there_are_at_most_256_templates() {
    let world = World::default();
    let mut shell = sitting_after(&[]);
    for number in 0..256 {
        assert_eq!(run(&mut shell, &world, &[&format!("hwtacacs-server template t{number}"), "quit"]), "");
    }
    let said = obey(&mut shell, &world, "hwtacacs-server template one-more");
    assert_eq!(said, "Error: The number of HWTACACS server templates has reached the maximum (256).\n");
    assert_eq!(obey(&mut shell, &world, "hwtacacs-server template T7"), "");
}

#[test]
fn displays_ask_for_what_was_typed() {
    let world = World::default();
    let mut shell = sitting();
    let template = |name: Option<&str>, verbose| DisplayRequest::HwtacacsServerTemplate {
        template: name.map(Into::into),
        verbose,
    };
    let stops = |first, server: Option<&str>| DisplayRequest::HwtacacsQueuedStops {
        first,
        server: server.map(|text| text.parse().unwrap()),
    };
    for (line, expected) in [
        ("template", template(None, false)),
        ("template ht", template(Some("ht"), false)),
        ("template name ht", template(Some("ht"), false)),
        ("template name ht verbose", template(Some("ht"), true)),
        ("accounting-stop-packet all", stops(1, None)),
        ("accounting-stop-packet 65535", stops(65_535, None)),
        ("accounting-stop-packet ip 192.0.2.1", stops(1, Some("192.0.2.1"))),
        ("accounting-stop-packet ipv6 2001:db8::1", stops(1, Some("2001:db8::1"))),
    ] {
        match shell.execute(&format!("display hwtacacs-server {line}"), &world) {
            Answer::Display(request, _) => assert_eq!(request, expected, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn the_packet_planes_counters_are_not_reset_here() {
    let mut shell = sitting();
    for service in ["authentication", "authorization"] {
        let said = obey(&mut shell, &World::default(), &format!("reset hwtacacs-server statistics {service}"));
        assert!(said.starts_with("Error: Authentication and authorization are a matter of the packet plane"), "{said}");
    }
}
