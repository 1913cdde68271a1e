//! A candidate over what another user has put into force meanwhile: the text of both, and where they do not agree.
//!
//! Three states of each line and each section decide: what both began with, mine, theirs. Whoever alone changed something is
//! followed. Where both did, and differently, nothing can be right for both: something stands, and a [`Conflict`] tells of it.
//!
//! | mine | theirs | what stands |
//! |---|---|---|
//! | changed | changed otherwise | both lines, mine last |
//! | taken out | changed | theirs |
//! | changed | taken out | mine |
//!
//! Lines are about the same when one command prints them and they name the same object: its command's `undo` asks for what
//! tells objects apart, a server's address for one.

use std::fmt;

use model::settings::Settings;

use crate::command::{Command, Place};
use crate::grammar;
use crate::listing::{self, Line, Section};
use crate::matching;
use crate::secret;
use crate::syntax::{self, Node};
use crate::value::Value;

/// Something that both changed, in one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// The section's heading; `None`: the system view.
    heading: Option<String>,
    /// The lines of the candidate; none: it takes them out.
    mine: Vec<String>,
    /// The lines that run; none: they were taken out.
    theirs: Vec<String>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Warning: ")?;
        if let Some(heading) = &self.heading {
            write!(f, "{heading}: ")?;
        }
        let quoted = |lines: &[String]| -> String {
            let quoted: Vec<String> = lines.iter().map(|line| format!("\"{}\"", secret::masked(line))).collect();
            quoted.join(", ")
        };
        let (mine, theirs) = (quoted(&self.mine), quoted(&self.theirs));
        match (self.mine.is_empty(), self.theirs.is_empty()) {
            (true, _) => write!(f, "{theirs} stays, for another user has changed what the candidate takes out."),
            (_, true) => write!(f, "{mine} stays, for the candidate changes what another user has taken out."),
            _ => write!(f, "{mine} replaces {theirs}, which another user has set meanwhile."),
        }
    }
}

/// The text of `theirs` with what leads from `base` to `mine` done to it, and where both changed the same.
pub(crate) fn merged(base: &Settings, mine: &Settings, theirs: &Settings) -> (String, Vec<Conflict>) {
    let [base, mine, theirs] = [base, mine, theirs].map(|settings| listing::section(settings, Place::System));
    let mut conflicts = Vec::new();
    let section = merge(Some(&base), &mine, Some(&theirs), &mut conflicts);
    (listing::written(&section), conflicts)
}

fn merge(base: Option<&Section>, mine: &Section, theirs: Option<&Section>, conflicts: &mut Vec<Conflict>) -> Section {
    let (was, is) = (listing::lines(base), listing::lines(theirs));
    conflicts.extend(disagreements(&mine.place, was, &mine.lines, is));
    let kept = is.iter().filter(|line| !was.contains(line) || mine.lines.contains(line));
    let come = mine.lines.iter().filter(|line| !was.contains(line) && !is.contains(line));
    let mut lines: Vec<Line> = kept.chain(come).cloned().collect();
    lines.sort_by_key(|line| line.command);
    let at = |sections: &'_ [Section], place: &Place| sections.iter().position(|child| child.place == *place);
    let (was, is) = (listing::children(base), listing::children(theirs));
    let mut sections = Vec::new();
    let whole = |child: &Section| child.place.heading().into_iter().collect::<Vec<_>>();
    let heading = mine.place.heading();
    for child in &mine.children {
        match (at(was, &child.place).map(|n| &was[n]), at(is, &child.place).map(|n| &is[n])) {
            (before, Some(now)) => sections.push(merge(before, child, Some(now), conflicts)),
            (None, None) => sections.push(child.clone()),
            (Some(before), None) if before != child => {
                conflicts.push(Conflict { heading: heading.clone(), mine: whole(child), theirs: Vec::new() });
                sections.push(child.clone());
            }
            (Some(_), None) => {}
        }
    }
    for child in is.iter().filter(|child| at(&mine.children, &child.place).is_none()) {
        match at(was, &child.place) {
            None => sections.push(child.clone()),
            Some(n) if was[n] != *child => {
                conflicts.push(Conflict { heading: heading.clone(), mine: Vec::new(), theirs: whole(child) });
                sections.push(child.clone());
            }
            Some(_) => {}
        }
    }
    sections.sort_by_key(|child| child.command);
    Section { command: mine.command, place: mine.place.clone(), lines, children: sections }
}

/// What both changed, and differently.
fn disagreements(place: &Place, was: &[Line], mine: &[Line], theirs: &[Line]) -> Vec<Conflict> {
    let changed =
        |new: &[Line]| was.iter().any(|line| !new.contains(line)) || new.iter().any(|line| !was.contains(line));
    if !changed(mine) || !changed(theirs) {
        return Vec::new();
    }
    let [was, mine, theirs] = [was, mine, theirs].map(|lines| by_subject(place, lines));
    let mut subjects: Vec<&Subject> = Vec::new();
    for (subject, _) in mine.iter().chain(&theirs).chain(&was) {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    let of = |lines: &[(Subject, String)], subject: &Subject| -> Vec<String> {
        lines.iter().filter(|(other, _)| other == subject).map(|(_, text)| text.clone()).collect()
    };
    let found = subjects.into_iter().filter_map(|subject| {
        let [was, mine, theirs] = [&was, &mine, &theirs].map(|lines| of(lines, subject));
        let agree = mine == theirs || mine == was || theirs == was;
        (!agree).then(|| Conflict { heading: place.heading(), mine, theirs })
    });
    found.collect()
}

/// What a line is about: the command that prints it, and the words that say of which object.
#[derive(Debug, PartialEq)]
struct Subject {
    command: usize,
    keywords: Vec<&'static str>,
    arguments: Vec<(&'static str, Value)>,
}

fn by_subject(place: &Place, lines: &[Line]) -> Vec<(Subject, String)> {
    let commands: Vec<&Command> = grammar::commands().collect();
    lines.iter().map(|line| (subject(place, commands[line.command], line), line.text.clone())).collect()
}

/// The words of a printed line that its command's `undo` asks for as well: arguments, and keywords to choose from.
fn subject(place: &Place, command: &Command, line: &Line) -> Subject {
    let (mut names, mut choices) = (Vec::new(), Vec::new());
    if let Some(undo) = command.undo_formats().first().and_then(|format| syntax::parse(format).ok()) {
        demanded(&undo, &mut names, &mut choices);
    }
    // A line that is printed is understood.
    let mut words = matching::parse(place.view(), &line.text, |_| true).map(|it| it.words).unwrap_or_default();
    words.keywords.retain(|keyword| choices.contains(keyword));
    words.arguments.retain(|(name, _)| names.contains(name));
    Subject { command: line.command, keywords: words.keywords, arguments: words.arguments }
}

/// The arguments of a form, and the keywords that it lets choose from; a choice that may be left out only repeats a value.
fn demanded(node: &Node, arguments: &mut Vec<&'static str>, choices: &mut Vec<&'static str>) {
    match node {
        Node::Word(_) => {}
        Node::Argument(argument) => arguments.push(argument.name),
        Node::Sequence(nodes) => nodes.iter().for_each(|node| demanded(node, arguments, choices)),
        Node::Choice(nodes) => {
            for node in nodes {
                match node {
                    Node::Word(word) => choices.push(word),
                    node => demanded(node, arguments, choices),
                }
            }
        }
        Node::Optional(node) => demanded(node, arguments, &mut Vec::new()),
        // Parts of one setting.
        Node::AnyOrder { .. } => {}
    }
}
