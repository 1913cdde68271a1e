//! What may follow, for `?` and for completion (BEHAVIOUR.md 2.3).

use std::collections::BTreeMap;

use crate::command::{Command, View};
use crate::grammar::words::SHARED;
use crate::matching::{self, Path};
use crate::syntax::{self, Leaf};

/// One thing that may follow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// A keyword, an argument's type such as `INTEGER<1-255>`, or `<cr>`.
    pub label: String,
    /// What it is for.
    pub help: &'static str,
}

/// What may follow `line`, typed in `view`. A last word without a blank after it is one to be completed: only
/// keywords that begin with it are returned. Empty when nothing may follow, or when the line is wrong before that.
pub fn expected(view: View, line: &str) -> Vec<Expected> {
    let mut tokens = matching::tokens(line);
    let unfinished = if line.ends_with(|c: char| c.is_ascii_whitespace()) { None } else { tokens.pop() };
    let mut paths = matching::start(view, |_| true);
    for token in tokens {
        match matching::step(&paths, token.text) {
            Ok(left) => paths = left,
            Err(_) => return Vec::new(),
        }
    }
    following(&paths, unfinished.map_or("", |token| token.text))
}

/// The help text of a keyword or an argument of `command`.
pub(crate) fn text(command: &Command, word: &str) -> Option<&'static str> {
    command.help.iter().chain(SHARED).find(|(name, _)| *name == word).map(|(_, text)| *text)
}

fn following(paths: &[Path], beginning: &str) -> Vec<Expected> {
    let mut found = BTreeMap::new();
    for path in paths {
        let mut leaves = Vec::new();
        if syntax::expand(path.rest.clone(), &mut leaves) && beginning.is_empty() {
            found.entry("<cr>".to_owned()).or_insert("");
        }
        for (leaf, _) in leaves {
            let (label, name) = match leaf {
                Leaf::Word(word) => (word.to_owned(), word),
                Leaf::Argument(argument) => (argument.kind.label(), argument.name),
            };
            let completes = matches!(leaf, Leaf::Word(word) if matching::begins(word, beginning));
            if beginning.is_empty() || completes {
                found.entry(label).or_insert(text(path.form.command, name).unwrap_or_default());
            }
        }
    }
    found.into_iter().map(|(label, help)| Expected { label, help }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(view: View, line: &str, labels: &[&str]) {
        let found: Vec<String> = expected(view, line).into_iter().map(|expected| expected.label).collect();
        assert_eq!(found, labels, "after '{line}'");
    }

    #[test]
    fn help_names_what_may_follow() {
        check(
            View::Scheme,
            "accounting ",
            &["interim", "interim-fail", "policy", "realtime", "send-update", "start-fail"],
        );
        check(View::Scheme, "accounting interim-f ", &["max-times", "offline", "online"]);
        check(View::Scheme, "accounting interim-fail max-times ", &["INTEGER<1-255>"]);
        check(View::Scheme, "accounting interim-fail offline ", &["<cr>"]);
        check(View::Scheme, "accounting interim interval 5 second ", &["<cr>", "hash", "traffic"]);
        check(View::Scheme, "accounting inter", &["interim", "interim-fail"]);
        check(View::RadiusGroup, "radius-server retransmit 3 ", &["<cr>", "timeout"]);
        check(View::System, "nonsense ", &[]);
        check(View::User, "", &["cut", "display", "quit", "radius-server", "reset", "save", "shutdown", "system-view"]);
    }

    #[test]
    fn every_word_of_every_command_has_a_help_text() {
        for form in matching::FORMS.iter() {
            for leaf in form.node.leaves() {
                let name = match leaf {
                    Leaf::Word(word) => word,
                    Leaf::Argument(argument) => argument.name,
                };
                let text = text(form.command, name);
                assert!(text.is_some_and(|text| !text.is_empty()), "{name} of {:?}", form.command.formats);
            }
        }
    }
}
