//! The shell on a terminal: prompt, line editing, history, Tab, `?` without Enter, Ctrl+Z, questions.
//!
//! The daemon holds the sitting; here is what a hand and an eye need. A `?` that belongs to a line, to a description
//! for one, is typed behind Ctrl+V. A line that may hold a secret is not kept in the history.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::completion::{Completer, Pair};
use rustyline::config::{BellStyle, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, ConditionalEventHandler, Config, Context, Editor, Event, EventContext, EventHandler, Helper, KeyEvent,
    RepeatCount,
};

use super::pager;
use super::{Client, Saying};
use crate::exit::{Failure, Outcome};
use crate::output::print;
use crate::run::control::{Expectation, Reply};

/// Lines that the arrow keys go back to.
const HISTORY: usize = 256;

/// Talks with the user until he leaves.
pub(super) fn talk(client: Client, json: bool) -> Outcome {
    let client = Rc::new(RefCell::new(client));
    let _keys_of_the_shell = pager::RawTerminal::without_signals()?;
    let keys = Keys::default();
    let mut editor = editor(client.clone(), &keys)?;
    let ask = |saying: &Saying| -> Result<Reply, Failure> {
        let mut client = client.borrow_mut();
        client.say(saying)?;
        client.hear()
    };
    let line = |text: &str| Saying::Line { text: text.to_owned(), json, terminal: true };
    let mut reply = ask(&line(""))?;
    let mut typed = (String::new(), String::new());
    while !reply.ended {
        let prompt = if reply.asks { last_line(&reply.text).to_owned() } else { reply.prompt.clone() };
        let initial = std::mem::take(&mut typed);
        match editor.readline_with_initial(&prompt, (&initial.0, &initial.1)) {
            Ok(text) if keys.help.take() => {
                let (before, after) = text.split_at(keys.position(&text));
                let answer = ask(&Saying::Expected { text: before.to_owned() })?;
                pager::page(&(answer.text + &listed(&answer.expected)), reply.screen_length)?;
                typed = (before.to_owned(), after.to_owned());
            }
            Ok(_) if keys.leave.take() => {
                // The user view has nowhere to return to.
                if !reply.asks && !reply.prompt.starts_with('<') {
                    reply = ask(&line("return"))?;
                    show(&reply)?;
                }
            }
            Ok(text) => {
                if !reply.asks && !text.trim().is_empty() && !vrp::holds_secret(&text) {
                    editor.add_history_entry(text.as_str()).map_err(Failure::failed)?;
                }
                reply = ask(&line(&text))?;
                if reply.again {
                    reply = pager::watch(reply, || ask(&line(&text)))?;
                }
                // What was watched is not left behind.
                if !reply.again {
                    show(&reply)?;
                }
            }
            // Whoever breaks off a question wants nothing of it: C where that is an answer, else N.
            Err(ReadlineError::Interrupted | ReadlineError::Eof) if reply.asks => {
                let cancels = reply.text.contains("C(cancel)") || reply.text.contains("'CANCEL'");
                reply = ask(&line(if cancels { "c" } else { "n" }))?;
                show(&reply)?;
            }
            // What was typed is dropped.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => {
                reply = ask(&line("quit"))?;
                show(&reply)?;
            }
            Err(error) => return Err(Failure::failed(format!("the terminal is gone: {error}"))),
        }
    }
    Ok(())
}

/// All of an answer, a screen at a time; of a question all but its last line, which becomes the prompt.
fn show(reply: &Reply) -> Outcome {
    if reply.asks {
        let above = reply.text.len() - last_line(&reply.text).len();
        return print(&reply.text[..above]);
    }
    pager::page(&reply.text, reply.screen_length)
}

fn last_line(text: &str) -> &str {
    text.rsplit('\n').next().unwrap_or_default()
}

/// Two columns, name and help (BEHAVIOUR.md 2.3).
fn listed(expected: &[Expectation]) -> String {
    let width = expected.iter().map(|it| it.label.chars().count()).max().unwrap_or(0);
    let row = |it: &Expectation| format!("  {:<width$}  {}", it.label, it.help).trim_end().to_owned() + "\n";
    expected.iter().map(row).collect()
}

/// Keys that end the editing of a line for another reason than Enter.
#[derive(Clone, Default)]
struct Keys {
    help: Pressed,
    leave: Pressed,
}

impl Keys {
    /// Where the cursor stood in `text` when `?` was pressed.
    fn position(&self, text: &str) -> usize {
        let position = self.help.position.load(Ordering::Relaxed);
        if text.is_char_boundary(position) { position } else { text.len() }
    }
}

#[derive(Clone, Default)]
struct Pressed {
    was: Arc<AtomicBool>,
    position: Arc<std::sync::atomic::AtomicUsize>,
}

impl Pressed {
    fn take(&self) -> bool {
        self.was.swap(false, Ordering::Relaxed)
    }
}

impl ConditionalEventHandler for Pressed {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        self.was.store(true, Ordering::Relaxed);
        self.position.store(context.pos(), Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}

/// What Tab does: the daemon knows which keywords may follow.
struct Completion {
    client: Rc<RefCell<Client>>,
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..position];
        let start = before.rfind(|c: char| c.is_ascii_whitespace()).map_or(0, |blank| blank + 1);
        let mut client = self.client.borrow_mut();
        let reply = client.say(&Saying::Expected { text: before.to_owned() }).and_then(|()| client.hear());
        // The next line finds out that the daemon is gone.
        let expected = reply.map(|reply| reply.expected).unwrap_or_default();
        let keyword = |label: &str| label.starts_with(|c: char| c.is_ascii_lowercase());
        let keywords = expected.into_iter().filter(|it| keyword(&it.label));
        let pair = |it: Expectation| Pair { replacement: it.label.clone() + " ", display: it.label };
        Ok((start, keywords.map(pair).collect()))
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Hinter for Completion {
    type Hint = String;
}

fn editor(client: Rc<RefCell<Client>>, keys: &Keys) -> Result<Editor<Completion, MemHistory>, Failure> {
    let config = Config::builder()
        .max_history_size(HISTORY)
        .and_then(|config| config.history_ignore_dups(true))
        .map_err(Failure::failed)?
        .completion_type(CompletionType::List)
        .bell_style(BellStyle::None)
        // What is pasted is lines like those that are typed.
        .bracketed_paste(false)
        .build();
    let history = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)
        .map_err(|error| Failure::failed(format!("this is no terminal to type on: {error}")))?;
    editor.set_helper(Some(Completion { client }));
    editor.bind_sequence(KeyEvent::from('?'), EventHandler::Conditional(Box::new(keys.help.clone())));
    editor.bind_sequence(KeyEvent::ctrl('Z'), EventHandler::Conditional(Box::new(keys.leave.clone())));
    Ok(editor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_listed_in_two_columns() {
        let it = |label: &str, help: &str| Expectation { label: label.to_owned(), help: help.to_owned() };
        let text = listed(&[it("interim", "Interims"), it("INTEGER<1-5>", "Times"), it("<cr>", "")]);
        assert_eq!(text, "  interim       Interims\n  INTEGER<1-5>  Times\n  <cr>\n");
    }

    #[test]
    fn the_last_line_of_a_question_is_the_prompt() {
        assert_eq!(last_line("Warning: It will be written.\nAre you sure? [Y/N]:"), "Are you sure? [Y/N]:");
    }
}
