//! Announcing the live sessions: what a plane does whenever a link has come up.

use std::time::{Duration, Instant};

use model::event::{PlaneEvent, Up};

use super::PlaneClient;
use crate::event_ring::SendError;
use crate::verdict_ring::OwnedVerdict;

impl PlaneClient {
    /// All live sessions will now be announced, in any ring. Said in every ring that was not taken; who took one says
    /// it there. The engine settles when it has met the end in every ring.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`]: some ring had no room; say it again.
    pub fn resync_begin(&mut self) -> Result<(), SendError> {
        self.send_everywhere(&PlaneEvent::ResyncBegin)
    }

    /// All live sessions have been announced.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`]: some ring had no room; say it again.
    pub fn resync_end(&mut self) -> Result<(), SendError> {
        self.send_everywhere(&PlaneEvent::ResyncEnd)
    }

    /// A whole resync in one call, in one ring: waits up to `patience` for room each time there is none. The verdicts
    /// that come meanwhile wait in their ring, which is good for as many sessions as that has room for; a plane with more
    /// takes [`announce_obeying`](Self::announce_obeying).
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when the patience ended; the resync is then begun anew by another call.
    pub fn announce<'a>(
        &mut self,
        ring: u16,
        live: impl IntoIterator<Item = Up<'a>>,
        patience: Duration,
    ) -> Result<(), SendError> {
        self.announce_all(ring, live, patience, &mut |plane, left| plane.wait(left))
    }

    /// As [`announce`](Self::announce), and hands over the verdicts that come meanwhile.
    ///
    /// # Errors
    ///
    /// As [`announce`](Self::announce).
    pub fn announce_obeying<'a>(
        &mut self,
        ring: u16,
        live: impl IntoIterator<Item = Up<'a>>,
        patience: Duration,
        mut obey: impl FnMut(OwnedVerdict),
    ) -> Result<(), SendError> {
        self.announce_all(ring, live, patience, &mut |plane, left| {
            while let Some(verdict) = plane.poll_verdict() {
                obey(verdict);
            }
            plane.wait(left);
        })
    }

    fn announce_all<'a>(
        &mut self,
        ring: u16,
        live: impl IntoIterator<Item = Up<'a>>,
        patience: Duration,
        rest: &mut impl FnMut(&mut Self, Duration),
    ) -> Result<(), SendError> {
        self.insist(patience, rest, Self::resync_begin)?;
        for up in live {
            self.insist(patience, rest, |plane| plane.up(ring, up))?;
        }
        self.insist(patience, rest, Self::resync_end)
    }

    fn send_everywhere(&mut self, event: &PlaneEvent<'_>) -> Result<(), SendError> {
        self.rings.iter_mut().flatten().try_for_each(|ring| ring.send(event))
    }

    fn insist(
        &mut self,
        patience: Duration,
        rest: &mut impl FnMut(&mut Self, Duration),
        mut say: impl FnMut(&mut Self) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match say(self) {
                Err(SendError::Full) if !left.is_zero() => rest(self, left),
                said => return said,
            }
        }
    }
}
