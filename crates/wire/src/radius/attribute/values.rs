//! Values that have names.

/// Acct-Status-Type (RFC 2866 section 5.1).
pub mod acct_status_type {
    /// Start.
    pub const START: u32 = 1;
    /// Stop.
    pub const STOP: u32 = 2;
    /// Interim-Update.
    pub const INTERIM_UPDATE: u32 = 3;
    /// Accounting-On.
    pub const ACCOUNTING_ON: u32 = 7;
    /// Accounting-Off.
    pub const ACCOUNTING_OFF: u32 = 8;
}

/// Acct-Authentic (RFC 2866 section 5.6).
pub mod acct_authentic {
    /// RADIUS.
    pub const RADIUS: u32 = 1;
    /// Local.
    pub const LOCAL: u32 = 2;
    /// Remote.
    pub const REMOTE: u32 = 3;
}

/// Acct-Terminate-Cause (RFC 2866 section 5.10; what each means here: BEHAVIOUR.md 8.3).
pub mod acct_terminate_cause {
    /// User-Request.
    pub const USER_REQUEST: u32 = 1;
    /// Lost-Carrier.
    pub const LOST_CARRIER: u32 = 2;
    /// Lost-Service.
    pub const LOST_SERVICE: u32 = 3;
    /// Idle-Timeout.
    pub const IDLE_TIMEOUT: u32 = 4;
    /// Session-Timeout.
    pub const SESSION_TIMEOUT: u32 = 5;
    /// Admin-Reset.
    pub const ADMIN_RESET: u32 = 6;
    /// Admin-Reboot.
    pub const ADMIN_REBOOT: u32 = 7;
    /// Port-Error.
    pub const PORT_ERROR: u32 = 8;
    /// NAS-Error.
    pub const NAS_ERROR: u32 = 9;
    /// NAS-Request.
    pub const NAS_REQUEST: u32 = 10;
    /// NAS-Reboot.
    pub const NAS_REBOOT: u32 = 11;
    /// Port-Unneeded.
    pub const PORT_UNNEEDED: u32 = 12;
    /// Port-Preempted.
    pub const PORT_PREEMPTED: u32 = 13;
    /// Port-Suspended.
    pub const PORT_SUSPENDED: u32 = 14;
    /// Service-Unavailable.
    pub const SERVICE_UNAVAILABLE: u32 = 15;
    /// Callback.
    pub const CALLBACK: u32 = 16;
    /// User-Error.
    pub const USER_ERROR: u32 = 17;
    /// Host-Request.
    pub const HOST_REQUEST: u32 = 18;
}

/// Error-Cause (RFC 5176 section 3.5).
pub mod error_cause {
    /// An attribute that is not known here, or has no place in the request.
    pub const UNSUPPORTED_ATTRIBUTE: u32 = 401;
    /// Nothing tells which session is meant, or what is to change.
    pub const MISSING_ATTRIBUTE: u32 = 402;
    /// Another NAS is meant.
    pub const NAS_IDENTIFICATION_MISMATCH: u32 = 403;
    /// The request makes no sense.
    pub const INVALID_REQUEST: u32 = 404;
    /// The Service-Type is not known here.
    pub const UNSUPPORTED_SERVICE: u32 = 405;
    /// A value is malformed or out of range.
    pub const INVALID_ATTRIBUTE_VALUE: u32 = 407;
    /// The box is configured not to do that to such a session.
    pub const ADMINISTRATIVELY_PROHIBITED: u32 = 501;
    /// No such session.
    pub const SESSION_CONTEXT_NOT_FOUND: u32 = 503;
    /// There is no room to obey it now.
    pub const RESOURCES_UNAVAILABLE: u32 = 506;
}

/// Service-Type (RFC 2865 section 5.6).
pub mod service_type {
    /// Login.
    pub const LOGIN: u32 = 1;
    /// Framed.
    pub const FRAMED: u32 = 2;
    /// Administrative.
    pub const ADMINISTRATIVE: u32 = 6;
    /// Authorize-Only.
    pub const AUTHORIZE_ONLY: u32 = 17;
}

/// Framed-Protocol (RFC 2865 section 5.7).
pub mod framed_protocol {
    /// PPP.
    pub const PPP: u32 = 1;
}

/// NAS-Port-Type (RFC 2865 section 5.41, RFC 4603).
pub mod nas_port_type {
    /// Virtual.
    pub const VIRTUAL: u32 = 5;
    /// Ethernet.
    pub const ETHERNET: u32 = 15;
    /// PPPoEoE.
    pub const PPPOEOE: u32 = 32;
    /// PPPoEoVLAN.
    pub const PPPOEOVLAN: u32 = 33;
    /// PPPoEoQinQ.
    pub const PPPOEOQINQ: u32 = 34;
    /// xPON.
    pub const XPON: u32 = 35;
}
