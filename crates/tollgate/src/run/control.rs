//! The control socket: shells of operators, and questions about bills. One JSON object a line, both ways; a line that a
//! client is slow to read waits in its own connection and holds nobody up.

mod displays;
mod hearing;
pub(crate) mod peer;
mod sitting;

use std::cell::RefCell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use kernel::seqpacket::BindError;
use model::settings::{Settings, ShellLevel};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::commits::SittingId;
use super::daemon::Daemon;
use super::messages::WriterMessage;
use crate::bills::Shape;
use hearing::{Heard, IDLE_MAX, LINE_MAX};
use peer::Operator;
use sitting::Sitting;

/// Shells at once.
const CONNECTIONS_MAX: usize = 64;
/// Those of them that only the superuser and the daemon's own user may have.
const RESERVED: usize = 16;
/// Shells at once of any other user.
const EACH_MAX: usize = 16;

const UNWELCOME: &str = "Error: You do not belong to a group that may use this shell.";

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
        /// The line stands on a terminal, behind the prompt.
        #[serde(default)]
        terminal: bool,
    },
    /// What may follow this, for `?` and Tab.
    Expected { text: String },
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
    /// A terminal shows it again and again, until a key is pressed.
    pub(crate) again: bool,
    /// What a terminal shows before the next line.
    pub(crate) prompt: String,
    /// `screen-length … temporary`.
    pub(crate) screen_length: Option<u16>,
    /// What may follow.
    pub(crate) expected: Vec<Expectation>,
}

/// Something that may follow what is typed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Expectation {
    /// A keyword, the type of an argument, or `<cr>`.
    pub(crate) label: String,
    /// What it is for.
    pub(crate) help: String,
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
    let connections = Rc::new(RefCell::new(Vec::<u32>::new()));
    let mut sittings: SittingId = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: the next accept may find one.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        let Ok(uid) = stream.peer_cred().map(|peer| peer.uid()) else { continue };
        if let Some(most) = most_reached(&connections.borrow(), uid) {
            tracing::warn!(uid, "more than {most} shells: one was turned away");
            turn_away(
                stream,
                &format!("Error: {most} shells are open already; close one of them, or try again later."),
            );
            continue;
        }
        sittings += 1;
        let (id, daemon, place) = (sittings, daemon.clone(), Place::take(&connections, uid));
        tokio::task::spawn_local(async move {
            // A client that went away is no event.
            let _ = converse(stream, id, &daemon).await;
            drop(place);
        });
    }
}

/// One of the shells that may be open; free again however its sitting ends. Where there is no memory for a thread that it asks for, it
/// ends in a panic.
struct Place {
    open: Rc<RefCell<Vec<u32>>>,
    uid: u32,
}

impl Place {
    fn take(open: &Rc<RefCell<Vec<u32>>>, uid: u32) -> Place {
        open.borrow_mut().push(uid);
        Place { open: Rc::clone(open), uid }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.borrow_mut();
        if let Some(place) = open.iter().position(|other| *other == self.uid) {
            open.swap_remove(place);
        }
    }
}

/// How many shells are open already, when one more of this user is one too many.
fn most_reached(open: &[u32], uid: u32) -> Option<usize> {
    let others = CONNECTIONS_MAX - RESERVED;
    let own = open.iter().filter(|other| **other == uid).count();
    match Operator::is_owner(uid) {
        _ if open.len() >= CONNECTIONS_MAX => Some(CONNECTIONS_MAX),
        true => None,
        false if own >= EACH_MAX => Some(EACH_MAX),
        false => (open.len() >= others).then_some(others),
    }
}

/// Says why there is no sitting to a client that was just accepted: the line finds room in its empty socket.
fn turn_away(stream: UnixStream, why: &str) {
    let reply = Reply { ended: true, ..failed(why) };
    if let (Ok(mut stream), Ok(mut line)) = (stream.into_std(), serde_json::to_vec(&reply)) {
        line.push(b'\n');
        // A client that has gone needs no answer.
        let _ = stream.write_all(&line);
    }
}

async fn converse(stream: UnixStream, id: SittingId, daemon: &Rc<Daemon>) -> anyhow::Result<()> {
    let peer = stream.peer_cred()?;
    let Some(mut sitting) = Sitting::begin(id, peer, daemon).await else {
        tracing::warn!(target: "audit", uid = peer.uid(), "somebody without a group was turned away");
        turn_away(stream, UNWELCOME);
        return Ok(());
    };
    let ended = listen(stream, &mut sitting, daemon).await;
    sitting.end(daemon);
    ended
}

async fn listen(stream: UnixStream, sitting: &mut Sitting, daemon: &Rc<Daemon>) -> anyhow::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
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
        let reply = match heard {
            _ if !sitting.is_still_welcome(daemon).await => Reply { ended: true, ..failed(UNWELCOME) },
            Err((why, ended)) => sitting.with_state(Reply { ended, ..failed(&why) }),
            Ok(Saying::Line { text, json, terminal }) => sitting.hear(&text, json, terminal, daemon).await,
            Ok(Saying::Expected { text }) => sitting.expected(&text),
            Ok(Saying::Bills { .. }) if sitting.operator().level < ShellLevel::Management => {
                failed("Error: You do not have permission to read bills.")
            }
            Ok(Saying::Bills { shape, unbilled }) => {
                super::bills::tell(&mut writer, daemon, &shape, unbilled).await?;
                continue;
            }
        };
        let ended = reply.ended;
        say(&mut writer, &reply).await?;
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

pub(super) fn said(text: &str) -> Reply {
    Reply { text: format!("{text}\n"), ..Reply::default() }
}

pub(super) fn failed(text: &str) -> Reply {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Reply { text: format!("{text}{end}"), error: true, ..Reply::default() }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whoever may open the socket may write anything into it. What is taken says the same when it is said again.
        #[test]
        fn a_line_is_a_saying_or_none(
            text in ".{0,40}",
            word in prop::sample::select(vec!["line", "expected", "bills", "Line", "lines"]),
            field in prop::sample::select(vec!["text", "json", "shape", "unbilled"]),
            octets in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let nearly = format!("{{{word:?}:{{\"text\":{text:?},\"json\":false,{field:?}:true}}}}");
            let whole = format!("{{\"line\":{{\"text\":{},\"json\":true}}}}", serde_json::to_string(&text).unwrap());
            prop_assert!(serde_json::from_slice::<Saying>(whole.as_bytes()).is_ok(), "{}", whole);
            for line in [text.as_bytes(), &octets, nearly.as_bytes(), whole.as_bytes()] {
                let Ok(saying) = serde_json::from_slice::<Saying>(line) else { continue };
                let again = serde_json::to_vec(&saying).unwrap();
                prop_assert!(!again.contains(&b'\n'), "it is one line");
                let read: Saying = serde_json::from_slice(&again).unwrap();
                prop_assert_eq!(serde_json::to_vec(&read).unwrap(), again);
            }
        }
    }
}
