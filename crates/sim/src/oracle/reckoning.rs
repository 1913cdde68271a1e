//! The end: faults have stopped, everybody has gone, nothing is owed any more. Where is everybody's accounting?

use ledger::card::CardFound;
use ledger::recover::Recovered;
use ledger::verify::prove;
use model::counters::Counters;
use model::record::{Delivered, Departure, ZeroStop};
use model::settings::AccountingMode;

use super::bills::Found;
use super::book::{Book, Over};
use super::boots::NAS_REBOOT;
use super::{Oracle, Violation, as_sent};
use crate::driver::Memory;
use crate::server::Server;
use crate::trace::text;

/// What there is of one session.
struct Evidence {
    /// Stops at the servers, with other than zero counters or the same as `closed` says.
    stops: usize,
    zero_stops: usize,
    bills: usize,
}

impl Oracle {
    /// Judges the whole world.
    pub(crate) fn reckon(&mut self, store: &Recovered<Memory>, card: &CardFound, servers: &[Server]) {
        self.reckon_announcing();
        let book = store.state.replay.book();
        let proof = prove(book, Some(card));
        self.require(proof.is_complete(), "every number of a bill is accounted for", || format!("{proof:?}"));
        for (departure, count) in &proof.departed {
            self.tally(departure_word(*departure), *count);
        }
        self.tally("bills in the pool at the end", proof.in_pool);
        self.tally("bills on the card at the end", proof.on_card);
        let lost = self.lost_without_order(book);
        self.require(lost.is_empty(), "a reset is an operator's", || format!("{lost:?}"));
        let bills = Found::new(book, Some(card));
        let stranger = bills.strangers(self).next();
        self.require(stranger.is_none(), "a bill was written", || format!("{stranger:?}"));
        let mut found = Vec::new();
        let mut dropped = 0;
        found.extend(self.reckon_copies(servers));
        let first = |server: &&Server| self.servers.contains_key(&server.address);
        let servers: Vec<_> = servers.iter().filter(first).collect();
        for book in self.books.values() {
            let places = self.whereabouts(book, &bills);
            dropped += u64::from(self.is_dropped_unread(&places));
            found.extend(judge(book, &weigh(book, &servers, places.len())));
            if book.over.is_some_and(|over| matches!(over.fact, Over::Billed { .. })) {
                if self.hides_a_copy(book, &places) {
                    let what = text(&book.session_id).into_owned();
                    found.push(Violation { rule: "a bill that was sent says so", what });
                }
                let wrong = self.misplaced(book, &places);
                found.extend(wrong.map(|what| Violation { rule: "a bill is in one place", what }));
            }
        }
        self.tally("bills dropped unread", dropped);
        for (number, truth) in self.incarnations.iter().enumerate() {
            let accounted = self.books_of(number).filter(|book| book.closed.is_some()).count();
            let owed = truth.mode == AccountingMode::Radius && truth.let_in;
            // Who stays in spite of a cut has another one from the next life on.
            let too_many = accounted > 1 && !truth.stays;
            if owed && (accounted == 0 || too_many) || too_many && !truth.turned_away {
                let what = format!("#{number} ({}) has {accounted} accounts", text(&truth.name));
                found.push(Violation { rule: "who was admitted has one account", what });
            }
        }
        if let Some(first) = found.into_iter().next() {
            self.violation.get_or_insert(first);
        }
    }
}

fn departure_word(departure: Departure) -> &'static str {
    match departure {
        Departure::Transferred => "bills transferred",
        Departure::Moved => "bills moved",
        Departure::Replayed => "bills replayed",
        Departure::Reset => "bills reset",
        Departure::Dropped => "bills dropped",
    }
}

fn weigh(book: &Book, servers: &[&Server], bills: usize) -> Evidence {
    let closed = book.closed.map(|closed| closed.fact);
    let (mut stops, mut zero_stops) = (0, 0);
    for said in servers.iter().flat_map(|server| server.stops(&book.session_id)) {
        let is_zero = said.counters == Counters::ZERO && said.session_time_s == 0;
        if book.start_failed.is_some() && is_zero && said.cause != u32::from(NAS_REBOOT) {
            zero_stops += 1;
        } else if closed.is_some_and(|closed| as_sent(&book.terms, &closed.counters) == said.counters) {
            stops += 1;
        }
    }
    Evidence { stops, zero_stops, bills }
}

/// What is wrong with a session's end.
fn judge(book: &Book, evidence: &Evidence) -> Option<Violation> {
    let Evidence { stops, zero_stops, bills } = *evidence;
    let id = text(&book.session_id);
    let wrong = |rule, what: String| Some(Violation { rule, what: format!("{id}: {what}") });
    let Some(over) = book.over.filter(|over| over.durable) else {
        return wrong("every session ends", format!("{:?}", book.closed));
    };
    let Some(_) = book.closed else {
        // Refused: no Stop is owed.
        return (stops + bills > 0)
            .then(|| wrong("who is refused owes no Stop", format!("{stops}, {bills}")))
            .flatten();
    };
    if bills > 1 {
        return wrong("one bill at most", format!("{bills} bills"));
    }
    match over.fact {
        Over::Acknowledged if bills > 0 => wrong("a Stop or a bill", "acknowledged, and billed".to_owned()),
        // Who went while its Start waited was not accounted for.
        Over::Acknowledged if stops == 0 && book.is_never_begun() => None,
        Over::Acknowledged if stops == 0 => wrong("at least once", "acknowledged, but no server has it".to_owned()),
        Over::Acknowledged => None,
        Over::Billed { .. } if bills == 0 => wrong("at least once", "the bill is gone".to_owned()),
        Over::Billed { .. } if book.sent.replay_recorded && stops == 0 => {
            wrong("at least once", "replayed, but no server has it".to_owned())
        }
        Over::Billed { delivered: Delivered::No, .. } if book.sent.stops > 0 || stops > 0 && book.sent.replays == 0 => {
            wrong("two copies only where the bill says so", format!("{stops} Stops beside a bill never sent"))
        }
        Over::Billed { delivered: Delivered::Unknown, .. } if book.sent.stops == 0 && book.lives == 1 => {
            wrong("a bill says whether it was sent", "`unknown`, but nothing left".to_owned())
        }
        Over::Billed { zero_stop: ZeroStop::Acknowledged, .. } if zero_stops == 0 => {
            wrong("a bill says what became of the zero Stop", "`acknowledged`, but no server has it".to_owned())
        }
        Over::Billed { .. } => None,
    }
}
