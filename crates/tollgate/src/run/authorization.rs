//! Dynamic authorization on the wire: the sockets that authorization servers speak to, and the way of an order to the workers
//! and back. What is believed and what is answered is judged in [`engine::authorization`].
//!
//! A socket for each address and port that some server may speak to, read by a task of the control thread: these requests are
//! few, and none is in a hurry. A request that waits for the workers holds nobody up. **Full:** the judge refuses what comes
//! beyond [`engine::authorization::PENDING_MAX`] at once; what the socket's buffer does not take is lost, and asked again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::authorization::{Arrived, Authorization, Judgement, Order, Outcome, Token};
use model::report::AuthorizationReport;
use model::settings::Settings;
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::clock;
use super::messages::{WorkerHandle, WorkerMessage};

/// One octet more than a packet may have, so that a longer one is seen to be.
const ROOM: usize = 4096 + 1;

/// A socket, and the task that reads it.
struct Door {
    task: JoinHandle<()>,
}

impl Door {
    /// Closes the socket, but for answers that are still to be given.
    async fn close(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The box's ear for authorization servers.
pub(crate) struct Listener {
    judge: RefCell<Authorization>,
    doors: RefCell<BTreeMap<SocketAddr, Door>>,
    workers: Vec<WorkerHandle>,
}

/// Sockets that a configuration needs and that are not open yet.
pub(crate) struct NewDoors(Vec<(SocketAddr, UdpSocket)>);

impl NewDoors {
    /// Binds what these settings need, while nothing is open.
    pub(crate) fn first(settings: &Settings) -> Result<NewDoors, String> {
        bind(&destinations(settings)).map(NewDoors)
    }
}

impl Listener {
    /// Deaf until it is told of servers.
    pub(crate) fn new(workers: Vec<WorkerHandle>) -> Rc<Listener> {
        Rc::new(Listener { judge: RefCell::new(Authorization::new()), doors: RefCell::default(), workers })
    }

    /// Binds what these settings need beyond what is open. What is open, is needed no more and stands in the way is closed
    /// before: an address of a port that will be listened to on any, or the other way round. If it was in vain, it is opened
    /// again.
    pub(crate) async fn open(self: &Rc<Self>, settings: &Settings) -> Result<NewDoors, String> {
        let wanted = destinations(settings);
        let is_open = |at: &SocketAddr| self.doors.borrow().contains_key(at);
        let new: Vec<SocketAddr> = wanted.iter().copied().filter(|at| !is_open(at)).collect();
        let in_the_way = |at: &SocketAddr| {
            !wanted.contains(at) && new.iter().any(|new| new.port() == at.port() && new.is_ipv4() == at.is_ipv4())
        };
        let closed: Vec<SocketAddr> = self.doors.borrow().keys().copied().filter(in_the_way).collect();
        for at in &closed {
            let door = self.doors.borrow_mut().remove(at);
            if let Some(door) = door {
                door.close().await;
            }
        }
        bind(&new).map(NewDoors).inspect_err(|_| match bind(&closed) {
            Ok(again) => self.listen(again),
            Err(why) => tracing::error!("{why}"),
        })
    }

    /// Listens as the settings say, from now on.
    pub(crate) fn configure(self: &Rc<Self>, settings: &Settings, NewDoors(new): NewDoors) {
        self.judge.borrow_mut().configure(settings);
        let wanted = destinations(settings);
        self.doors.borrow_mut().retain(|at, _| wanted.contains(at));
        self.listen(new);
    }

    fn listen(self: &Rc<Self>, sockets: Vec<(SocketAddr, UdpSocket)>) {
        let mut doors = self.doors.borrow_mut();
        for (at, socket) in sockets {
            let task = tokio::task::spawn_local(hear(self.clone(), at, Rc::new(socket)));
            doors.insert(at, Door { task });
        }
    }

    /// What was counted.
    pub(crate) fn report(&self) -> AuthorizationReport {
        self.judge.borrow().report()
    }

    /// Has every worker obey, and answers when all have.
    async fn obey(self: Rc<Self>, token: Token, order: Arc<Order>, socket: Rc<UdpSocket>) {
        let mut answers = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (reply, answer) = oneshot::channel();
            worker.tell(WorkerMessage::Order(token, order.clone(), reply));
            answers.push(answer);
        }
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer.await {
                Ok(outcome) => outcomes.push(outcome),
                // A worker has ended, and with it the daemon does.
                Err(_) => return self.judge.borrow_mut().abandon(token),
            }
        }
        let reply = self.judge.borrow_mut().handle_outcomes(clock::now(), token, &outcomes);
        if let Some((to, octets)) = reply {
            tracing::info!(target: "audit", server = %to, %order, ?outcomes, "an authorization server was heard");
            // What is lost is asked again.
            let _ = socket.send_to(&octets, to).await;
        }
    }
}

/// Where some server may speak to.
fn destinations(settings: &Settings) -> Vec<SocketAddr> {
    let servers = settings.radius_authorization.servers.iter();
    let mut all: Vec<SocketAddr> = servers.map(|(&ip, server)| server.destination(ip)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// All of them, or none and the reason.
fn bind(all: &[SocketAddr]) -> Result<Vec<(SocketAddr, UdpSocket)>, String> {
    let mut sockets = Vec::new();
    for &at in all {
        let cannot = |error| format!("authorization servers cannot be listened to on {at}: {error}");
        let socket = kernel::datagram::bind(at).map_err(cannot)?;
        sockets.push((at, UdpSocket::from_std(socket).map_err(cannot)?));
    }
    Ok(sockets)
}

/// Hears one socket for ever.
async fn hear(listener: Rc<Listener>, at: SocketAddr, socket: Rc<UdpSocket>) {
    let mut room = [0; ROOM];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut room).await else {
            // The system is out of something: the next time may find it.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let arrived = Arrived { from, to: at, octets: &room[..length] };
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
