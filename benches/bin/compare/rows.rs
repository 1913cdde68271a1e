//! The rows of the table, one file per question.

pub(crate) mod clients;
pub(crate) mod growth;
pub(crate) mod hearts;
pub(crate) mod interims;
pub(crate) mod lateness;
pub(crate) mod log_ins;
pub(crate) mod memory;
pub(crate) mod paced;
pub(crate) mod relay;
pub(crate) mod storm;
pub(crate) mod transports;
