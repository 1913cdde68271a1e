//! The end: faults have stopped, everybody has gone, nothing is owed any more. Where is everybody's accounting?

use std::collections::BTreeMap;

use ledger::frame;
use ledger::recover::Recovered;
use model::counters::Counters;
use model::record::{Bill, BillReason, Delivered, Record, ZeroStop};
use model::settings::AccountingMode;

use super::book::{Book, Over};
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
    pub(crate) fn reckon(&mut self, store: &Recovered<Memory>, servers: &[Server]) {
        let mut bills = BTreeMap::new();
        let mut sequences: BTreeMap<u32, u64> = BTreeMap::new();
        for (_, octets) in &store.state.records {
            let Ok(Record::Billed(bill)) = frame::decode(octets) else { continue };
            *bills.entry(bill.opened.serial).or_insert(0) += 1;
            let last = sequences.entry(bill.id.epoch).or_default();
            *last += 1;
            let dense = *last == bill.id.sequence;
            self.require(dense, "bills are numbered without gaps", || format!("{:?}", bill.id));
            self.check_bill(&bill);
        }
        let mut found = Vec::new();
        for book in self.books.values() {
            let bills = bills.get(&book.serial).copied().unwrap_or(0);
            found.extend(judge(book, &weigh(book, servers, bills)));
        }
        for (number, truth) in self.incarnations.iter().enumerate() {
            let accounted = self.books_of(number).filter(|book| book.closed.is_some()).count();
            let owed = truth.mode == AccountingMode::Radius && truth.let_in;
            if owed && accounted != 1 || accounted > 1 && !truth.turned_away {
                let what = format!("#{number} ({}) has {accounted} accounts", text(&truth.name));
                found.push(Violation { rule: "who was admitted has one account", what });
            }
        }
        if let Some(first) = found.into_iter().next() {
            self.violation.get_or_insert(first);
        }
    }

    fn check_bill(&mut self, bill: &Bill<'_>) {
        let failed = self.books.get(&bill.opened.serial).is_some_and(|book| book.start_failed.is_some());
        let expected = if failed { BillReason::StartFailed } else { BillReason::StopUnanswered };
        let right = bill.reason == expected;
        self.require(right, "a bill says why it was made", || format!("{:?}: {:?}", bill.id, bill.reason));
    }
}

fn weigh(book: &Book, servers: &[Server], bills: usize) -> Evidence {
    let closed = book.closed.map(|closed| closed.fact);
    let (mut stops, mut zero_stops) = (0, 0);
    for said in servers.iter().flat_map(|server| server.stops(&book.session_id)) {
        if book.start_failed.is_some() && said.counters == Counters::ZERO && said.session_time_s == 0 {
            zero_stops += 1;
        } else if closed.is_some_and(|closed| as_sent(&closed.counters) == said.counters) {
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
        Over::Acknowledged if stops == 0 => wrong("at least once", "acknowledged, but no server has it".to_owned()),
        Over::Acknowledged => None,
        Over::Billed { .. } if bills == 0 => wrong("at least once", "the bill is gone".to_owned()),
        Over::Billed { delivered: Delivered::No, .. } if stops > 0 || book.sent.stops > 0 => {
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
