//! What stands between a client and a server in the tests: a relay that cuts a connection after so many octets, and one
//! that loses and doubles datagrams.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// Octets that a connection carried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    pub(super) to_server: u64,
    pub(super) to_client: u64,
}

/// What becomes of a connection that has carried as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides hear of it.
    Cut,
    /// Nobody hears anything any more.
    Silence,
}

/// Relays one connection, until it has carried so many octets in a direction.
pub(super) async fn relay(target: u16, limits: Carried, end: End) -> (u16, JoinHandle<Carried>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let relayed = tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await.unwrap();
        let ((from_client, mut to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
        let mut upward = from_client.take(limits.to_server);
        let mut downward = from_server.take(limits.to_client);
        // One direction at its end ends both.
        tokio::select! {
            _ = tokio::io::copy(&mut upward, &mut to_server) => {}
            _ = tokio::io::copy(&mut downward, &mut to_client) => {}
        }
        if end == End::Silence {
            std::future::pending::<()>().await;
        }
        Carried { to_server: limits.to_server - upward.limit(), to_client: limits.to_client - downward.limit() }
    });
    (port, relayed)
}

/// Relays datagrams to a TFTP server and back, each client from a port of its own; of seven the fourth is lost, and of
/// five the second comes twice.
pub(super) async fn bad_link(server: SocketAddr) -> (u16, JoinHandle<()>) {
    let door = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = door.local_addr().unwrap().port();
    let relaying = tokio::spawn(async move {
        let mut room = [0; 2048];
        let mut known = std::collections::BTreeMap::new();
        loop {
            let (length, client) = door.recv_from(&mut room).await.unwrap();
            let sender = known.entry(client).or_insert_with(|| {
                let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
                tokio::spawn(carry(client, server, receiver));
                sender
            });
            // A client that has what it wants is no longer there.
            let _ = sender.send(room[..length].to_vec());
        }
    });
    (port, relaying)
}

async fn carry(client: SocketAddr, server: SocketAddr, mut requests: tokio::sync::mpsc::UnboundedReceiver<Vec<u8>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut peer = server;
    let mut room = [0; 2048];
    let mut count = 0;
    loop {
        let (octets, to) = tokio::select! {
            Some(request) = requests.recv() => (request, server),
            received = socket.recv_from(&mut room) => {
                let (length, from) = received.unwrap();
                if from != client {
                    peer = from;
                }
                (room[..length].to_vec(), if from == client { peer } else { client })
            }
        };
        count += 1;
        let copies = if count % 7 == 4 { 0 } else { 1 + usize::from(count % 5 == 2) };
        for _ in 0..copies {
            socket.send_to(&octets, to).await.unwrap();
        }
    }
}
