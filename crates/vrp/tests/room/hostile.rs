//! Whatever is typed: no panic, no half-obeyed line, no secret in what comes back.

use crate::support::{World, sitting};
use model::settings::ShellLevel;
use proptest::prelude::*;
use vrp::{Answer, config};

/// Words of the grammar, ends of ranges, abbreviations and rubbish.
fn word() -> impl Strategy<Value = String> {
    let grammar = vrp::commands().flat_map(|command| command.formats().iter().chain(command.undo_formats()));
    let keywords = grammar
        .flat_map(|format| format.split(' '))
        .filter(|token| token.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-') && !token.is_empty());
    let mut keywords: Vec<&'static str> = keywords.chain(["undo", "undo", "undo"]).collect();
    keywords.sort_unstable();
    keywords.dedup();
    let values = [
        "0",
        "1",
        "3",
        "65535",
        "65536",
        "192.0.2.1",
        "::1",
        "s1",
        "g1",
        "d1",
        "default1",
        "%^%#Tzz%^%#",
        "%^%#T6b%^%#",
        "bill",
        "SHA256:uNiVztksCsDhcc0u9e8BrDsuBdAUZgaPAtvCIcMgYc8",
        "y",
        "n",
        "c",
        "|",
        "include",
        "^(",
    ];
    prop_oneof![
        6 => prop::sample::select(keywords.clone()).prop_map(str::to_owned),
        1 => (prop::sample::select(keywords), 1..20_usize).prop_map(|(word, length)| word.chars().take(length).collect()),
        4 => prop::sample::select(values.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,8}",
    ]
}

/// A line made of words; half of them are whole samples that enter views, so that deep views are reached.
fn line() -> impl Strategy<Value = String> {
    let entering = [
        "system-view",
        "aaa",
        "accounting-scheme s1",
        "domain d1",
        "radius-server group g1",
        "hwtacacs-server template g1",
        "hwtacacs-server accounting 192.0.2.1 secondary shared-key cipher k",
        "local-aaa-server",
        "local-bill-pool enable",
        "bill-server 192.0.2.9 filename bills",
        "bill-server 192.0.2.9 filename bills user-name u1 password cipher k 22",
        "local-bill cache backup-mode sftp",
        "local-bill cfcard backup-mode tftp",
        "undo bill-server",
        "quit",
        "commit",
    ];
    prop_oneof![
        prop::sample::select(entering.to_vec()).prop_map(str::to_owned),
        prop::collection::vec(word(), 0..8).prop_map(|words| words.join(" ")),
    ]
}

proptest! {
    #[test]
    fn nothing_typed_panics_or_is_half_obeyed(lines in prop::collection::vec(line(), 0..40), bill_count in 0..2_u64) {
        let world = World { bill_count, ..World::default() };
        let mut shell = sitting();
        for line in lines {
            let (before, place) = (shell.candidate().clone(), shell.place().clone());
            match shell.execute(&line, &world) {
                Answer::Error(_)
                | Answer::Question(_)
                | Answer::Show(..)
                | Answer::Display(..)
                | Answer::Monitor(_)
                | Answer::Action(_) => {
                    prop_assert_eq!(shell.candidate(), &before, "{}", line);
                    prop_assert_eq!(shell.place(), &place, "{}", line);
                }
                Answer::Commit(commit) => shell.committed(std::sync::Arc::from(commit.settings)),
                Answer::Silent
                | Answer::Text(_)
                | Answer::Save
                | Answer::Confirm { .. }
                | Answer::AbortTrial
                | Answer::Lock(_)
                | Answer::Ended => {}
            }
            let differs = shell.candidate() != shell.running();
            prop_assert_eq!(shell.uncommitted(), differs);
        }
        if vrp::check(shell.candidate()).iter().all(|finding| !finding.problem.is_error()) {
            let text = config::write(shell.candidate());
            let read_back = config::read(&text, &world);
            prop_assert_eq!(read_back.as_ref(), Ok(shell.candidate()), "{}", text);
        }
    }

    #[test]
    fn the_caret_stands_at_a_word_or_behind_the_last(words in prop::collection::vec(word(), 1..8)) {
        let mut shell = sitting();
        shell.execute("system-view", &World::default());
        let line = words.join(" ");
        if let Answer::Error(error) = shell.execute(&line, &World::default())
            && let Some(caret) = error.caret
        {
            let length = error.line.chars().count();
            let before = caret.checked_sub(1).and_then(|before| error.line.chars().nth(before));
            prop_assert!(caret == length || before.is_none_or(|c| c == ' '), "{}\n{}", error.line, caret);
        }
    }

    #[test]
    fn no_secret_comes_back(
        words in prop::collection::vec(word(), 0..4),
        keyword in prop::sample::select(&["shared-key", "shared-key-cipher", "sh", "shared-k", "SHARED-KEY"][..]),
        after in prop::collection::vec(word(), 0..3),
    ) {
        let world = World::default();
        let mut shell = sitting();
        shell.execute("system-view", &world);
        shell.execute("radius-server group g1", &world);
        let line = format!("{} {keyword} Zq9Secret {}", words.join(" "), after.join(" "));
        if let Answer::Error(error) = shell.execute(&line, &world) {
            prop_assert!(!error.to_script().contains("Zq9Secret"), "{}", error.to_script());
        }
    }

    #[test]
    fn no_password_comes_back(
        words in prop::collection::vec(word(), 0..4),
        keyword in prop::sample::select(&["password cipher", "password", "pass", "pass ciph", "cipher"][..]),
        after in prop::collection::vec(word(), 0..3),
    ) {
        let world = World::default();
        let mut shell = sitting();
        shell.execute("system-view", &world);
        shell.execute("local-aaa-server", &world);
        let line = format!(
            "bill-server 192.0.2.9 filename f {} {keyword} Zq9Secret {}",
            words.join(" "),
            after.join(" ")
        );
        if let Answer::Error(error) = shell.execute(&line, &world) {
            prop_assert!(!error.to_script().contains("Zq9Secret"), "{}", error.to_script());
        }
        let shown = config::write(shell.candidate());
        prop_assert!(!shown.contains("Zq9Secret"), "{}", shown);
    }

    #[test]
    fn help_never_panics(words in prop::collection::vec(word(), 0..6), end in " ?") {
        for view in vrp::View::ALL {
            let _ = vrp::expected(view, &format!("{}{end}", words.join(" ")), ShellLevel::Management);
        }
    }
}
