//! What a packet plane is told about a session.

use crate::ids::PlaneIndex;

/// A sentence on one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The plane that has the session.
    pub plane: PlaneIndex,
    /// The plane's own name of it.
    pub session: &'a [u8],
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
}

/// Who had a session cut. Its Stop explains the end by it, whatever the plane's Down says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CutBy {
    /// `interim-fail offline`.
    InterimFail = 1,
    /// `cut access-user`.
    Operator = 2,
}

impl CutBy {
    /// What the plane is told.
    pub const fn reason(self) -> Reason {
        match self {
            CutBy::InterimFail => Reason::InterimFailed,
            CutBy::Operator => Reason::CutByOperator,
        }
    }

    /// Acct-Terminate-Cause: *NAS Error* (BEHAVIOUR.md 3.4), *Admin Reset* (RFC 2866 section 5.10).
    pub const fn terminate_cause(self) -> u8 {
        match self {
            CutBy::InterimFail => 9,
            CutBy::Operator => 6,
        }
    }

    /// From the number in a record.
    pub const fn from_u8(value: u8) -> Option<CutBy> {
        Some(match value {
            1 => CutBy::InterimFail,
            2 => CutBy::Operator,
            _ => return None,
        })
    }
}

impl Sentence {
    /// `admit`, `refuse` or `cut`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Sentence::Admit => "admit",
            Sentence::Refuse => "refuse",
            Sentence::Cut => "cut",
        }
    }

    /// From the number on the link.
    pub const fn from_u8(value: u8) -> Option<Sentence> {
        Some(match value {
            1 => Sentence::Admit,
            2 => Sentence::Refuse,
            3 => Sentence::Cut,
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
            _ => return None,
        })
    }
}
