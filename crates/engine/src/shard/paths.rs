//! Paths to servers that no group leads to any more: the server was taken out, or is reached from another source or through
//! another VPN instance.
//!
//! ```text
//!   wanted ──commit──▶ left ──nothing out, every quarantine over──▶ closed ──a commit wants a path──▶ wanted
//!      ▲                 │                                             │
//!      └────a commit─────┴──────────────the same path──────────────────┘
//! ```
//!
//! A path that was left keeps its sockets while a reply to something that left them may come, for a request has its
//! identifier until then. It is no path of ours all the same: nobody hears of its life and death any more, and who comes back to
//! it knows nothing of it.
//!
//! **How many:** as many as were ever wanted at once and had something out at once. A path that is wanted takes over what a closed
//! one of the same number of ports has left, the numbers of its ports included. One of another address does only when no session
//! names it as the one that was asked last; to know that takes a walk over all sessions, which only a commit does.

use model::settings::ServerPath;

use super::{Notice, Shard};
use crate::server::PortId;
use crate::session::State;

impl Shard {
    /// Groups have other members now: some paths are left. Those that are wanted were told one by one.
    pub(super) fn members_changed(&mut self) {
        for number in 0..self.servers.len() {
            if self.servers[number].is_wanted && !self.is_member(number) {
                self.servers[number].is_wanted = false;
                self.notice(Notice::PathLeft(self.servers[number].path));
            }
        }
    }

    /// Closes the paths that were left and have nothing out any more.
    pub(super) fn close_left_paths(&mut self) {
        for number in 0..self.servers.len() {
            let server = &mut self.servers[number];
            if !server.is_wanted && server.source.is_some() && server.is_at_rest() {
                server.source_before = server.source.take();
                if server.is_stream() {
                    #[expect(clippy::cast_possible_truncation, reason = "servers are numbered with 16 bits")]
                    self.close_connections(number as u16);
                } else {
                    self.unused_ports.extend(server.port_ids());
                }
            }
        }
    }

    /// The next source port whose socket is not used any more; to be polled behind [`Shard::handle_timeout`] until there is none.
    /// It may be bound again later, see [`Shard::unbound_ports`].
    pub fn poll_unused_port(&mut self) -> Option<PortId> {
        self.unused_ports.pop()
    }

    /// A group leads to this path from now on.
    pub(super) fn want_path(&mut self, number: usize) {
        let server = &mut self.servers[number];
        if !std::mem::replace(&mut server.is_wanted, true) {
            server.forget_health(self.health_rules, self.latest.mono);
        }
    }

    /// The number of a closed path with so many ports that this one may have.
    pub(super) fn closed_path(&self, path: &ServerPath, ports: usize) -> Option<usize> {
        let is_closed = |&number: &usize| {
            let server = &self.servers[number];
            let is_free = !server.is_wanted && server.source.is_none() && server.is_at_rest();
            is_free && server.port_count() == ports && server.path.transport == path.transport
        };
        let closed: Vec<usize> = (0..self.servers.len()).filter(is_closed).filter(|&n| !self.is_named(n)).collect();
        let is_here = |&number: &usize| self.servers[number].path.address == path.address;
        closed.iter().copied().find(is_here).or_else(|| {
            let mut free = vec![false; self.servers.len()];
            closed.iter().for_each(|&number| free[number] = true);
            for slot in self.table.slots().filter(|_| !closed.is_empty()) {
                if self.session(slot).state != State::Free
                    && let Some(free) = free.get_mut(usize::from(self.account(slot).server))
                {
                    *free = false;
                }
            }
            free.iter().position(|free| *free)
        })
    }

    /// Whether something that is not out goes by this number: a transaction that has asked the server and asks others now, or an
    /// Accounting-On.
    fn is_named(&self, number: usize) -> bool {
        u16::try_from(number).is_ok_and(|number| self.requests.names(number) || self.announcing.names(number))
    }
}
