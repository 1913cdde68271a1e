//! One operator's sitting: lines go to the shell, and what the shell wants done is done by the daemon.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use model::settings::ShellLevel;
use tokio::net::unix::UCred;
use vrp::render::Shown;
use vrp::{ActionRequest, Answer, CommandError, Commit, Pipeline, Sealer, Shell};

use super::super::commits::SittingId;
use super::super::committing::Author;
use super::super::daemon::Daemon;
use super::super::messages::WorkerMessage;
use super::super::{local_bills, shutdown, users};
use super::displays::{ask_workers, display, queued_count, reset_hwtacacs_statistics};
use super::peer::Operator;
use super::{Expectation, Reply, failed, said};

/// Groups of the system that may come in.
type Groups = BTreeMap<String, ShellLevel>;

/// An operator, and what he has typed so far.
pub(super) struct Sitting {
    id: SittingId,
    peer: UCred,
    operator: Operator,
    /// The groups that the operator was judged by.
    groups: Groups,
    shell: Shell,
}

impl Sitting {
    /// Of whoever is at the other end; `None`: somebody who may not come in.
    pub(super) async fn begin(id: SittingId, peer: UCred, daemon: &Daemon) -> Option<Sitting> {
        let groups = daemon.running().shell_groups.clone();
        let operator = identify(peer, groups.clone()).await?;
        let shell = Shell::new(daemon.running(), operator.level);
        Some(Sitting { id, peer, operator, groups, shell })
    }

    pub(super) fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Judges the user again when other groups may come in than before. False: he may not any more.
    pub(super) async fn is_still_welcome(&mut self, daemon: &Daemon) -> bool {
        let groups = daemon.running().shell_groups.clone();
        if groups == self.groups {
            return true;
        }
        let Some(operator) = identify(self.peer, groups.clone()).await else {
            self.audit("-", "the user may not use the shell any more");
            return false;
        };
        self.shell.set_level(operator.level);
        (self.operator, self.groups) = (operator, groups);
        true
    }

    /// A line, and how its answer is to look: displays as JSON, or carets below what stands on a terminal.
    pub(super) async fn hear(&mut self, line: &str, json: bool, terminal: bool, daemon: &Rc<Daemon>) -> Reply {
        let bill_count = daemon.bill_information().await.map_or(0, |information| information.cache.bills);
        let queued_count = queued_count(daemon).await;
        self.follow(daemon);
        let indent = terminal.then(|| self.shell.prompt().chars().count());
        let answer = self.shell.execute(line, &Around { daemon, bill_count, queued_count });
        // What is done at once, or put into force, is told when it is done.
        let is_told_later =
            matches!(answer, Answer::Commit(_) | Answer::Action(_) | Answer::AbortTrial | Answer::Question(_));
        match (self.shell.change(), &answer) {
            (Some(command), Answer::Error(error)) => self.audit_refusal(command, &error.fault.to_string()),
            (Some(command), _) if !is_told_later => self.audit(command, "the candidate was changed"),
            _ => {}
        }
        let reply = self.carry_out(answer, json, indent, daemon).await;
        self.follow(daemon);
        self.with_state(reply)
    }

    /// What may follow what is typed, or what is wrong with that.
    pub(super) fn expected(&self, line: &str) -> Reply {
        let expected = self.shell.expected(line).into_iter();
        let expected: Vec<_> = expected.map(|it| Expectation { label: it.label, help: it.help.to_owned() }).collect();
        let wrong = if expected.is_empty() { self.shell.misstep(line) } else { None };
        let indent = self.shell.prompt().chars().count();
        let reply = wrong.map(|error| failed(&error.to_terminal(indent))).unwrap_or_default();
        self.with_state(Reply { expected, ..reply })
    }

    /// Adds what the client shows of the sitting.
    pub(super) fn with_state(&self, reply: Reply) -> Reply {
        Reply {
            asks: self.shell.is_asking(),
            uncommitted: self.shell.uncommitted(),
            prompt: self.shell.prompt(),
            screen_length: self.shell.screen_length(),
            ..reply
        }
    }

    /// Gives back what only this sitting may hold.
    pub(super) fn end(&self, daemon: &Daemon) {
        daemon.commits.unlock(self.id);
    }

    /// Others may have committed.
    fn follow(&mut self, daemon: &Daemon) {
        let running = daemon.running();
        if *self.shell.running() != *running {
            self.shell.running_changed(running);
        }
    }

    fn audit(&self, command: &str, what: &str) {
        let Operator { user, uid, pid, .. } = &self.operator;
        tracing::info!(target: "audit", user, uid, pid, command, "{what}");
    }

    fn audit_refusal(&self, command: &str, why: &str) {
        let Operator { user, uid, pid, .. } = &self.operator;
        let why = why.strip_prefix("Error: ").unwrap_or(why);
        tracing::info!(target: "audit", user, uid, pid, command, why, "it was refused");
    }

    /// What was asked for is not done.
    fn refuse(&self, command: &str, why: &str) -> Reply {
        self.audit_refusal(command, why);
        failed(&format!("Error: {why}."))
    }

    async fn carry_out(&mut self, answer: Answer, json: bool, indent: Option<usize>, daemon: &Rc<Daemon>) -> Reply {
        let wrong = |error: &CommandError| match indent {
            Some(indent) => failed(&error.to_terminal(indent)),
            None => failed(&error.to_script()),
        };
        match answer {
            Answer::Silent => Reply::default(),
            Answer::Text(text) => said(&text),
            Answer::Show(shown, pipeline) => show(shown, pipeline, json).await,
            Answer::Error(error) => wrong(&error),
            Answer::Question(question) => {
                // Asked again, because the answer was none.
                let error = question.starts_with("Error: ");
                Reply { text: question, error, ..Reply::default() }
            }
            Answer::Ended => Reply { ended: true, ..Reply::default() },
            Answer::Display(request, pipeline) => match display(request, daemon).await {
                Ok(shown) => show(shown, pipeline, json).await,
                Err(refusal) => wrong(&refusal.into()),
            },
            Answer::Monitor(request) => match display(request, daemon).await {
                Ok(shown) => Reply { again: true, ..show(shown, Pipeline::default(), json).await },
                Err(refusal) => wrong(&refusal.into()),
            },
            Answer::Action(request) => match self.act(&request, daemon).await {
                Ok(reply) => {
                    self.audit(self.shell.change().unwrap_or_default(), "an action was carried out");
                    reply
                }
                Err(why) => {
                    self.audit_refusal(self.shell.change().unwrap_or_default(), &why);
                    failed(&why)
                }
            },
            Answer::Commit(commit) => self.commit(commit, daemon).await,
            Answer::Confirm { trial_s } => self.confirm(trial_s, daemon).await,
            Answer::AbortTrial => match daemon.abort_trial(self.author()).await {
                Ok(()) => {
                    self.audit("abort trial", "the trial commit was rolled back");
                    said("Info: The trial commit was rolled back.")
                }
                Err(why) => self.refuse("abort trial", &why),
            },
            Answer::Lock(true) => match daemon.commits.lock(self.author()) {
                Ok(()) => {
                    self.audit("lock configuration", "the configuration was locked");
                    said("Info: The configuration is locked; nobody else can commit.")
                }
                Err(why) => self.refuse("lock configuration", &why),
            },
            Answer::Lock(false) if daemon.commits.unlock(self.id) => {
                self.audit("unlock configuration", "the configuration was unlocked");
                Reply::default()
            }
            Answer::Lock(false) => failed("Error: This sitting does not hold the lock of the configuration."),
            Answer::Save => match daemon.save().await {
                Ok(()) => {
                    self.audit("save", "the configuration was saved");
                    said("Info: The configuration was saved.")
                }
                Err(why) => self.refuse("save", &why),
            },
        }
    }

    fn author(&self) -> Author<'_> {
        Author { sitting: self.id, operator: &self.operator }
    }

    async fn commit(&mut self, commit: Commit, daemon: &Rc<Daemon>) -> Reply {
        let mut warnings: String = commit.warnings.iter().map(|warning| format!("{warning}\n")).collect();
        let base = self.shell.running().clone();
        match daemon.commit(self.author(), &base, Arc::from(commit.settings), &commit.terms).await {
            Ok((running, problems)) => {
                self.audit(self.shell.change().unwrap_or("commit"), "the configuration was committed");
                self.shell.committed(running);
                for problem in problems {
                    tracing::warn!("{problem}");
                    warnings += &format!("Warning: {problem}.\n");
                }
                Reply { text: warnings, ..Reply::default() }
            }
            Err(why) => {
                self.audit_refusal(self.shell.change().unwrap_or("commit"), &why);
                self.shell.refused();
                failed(&format!("{warnings}Error: {why}.\n"))
            }
        }
    }

    /// `commit` with nothing to commit: it confirms a trial of this user, or begins its time anew.
    async fn confirm(&self, trial_s: Option<u16>, daemon: &Rc<Daemon>) -> Reply {
        match daemon.confirm(self.author(), trial_s).await {
            Ok(is_trial) => {
                if is_trial {
                    let what = if trial_s.is_some() { "begins anew" } else { "was confirmed" };
                    self.audit("commit", &format!("the trial commit {what}"));
                }
                Reply::default()
            }
            Err(why) => self.refuse("commit", &why),
        }
    }

    /// Does at once what was asked for; what it says is for the user, and so is why it could not be done.
    async fn act(&self, request: &ActionRequest, daemon: &Rc<Daemon>) -> Result<Reply, String> {
        match request {
            ActionRequest::CutAccessUser(selector) => {
                let count = users::cut(selector, daemon).await;
                let count = count.map_err(|refusal| CommandError::from(refusal).to_script())?;
                let users = if count == 1 { "user is" } else { "users are" };
                Ok(said(&format!("Info: {count} {users} being logged out.")))
            }
            ActionRequest::ShutdownAccounting => Ok(said(&shutdown::shut_down(daemon).await)),
            ActionRequest::ResendQueue => {
                let counts = ask_workers(daemon, WorkerMessage::ResendQueue).await;
                Ok(packets(&counts, "sent again"))
            }
            ActionRequest::ResetQueue(selector) => {
                let counts = ask_workers(daemon, |reply| WorkerMessage::ResetQueue(*selector, reply)).await;
                Ok(packets(&counts, "given up"))
            }
            ActionRequest::ResetHwtacacsStatistics => {
                reset_hwtacacs_statistics(daemon).await;
                Ok(Reply::default())
            }
            ActionRequest::Rollback(point) => {
                let problems = daemon.go_back_to(self.author(), point).await.map_err(|why| format!("Error: {why}."))?;
                let warnings: String = problems.iter().map(|problem| format!("Warning: {problem}.\n")).collect();
                Ok(said(&format!("{warnings}Info: The configuration was rolled back.")))
            }
            ActionRequest::CacheBackup | ActionRequest::CfcardBackup { .. } | ActionRequest::CfcardReset => {
                local_bills::act(request, daemon).await.map_err(|why| format!("Error: {why}."))?;
                Ok(Reply::default())
            }
        }
    }
}

/// The system's user database may take its time.
async fn identify(peer: UCred, groups: Groups) -> Option<Operator> {
    tokio::task::spawn_blocking(move || Operator::identify(&peer, &groups)).await.ok().flatten()
}

/// What a line may need to know while it is executed.
struct Around<'a> {
    daemon: &'a Daemon,
    bill_count: u64,
    queued_count: u64,
}

impl vrp::Context for Around<'_> {
    fn sealer(&self) -> &dyn Sealer {
        &self.daemon.sealer
    }

    fn bill_count(&self) -> u64 {
        self.bill_count
    }

    fn queued_count(&self) -> u64 {
        self.queued_count
    }
}

fn packets(counts: &[u64], what: &str) -> Reply {
    let count: u64 = counts.iter().sum();
    let packets = if count == 1 { "packet" } else { "packets" };
    said(&format!("Info: {count} {packets} in the cache: {what}."))
}

/// An expression over a long text takes time that planes and other shells must not wait for.
async fn show(shown: Shown, pipeline: Pipeline, json: bool) -> Reply {
    let printed = tokio::task::spawn_blocking(move || pipeline.print(&shown, json)).await;
    Reply { text: printed.unwrap_or_default(), ..Reply::default() }
}
