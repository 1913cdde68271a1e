//! What the process gives up once it has what it needs, so that whoever gets into it gets no further.
//!
//! | door | what it closes | from Linux |
//! |---|---|---|
//! | [`keep_memory_private`] | core dumps, and other processes of the same user that would read this one's memory | 2.6 |
//! | [`confine_files`] | names outside some directories, programs, devices, signals to others (Landlock) | 5.13, all of it 6.12 |
//! | [`confine_calls`] | system calls that nobody here makes (seccomp) | 4.14 |
//!
//! None of them can be taken back, and processes that are begun later have them too. The operations of an io_uring are system
//! calls that no filter sees; a ring of [`datapath`](crate::datapath) refuses by itself what its engine never asks for.
//!
//! A kernel that lacks one of these is no reason not to run: [`Confined`] says what is missing.

mod calls;
mod files;
mod memory;

#[cfg(test)]
mod tests;

pub use calls::confine_calls;
pub use files::confine_files;
pub use memory::keep_memory_private;

/// How much of what was asked for the kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confined {
    /// All of it.
    Whole,
    /// What this kernel has; newer ones have more.
    Partly,
    /// Nothing: the kernel has no such thing, or has it switched off.
    Not,
}
