//! A configuration file to settings, and settings to the file that reads back to them.
//!
//! Lines are matched as if they were typed. Indentation means nothing: `#` leaves an object's block, and a line
//! whose first word the block does not know is tried in the blocks around it, as is one that the block refuses and
//! that is a command around it with every keyword in full. A line that begins with `!` is a comment, as in the
//! vendor's own files. Nothing may follow `return`.

use std::fmt;

use model::settings::Settings;

use crate::check::check;
use crate::command::{Action, Command, Control, Done, Edit, Place};
use crate::error::{CommandError, Fault, Misstep};
use crate::listing;
use crate::matching::{self, Matched, Mismatch};
use crate::secret::Sealer;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Which line, from 1; for what only the whole tree can tell, the line that opened the block it is about.
    pub number: usize,
    /// The line and what is wrong with it.
    pub error: CommandError,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.error.caret, self.error.line.as_str()) {
            (None, "") => write!(f, "line {}:\n{}", self.number, self.error.fault),
            (None, line) => write!(f, "line {}:\n{line}\n{}", self.number, self.error.fault),
            (Some(_), _) => write!(f, "line {}:\n{}", self.number, self.error.to_script()),
        }
    }
}

/// The settings that `text` holds, over the defaults.
///
/// # Errors
/// Every line that is wrong, in order; when none is, what only the whole tree can tell. Lines indented below a
/// wrong one are passed over, for the block they belong to was not opened. Warnings are no errors: see [`check`].
pub fn read(text: &str, sealer: &dyn Sealer) -> Result<Settings, Vec<LineError>> {
    lines_of(text, sealer).finish()
}

/// As [`read`], but what only the whole tree can tell is left for later.
pub(crate) fn read_lines(text: &str, sealer: &dyn Sealer) -> Result<Settings, Vec<LineError>> {
    let Reader { settings, errors, .. } = lines_of(text, sealer);
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

fn lines_of<'a>(text: &str, sealer: &'a dyn Sealer) -> Reader<'a> {
    let mut reader = Reader {
        settings: Settings::default(),
        place: Place::System,
        opened: Vec::new(),
        errors: Vec::new(),
        failed_indent: None,
        sealer,
    };
    for (index, line) in text.lines().enumerate() {
        reader.line(index + 1, line);
    }
    reader
}

/// The file that reads back to `settings`: `display current-configuration`, and what `save` writes.
pub fn write(settings: &Settings) -> String {
    listing::whole(settings)
}

struct Reader<'a> {
    settings: Settings,
    place: Place,
    /// Which line opened which block.
    opened: Vec<(Place, usize)>,
    errors: Vec<LineError>,
    /// The indentation of a wrong line, while the lines below it are further in.
    failed_indent: Option<usize>,
    sealer: &'a dyn Sealer,
}

impl Reader<'_> {
    fn line(&mut self, number: usize, line: &str) {
        let text = line.trim();
        if text.is_empty() || text.starts_with('!') {
            return;
        }
        let indent = line.len() - line.trim_start().len();
        if self.failed_indent.is_some_and(|failed| indent > failed) {
            return;
        }
        self.failed_indent = None;
        if text == "#" {
            self.leave_object();
        } else if let Err(error) = self.obey(number, line) {
            self.failed_indent = Some(indent);
            let line = if error.line.is_empty() { shown(line) } else { error.line };
            self.errors.push(LineError { number, error: CommandError { line, ..error } });
        }
    }

    /// A scheme or a domain to `aaa`, a group or a template to the system view. `aaa` itself is left by a line that it does not
    /// know, for its own sections have the same mark between them.
    fn leave_object(&mut self) {
        self.place = match &self.place {
            Place::Scheme(_) | Place::Domain(_) => Place::Aaa,
            Place::RadiusGroup(_) | Place::HwtacacsTemplate(_) | Place::LocalAaaServer => Place::System,
            Place::User | Place::System | Place::Aaa => self.place.clone(),
        };
    }

    fn obey(&mut self, number: usize, line: &str) -> Result<(), CommandError> {
        let (place, matched) = self.find(line).map_err(|mismatch| mismatch.error)?;
        self.place = place;
        let mut edit = Edit {
            settings: &mut self.settings,
            place: &self.place,
            sealer: self.sealer,
            bill_count: &|| 0,
            queued_count: &|| 0,
            confirmed: true,
        };
        match &matched.command.action {
            Action::Configure(_) | Action::Enter(_) if matched.negated => {
                if let Some(undo) = &matched.command.undo {
                    (undo.run)(&mut edit, &matched.words)?;
                }
            }
            Action::Configure(run) => {
                let _: Done = run(&mut edit, &matched.words)?;
            }
            Action::Enter(enter) => {
                self.place = enter(&mut edit, &matched.words)?;
                self.opened.push((self.place.clone(), number));
            }
            // Only `return` is admitted.
            Action::Control(_) | Action::Operate(_) | Action::Display(_) => self.place = Place::User,
        }
        Ok(())
    }

    /// The line in the current block, or in the nearest block around it that knows its first word or takes it to the
    /// letter.
    fn find(&self, line: &str) -> Result<(Place, Matched), Mismatch> {
        let mut place = self.place.clone();
        loop {
            let mismatch = match matching::parse(place.view(), line, in_files) {
                Ok(matched) => return Ok((place, matched)),
                Err(mismatch) => mismatch,
            };
            let unknown_here = mismatch.word == 0 && mismatch.misstep == Misstep::Unrecognized;
            match place.parent() {
                Some(parent) if unknown_here && parent != Place::User => place = parent,
                _ => return spelt_in_full(&place, line).ok_or(mismatch),
            }
        }
    }

    fn finish(mut self) -> Result<Settings, Vec<LineError>> {
        if self.errors.is_empty() {
            let errors = check(&self.settings).into_iter().filter(|finding| finding.problem.is_error());
            self.errors = errors
                .map(|finding| {
                    let opened = self.opened.iter().rev().find(|(place, _)| *place == finding.place);
                    let error = CommandError::plain(Fault::Problem(Box::new(finding.problem)));
                    LineError { number: opened.map_or(1, |(_, number)| *number), error }
                })
                .collect();
        }
        if self.errors.is_empty() { Ok(self.settings) } else { Err(self.errors) }
    }
}

/// The line in a block around `place`, if it has no abbreviation: `accounting` is a keyword of the system view and of a
/// scheme, and short for another in `aaa`.
fn spelt_in_full(place: &Place, line: &str) -> Option<(Place, Matched)> {
    let mut around = place.parent();
    while let Some(place) = around.filter(|place| *place != Place::User) {
        if let Ok(matched) = matching::parse(place.view(), line, in_files) {
            let typed = |keyword: &&str| line.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case(keyword));
            if matched.words.keywords.iter().all(typed) {
                return Some((place, matched));
            }
        }
        around = place.parent();
    }
    None
}

/// A refused line is shown up to where a secret may begin.
fn shown(line: &str) -> String {
    let mut shown = String::new();
    for word in line.split_ascii_whitespace() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
        if crate::secret::introduces_secret(word) {
            shown.push_str(" ******");
            break;
        }
    }
    shown
}

/// What a file may hold.
fn in_files(command: &Command) -> bool {
    command.configures() || matches!(command.action, Action::Control(Control::Return))
}
