//! How sessions are accounted for: when, and what follows when nobody answers (BEHAVIOUR.md section 3).

/// An accounting scheme (BEHAVIOUR.md section 3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountingScheme {
    /// `None`: the default of this scheme, see [`AccountingScheme::mode_or_default`].
    pub mode: Option<AccountingMode>,
    /// What to do when a Start fails.
    pub start_fail: StartFail,
    /// Real-time accounting; `None`: off.
    pub interim: Option<Interim>,
    /// What to do when interims fail.
    pub interim_fail: InterimFail,
    /// `accounting send-update`: an interim at once when the Start was acknowledged.
    pub send_update: bool,
    /// `accounting interim no-send remain-time`: no interim when so little of the time quota is left, seconds; 0: always one.
    pub no_send_remain_s: u16,
    /// `accounting policy shadow`: who would be refused or cut is told, and stays.
    pub shadow: bool,
}

impl AccountingScheme {
    /// `default` and `default0` do no accounting; `default1` and every scheme that a user makes do RADIUS.
    pub fn mode_or_default(&self, name: &str) -> AccountingMode {
        self.mode.unwrap_or({
            if name.eq_ignore_ascii_case("default") || name.eq_ignore_ascii_case("default0") {
                AccountingMode::None
            } else {
                AccountingMode::Radius
            }
        })
    }

    /// The scheme as a session takes it at log-in.
    pub fn pinned(&self, name: &str) -> PinnedScheme {
        PinnedScheme {
            mode: self.mode_or_default(name),
            start_fail: self.start_fail,
            interim_s: self.interim.map_or(0, |interim| interim.seconds()),
            interim_hash: self.interim.is_some_and(|interim| interim.hash),
            interim_traffic: self.interim.is_some_and(|interim| interim.traffic),
            send_update: self.send_update,
            no_send_remain_s: self.no_send_remain_s,
            shadow: self.shadow,
            interim_fail: self.interim_fail,
        }
    }
}

/// A scheme as one session took it at log-in; later changes touch later sessions (BEHAVIOUR.md 3.3, rule 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PinnedScheme {
    /// Whom to report to.
    pub mode: AccountingMode,
    /// What to do when the Start fails.
    pub start_fail: StartFail,
    /// The scheme's own interval, seconds, 0–3,932,100; 0: off.
    pub interim_s: u32,
    /// Whether the first interim is hashed into [T, 2T].
    pub interim_hash: bool,
    /// Whether an interim waits until something has been counted since the last one that was acknowledged.
    pub interim_traffic: bool,
    /// Whether an interim follows an acknowledged Start at once.
    pub send_update: bool,
    /// No interim when so little of the time quota is left, seconds; 0: always one.
    pub no_send_remain_s: u16,
    /// Whether `offline` is only told of, and nobody refused or cut by it.
    pub shadow: bool,
    /// What to do when interims fail.
    pub interim_fail: InterimFail,
}

/// Whom to report to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AccountingMode {
    /// Nobody: no packets, no bills.
    None = 0,
    /// RADIUS servers.
    #[default]
    Radius = 1,
    /// HWTACACS servers.
    Hwtacacs = 2,
}

impl AccountingMode {
    /// As the command line and bills spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            AccountingMode::None => "none",
            AccountingMode::Radius => "radius",
            AccountingMode::Hwtacacs => "hwtacacs",
        }
    }
}

/// `accounting start-fail` (owner's decision 2: online by default).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StartFail {
    /// The subscriber stays; a zero Stop is sent at once and accounting ends.
    #[default]
    Online = 0,
    /// The subscriber stays and accounting goes on.
    OnlineKeepAccounting = 1,
    /// The log-in is refused.
    Offline = 2,
}

/// `accounting interim interval` and `accounting realtime`: one setting, two spellings (BEHAVIOUR.md 11.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interim {
    /// As typed, 0–65,535; 0: off.
    pub value: u16,
    /// Unit of `value`.
    pub unit: IntervalUnit,
    /// First interim at a hashed moment in [T, 2T].
    pub hash: bool,
    /// Only when traffic has flowed since the last interim that was acknowledged.
    pub traffic: bool,
    /// How it was typed.
    pub spelling: InterimSpelling,
}

impl Interim {
    /// The interval in seconds.
    pub const fn seconds(self) -> u32 {
        match self.unit {
            IntervalUnit::Minute => self.value as u32 * 60,
            IntervalUnit::Second => self.value as u32,
        }
    }
}

/// Unit of an interim interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalUnit {
    /// The default.
    Minute,
    /// With the keyword `second`.
    Second,
}

/// Which of the two commands set the interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterimSpelling {
    /// `accounting interim interval N …`
    Interval,
    /// `accounting realtime N`
    Realtime,
}

/// `accounting interim-fail` (BEHAVIOUR.md 3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterimFail {
    /// The policy comes with failure `max_times` + 1 in a row; 1–255.
    pub max_times: u8,
    /// Whether the subscriber is logged out then.
    pub policy: InterimFailPolicy,
}

impl Default for InterimFail {
    fn default() -> InterimFail {
        InterimFail { max_times: 3, policy: InterimFailPolicy::Online }
    }
}

/// `accounting policy brake`: how many subscribers `interim-fail offline` may cut at most (owner's decision 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutBrake {
    /// The share of the online users, per cent, 1–100.
    pub percent: u8,
    /// In any period of so many seconds, 1–86,400.
    pub seconds: u32,
}

/// What happens to the subscriber when interims fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum InterimFailPolicy {
    /// It stays, and interims go on.
    #[default]
    Online = 0,
    /// It is logged out.
    Offline = 1,
}
