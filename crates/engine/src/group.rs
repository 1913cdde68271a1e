//! A group of servers, and the work that waits for one of them.
//!
//! Work waits in five lanes (owner's decision 7). Their order is Starts whose verdict waits, fresh Stops, Starts of those who are
//! online already, parked Stops, interims; but of any eight places that come free, the first four lanes each have some of their
//! own, so that neither an old backlog nor a storm of log-ins starves the others. A log-in that waits for the server so waits for
//! no Start that nobody waits for, however many there are.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::report::GroupReport;
use model::settings::{AccountingMode, AccountingOn, Algorithm, Secret};
use model::time::Mono;

use crate::choice::{Choice, Tried, choose, prefer};
use crate::copies::Line;
use crate::flow::Flow;
use crate::server::{Server, Standing};
use crate::session::{Lane, Slot};
use crate::shard::REST_COUNT;
use crate::table::Queue;

/// One server as a group names it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its place among the shard's servers.
    pub(crate) server: u16,
    pub(crate) secret: Arc<Secret>,
    pub(crate) message_authenticator: bool,
    /// Its share under loading-share.
    pub(crate) weight: u8,
}

/// A RADIUS group (BEHAVIOUR.md 5.1), a template of HWTACACS servers (6.1), or the group of all sessions that have none.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Whether it is a group or a template: both may have one name.
    pub(crate) method: AccountingMode,
    pub(crate) name: String,
    pub(crate) members: Vec<Member>,
    pub(crate) algorithm: Algorithm,
    /// The server that authenticated a user is not preferred.
    pub(crate) strict: bool,
    /// It is configured no more, and loses its members with its last session.
    pub(crate) removed: bool,
    /// Transmissions to one server.
    pub(crate) retransmit: u8,
    pub(crate) timeout: Duration,
    /// Who is refused has a Stop all the same.
    pub(crate) send_force: bool,
    pub(crate) stop_resend: u16,
    /// How long a Stop rests before it is tried again, instead of longer each time.
    pub(crate) pause: Option<Duration>,
    /// A Stop has one server, and is sent once.
    pub(crate) stop_once: bool,
    /// Interims of HWTACACS carry WATCHDOG alone.
    pub(crate) watchdog_alone: bool,
    pub(crate) start_resend: u16,
    pub(crate) interim_resend: u16,
    pub(crate) lanes: [Queue; Lane::COUNT],
    /// Stops that are not tried again yet, by the length of their rest.
    pub(crate) rests: [Queue; REST_COUNT],
    /// Sessions whose copy waits for one of its servers.
    pub(crate) copies: Line,
    /// What has rested since then or longer need not any more.
    pub(crate) woken: Option<Mono>,
    pub(crate) flow: Flow,
    turn: u8,
    /// Stops that tell of an earlier boot of the box and have not had their transaction; Starts wait for them, until then.
    old_stops: u32,
    held_until: Mono,
    /// Whether its servers are told when accounting begins and ceases.
    pub(crate) accounting_on: AccountingOn,
    /// One of its servers is to be told before a Start leaves.
    pub(crate) untold: bool,
}

/// Which lane has a place of its own, in turn. The rest of the eight go by order.
const OWN_PLACES: [Lane; 8] =
    [Lane::Start, Lane::Stop, Lane::Start, Lane::Parked, Lane::Start, Lane::Stop, Lane::Admitted, Lane::Out];

/// Lanes in which Starts may stand, new ones and those of an earlier life.
const HELD: [Lane; 3] = [Lane::Start, Lane::Admitted, Lane::Parked];

impl Group {
    /// A group without servers: what waits in it fails at once (BEHAVIOUR.md 3.4).
    pub(crate) fn new(method: AccountingMode, name: String) -> Group {
        Group {
            method,
            name,
            members: Vec::new(),
            algorithm: Algorithm::default(),
            strict: false,
            removed: false,
            retransmit: 3,
            timeout: Duration::from_secs(5),
            send_force: false,
            stop_resend: 0,
            pause: None,
            stop_once: false,
            watchdog_alone: false,
            start_resend: 0,
            interim_resend: 0,
            lanes: [Queue::EMPTY; Lane::COUNT],
            rests: [Queue::EMPTY; REST_COUNT],
            copies: Line::default(),
            woken: None,
            flow: Flow::default(),
            turn: 0,
            old_stops: 0,
            held_until: Mono::ZERO,
            accounting_on: AccountingOn::Disabled,
            untold: false,
        }
    }

    /// One Stop more tells of an earlier boot: Starts wait for it, but no longer than until then.
    pub(crate) fn hold_starts(&mut self, until: Mono) {
        self.old_stops += 1;
        self.held_until = until;
    }

    /// One of those Stops has had its transaction.
    pub(crate) fn release_starts(&mut self) {
        self.old_stops = self.old_stops.saturating_sub(1);
    }

    /// Whether Stops of an earlier boot go first.
    pub(crate) fn holds_for_old_stops(&self, now: Mono) -> bool {
        self.old_stops > 0 && now < self.held_until
    }

    /// Ends the wait for old Stops as `now` allows.
    pub(crate) fn handle_timeout(&mut self, now: Mono) {
        if now >= self.held_until {
            self.old_stops = 0;
        }
    }

    /// When [`Group::handle_timeout`] lets a Start go.
    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        let waits = self.old_stops > 0 && HELD.iter().any(|lane| self.first(*lane).is_some());
        waits.then_some(self.held_until)
    }

    /// The lane whose first session is next, those aside that nobody in can leave now.
    pub(crate) fn next_lane(&self, now: Mono, blocked: [bool; Lane::COUNT]) -> Option<Lane> {
        let own = OWN_PLACES[usize::from(self.turn % 8)];
        let held = self.holds_for_old_stops(now) || self.untold;
        let waits = |lane: &Lane| {
            lane.index().is_some_and(|index| self.lanes[index].count > 0 && !blocked[index])
                && !(held && HELD.contains(lane))
        };
        Some(own).filter(waits).or_else(|| Lane::ORDER.into_iter().find(waits))
    }

    /// The next place that comes free belongs to the next lane in turn.
    pub(crate) fn end_turn(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }

    /// The first session in a lane.
    pub(crate) fn first(&self, lane: Lane) -> Option<Slot> {
        let queue = &self.lanes[lane.index()?];
        (queue.count > 0).then_some(queue.head)
    }

    /// What waits in it, and how fast that comes and goes.
    pub(crate) fn report(&self, now: Mono) -> GroupReport {
        let waiting = self.lanes.map(|queue| queue.count.into());
        let [waited_for, stops, admitted, parked, interims] = waiting;
        let starts = waited_for + admitted;
        let resting = self.resting();
        let (came, went) = self.flow.recent(now);
        let (came, went) = (came.into(), went.into());
        let copies = self.copies.len() as u64;
        GroupReport { name: self.name.clone(), starts, stops, parked, interims, resting, copies, came, went }
    }

    /// How much waits in its lanes, and to be copied.
    pub(crate) fn waiting(&self) -> u32 {
        let copies = u32::try_from(self.copies.len()).unwrap_or(u32::MAX / 2);
        self.lanes.iter().map(|queue| queue.count).sum::<u32>() + copies
    }

    /// Whether it is the one of this kind and name.
    pub(crate) fn is(&self, method: AccountingMode, name: &str) -> bool {
        self.method == method && self.name.eq_ignore_ascii_case(name)
    }

    /// Whether nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(|queue| queue.count == 0)
    }

    /// Whether a Start waits for a place.
    pub(crate) fn has_starts(&self) -> bool {
        [Lane::Start, Lane::Admitted].into_iter().any(|lane| self.first(lane).is_some())
    }

    /// Whom a transaction asks that these have had, of a user whom this server authenticated; see [`choose`].
    pub(crate) fn choose(
        &self,
        servers: &[Server],
        tried: &Tried,
        authenticator: Option<IpAddr>,
        now: Mono,
        draw: impl Fn(u64) -> u64,
    ) -> Choice {
        let preferred = authenticator.filter(|_| self.prefers());
        let preferred = preferred.and_then(|address| prefer(&self.members, servers, tried, address, now));
        preferred.unwrap_or_else(|| choose((self.algorithm, self.walks()), &self.members, servers, tried, now, draw))
    }

    /// Whether the server that authenticated a user goes before the order (BEHAVIOUR.md 5.3).
    pub(crate) fn prefers(&self) -> bool {
        self.algorithm == Algorithm::MasterBackup && !self.strict
    }

    /// How often a request is transmitted to this server, and how long each is waited for: through a connection once, for as long
    /// as all datagrams together (owner's decision 15).
    pub(crate) fn transmissions_to(&self, server: &Server) -> (u8, Duration) {
        if server.is_stream() { (1, self.patience()) } else { (self.retransmit, self.timeout) }
    }

    /// Whether a transaction goes on to the next server while all are Down: one send of HWTACACS is a walk from the primary to
    /// the last (owner's decision 9).
    fn walks(&self) -> bool {
        self.method == AccountingMode::Hwtacacs
    }

    /// Whether one of its servers takes a request now.
    pub(crate) fn has_room(&self, servers: &[Server], now: Mono) -> bool {
        self.members.iter().any(|member| servers[usize::from(member.server)].standing(now) == Standing::Free)
    }

    /// Whether this server is one of its members.
    pub(crate) fn has(&self, server: u16) -> bool {
        self.members.iter().any(|member| member.server == server)
    }

    /// Since when every server has been Down; `None` while one is Up.
    pub(crate) fn down_since(&self, servers: &[Server]) -> Option<Mono> {
        if self.members.iter().any(|member| servers[usize::from(member.server)].is_up()) {
            return None;
        }
        let since = self.members.iter().map(|member| servers[usize::from(member.server)].down_since()).max();
        Some(since.unwrap_or(Mono::ZERO))
    }

    /// How long due work waits for a place while every server is Down before it has failed unsent: R × S.
    pub(crate) fn patience(&self) -> Duration {
        if self.members.is_empty() { Duration::ZERO } else { self.timeout * u32::from(self.retransmit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(group: &Group, second: u64) -> Option<Lane> {
        group.next_lane(Mono::from_nanos(second * 1_000_000_000), [false; Lane::COUNT])
    }

    #[test]
    fn a_lane_that_is_blocked_is_passed() {
        let mut group = Group::new(AccountingMode::Radius, String::new());
        group.lanes[0].count = 1;
        group.lanes[4].count = 1;
        assert_eq!(next(&group, 0), Some(Lane::Start));
        let mut blocked = [false; Lane::COUNT];
        blocked[0] = true;
        assert_eq!(group.next_lane(Mono::ZERO, blocked), Some(Lane::Interim));
        assert_eq!(group.next_lane(Mono::ZERO, [true; Lane::COUNT]), None);
    }

    #[test]
    fn every_lane_gets_its_share() {
        let mut group = Group::new(AccountingMode::Radius, String::new());
        for queue in &mut group.lanes {
            queue.count = 1;
        }
        let mut taken = [0; Lane::COUNT];
        for _ in 0..800 {
            let lane = group.next_lane(Mono::ZERO, [false; Lane::COUNT]).and_then(Lane::index).unwrap();
            group.end_turn();
            taken[lane] += 1;
        }
        assert_eq!(taken, [400, 200, 100, 100, 0], "starts, stops, starts of who is online, parked, interims");
        for lane in Lane::ORDER {
            for _ in 0..800 {
                assert!(next(&group, 0).is_some_and(|taken| taken.index() >= lane.index()));
                group.end_turn();
            }
            group.lanes[lane.index().unwrap()].count = 0;
        }
        assert_eq!(next(&group, 0), None);
    }

    #[test]
    fn starts_wait_for_old_stops_and_not_for_ever() {
        let at = |seconds: u64| Mono::from_nanos(seconds * 1_000_000_000);
        let mut group = Group::new(AccountingMode::Radius, String::new());
        group.lanes[0].count = 1;
        group.hold_starts(at(30));
        group.hold_starts(at(30));
        assert_eq!(next(&group, 1), None);
        assert_eq!(group.next_timeout(), Some(at(30)));
        group.lanes[1].count = 1;
        assert_eq!(next(&group, 1), Some(Lane::Stop));
        group.lanes[1].count = 0;
        group.release_starts();
        for held in [2, 3] {
            group.lanes[held].count = 1;
            assert_eq!(next(&group, 1), None);
            group.lanes[held].count = 0;
        }
        assert_eq!(next(&group, 30), Some(Lane::Start));
        group.release_starts();
        assert_eq!(next(&group, 2), Some(Lane::Start));
        assert_eq!(group.next_timeout(), None);
    }
}
