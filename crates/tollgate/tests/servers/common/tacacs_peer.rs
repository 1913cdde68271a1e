//! A TACACS+ accounting server, good or bad as a test wants it.
//!
//! It remembers every request that it could read, whatever it then answers. A connection has a thread; all of them end with
//! the peer. It is no real daemon, but an independent client and an independent dissector agree with it (`tacacs_peers.rs`).

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::tacacs_packet::{self, Heard};
use super::{free_port, seconds, wait_for};

/// The longest wait before it looks whether it is over.
const NAP: Duration = Duration::from_millis(2);

/// Between two octets of a dribbled reply.
const GAP: Duration = Duration::from_millis(10);

/// How the peer answers, from the next request on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// SUCCESS; more sessions on the connection, if it was asked.
    Willing,
    /// SUCCESS, and the connection is closed after each reply, whatever was asked.
    OneByOne,
    /// SUCCESS after so long, in order.
    Late(Duration),
    /// SUCCESS, octet by octet.
    Dribbling,
    /// It hears, and does not answer.
    Silent,
    /// ERROR.
    Failing,
    /// FOLLOW.
    Following,
    /// Its key is another: it can read nothing, says ERROR in a way that nobody can read either, and closes.
    AnotherKey,
    /// A good header, and any body.
    Garbage,
    /// SUCCESS for a session that nobody began.
    Stranger,
    /// SUCCESS in the clear, though there is a key.
    InTheClear,
    /// It will never write again, but reads on.
    HalfClosed,
    /// It closes the connection instead of answering.
    Closing,
}

/// The peer. Dropped, it is gone.
pub(crate) struct TacacsPeer {
    address: Ipv4Addr,
    pub(crate) port: u16,
    shared: Arc<Shared>,
    running: Option<Running>,
}

struct Running {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Shared {
    key: Vec<u8>,
    manner: Mutex<Manner>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    heard: Vec<Heard>,
    connections: usize,
    open: usize,
    unreadable: usize,
    hasty: usize,
}

impl TacacsPeer {
    /// A willing one on 127.0.0.1.
    pub(crate) fn start(key: &str) -> TacacsPeer {
        TacacsPeer::start_on(Ipv4Addr::LOCALHOST, key)
    }

    /// The same on another address of the loopback.
    pub(crate) fn start_on(address: Ipv4Addr, key: &str) -> TacacsPeer {
        let shared = Shared { key: key.into(), manner: Mutex::new(Manner::Willing), memory: Mutex::default() };
        let is_free = |port: &u16| TcpListener::bind((address, *port)).is_ok();
        let port = std::iter::repeat_with(free_port).take(100).find(is_free).expect("a port is free for TCP too");
        let mut peer = TacacsPeer { address, port, shared: Arc::new(shared), running: None };
        peer.start_again();
        peer
    }

    /// From the next request on.
    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Every request that it could read, in order.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.shared.memory.lock().unwrap().heard.clone()
    }

    /// As soon as there are so many; at once if there are.
    pub(crate) fn wait_for_heard(&self, count: usize) -> Vec<Heard> {
        let what = format!("{count} TACACS+ requests are heard");
        wait_for(&what, seconds(30), || Some(self.heard()).filter(|heard| heard.len() >= count))
    }

    /// Connections that it accepted, and those that are still open.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let memory = self.shared.memory.lock().unwrap();
        (memory.connections, memory.open)
    }

    /// Packets that were no requests, or of another key.
    pub(crate) fn unreadable(&self) -> usize {
        self.shared.memory.lock().unwrap().unreadable
    }

    /// Requests sent on a connection before its first reply, which RFC 8907 section 4.3 forbids.
    pub(crate) fn hasty(&self) -> usize {
        self.shared.memory.lock().unwrap().hasty
    }

    /// Ends it with all its connections; what it heard stays known.
    pub(crate) fn stop(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.is_over.store(true, Ordering::Relaxed);
        // What made it panic stands in the test's output.
        let _ = running.thread.join();
    }

    /// On the port that it had.
    pub(crate) fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        // A process that another test is just starting has the old listener until it runs its program.
        let listener =
            wait_for("the port is free again", seconds(10), || TcpListener::bind((self.address, self.port)).ok());
        listener.set_nonblocking(true).unwrap();
        let (is_over, shared) = (Arc::new(AtomicBool::new(false)), self.shared.clone());
        let over = is_over.clone();
        let thread = std::thread::spawn(move || listen(&listener, &shared, &over));
        self.running = Some(Running { is_over, thread });
    }
}

impl Drop for TacacsPeer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>, is_over: &Arc<AtomicBool>) {
    let mut threads = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(NAP);
            continue;
        };
        let mut memory = shared.memory.lock().unwrap();
        memory.connections += 1;
        memory.open += 1;
        let connection = Connection::new(stream, shared.clone(), is_over.clone(), memory.connections);
        threads.push(std::thread::spawn(move || connection.work()));
    }
    for thread in threads {
        // What made it panic stands in the test's output.
        let _ = thread.join();
    }
}

struct Connection {
    stream: TcpStream,
    shared: Arc<Shared>,
    is_over: Arc<AtomicBool>,
    number: usize,
    received: Vec<u8>,
    /// Replies that are not sent yet, and when they may be.
    replies: VecDeque<(Instant, Vec<u8>)>,
    /// Requests that came on it.
    asked: usize,
    has_answered: bool,
    /// More than one session was agreed on.
    is_shared: bool,
    /// Nothing more is read, and it closes when the replies are sent.
    is_ending: bool,
    dribbles: bool,
}

impl Connection {
    fn new(stream: TcpStream, shared: Arc<Shared>, is_over: Arc<AtomicBool>, number: usize) -> Connection {
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(NAP)).unwrap();
        Connection {
            stream,
            shared,
            is_over,
            number,
            received: Vec::new(),
            replies: VecDeque::new(),
            asked: 0,
            has_answered: false,
            is_shared: false,
            is_ending: false,
            dribbles: false,
        }
    }

    fn work(mut self) {
        while !self.is_over.load(Ordering::Relaxed) && self.turn() {}
        self.shared.memory.lock().unwrap().open -= 1;
    }

    /// False when the connection is over.
    fn turn(&mut self) -> bool {
        if self.is_ending {
            if self.replies.is_empty() {
                return false;
            }
            std::thread::sleep(NAP);
        } else if !self.receive() {
            return false;
        }
        while let Some(size) = tacacs_packet::size_of(&self.received).filter(|size| *size <= self.received.len()) {
            let packet: Vec<u8> = self.received.drain(..size).collect();
            if !self.is_ending {
                self.hear(&packet);
            }
        }
        self.send_due()
    }

    /// False when the other side has closed.
    fn receive(&mut self) -> bool {
        let mut room = [0; 4096];
        match self.stream.read(&mut room) {
            Ok(0) => false,
            Ok(length) => {
                self.received.extend(&room[..length]);
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted),
        }
    }

    fn hear(&mut self, packet: &[u8]) {
        let manner = *self.shared.manner.lock().unwrap();
        let own_key = if manner == Manner::AnotherKey { b"another".to_vec() } else { self.shared.key.clone() };
        self.asked += 1;
        let heard = tacacs_packet::read(packet, &own_key, self.number);
        {
            let mut memory = self.shared.memory.lock().unwrap();
            memory.hasty += usize::from(self.asked > 1 && !self.has_answered);
            memory.unreadable += usize::from(heard.is_none());
            memory.heard.extend(heard.clone());
        }
        let Some(heard) = heard else {
            let session_id = u32::from_be_bytes(packet[4..8].try_into().unwrap());
            self.say(Duration::ZERO, tacacs_packet::reply(session_id, false, 2, "bad secret", "", &own_key));
            self.is_ending = true;
            return;
        };
        // The flag means something in the first two packets of a connection only.
        self.is_shared |= self.asked == 1 && heard.single_connect && manner != Manner::OneByOne;
        self.answer(manner, &heard, &own_key);
    }

    fn answer(&mut self, manner: Manner, heard: &Heard, key: &[u8]) {
        let (id, single) = (heard.session_id, self.is_shared && self.asked == 1);
        let success = |id| tacacs_packet::reply(id, single, 1, "", "", key);
        self.dribbles = manner == Manner::Dribbling;
        let reply = match manner {
            Manner::Willing | Manner::OneByOne | Manner::Late(_) | Manner::Dribbling => success(id),
            Manner::Failing | Manner::AnotherKey => tacacs_packet::reply(id, single, 2, "no room on the disk", "", key),
            Manner::Following => tacacs_packet::reply(id, single, 0x21, "", "192.0.2.9@49", key),
            Manner::Garbage => tacacs_packet::with_header(id, 0, &[0xa5; 40]),
            Manner::Stranger => success(!id),
            Manner::InTheClear => tacacs_packet::unencrypted_reply(id),
            Manner::Silent => return,
            Manner::HalfClosed => {
                // The other side may have gone already.
                let _ = self.stream.shutdown(Shutdown::Write);
                return;
            }
            Manner::Closing => {
                self.is_ending = true;
                return;
            }
        };
        self.say(if let Manner::Late(delay) = manner { delay } else { Duration::ZERO }, reply);
        self.is_ending |= !self.is_shared;
    }

    fn say(&mut self, delay: Duration, reply: Vec<u8>) {
        self.replies.push_back((Instant::now() + delay, reply));
    }

    /// False when nobody takes it any more.
    fn send_due(&mut self) -> bool {
        while let Some((_, reply)) = self.replies.pop_front_if(|(due, _)| *due <= Instant::now()) {
            self.has_answered = true;
            let pieces = reply.chunks(if self.dribbles { 1 } else { reply.len() });
            for piece in pieces {
                if self.stream.write_all(piece).is_err() {
                    return false;
                }
                if self.dribbles {
                    std::thread::sleep(GAP);
                }
            }
        }
        true
    }
}
