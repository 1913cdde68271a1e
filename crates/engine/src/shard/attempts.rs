//! One transaction's way over the servers: when the wait for a reply runs out, and whom it asks next.

use model::marks::{self, Mark};
use model::settings::ServerPath;
use model::time::Mono;

use super::{Notice, Shard};
use crate::choice::{Choice, Tried};
use crate::health::News;
use crate::policy::Kind;
use crate::request::Place;
use crate::session::{Lane, Slot, State};

/// Sessions of a lane that may make way at once.
const LOOK_AT_MOST: u32 = 16;

impl Shard {
    /// The wait for one transmission's reply ran out: transmit again, ask the next server, or give up.
    pub(super) fn reply_is_overdue(&mut self, index: u32, now: Mono) {
        let request = self.requests.get(index);
        let identifier = match request.place {
            Place::Reply(identifier) => identifier,
            Place::Failover => return self.move_is_overdue(index, now),
            Place::Free | Place::Again(_) => return,
        };
        let (server, timeout, sent) = (request.server, request.timeout, request.sent);
        let overtaken = self.is_overtaken(index);
        // One that was taken out of the group meanwhile had its last datagram.
        let removed = !self.groups[usize::from(request.group)].has(server);
        if removed {
            marks::hit(Mark::ServerLeftGroup);
        }
        let spent = removed || request.transmissions >= request.transmissions_max;
        self.end_waiting(index);
        let news = self.servers[usize::from(server)].unanswered(sent, now);
        self.tell_news(server, news);
        if overtaken {
            marks::hit(Mark::OvertakenByDown);
        }
        if !spent && !overtaken {
            self.requests.get_mut(index).place = Place::Again(identifier);
            self.again.push_back(index);
            return;
        }
        self.servers[usize::from(server)].given_up(identifier, now, timeout);
        self.leave_server(index, false, now);
        let server_of = &self.servers[usize::from(server)];
        if server_of.is_stream() {
            let may_move = !server_of.path.transport.is_tacacs();
            self.end_connection(server, identifier.port, may_move, now);
        }
    }

    /// A Down ends further transmissions of what its Stop, or its bill, will tell anyway (owner's decision 6).
    pub(super) fn is_overtaken(&self, index: u32) -> bool {
        let request = self.requests.get(index);
        let session = self.session(request.session);
        // Nothing follows the Stop of one who was refused.
        let is_told_anyway = !request.is_copy && session.state != State::Refused && session.is_down();
        is_told_anyway && matches!(request.kind, Kind::Start | Kind::Interim | Kind::ZeroStop)
    }

    /// The session of this group whose turn it is, and the member that it asks; `None` while nobody has a place. Who prefers a
    /// server that has no room lets others go before, so that one slow server holds up its own users only; a few are looked
    /// at in each lane, for this is asked often.
    pub(super) fn next_in(&mut self, group: usize, now: Mono) -> Option<(Slot, usize)> {
        let (mut looked_at, mut blocked) = ([0; Lane::COUNT], [false; Lane::COUNT]);
        loop {
            let lane = self.groups[group].next_lane(now, blocked)?;
            let slot = self.groups[group].first(lane)?;
            if let Choice::Member(member) = self.choose_first(group, slot, now) {
                return Some((slot, member));
            }
            let differs = self.groups[group].prefers() && !self.authenticators.is_empty();
            if !differs || !self.groups[group].has_room(&self.servers, now) {
                return None;
            }
            marks::hit(Mark::PreferenceHasNoRoom);
            let index = lane.index()?;
            let queue = &mut self.groups[group].lanes[index];
            looked_at[index] += 1;
            blocked[index] = looked_at[index] >= queue.count.min(LOOK_AT_MOST);
            self.table.unlink(queue, slot);
            self.table.push_back(queue, lane, slot);
        }
    }

    /// Whom a transaction of this session would ask first.
    fn choose_first(&self, group: usize, slot: Slot, now: Mono) -> Choice {
        let number = self.requests.next_number();
        let authenticator = self.authenticators.address(self.account(slot).authenticator);
        let draw = |range| self.draw(number, 0, range);
        self.groups[group].choose(&self.servers, &Tried::default(), authenticator, now, draw)
    }

    /// Whom a request that has no server would ask now.
    pub(super) fn choose(&self, index: u32, now: Mono) -> Choice {
        let request = self.requests.get(index);
        let (number, turn) = (request.number, request.tried.count());
        let group = &self.groups[usize::from(request.group)];
        if turn > 0 && self.is_sent_once(index) {
            return Choice::Exhausted;
        }
        let authenticator = self.authenticators.address(self.account(request.session).authenticator);
        group.choose(&self.servers, &request.tried, authenticator, now, |range| self.draw(number, turn, range))
    }

    /// Whether it goes to one server, once (owner's decision 9, `disable`).
    pub(super) fn is_sent_once(&self, index: u32) -> bool {
        let request = self.requests.get(index);
        self.groups[usize::from(request.group)].stop_once && matches!(request.kind, Kind::Stop | Kind::ZeroStop)
    }

    pub(super) fn draw(&self, number: u64, turn: u8, range: u64) -> u64 {
        self.key.draw(self.birth.epoch, self.birth.shard, number, turn, range)
    }

    /// Tells the operator that a server went Down, or came Up again.
    pub(super) fn tell_news(&mut self, server: u16, news: Option<News>) {
        if news == Some(News::Up) {
            self.wake_groups_of(server, self.latest.mono);
        }
        if let Some(news) = news.filter(|_| self.servers[usize::from(server)].is_wanted) {
            self.notice(Notice::Server(self.servers[usize::from(server)].path, news));
        }
    }

    /// Another shard gave this [`Notice::Server`]: what one finds out holds for all, and is not told again.
    pub fn handle_server_news(&mut self, now: Mono, server: ServerPath, news: News) {
        for number in 0..self.servers.len() {
            if self.servers[number].path == server && self.servers[number].is_wanted {
                self.servers[number].heard(now, news);
                if news == News::Up {
                    #[expect(clippy::cast_possible_truncation, reason = "servers are numbered with 16 bits")]
                    self.wake_groups_of(number as u16, now);
                }
            }
        }
    }
}
