//! Who may be admitted, refused, cut; and which session is meant.

use model::domain::QuotaAction;
use model::ids::SessionSerial;
use model::settings::{AccountingMode, InterimFailPolicy, StartFail};
use model::verdict::{CutBy, Reason, Sentence, Verdict};

use super::book::Book;
use super::{Incarnation, Oracle};
use crate::plane::Limits;
use crate::trace::text;

impl Oracle {
    /// The engine gives a verdict on somebody whose counter slot no plane ever gave out.
    pub(crate) fn verdict_on_nobody(&mut self, verdict: &Verdict<'_>) {
        self.violate("a verdict is on a session", text(verdict.session).into_owned());
    }

    /// The engine gives a verdict on a session.
    pub(crate) fn verdict(&mut self, incarnation: usize, verdict: &Verdict<'_>) {
        let who = format!("{}, #{incarnation}", text(verdict.session));
        match verdict.sentence {
            Sentence::Admit => self.admitted(incarnation, verdict.reason, &who),
            Sentence::Refuse => self.refused(incarnation, verdict.reason, &who),
            Sentence::Cut => self.cut(incarnation, verdict.reason, &who),
            Sentence::Redirect => self.redirected(incarnation, verdict.reason, &who),
        }
    }

    fn admitted(&mut self, incarnation: usize, reason: Reason, who: &str) {
        if self.incarnations[incarnation].mode == AccountingMode::None {
            self.require(reason == Reason::NotAccounted, "mode none admits at once", || who.to_owned());
            return;
        }
        let Some(book) = self.books_of(incarnation).last() else {
            self.violate("no `admit` before `opened` is durable", who.to_owned());
            return;
        };
        let opened = book.is_opened_durable();
        let waits = book.scheme.start_fail == StartFail::Offline && !book.scheme.shadow;
        // A Start that was overtaken by the Down is kept without an answer, and nobody is let in by it.
        let has_addresses = book.has_waited();
        let answered = book.sent.start_answered || book.accepted.is_some_and(|accepted| accepted.durable);
        self.require(opened, "no `admit` before `opened` is durable", || who.to_owned());
        self.require(has_addresses, "no `admit` while addresses are waited for", || who.to_owned());
        self.require(!waits || answered, "under `offline` no `admit` before the Start's outcome", || who.to_owned());
    }

    fn refused(&mut self, incarnation: usize, reason: Reason, who: &str) {
        if reason == Reason::ShuttingDown {
            let is_shut = self.announcing.is_shut();
            return self.require(is_shut, "nobody is refused while accounting goes on", || who.to_owned());
        }
        if reason == Reason::Full {
            // Who is online has its account, and keeps it. An Up that is read once more may be that of somebody who has gone.
            let Incarnation { gone, vanished, turned_away, stays, .. } = self.incarnations[incarnation];
            let is_online = gone.is_none() && !vanished && !turned_away && !stays;
            let is_known = is_online && self.books_of(incarnation).any(|book| book.over.is_none());
            self.incarnations[incarnation].shut_out = true;
            return self
                .require(self.is_narrow && !is_known, "there is room for whoever came before", || who.to_owned());
        }
        let book = self.books_of(incarnation).last();
        let offline = book.is_some_and(|book| book.scheme.start_fail == StartFail::Offline && !book.scheme.shadow);
        let late = book.is_some_and(|book| book.terms.start_delay.is_some_and(|delay| delay.offline));
        let rightly = reason == Reason::StartFailed && offline || reason == Reason::StartDelay && late;
        self.require(rightly, "who has a domain is refused by an `offline` policy only", || {
            format!("{who}: {}", reason.as_str())
        });
    }

    /// Whether the failures of a session's interims are known exactly: unless the engine may have counted what nobody saw, an
    /// interim that failed unsent, or another life's.
    fn sees_failures(&self, book: &Book) -> bool {
        let (sure_since, changed) = (book.sent.sure_since, self.asked_changed);
        !book.group.is_empty()
            && !book.sent.unsure
            // Otherwise a server may answer, and be Down all the same.
            && !self.settings.radius_health.recover_count_invalid
            && changed.is_none_or(|at| sure_since.is_some_and(|since| at < since))
    }

    /// Another interim begins: the last one that failed was not one too many.
    pub(super) fn check_may_fail(&mut self, serial: SessionSerial) {
        let Some(book) = self.books.get(&serial) else { return };
        let rule = book.scheme.interim_fail;
        let cuts = rule.policy == InterimFailPolicy::Offline && !book.scheme.shadow;
        let (failures, limit) = (book.sent.failures(), u32::from(rule.max_times) + 1);
        let is_kept = cuts && self.sees_failures(book) && failures >= limit;
        let id = text(&book.session_id).into_owned();
        self.require(!is_kept, "the cut comes with failure T + 1", || {
            format!("{id} goes on after {failures} failures, T + 1 is {limit}")
        });
    }

    /// Whether what is said to have run out was limited at all; and a volume is used up before it is said to be.
    fn has_run_out(&self, incarnation: usize, reason: Reason) -> bool {
        let truth = &self.incarnations[incarnation];
        let Limits { session_timeout, time_quota, volume_quota } = truth.limits;
        let moved = volume_quota.is_some_and(|volume| truth.counted.octets() >= volume);
        let quota = time_quota.is_some() || moved;
        match reason {
            Reason::SessionTimeout => session_timeout.is_some(),
            Reason::QuotaOut => quota,
            _ => session_timeout.is_some() || quota,
        }
    }

    fn redirected(&mut self, incarnation: usize, reason: Reason, who: &str) {
        let accounted = self.incarnations[incarnation].mode != AccountingMode::None;
        let durable = self.books_of(incarnation).last().map_or(!accounted, |book| book.cut_durable);
        let rightly = match self.incarnations[incarnation].quota_out {
            QuotaAction::Redirect => reason == Reason::QuotaOut,
            QuotaAction::RedirectAndStop => reason == Reason::AccountingStopped && durable,
            QuotaAction::Cut | QuotaAction::Tell | QuotaAction::SendInterim => false,
        };
        let any = self.has_run_out(incarnation, Reason::AccountingStopped);
        // Elsewhere it is online too: a later life that does not know of its Start might refuse it.
        let waits = |book: &Book| book.scheme.start_fail == StartFail::Offline && !book.scheme.shadow;
        let book = self.books_of(incarnation).last().filter(|book| waits(book));
        let accepted = book.is_none_or(|book| book.accepted.is_some_and(|accepted| accepted.durable));
        self.require(accepted, "under `offline` nobody is redirected before `accepted` is durable", || who.to_owned());
        self.require(rightly && any, "who has used up a quota is led elsewhere where the domain says so", || {
            format!("{who}: {}", reason.as_str())
        });
    }

    /// A server has ordered it, or an operator has shut accounting down, and the ledger has that.
    fn ordered(&mut self, incarnation: usize, by: CutBy, who: &str) {
        let book = self.books_of(incarnation).last();
        let durable = match book {
            Some(book) => book.cut == Some(by) && book.cut_durable,
            None if by == CutBy::Shutdown => self.announcing.is_shut(),
            None => self.is_disconnected_unaccounted(incarnation),
        };
        self.require(durable, "no `cut` before it is durable", || who.to_owned());
    }

    fn cut(&mut self, incarnation: usize, reason: Reason, who: &str) {
        match reason {
            Reason::Disconnected => return self.ordered(incarnation, CutBy::Disconnect, who),
            Reason::ShuttingDown => return self.ordered(incarnation, CutBy::Shutdown, who),
            _ => {}
        }
        if matches!(reason, Reason::SessionTimeout | Reason::QuotaOut) {
            let offline = self.incarnations[incarnation].quota_out == QuotaAction::Cut;
            let rightly = offline && self.has_run_out(incarnation, reason);
            let accounted = self.incarnations[incarnation].mode != AccountingMode::None;
            let durable = self.books_of(incarnation).last().map_or(!accounted, |book| book.cut_durable);
            self.require(rightly, "`quota-out offline` cuts who has used up a quota", || who.to_owned());
            self.require(durable, "no `cut` before it is durable", || who.to_owned());
            return;
        }
        let Some(book) = self.books_of(incarnation).last() else {
            self.violate("who is cut has a session", who.to_owned());
            return;
        };
        let rule = book.scheme.interim_fail;
        let limit = u32::from(rule.max_times) + 1;
        let failures = book.sent.failures();
        let seen = self.sees_failures(book);
        let offline = rule.policy == InterimFailPolicy::Offline && !book.scheme.shadow;
        let durable = book.cut_durable;
        self.require(offline && reason == Reason::InterimFailed, "only `interim-fail offline` cuts", || who.to_owned());
        self.require(durable, "no `cut` before it is durable", || who.to_owned());
        self.require(!seen || failures == limit, "the cut comes with failure T + 1", || {
            format!("{who}: {failures} failures, T + 1 is {limit}")
        });
    }
}
