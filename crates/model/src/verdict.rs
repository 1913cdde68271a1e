//! What a packet plane is told about a session.

use crate::counters::CounterSlot;
use crate::ids::PlaneIndex;

/// A sentence on one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The plane that has the session.
    pub plane: PlaneIndex,
    /// The plane's own name of it.
    pub session: &'a [u8],
    /// Where its counters are, as the plane has said last; generation 0, which is never valid: nobody has said it. A verdict may
    /// come when its session is gone and another one has the name, and by this they are told apart.
    pub counters: CounterSlot,
    /// What to do.
    pub sentence: Sentence,
    /// Why.
    pub reason: Reason,
}

/// What to do with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Sentence {
    /// Let it go online.
    Admit = 1,
    /// Do not let it go online. No Down is expected.
    Refuse = 2,
    /// Log it out. The plane answers with a Down.
    Cut = 3,
    /// Let it go online, or stay there, but lead it to where its domain says.
    Redirect = 4,
}

/// Why a sentence was given. The text is what `tollgate feed` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The session is in the ledger.
    Opened = 1,
    /// The accounting server accepted the Start.
    StartAccepted = 2,
    /// The domain's scheme does no accounting.
    NotAccounted = 3,
    /// The session was known already.
    Known = 4,
    /// The Start was not answered and the scheme says `start-fail offline`.
    StartFailed = 5,
    /// Interims were not answered and the scheme says `interim-fail offline`.
    InterimFailed = 6,
    /// The event names a domain that is not configured.
    NoDomain = 7,
    /// Every session slot is taken.
    Full = 8,
    /// The event is malformed.
    Malformed = 9,
    /// The accounting is being shut down.
    ShuttingDown = 10,
    /// An operator said so.
    CutByOperator = 11,
    /// The same session came up again.
    Replaced = 12,
    /// Its Session-Timeout has run out, or was zero.
    SessionTimeout = 13,
    /// Its time or volume quota is used up.
    QuotaOut = 14,
    /// Its addresses were not known in time (`accounting-start-delay … offline`).
    StartDelay = 15,
    /// A quota is used up, and its accounting ends although it stays online: the plane answers with a Down, and says
    /// nothing of the session any more.
    AccountingStopped = 16,
    /// An authorization server said so (RFC 5176).
    Disconnected = 20,
}

/// Acct-Terminate-Cause *Session Timeout* (RFC 2866 section 5.10): of a timeout, a time quota and a volume quota.
pub const SESSION_TIMEOUT: u8 = 5;

/// Who had a session cut. Its Stop explains the end by it, whatever the plane's Down says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CutBy {
    /// `interim-fail offline`.
    InterimFail = 1,
    /// `cut access-user`.
    Operator = 2,
    /// Its Session-Timeout.
    SessionTimeout = 3,
    /// Its time or volume quota.
    QuotaOut = 4,
    /// Any of these limits, and it is led elsewhere instead of logged out.
    Redirected = 5,
    /// A Disconnect-Request (RFC 5176).
    Disconnect = 8,
    /// `shutdown accounting`.
    Shutdown = 9,
}

impl CutBy {
    /// What the plane is told.
    pub const fn reason(self) -> Reason {
        match self {
            CutBy::InterimFail => Reason::InterimFailed,
            CutBy::Operator => Reason::CutByOperator,
            CutBy::SessionTimeout => Reason::SessionTimeout,
            CutBy::QuotaOut => Reason::QuotaOut,
            CutBy::Redirected => Reason::AccountingStopped,
            CutBy::Disconnect => Reason::Disconnected,
            CutBy::Shutdown => Reason::ShuttingDown,
        }
    }

    /// And what it does then. Either way it says Down.
    pub const fn sentence(self) -> Sentence {
        match self {
            CutBy::InterimFail
            | CutBy::Operator
            | CutBy::SessionTimeout
            | CutBy::QuotaOut
            | CutBy::Disconnect
            | CutBy::Shutdown => Sentence::Cut,
            CutBy::Redirected => Sentence::Redirect,
        }
    }

    /// Acct-Terminate-Cause: *NAS Error* (BEHAVIOUR.md 3.4), *Admin Reset*, *Admin Reboot*, *Session Timeout* for quotas as well
    /// (BEHAVIOUR.md 8.3, RFC 2866 section 5.10).
    pub const fn terminate_cause(self) -> u8 {
        match self {
            CutBy::InterimFail => 9,
            CutBy::Operator | CutBy::Disconnect => 6,
            CutBy::Shutdown => 7,
            CutBy::SessionTimeout | CutBy::QuotaOut | CutBy::Redirected => SESSION_TIMEOUT,
        }
    }

    /// From the number in a record.
    pub const fn from_u8(value: u8) -> Option<CutBy> {
        Some(match value {
            1 => CutBy::InterimFail,
            2 => CutBy::Operator,
            3 => CutBy::SessionTimeout,
            4 => CutBy::QuotaOut,
            5 => CutBy::Redirected,
            8 => CutBy::Disconnect,
            9 => CutBy::Shutdown,
            _ => return None,
        })
    }
}

impl Sentence {
    /// `admit`, `refuse`, `cut` or `redirect`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Sentence::Admit => "admit",
            Sentence::Refuse => "refuse",
            Sentence::Cut => "cut",
            Sentence::Redirect => "redirect",
        }
    }

    /// From the number on the link.
    pub const fn from_u8(value: u8) -> Option<Sentence> {
        Some(match value {
            1 => Sentence::Admit,
            2 => Sentence::Refuse,
            3 => Sentence::Cut,
            4 => Sentence::Redirect,
            _ => return None,
        })
    }
}

impl Reason {
    /// A word of lower-case letters and hyphens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Opened => "opened",
            Reason::StartAccepted => "start-accepted",
            Reason::NotAccounted => "not-accounted",
            Reason::Known => "known",
            Reason::StartFailed => "start-failed",
            Reason::InterimFailed => "interim-failed",
            Reason::NoDomain => "no-domain",
            Reason::Full => "full",
            Reason::Malformed => "malformed",
            Reason::ShuttingDown => "shutting-down",
            Reason::CutByOperator => "cut-by-operator",
            Reason::Replaced => "replaced",
            Reason::SessionTimeout => "session-timeout",
            Reason::QuotaOut => "quota-out",
            Reason::StartDelay => "start-delay",
            Reason::AccountingStopped => "accounting-stopped",
            Reason::Disconnected => "disconnected",
        }
    }

    /// From the number on the link.
    pub const fn from_u8(value: u8) -> Option<Reason> {
        Some(match value {
            1 => Reason::Opened,
            2 => Reason::StartAccepted,
            3 => Reason::NotAccounted,
            4 => Reason::Known,
            5 => Reason::StartFailed,
            6 => Reason::InterimFailed,
            7 => Reason::NoDomain,
            8 => Reason::Full,
            9 => Reason::Malformed,
            10 => Reason::ShuttingDown,
            11 => Reason::CutByOperator,
            12 => Reason::Replaced,
            13 => Reason::SessionTimeout,
            14 => Reason::QuotaOut,
            15 => Reason::StartDelay,
            16 => Reason::AccountingStopped,
            20 => Reason::Disconnected,
            _ => return None,
        })
    }
}
