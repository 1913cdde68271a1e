//! What is done with a display before it is printed: `display … | include X | count` (BEHAVIOUR.md 2.3).
//!
//! A bar that stands alone ends the command. What follows up to the next one is a stage: `begin`, `exclude` and
//! `include` with a regular expression that may hold blanks, `count`, and `json` instead of all of them. Expressions
//! are matched in time that is linear in the text, whatever is typed.

use regex::{Regex, RegexBuilder};

use crate::error::{CommandError, Fault, Misstep};
use crate::help::Expected;
use crate::matching::{self, Token};
use crate::render::Shown;

/// The longest expression, in octets.
const PATTERN_MAX: usize = 255;
/// Stages of one line.
const STAGES_MAX: usize = 4;
/// Octets that a compiled expression may take: it is also what each character of the text may cost.
const COMPILED_MAX: usize = 32 << 10;

const BAR: &str = "|";

/// The stages, and what they do.
const STAGES: &[(&str, &str)] = &[
    ("begin", "Begin with the first line that matches"),
    ("count", "Count the lines"),
    ("exclude", "Leave out the lines that match"),
    ("include", "Show only the lines that match"),
    ("json", "Show one JSON value"),
];

/// What is to be done with a display.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pipeline {
    stages: Vec<Stage>,
    json: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    Begin(Pattern),
    Exclude(Pattern),
    Include(Pattern),
    Count,
}

#[derive(Clone, Debug)]
struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pipeline {
    /// What is to be printed of `shown`; with `json` every display is one JSON value, and text stages have nothing to do.
    pub fn print(&self, shown: &Shown, json: bool) -> String {
        if json || self.json {
            return format!("{}\n", shown.json);
        }
        if self.stages.is_empty() {
            return shown.text.clone();
        }
        let mut lines: Vec<&str> = shown.text.lines().collect();
        for stage in &self.stages {
            match stage {
                Stage::Begin(Pattern(pattern)) => {
                    let first = lines.iter().position(|line| pattern.is_match(line)).unwrap_or(lines.len());
                    lines.drain(..first);
                }
                Stage::Exclude(Pattern(pattern)) => lines.retain(|line| !pattern.is_match(line)),
                Stage::Include(Pattern(pattern)) => lines.retain(|line| pattern.is_match(line)),
                Stage::Count => return format!("Total lines: {}.\n", lines.len()),
            }
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// The command of a line, and the stages behind it; `None` when no bar stands alone in it.
pub(crate) fn split(line: &str) -> Option<(&str, Vec<Token<'_>>)> {
    let mut tokens = matching::tokens(line);
    let bar = tokens.iter().position(|token| token.text == BAR)?;
    let stages = tokens.split_off(bar);
    Some((&line[..stages[0].start], stages))
}

/// The stages that `tokens` of `line` name; the first token is the bar before them.
pub(crate) fn read(line: &str, tokens: &[Token<'_>]) -> Result<Pipeline, CommandError> {
    let mut pipeline = Pipeline::default();
    let mut ended = false;
    for bar in (0..tokens.len()).filter(|&at| tokens[at].text == BAR) {
        if ended || pipeline.stages.len() == STAGES_MAX {
            return Err(wrong(line, Some(tokens[bar]), Misstep::TooMany));
        }
        let next = tokens[bar + 1..].iter().position(|token| token.text == BAR);
        let stage = &tokens[bar + 1..next.map_or(tokens.len(), |next| bar + 1 + next)];
        let after = next.map(|next| tokens[bar + 1 + next]);
        let Some((&name, rest)) = stage.split_first() else { return Err(wrong(line, after, Misstep::Incomplete)) };
        let Some((name_in_full, _)) = STAGES.iter().find(|(full, _)| matching::begins(full, name.text)) else {
            return Err(wrong(line, Some(name), Misstep::Unrecognized));
        };
        if matches!(*name_in_full, "count" | "json") {
            if let Some(&more) = rest.first() {
                return Err(wrong(line, Some(more), Misstep::TooMany));
            }
            if *name_in_full == "json" && !pipeline.stages.is_empty() {
                return Err(wrong(line, Some(name), Misstep::Unrecognized));
            }
            ended = true;
        }
        let pattern = || pattern(line, rest, after);
        match *name_in_full {
            "begin" => pipeline.stages.push(Stage::Begin(pattern()?)),
            "exclude" => pipeline.stages.push(Stage::Exclude(pattern()?)),
            "include" => pipeline.stages.push(Stage::Include(pattern()?)),
            "count" => pipeline.stages.push(Stage::Count),
            _ => pipeline.json = true,
        }
    }
    Ok(pipeline)
}

/// What may follow the bar that `tokens` begin with. `unfinished`: the last word is one to be completed.
pub(crate) fn expected(tokens: &[Token<'_>], unfinished: bool) -> Vec<Expected> {
    let Some(bar) = tokens.iter().rposition(|token| token.text == BAR) else { return Vec::new() };
    let stage = &tokens[bar + 1..];
    let named = |beginning: &str| {
        let begun = STAGES.iter().filter(|(name, _)| matching::begins(name, beginning));
        begun.map(|(name, help)| Expected { label: (*name).to_owned(), help }).collect()
    };
    match (stage, unfinished) {
        ([], _) => named(""),
        ([name], true) => named(name.text),
        ([name], false) if ["count", "json"].iter().any(|stage| matching::begins(stage, name.text)) => {
            vec![Expected::end()]
        }
        ([_], false) => vec![Expected { label: format!("STRING<1-{PATTERN_MAX}>"), help: "Regular expression" }],
        _ => vec![Expected::end()],
    }
}

fn pattern(line: &str, rest: &[Token<'_>], after: Option<Token<'_>>) -> Result<Pattern, CommandError> {
    let (Some(first), Some(last)) = (rest.first(), rest.last()) else {
        return Err(wrong(line, after, Misstep::Incomplete));
    };
    let text = &line[first.start..last.start + last.text.len()];
    let compiled = RegexBuilder::new(text).size_limit(COMPILED_MAX).build();
    match compiled {
        Ok(pattern) if text.len() <= PATTERN_MAX => Ok(Pattern(pattern)),
        _ => Err(wrong(line, Some(*first), Misstep::WrongParameter)),
    }
}

fn wrong(line: &str, at: Option<Token<'_>>, misstep: Misstep) -> CommandError {
    let line = line.trim_end();
    let caret = at.map_or_else(|| line.chars().count(), |token| token.column);
    let (line, caret) = (line.to_owned(), Some(caret));
    CommandError { line, caret, caret_typed: caret, fault: Fault::Misstep(misstep) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(line: &str, printed: &str) {
        let shown = Shown { text: "one\ntwo\nthree four\n".to_owned(), json: json!([1, 2]) };
        let (_, tokens) = split(line).unwrap();
        let said = match read(line, &tokens) {
            Ok(pipeline) => pipeline.print(&shown, false),
            Err(error) => format!("{} {}", error.caret.unwrap(), error.fault),
        };
        assert_eq!(said, printed, "{line}");
    }

    #[test]
    fn stages_do_what_they_say() {
        check("d | include t", "two\nthree four\n");
        check("d | i o$", "two\n");
        check("d | exclude ^t", "one\n");
        check("d | begin w", "two\nthree four\n");
        check("d | begin nothing", "");
        check("d | include e f", "three four\n");
        check("d | exclude one | count", "Total lines: 2.\n");
        check("d | count", "Total lines: 3.\n");
        check("d | json", "[1,2]\n");
    }

    #[test]
    fn the_caret_stands_under_what_is_no_stage() {
        check("d |", "3 Error: Incomplete command found at '^' position.");
        check("d | | count", "4 Error: Incomplete command found at '^' position.");
        check("d | include", "11 Error: Incomplete command found at '^' position.");
        check("d | nonsense", "4 Error: Unrecognized command found at '^' position.");
        check("d | count 5", "10 Error:Too many parameters found at '^' position.");
        check("d | count | include x", "10 Error:Too many parameters found at '^' position.");
        check("d | include x | json", "16 Error: Unrecognized command found at '^' position.");
        check("d | include (", "12 Error: Wrong parameter found at '^' position.");
    }

    #[test]
    fn only_a_bar_that_stands_alone_is_one() {
        assert!(split("description a|b").is_none());
        assert_eq!(split("display this |count").map(|(command, _)| command), None);
        assert_eq!(split("display this | count").map(|(command, _)| command), Some("display this "));
    }
}
