//! Requests that no reply will come to, as far as their servers tell: they keep their identifiers and their timers, and give
//! their place in the window back (`losses`).
//!
//! **Full:** a quarter of the shard's requests is kept for those who are not missed; beyond that, who is missed keeps its place in
//! the window. Where several servers are asked, one some of whose requests are missed is asked no more while it has [`SHARE`]
//! times as many as are free, so that something is left to every other, however many bad lines there are (the dynamic threshold
//! of Choudhury and Hahne, by which switches share their memory).

use model::time::Mono;

use super::Shard;

/// So many times what is free may be one server's: three quarters if it is one, three sevenths each if they are two.
const SHARE: u32 = 3;

impl Shard {
    /// It was transmitted just now, and its reply is waited for.
    pub(super) fn begin_waiting(&mut self, index: u32) {
        let server = usize::from(self.requests.get(index).server);
        self.sequence.push(&mut self.servers[server].sent, index);
    }

    /// Its reply is not waited for any more, be it here or not. True: it was missed.
    pub(super) fn end_waiting(&mut self, index: u32) -> bool {
        let request = self.requests.get_mut(index);
        let was_missed = std::mem::take(&mut request.is_missed);
        let server = &mut self.servers[usize::from(request.server)];
        server.missed -= u32::from(was_missed);
        self.missed -= u32::from(was_missed);
        self.sequence.remove(&mut server.sent, index);
        was_missed
    }

    /// A server has answered somebody: one who should have been answered long before is missed. One for each reply, so that
    /// what leaves in the places of many does not leave at once.
    pub(super) fn miss_overtaken(&mut self, server: u16, now: Mono) {
        let may_miss = self.missed < self.requests.capacity() / 4 * 3;
        let server = &mut self.servers[usize::from(server)];
        let Some(until) = server.missed_until() else { return };
        let first = server.sent.first().filter(|&index| self.requests.get(index).sent <= until);
        let Some(index) = first.filter(|_| may_miss) else {
            server.handle_all_missed(now);
            return;
        };
        let request = self.requests.get_mut(index);
        request.is_missed = true;
        server.handle_missed((request.transmissions == 1).then_some(request.sent));
        self.sequence.remove(&mut server.sent, index);
        self.missed += 1;
    }

    /// What one server may have of the shard's requests, by how many are free now.
    pub(super) fn share_requests(&mut self) {
        let most = self.requests.free().saturating_mul(SHARE);
        let asked = self.servers.iter().filter(|server| server.is_wanted && server.is_up()).count();
        for server in &mut self.servers {
            server.share = if asked > 1 { most } else { u32::MAX };
        }
    }
}
