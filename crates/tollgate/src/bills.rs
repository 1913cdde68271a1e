//! x
pub(crate) fn bills(_: &crate::args::BillsArgs) -> crate::exit::Outcome { Ok(()) }
