//! Transfers against scripts of datagrams, and against a model of a server behind a bad link.

mod link;
mod scripts;
