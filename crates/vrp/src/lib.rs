//! # The command grammar as data, and the displays
//!
//! **Comes in:** a line that somebody typed, a configuration file, rows of [`model::report`]. **Goes out:** an
//! [`Answer`] for the daemon to act on, a [`Settings`](model::settings::Settings) tree, printable text or JSON.
//! **Never:** I/O, a clock, cryptography (a [`Sealer`] is handed in), or knowledge of how a setting takes effect.
//!
//! One declaration stands for one command: the views it lives in, its level, its syntax in the vendor's own
//! notation, a help text per word, how it is undone, how it prints, and the section of BEHAVIOUR.md behind it.
//! Parsing, abbreviations, caret positions, `undo`, `display this`, saved text and help are all read off the
//! declaration; its handler is the only code a command has of its own.
//!
//! ```text
//! syntax      { a | b }, [ x ], { a | b }* → nodes         what may be written
//! value       INTEGER<0-65535>, NAME<1-32>, X.X.X.X …      what a word may be
//! matching    line + view → command and words              abbreviation, ambiguity, caret
//! command     the shape of a declaration                   views, places, what a handler sees
//! grammar     the declarations, a file per view            ── add a command here
//! shell       one user's sitting: view, candidate, questions
//! config      file text ⇄ settings, all errors by line
//! listing     settings → sections of lines, and differences
//! merging     a candidate over what another user has committed, and where they disagree
//! check       what only the whole tree can tell
//! help        what may follow, for `?`
//! pipeline    what is done with a display: `| include`
//! reference   the declarations, to be read by people
//! render      report rows → text and JSON
//! ```
//!
//! **Full:** 256 schemes, 16 accounting servers per group and 256 HWTACACS templates; then the command is refused. Groups and
//! domains are as many as the operator types. **Memory:** a sitting holds one copy of the settings, some kilobytes.
//! A line is applied whole or not at all: handlers check first and change last.

#![forbid(unsafe_code)]

mod check;
mod command;
pub mod config;
mod error;
mod grammar;
mod help;
mod listing;
mod matching;
mod merging;
mod pipeline;
pub mod reference;
pub mod render;
mod secret;
mod shell;
mod syntax;
mod value;

pub use check::{Finding, Problem, check, short_secrets};
pub use command::{ActionRequest, Command, CommitPoint, CommitTerms, DisplayRequest, Place, View};
pub use error::{CommandError, Fault, Misstep, Refusal};
pub use grammar::commands;
pub use help::{Expected, expected};
pub use pipeline::Pipeline;
pub use secret::{SealError, Sealer, holds_secret};
pub use shell::{Answer, Commit, Context, Shell};
