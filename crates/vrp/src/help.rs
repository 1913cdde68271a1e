//! What may follow, for `?` and for completion (BEHAVIOUR.md 2.3).

use std::collections::BTreeMap;

use model::settings::ShellLevel;

use crate::command::{Command, View};
use crate::grammar::words::SHARED;
use crate::matching::{self, Path};
use crate::pipeline;
use crate::syntax::{self, Leaf};

/// Nothing needs to follow.
const END: &str = "<cr>";

/// One thing that may follow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expected {
    /// A keyword, an argument's type such as `INTEGER<1-255>`, or `<cr>`.
    pub label: String,
    /// What it is for.
    pub help: &'static str,
}

impl Expected {
    pub(crate) fn end() -> Expected {
        Expected { label: END.to_owned(), help: "" }
    }
}

/// What may follow `line`, typed in `view` by one who may do what `level` allows. A last word without a blank after it is
/// one to be completed: only keywords that begin with it are returned, and arguments that it would do for. Empty when
/// nothing may follow, or when the line is wrong before that.
pub fn expected(view: View, line: &str, level: ShellLevel) -> Vec<Expected> {
    let is_unfinished = !line.ends_with(|c: char| c.is_ascii_whitespace());
    let allowed = |command: &Command| level.allows(command.level);
    if let Some((command, stages)) = pipeline::split(line)
        && matching::parse(view, command, allowed).is_ok_and(|matched| matched.command.displays())
    {
        return pipeline::expected(&stages, is_unfinished);
    }
    let mut tokens = matching::tokens(line);
    let unfinished = if is_unfinished { tokens.pop() } else { None };
    let mut paths = matching::start(view, allowed);
    for token in tokens {
        if matching::takes_the_line(&paths) {
            return vec![Expected::end()];
        }
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
            found.entry(END.to_owned()).or_insert("");
            if path.form.command.displays() {
                found.entry("|".to_owned()).or_insert("Filter what is displayed");
            }
        }
        for (leaf, _) in leaves {
            let (label, name) = match leaf {
                Leaf::Word(word) => (word.to_owned(), word),
                Leaf::Argument(argument) => (argument.kind.label(), argument.name),
            };
            let completes = match leaf {
                Leaf::Word(word) => matching::begins(word, beginning),
                Leaf::Argument(argument) => argument.kind.accept(beginning).is_some(),
            };
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
        let found: Vec<String> =
            expected(view, line, ShellLevel::Management).into_iter().map(|expected| expected.label).collect();
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
        check(View::Scheme, "accounting interim interval 5", &["INTEGER<0-65535>"]);
        check(View::Scheme, "accounting interim interval 70000", &[]);
        check(View::System, "display accounting-scheme na", &["STRING<1-32>", "name"]);
        check(View::RadiusGroup, "radius-server retransmit 3 ", &["<cr>", "timeout"]);
        check(View::System, "nonsense ", &[]);
        check(View::System, "display th", &["this"]);
        check(View::System, "display this ", &["<cr>", "|"]);
        check(View::System, "display this | ", &["begin", "count", "exclude", "include", "json"]);
        check(View::System, "display this | e", &["exclude"]);
        check(View::System, "display this | exclude ", &["STRING<1-255>"]);
        check(View::System, "display this | count ", &["<cr>"]);
        check(View::System, "commit description a b ", &["<cr>"]);
        let user_view = [
            "abort",
            "cut",
            "display",
            "lock",
            "monitor",
            "quit",
            "radius-server",
            "reset",
            "rollback",
            "save",
            "screen-length",
            "shutdown",
            "system-view",
            "unlock",
        ];
        check(View::User, "", &user_view);
        let seen_by_a_monitor = expected(View::User, "", ShellLevel::Monitoring);
        let labels: Vec<&str> = seen_by_a_monitor.iter().map(|expected| expected.label.as_str()).collect();
        assert_eq!(labels, ["display", "monitor", "quit", "screen-length"]);
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
