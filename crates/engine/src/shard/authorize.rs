//! Orders of authorization servers, weighed and obeyed: see [`crate::authorization`].
//!
//! All sessions that an order means obey it, or none does. It is answered when the ledger has what it changed: when everything
//! that sessions owed at that time has been handed out and is durable. The ledger knows nothing of a session that is not
//! accounted for: that it was logged out is certain when it has gone, so that is waited for; and a change would not outlive
//! this process, so it is refused. **Full:** the judge has at most [`PENDING_MAX`](crate::authorization::PENDING_MAX) orders out.

use model::event::{ClassList, Subscriber, Update};
use model::ids::SessionSerial;
use model::time::Now;
use model::verdict::CutBy;

use super::Shard;
use crate::authorization::{Change, Deed, Order, Outcome, Token};
use crate::blob::BlobRef;
use crate::session::{Slot, State};

/// Orders that were obeyed and are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: Vec<Waiting>,
    durable: u64,
}

#[derive(Debug)]
struct Waiting {
    token: Token,
    outcome: Outcome,
    /// So many sessions more must hand out what they owe …
    behind: usize,
    /// … then so many records be durable …
    through: u64,
    /// … and these sessions be gone, which the ledger does not know.
    leaving: Vec<(Slot, SessionSerial)>,
}

impl Orders {
    /// A session has handed out all that it owed, with so many records in all.
    pub(super) fn owed_less(&mut self, record_count: u64) {
        for order in self.waiting.iter_mut().filter(|order| order.behind > 0) {
            order.behind -= 1;
            order.through = record_count;
        }
    }

    /// So many records are durable.
    pub(super) fn handle_durable(&mut self, through: u64) {
        self.durable = through;
    }
}

impl Shard {
    /// Takes an order; its outcome is given by [`Shard::poll_outcome`].
    pub fn handle_order(&mut self, now: Now, token: Token, order: &Order) {
        self.let_leave();
        self.walk_on(now);
        if !self.waits_for_walk(token, order) {
            self.take_order(now, token, order);
        }
    }

    /// The next order whose outcome is certain.
    pub fn poll_outcome(&mut self) -> Option<(Token, Outcome)> {
        let mut waiting = std::mem::take(&mut self.orders.waiting);
        let certain = waiting.iter_mut().position(|order| {
            while let Some(&(slot, serial)) = order.leaving.last()
                && !self.is_there(slot, serial)
            {
                order.leaving.pop();
            }
            order.behind == 0 && order.through <= self.orders.durable && order.leaving.is_empty()
        });
        let order = certain.map(|place| waiting.remove(place));
        self.orders.waiting = waiting;
        order.map(|order| (order.token, order.outcome))
    }

    /// Whether the session has a subscriber still.
    fn is_there(&self, slot: Slot, known: SessionSerial) -> bool {
        self.is_up(slot) && self.session(slot).serial.parts() == known
    }

    /// An order that is not obeyed any more.
    pub(super) fn drop_order(&mut self, token: Token) {
        let waiting = Waiting { token, outcome: Outcome::NotFound, behind: 0, through: 0, leaving: Vec::new() };
        self.orders.waiting.push(waiting);
    }

    /// Weighs the order, or obeys it.
    pub(super) fn take_order(&mut self, now: Now, token: Token, order: &Order) {
        let mut meant = self.meant_by(order);
        let is_own = |address| self.servers.iter().any(|server| server.is_wanted && server.source == Some(address));
        let all_own = order.nas_addresses.iter().all(|&address| is_own(address));
        if !all_own {
            meant.retain(|&slot| order.nas_addresses.iter().all(|&nas| is_own(nas) || self.is_reported_by(slot, nas)));
        }
        let outcome = if meant.is_empty() && !all_own {
            Outcome::NotOurs
        } else if meant.is_empty() {
            Outcome::NotFound
        } else {
            match &order.deed {
                Deed::Disconnect => self.disconnect(now, &meant, order.is_trial),
                Deed::Change(change) => self.change_all(now, &meant, change, order.is_trial),
            }
        };
        let is_done = matches!(outcome, Outcome::Obeyed(_)) && !order.is_trial;
        let (behind, through) = if is_done { (self.owing.len(), self.record_count) } else { (0, 0) };
        let leaving = meant.into_iter().filter(|&slot| is_done && self.is_unaccounted(slot));
        let leaving = leaving.map(|slot| (slot, self.session(slot).serial.parts())).collect();
        self.orders.waiting.push(Waiting { token, outcome, behind, through, leaving });
    }

    fn is_unaccounted(&self, slot: Slot) -> bool {
        self.session(slot).state == State::NotAccounted
    }

    /// Has them logged out. Who is cut already is as good as disconnected.
    fn disconnect(&mut self, now: Now, meant: &[Slot], is_trial: bool) -> Outcome {
        let is_linked = |slot: Slot| self.planes.linked_since(self.session(slot).plane).is_some();
        // Before its plane hears of it, a restart would forget it.
        if meant.iter().any(|&slot| self.is_unaccounted(slot) && !is_linked(slot)) {
            return Outcome::Unavailable;
        }
        for &slot in meant.iter().filter(|_| !is_trial) {
            self.cut(slot, CutBy::Disconnect, now.mono);
        }
        Outcome::Obeyed(meant.len() as u64)
    }

    /// Changes them all, when there is room for all.
    fn change_all(&mut self, now: Now, meant: &[Slot], change: &Change, is_trial: bool) -> Outcome {
        if meant.iter().any(|&slot| self.is_unaccounted(slot)) {
            return Outcome::Prohibited;
        }
        let mut class = ClassList::default();
        for value in &change.class {
            class.push(value);
        }
        let changed = Subscriber {
            acct_interim_interval: change.interim_s,
            session_timeout: change.session_timeout_s,
            class,
            ..Subscriber::default()
        };
        let mut made: Vec<BlobRef> = Vec::with_capacity(meant.len());
        made.extend(meant.iter().map_while(|&slot| self.merged(slot, &changed)));
        let has_room = made.len() == meant.len();
        if is_trial || !has_room {
            made.into_iter().for_each(|attributes| self.table.blobs.release(attributes));
            return if has_room { Outcome::Obeyed(meant.len() as u64) } else { Outcome::Unavailable };
        }
        let update = Update { session: &[], changed, at: None };
        for (&slot, attributes) in meant.iter().zip(made) {
            self.change(now, None, slot, &update, attributes, self.table.counted(slot));
            if change.is_reported {
                self.report_at_once(slot, now.mono);
            }
        }
        Outcome::Obeyed(meant.len() as u64)
    }
}
