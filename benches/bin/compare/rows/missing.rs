//! Rows of the table that nothing can fill yet; each says why.

use crate::table::Row;

pub(crate) fn relay() -> Vec<Row> {
    let what = "the relay, durable before answered, against FreeRADIUS as a relay";
    vec![Row::not_yet("relay", what, "no relay in this release")]
}

pub(crate) fn lateness() -> Vec<Row> {
    vec![Row::not_yet("lateness", "lateness of hashed interims, p99.9", "the daemon does not tell it")]
}
