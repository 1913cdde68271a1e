//! TLS beside one stream: octets in, octets out, and no socket.
//!
//! A RADIUS packet is one record (RFC 6614 section 2.4 lets it be otherwise, servers do not all). What was taken of records by the
//! socket is counted back into packets. **Memory:** about 20 KiB while it stands, and what is under way; everything that is to be
//! written is taken out at once, so nothing piles up here.

use std::collections::VecDeque;
use std::io::{Read, Write};

use rustls::{ClientConnection, Error};

use super::TlsClient;

/// One connection's TLS.
#[derive(Debug)]
pub(crate) struct TlsSession {
    connection: ClientConnection,
    /// Packets that have not wholly left: where they end among all octets that were made, and how long they are.
    under_way: VecDeque<(u64, usize)>,
    made: u64,
    left: u64,
}

impl TlsSession {
    /// Begins; the first octets wait in [`TlsSession::drain`].
    pub(crate) fn begin(client: &TlsClient) -> Result<TlsSession, Error> {
        let mut connection = ClientConnection::new(client.config.clone(), client.name.clone())?;
        connection.set_buffer_limit(None);
        Ok(TlsSession { connection, under_way: VecDeque::new(), made: 0, left: 0 })
    }

    /// Whether the server has shown who it is, and packets may go.
    pub(crate) fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// As the log names it.
    pub(crate) fn version(&self) -> &'static str {
        self.connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS")
    }

    /// Takes what came in, and appends what it carries to `plain`. `true`: the server has closed. With an error, an alert may wait
    /// in [`TlsSession::drain`].
    pub(crate) fn take(&mut self, mut octets: &[u8], plain: &mut Vec<u8>) -> Result<bool, Error> {
        while !octets.is_empty() {
            let full = |error: std::io::Error| Error::General(error.to_string());
            self.connection.read_tls(&mut octets).map_err(full)?;
            let state = self.connection.process_new_packets()?;
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            self.connection.reader().read_exact(&mut plain[start..]).map_err(full)?;
            if state.peer_has_closed() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a record of a packet; its octets wait in [`TlsSession::drain`].
    pub(crate) fn put(&mut self, packet: &[u8], wire: &mut Vec<u8>) -> Result<(), Error> {
        self.connection.writer().write_all(packet).map_err(|error| Error::General(error.to_string()))?;
        self.drain(wire);
        self.under_way.push_back((self.made, packet.len()));
        Ok(())
    }

    /// Tells the server that nothing more comes.
    pub(crate) fn close(&mut self, wire: &mut Vec<u8>) {
        self.connection.send_close_notify();
        self.drain(wire);
    }

    /// Appends all that is to be written.
    pub(crate) fn drain(&mut self, wire: &mut Vec<u8>) {
        while self.connection.wants_write() {
            // A vector takes everything.
            let Ok(made) = self.connection.write_tls(wire) else { return };
            self.made += made as u64;
        }
    }

    /// So many octets that were drained have left: how many of packets that are.
    pub(crate) fn written(&mut self, octets: usize) -> usize {
        self.left += octets as u64;
        let mut whole = 0;
        while let Some(&(end, length)) = self.under_way.front().filter(|(end, _)| *end <= self.left) {
            debug_assert!(end <= self.made);
            whole += length;
            self.under_way.pop_front();
        }
        whole
    }
}
