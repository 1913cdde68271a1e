//! What authorization servers ask for: who may be believed, what an ACK and a NAK promise, and that nothing is done twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::authorization::{Judgement, Token};
use model::ids::SessionSerial;
use model::record::Opened;
use model::settings::{AccountingMode, AuthorizationServer, StartFail};
use model::time::Mono;
use model::verdict::CutBy;
use wire::radius::attribute::{Attributes, Type};
use wire::radius::{Authenticator, Code, Packet};

use super::book::Book;
use super::{Incarnation, Oracle};
use crate::authorizer::{Asked, Target, Wish, is_signed};
use crate::driver::shard_of;
use crate::seed::Dice;
use crate::trace::text;

/// An interim that follows at once leaves by then.
const AT_ONCE: Duration = Duration::from_secs(3);

/// What of a session can be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    interim_s: u32,
    timeout_s: u32,
    class: Vec<Vec<u8>>,
}

impl Terms {
    pub(super) fn of(opened: &Opened<'_>) -> Terms {
        let class = Attributes::of_run(opened.attributes).filter(|attribute| attribute.kind == Type::CLASS);
        Terms {
            interim_s: opened.interim_s,
            timeout_s: opened.session_timeout_s,
            class: class.map(|class| class.value.to_vec()).collect(),
        }
    }

    /// Field by field, whether it is as the wish has it; `true` where that names none.
    fn are(&self, wish: &Wish) -> [bool; 3] {
        let Wish::Change { interim_s, timeout_s, class } = wish else { return [true; 3] };
        [
            interim_s.is_none_or(|value| value == self.interim_s),
            timeout_s.is_none_or(|value| value == self.timeout_s),
            class.as_ref().is_none_or(|value| self.class == [value.clone()]),
        ]
    }

    /// Field by field, whether these are others.
    fn differ(&self, other: &Terms) -> [bool; 3] {
        [self.interim_s != other.interim_s, self.timeout_s != other.timeout_s, self.class != other.class]
    }
}

/// Which fields a wish names.
fn names(wish: &Wish) -> [bool; 3] {
    match wish {
        Wish::Disconnect => [false; 3],
        Wish::Change { interim_s, timeout_s, class } => [interim_s.is_some(), timeout_s.is_some(), class.is_some()],
    }
}

/// What orders did to a session.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// What the ledger is told, what of that is on its way to the disk, and what is there.
    terms: Terms,
    on_the_way: Vec<Terms>,
    durable: Terms,
    /// What was durable before recovery read something newer, as long as that is not on the disk for certain.
    before: Option<Terms>,
    checkpointed: Option<Terms>,
    /// What recovery has just read.
    read: Option<Terms>,
    /// It was acknowledged that the session is cut, by whomever it was.
    cut: Option<CutBy>,
    /// An interim is to follow at once; and must have by then.
    reports: bool,
    report_due: Option<Mono>,
}

/// One shard has an order.
struct Taken {
    token: u64,
    /// It is only weighed so far.
    is_trial: bool,
    request: Authenticator,
    /// Those that are meant, and online beyond doubt.
    sure: Vec<SessionSerial>,
    /// A session was cut that no other order can have meant.
    has_cut: bool,
}

/// A request that was heard in this life.
struct Heard {
    token: u64,
    answer: Option<(Mono, Vec<u8>)>,
}

/// All that was asked for.
#[derive(Default)]
pub(super) struct Orders {
    asked: BTreeMap<Authenticator, Asked>,
    /// Those that say that they were made in an earlier life.
    outlived: BTreeSet<Authenticator>,
    heard: BTreeMap<Authenticator, Heard>,
    taken: Vec<Taken>,
}

impl Oracle {
    /// An authorization server asks for something.
    pub(crate) fn asked(&mut self, request: Authenticator, asked: Asked) {
        self.tally("orders", 1);
        self.orders.asked.insert(request, asked);
    }

    /// The Acct-Session-Id of a session that there was, often of one that there is.
    pub(crate) fn some_session_id(&self, dice: &mut Dice) -> Option<Vec<u8>> {
        let live = !dice.chance(15);
        let all: Vec<&Book> = self.books.values().filter(|book| !live || book.closed.is_none()).collect();
        (!all.is_empty()).then(|| all[dice.index(all.len())].session_id.clone())
    }

    /// The judge has heard a datagram.
    pub(crate) fn judged(&mut self, now: Mono, octets: &[u8], judgement: &Judgement) {
        let request = Packet::parse(octets).map(|packet| *packet.authenticator()).unwrap_or_default();
        let asked = self.orders.asked.get(&request).filter(|asked| asked.is_genuine);
        let is_dated = asked.is_some_and(|asked| asked.is_dated);
        let is_believed = asked.is_some();
        if *judgement != Judgement::Nothing {
            self.require(is_believed, "only who has the secret is heard", || format!("{octets:?}"));
        }
        match judgement {
            Judgement::Nothing => {}
            Judgement::Reply(reply) => {
                let known = self.orders.heard.get(&request).and_then(|heard| heard.answer.as_ref());
                let same = known.is_none_or(|(_, answer)| **answer == **reply);
                let is_nak = Packet::parse(reply).is_ok_and(|packet| is_nak(packet.code()));
                let fresh = known.is_none();
                self.require(same, "a duplicate gets the same answer", || format!("{request:?}"));
                self.require(!fresh || is_nak, "what no shard has heard of is refused", || format!("{request:?}"));
                self.tally("answers repeated", u64::from(!fresh));
            }
            Judgement::Ask(token, _) => {
                let reserved = Duration::from_secs(AuthorizationServer::ACK_RESERVED_DEFAULT_S.into());
                let before = self.orders.heard.insert(request, Heard { token: token.0, answer: None });
                let over = |heard: Heard| heard.answer.is_some_and(|(at, _)| now >= at.plus(reserved));
                let once = before.is_none_or(|heard| over(heard) && (!is_dated || self.clock_is_set));
                let fresh = self.clock_is_set || !self.orders.outlived.contains(&request);
                self.require(fresh, "what an earlier life may have obeyed is stale", || format!("order {}", token.0));
                self.require(once, "what was obeyed is not obeyed again", || format!("order {}", token.0));
            }
        }
    }

    /// A shard takes an order, to weigh it or to obey.
    pub(crate) fn order_taken(&mut self, now: Mono, shard: usize, token: Token, is_trial: bool) {
        let found = self.orders.heard.iter().find(|(_, heard)| heard.token == token.0).map(|(request, _)| *request);
        let Some(request) = found else { return };
        let Some(asked) = self.orders.asked.get(&request).cloned() else { return };
        let shards = self.boots.shard_count();
        let boot = self.boots.current();
        let may_report = self.is_punctual && self.boots.is_running();
        let mut sure = Vec::new();
        for book in self.books.values_mut() {
            let truth = &self.incarnations[book.incarnation];
            if !is_meant(&asked, truth, Some(&book.session_id)) || shard_of(&truth.name, shards) != shard {
                continue;
            }
            // Who may be refused still may have been, and nobody was told.
            let may_be_refused = book.scheme.start_fail == StartFail::Offline
                || book.terms.start_delay.is_some_and(|delay| delay.offline);
            let waits = may_be_refused && book.accepted.is_none();
            let online = book.boot == boot
                && book.closed.is_none()
                && book.over.is_none()
                && truth.gone.is_none()
                && !truth.vanished
                && !truth.turned_away
                && !waits;
            let has_moved = matches!(asked.target, Target::Address(_)) && truth.addresses.len() > 1;
            let is_changed = matches!(asked.wish, Wish::Change { .. }) && !is_trial;
            book.ordered.reports |= is_changed;
            if online && !has_moved {
                sure.push(book.serial);
                let accounts = book.accepted.is_some_and(|accepted| accepted.durable) && book.start_failed.is_none();
                if is_changed && may_report && accounts && book.cut.is_none() && !book.group.is_empty() {
                    book.ordered.report_due.get_or_insert(now.plus(AT_ONCE));
                }
            }
        }
        self.tally("orders that mean several", u64::from(sure.len() > 1 && !is_trial));
        if !is_trial {
            self.orders.taken.retain(|taken| taken.token != token.0 || !taken.is_trial);
        }
        self.orders.taken.push(Taken { token: token.0, is_trial, request, sure, has_cut: false });
    }

    /// All shards have obeyed, and this is answered.
    pub(crate) fn order_answered(&mut self, now: Mono, token: Token, answer: &[u8]) {
        let found = self.orders.heard.iter_mut().find(|(_, heard)| heard.token == token.0);
        let Some((&request, heard)) = found else { return };
        heard.answer = Some((now, answer.to_vec()));
        let Some(asked) = self.orders.asked.get(&request).cloned() else { return };
        let packet = Packet::parse(answer).ok();
        let signed = packet.as_ref().is_some_and(|packet| is_signed(packet, &request));
        let refused = packet.is_none_or(|packet| is_nak(packet.code()));
        let taken = || self.orders.taken.iter().filter(|taken| taken.token == token.0);
        let sure: Vec<SessionSerial> = taken().flat_map(|taken| taken.sure.iter().copied()).collect();
        let has_cut = taken().any(|taken| taken.has_cut);
        self.require(signed, "every answer is signed", || format!("order {}", token.0));
        if refused {
            self.tally("orders refused", 1);
            let is_excused = self.incarnations.iter().any(|truth| is_unaccounted(&asked, truth));
            let fine = sure.is_empty() || is_excused;
            self.require(fine, "who is online is found", || format!("order {}: {asked:?}", token.0));
            self.require(!has_cut, "a NAK changes nothing", || format!("order {}: {asked:?}", token.0));
            return;
        }
        self.require(!matches!(asked.target, Target::Nobody(_)), "only who is there can be found", || {
            format!("order {}: {asked:?}", token.0)
        });
        self.unaccounted_answered(token, &asked);
        match asked.wish {
            Wish::Disconnect => self.disconnect_answered(&asked, &sure),
            Wish::Change { .. } => self.change_answered(token, &asked, &sure),
        }
    }

    /// Where only one session can have been meant, and that is not accounted for: the ledger does not remember it, so it has
    /// gone.
    fn unaccounted_answered(&mut self, token: Token, asked: &Asked) {
        let has_id = |book: &Book| is_meant(asked, &self.incarnations[book.incarnation], Some(&book.session_id));
        let mut meant = self.incarnations.iter().filter(|truth| is_meant(asked, truth, None));
        let (Some(only), None) = (meant.next(), meant.next()) else { return };
        if !is_unaccounted(asked, only) || self.books.values().any(has_id) {
            return;
        }
        // A plane that does not obey is not waited for.
        let has_gone = only.gone.is_some() || only.vanished || only.turned_away || only.stays;
        let fine = has_gone && asked.wish == Wish::Disconnect;
        self.tally("disconnects of who is not accounted for", 1);
        self.require(fine, "an ACK promises nothing that a restart forgets", || {
            format!("order {}: {asked:?}", token.0)
        });
    }

    /// Whoever was meant is cut, and the ledger has it.
    fn disconnect_answered(&mut self, asked: &Asked, sure: &[SessionSerial]) {
        self.tally("disconnects acknowledged", 1);
        let by_id = |book: &Book| asked.target == Target::SessionId(book.session_id.clone());
        let mut wrong = None;
        for book in self.books.values_mut().filter(|book| sure.contains(&book.serial) || by_id(book)) {
            if !book.cut_durable && book.over.is_none() {
                wrong.get_or_insert(text(&book.session_id).into_owned());
            }
            if book.closed.is_none() {
                book.ordered.cut = book.cut;
            }
        }
        self.require(wrong.is_none(), "a Disconnect-ACK says that the cut is durable", || wrong.unwrap_or_default());
    }

    /// Whoever was meant is changed, and the ledger has it; unless a later order changed the same.
    fn change_answered(&mut self, token: Token, asked: &Asked, sure: &[SessionSerial]) {
        self.tally("changes acknowledged", 1);
        let by_id = |book: &Book| asked.target == Target::SessionId(book.session_id.clone());
        let mut wrong = None;
        for book in self.books.values().filter(|book| sure.contains(&book.serial) || by_id(book)) {
            let later = self.changes_since(token.0 + 1, book);
            let obeyed = book.ordered.durable.are(&asked.wish);
            let fine = obeyed.iter().zip(later).all(|(obeyed, later)| *obeyed || later);
            if !fine && book.closed.is_none() && book.over.is_none() {
                wrong.get_or_insert(format!("{}: {asked:?}, {:?}", text(&book.session_id), book.ordered));
            }
        }
        self.require(wrong.is_none(), "a CoA-ACK says that the change is durable", || wrong.unwrap_or_default());
    }

    /// Which fields orders from this one on have changed in this life, for all that is known.
    fn changes_since(&self, token: u64, book: &Book) -> [bool; 3] {
        let truth = &self.incarnations[book.incarnation];
        let mut changed = [false; 3];
        for taken in self.orders.taken.iter().filter(|taken| taken.token >= token && !taken.is_trial) {
            let Some(asked) = self.orders.asked.get(&taken.request) else { continue };
            if is_meant(asked, truth, Some(&book.session_id)) {
                changed.iter_mut().zip(names(&asked.wish)).for_each(|(changed, named)| *changed |= named);
            }
        }
        changed
    }

    /// A shard tells the ledger of a session anew.
    pub(super) fn terms_told(&mut self, opened: &Opened<'_>) {
        let terms = Terms::of(opened);
        let Some(book) = self.books.get(&opened.serial) else { return };
        let differ = book.ordered.terms.differ(&terms);
        let explained = self.changes_since(0, book);
        let wanted = differ.iter().zip(explained).all(|(differs, explained)| !differs || explained);
        let id = text(&book.session_id).into_owned();
        self.require(wanted, "a session changes when it is ordered", || format!("{id}: {terms:?}"));
        if let Some(book) = self.books.get_mut(&opened.serial) {
            if book.interim_s != opened.interim_s {
                book.interim_s = opened.interim_s;
                book.sent.forget_phase();
            }
            book.ordered.terms = terms.clone();
            book.ordered.on_the_way.push(terms);
        }
    }

    /// Who is cut by an authorization server has one who ordered it.
    pub(super) fn check_disconnect(&mut self, serial: SessionSerial, cut: Option<CutBy>) {
        let Some(book) = self.books.get(&serial) else { return };
        if cut != Some(CutBy::Disconnect) || book.cut == cut {
            return;
        }
        self.tally("disconnected", 1);
        let Some(book) = self.books.get(&serial) else { return };
        let truth = &self.incarnations[book.incarnation];
        let asked = &self.orders.asked;
        let means = |taken: &&mut Taken| {
            let asked = asked.get(&taken.request).filter(|asked| asked.wish == Wish::Disconnect && !taken.is_trial);
            asked.is_some_and(|asked| is_meant(asked, truth, Some(&book.session_id)))
        };
        let mut by: Vec<&mut Taken> = self.orders.taken.iter_mut().filter(means).collect();
        if let [one] = &mut by[..] {
            one.has_cut = true;
        }
        let (ordered, id) = (!by.is_empty(), text(&book.session_id).into_owned());
        self.require(ordered, "who is disconnected was to be", || id);
    }

    /// Whether somebody wants a session disconnected that is not accounted for.
    pub(super) fn is_disconnected_unaccounted(&self, incarnation: usize) -> bool {
        let truth = &self.incarnations[incarnation];
        truth.mode == AccountingMode::None
            && self
                .orders
                .taken
                .iter()
                .filter_map(|taken| self.orders.asked.get(&taken.request))
                .any(|asked| asked.wish == Wish::Disconnect && is_meant(asked, truth, None))
    }

    /// The process has died, and its judge with it; what was due at once was due.
    pub(super) fn orders_died(&mut self, now: Mono) {
        let dated = self.orders.asked.iter().filter(|(_, asked)| asked.is_dated).map(|(request, _)| *request);
        self.orders.outlived.extend(dated);
        self.orders.heard.clear();
        self.orders.taken.clear();
        let late = self.books.values().find(|book| book.ordered.is_late(now));
        let late = late.map(|book| text(&book.session_id).into_owned());
        self.require(late.is_none(), "an interim follows a CoA at once", || late.unwrap_or_default());
    }
}

impl Ordered {
    pub(super) fn new(opened: &Opened<'_>) -> Ordered {
        let terms = Terms::of(opened);
        Ordered { on_the_way: vec![terms.clone()], terms, ..Ordered::default() }
    }

    /// The record that came first of those that are on the way is durable.
    pub(super) fn make_durable(&mut self) {
        if !self.on_the_way.is_empty() {
            self.durable = self.on_the_way.remove(0);
        }
    }

    /// What recovery read is on the disk for certain.
    pub(super) fn settled(&mut self) {
        self.before = None;
    }

    /// A record tells all of the session.
    pub(super) fn checkpointed(&mut self, opened: &Opened<'_>) {
        self.checkpointed = Some(Terms::of(opened));
    }

    /// Recovery has read this.
    pub(super) fn read(&mut self, opened: &Opened<'_>) {
        self.read = Some(Terms::of(opened));
    }

    /// What was read is all there is; gives the interval.
    ///
    /// # Errors
    /// It is not what was durable, nor what was on its way.
    pub(super) fn begin_life(&mut self) -> Result<u32, String> {
        (self.reports, self.report_due) = (false, None);
        let on_the_way = std::mem::take(&mut self.on_the_way);
        let Some(read) = self.read.take() else { return Ok(self.terms.interim_s) };
        let may = |terms: &Terms| *terms == read;
        let known = self.durable == Terms::default()
            || may(&self.durable)
            || self.before.as_ref().is_some_and(may)
            || self.checkpointed.take().as_ref().is_some_and(may)
            || on_the_way.iter().any(may);
        let told = format!("{read:?} is read, {:?} was durable", self.durable);
        let durable = std::mem::replace(&mut self.durable, read.clone());
        self.before.get_or_insert(durable);
        self.terms = read;
        if known { Ok(self.terms.interim_s) } else { Err(told) }
    }

    /// The session was acknowledged to be cut, by this.
    pub(super) fn cut(&self) -> Option<CutBy> {
        self.cut
    }

    /// The next interim leaves; says whether one was to follow an order.
    pub(super) fn reports(&mut self) -> bool {
        self.report_due = None;
        std::mem::take(&mut self.reports)
    }

    /// Nothing more is reported but the Stop.
    pub(super) fn is_late(&self, now: Mono) -> bool {
        self.report_due.is_some_and(|due| due < now)
    }
}

fn is_nak(code: Code) -> bool {
    matches!(code, Code::DISCONNECT_NAK | Code::COA_NAK)
}

/// Whether a session is meant, now or under an address that it has had.
fn is_meant(asked: &Asked, truth: &Incarnation, session_id: Option<&[u8]>) -> bool {
    match &asked.target {
        Target::SessionId(id) => Some(&**id) == session_id,
        Target::User(user) => *user == truth.user,
        Target::Address(address) => truth.addresses.contains(address),
        Target::Nobody(_) => false,
    }
}

/// Whether a session is meant that the ledger knows nothing of.
fn is_unaccounted(asked: &Asked, truth: &Incarnation) -> bool {
    truth.mode == AccountingMode::None && is_meant(asked, truth, None)
}
