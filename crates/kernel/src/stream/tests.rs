//! Streams against peers on loopback.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::{ConnectSpec, EndCause, NotTaken, StreamEvent, StreamIndex, StreamLimits, Streams, TURN_OCTETS};
use crate::datapath::{Choice, Completion, Datapath, Limits, OpenError};

/// After this a test that still waits has failed.
const PATIENCE: Duration = Duration::from_secs(20);

const SMALL: StreamLimits = StreamLimits { streams: 4, queue: 1000 };

/// An event with its own octets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Event {
    Connected(StreamIndex),
    Octets(StreamIndex, Vec<u8>),
    Written(StreamIndex, usize),
    Ended(StreamIndex, EndCause),
}

impl From<StreamEvent<'_>> for Event {
    fn from(event: StreamEvent<'_>) -> Event {
        match event {
            StreamEvent::Connected(stream) => Event::Connected(stream),
            StreamEvent::Octets(stream, octets) => Event::Octets(stream, octets.to_vec()),
            StreamEvent::Written(stream, count) => Event::Written(stream, count),
            StreamEvent::Ended(stream, cause) => Event::Ended(stream, cause),
        }
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn plainly(to: SocketAddr) -> ConnectSpec<'static> {
    ConnectSpec { local: None, device: None, to }
}

/// Looks and flushes until `seen` says that it has seen enough.
fn run(streams: &mut Streams, mut seen: impl FnMut(Event) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut is_done = false;
    while !is_done {
        assert!(Instant::now() < deadline, "still waiting: {streams:?}");
        streams.look().unwrap();
        streams.flush();
        while let Some(event) = streams.next() {
            is_done |= seen(event.into());
        }
        if !is_done && !streams.has_more() {
            wait(streams, Duration::from_millis(100));
        }
    }
}

/// Sleeps as a worker would, without a datapath.
fn wait(streams: &Streams, patience: Duration) -> bool {
    use std::os::fd::{AsFd, AsRawFd};
    let mut question = libc::pollfd { fd: streams.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let millis = i32::try_from(patience.as_millis()).unwrap();
    // SAFETY: one pollfd of this frame.
    unsafe { libc::poll(&raw mut question, 1, millis) == 1 }
}

/// The events up to the end of one stream, or of as many as are asked for.
fn until_ended(streams: &mut Streams, count: usize) -> Vec<Event> {
    let (mut events, mut ended) = (Vec::new(), 0);
    run(streams, |event| {
        ended += usize::from(matches!(event, Event::Ended(..)));
        events.push(event);
        ended == count
    });
    events
}

/// Nothing is to be told, and nothing keeps a worker from its sleep.
fn expect_silence(streams: &mut Streams) {
    for _ in 0..3 {
        streams.look().unwrap();
        streams.flush();
        assert_eq!(streams.next(), None);
        assert!(!streams.has_more());
        assert!(!wait(streams, Duration::from_millis(2)), "it would be woken for nothing");
    }
}

/// A stream and the peer's end of it.
fn connected(streams: &mut Streams) -> (StreamIndex, TcpStream) {
    let (listener, address) = listener();
    let stream = streams.connect(plainly(address)).unwrap();
    run(streams, |event| {
        assert_eq!(event, Event::Connected(stream));
        true
    });
    let (peer, _) = listener.accept().unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (stream, peer)
}

#[test]
fn octets_go_and_come_back() {
    let mut streams = Streams::open(SMALL).unwrap();
    let (stream, mut peer) = connected(&mut streams);
    for round in 0..50_u8 {
        let sent = vec![round; 700];
        streams.write(stream, &sent).unwrap();
        streams.flush();
        assert_eq!(streams.next(), Some(StreamEvent::Written(stream, 700)), "told behind the flush itself");
        assert_eq!(streams.next(), None);
        let mut room = [0; 700];
        peer.read_exact(&mut room).unwrap();
        assert_eq!(room[..], sent);
        peer.write_all(&sent).unwrap();
        let mut received = Vec::new();
        run(&mut streams, |event| {
            let Event::Octets(of, octets) = event else { panic!("{event:?}") };
            assert_eq!(of, stream);
            received.extend(octets);
            received.len() == 700
        });
        assert_eq!(received, sent);
    }
    expect_silence(&mut streams);
    let counts = streams.counts();
    assert_eq!((counts.connected, counts.octets_in, counts.octets_out, counts.ended), (1, 35_000, 35_000, 0));
}

#[test]
fn what_is_written_before_it_is_connected_leaves_then() {
    let mut streams = Streams::open(SMALL).unwrap();
    let (listener, address) = listener();
    let stream = streams.connect(plainly(address)).unwrap();
    streams.write(stream, b"early").unwrap();
    let mut events = Vec::new();
    run(&mut streams, |event| {
        events.push(event);
        events.len() == 2
    });
    assert_eq!(events, [Event::Connected(stream), Event::Written(stream, 5)]);
    let mut room = [0; 5];
    listener.accept().unwrap().0.read_exact(&mut room).unwrap();
    assert_eq!(&room, b"early");
}

#[test]
fn what_cannot_begin_ends_by_class() {
    let mut streams = Streams::open(SMALL).unwrap();
    let (closed, refused) = listener();
    drop(closed);
    let stream = streams.connect(plainly(refused)).unwrap();
    streams.write(stream, b"never leaves").unwrap();
    assert_eq!(until_ended(&mut streams, 1), [Event::Ended(stream, EndCause::Refused)]);
    assert_eq!(streams.write(stream, b""), Err(NotTaken::Closed));

    let local = |address: &str| Some(address.parse().unwrap());
    let (_listener, to) = listener();
    for (spec, expected) in [
        (ConnectSpec { local: local("192.0.2.1"), ..plainly(to) }, EndCause::Local),
        (ConnectSpec { local: local("::1"), ..plainly(to) }, EndCause::Local),
        (ConnectSpec { device: Some("no-such-device"), ..plainly(to) }, EndCause::Local),
        (plainly("255.255.255.255:49".parse().unwrap()), EndCause::Unreachable),
    ] {
        let error = streams.connect(spec).expect_err("it cannot begin");
        assert_eq!(EndCause::of(&error), expected, "{spec:?}: {error}");
    }
    assert!(streams.is_empty());
    expect_silence(&mut streams);
}

#[test]
fn a_stream_leaves_from_the_address_and_device_that_were_named() {
    let mut streams = Streams::open(SMALL).unwrap();
    let (listener, to) = listener();
    let local = "127.0.0.9".parse().unwrap();
    let stream = streams.connect(ConnectSpec { local: Some(local), device: Some("lo"), to }).unwrap();
    run(&mut streams, |event| event == Event::Connected(stream));
    assert_eq!(listener.accept().unwrap().1.ip(), local);
    let inner = streams.places[stream.number()].connection.as_ref().unwrap().socket();
    assert!(inner.tcp_nodelay().unwrap() && inner.keepalive().unwrap());
}

#[test]
fn a_peer_that_is_silent_takes_no_time() {
    let mut streams = Streams::open(SMALL).unwrap();
    let (_stream, _peer) = connected(&mut streams);
    expect_silence(&mut streams);
}

/// A listener whose connections have small buffers, so that little is under way.
fn narrow_listener() -> (TcpListener, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(8).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_slow_reader_is_written_to_in_parts_and_gets_all_in_order() {
    const TOTAL: usize = 1_000_000;
    let mut streams = Streams::open(StreamLimits { streams: 1, queue: 50_000 }).unwrap();
    let (listener, address) = narrow_listener();
    let stream = streams.connect(plainly(address)).unwrap();
    run(&mut streams, |event| event == Event::Connected(stream));
    let inner = streams.places[0].connection.as_ref().unwrap().socket();
    inner.set_send_buffer_size(4096).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let pattern = |from: usize, count: usize| -> Vec<u8> {
        (from..from + count).map(|position| (position % 251).to_le_bytes()[0]).collect()
    };

    // Nobody reads: the queue fills, says so, and the worker may sleep.
    let (mut queued, mut written) = (0, 0);
    while streams.write(stream, &pattern(queued, 900)).is_ok() {
        queued += 900;
    }
    assert_eq!(streams.write(stream, &[0; 900]), Err(NotTaken::Full));
    streams.flush();
    while let Some(event) = streams.next() {
        let StreamEvent::Written(_, count) = event else { panic!("{event:?}") };
        written += count;
    }
    assert!(written > 0 && written < queued, "{written} of {queued}");
    expect_silence(&mut streams);

    let reader = thread::spawn(move || {
        let (mut received, mut room) = (Vec::new(), [0; 777]);
        while received.len() < TOTAL {
            let count = peer.read(&mut room).unwrap();
            assert!(count > 0);
            received.extend_from_slice(&room[..count]);
        }
        received
    });
    let deadline = Instant::now() + PATIENCE;
    while written < TOTAL {
        assert!(Instant::now() < deadline, "{written} of {queued}: {streams:?}");
        while queued < TOTAL && streams.write(stream, &pattern(queued, 900.min(TOTAL - queued))).is_ok() {
            queued += 900.min(TOTAL - queued);
        }
        streams.flush();
        while let Some(event) = streams.next() {
            let StreamEvent::Written(_, count) = event else { panic!("{event:?}") };
            written += count;
        }
        if written < TOTAL {
            wait(&streams, PATIENCE);
            streams.look().unwrap();
        }
    }
    assert_eq!((written, queued), (TOTAL, TOTAL));
    assert!(reader.join().unwrap() == pattern(0, TOTAL));
    assert!(streams.counts().blocked > 0);
}

#[test]
fn a_flood_of_one_stream_leaves_the_others_their_turn() {
    let mut streams = Streams::open(SMALL).unwrap();
    let (flooded, mut flooding) = connected(&mut streams);
    let (calm, mut peer) = connected(&mut streams);
    let inner = streams.places[flooded.number()].connection.as_ref().unwrap().socket();
    inner.set_recv_buffer_size(1 << 20).unwrap();
    let flood = thread::spawn(move || {
        flooding.write_all(&vec![1; 4 << 20]).unwrap();
        flooding
    });
    // More waits than one turn may read.
    let queued = |streams: &Streams| {
        let mut room = vec![std::mem::MaybeUninit::uninit(); 2 * TURN_OCTETS];
        streams.places[flooded.number()].connection.as_ref().unwrap().socket().peek(&mut room).unwrap_or(0)
    };
    let deadline = Instant::now() + PATIENCE;
    while queued(&streams) < 2 * TURN_OCTETS {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
    peer.write_all(b"calm").unwrap();
    let (mut of_round, mut total, mut is_heard) = (0, 0, false);
    wait(&streams, PATIENCE);
    streams.look().unwrap();
    while let Some(event) = streams.next() {
        match event {
            StreamEvent::Octets(stream, octets) if stream == flooded => of_round += octets.len(),
            StreamEvent::Octets(stream, octets) => is_heard = (stream, octets) == (calm, b"calm"),
            event => panic!("{event:?}"),
        }
    }
    assert_eq!((of_round, is_heard), (TURN_OCTETS, true));
    assert!(streams.has_more());
    run(&mut streams, |event| {
        let Event::Octets(_, octets) = event else { panic!("{event:?}") };
        total += octets.len();
        total + of_round == 4 << 20
    });
    drop(flood.join().unwrap());
}

#[test]
fn many_streams_lose_nothing() {
    const STREAMS: u16 = 200;
    let mut streams = Streams::open(StreamLimits { streams: STREAMS, queue: 5000 }).unwrap();
    let (listener, address) = listener();
    let echo = thread::spawn(move || {
        thread::scope(|scope| {
            for _ in 0..STREAMS {
                let (mut peer, _) = listener.accept().unwrap();
                scope.spawn(move || {
                    let mut room = [0; 700];
                    while let Ok(count @ 1..) = peer.read(&mut room) {
                        peer.write_all(&room[..count]).unwrap();
                    }
                });
            }
        });
    });
    let all: Vec<StreamIndex> = (0..STREAMS).map(|_| streams.connect(plainly(address)).unwrap()).collect();
    let full = streams.connect(plainly(address)).unwrap_err();
    assert_eq!(EndCause::of(&full), EndCause::Local);
    for &stream in &all {
        for serial in 0..4_u8 {
            streams.write(stream, &[stream.number().to_le_bytes()[0] ^ serial; 1200]).unwrap();
        }
    }
    let mut received = vec![Vec::new(); STREAMS.into()];
    let (mut connected, mut written, mut total) = (0, 0, 0);
    run(&mut streams, |event| {
        match event {
            Event::Connected(_) => connected += 1,
            Event::Written(_, count) => written += count,
            Event::Octets(stream, octets) => {
                total += octets.len();
                received[stream.number()].extend(octets);
            }
            Event::Ended(..) => panic!("{event:?}"),
        }
        total == 4800 * usize::from(STREAMS)
    });
    assert_eq!((connected, written), (STREAMS, 4800 * usize::from(STREAMS)));
    for &stream in &all {
        let expected: Vec<u8> =
            (0..4_u8).flat_map(|serial| [stream.number().to_le_bytes()[0] ^ serial; 1200]).collect();
        assert!(received[stream.number()] == expected, "{stream:?}");
        streams.close(stream);
    }
    assert!(streams.is_empty());
    echo.join().unwrap();
}

#[test]
fn a_closed_stream_is_silent_and_its_number_is_used_again() {
    let mut streams = Streams::open(SMALL).unwrap();
    let (other, mut other_peer) = connected(&mut streams);
    for state in 0..6 {
        let (listener, address) = listener();
        let stream = streams.connect(plainly(address)).unwrap();
        // Closed while connecting, while queued, while written and not told, while read, while ended and not told.
        if state > 0 {
            run(&mut streams, |event| event == Event::Connected(stream));
            let (mut peer, _) = listener.accept().unwrap();
            streams.write(stream, b"queued").unwrap();
            peer.write_all(b"received").unwrap();
            other_peer.write_all(b"kept").unwrap();
            if state > 1 {
                streams.flush();
            }
            if state > 3 {
                drop(peer);
            }
            if state > 2 {
                wait(&streams, PATIENCE);
                streams.look().unwrap();
            }
            if state == 5 {
                assert_eq!(streams.next(), Some(StreamEvent::Written(stream, 6)));
            }
        }
        streams.close(stream);
        streams.close(stream);
        assert_eq!(streams.write(stream, b""), Err(NotTaken::Closed));
        if state > 0 {
            run(&mut streams, |event| {
                assert_eq!(event, Event::Octets(other, b"kept".to_vec()), "{state}");
                true
            });
        }
        expect_silence(&mut streams);
        let (again, mut peer) = connected(&mut streams);
        assert_eq!(again, stream);
        streams.write(again, b"new").unwrap();
        streams.flush();
        assert_eq!(streams.next(), Some(StreamEvent::Written(again, 3)));
        let mut room = [0; 3];
        peer.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"new", "nothing of the last one is left");
        streams.close(again);
    }
}

#[test]
fn a_peer_ends_it_behind_what_it_has_sent() {
    let resets = |peer: TcpStream| SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    let closes = drop::<TcpStream>;
    for (end, expected) in [(closes as fn(TcpStream), EndCause::Closed), (resets as fn(TcpStream), EndCause::Reset)] {
        let mut streams = Streams::open(SMALL).unwrap();
        let (stream, mut peer) = connected(&mut streams);
        // An end without octets.
        let (bare, bare_peer) = connected(&mut streams);
        end(bare_peer);
        assert_eq!(until_ended(&mut streams, 1), [Event::Ended(bare, expected)]);

        peer.write_all(b"last words").unwrap();
        wait(&streams, PATIENCE);
        end(peer);
        // What cannot leave any more hides nothing of what came.
        streams.write(stream, b"too late").unwrap();
        let mut events = until_ended(&mut streams, 1);
        events.retain(|event| !matches!(event, Event::Written(..)));
        assert_eq!(events, [Event::Octets(stream, b"last words".to_vec()), Event::Ended(stream, expected)]);
        assert!(streams.is_empty());
        expect_silence(&mut streams);
    }
}

#[test]
fn a_peer_that_closes_its_half_is_at_its_end() {
    let mut streams = Streams::open(SMALL).unwrap();
    let (stream, mut peer) = connected(&mut streams);
    peer.write_all(b"answer").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let events = until_ended(&mut streams, 1);
    assert_eq!(events, [Event::Octets(stream, b"answer".to_vec()), Event::Ended(stream, EndCause::Closed)]);
    assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0, "our half is closed as well");
}

#[test]
fn a_sleeping_worker_is_woken() {
    for choice in [Choice::IoUring, Choice::Epoll] {
        // A thread of its own: the end of a ring would interrupt the next wait of its thread.
        thread::scope(|scope| scope.spawn(|| check_wakes(choice)).join().expect("the test of this engine"));
    }
}

fn check_wakes(choice: Choice) {
    let limits = Limits { sockets: 1, watches: 2, transmit_slots: 1, receive_buffers: 1, coalesce: false };
    let mut datapath = match Datapath::open(choice, limits) {
        Ok(opened) => opened.datapath,
        Err(OpenError::IoUring(missing)) => return println!("skipped: {missing}"),
        Err(error) => panic!("{error}"),
    };
    let mut streams = Streams::open(SMALL).unwrap();
    let watch = datapath.watch_descriptor(&streams).unwrap();
    // Nothing but the streams ends these waits.
    let mut sleep = |streams: &mut Streams| -> Vec<Event> {
        loop {
            datapath.submit_and_wait(None).unwrap();
            let mut is_woken = false;
            while let Some(completion) = datapath.next() {
                assert_eq!(completion, Completion::Woken { watch });
                is_woken = true;
            }
            if is_woken {
                let mut events = Vec::new();
                streams.look().unwrap();
                while let Some(event) = streams.next() {
                    events.push(event.into());
                }
                if !events.is_empty() {
                    return events;
                }
            }
        }
    };
    let (listener, address) = listener();
    let stream = streams.connect(plainly(address)).unwrap();
    assert_eq!(sleep(&mut streams), [Event::Connected(stream)]);
    let (mut peer, _) = listener.accept().unwrap();
    for round in 0..20_u8 {
        let other = thread::spawn(move || {
            peer.write_all(&[round]).unwrap();
            peer
        });
        assert_eq!(sleep(&mut streams), [Event::Octets(stream, vec![round])]);
        peer = other.join().unwrap();
    }
    let other = thread::spawn(move || drop(peer));
    assert_eq!(sleep(&mut streams), [Event::Ended(stream, EndCause::Closed)]);
    other.join().unwrap();

    // All is taken: the next wait is a sleep, and not one cut short for ever.
    for _ in 0..5 {
        let started = Instant::now();
        datapath.submit_and_wait(Some(Duration::from_millis(10))).unwrap();
        if datapath.next().is_none() && started.elapsed() >= Duration::from_millis(10) {
            return;
        }
        streams.look().unwrap();
    }
    panic!("the descriptor keeps waking");
}
