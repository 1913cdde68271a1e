//! Settings to lines: the saved text, `display this`, and the differences between two trees (BEHAVIOUR.md 2.5).
//!
//! ```text
//! sysname BNG1              lines of the system view, a group per first word
//! #
//! radius-server group g1    a section: its heading, its lines one blank further in
//!  radius-server …
//! #
//! aaa
//!  #                        a section inside a section
//!  accounting-scheme s1
//!   accounting …
//! #
//! return
//! ```

use model::settings::Settings;

use crate::command::{Command, Place, Stored};
use crate::grammar;

/// The lines of one place, and the sections inside it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// Which command opens it; in this order sections are printed.
    pub(crate) command: usize,
    pub(crate) place: Place,
    pub(crate) lines: Vec<Line>,
    pub(crate) children: Vec<Section>,
}

/// A line, and which command printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) command: usize,
    pub(crate) text: String,
}

/// The whole configuration, ending in `return`.
pub(crate) fn whole(settings: &Settings) -> String {
    written(&section(settings, Place::System))
}

/// What the sections of a system view are in a file.
pub(crate) fn written(system: &Section) -> String {
    let mut out = String::new();
    write_system_lines(system, &mut out);
    for child in &system.children {
        write_section(child, 0, &mut out);
        out.push_str("#\n");
    }
    out.push_str("return\n");
    out
}

/// What is set in one view: in the system view its own lines, in the user view nothing.
pub(crate) fn one(settings: &Settings, place: &Place) -> String {
    let mut out = String::from("#\n");
    let exists = match place {
        Place::Scheme(name) => settings.schemes.contains_key(name),
        Place::Domain(name) => settings.domains.contains_key(name),
        Place::RadiusGroup(name) => settings.radius_groups.contains_key(name),
        Place::HwtacacsTemplate(name) => settings.hwtacacs.templates.contains_key(name),
        Place::User | Place::System | Place::Aaa | Place::LocalAaaServer => true,
    };
    match place {
        Place::User => {}
        Place::System => write_system_lines(&section(settings, Place::System), &mut out),
        _ if exists => {
            write_section(&section(settings, place.clone()), depth(place), &mut out);
            out.push_str("#\n");
        }
        _ => {}
    }
    out.push_str("return\n");
    out
}

/// What `new` has and `old` has not, marked `+`, and the other way round, marked `-`, under the headings of the
/// sections they are in. Empty when they print alike.
pub(crate) fn changes(old: &Settings, new: &Settings) -> String {
    let mut out = Vec::new();
    compare(Some(&section(old, Place::System)), Some(&section(new, Place::System)), 0, &mut out);
    out.iter().map(|(mark, line)| format!("{mark}{line}\n")).collect()
}

/// What `new` has and `old` has not, without marks.
pub(crate) fn additions(old: &Settings, new: &Settings) -> String {
    let mut out = Vec::new();
    compare(Some(&section(old, Place::System)), Some(&section(new, Place::System)), 0, &mut out);
    out.iter().filter(|(mark, _)| *mark != '-').map(|(_, line)| format!("{line}\n")).collect()
}

/// A place with all that is set in it.
pub(crate) fn section(settings: &Settings, place: Place) -> Section {
    section_of(settings, 0, place)
}

fn section_of(settings: &Settings, opened_by: usize, place: Place) -> Section {
    let mut lines = Vec::new();
    let mut children = Vec::new();
    let here = |command: &&Command| command.views.contains(&place.view());
    for (command, declared) in grammar::commands().enumerate().filter(|(_, command)| here(command)) {
        match declared.stored {
            Stored::Never => {}
            Stored::Lines(print) => {
                lines.extend(print(settings, &place).into_iter().map(|text| Line { command, text }));
            }
            Stored::Sections(places) => {
                let sections = places(settings).into_iter();
                children.extend(sections.map(|child| section_of(settings, command, child)));
            }
        }
    }
    Section { command: opened_by, place, lines, children }
}

/// How far in a place's heading stands.
fn depth(place: &Place) -> usize {
    match place.parent() {
        None | Some(Place::User | Place::System) => 0,
        Some(parent) => depth(&parent) + 1,
    }
}

fn write_system_lines(system: &Section, out: &mut String) {
    let first_word = |line: &Line| line.text.split(' ').next().map(str::to_owned);
    for group in system.lines.chunk_by(|one, next| first_word(one) == first_word(next)) {
        for line in group {
            out.push_str(&line.text);
            out.push('\n');
        }
        out.push_str("#\n");
    }
}

fn write_section(section: &Section, depth: usize, out: &mut String) {
    let mut push = |blanks: usize, text: &str| {
        out.push_str(&" ".repeat(blanks));
        out.push_str(text);
        out.push('\n');
    };
    if let Some(heading) = section.place.heading() {
        push(depth, &heading);
    }
    for line in &section.lines {
        push(depth + 1, &line.text);
    }
    for child in &section.children {
        out.push_str(&" ".repeat(depth + 1));
        out.push_str("#\n");
        write_section(child, depth + 1, out);
    }
}

/// Adds the differences of one section; its heading comes first and only when something differs.
fn compare(old: Option<&Section>, new: Option<&Section>, indent: usize, out: &mut Vec<(char, String)>) {
    let mark = match (old, new) {
        (Some(_), None) => '-',
        (None, Some(_)) => '+',
        _ => ' ',
    };
    let Some(any) = new.or(old) else { return };
    let heading = any.place.heading().map(|heading| (mark, " ".repeat(indent) + &heading));
    let inner = if heading.is_some() { indent + 1 } else { indent };
    let mut inside = Vec::new();
    compare_lines(old, new, inner, &mut inside);
    let (old_children, new_children) = (children(old), children(new));
    let in_both = |child: &Section| new_children.iter().find(|other| other.place == child.place);
    for child in old_children {
        compare(Some(child), in_both(child), inner, &mut inside);
    }
    for child in new_children.iter().filter(|child| !old_children.iter().any(|other| other.place == child.place)) {
        compare(None, Some(child), inner, &mut inside);
    }
    if mark != ' ' || !inside.is_empty() {
        out.extend(heading);
        out.append(&mut inside);
    }
}

/// A command's old lines come directly before its new ones.
fn compare_lines(old: Option<&Section>, new: Option<&Section>, indent: usize, out: &mut Vec<(char, String)>) {
    let (old, new) = (lines(old), lines(new));
    let gone = old.iter().filter(|line| !new.contains(line)).map(|line| (line.command, '-', &line.text));
    let come = new.iter().filter(|line| !old.contains(line)).map(|line| (line.command, '+', &line.text));
    let mut both: Vec<_> = gone.chain(come).collect();
    both.sort_by_key(|(command, _, _)| *command);
    out.extend(both.into_iter().map(|(_, mark, text)| (mark, " ".repeat(indent) + text)));
}

/// The lines of a section that may not be there.
pub(crate) fn lines(section: Option<&Section>) -> &[Line] {
    section.map_or(&[], |section| &section.lines)
}

/// The sections in a section that may not be there.
pub(crate) fn children(section: Option<&Section>) -> &[Section] {
    section.map_or(&[], |section| &section.children)
}
