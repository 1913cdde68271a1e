//! RADIUS over TLS (RFC 6614): what is read of certificate files, and what workers connect with.
//!
//! **Comes in:** the settings of servers that are spoken to over TLS. **Goes out:** [`TlsClients`] for the workers, sentences
//! about what is wrong with files, alarms about certificates that expire. **Never:** a socket; octets go through
//! [`session::TlsSession`] and whoever carries them.
//!
//! The control thread reads the files at each commit and once a day, so that certificates that were renewed serve without a
//! commit. Files that cannot be used any more leave in force what was read of them before. TLS 1.3 is preferred and 1.2 taken; the
//! server's certificate must be signed by a CA of the file and be for the server's name.

mod cause;
mod expiry;
mod files;
pub(crate) mod session;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::settings::{RadiusGroup, RadiusTls, ServerPath, Settings};
use model::time::Wall;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

pub(crate) use cause::cause;
use expiry::Alarms;
use files::{Files, Read};

/// What a connection to one server is begun with.
#[derive(Debug)]
pub(crate) struct TlsClient {
    pub(crate) config: Arc<ClientConfig>,
    /// What the server's certificate must be for.
    pub(crate) name: ServerName<'static>,
    /// The file of CAs, for whoever is told that none of them has signed.
    pub(crate) ca: String,
}

/// What connections to all servers are begun with. A server whose files cannot be used is missing.
#[derive(Debug, Default)]
pub(crate) struct TlsClients {
    by_path: BTreeMap<ServerPath, TlsClient>,
}

impl TlsClients {
    pub(crate) fn get(&self, server: &ServerPath) -> Option<&TlsClient> {
        self.by_path.get(server)
    }
}

/// What was read of all files that the running configuration names.
#[derive(Default)]
pub(crate) struct Book {
    read: BTreeMap<Files, Read>,
    alarms: Alarms,
}

impl Book {
    /// Reads the files of these settings anew. What the operator should know of them is told beside the clients; alarms are
    /// raised and cleared here.
    pub(crate) fn read(&mut self, settings: &Settings, now: Wall) -> (Arc<TlsClients>, Vec<String>) {
        let mut problems = Vec::new();
        let mut read = BTreeMap::new();
        let mut clients = TlsClients::default();
        let mut chosen: BTreeMap<ServerPath, &RadiusTls> = BTreeMap::new();
        for (group, server, tls) in each_server(settings) {
            let path = group.path_of(server);
            if let Some(other) = chosen.insert(path, tls)
                && other != tls
            {
                problems
                    .push(format!("{path} has other certificates or names in another group: the first group's hold"));
                chosen.insert(path, other);
                continue;
            }
            let files = Files::of(tls);
            let known =
                read.entry(files).or_insert_with_key(|files| files.read(self.read.remove(files), &mut problems));
            let Some(config) = &known.config else { continue };
            match name_of(tls, &path) {
                Ok(name) => {
                    let client = TlsClient { config: config.clone(), name, ca: tls.ca.clone() };
                    clients.by_path.insert(path, client);
                }
                Err(problem) => problems.push(problem),
            }
        }
        self.alarms.tell(read.values().flat_map(|read| &read.expiries), now);
        self.read = read;
        (Arc::new(clients), problems)
    }
}

/// Every server that is spoken to over TLS, with its group.
fn each_server(
    settings: &Settings,
) -> impl Iterator<Item = (&RadiusGroup, &model::settings::RadiusServer, &RadiusTls)> {
    let groups = settings.radius_groups.values();
    groups
        .flat_map(|group| group.accounting.iter().filter_map(move |server| Some((group, server, server.tls.as_ref()?))))
}

fn name_of(tls: &RadiusTls, server: &ServerPath) -> Result<ServerName<'static>, String> {
    match &tls.server_name {
        None => Ok(ServerName::from(server.address.ip())),
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_| format!("no certificate can be for {name}, the server-name of {server}")),
    }
}
