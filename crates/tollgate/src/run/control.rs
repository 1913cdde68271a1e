//! The control socket: shells of operators, and questions about bills. One JSON object a line, both ways; a line that a
//! client is slow to read waits in its own connection and holds nobody up.

mod displays;
mod hearing;

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use kernel::seqpacket::BindError;
use model::settings::Settings;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use vrp::render::Shown;
use vrp::{ActionRequest, Answer, CommandError, Sealer, Shell};

use super::daemon::Daemon;
use super::local_bills;
use super::messages::{WorkerMessage, WriterMessage};
use super::shutdown;
use super::users;
use crate::bills::Shape;
use displays::{ask_workers, display, queued_count};
use hearing::{Heard, IDLE_MAX, LINE_MAX};

/// Shells at once.
const CONNECTIONS_MAX: usize = 64;

/// What a client says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Saying {
    /// A line for the shell.
    Line {
        /// As typed, or the answer to a question.
        text: String,
        /// Displays as JSON.
        json: bool,
    },
    /// All bills that are durable, in this shape.
    Bills {
        shape: Shape,
        /// Those that wait for a pool instead.
        unbilled: bool,
    },
}

/// What the daemon answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Reply {
    /// To be printed as it is.
    pub(crate) text: String,
    /// The line was wrong or was refused.
    pub(crate) error: bool,
    /// The next line is the answer to a question.
    pub(crate) asks: bool,
    /// The sitting is over.
    pub(crate) ended: bool,
    /// Something in the candidate is not committed.
    pub(crate) uncommitted: bool,
    /// More of the same answer follows.
    pub(crate) more: bool,
}

/// The control socket's name in the file system; dropped, it is gone.
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next daemon replaces what may have stayed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds the control socket, for its owner only. A path that another daemon answers on is refused, and so is one that
/// is something else than a socket.
pub(crate) fn bind(path: &Path) -> anyhow::Result<(UnixListener, SocketFile)> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let listener = kernel::seqpacket::listen_stream(path, 0o600).map_err(|error| match error {
        BindError::InUse => anyhow!("another daemon answers on {}", path.display()),
        BindError::NotASocket => anyhow!("cannot listen on {}: it is no socket", path.display()),
        BindError::Io(error) => anyhow!("cannot listen on {}: {error}", path.display()),
    })?;
    let file = SocketFile(path.to_owned());
    let listen = || listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    Ok((listen().with_context(|| format!("cannot listen on {}", path.display()))?, file))
}

/// Takes connections for ever.
pub(crate) async fn serve(listener: UnixListener, daemon: Rc<Daemon>) {
    let connections = Rc::new(RefCell::new(0usize));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: the next accept may find one.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        if *connections.borrow() >= CONNECTIONS_MAX {
            tracing::warn!("more than {CONNECTIONS_MAX} shells: one was turned away");
            turn_away(stream);
            continue;
        }
        *connections.borrow_mut() += 1;
        let (daemon, connections) = (daemon.clone(), connections.clone());
        tokio::task::spawn_local(async move {
            // A client that went away is no event.
            let _ = converse(stream, &daemon).await;
            *connections.borrow_mut() -= 1;
        });
    }
}

/// Says why there is no sitting to a client that was just accepted: the line finds room in its empty socket.
fn turn_away(stream: UnixStream) {
    let why = format!("Error: {CONNECTIONS_MAX} shells are open already; close one of them, or try again later.");
    let reply = Reply { ended: true, ..failed(&why) };
    if let (Ok(mut stream), Ok(mut line)) = (stream.into_std(), serde_json::to_vec(&reply)) {
        line.push(b'\n');
        // A client that has gone needs no answer.
        let _ = stream.write_all(&line);
    }
}

async fn converse(stream: UnixStream, daemon: &Daemon) -> anyhow::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut shell = Shell::new(daemon.running());
    let mut line = Vec::new();
    loop {
        let heard = match hearing::hear(&mut reader, &mut line).await? {
            Heard::Line => match serde_json::from_slice::<Saying>(&line) {
                Ok(saying) => Ok(saying),
                Err(_) => Err(("Error: The line is no request of this version.".to_owned(), true)),
            },
            Heard::TooLong => Err((format!("Error: The line is longer than {LINE_MAX} octets."), false)),
            Heard::Idle => Err((format!("Error: Nothing was said for {} seconds.", IDLE_MAX.as_secs()), true)),
            Heard::Gone => return Ok(()),
        };
        let ended = match heard {
            Err((why, ended)) => {
                let (asks, uncommitted) = (shell.is_asking(), shell.uncommitted());
                say(&mut writer, &Reply { asks, uncommitted, ended, ..failed(&why) }).await?;
                ended
            }
            Ok(Saying::Line { text, json }) => {
                let reply = answer(&mut shell, &text, json, daemon).await;
                let ended = reply.ended;
                say(&mut writer, &reply).await?;
                ended
            }
            Ok(Saying::Bills { shape, unbilled }) => {
                super::bills::tell(&mut writer, daemon, &shape, unbilled).await?;
                false
            }
        };
        if ended {
            return Ok(());
        }
    }
}

pub(crate) async fn say(writer: &mut tokio::net::unix::OwnedWriteHalf, reply: &Reply) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    // Who does not read is as idle as who does not speak.
    Ok(tokio::time::timeout(IDLE_MAX, writer.write_all(&line)).await??)
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

async fn answer(shell: &mut Shell, line: &str, json: bool, daemon: &Daemon) -> Reply {
    let bill_count = daemon.bill_information().await.map_or(0, |information| information.cache.bills);
    let queued_count = queued_count(daemon).await;
    let running = daemon.running();
    if *shell.running() != *running {
        shell.running_changed(running);
    }
    let answer = shell.execute(line, &Around { daemon, bill_count, queued_count });
    let mut reply = carry_out(shell, line, answer, json, daemon).await;
    reply.uncommitted = shell.uncommitted();
    reply
}

async fn carry_out(shell: &mut Shell, line: &str, answer: Answer, json: bool, daemon: &Daemon) -> Reply {
    match answer {
        Answer::Silent => Reply::default(),
        Answer::Text(text) => said(text),
        Answer::Show(shown) => show(&shown, json),
        Answer::Error(error) => failed(&error.to_script()),
        Answer::Question(question) => {
            // Asked again, because the answer was none.
            let error = question.starts_with("Error: ");
            Reply { text: question, asks: true, error, ..Reply::default() }
        }
        Answer::Ended => Reply { ended: true, ..Reply::default() },
        Answer::Display(request) => match display(request, daemon).await {
            Ok(shown) => show(&shown, json),
            Err(refusal) => failed(&CommandError::from(refusal).to_script()),
        },
        Answer::Action(request) => match act(&request, daemon).await {
            Ok(reply) => {
                tracing::info!(target: "audit", command = line, action = ?request, "an action was carried out");
                reply
            }
            Err(why) => failed(&why),
        },
        Answer::Commit(commit) => {
            let mut warnings: String = commit.warnings.iter().map(|warning| format!("{warning}\n")).collect();
            match daemon.commit(shell.running(), Arc::from(commit.settings)).await {
                Ok((running, problems)) => {
                    tracing::info!(target: "audit", command = "commit", "the configuration was committed");
                    shell.committed(running);
                    for problem in problems {
                        tracing::warn!("{problem}; it is tried again by and by");
                        warnings += &format!("Warning: {problem}; it is tried again by and by.\n");
                    }
                    Reply { text: warnings, ..Reply::default() }
                }
                Err(why) => {
                    shell.refused();
                    failed(&format!("{warnings}Error: {why}\n"))
                }
            }
        }
        Answer::Save => match daemon.save() {
            Ok(()) => said("Info: The configuration was saved."),
            Err(why) => failed(&format!("{line}\nError: {why}\n")),
        },
    }
}

/// Does at once what was asked for; what it says is for the user, and so is why it could not be done.
async fn act(request: &ActionRequest, daemon: &Daemon) -> Result<Reply, String> {
    if let ActionRequest::CutAccessUser(selector) = request {
        let count = users::cut(selector, daemon).await;
        let count = count.map_err(|refusal| CommandError::from(refusal).to_script())?;
        let users = if count == 1 { "user is" } else { "users are" };
        return Ok(said(&format!("Info: {count} {users} being logged out.")));
    }
    if matches!(request, ActionRequest::ShutdownAccounting) {
        return Ok(said(&shutdown::shut_down(daemon).await));
    }
    if let Some(count) = queue(request, daemon).await {
        let packets = if count == 1 { "packet" } else { "packets" };
        let what = if matches!(request, ActionRequest::ResendQueue) { "sent again" } else { "given up" };
        return Ok(said(&format!("Info: {count} {packets} in the cache: {what}.")));
    }
    local_bills::act(request, daemon).await.map_err(|why| format!("Error: {why}."))?;
    Ok(Reply::default())
}

/// What is done with the queue of Stops, and to how many; `None`: it is something else.
async fn queue(request: &ActionRequest, daemon: &Daemon) -> Option<u64> {
    let counts = match *request {
        ActionRequest::ResendQueue => ask_workers(daemon, WorkerMessage::ResendQueue).await,
        ActionRequest::ResetQueue { server } => {
            ask_workers(daemon, |reply| WorkerMessage::ResetQueue(server, reply)).await
        }
        _ => return None,
    };
    Some(counts.into_iter().sum())
}

fn said(text: &str) -> Reply {
    Reply { text: format!("{text}\n"), ..Reply::default() }
}

fn failed(text: &str) -> Reply {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Reply { text: format!("{text}{end}"), error: true, ..Reply::default() }
}

fn show(shown: &Shown, json: bool) -> Reply {
    if json { said(&shown.json.to_string()) } else { Reply { text: shown.text.clone(), ..Reply::default() } }
}

impl Daemon {
    /// How full the pool is; `None` when the writer has ended.
    pub(crate) async fn bill_information(&self) -> Option<model::report::LocalBillInformation> {
        let (reply, answer) = oneshot::channel();
        self.tell_writer(WriterMessage::Information(reply));
        answer.await.ok()
    }

    /// The settings in force.
    pub(crate) fn running(&self) -> Arc<Settings> {
        self.settings.borrow().clone()
    }
}
