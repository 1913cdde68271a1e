//! The commits: who may give one, the trial that may be rolled back, and the list of those that were given.
//!
//! ```text
//!   commit ─▶ lock of another sitting? trial of another sitting? ─▶ in force ─▶ written down
//!                 refused                    refused                  │ trial
//!                                                                     ▼
//!                                         confirmed by a commit of the same user, or
//!                                         rolled back: its time is over, or `abort trial`
//! ```
//!
//! A commit that was in force for a moment stands in the list even if it was rolled back; the roll-back stands behind it.
//! The list is a directory with a configuration file for each commit, which begins with comments that say what it is.
//! A restart of the daemon rolls every trial back in its own way: it reads the startup file.
//!
//! **Full:** the newest [`KEPT`] commits are kept.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::report::{CommitRecord, TrialReport};
use model::settings::Settings;
use model::time::Wall;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use vrp::{CommitPoint, CommitTerms};

use super::committing::Author;
use super::daemon::on_disk;

/// Commits that can be gone back to.
const KEPT: usize = 80;

/// A sitting, as long as the daemon lives.
pub(crate) type SittingId = u64;

/// A commit that is not confirmed.
struct Trial {
    uid: u32,
    user: String,
    /// What was in force before.
    before: Arc<Settings>,
    ends: Instant,
    /// Whoever waits for its end.
    alarm: Option<AbortHandle>,
}

/// What the control thread knows of commits.
pub(crate) struct Commits {
    directory: PathBuf,
    /// Oldest first.
    records: RefCell<Vec<CommitRecord>>,
    trial: RefCell<Option<Trial>>,
    /// Whose trial was rolled back, until that user has been told.
    rolled_back: Cell<Option<u32>>,
    lock: RefCell<Option<(SittingId, String)>>,
}

impl Commits {
    /// Those that an earlier life has written down. A file that is none of them is left alone.
    pub(crate) fn open(state_dir: &Path) -> Commits {
        let directory = state_dir.join("commits");
        let mut records: Vec<CommitRecord> = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .filter_map(|entry| read_record(&entry.ok()?.path()))
            .collect();
        records.sort_by_key(|record| record.id);
        Commits {
            directory,
            records: RefCell::new(records),
            trial: RefCell::default(),
            rolled_back: Cell::default(),
            lock: RefCell::default(),
        }
    }

    /// Why this one may not commit now.
    pub(crate) fn refuse(&self, author: Author<'_>) -> Option<String> {
        if let Some((holder, user)) = &*self.lock.borrow()
            && *holder != author.sitting
        {
            return Some(format!("the configuration is locked by user {user}; try again later"));
        }
        let trial = self.trial.borrow();
        let other = trial.as_ref().filter(|trial| trial.uid != author.operator.uid)?;
        Some(format!("a trial commit of user {} is not confirmed yet; try again later", other.user))
    }

    /// Nobody else may commit until [`Commits::unlock`] or the end of the sitting.
    pub(crate) fn lock(&self, author: Author<'_>) -> Result<(), String> {
        if let Some(why) = self.refuse(author) {
            return Err(why);
        }
        *self.lock.borrow_mut() = Some((author.sitting, author.operator.user.clone()));
        Ok(())
    }

    /// Others may commit again. False: this sitting does not hold the lock, and nothing changes.
    pub(crate) fn unlock(&self, by: SittingId) -> bool {
        self.lock.borrow_mut().take_if(|(holder, _)| *holder == by).is_some()
    }

    /// A commit took effect: it begins a trial, goes on with one, or confirms one. Says when a new one ends.
    pub(crate) fn took_effect(
        &self,
        author: Author<'_>,
        before: Arc<Settings>,
        trial_s: Option<u16>,
    ) -> Option<Instant> {
        let on_trial = self.end_trial();
        self.rolled_back.set(None);
        let ends = Instant::now() + Duration::from_secs(trial_s?.into());
        let (uid, user) = (author.operator.uid, author.operator.user.clone());
        *self.trial.borrow_mut() = Some(Trial { uid, user, before: on_trial.unwrap_or(before), ends, alarm: None });
        Some(ends)
    }

    /// Somebody waits for the end of the trial, and need not when it is over.
    pub(crate) fn set_alarm(&self, alarm: AbortHandle) {
        if let Some(trial) = &mut *self.trial.borrow_mut() {
            trial.alarm = Some(alarm);
        }
    }

    fn end_trial(&self) -> Option<Arc<Settings>> {
        let trial = self.trial.borrow_mut().take()?;
        if let Some(alarm) = trial.alarm {
            alarm.abort();
        }
        Some(trial.before)
    }

    /// What the trial is, and what was in force before it. `ends`: only the one that ends then.
    pub(crate) fn what_was_before(&self, ends: Option<Instant>) -> Option<(TrialReport, Arc<Settings>)> {
        let report = self.trial()?;
        let trial = self.trial.borrow();
        let trial = trial.as_ref().filter(|trial| ends.is_none_or(|ends| ends == trial.ends))?;
        Some((report, Arc::clone(&trial.before)))
    }

    /// The trial is over, and what was before it is in force.
    pub(crate) fn roll_back(&self) {
        if let Some(trial) = self.trial.borrow_mut().take() {
            self.rolled_back.set(Some(trial.uid));
            if let Some(alarm) = trial.alarm {
                // Who rolls back because the time is over has nothing more to do.
                alarm.abort();
            }
        }
    }

    /// Whether a trial of this user was rolled back and the user does not know; then it is known.
    pub(crate) fn take_rolled_back(&self, author: Author<'_>) -> bool {
        let is_his = self.rolled_back.get() == Some(author.operator.uid);
        if is_his {
            self.rolled_back.set(None);
        }
        is_his
    }

    /// Whether the trial is that of this user.
    pub(crate) fn is_trial_of(&self, author: Author<'_>) -> bool {
        self.trial.borrow().as_ref().is_some_and(|trial| trial.uid == author.operator.uid)
    }

    /// Whether a trial is running, and for how long.
    pub(crate) fn trial(&self) -> Option<TrialReport> {
        let trial = self.trial.borrow();
        let trial = trial.as_ref()?;
        let left = trial.ends.saturating_duration_since(Instant::now());
        Some(TrialReport { user: trial.user.clone(), remaining_s: left.as_secs() })
    }

    /// The newest so many, newest first, and how many there are.
    pub(crate) fn list(&self, count: Option<u32>) -> (Vec<CommitRecord>, usize) {
        let records = self.records.borrow();
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(KEPT);
        (records.iter().rev().take(count).cloned().collect(), records.len())
    }

    /// Writes down what took effect. The oldest go. Whoever calls has the turn: numbers are given in order.
    pub(crate) async fn record(
        &self,
        user: &str,
        terms: &CommitTerms,
        settings: &Settings,
        at: Wall,
    ) -> Result<(), String> {
        let id = self.records.borrow().last().map_or(1, |last| last.id.saturating_add(1));
        let CommitTerms { label, description, .. } = terms.clone();
        let record = CommitRecord { id, at, user: user.to_owned(), label, description };
        let text = heading(&record) + &vrp::config::write(settings);
        let (directory, file) = (self.directory.clone(), self.file(id));
        let write = move || {
            kernel::file::make_directories(&directory)
                .and_then(|()| kernel::file::replace_file(&file, text.as_bytes(), 0o600))
                .map_err(|error| error.to_string())
        };
        on_disk(write).await?;
        let mut records = self.records.borrow_mut();
        records.push(record);
        let surplus = records.len().saturating_sub(KEPT);
        for old in records.drain(..surplus) {
            // One that stays is gone over when the daemon starts the next time.
            let _ = std::fs::remove_file(self.file(old.id));
        }
        Ok(())
    }

    /// Whether these settings are what was committed last.
    pub(crate) fn is_newest(&self, settings: &Settings) -> bool {
        let records = self.records.borrow();
        let text = records.last().and_then(|record| std::fs::read_to_string(self.file(record.id)).ok());
        text.is_some_and(|text| text.ends_with(&vrp::config::write(settings)))
    }

    /// The text of the settings that were in force after a commit.
    pub(crate) fn text(&self, point: &CommitPoint) -> Result<String, String> {
        let records = self.records.borrow();
        let newest_first = || records.iter().rev();
        let found = match point {
            CommitPoint::Id(id) => newest_first().find(|record| record.id == *id),
            CommitPoint::Label(label) => newest_first().find(|record| record.label.as_ref() == Some(label)),
            CommitPoint::Last(count) => newest_first().nth(usize::try_from(*count).unwrap_or(usize::MAX)),
        };
        let record = found.ok_or("there is no such commit; display configuration commit list shows those there are")?;
        std::fs::read_to_string(self.file(record.id))
            .map_err(|error| format!("what was committed as {} cannot be read: {error}", record.id))
    }

    fn file(&self, id: u32) -> PathBuf {
        self.directory.join(format!("{id:010}.cfg"))
    }
}

/// Comments that a configuration file may begin with.
fn heading(record: &CommitRecord) -> String {
    let CommitRecord { id, at, user, label, description } = record;
    let mut text = format!("! commit-id {id}\n! at {}\n! user {user}\n", at.as_millis());
    for (name, value) in [("label", label), ("description", description)] {
        if let Some(value) = value {
            let _ = writeln!(text, "! {name} {value}");
        }
    }
    text
}

fn read_record(path: &Path) -> Option<CommitRecord> {
    let text = std::fs::read_to_string(path).ok()?;
    let said = |name: &str| {
        let mut comments = text.lines().map_while(|line| line.strip_prefix("! "));
        comments.find_map(|comment| comment.strip_prefix(name)?.strip_prefix(' '))
    };
    let id = said("commit-id")?.parse().ok()?;
    if path.file_stem()?.to_str()?.parse() != Ok(id) {
        return None;
    }
    let (label, description) = (said("label").map(str::to_owned), said("description").map(str::to_owned));
    let at = Wall::from_millis(said("at")?.parse().ok()?);
    Some(CommitRecord { id, at, user: said("user")?.to_owned(), label, description })
}

#[cfg(test)]
mod tests {
    use model::settings::ShellLevel;

    use super::*;
    use crate::run::control::peer::Operator;

    fn terms(label: Option<&str>, description: Option<&str>) -> CommitTerms {
        CommitTerms { trial_s: None, label: label.map(str::to_owned), description: description.map(str::to_owned) }
    }

    fn named(sysname: &str) -> Settings {
        Settings { sysname: sysname.to_owned(), ..Settings::default() }
    }

    #[tokio::test]
    async fn commits_are_found_again_by_another_life() {
        let directory = tempfile::tempdir().unwrap();
        let commits = Commits::open(directory.path());
        let at = Wall::from_millis(1_795_000_000_250);
        commits.record("alice", &terms(Some("first"), None), &named("ONE"), at).await.unwrap();
        commits.record("bob", &terms(None, Some("two  words")), &named("TWO"), at).await.unwrap();
        std::fs::write(directory.path().join("commits/notes.cfg"), "! commit-id 9\n").unwrap();

        let commits = Commits::open(directory.path());
        let (list, count) = commits.list(None);
        assert_eq!((count, list[0].id, list[0].user.as_str(), list[0].at), (2, 2, "bob", at));
        assert_eq!((list[0].description.as_deref(), list[1].label.as_deref()), (Some("two  words"), Some("first")));
        assert_eq!(commits.list(Some(1)).0.len(), 1);
        let has = |point: CommitPoint, sysname: &str| commits.text(&point).unwrap().contains(sysname);
        assert!(has(CommitPoint::Id(2), "sysname TWO"));
        assert!(has(CommitPoint::Label("first".to_owned()), "sysname ONE"));
        assert!(has(CommitPoint::Last(1), "sysname ONE"));
        for nowhere in [CommitPoint::Id(9), CommitPoint::Last(2), CommitPoint::Label("second".to_owned())] {
            assert!(commits.text(&nowhere).is_err(), "{nowhere:?}");
        }
    }

    #[tokio::test]
    async fn the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let commits = Commits::open(directory.path());
        for _ in 0..KEPT + 2 {
            commits.record("a", &terms(None, None), &named("X"), Wall::from_millis(0)).await.unwrap();
        }
        let (list, count) = Commits::open(directory.path()).list(None);
        assert_eq!((count, list.last().map(|oldest| oldest.id)), (KEPT, Some(3)));
    }

    #[test]
    fn one_at_a_time_may_commit() {
        let commits = Commits::open(Path::new("/nonexistent"));
        let before = Arc::new(Settings::default());
        let operator =
            |uid, user: &str| Operator { user: user.to_owned(), uid, pid: 1, level: ShellLevel::Configuration };
        let (alice, bob) = (operator(1, "alice"), operator(2, "bob"));
        let one = Author { sitting: 1, operator: &alice };
        let (again, other) = (Author { sitting: 2, operator: &alice }, Author { sitting: 3, operator: &bob });
        commits.lock(one).unwrap();
        assert!(commits.refuse(one).is_none());
        assert!(commits.refuse(again).is_some_and(|why| why.contains("locked by user alice")));
        assert!(commits.lock(other).is_err());
        assert!(!commits.unlock(3) && commits.refuse(other).is_some(), "only its holder gives a lock back");
        assert!(commits.unlock(1) && commits.refuse(other).is_none());

        assert!(commits.took_effect(one, Arc::new(named("BEFORE")), Some(60)).is_some());
        assert!(commits.refuse(other).is_some_and(|why| why.contains("trial commit of user alice")));
        assert!(commits.refuse(again).is_none(), "its user may come again in another sitting");
        let ends = commits.took_effect(again, Arc::clone(&before), Some(3600));
        let (_, was) = commits.what_was_before(ends).unwrap();
        assert_eq!(was.sysname, "BEFORE", "a trial that goes on goes back to where it began");
        assert!(commits.what_was_before(Some(Instant::now())).is_none(), "an alarm that is late ends no other trial");
        assert!(commits.is_trial_of(again) && !commits.is_trial_of(other));
        commits.roll_back();
        assert!(!commits.take_rolled_back(other) && commits.take_rolled_back(one) && !commits.take_rolled_back(one));
        commits.took_effect(one, Arc::clone(&before), Some(60));
        assert!(commits.took_effect(one, before, None).is_none());
        assert!(commits.trial().is_none(), "confirmed");
    }
}
