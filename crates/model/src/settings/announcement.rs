//! `radius-server accounting-on enable`: whether a group's servers are told that the box begins to account, and ceases to
//! (RFC 2866 section 5.1, DESIGN.md section 4).

/// Whether, and what waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountingOn {
    /// They are not told.
    #[default]
    Disabled,
    /// They are told before the first Start.
    Enabled,
    /// `wait`: the first Start waits for the answer, or until the server has had its transmissions.
    Wait,
}
