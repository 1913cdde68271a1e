//! One user's sitting: where the user is, the candidate, and a question that may be open.
//!
//! The daemon's loop is: hand a line to [`Shell::execute`], do what the [`Answer`] says, print, repeat. After
//! [`Answer::Commit`] it calls [`Shell::committed`] or [`Shell::refused`]; when someone else's commit has gone
//! through it calls [`Shell::running_changed`]. Nothing is printed, read or awaited here.

use std::borrow::Cow;
use std::sync::Arc;

use model::settings::{CacheBackupMode, Settings, ShellLevel};

use crate::check::{Problem, check};
use crate::command::{
    Action, ActionRequest, Command, CommitTerms, Control, Display, DisplayRequest, Done, Edit, Operate, Operation,
    Place, Words,
};
use crate::config::{self, LineError};
use crate::error::{CommandError, Fault, Misstep, Refusal};
use crate::help::{self, Expected};
use crate::matching::{self, Matched};
use crate::merging;
use crate::pipeline::{self, Pipeline};
use crate::render::{self, Shown};
use crate::secret::Sealer;

/// What a line may need to know of the world.
pub trait Context {
    /// Opens and seals secrets.
    fn sealer(&self) -> &dyn Sealer;

    /// How many bills the pool holds now; `undo local-bill-pool enable` asks first when there are any.
    fn bill_count(&self) -> u64;

    /// How many users the queue of Stops holds now; room for fewer is refused.
    fn queued_count(&self) -> u64;
}

/// What the daemon does next.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Nothing.
    Silent,
    /// Print these lines.
    Text(Cow<'static, str>),
    /// Print what the settings told.
    Show(Shown, Pipeline),
    /// Fetch the rows, render and print them.
    Display(DisplayRequest, Pipeline),
    /// As [`Answer::Display`], and on a terminal again and again until a key is pressed.
    Monitor(DisplayRequest),
    /// Do it now; the sitting stays as it is, whatever comes of it.
    Action(ActionRequest),
    /// Print it; a script ends with exit status 1.
    Error(CommandError),
    /// Print it without a line end; the next line is the answer (at the end of a script's input, `N`).
    Question(String),
    /// Put these settings into force, then call [`Shell::committed`] or [`Shell::refused`].
    Commit(Commit),
    /// Nothing is to be put into force; a trial of this user is kept, or its time begins anew.
    Confirm {
        /// The new time, seconds.
        trial_s: Option<u16>,
    },
    /// Roll the trial back now.
    AbortTrial,
    /// Nobody else may commit from now on, or may again.
    Lock(bool),
    /// Write the running configuration to the startup file.
    Save,
    /// The user is leaving.
    Ended,
}

/// Settings to be put into force.
#[derive(Debug, PartialEq)]
pub struct Commit {
    /// The whole new tree, checked.
    pub settings: Box<Settings>,
    /// Warnings to print.
    pub warnings: Vec<Problem>,
    /// What it is said to be.
    pub terms: CommitTerms,
}

/// How the lines of a sitting take effect (BEHAVIOUR.md 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Together, at `commit`.
    TwoPhase,
    /// Each by itself.
    Immediate,
}

/// One user's sitting.
#[derive(Debug)]
pub struct Shell {
    level: ShellLevel,
    mode: Mode,
    /// `screen-length … temporary`; `None`: as the terminal is.
    screen_length: Option<u16>,
    /// The last line that changed something or asked for it, granted or not, without its secrets.
    change: Option<String>,
    place: Place,
    /// Where the last line was typed.
    place_before: Place,
    running: Arc<Settings>,
    /// What was running when the candidate was last equal to it.
    base: Arc<Settings>,
    candidate: Settings,
    uncommitted: bool,
    asked: Option<Asked>,
    /// Whether the user leaves for the user view when the commit has gone through.
    leaving: bool,
}

/// A question that is open, and what it is about.
#[derive(Clone, Debug)]
enum Asked {
    Save,
    Leave,
    Confirm { line: String },
}

const ENTERED_SYSTEM_VIEW: &str = "Enter system view, return user view with return command.";
const SAVE: &str =
    "Warning: The current configuration will be written to the device.\nAre you sure to continue? [Y/N]:";
const LEAVE: &str = "Warning: Uncommitted configurations found, commit them before exiting? [Y(yes)/N(no)/C(cancel)]:";
const LEAVE_AGAIN: &str = "Error: Please choose 'YES', 'NO' or 'CANCEL' first before pressing 'Enter'. [Y/N/C]:";
const AGAIN: &str = "Error: Please choose 'YES' or 'NO' first before pressing 'Enter'. [Y/N]:";

impl Shell {
    /// A sitting in the user view, over what is running, of one who may do what `level` allows.
    pub fn new(running: Arc<Settings>, level: ShellLevel) -> Shell {
        Shell {
            level,
            mode: Mode::TwoPhase,
            screen_length: None,
            change: None,
            place: Place::User,
            place_before: Place::User,
            base: Arc::clone(&running),
            candidate: Settings::clone(&running),
            running,
            uncommitted: false,
            asked: None,
            leaving: false,
        }
    }

    /// Obeys a line, or takes it as the answer to the open question.
    pub fn execute(&mut self, line: &str, context: &dyn Context) -> Answer {
        self.change = None;
        self.place_before = self.place.clone();
        if let Some(asked) = self.asked.take() {
            return self.answered(asked, line, context);
        }
        if line.trim().is_empty() {
            return Answer::Silent;
        }
        self.type_line(line, false, context).unwrap_or_else(Answer::Error)
    }

    /// The last line as it may be shown, when it changed the candidate or asked for something to be done, be it in vain.
    pub fn change(&self) -> Option<&str> {
        self.change.as_deref()
    }

    /// The user may do what this level allows from now on.
    pub fn set_level(&mut self, level: ShellLevel) {
        self.level = level;
    }

    /// What may follow what is typed, for `?` and Tab; nothing while a question is open.
    pub fn expected(&self, line: &str) -> Vec<Expected> {
        if self.is_asking() { Vec::new() } else { help::expected(self.place.view(), line, self.level) }
    }

    /// Why nothing may follow what is typed; `None` when it is right so far, and while a question is open.
    pub fn misstep(&self, line: &str) -> Option<CommandError> {
        if self.is_asking() {
            return None;
        }
        let (view, allowed) = (self.place.view(), |command: &Command| self.level.allows(command.level));
        if let Some((display, stages)) = pipeline::split(line)
            && matching::parse(view, display, allowed).is_ok_and(|matched| matched.command.displays())
        {
            return pipeline::read(line, &stages).err();
        }
        let mismatch = matching::parse(view, line, allowed).err()?;
        (mismatch.misstep != Misstep::Incomplete).then_some(mismatch.error)
    }

    /// Lines of a screen: `screen-length … temporary`, 0 – 512; `None`: as many as the terminal has.
    pub fn screen_length(&self) -> Option<u16> {
        self.screen_length
    }

    /// Whether the next line is the answer to a question.
    pub fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether the candidate differs from what was running when it was begun.
    pub fn uncommitted(&self) -> bool {
        self.uncommitted
    }

    /// Where the user is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What is running, as far as this sitting was told.
    pub fn running(&self) -> &Settings {
        &self.running
    }

    /// The candidate.
    pub fn candidate(&self) -> &Settings {
        &self.candidate
    }

    /// `<HUAWEI>`, `[~HUAWEI-aaa]`, `[*HUAWEI-aaa-accounting-s1]` (BEHAVIOUR.md 2.1). A new sysname shows once it is
    /// in force.
    pub fn prompt(&self) -> String {
        let sysname = &self.running.sysname;
        if self.place == Place::User {
            return format!("<{sysname}>");
        }
        let mark = match self.mode {
            Mode::Immediate => "",
            Mode::TwoPhase if self.uncommitted => "*",
            Mode::TwoPhase => "~",
        };
        format!("[{mark}{sysname}{}]", self.place.prompt_suffix())
    }

    /// The commit has gone through, and `running` is in force.
    pub fn committed(&mut self, running: Arc<Settings>) {
        self.running = running;
        self.clear_candidate();
        if std::mem::take(&mut self.leaving) {
            self.place = Place::User;
        }
    }

    /// The commit was refused by the daemon, which says why; the candidate stays as it is. A line that was to take effect
    /// at once has none.
    pub fn refused(&mut self) {
        self.leaving = false;
        if self.mode == Mode::Immediate {
            self.clear_candidate();
            self.place = self.place_before.clone();
        }
    }

    /// Someone else committed. A candidate without changes follows; one with changes is kept, and its commit will
    /// be refused, so that nobody's settings are lost unseen.
    pub fn running_changed(&mut self, running: Arc<Settings>) {
        self.running = running;
        if !self.uncommitted {
            self.clear_candidate();
        }
    }

    /// A line that is no answer. One with a bar in it is a display with stages behind it, or no command.
    fn type_line(&mut self, line: &str, confirmed: bool, context: &dyn Context) -> Result<Answer, CommandError> {
        let view = self.place.view();
        let mut pipeline = Pipeline::default();
        let mut command = line;
        if let Some((display, stages)) = pipeline::split(line)
            && matching::parse(view, display, |_| true).is_ok_and(|matched| matched.command.displays())
        {
            pipeline = pipeline::read(line, &stages)?;
            command = display;
        }
        let matched = matching::parse(view, command, |_| true).map_err(|mismatch| mismatch.error)?;
        if !self.level.allows(matched.command.level()) {
            self.change = (!matched.command.displays()).then_some(matched.shown);
            return Err(Refusal::NotAllowed.into());
        }
        let before = matched.command.configures().then(|| self.candidate.clone());
        let answer = self.obey(&matched, line, confirmed, pipeline, context);
        let asks_for_something = match &answer {
            Ok(answer) => matches!(answer, Answer::Action(_) | Answer::Commit(_) | Answer::AbortTrial),
            Err(_) => self.takes_effect(&matched.command.action),
        };
        if asks_for_something || before.is_some_and(|before| before != self.candidate) {
            self.change = Some(matched.shown);
        }
        answer
    }

    /// Whether a line of this kind does more than work on the candidate.
    fn takes_effect(&self, action: &Action) -> bool {
        match action {
            Action::Operate(_) | Action::Control(Control::Commit) => true,
            Action::Configure(_) | Action::Enter(_) => self.mode == Mode::Immediate,
            Action::Control(_) | Action::Display(_) => false,
        }
    }

    fn obey(
        &mut self,
        matched: &Matched,
        line: &str,
        confirmed: bool,
        pipeline: Pipeline,
        context: &dyn Context,
    ) -> Result<Answer, CommandError> {
        let mut edit = Edit {
            settings: &mut self.candidate,
            place: &self.place,
            sealer: context.sealer(),
            bill_count: &|| context.bill_count(),
            queued_count: &|| context.queued_count(),
            confirmed,
        };
        let words = &matched.words;
        let done = match &matched.command.action {
            Action::Configure(_) | Action::Enter(_) if matched.negated => match &matched.command.undo {
                Some(undo) => (undo.run)(&mut edit, words)?,
                None => Done::Applied,
            },
            Action::Configure(run) => run(&mut edit, words)?,
            Action::Enter(enter) => {
                let place = enter(&mut edit, words)?;
                self.place = place;
                Done::Applied
            }
            Action::Control(control) => return self.control(*control, words, context),
            Action::Operate(operate) => {
                let operation = operate(&Operate { running: &self.running, confirmed }, words)?;
                return Ok(match operation {
                    Operation::Do(request) => Answer::Action(request),
                    Operation::Ask(question) => self.ask(Asked::Confirm { line: line.to_owned() }, question),
                });
            }
            Action::Display(display) => {
                let display = display(&self.place, words);
                return match self.beyond(&display).and_then(|name| words.place_of(name)) {
                    Some(place) => Ok(Answer::Error(matching::out_of_range(line, place))),
                    None => self.display(display, pipeline).map_err(CommandError::from),
                };
            }
        };
        self.uncommitted = self.candidate != *self.base;
        match done {
            Done::Ask(question) => Ok(self.ask(Asked::Confirm { line: line.to_owned() }, question)),
            Done::Applied if self.mode == Mode::Immediate && self.uncommitted => {
                let answer = self.commit(CommitTerms::default());
                if !matches!(answer, Ok(Answer::Commit(_))) {
                    self.refused();
                }
                answer
            }
            Done::Applied => Ok(Answer::Silent),
        }
    }

    fn control(&mut self, control: Control, words: &Words, context: &dyn Context) -> Result<Answer, CommandError> {
        match control {
            Control::SystemView => {
                self.mode = if words.has("immediately") { Mode::Immediate } else { Mode::TwoPhase };
                self.place = Place::System;
                Ok(Answer::Text(ENTERED_SYSTEM_VIEW.into()))
            }
            Control::Quit => match self.place.parent() {
                None => Ok(Answer::Ended),
                Some(Place::User) => Ok(self.leave()),
                Some(parent) => {
                    self.place = parent;
                    Ok(Answer::Silent)
                }
            },
            Control::Return => Ok(self.leave()),
            Control::Commit => self.commit(commit_terms(words)),
            Control::AbortTrial => Ok(Answer::AbortTrial),
            Control::RefreshCandidate => self.refresh(context),
            Control::Lock => Ok(Answer::Lock(true)),
            Control::Unlock => Ok(Answer::Lock(false)),
            Control::ScreenLength => {
                self.screen_length = Some(words.number("lines"));
                Ok(Answer::Silent)
            }
            Control::ClearCandidate => {
                self.clear_candidate();
                self.place = Place::System;
                Ok(Answer::Silent)
            }
            Control::Monitor => Ok(Answer::Monitor(DisplayRequest::AccountingHealth)),
            Control::Save => Ok(self.ask(Asked::Save, SAVE.to_owned())),
        }
    }

    /// To the user view, where no candidate can be.
    fn leave(&mut self) -> Answer {
        if self.uncommitted {
            return self.ask(Asked::Leave, LEAVE.to_owned());
        }
        self.place = Place::User;
        Answer::Silent
    }

    fn commit(&mut self, terms: CommitTerms) -> Result<Answer, CommandError> {
        if !self.uncommitted {
            return Ok(Answer::Confirm { trial_s: terms.trial_s });
        }
        if *self.base != *self.running {
            return Err(Refusal::RunningChanged.into());
        }
        let problems = check(&self.candidate).into_iter().map(|finding| finding.problem);
        let (mut errors, warnings): (Vec<_>, Vec<_>) = problems.partition(Problem::is_error);
        if !errors.is_empty() {
            return Err(CommandError::plain(Fault::Problem(Box::new(errors.swap_remove(0)))));
        }
        Ok(Answer::Commit(Commit { settings: Box::new(self.candidate.clone()), warnings, terms }))
    }

    /// Lays what is not committed over what runs now, and tells where both changed the same. When the two do not go together the
    /// candidate stays as it was.
    fn refresh(&mut self, context: &dyn Context) -> Result<Answer, CommandError> {
        let (merged, conflicts) = merging::merged(&self.base, &self.candidate, &self.running);
        let unable = |mut errors: Vec<LineError>| errors.swap_remove(0).error;
        self.candidate = config::read_lines(&merged, context.sealer()).map_err(unable)?;
        self.base = Arc::clone(&self.running);
        self.uncommitted = self.candidate != *self.base;
        if conflicts.is_empty() {
            return Ok(Answer::Silent);
        }
        let warnings: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        Ok(Answer::Text(warnings.join("\n").into()))
    }

    /// The argument that is beyond what the running settings allow; the declared range is that of any settings.
    fn beyond(&self, display: &Display) -> Option<&'static str> {
        match display {
            Display::Live(DisplayRequest::LocalBillCache { start, .. }) => {
                // A smaller capacity does not narrow the vendor's range (BEHAVIOUR.md 7.7).
                let capacity = self.running.local_aaa_server.cache.capacity.max(CacheBackupMode::CAPACITY_DEFAULT);
                (*start >= capacity).then_some("start")
            }
            Display::Own(_) | Display::Live(_) => None,
        }
    }

    fn display(&self, display: Display, pipeline: Pipeline) -> Result<Answer, Refusal> {
        match display {
            Display::Own(own) => {
                // Who may not do everything sees no secret, not even sealed: sealed ones are taken in any place.
                let shows_ciphers = self.level == ShellLevel::Management;
                let shown = render::own(&own, &self.running, &self.candidate, &self.place, shows_ciphers)?;
                Ok(Answer::Show(shown, pipeline))
            }
            Display::Live(request) => Ok(Answer::Display(request, pipeline)),
        }
    }

    fn ask(&mut self, asked: Asked, question: String) -> Answer {
        self.asked = Some(asked);
        Answer::Question(question)
    }

    fn answered(&mut self, asked: Asked, line: &str, context: &dyn Context) -> Answer {
        let word = line.trim().to_ascii_lowercase();
        match (word.as_str(), asked) {
            ("y" | "yes", Asked::Save) => Answer::Save,
            ("y" | "yes", Asked::Leave) => {
                self.change = Some("commit".to_owned());
                let answer = self.commit(CommitTerms::default()).unwrap_or_else(Answer::Error);
                self.leaving = matches!(answer, Answer::Commit(_));
                answer
            }
            ("y" | "yes", Asked::Confirm { line }) => {
                self.type_line(&line, true, context).unwrap_or_else(Answer::Error)
            }
            ("n" | "no", Asked::Leave) => {
                self.clear_candidate();
                self.place = Place::User;
                Answer::Silent
            }
            ("n" | "no", Asked::Save | Asked::Confirm { .. }) | ("c" | "cancel", Asked::Leave) => Answer::Silent,
            (_, Asked::Leave) => self.ask(Asked::Leave, LEAVE_AGAIN.to_owned()),
            (_, asked) => self.ask(asked, AGAIN.to_owned()),
        }
    }

    fn clear_candidate(&mut self) {
        self.base = Arc::clone(&self.running);
        self.candidate = Settings::clone(&self.running);
        self.uncommitted = false;
    }
}

fn commit_terms(words: &Words) -> CommitTerms {
    let text = |name| words.text_if(name).map(str::to_owned);
    let trial = words.has("trial").then(|| words.number_if("seconds").unwrap_or(CommitTerms::TRIAL_DEFAULT_S));
    CommitTerms { trial_s: trial, label: text("label"), description: text("text") }
}
