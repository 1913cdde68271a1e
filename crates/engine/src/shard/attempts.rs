//! One transaction's way over the servers: when the wait for a reply runs out, and whom it asks next.

use std::net::SocketAddr;

use model::time::Mono;

use super::{Notice, Shard};
use crate::choice::{Choice, Tried};
use crate::health::News;
use crate::policy::{Kind, Outcome};
use crate::request::Place;

impl Shard {
    /// The wait for one transmission's reply ran out: transmit again, ask the next server, or give up.
    pub(super) fn reply_is_overdue(&mut self, index: u32, now: Mono) {
        let request = self.requests.get(index);
        let Place::Reply(identifier) = request.place else { return };
        let (server, timeout, sent) = (request.server, request.timeout, request.sent);
        let overtaken = self.is_overtaken(index);
        // One that was taken out of the group meanwhile had its last datagram.
        let removed = !self.groups[usize::from(request.group)].has(server);
        let spent = removed || request.transmissions >= request.transmissions_max;
        let news = self.servers[usize::from(server)].unanswered(sent, now);
        self.tell_news(server, news);
        if !spent && !overtaken {
            self.requests.get_mut(index).place = Place::Again(identifier);
            self.again.push_back(index);
            return;
        }
        self.servers[usize::from(server)].given_up(identifier, now, timeout);
        self.requests.get_mut(index).place = Place::Failover;
        if overtaken || self.choose(index, now) == Choice::Exhausted {
            self.close_request(index, Outcome::Unanswered, now);
        } else {
            self.failover.push_back(index);
        }
    }

    /// A Down ends further transmissions of what its Stop, or its bill, will tell anyway (owner's decision 6).
    pub(super) fn is_overtaken(&self, index: u32) -> bool {
        let request = self.requests.get(index);
        self.session(request.session).is_down() && matches!(request.kind, Kind::Start | Kind::Interim | Kind::ZeroStop)
    }

    /// Whom a transaction of this group would ask first.
    pub(super) fn choose_first(&self, group: usize, now: Mono) -> Choice {
        let number = self.requests.next_number();
        self.groups[group].choose(&self.servers, &Tried::default(), now, |range| self.draw(number, 0, range))
    }

    /// Whom a request that has no server would ask now.
    pub(super) fn choose(&self, index: u32, now: Mono) -> Choice {
        let request = self.requests.get(index);
        let (number, turn) = (request.number, request.tried.count());
        let group = &self.groups[usize::from(request.group)];
        group.choose(&self.servers, &request.tried, now, |range| self.draw(number, turn, range))
    }

    fn draw(&self, number: u64, turn: u8, range: u64) -> u64 {
        self.key.draw(self.birth.epoch, self.birth.shard, number, turn, range)
    }

    /// Tells the operator that a server went Down, or came Up again.
    pub(super) fn tell_news(&mut self, server: u16, news: Option<News>) {
        if news == Some(News::Up) {
            self.wake_groups_of(server, self.latest.mono);
        }
        if let Some(news) = news {
            self.notice(Notice::Server(self.servers[usize::from(server)].address, news));
        }
    }

    /// Another shard gave this [`Notice::Server`]: what one finds out holds for all, and is not told again.
    pub fn handle_server_news(&mut self, now: Mono, server: SocketAddr, news: News) {
        for number in 0..self.servers.len() {
            if self.servers[number].address == server {
                self.servers[number].heard(now, news);
                if news == News::Up {
                    #[expect(clippy::cast_possible_truncation, reason = "servers are numbered with 16 bits")]
                    self.wake_groups_of(number as u16, now);
                }
            }
        }
    }
}
