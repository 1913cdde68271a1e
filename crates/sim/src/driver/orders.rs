//! The process's ear for authorization servers: one judge, whose orders every worker obeys.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use engine::authorization::{Arrived, Authorization, Conclusion, Judgement, Order, Outcome, Token};
use model::settings::{AuthorizationServer, Settings};
use model::time::{Mono, Now};

use super::boot::NAS;
use super::{Around, Process};
use crate::network::Datagram;

/// Where the engine listens to authorization servers.
pub(crate) const EAR: SocketAddr = SocketAddr::new(NAS, AuthorizationServer::PORT_DEFAULT);

/// The judge, and what workers have said of its orders.
pub(super) struct Desk {
    judge: Authorization,
    outcomes: BTreeMap<u64, Vec<Outcome>>,
}

impl Desk {
    pub(super) fn new(born: Mono) -> Desk {
        Desk { judge: Authorization::new(born), outcomes: BTreeMap::new() }
    }

    pub(super) fn configure(&mut self, settings: &Settings) {
        self.judge.configure(settings);
    }
}

impl Process {
    /// A datagram for the ear.
    pub(crate) fn authorize(&mut self, now: Now, datagram: &Datagram, around: &mut Around) {
        if !self.is_running() {
            return;
        }
        let any = SocketAddr::from(([0, 0, 0, 0], EAR.port()));
        let arrived = Arrived { from: datagram.from, vpn: None, to: any, octets: &datagram.octets };
        let judgement = self.desk.judge.handle_datagram(now, &arrived);
        around.oracle.judged(now.mono, &datagram.octets, &judgement);
        match judgement {
            Judgement::Nothing => {}
            Judgement::Reply(octets) => self.reply(datagram.from, octets.into(), around),
            Judgement::Ask(token, order) => {
                around.trace.say(format_args!("order {}: {order}", token.0));
                self.tell_workers(token, &order);
            }
        }
    }

    /// Takes a worker's words on orders; when all have spoken, so does the process.
    pub(super) fn answer_orders(&mut self, number: usize, now: Now, around: &mut Around) {
        while let Some((token, outcome)) = self.workers[number].shard.poll_outcome() {
            let outcomes = self.desk.outcomes.entry(token.0).or_default();
            outcomes.push(outcome);
            if outcomes.len() < self.workers.len() {
                continue;
            }
            self.all_have_obeyed(token, now, around);
        }
    }

    fn all_have_obeyed(&mut self, token: Token, now: Now, around: &mut Around) {
        let outcomes = self.desk.outcomes.remove(&token.0).unwrap_or_default();
        around.trace.say(format_args!("order {}: {outcomes:?}", token.0));
        match self.desk.judge.handle_outcomes(now, token, &outcomes) {
            Conclusion::Nothing => {}
            Conclusion::Reply(to, octets) => {
                around.oracle.order_answered(now.mono, token, &octets);
                self.reply(to, octets.into(), around);
            }
            Conclusion::Ask(order) => self.tell_workers(token, &order),
        }
    }

    fn tell_workers(&mut self, token: Token, order: &Order) {
        self.workers.iter_mut().for_each(|worker| worker.orders.push_back((token, order.clone())));
    }

    fn reply(&self, to: SocketAddr, octets: Vec<u8>, around: &mut Around) {
        around.sent.push(Datagram { from: EAR, to, octets });
    }
}
