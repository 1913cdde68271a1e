//! Bills for `tollgate bills` on a running store: only durable ones, read from the log, a piece at a time. A bill that is told
//! again elsewhere meanwhile, because its segment goes, is looked for there; one that leaves the store meanwhile is left out.

use model::ids::BillId;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::oneshot;

use super::control::{Reply, say};
use super::daemon::Daemon;
use super::messages::WriterMessage;
use crate::bills::{BillReader, CHUNK, Kept, Shape};
use crate::exit::Failure;

/// How often a piece is read: bills may be told again elsewhere each time.
const TRIES: u32 = 4;

/// Tells all bills; the last reply says that no more follow.
pub(crate) async fn tell(
    writer: &mut OwnedWriteHalf,
    daemon: &Daemon,
    shape: &Shape,
    unbilled: bool,
) -> anyhow::Result<()> {
    let Some(bills) = ask(daemon, unbilled).await else {
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
        let again = async || ask(daemon, unbilled).await;
        let text = read(piece, id_of, again, |piece| reader.text(piece, &nas, shape, first)).await;
        let reply = match text {
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

/// Where all bills stand now; `None`: the writer does not answer.
async fn ask(daemon: &Daemon, unbilled: bool) -> Option<Vec<Kept>> {
    let (reply, answer) = oneshot::channel();
    daemon.tell_writer(if unbilled { WriterMessage::Unbilled(reply) } else { WriterMessage::Bills(reply) });
    answer.await.ok()
}

pub(super) fn id_of(kept: &Kept) -> BillId {
    kept.bill.id
}

/// Has bills read from their places; when that fails, from where they stand by then.
pub(super) async fn read<T, B: Copy>(
    bills: &[B],
    id_of: impl Fn(&B) -> BillId,
    ask: impl AsyncFn() -> Option<Vec<B>>,
    mut read: impl FnMut(&[B]) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut bills = bills.to_vec();
    for _ in 1..TRIES {
        if let Ok(brought) = read(&bills) {
            return Ok(brought);
        }
        let Some(now) = ask().await else { break };
        let index_of = |bill: &B| now.binary_search_by_key(&id_of(bill), &id_of).ok();
        bills = bills.iter().filter_map(|bill| Some(now[index_of(bill)?])).collect();
    }
    read(&bills)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn id_of(bill: &(u64, u64)) -> BillId {
        BillId { epoch: 1, sequence: bill.0 }
    }

    #[tokio::test]
    async fn bills_that_are_told_again_elsewhere_are_read_there() {
        // By try: where each of three bills stands, by number and segment. A segment below the try's number is gone.
        let stands = [vec![(1, 1), (2, 1), (3, 5)], vec![(1, 2), (2, 2), (3, 5)], vec![(1, 4), (3, 5), (9, 5)]];
        let asked = Cell::new(0);
        let ask = async || {
            asked.set(asked.get() + 1);
            stands.get(asked.get()).cloned()
        };
        let mut gone = 1;
        let brought = read(&stands[0], id_of, ask, |bills| {
            gone += 1;
            match bills.iter().all(|(_, segment)| *segment >= gone) {
                true => Ok(bills.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>()),
                false => Err(Failure::failed("a segment is gone")),
            }
        });
        assert_eq!(brought.await.unwrap(), [1, 3], "the second one has left the store");
        let never =
            read(&stands[0], id_of, async || Some(stands[0].clone()), |_| Err::<(), _>(Failure::failed("damaged")));
        assert!(never.await.is_err());
    }
}
