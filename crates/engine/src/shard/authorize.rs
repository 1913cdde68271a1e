//! Orders of authorization servers, obeyed: see [`crate::authorization`].
//!
//! An order is obeyed at once and answered when the ledger has what it changed: when everything that sessions owed at that
//! time has been handed out and is durable. **Full:** the judge has at most [`PENDING_MAX`](crate::authorization::PENDING_MAX)
//! orders out.

use std::collections::VecDeque;

use model::event::{ClassList, Subscriber, Update};
use model::time::Now;
use model::verdict::CutBy;

use super::Shard;
use crate::authorization::{Change, Deed, Order, Outcome, Token};
use crate::session::Slot;

/// Orders that were obeyed.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Those that wait for records to be handed out, then those that wait for the disk.
    waiting: VecDeque<Waiting>,
    durable: u64,
}

#[derive(Debug)]
struct Waiting {
    token: Token,
    outcome: Outcome,
    /// So many sessions more must hand out what they owe …
    behind: usize,
    /// … and then so many records be durable.
    through: u64,
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
        let outcome = self.obey(now, order);
        let (behind, through) = (self.owing.len(), self.record_count);
        self.orders.waiting.push_back(Waiting { token, outcome, behind, through });
    }

    /// The next order whose outcome is in the ledger.
    pub fn poll_outcome(&mut self) -> Option<(Token, Outcome)> {
        let first = self.orders.waiting.front()?;
        if first.behind > 0 || first.through > self.orders.durable {
            return None;
        }
        self.orders.waiting.pop_front().map(|order| (order.token, order.outcome))
    }

    fn obey(&mut self, now: Now, order: &Order) -> Outcome {
        let is_own = |address| self.servers.iter().any(|server| server.is_wanted && server.source == Some(address));
        if !order.nas_addresses.iter().all(|&address| is_own(address)) {
            return Outcome::NotOurs;
        }
        let meant = self.meant_by(order);
        let mut has_room = true;
        for &slot in &meant {
            match &order.deed {
                // Who is cut already is as good as disconnected.
                Deed::Disconnect => {
                    self.cut(slot, CutBy::Disconnect, now.mono);
                }
                Deed::Change(change) => has_room &= self.obey_change(now, slot, change),
            }
        }
        match meant.len() {
            0 => Outcome::NotFound,
            _ if !has_room => Outcome::NoRoom,
            count => Outcome::Obeyed(count as u64),
        }
    }

    fn obey_change(&mut self, now: Now, slot: Slot, change: &Change) -> bool {
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
        let is_changed =
            self.change(now, None, slot, &Update { session: &[], changed, at: None }, self.account(slot).sample);
        if is_changed && change.is_reported {
            self.report_at_once(slot, now.mono);
        }
        is_changed
    }
}
