//! Bills for `tollgate bills` on a running store: only durable ones, read from the log, a piece at a time.

use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::oneshot;

use super::control::{Reply, say};
use super::daemon::Daemon;
use super::messages::WriterMessage;
use crate::bills::{BillReader, CHUNK, Shape};
use crate::exit::Failure;

/// Tells all bills; the last reply says that no more follow.
pub(crate) async fn tell(
    writer: &mut OwnedWriteHalf,
    daemon: &Daemon,
    shape: &Shape,
    unbilled: bool,
) -> anyhow::Result<()> {
    let (reply, answer) = oneshot::channel();
    daemon.tell_writer(if unbilled { WriterMessage::Unbilled(reply) } else { WriterMessage::Bills(reply) });
    let Ok(bills) = answer.await else {
        let text = "the store of local bills does not answer".to_owned();
        return say(writer, &Reply { text, error: true, ..Reply::default() }).await;
    };
    let nas = daemon.running().sysname.clone();
    let (bills, missing) = shape.choose(bills, &nas);
    let missing = missing.words();
    if let (Some(words), true) = (&missing, bills.is_empty()) {
        return say(writer, &Reply { text: words.clone(), error: true, ..Reply::default() }).await;
    }
    let mut reader = BillReader::new(&daemon.state_dir, &daemon.card_dir);
    let mut pieces = bills.chunks(CHUNK);
    let mut piece = pieces.next().unwrap_or_default();
    let mut first = true;
    loop {
        let next = pieces.next();
        let reply = match reader.text(piece, &nas, shape, first) {
            Ok(text) => Reply { text, more: next.is_some() || missing.is_some(), ..Reply::default() },
            Err(Failure::Failed(why)) => Reply { text: why, error: true, ..Reply::default() },
            Err(Failure::Usage(why)) => Reply { text: why.join("\n"), error: true, ..Reply::default() },
            Err(Failure::Said(_)) => Reply { error: true, ..Reply::default() },
        };
        let ended = !reply.more;
        say(writer, &reply).await?;
        match (next, &missing) {
            (Some(next), _) if !ended => piece = next,
            (None, Some(words)) if !ended => {
                return say(writer, &Reply { text: words.clone(), error: true, ..Reply::default() }).await;
            }
            _ => return Ok(()),
        }
        first = false;
    }
}
