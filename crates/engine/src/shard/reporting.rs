//! Rows for the displays.

use model::counters::CounterSource;
use model::report::{AccessUser, AccountingState, GroupReport, ShardReport};
use model::time::{Mono, Now};

use super::{Found, Shard};
use crate::attributes;
use crate::server::Server;
use crate::session::{Flags, Slot, State};

impl Shard {
    /// What the shard knows of itself.
    pub fn report(&self) -> ShardReport {
        ShardReport {
            sessions: self.table.len() as u64 - self.counts.replays,
            session_capacity: self.table.capacity() as u64,
            stops_unacknowledged: self.counts.stops_unacknowledged,
            bills_made: self.counts.bills_made,
            stops_queued: self.queue.users().into(),
            stops_dropped: self.queue.dropped(),
            refused: self.counts.refused,
            cut: self.counts.cut,
            would_cut: self.counts.would_cut,
            would_refuse: self.counts.would_refuse,
            copies_given_up: self.counts.copies_given_up,
            cuts_held: self.counts.cuts_held,
            brake_holds: self.brake.holds(),
            cuts_unanswered: self.counts.cuts_unanswered,
            counter_regressions: self.counts.counter_regressions,
            groups: self.reported_groups(),
            servers: self.reported_servers().map(Server::report).collect(),
            discards: self.discards,
            lateness: self.lateness,
        }
    }

    /// Those that have servers, or something that waits.
    fn reported_groups(&self) -> Vec<GroupReport> {
        let reports = self.groups[1..].iter().map(|group| (group, group.report(self.latest.mono)));
        let shown = reports.filter(|(group, report)| !group.members.is_empty() || report.backlog() + report.copies > 0);
        shown.map(|(_, report)| report).collect()
    }

    /// Those that some group has, and those that a request still waits for.
    fn reported_servers(&self) -> impl Iterator<Item = &Server> {
        let shown = move |(number, server): &(usize, &Server)| server.in_flight > 0 || self.is_member(*number);
        self.servers.iter().enumerate().filter(shown).map(|(_, server)| server)
    }

    /// Whether some group has the server of this number.
    pub(super) fn is_member(&self, number: usize) -> bool {
        let mut members = self.groups.iter().flat_map(|group| &group.members);
        members.any(|member| usize::from(member.server) == number)
    }

    /// The first `count` sessions in the order of their slots, sessions that wait for their Stop's end included.
    pub fn access_users(&self, now: Now, counters: &impl CounterSource, count: usize) -> Vec<AccessUser> {
        self.table
            .slots()
            .filter(|&slot| self.is_shown(slot))
            .take(count)
            .map(|slot| self.access_user(slot, now, counters))
            .collect()
    }

    /// The row of a session that [`Shard::search`] has found.
    pub fn found_user(&self, now: Now, counters: &impl CounterSource, found: Found) -> AccessUser {
        let Found(slot) = found;
        self.access_user(slot, now, counters)
    }

    pub(super) fn is_shown(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        session.state != State::Free && !session.flags.has(Flags::REPLAY)
    }

    pub(super) fn access_user(&self, slot: Slot, now: Now, counters: &impl CounterSource) -> AccessUser {
        let (session, account) = (self.session(slot), self.account(slot));
        let contract = self.contracts.get(session.contract);
        let run = self.table.blobs.attributes(session.blob);
        let shown = attributes::shown(run);
        let (down, counted) = (session.is_down(), self.table.counted(slot));
        AccessUser {
            serial: session.serial.parts(),
            session_id: shown.session_id,
            user: shown.user,
            domain: contract.domain.as_str().to_owned(),
            plane: self.planes.name(session.plane).to_owned(),
            plane_session: String::from_utf8_lossy(self.table.blobs.name(session.blob)).into_owned(),
            framed_ip: shown.framed_ip,
            mac: shown.mac,
            state: self.accounting_state(slot),
            group: self.groups[usize::from(contract.group)].name.clone(),
            opened: self.beginning(slot).opened,
            session_time_s: if down {
                self.annex(slot).session_time_s.into()
            } else {
                now.mono.since(session.opened).as_secs()
            },
            interim_s: session.interim_s,
            next_interim_s: self.has_next_interim(slot).then(|| session.next_interim.since(now.mono).as_secs()),
            interim_failures: account.interim_failures,
            counters: if down { counted } else { self.read(slot, counters).unwrap_or(counted) },
        }
    }

    pub(super) fn has_next_interim(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        let interims_run = session.state == State::Accounting && !session.flags.has(Flags::CUT);
        interims_run && session.next_interim != Mono::ZERO
    }

    pub(super) fn accounting_state(&self, slot: Slot) -> AccountingState {
        let session = self.session(slot);
        match session.state {
            State::NotAccounted => AccountingState::NotAccounted,
            State::Starting if !session.flags.has(Flags::OPENED_DURABLE) => AccountingState::Opening,
            State::Starting => AccountingState::Starting,
            State::Accounting => AccountingState::Accounting,
            State::StartFailed => AccountingState::StartFailed,
            State::Stopping => AccountingState::Stopping,
            State::Parked | State::Replaying => AccountingState::Parked,
            State::Free | State::Refused | State::Ending => AccountingState::Ending,
        }
    }
}
