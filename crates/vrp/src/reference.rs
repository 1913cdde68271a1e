//! The command reference, read off the declarations: for `tollgate help`, for the tree, and for `man`.

use std::fmt::Write as _;

use crate::command::{Command, View};
use crate::grammar;
use crate::help;
use crate::matching;
use crate::syntax::{self, Leaf, Node};

/// What one command is told about.
struct Entry {
    /// As it is typed, a line per form.
    forms: Vec<String>,
    undo: Vec<String>,
    views: String,
    level: &'static str,
    section: &'static str,
    /// Keywords and arguments in the order of writing.
    words: Vec<(String, &'static str)>,
}

/// The commands whose first words these are, abbreviations included, as plain text; `None` when there is none. Without words
/// every command is one line.
pub fn help_text(words: &[&str]) -> Option<String> {
    let meant = |command: &&Command| words.is_empty() || forms(command).iter().any(|node| begins_with(node, words));
    let found: Vec<&Command> = grammar::commands().filter(meant).collect();
    if words.is_empty() {
        let mut lines: Vec<String> = found.iter().flat_map(|command| Entry::of(command).forms).collect();
        lines.sort();
        return Some(lines.join("\n") + "\n");
    }
    let entries: Vec<String> = found.iter().map(|command| plain(&Entry::of(command))).collect();
    if entries.is_empty() { None } else { Some(entries.join("\n")) }
}

/// The reference as Markdown, a chapter per view.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Command reference\n\nRead off the declarations of the grammar; `tollgate help COMMAND` shows one of them. \
         `{ a | b }` is one of them, `[ a | b ]` one or none, `{ … }*` at least one of them in any order. Levels: 0 visit, \
         1 monitoring, 2 configuration, 3 management. Sections are those of the behaviour's description.\n",
    );
    for (view, entries) in chapters() {
        let _ = writeln!(out, "\n## {}", title(view));
        for entry in entries {
            let _ = writeln!(out, "\n### {}\n\n```", heading(&entry));
            for form in entry.forms.iter().chain(&entry.undo) {
                let _ = writeln!(out, "{form}");
            }
            let _ = writeln!(
                out,
                "```\n\nViews: {}. Level {}. Section {}.\n\n| | |\n|---|---|",
                entry.views, entry.level, entry.section
            );
            for (word, text) in &entry.words {
                let _ = writeln!(out, "| `{word}` | {text} |");
            }
        }
    }
    out
}

/// The same for `man`: section 7.
pub fn manual_page() -> String {
    let mut out = String::from(
        ".TH TOLLGATE-COMMANDS 7 \"\" \"Tollgate\"\n.SH NAME\ntollgate-commands \\- commands of the Tollgate shell and \
         configuration\n.SH DESCRIPTION\nBraces hold a choice, brackets what may be left out; a star behind them allows \
         several in any order.\n",
    );
    for (view, entries) in chapters() {
        let _ = writeln!(out, ".SH {}", title(view).to_uppercase());
        for entry in entries {
            let _ = writeln!(out, ".SS {}\n.nf", roff(&heading(&entry)));
            for form in entry.forms.iter().chain(&entry.undo) {
                let _ = writeln!(out, "{}", roff(form));
            }
            let _ = writeln!(out, ".fi\nViews: {}. Level {}. Section {}.", entry.views, entry.level, entry.section);
            for (word, text) in &entry.words {
                let _ = writeln!(out, ".TP\n.B {}\n{}", roff(word), roff(text));
            }
        }
    }
    out
}

impl Entry {
    fn of(command: &Command) -> Entry {
        let written = |format: &&'static str| notation(&node(format), true);
        let mut words: Vec<(String, &'static str)> = Vec::new();
        for leaf in forms(command).iter().flat_map(Node::leaves) {
            let (word, name) = match leaf {
                Leaf::Word(word) => (word.to_owned(), word),
                Leaf::Argument(argument) => (format!("{} {}", argument.name, argument.kind.label()), argument.name),
            };
            if !words.iter().any(|(known, _)| *known == word) {
                words.push((word, help::text(command, name).unwrap_or_default()));
            }
        }
        let views: Vec<&str> = command.views().iter().map(|view| title(*view)).collect();
        let views = if command.views().len() == View::ALL.len() { "all".to_owned() } else { views.join(", ") };
        Entry {
            forms: command.formats().iter().map(written).collect(),
            undo: command.undo_formats().iter().map(|format| format!("undo {}", written(format))).collect(),
            views,
            level: ["0", "1", "2", "3"][usize::from(command.level().min(3))],
            section: command.section(),
            words,
        }
    }
}

/// Commands by the first view that has them; those of several views come first.
fn chapters() -> Vec<(View, Vec<Entry>)> {
    let of = |view: View| {
        let here = grammar::commands().filter(move |command| command.views().first() == Some(&view));
        here.map(Entry::of).collect()
    };
    View::ALL
        .into_iter()
        .map(|view| (view, of(view)))
        .filter(|(_, entries): &(_, Vec<_>)| !entries.is_empty())
        .collect()
}

fn title(view: View) -> &'static str {
    match view {
        View::User => "User view",
        View::System => "System view",
        View::Aaa => "AAA view",
        View::Scheme => "Accounting scheme view",
        View::Domain => "Domain view",
        View::RadiusGroup => "RADIUS server group view",
        View::HwtacacsTemplate => "HWTACACS server template view",
        View::LocalAaaServer => "Local AAA server view",
    }
}

/// The keywords before the first choice or argument.
fn heading(entry: &Entry) -> String {
    let form = entry.forms.first().map_or("", String::as_str);
    let plain = form.split(' ').take_while(|word| !word.starts_with(['{', '[']) && !word.contains('<'));
    plain.collect::<Vec<_>>().join(" ")
}

fn plain(entry: &Entry) -> String {
    let mut out = String::new();
    for form in entry.forms.iter().chain(&entry.undo) {
        let _ = writeln!(out, "{form}");
    }
    let _ = writeln!(out, "  Views: {}. Level {}. Section {}.", entry.views, entry.level, entry.section);
    let width = entry.words.iter().map(|(word, _)| word.chars().count()).max().unwrap_or(0);
    for (word, text) in &entry.words {
        let _ = writeln!(out, "    {word:<width$}  {text}");
    }
    out
}

fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq")
}

fn forms(command: &Command) -> Vec<Node> {
    command.formats().iter().map(|format| node(format)).collect()
}

fn node(format: &'static str) -> Node {
    syntax::parse(format).unwrap_or_else(|_| panic!("a declaration is malformed: {format}"))
}

/// As the vendor writes it, an argument by its type. `bare`: no bracket is needed around a choice.
fn notation(node: &Node, bare: bool) -> String {
    let all = |nodes: &[Node], between: &str, bare: bool| {
        nodes.iter().map(|node| notation(node, bare)).collect::<Vec<_>>().join(between)
    };
    match node {
        Node::Word(word) => (*word).to_owned(),
        Node::Argument(argument) => argument.kind.label(),
        Node::Sequence(nodes) => all(nodes, " ", false),
        Node::Choice(nodes) if bare => all(nodes, " | ", false),
        Node::Choice(nodes) => format!("{{ {} }}", all(nodes, " | ", false)),
        Node::Optional(node) => format!("[ {} ]", notation(node, true)),
        Node::AnyOrder { items, required: true } => format!("{{ {} }}*", all(items, " | ", false)),
        Node::AnyOrder { items, required: false } => format!("[ {} ]*", all(items, " | ", false)),
    }
}

/// Whether the first keywords may be meant by `words`.
fn begins_with(node: &Node, words: &[&str]) -> bool {
    let mut leaves = node.leaves().into_iter();
    words.iter().all(|word| match leaves.next() {
        Some(Leaf::Word(full)) => matching::begins(full, word),
        Some(Leaf::Argument(_)) | None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_by_its_first_words() {
        let text = help_text(&["acc", "interim-f"]).unwrap();
        assert!(
            text.starts_with(
                "accounting interim-fail [ max-times INTEGER<1-255> ] { online | offline }\nundo accounting interim-fail\n"
            ),
            "{text}"
        );
        assert!(text.contains("  Views: Accounting scheme view. Level "), "{text}");
        assert!(text.contains("    max-times"), "{text}");
        assert_eq!(help_text(&["nonsense"]), None);
        let all = help_text(&[]).unwrap();
        assert_eq!(all.lines().count(), grammar::commands().map(|command| command.formats().len()).sum::<usize>());
    }

    #[test]
    fn the_notation_is_written_as_it_is_read() {
        for command in grammar::commands() {
            for format in command.formats().iter().chain(command.undo_formats()) {
                let written = notation(&node(format), true);
                let count = |text: &str, mark: &str| text.split(' ').filter(|token| *token == mark).count();
                // A choice that is optional as a whole needs no braces of its own.
                for mark in ["[", "]", "}*", "]*", "|"] {
                    assert_eq!(count(&written, mark), count(format, mark), "{format}\n{written}");
                }
            }
        }
    }
}
