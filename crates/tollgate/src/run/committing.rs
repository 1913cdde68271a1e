//! What the daemon does for a commit: a trial, its confirmation and its roll-back, and going back to an earlier one. One at a time,
//! and each judged when its turn has come.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use model::settings::{Settings, ShellLevel};
use tokio::time::Instant;
use vrp::{CommitPoint, CommitTerms};

use super::clock;
use super::commits::SittingId;
use super::control::peer::Operator;
use super::daemon::Daemon;

/// How long a roll-back that was refused waits before it is tried again: its plane link or port may be somebody else's meanwhile.
const ROLL_BACK_AGAIN: Duration = Duration::from_secs(10);

/// Who commits.
#[derive(Clone, Copy)]
pub(crate) struct Author<'a> {
    pub(crate) sitting: SittingId,
    pub(crate) operator: &'a Operator,
}

impl Daemon {
    /// Puts settings into force that were made from `base`, unless somebody else has the configuration to himself. With what is
    /// in force comes what an operator should know of it.
    pub(crate) async fn commit(
        self: &Rc<Self>,
        author: Author<'_>,
        base: &Settings,
        settings: Arc<Settings>,
        terms: &CommitTerms,
    ) -> Result<(Arc<Settings>, Vec<String>), String> {
        let _turn = self.turn.lock().await;
        if let Some(why) = self.commits.refuse(author) {
            return Err(why);
        }
        let before = self.running();
        let (running, mut problems) = self.put_into_force(base, settings).await?;
        if let Some(ends) = self.commits.took_effect(author, before, terms.trial_s) {
            self.watch_trial(ends);
        }
        problems.extend(self.write_down(&author.operator.user, terms, &running).await);
        Ok((running, problems))
    }

    /// `commit` with nothing to commit: it confirms a trial of this user, or with a time of its own begins that anew. True: there
    /// was one.
    pub(crate) async fn confirm(self: &Rc<Self>, author: Author<'_>, trial_s: Option<u16>) -> Result<bool, String> {
        let _turn = self.turn.lock().await;
        if self.commits.trial().is_none() {
            return match self.commits.take_rolled_back(author) {
                true => Err("the trial commit was rolled back before it was confirmed".to_owned()),
                false => Ok(false),
            };
        }
        if let Some(why) = self.commits.refuse(author) {
            return Err(why);
        }
        if let Some(ends) = self.commits.took_effect(author, self.running(), trial_s) {
            self.watch_trial(ends);
        }
        Ok(true)
    }

    fn watch_trial(self: &Rc<Self>, ends: Instant) {
        let daemon = Rc::clone(self);
        let alarm = tokio::task::spawn_local(async move {
            tokio::time::sleep_until(ends).await;
            while let Err(why) = daemon.roll_back(Some(ends), "the time of the trial is over").await {
                tracing::error!(target: "alarm", "the trial commit could not be rolled back: {why}; it is tried again");
                tokio::time::sleep(ROLL_BACK_AGAIN).await;
            }
        });
        self.commits.set_alarm(alarm.abort_handle());
    }

    /// `abort trial`: for its user, and for whoever may do everything.
    pub(crate) async fn abort_trial(&self, author: Author<'_>) -> Result<(), String> {
        let Some(trial) = self.commits.trial() else { return Err("no trial commit is under way".to_owned()) };
        if !self.commits.is_trial_of(author) && author.operator.level < ShellLevel::Management {
            return Err(format!("the trial commit is that of user {}", trial.user));
        }
        self.roll_back(None, "abort trial").await
    }

    /// Puts into force what was before the trial, which is over when that has succeeded. `ends`: the trial that ends then; another
    /// one is left alone.
    async fn roll_back(&self, ends: Option<Instant>, why: &str) -> Result<(), String> {
        let _turn = self.turn.lock().await;
        let Some((trial, before)) = self.commits.what_was_before(ends) else { return Ok(()) };
        let (running, _) = self.put_into_force(&self.running(), before).await?;
        tracing::warn!(target: "audit", user = trial.user, why, "a trial commit was rolled back");
        let description = Some("roll-back of a trial".to_owned());
        let terms = CommitTerms { description, ..CommitTerms::default() };
        if let Some(problem) = self.write_down(&trial.user, &terms, &running).await {
            tracing::warn!("{problem}");
        }
        // It ends the task that waited for the end of the trial, which may be this one: nothing comes after it.
        self.commits.roll_back();
        Ok(())
    }

    /// Puts into force what was committed before.
    pub(crate) async fn go_back_to(
        self: &Rc<Self>,
        author: Author<'_>,
        point: &CommitPoint,
    ) -> Result<Vec<String>, String> {
        let text = self.commits.text(point)?;
        let settings = vrp::config::read(&text, &self.sealer).map_err(|errors| {
            let first = errors.first().map(ToString::to_string).unwrap_or_default();
            format!("what was committed then is not taken any more: {first}")
        })?;
        let description = Some("rollback configuration".to_owned());
        let terms = CommitTerms { description, ..CommitTerms::default() };
        let running = self.running();
        self.commit(author, &running, Arc::new(settings), &terms).await.map(|(_, problems)| problems)
    }

    /// What the daemon starts with stands in the list of commits as well, unless it is what was committed last.
    pub(crate) async fn write_down_startup(&self) {
        let running = self.running();
        if self.commits.is_newest(&running) {
            return;
        }
        let description = Some("startup configuration".to_owned());
        let terms = CommitTerms { description, ..CommitTerms::default() };
        if let Some(problem) = self.write_down("-", &terms, &running).await {
            tracing::warn!("{problem}");
        }
    }

    async fn write_down(&self, user: &str, terms: &CommitTerms, running: &Settings) -> Option<String> {
        let written = self.commits.record(user, terms, running, clock::now().wall).await;
        written.err().map(|why| format!("the commit is in force, and does not stand in the list of commits: {why}"))
    }
}
