//! # Kernel: the only door to the operating system
//!
//! Workers and the ledger's writer reach datagrams, files, clocks and shared memory through here, and nowhere else.
//!
//! | module | what it opens |
//! |---|---|
//! | [`datapath`] | the workers' datagrams: batched UDP over io_uring, or over epoll where the kernel has no io_uring |
//! | [`stream`](mod@stream) | the workers' TCP connections, non-blocking, beside a datapath |
//! | [`datagram`](mod@datagram) | a plain UDP socket for the control thread |
//! | [`waker`] | an eventfd that ends a worker's wait from any thread |
//! | [`clock`] | the boot clock that measures, the wall clock that is printed, the identity of this boot |
//! | [`file`](mod@file) | the log's preallocated files, files replaced whole, the lock on a directory |
//! | [`source`] | the own address that datagrams leave from |
//! | [`shared_memory`] | a packet plane's sealed memory as 64-bit atomics |
//! | [`seqpacket`] | the Unix sockets that pass descriptors |
//! | [`netlink`] | the kernel's own datagrams about interfaces |
//! | [`bpf`] | pinned maps of eBPF programs |
//! | [`cores`] | pinning a thread |
//! | [`random`] | unpredictable bytes |
//! | [`limits`] | how many descriptors may be open |
//! | [`sandbox`] | nothing: it closes what is not needed any more |
//! | [`notify`] | telling the service manager that start-up is over |
//!
//! **Comes in:** bytes with an address or an offset, and descriptors that a plane passed.
//! **Goes out:** the same, and errors by class.
//! **Never:** the meaning of a byte it carries. Nothing here knows a protocol, a record or a command; nothing here
//! decides to try again, except where the kernel itself asks for it.
//!
//! **Full:** a datapath has a fixed number of transmit slots; when none is free, [`datapath::Datapath::transmit`]
//! refuses and the caller keeps its work. Receive buffers that run out leave datagrams in the socket's own buffer,
//! and when that is full too the kernel drops and counts them ([`datapath::Counts::receive_overflow`]). A stream's queue takes
//! a write whole or not at all ([`stream::NotTaken`]); what is not read waits in the socket, and slows its sender down.
//!
//! **How many, how much memory:** one datapath per worker, sized once by [`datapath::Limits`] whose documentation has
//! the formula; with the defaults (256 slots, 512 buffers) 40 MiB of addresses, of which only touched pages, 2 to
//! 10 MiB, are resident; beside it one [`stream::Streams`], sized by [`stream::StreamLimits`]. After opening, neither
//! allocates for what it carries. Everything else is used by the control thread or at start and may allocate.

pub mod bpf;
pub mod clock;
pub mod cores;
pub mod datagram;
pub mod datapath;
pub mod file;
pub mod limits;
mod mapping;
pub mod netlink;
pub mod notify;
pub mod random;
pub mod sandbox;
pub mod seqpacket;
pub mod shared_memory;
mod sockopt;
pub mod source;
pub mod stream;
pub mod waker;
