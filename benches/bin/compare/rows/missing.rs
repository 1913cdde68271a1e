//! Rows of the table that nothing can fill yet; each says why.

use crate::table::Row;

pub(crate) fn relay() -> Vec<Row> {
    let what = "the relay, durable before answered, against FreeRADIUS as a relay";
    vec![Row::not_yet("relay", what, "no relay in this release")]
}
