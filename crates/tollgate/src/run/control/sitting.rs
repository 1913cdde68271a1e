//! One operator's sitting: lines go to the shell, and what the shell wants done is done by the daemon.

use std::rc::Rc;
use std::sync::Arc;

use vrp::render::Shown;
use vrp::{ActionRequest, Answer, CommandError, Commit, Pipeline, Sealer, Shell};

use super::super::commits::SittingId;
use super::super::daemon::Daemon;
use super::super::messages::WorkerMessage;
use super::super::{local_bills, shutdown, users};
use super::displays::{ask_workers, display, queued_count};
use super::peer::Operator;
use super::{Expectation, Reply, failed, said};

/// An operator, and what he has typed so far.
pub(super) struct Sitting {
    id: SittingId,
    operator: Operator,
    shell: Shell,
}

impl Sitting {
    pub(super) fn new(id: SittingId, operator: Operator, daemon: &Daemon) -> Sitting {
        let shell = Shell::new(daemon.running(), operator.level);
        Sitting { id, operator, shell }
    }

    pub(super) fn operator(&self) -> &Operator {
        &self.operator
    }

    /// A line, and how its answer is to look: displays as JSON, or carets below what stands on a terminal.
    pub(super) async fn hear(&mut self, line: &str, json: bool, terminal: bool, daemon: &Rc<Daemon>) -> Reply {
        let bill_count = daemon.bill_information().await.map_or(0, |information| information.cache.bills);
        let queued_count = queued_count(daemon).await;
        self.follow(daemon);
        let indent = terminal.then(|| self.shell.prompt().chars().count());
        let answer = self.shell.execute(line, &Around { daemon, bill_count, queued_count });
        if let (Some(command), false) = (self.shell.change(), matches!(answer, Answer::Commit(_) | Answer::Question(_)))
        {
            self.audit(command, "typed");
        }
        let reply = self.carry_out(line, answer, json, indent, daemon).await;
        self.follow(daemon);
        self.with_state(reply)
    }

    /// What may follow what is typed.
    pub(super) fn expected(&self, line: &str) -> Reply {
        let expected = self.shell.expected(line).into_iter();
        let expected = expected.map(|it| Expectation { label: it.label, help: it.help.to_owned() }).collect();
        self.with_state(Reply { expected, ..Reply::default() })
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

    async fn carry_out(
        &mut self,
        line: &str,
        answer: Answer,
        json: bool,
        indent: Option<usize>,
        daemon: &Rc<Daemon>,
    ) -> Reply {
        let wrong = |error: &CommandError| match indent {
            Some(indent) => failed(&error.to_terminal(indent)),
            None => failed(&error.to_script()),
        };
        match answer {
            Answer::Silent => Reply::default(),
            Answer::Text(text) => said(text),
            Answer::Show(shown, pipeline) => show(&shown, &pipeline, json),
            Answer::Error(error) => wrong(&error),
            Answer::Question(question) => {
                // Asked again, because the answer was none.
                let error = question.starts_with("Error: ");
                Reply { text: question, error, ..Reply::default() }
            }
            Answer::Ended => Reply { ended: true, ..Reply::default() },
            Answer::Display(request, pipeline) => match display(request, daemon).await {
                Ok(shown) => show(&shown, &pipeline, json),
                Err(refusal) => wrong(&refusal.into()),
            },
            Answer::Monitor(request) => match display(request, daemon).await {
                Ok(shown) => Reply { again: true, ..show(&shown, &Pipeline::default(), json) },
                Err(refusal) => wrong(&refusal.into()),
            },
            Answer::Action(request) => match self.act(&request, daemon).await {
                Ok(reply) => reply,
                Err(why) => failed(&why),
            },
            Answer::Commit(commit) => self.commit(commit, daemon).await,
            Answer::Confirm => self.confirm(daemon),
            Answer::AbortTrial => match daemon.roll_back("abort trial").await {
                Ok(()) => said("Info: The trial commit was rolled back."),
                Err(why) => failed(&format!("Error: {why}.")),
            },
            Answer::Lock(true) => match daemon.commits.lock(self.id, &self.operator.user) {
                Ok(()) => said("Info: The configuration is locked; nobody else can commit."),
                Err(why) => failed(&format!("Error: {why}.")),
            },
            Answer::Lock(false) => {
                daemon.commits.unlock(self.id);
                Reply::default()
            }
            Answer::Save => match daemon.save() {
                Ok(()) => {
                    self.audit("save", "the configuration was saved");
                    said("Info: The configuration was saved.")
                }
                Err(why) => failed(&format!("{line}\nError: {why}\n")),
            },
        }
    }

    async fn commit(&mut self, commit: Commit, daemon: &Rc<Daemon>) -> Reply {
        let mut warnings: String = commit.warnings.iter().map(|warning| format!("{warning}\n")).collect();
        let by = (self.id, self.operator.user.as_str());
        let base = Arc::new(self.shell.running().clone());
        match daemon.commit_as(by, &base, Arc::from(commit.settings), &commit.terms).await {
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
                self.shell.refused();
                failed(&format!("{warnings}Error: {why}.\n"))
            }
        }
    }

    /// `commit` with nothing to commit: it confirms a trial of this sitting.
    fn confirm(&self, daemon: &Daemon) -> Reply {
        if daemon.commits.trial().is_none() {
            return Reply::default();
        }
        match daemon.commits.refuse(self.id) {
            Some(why) => failed(&format!("Error: {why}.")),
            None => {
                daemon.commits.end_trial();
                self.audit("commit", "the trial commit was confirmed");
                Reply::default()
            }
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
            ActionRequest::ResetQueue { server } => {
                let counts = ask_workers(daemon, |reply| WorkerMessage::ResetQueue(*server, reply)).await;
                Ok(packets(&counts, "given up"))
            }
            ActionRequest::Rollback(point) => {
                let by = (self.id, self.operator.user.as_str());
                let problems = daemon.go_back_to(by, point).await.map_err(|why| format!("Error: {why}."))?;
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

fn show(shown: &Shown, pipeline: &Pipeline, json: bool) -> Reply {
    Reply { text: pipeline.print(shown, json), ..Reply::default() }
}
