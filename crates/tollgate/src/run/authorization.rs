//! Dynamic authorization on the wire: the sockets that authorization servers speak to, and the way of an order to the workers
//! and back. What is believed and what is answered is judged in [`engine::authorization`].
//!
//! A socket for each address and port that some server may speak to, in each VRF that there is one in, read by a task of the
//! control thread: these requests are few, and none is in a hurry. A commit binds what is new beside what is old, which is closed
//! only when the commit has succeeded. A request that waits for the workers holds nobody up. **Full:** the judge refuses what comes
//! beyond [`engine::authorization::PENDING_MAX`] at once; what the socket's buffer does not take is lost, and asked again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use engine::authorization::{Arrived, Authorization, Conclusion, Judgement, Order, Outcome, Token};
use model::report::AuthorizationReport;
use model::settings::{InterfaceName, Settings};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::clock;
use super::messages::{WorkerHandle, WorkerMessage};

/// One octet more than a packet may have, so that a longer one is seen to be.
const ROOM: usize = 4096 + 1;

/// Where some server may speak to: an address and port, and the VRF that they are listened to in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    vpn: Option<InterfaceName>,
    at: SocketAddr,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)?;
        self.vpn.map_or(Ok(()), |vpn| write!(f, " vpn-instance {vpn}"))
    }
}

/// A socket, and the task that reads it.
struct Door {
    socket: Rc<UdpSocket>,
    task: JoinHandle<()>,
}

impl Drop for Door {
    /// Nothing is heard any more; what was heard is answered still.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The box's ear for authorization servers.
pub(crate) struct Listener {
    judge: RefCell<Authorization>,
    doors: RefCell<BTreeMap<Place, Door>>,
    /// Sockets that are not heard any more and have answers still to give.
    closed: RefCell<Vec<(Place, Weak<UdpSocket>)>>,
    workers: Vec<WorkerHandle>,
}

/// Sockets that a configuration needs and that are not heard yet.
pub(crate) struct NewDoors(Vec<(Place, Rc<UdpSocket>)>);

impl NewDoors {
    /// Binds what these settings need, while nothing is open.
    pub(crate) fn first(settings: &Settings) -> Result<NewDoors, String> {
        bind(&places(settings), &[]).map(NewDoors)
    }
}

impl Listener {
    /// Deaf until it is told of servers.
    pub(crate) fn new(workers: Vec<WorkerHandle>) -> Rc<Listener> {
        let judge = RefCell::new(Authorization::new(clock::now().mono));
        Rc::new(Listener { judge, doors: RefCell::default(), closed: RefCell::default(), workers })
    }

    /// Binds what these settings need beyond what is open, beside it: what is open is heard as before, whatever becomes of the
    /// commit.
    pub(crate) fn open(&self, settings: &Settings) -> Result<NewDoors, String> {
        let doors = self.doors.borrow();
        let new: Vec<Place> = places(settings).into_iter().filter(|place| !doors.contains_key(place)).collect();
        let heard = doors.iter().map(|(place, door)| (*place, door.socket.clone()));
        let closed = self.closed.borrow();
        let closed = closed.iter().filter_map(|(place, socket)| Some((*place, socket.upgrade()?)));
        bind(&new, &heard.chain(closed).collect::<Vec<_>>()).map(NewDoors)
    }

    /// Listens as the settings say, from now on.
    pub(crate) fn configure(self: &Rc<Self>, settings: &Settings, NewDoors(new): NewDoors) {
        self.judge.borrow_mut().configure(settings);
        let wanted = places(settings);
        let mut doors = self.doors.borrow_mut();
        let mut closed = self.closed.borrow_mut();
        closed.retain(|(_, socket)| socket.strong_count() > 0);
        doors.retain(|place, door| {
            let stays = wanted.contains(place);
            if !stays {
                closed.push((*place, Rc::downgrade(&door.socket)));
            }
            stays
        });
        for (place, socket) in new {
            let task = tokio::task::spawn_local(hear(self.clone(), place, socket.clone()));
            doors.insert(place, Door { socket, task });
        }
    }

    /// What was counted.
    pub(crate) fn report(&self) -> AuthorizationReport {
        self.judge.borrow().report()
    }

    /// Has every worker take the order, as often as the judge asks, and answers.
    async fn obey(self: Rc<Self>, token: Token, order: Arc<Order>, socket: Rc<UdpSocket>) {
        let mut next = order.clone();
        loop {
            // A worker has ended, and with it the daemon does.
            let Some(outcomes) = self.ask_workers(token, &next).await else {
                return self.judge.borrow_mut().abandon(token);
            };
            let conclusion = self.judge.borrow_mut().handle_outcomes(clock::now(), token, &outcomes);
            match conclusion {
                Conclusion::Nothing => return,
                Conclusion::Ask(order) => next = Arc::new(order),
                Conclusion::Reply(to, octets) => {
                    tracing::info!(target: "audit", server = %to, %order, ?outcomes, "an authorization server was heard");
                    // What is lost is asked again.
                    let _ = socket.send_to(&octets, to).await;
                    return;
                }
            }
        }
    }

    async fn ask_workers(&self, token: Token, order: &Arc<Order>) -> Option<Vec<Outcome>> {
        let mut answers = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (reply, answer) = oneshot::channel();
            worker.tell(WorkerMessage::Order(token, order.clone(), reply));
            answers.push(answer);
        }
        let mut outcomes = Vec::with_capacity(answers.len());
        for answer in answers {
            outcomes.push(answer.await.ok()?);
        }
        Some(outcomes)
    }
}

fn places(settings: &Settings) -> Vec<Place> {
    let servers = settings.radius_authorization.servers.iter();
    let mut all: Vec<Place> =
        servers.map(|(path, server)| Place { vpn: path.vpn, at: server.destination(path.ip) }).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// All of them beside those that are `open`, or none and the reason.
fn bind(all: &[Place], open: &[(Place, Rc<UdpSocket>)]) -> Result<Vec<(Place, Rc<UdpSocket>)>, String> {
    let mut sockets: Vec<(Place, Rc<UdpSocket>)> = Vec::new();
    for &place in all {
        let cannot = |error| format!("authorization servers cannot be listened to on {place}: {error}");
        let shares = |other: &Place| other.at.port() == place.at.port() && other.at.is_ipv4() == place.at.is_ipv4();
        let ours = open.iter().chain(&sockets).filter(|(other, _)| shares(other));
        let beside: Vec<BorrowedFd<'_>> = ours.map(|(_, socket)| socket.as_fd()).collect();
        let device = place.vpn.as_ref().map(InterfaceName::as_str);
        let socket = kernel::datagram::bind(place.at, device, &beside).map_err(cannot)?;
        sockets.push((place, Rc::new(UdpSocket::from_std(socket).map_err(cannot)?)));
    }
    Ok(sockets)
}

/// Hears one socket for ever.
async fn hear(listener: Rc<Listener>, place: Place, socket: Rc<UdpSocket>) {
    let mut room = [0; ROOM];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut room).await else {
            // The system is out of something: the next time may find it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let arrived = Arrived { from, vpn: place.vpn, to: place.at, octets: &room[..length] };
        let judgement = listener.judge.borrow_mut().handle_datagram(clock::now(), &arrived);
        match judgement {
            Judgement::Nothing => {}
            Judgement::Reply(octets) => {
                let _ = socket.send_to(&octets, from).await;
            }
            Judgement::Ask(token, order) => {
                tokio::task::spawn_local(listener.clone().obey(token, Arc::new(order), socket.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use kernel::waker::Waker;
    use model::settings::{AuthorizationServer, Secret};
    use wire::radius::attribute::{Attribute, Type};
    use wire::radius::authenticator::{Unsigned, sign_request};
    use wire::radius::{Code, Encoder};

    use super::*;

    const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const SECRET: &[u8] = b"testing123";

    /// A server that speaks to this address, or any, and this port.
    fn settings(servers: &[(IpAddr, Option<IpAddr>, u16)]) -> Settings {
        let mut settings = Settings::default();
        for &(ip, destination_ip, port) in servers {
            let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
            let destination_port = Some(port);
            let server =
                AuthorizationServer { shared_key, destination_ip, destination_port, ..AuthorizationServer::default() };
            settings.radius_authorization.servers.insert(ip.into(), server);
        }
        settings
    }

    /// A Disconnect-Request, of a user or of nobody.
    fn request(user: &[u8]) -> Vec<u8> {
        let mut room = [0; 4096];
        let mut encoder = Encoder::packet(&mut room, Code::DISCONNECT_REQUEST, 1);
        if !user.is_empty() {
            encoder.attribute(Attribute { kind: Type::USER_NAME, value: user });
        }
        let packet = encoder.finish().unwrap();
        sign_request(&mut Unsigned { packet, secret: SECRET, message_authenticator: false });
        packet.to_vec()
    }

    fn free_port() -> u16 {
        let socket = std::net::UdpSocket::bind((SERVER, 0)).unwrap();
        socket.local_addr().unwrap().port()
    }

    /// An order is out, so that the old socket cannot be closed, and a commit comes that would have it closed and fails.
    #[test]
    fn a_refused_commit_leaves_the_old_socket_heard() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let (messages, inbox) = crossbeam::channel::unbounded();
            let worker = WorkerHandle { messages, waker: Arc::new(Waker::new().unwrap()) };
            let listener = Listener::new(vec![worker]);
            let port = free_port();
            let first = settings(&[(SERVER, None, port)]);
            listener.configure(&first, NewDoors::first(&first).unwrap());
            let server = UdpSocket::bind((SERVER, 0)).await.unwrap();
            server.send_to(&request(b"alice"), (SERVER, port)).await.unwrap();
            while inbox.is_empty() {
                tokio::task::yield_now().await;
            }
            let taken = std::net::UdpSocket::bind((SERVER, 0)).unwrap();
            let other = IpAddr::from([127, 0, 0, 2]);
            let refused =
                settings(&[(SERVER, Some(SERVER), port), (other, Some(SERVER), taken.local_addr().unwrap().port())]);
            assert!(listener.open(&refused).is_err());
            let mut room = [0; 4096];
            let mut hears = async |octets: Vec<u8>| {
                server.send_to(&octets, (SERVER, port)).await.unwrap();
                let heard = tokio::time::timeout(Duration::from_secs(20), server.recv_from(&mut room));
                let (length, from) = heard.await.expect("it is heard").unwrap();
                assert_eq!((from.port(), room[0]), (port, Code::DISCONNECT_NAK.0), "{length} octets");
            };
            hears(request(b"")).await;
            // Without the port that is taken the commit succeeds, and what was asked before it is answered from the old socket.
            let second = settings(&[(SERVER, Some(SERVER), port)]);
            let new = listener.open(&second).unwrap();
            listener.configure(&second, new);
            hears(request(b"")).await;
            let Ok(WorkerMessage::Order(_, _, reply)) = inbox.try_recv() else { panic!("alice is to be logged out") };
            reply.send(Outcome::NotFound).unwrap();
            let heard = tokio::time::timeout(Duration::from_secs(20), server.recv_from(&mut room)).await;
            assert_eq!(heard.expect("it is answered").unwrap().1.port(), port);
            // And back, while nothing of the first is open any more.
            let new = listener.open(&first).unwrap();
            listener.configure(&first, new);
            // What comes to the socket that is being closed is lost, and asked again.
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            server.send_to(&request(b""), (SERVER, port)).await.unwrap();
            let heard = tokio::time::timeout(Duration::from_secs(20), server.recv_from(&mut room)).await;
            assert_eq!(heard.expect("it is heard").unwrap().1.port(), port);
        });
    }
}
