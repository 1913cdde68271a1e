//! The relay: whom this box is an accounting server to (INTERFACES.md section 5).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use model::settings::{DisconnectFail, Relay, RelayClient, RelayInterim, Settings};

use crate::command::{Action, Command, Display, DisplayRequest, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

pub(super) const COMMANDS: &[Command] = &[
    Command {
        views: &[View::System],
        level: 2,
        section: "INTERFACES 5",
        formats: &["relay listen ip:X.X.X.X port:INTEGER<1-65535>", "relay listen ip:X:X::X:X port:INTEGER<1-65535>"],
        undo: Some(Undo {
            formats: &["relay listen"],
            run: |edit, _| {
                edit.settings.relay.listen = None;
                Ok(Done::Applied)
            },
        }),
        help: &[
            ("relay", "Accounting server that this box is to NAS"),
            ("listen", "Where NAS send their accounting to"),
            ("port", "UDP port of this box"),
        ],
        action: Action::Configure(listen),
        stored: Stored::Lines(stored_listen),
    },
    Command {
        views: &[View::System],
        level: 2,
        section: "INTERFACES 5",
        formats: &["relay client { ip:X.X.X.X | ip:X:X::X:X } \
                    { shared-key secret:SECRET<1-128> | shared-key-cipher secret:SECRET<1-128> } \
                    [ domain domain:NAME<1-64> ] [ disconnect-port port:INTEGER<1-65535> ] \
                    [ disconnect-fail { keep | stop } ] \
                    [ interim { follow | seconds:INTEGER<60-3932100> } ] [ silence count:INTEGER<0-100> ]"],
        undo: Some(Undo { formats: &["relay client { ip:X.X.X.X | ip:X:X::X:X }"], run: undo_client }),
        help: &[
            ("relay", "Accounting server that this box is to NAS"),
            ("client", "NAS that is listened to, by the address that it sends from"),
            ("domain", "Domain that its sessions belong to"),
            ("disconnect-port", "Where it takes Disconnect-Requests; none are sent when left out"),
            ("port", "UDP port of the NAS"),
            ("disconnect-fail", "What becomes of a session that it does not log out"),
            ("keep", "It is accounted for as before; so when left out"),
            ("stop", "Its accounting ends"),
            ("interim", "When servers are told what its sessions have counted"),
            ("follow", "Whenever the NAS tells it; so when left out"),
            ("seconds", "Interval in seconds"),
            ("silence", "How long a session lives that the NAS does not speak of"),
            ("count", "Intervals of the NAS, 3 when left out; 0: for ever"),
        ],
        action: Action::Configure(client),
        stored: Stored::Lines(stored_clients),
    },
    Command {
        views: &View::ALL,
        level: 1,
        section: "INTERFACES 5",
        formats: &["display relay"],
        undo: None,
        help: &[("relay", "Accounting server that this box is to NAS")],
        action: Action::Display(|_, _| Display::Live(DisplayRequest::Relay)),
        stored: Stored::Never,
    },
];

fn listen(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    edit.settings.relay.listen = Some(SocketAddr::new(words.address("ip"), words.number("port")));
    Ok(Done::Applied)
}

fn stored_listen(settings: &Settings, _: &Place) -> Vec<String> {
    let listen = settings.relay.listen.iter();
    listen.map(|at| format!("relay listen {} {}", at.ip(), at.port())).collect()
}

/// The client of the line as it is to be; one of that address is replaced as a whole.
fn client(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let ip: IpAddr = words.address("ip");
    let clients = &edit.settings.relay.clients;
    if !clients.contains_key(&ip) && clients.len() >= Relay::CLIENT_COUNT_MAX {
        return Err(Refusal::RelayClientsFull);
    }
    let current = clients.get(&ip).map(|client| client.shared_key.clone());
    let Some(shared_key) = edit.secret(words, current.as_ref())? else { return Err(Refusal::RelayClientWithoutKey) };
    let client = RelayClient {
        shared_key,
        domain: words.text_if("domain").map(Into::into),
        disconnect_port: words.number_if("port"),
        disconnect_fail: if words.has("stop") { DisconnectFail::Stop } else { DisconnectFail::Keep },
        interim: words.number_if("seconds").map_or(RelayInterim::Follow, RelayInterim::Every),
        silence: words.number_if("count").unwrap_or(RelayClient::SILENCE_DEFAULT),
    };
    edit.settings.relay.clients.insert(ip, client);
    Ok(Done::Applied)
}

fn undo_client(edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
    let ip: IpAddr = words.address("ip");
    edit.settings.relay.clients.remove(&ip).map(|_| Done::Applied).ok_or(Refusal::RelayClientMissing)
}

fn stored_clients(settings: &Settings, _: &Place) -> Vec<String> {
    settings.relay.clients.iter().map(stored_client).collect()
}

fn stored_client((ip, client): (&IpAddr, &RelayClient)) -> String {
    let mut line = format!("relay client {ip} shared-key-cipher {}", client.shared_key.stored());
    if let Some(domain) = &client.domain {
        let _ = write!(line, " domain {domain}");
    }
    if let Some(port) = client.disconnect_port {
        let _ = write!(line, " disconnect-port {port}");
    }
    if client.disconnect_fail == DisconnectFail::Stop {
        line.push_str(" disconnect-fail stop");
    }
    if let RelayInterim::Every(seconds) = client.interim {
        let _ = write!(line, " interim {seconds}");
    }
    if client.silence != RelayClient::SILENCE_DEFAULT {
        let _ = write!(line, " silence {}", client.silence);
    }
    line
}
