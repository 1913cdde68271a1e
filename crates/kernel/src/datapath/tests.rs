//! One table of tests for both engines. Whatever a test says of one, it says of the other.

mod gathered;
mod privilege;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{
    BindSpec, Choice, Completion, Counts, Datapath, Limits, NotQueued, OpenError, RECEIVE_MAX, SocketIndex,
    TransmitError,
};
use crate::waker::Waker;

/// After this a test that still waits has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const SMALL: Limits = Limits { sockets: 8, watches: 2, transmit_slots: 8, receive_buffers: 16, coalesce: true };

/// Opens one engine; `None`, with the reason, where this kernel does not have it.
fn open(choice: Choice, limits: Limits) -> Option<Datapath> {
    match Datapath::open(choice, limits) {
        Ok(opened) => Some(opened.datapath),
        Err(OpenError::IoUring(missing)) => {
            println!("skipped: {missing}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Runs `test` with each engine, on a thread of its own: the end of a ring would interrupt the next wait of its thread.
fn check(limits: Limits, test: impl Fn(Datapath) + Sync) {
    for choice in [Choice::IoUring, Choice::Epoll] {
        if let Some(datapath) = open(choice, limits) {
            println!("engine {}", datapath.engine_name());
            thread::scope(|scope| scope.spawn(|| test(datapath)).join().expect("the test of this engine"));
        }
    }
}

fn any_v4() -> BindSpec<'static> {
    BindSpec { local: (Ipv4Addr::LOCALHOST, 0).into(), device: None, receive_buffer: 0, send_buffer: 0 }
}

fn peer() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Submits, waits and shows completions to `seen` until it says that it has seen enough.
fn run(datapath: &mut Datapath, mut seen: impl FnMut(Completion<'_>) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut is_done = false;
    while !is_done {
        assert!(Instant::now() < deadline, "still waiting: {datapath:?}");
        datapath.submit_and_wait(Some(Duration::from_millis(100))).unwrap();
        while let Some(completion) = datapath.next() {
            is_done |= seen(completion);
        }
    }
}

/// The next datagrams, with their senders, in the order of arrival.
fn receive(datapath: &mut Datapath, count: usize) -> Vec<(SocketIndex, SocketAddr, Vec<u8>)> {
    let mut datagrams = Vec::new();
    run(datapath, |completion| {
        let Completion::Datagram { socket, from, bytes, truncated: false } = completion else {
            panic!("{completion:?}")
        };
        datagrams.push((socket, from, bytes.to_vec()));
        datagrams.len() >= count
    });
    datagrams
}

/// Submits without waiting, and expects that nothing has happened.
fn expect_silence(datapath: &mut Datapath) {
    for _ in 0..3 {
        datapath.submit_and_wait(Some(Duration::from_millis(5))).unwrap();
        assert_eq!(datapath.next(), None);
    }
}

#[test]
fn datagrams_go_and_come_back() {
    check(SMALL, |mut datapath| {
        for local in [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), (Ipv6Addr::LOCALHOST, 0).into()] {
            let echo = UdpSocket::bind(local).unwrap();
            let spec = BindSpec { local, device: None, receive_buffer: 1 << 20, send_buffer: 1 << 20 };
            let socket = datapath.bind(spec).unwrap();
            let address = datapath.local_addr(socket).unwrap();
            assert!(address.ip() == local.ip() && address.port() != 0);
            for length in [0_u16, 1, 20, 512, 1472, 1473, 4096] {
                let sent: Vec<u8> = (0..length).map(|octet| octet.to_le_bytes()[0]).collect();
                datapath.transmit(socket, echo.local_addr().unwrap(), &sent).unwrap();
                datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
                let mut room = [0; 5000];
                let (received, from) = echo.recv_from(&mut room).unwrap();
                assert_eq!((&room[..received], from), (&sent[..], address));
                echo.send_to(&sent, from).unwrap();
                assert_eq!(receive(&mut datapath, 1), [(socket, echo.local_addr().unwrap(), sent)]);
            }
        }
        let Counts { datagrams_in, datagrams_out, messages_out, .. } = datapath.counts();
        assert_eq!((datagrams_in, datagrams_out, messages_out), (14, 14, 14));
    });
}

#[test]
fn a_reply_from_anywhere_is_seen() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let address = datapath.local_addr(socket).unwrap();
        let (server, server_address) = peer();
        let (stranger, stranger_address) = peer();
        datapath.transmit(socket, server_address, b"request").unwrap();
        datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
        stranger.send_to(b"forged", address).unwrap();
        server.send_to(b"reply", address).unwrap();
        let expected = [(socket, stranger_address, b"forged".to_vec()), (socket, server_address, b"reply".to_vec())];
        assert_eq!(receive(&mut datapath, 2), expected);
    });
}

#[test]
fn a_full_queue_refuses_and_recovers() {
    check(Limits { transmit_slots: 4, coalesce: false, ..SMALL }, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let (server, address) = peer();
        for round in 0..3_u8 {
            for room in (0..4_u8).rev() {
                datapath.transmit(socket, address, &[round, room]).unwrap();
                assert_eq!(datapath.transmit_room(), usize::from(room));
            }
            assert_eq!(datapath.transmit(socket, address, b"one too many"), Err(NotQueued::Full));
            // No timeout: that a slot becomes free is what ends the wait.
            datapath.submit_and_wait(None).unwrap();
            assert_eq!(datapath.next(), None);
            assert_eq!(datapath.transmit_room(), 4);
            for room in (0..4).rev() {
                let mut octets = [0; 16];
                assert_eq!(server.recv(&mut octets).unwrap(), 2);
                assert_eq!(octets[..2], [round, room]);
            }
        }
        assert_eq!(datapath.transmit(socket, address, &[0; 4097]), Err(NotQueued::TooLong));
        assert_eq!(datapath.transmit(SocketIndex(7), address, b""), Err(NotQueued::Closed));
        assert_eq!(datapath.transmit(SocketIndex(60_000), address, b""), Err(NotQueued::Closed));
    });
}

#[test]
fn nothing_leaves_before_it_is_submitted() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let (server, address) = peer();
        datapath.transmit(socket, address, b"queued").unwrap();
        server.set_nonblocking(true).unwrap();
        assert_eq!(server.recv(&mut [0; 16]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
        assert_eq!(server.recv(&mut [0; 16]).unwrap(), 6);
    });
}

#[test]
fn an_oversized_datagram_is_seen_as_such() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let address = datapath.local_addr(socket).unwrap();
        let (server, _) = peer();
        for (length, kept, expected) in [
            (4096, 4096, false),
            (4097, 4097, false),
            (RECEIVE_MAX, RECEIVE_MAX, false),
            (RECEIVE_MAX + 1, RECEIVE_MAX, true),
            (65_507, RECEIVE_MAX, true),
        ] {
            server.send_to(&vec![7; length], address).unwrap();
            run(&mut datapath, |completion| {
                let Completion::Datagram { bytes, truncated, .. } = completion else { panic!("{completion:?}") };
                assert_eq!((bytes.len(), truncated), (kept, expected), "{length}");
                assert!(bytes.iter().all(|octet| *octet == 7));
                true
            });
        }
        assert_eq!(datapath.counts().truncated, 2);
    });
}

#[test]
fn a_waker_ends_the_wait_from_another_thread() {
    check(SMALL, |mut datapath| {
        let waker = Arc::new(Waker::new().unwrap());
        let watch = datapath.watch(&waker).unwrap();
        for _ in 0..3 {
            let ringing = Arc::clone(&waker);
            let other = thread::spawn(move || (0..5).for_each(|_| ringing.wake()));
            let mut is_woken = false;
            while !is_woken {
                datapath.submit_and_wait(None).unwrap();
                while let Some(completion) = datapath.next() {
                    assert_eq!(completion, Completion::Woken { watch });
                    is_woken = true;
                }
            }
            other.join().unwrap();
            // What rang after it was heard is heard now.
            datapath.submit_and_wait(Some(Duration::from_millis(5))).unwrap();
            while datapath.next().is_some() {}
            assert!(!waker.drain(), "the datapath drains");
        }
        waker.wake();
        datapath.submit_and_wait(None).unwrap();
        datapath.unwatch(watch);
        waker.wake();
        expect_silence(&mut datapath);
        assert!(waker.drain(), "a bell that is not watched keeps its rings");
    });
}

#[test]
fn watches_are_bounded_and_used_again() {
    check(SMALL, |mut datapath| {
        let wakers = [(); 3].map(|()| Waker::new().unwrap());
        for _ in 0..5 {
            let first = datapath.watch(&wakers[0]).unwrap();
            let second = datapath.watch(&wakers[1]).unwrap();
            assert_eq!(datapath.watch(&wakers[2]).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
            wakers[1].wake();
            run(&mut datapath, |completion| completion == Completion::Woken { watch: second });
            datapath.unwatch(first);
            datapath.unwatch(second);
            datapath.unwatch(second);
            expect_silence(&mut datapath);
        }
    });
}

#[test]
fn a_wait_lasts_as_long_as_it_should() {
    check(SMALL, |mut datapath| {
        datapath.bind(any_v4()).unwrap();
        for millis in [0, 1, 30] {
            let timeout = Duration::from_millis(millis);
            let started = Instant::now();
            datapath.submit_and_wait(Some(timeout)).unwrap();
            assert!(started.elapsed() >= timeout);
            assert_eq!(datapath.next(), None);
        }
        let (_server, address) = peer();
        let socket = datapath.bind(any_v4()).unwrap();
        datapath.transmit(socket, address, b"sent in silence").unwrap();
        let started = Instant::now();
        datapath.submit_and_wait(Some(Duration::from_millis(30))).unwrap();
        assert!(started.elapsed() >= Duration::from_millis(30), "a send alone does not end the wait");
    });
}

/// 64 sockets exchange 20,000 datagrams with an echo on a datapath of its own, at most 256 under way.
/// Whatever is expected, nothing is waited for beyond the time that was given, and what comes is handed over by then.
#[test]
fn what_is_gathered_comes_and_is_not_waited_for_too_long() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let to = datapath.local_addr(socket).unwrap();
        let (peer, from) = peer();
        let wait = Some(Duration::from_millis(30));
        datapath.submit_and_gather(wait, 5).unwrap();
        assert_eq!(datapath.next(), None);
        // As many as are expected, fewer, and more.
        for (expected, sent) in [(3, 3), (5, 1), (2, 6), (0, 1)] {
            (0..sent).for_each(|_| assert_eq!(peer.send_to(&[7; 20], to).unwrap(), 20));
            let (mut came, deadline) = (0, Instant::now() + PATIENCE);
            while came < sent && Instant::now() < deadline {
                datapath.submit_and_gather(wait, expected).unwrap();
                while let Some(completion) = datapath.next() {
                    assert_eq!(completion, Completion::Datagram { socket, from, bytes: &[7; 20], truncated: false });
                    came += 1;
                }
            }
            assert_eq!(came, sent, "{expected} expected");
        }
        let waker = Waker::new().unwrap();
        let watch = datapath.watch(&waker).unwrap();
        waker.wake();
        let deadline = Instant::now() + PATIENCE;
        loop {
            datapath.submit_and_gather(wait, 64).unwrap();
            match datapath.next() {
                Some(completion) => break assert_eq!(completion, Completion::Woken { watch }),
                None => assert!(Instant::now() < deadline, "a waker is heard"),
            }
        }
    });
}

#[test]
fn many_sockets_lose_nothing() {
    const TOTAL: u32 = 20_000;
    const WINDOW: u32 = 256;
    for coalesce in [true, false] {
        check(Limits { sockets: 64, coalesce, ..Limits::default() }, |mut datapath| {
            let stop = Arc::new(AtomicBool::new(false));
            let (echo_address, echo) = spawn_echo(datapath.engine_name(), Arc::clone(&stop));
            let spec = BindSpec { receive_buffer: 1 << 20, send_buffer: 1 << 20, ..any_v4() };
            let sockets: Vec<SocketIndex> = (0..64).map(|_| datapath.bind(spec).unwrap()).collect();
            let mut waiting = HashMap::new();
            let (mut sent, mut answered) = (0, 0);
            let deadline = Instant::now() + PATIENCE;
            while answered < TOTAL {
                assert!(Instant::now() < deadline, "{answered} answers; {datapath:?}");
                while sent < TOTAL && sent - answered < WINDOW && datapath.transmit_room() > 0 {
                    let socket = sockets[(sent / 8 % 64) as usize];
                    let mut request = vec![0; 100 + (sent % 3) as usize];
                    request[..4].copy_from_slice(&sent.to_le_bytes());
                    datapath.transmit(socket, echo_address, &request).unwrap();
                    waiting.insert(sent, (socket, request));
                    sent += 1;
                }
                datapath.submit_and_wait(Some(Duration::from_millis(100))).unwrap();
                while let Some(completion) = datapath.next() {
                    let Completion::Datagram { socket, from, bytes, truncated: false } = completion else {
                        panic!("{completion:?}")
                    };
                    assert_eq!(from, echo_address);
                    let serial = u32::from_le_bytes(*bytes.first_chunk().unwrap());
                    let (asked, request) = waiting.remove(&serial).expect("answered once");
                    assert_eq!((socket, bytes), (asked, &request[..]));
                    answered += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
            echo.join().unwrap();
            let counts = datapath.counts();
            println!("{counts:?}");
            assert_eq!((counts.datagrams_in, counts.datagrams_out), (TOTAL.into(), TOTAL.into()));
            assert_eq!(counts.messages_out < counts.datagrams_out, coalesce);
            assert_eq!((counts.receive_overflow, counts.transmit_failures), (0, 0));
        });
    }
}

/// An echo on a datapath of the same engine, which also shows that a datapath moves to its thread after binding.
fn spawn_echo(engine_name: &str, stop: Arc<AtomicBool>) -> (SocketAddr, thread::JoinHandle<()>) {
    let choice = if engine_name == "epoll" { Choice::Epoll } else { Choice::IoUring };
    let mut datapath = open(choice, Limits { transmit_slots: 1024, ..Limits::default() }).unwrap();
    let spec = BindSpec { receive_buffer: 4 << 20, ..any_v4() };
    let socket = datapath.bind(spec).unwrap();
    let address = datapath.local_addr(socket).unwrap();
    let echo = move || {
        let mut replies = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            datapath.submit_and_wait(Some(Duration::from_millis(20))).unwrap();
            while let Some(completion) = datapath.next() {
                let Completion::Datagram { from, bytes, .. } = completion else { panic!("{completion:?}") };
                replies.push((from, bytes.to_vec()));
            }
            while let Some((to, bytes)) = replies.pop() {
                if datapath.transmit(socket, to, &bytes).is_err() {
                    replies.push((to, bytes));
                    break;
                }
            }
        }
    };
    (address, thread::spawn(echo))
}

#[test]
fn a_closed_socket_is_silent_and_its_port_free() {
    check(SMALL, |mut datapath| {
        let (server, server_address) = peer();
        let kept = datapath.bind(any_v4()).unwrap();
        let kept_address = datapath.local_addr(kept).unwrap();
        for round in 0..20_u8 {
            let socket = datapath.bind(any_v4()).unwrap();
            let address = datapath.local_addr(socket).unwrap();
            // In every state: datagrams received and not told, received and not reaped, sent, and queued.
            for text in [b"a", b"b", b"c"] {
                server.send_to(text, address).unwrap();
                server.send_to(text, kept_address).unwrap();
            }
            datapath.transmit(socket, server_address, &[round]).unwrap();
            if round % 3 > 0 {
                datapath.submit_and_wait(Some(Duration::from_millis(100))).unwrap();
                assert!(matches!(datapath.next(), Some(Completion::Datagram { .. })));
            }
            datapath.transmit(socket, server_address, b"never leaves").unwrap();
            datapath.close(socket);
            datapath.close(socket);
            assert_eq!(datapath.transmit(socket, server_address, b""), Err(NotQueued::Closed));
            assert_eq!(datapath.local_addr(socket).unwrap_err().kind(), io::ErrorKind::NotFound);
            for _ in 0..2 {
                server.send_to(b"late", address).unwrap();
                datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
                while let Some(completion) = datapath.next() {
                    assert!(matches!(completion, Completion::Datagram { socket, .. } if socket == kept));
                }
            }
            let again = datapath.bind(BindSpec { local: address, ..any_v4() }).expect("the port is free");
            server.send_to(b"new", address).unwrap();
            run(&mut datapath, |completion| match completion {
                Completion::Datagram { socket, bytes, .. } if socket == again => {
                    assert_eq!(bytes, b"new");
                    true
                }
                Completion::Datagram { socket, .. } => {
                    assert_eq!(socket, kept);
                    false
                }
                other => panic!("{other:?}"),
            });
            datapath.close(again);
        }
        expect_silence(&mut datapath);
        assert_eq!(datapath.transmit_room(), 8);
    });
}

#[test]
fn a_taken_port_and_a_full_table_are_errors() {
    check(Limits { sockets: 2, ..SMALL }, |mut datapath| {
        let (_server, address) = peer();
        let taken = BindSpec { local: address, ..any_v4() };
        assert_eq!(datapath.bind(taken).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let foreign = BindSpec { local: "192.0.2.1:0".parse().unwrap(), ..any_v4() };
        assert_eq!(datapath.bind(foreign).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
        let first = datapath.bind(any_v4()).unwrap();
        datapath.bind(any_v4()).unwrap();
        assert_eq!(datapath.bind(any_v4()).unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        datapath.close(first);
        datapath.bind(any_v4()).expect("a place that was never used is free at once");
    });
}

#[test]
fn what_cannot_leave_is_reported_by_class() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let (server, good) = peer();
        for (to, expected) in [
            ("127.0.0.1:0", TransmitError::Address),
            ("[::1]:9", TransmitError::Address),
            ("255.255.255.255:9", TransmitError::Denied),
        ] {
            let to: SocketAddr = to.parse().unwrap();
            let failures_before = datapath.counts().transmit_failures;
            for _ in 0..2 {
                datapath.transmit(socket, to, b"nowhere").unwrap();
            }
            datapath.transmit(socket, good, b"good").unwrap();
            let mut failed = 0;
            run(&mut datapath, |completion| {
                let Completion::TransmitFailed { socket: of, to: failed_to, datagrams, error } = completion else {
                    panic!("{completion:?}")
                };
                assert_eq!((of, failed_to, error), (socket, to, expected));
                failed += datagrams;
                failed == 2
            });
            assert_eq!(server.recv(&mut [0; 16]).unwrap(), 4, "the others leave");
            assert_eq!(datapath.counts().transmit_failures - failures_before, 2);
        }
        assert_eq!(datapath.transmit_room(), 8);
    });
}

#[test]
fn equal_datagrams_leave_together_and_arrive_apart() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let (server, address) = peer();
        let lengths = [300, 300, 300, 200, 300, 1452, 1452];
        for length in lengths {
            datapath.transmit(socket, address, &vec![1; length]).unwrap();
        }
        datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
        assert_eq!(lengths.map(|_| server.recv(&mut [0; 5000]).unwrap()), lengths);
        let Counts { datagrams_out, messages_out, .. } = datapath.counts();
        assert_eq!((datagrams_out, messages_out), (7, 3));
    });
}

#[test]
fn a_socket_that_refuses_to_coalesce_sends_one_by_one() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let inner = match &datapath {
            Datapath::Uring(engine) => engine.socket(socket),
            Datapath::Epoll(engine) => engine.socket(socket),
        };
        let descriptor = inner.unwrap().as_raw_fd();
        let one: libc::c_int = 1;
        // The kernel cuts no messages for a socket without checksums.
        // SAFETY: an open descriptor and one integer of this frame.
        let status =
            unsafe { libc::setsockopt(descriptor, libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const one).cast(), 4) };
        assert_eq!(status, 0);
        let (server, address) = peer();
        for round in 0..2_u8 {
            for (serial, length) in [(0, 50), (1, 50), (2, 20)] {
                let mut datagram = vec![round; length];
                datagram[0] = serial;
                datapath.transmit(socket, address, &datagram).unwrap();
            }
            for (serial, length) in [(0, 50), (1, 50), (2, 20)] {
                datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
                let mut room = [0; 100];
                // A message that was refused goes out with the next calls.
                datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
                assert_eq!(server.recv(&mut room).unwrap(), length);
                assert_eq!(room[..2], [serial, round]);
            }
        }
        let Counts { datagrams_out, messages_out, coalescing_refused, .. } = datapath.counts();
        assert_eq!((datagrams_out, messages_out, coalescing_refused), (6, 6, 1));
        assert_eq!(datapath.transmit_room(), 8);
    });
}

#[test]
fn more_than_the_buffers_hold_is_received_all_the_same() {
    check(Limits { receive_buffers: 4, ..SMALL }, |mut datapath| {
        let spec = BindSpec { receive_buffer: 1 << 20, ..any_v4() };
        let sockets = [datapath.bind(spec).unwrap(), datapath.bind(spec).unwrap()];
        let (server, _) = peer();
        for serial in 0..100_u8 {
            for socket in sockets {
                server.send_to(&[serial], datapath.local_addr(socket).unwrap()).unwrap();
            }
        }
        let datagrams = receive(&mut datapath, 200);
        for socket in sockets {
            let of_socket = datagrams.iter().filter(|datagram| datagram.0 == socket).map(|datagram| datagram.2[0]);
            assert!(of_socket.eq(0..100));
        }
        if matches!(datapath, Datapath::Uring(_)) {
            assert!(datapath.counts().receive_starved > 0);
        }
    });
}

#[test]
fn what_the_socket_drops_is_counted() {
    check(SMALL, |mut datapath| {
        let spec = BindSpec { receive_buffer: 4096, ..any_v4() };
        let socket = datapath.bind(spec).unwrap();
        let address = datapath.local_addr(socket).unwrap();
        let (server, _) = peer();
        for _ in 0..100 {
            server.send_to(&[1; 1000], address).unwrap();
        }
        // What the socket has kept is there already: the first wait without any has seen the last.
        let mut kept = 0;
        let mut is_empty = false;
        while !is_empty {
            datapath.submit_and_wait(Some(Duration::from_millis(5))).unwrap();
            is_empty = true;
            while datapath.next().is_some() {
                kept += 1;
                is_empty = false;
            }
        }
        server.send_to(b"tells", address).unwrap();
        receive(&mut datapath, 1);
        assert!((1..100).contains(&kept));
        assert_eq!(kept + datapath.counts().receive_overflow, 100);
    });
}

#[test]
fn datapaths_share_a_port_among_themselves_and_with_nobody_else() {
    check(SMALL, |mut datapath| {
        let spec = any_v4();
        let first = datapath.bind(spec).unwrap();
        let local = datapath.local_addr(first).unwrap();
        datapath.close(first);
        for _ in 0..2 {
            datapath.submit_and_wait(Some(Duration::ZERO)).unwrap();
            while datapath.next().is_some() {}
        }
        let spec = BindSpec { local, ..spec };
        let mut both = super::BoundSocket::bind_all(&spec, 2).unwrap();
        assert_eq!(super::BoundSocket::bind_all(&spec, 2).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let (mine, others) = (both.pop().unwrap(), both.pop().unwrap());
        let mine = datapath.adopt(mine).unwrap();
        drop(others);
        let (server, _) = peer();
        server.send_to(b"to whoever is left", local).unwrap();
        assert_eq!(receive(&mut datapath, 1)[0].2, b"to whoever is left");
        assert_eq!(datapath.overflow(mine), 0);
    });
}

#[test]
fn a_datapath_moves_once_to_its_thread() {
    check(SMALL, |mut datapath| {
        let socket = datapath.bind(any_v4()).unwrap();
        let address = datapath.local_addr(socket).unwrap();
        let (server, _) = peer();
        server.send_to(b"before", address).unwrap();
        let moved = thread::spawn(move || {
            assert_eq!(receive(&mut datapath, 1)[0].2, b"before");
            datapath
        });
        let mut datapath = moved.join().unwrap();
        let is_tied = datapath.submit_and_wait(Some(Duration::from_millis(1))).is_err();
        assert_eq!(is_tied, matches!(datapath, Datapath::Uring(_)));
    });
}

#[test]
fn limits_are_checked() {
    for limits in [
        Limits { sockets: 0, ..SMALL },
        Limits { transmit_slots: 0, ..SMALL },
        Limits { receive_buffers: 0, ..SMALL },
        Limits { receive_buffers: 100, ..SMALL },
        Limits { watches: 5000, ..SMALL },
    ] {
        assert!(matches!(Datapath::open(Choice::Auto, limits), Err(OpenError::Limits)), "{limits:?}");
    }
}
