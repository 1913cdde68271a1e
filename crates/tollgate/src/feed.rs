//! x
pub(crate) fn feed(_: &crate::args::FeedArgs) -> crate::exit::Outcome { Ok(()) }
