//! One session's life, step by step, for `display accounting session X why`.

use super::AccessUser;
use crate::settings::ServerPath;
use crate::time::Wall;

/// Where a step is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorySource {
    /// The engine's journal of packets and verdicts: the newest of all sessions.
    Journal,
    /// The ledger's records, as far back as compaction leaves them.
    Ledger,
}

impl StorySource {
    /// The word in displays.
    pub const fn as_str(self) -> &'static str {
        match self {
            StorySource::Journal => "engine",
            StorySource::Ledger => "ledger",
        }
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryStep {
    /// When; `None`: between the steps around it.
    pub at: Option<Wall>,
    /// Where it is known from.
    pub source: StorySource,
    /// What happened.
    pub event: String,
    /// The server that it is about.
    pub server: Option<ServerPath>,
}

/// A session, what happened to it, and what comes next.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionStory {
    /// What it is now.
    pub user: AccessUser,
    /// What happened, as far as it is known.
    pub steps: Vec<StoryStep>,
    /// What it waits for, a sentence each.
    pub next: Vec<String>,
}
