//! What was committed (BEHAVIOUR.md 2.2).

use crate::time::Wall;

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitRecord {
    /// Its number, from 1.
    pub id: u32,
    /// When it took effect.
    pub at: Wall,
    /// Who gave it.
    pub user: String,
    /// Its name.
    pub label: Option<String>,
    /// What it is about.
    pub description: Option<String>,
}

/// A commit that is rolled back unless it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialReport {
    /// Who may confirm it.
    pub user: String,
    /// Seconds that are left.
    pub remaining_s: u64,
}
