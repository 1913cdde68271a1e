//! How far a group was heard out, for whoever knows something by what it told. What was lost only a dump can tell.
//!
//! A dump is interrupted when something changes under it (NLM_F_DUMP_INTR), which on a busy box can be every one. What such a dump
//! names is taken in all the same; only who is gone unheard has to wait for a whole one. That is asked for again and again, with
//! rests in between, for the kernel has other things to do than to answer. A dump under which the group lost something is worthless.

use std::io;
use std::time::{Duration, Instant};

use kernel::netlink::{NetlinkSocket, Received};
use plane::netlink::{self, Body};

/// How often a dump is asked for in one go until it is whole.
pub(crate) const DUMPS_MAX: u32 = 4;
/// How long the next go waits.
const REST: Duration = Duration::from_secs(1);

/// How far the messages of a group were heard.
pub(crate) struct Hearing {
    is_behind: bool,
    losses: u64,
    /// When a whole dump is to be tried for again; `None`: at once.
    again: Option<Instant>,
}

impl Hearing {
    /// Nothing was heard yet.
    pub(crate) fn new() -> Hearing {
        Hearing { is_behind: true, losses: 0, again: None }
    }

    /// Whether a whole dump is needed: there may be somebody who was not told of, or somebody who is gone.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// How often something of the group was lost. A dump tells something if that was the same before it and behind it.
    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    /// Reads what the group has told so far, in pieces of `room`.
    ///
    /// # Errors
    /// What the system says; what was read before is taken.
    pub(crate) fn hear_out(
        &mut self,
        group: &NetlinkSocket,
        room: &mut [u8],
        mut take: impl FnMut(&Body<'_>),
    ) -> io::Result<()> {
        loop {
            let octets = match group.receive(room)? {
                Received::Nothing => return Ok(()),
                Received::Lost => {
                    self.lost();
                    continue;
                }
                Received::Datagram(octets) => octets,
            };
            for message in netlink::messages(&room[..octets]) {
                match message.map(|message| message.body) {
                    Ok(Body::Overrun) | Err(_) => self.lost(),
                    Ok(body) => take(&body),
                }
            }
        }
    }

    /// Something of the group was lost.
    pub(crate) fn lost(&mut self) {
        self.is_behind = true;
        self.losses += 1;
    }

    /// A dump was whole, and nothing was lost meanwhile.
    pub(crate) fn caught_up(&mut self) {
        self.is_behind = false;
    }

    /// Whether a whole dump is to be tried for now.
    pub(crate) fn wants_dump(&self) -> bool {
        self.is_behind && self.again.is_none_or(|again| again <= Instant::now())
    }

    /// A go of dumps is over, however it went.
    pub(crate) fn tried(&mut self) {
        self.again = self.is_behind.then(|| Instant::now() + REST);
    }

    /// When the next one is due, if any is.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.is_behind.then(|| self.again.unwrap_or_else(Instant::now))
    }

    #[cfg(test)]
    pub(super) fn set_due(&mut self, due: Instant) {
        self.again = Some(due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_dump_is_tried_for_until_there_is_one_and_not_without_rest() {
        let mut hearing = Hearing::new();
        assert!(hearing.is_behind() && hearing.wants_dump());
        hearing.tried();
        assert!(hearing.is_behind() && !hearing.wants_dump());
        assert!(hearing.due().is_some_and(|due| due > Instant::now()));
        hearing.lost();
        assert!(!hearing.wants_dump(), "one that is behind already gets no dump before its time");
        hearing.set_due(Instant::now());
        assert!(hearing.wants_dump());
        hearing.caught_up();
        hearing.tried();
        assert!(!hearing.is_behind() && !hearing.wants_dump() && hearing.due().is_none());
        hearing.lost();
        assert!(hearing.is_behind() && hearing.wants_dump(), "the first that is lost is asked for at once");
        assert_eq!(hearing.losses(), 2);
    }
}
