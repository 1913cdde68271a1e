//! The room as a black box: lines and files in, answers and settings out.

mod announcement;
mod authorization;
mod bills;
mod file;
mod hostile;
mod hwtacacs;
mod paths;
mod queue;
mod reference;
mod relay;
mod seeds;
mod sitting;
mod sources;
mod support;
mod terms;
mod two_phase;
mod users;
