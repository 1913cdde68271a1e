//! How a RADIUS server that is Down is found out to be back (BEHAVIOUR.md 5.2).

/// `radius-server state-recovery-detect`, for the two kinds of servers; `None`: the dead-time ends by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RadiusRecovery {
    /// Of accounting servers.
    pub accounting: Option<RecoveryDetect>,
    /// Of authentication servers: kept and printed, since nobody authenticates here.
    pub authentication: Option<RecoveryDetect>,
}

/// Probes that ask a server that is Down whether it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryDetect {
    /// A Start and a Stop of this user, 1–253 octets; `None`: Status-Server (RFC 5997).
    pub user: Option<String>,
    /// Seconds from one probe to the next, 1–3,600.
    pub interval_s: u16,
    /// So many answered in a row make it Up, 1–10.
    pub threshold: u8,
}

impl RecoveryDetect {
    /// Seconds, when the command names none.
    pub const INTERVAL_DEFAULT_S: u16 = 60;
    /// Probes, when the command names none.
    pub const THRESHOLD_DEFAULT: u8 = 1;
}
