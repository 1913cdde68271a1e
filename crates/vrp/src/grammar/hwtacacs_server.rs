//! The server lines of an HWTACACS template. Accounting servers are asked by Tollgate; those of authentication and authorization
//! are the packet plane's, and are kept, printed and shown, so that a router's configuration is taken as it is.

use std::fmt::Write as _;
use std::net::SocketAddr;

use model::settings::{HwtacacsRank, HwtacacsServer, HwtacacsTemplate, Settings};

use super::hwtacacs_template::template_of;
use crate::command::{Action, Command, Done, Edit, Place, Stored, Undo, View, Words};
use crate::error::Refusal;

/// The declaration of a service's servers, which differ in the one word.
macro_rules! servers {
    ($word:literal, $help:literal, $service:expr) => {
        Command {
            views: &[View::HwtacacsTemplate],
            level: 3,
            section: "6.1",
            formats: &[concat!(
                "hwtacacs-server ",
                $word,
                " { ip:X.X.X.X | ip:X:X::X:X } [ port:INTEGER<1-65535> ] ",
                "[ { public-net | vpn-instance vpn:INTERFACE } | { secondary | third | fourth } ",
                "| shared-key cipher secret:SECRET<1-255> | mux-mode ]*"
            )],
            undo: Some(Undo {
                formats: &[
                    concat!("hwtacacs-server ", $word, " { secondary | third | fourth }"),
                    concat!("hwtacacs-server ", $word),
                    concat!(
                        "hwtacacs-server ",
                        $word,
                        " { ip:X.X.X.X | ip:X:X::X:X } [ port:INTEGER<1-65535> ] ",
                        "[ public-net | vpn-instance vpn:INTERFACE ] [ secondary | third | fourth ]"
                    ),
                ],
                run: |edit, words| $service.undo(edit, words),
            }),
            help: &[
                ($word, $help),
                ("port", "TCP port of the server; 49 when left out"),
                ("public-net", "In no VRF"),
                ("vpn-instance", "Of a VRF"),
                ("vpn", "Device of the VRF"),
                ("secondary", "Asked when the primary fails"),
                ("third", "Asked when the secondary fails as well"),
                ("fourth", "Asked when all others fail"),
                ("cipher", "In plain text or in its stored form"),
                ("mux-mode", "One connection for many requests, instead of one for each"),
            ],
            action: Action::Configure(|edit, words| $service.set(edit, words)),
            stored: Stored::Lines(|settings, place| $service.stored(settings, place)),
        }
    };
}

pub(super) const COMMANDS: &[Command] = &[
    servers!("authentication", "Authentication server: the packet plane's, kept and shown", Service::Authentication),
    servers!("authorization", "Authorization server: the packet plane's, kept and shown", Service::Authorization),
    servers!("accounting", "Accounting server", Service::Accounting),
];

type Servers = [Option<HwtacacsServer>; HwtacacsRank::COUNT];

/// What a server is for. A template has up to four for each.
#[derive(Clone, Copy)]
enum Service {
    Authentication,
    Authorization,
    Accounting,
}

impl Service {
    const fn word(self) -> &'static str {
        match self {
            Service::Authentication => "authentication",
            Service::Authorization => "authorization",
            Service::Accounting => "accounting",
        }
    }

    const fn servers(self, template: &HwtacacsTemplate) -> &Servers {
        match self {
            Service::Authentication => &template.authentication,
            Service::Authorization => &template.authorization,
            Service::Accounting => &template.accounting,
        }
    }

    const fn servers_mut(self, template: &mut HwtacacsTemplate) -> &mut Servers {
        match self {
            Service::Authentication => &mut template.authentication,
            Service::Authorization => &mut template.authorization,
            Service::Accounting => &mut template.accounting,
        }
    }

    /// The server of that rank is replaced as a whole.
    fn set(self, edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
        let rank = rank_of(words).unwrap_or_default() as usize;
        let port = words.number_if("port").unwrap_or(HwtacacsTemplate::PORT_DEFAULT);
        let current = self.servers(edit.template()?.1)[rank].as_ref().and_then(|server| server.shared_key.clone());
        let server = HwtacacsServer {
            address: SocketAddr::new(words.address("ip"), port),
            vpn: words.interface_if("vpn"),
            shared_key: edit.secret(words, current.as_ref())?,
            mux_mode: words.has("mux-mode"),
        };
        self.servers_mut(edit.template()?.1)[rank] = Some(server);
        Ok(Done::Applied)
    }

    /// Without an address the server of the rank goes, or the primary. With one, whichever it is, unless the line names a rank;
    /// without a port whatever its port, and without a VRF only one that is in none.
    fn undo(self, edit: &mut Edit<'_>, words: &Words) -> Result<Done, Refusal> {
        let (ip, port) = (words.address_if("ip"), words.number_if::<u16>("port"));
        let (rank, vpn) = (rank_of(words), words.interface_if("vpn"));
        let is_meant = |named: HwtacacsRank, server: &HwtacacsServer| match ip {
            None => named == rank.unwrap_or_default(),
            Some(ip) => {
                let is_at = server.address.ip() == ip && server.vpn == vpn;
                is_at && port.is_none_or(|port| port == server.address.port()) && rank.is_none_or(|rank| rank == named)
            }
        };
        let servers = self.servers_mut(edit.template()?.1);
        let mut has_gone = false;
        for (rank, server) in HwtacacsRank::ALL.into_iter().zip(servers) {
            has_gone |= server.take_if(|server| is_meant(rank, server)).is_some();
        }
        if has_gone { Ok(Done::Applied) } else { Err(Refusal::TemplateServerMissing) }
    }

    fn stored(self, settings: &Settings, place: &Place) -> Vec<String> {
        let Some(template) = template_of(settings, place) else { return Vec::new() };
        let ranked = HwtacacsRank::ALL.into_iter().zip(self.servers(template));
        ranked.filter_map(|(rank, server)| server.as_ref().map(|server| self.line(rank, server))).collect()
    }

    fn line(self, rank: HwtacacsRank, server: &HwtacacsServer) -> String {
        let mut line = format!("hwtacacs-server {} {}", self.word(), server.address.ip());
        if server.address.port() != HwtacacsTemplate::PORT_DEFAULT {
            let _ = write!(line, " {}", server.address.port());
        }
        if let Some(vpn) = &server.vpn {
            let _ = write!(line, " vpn-instance {vpn}");
        }
        if let Some(rank) = rank.keyword() {
            let _ = write!(line, " {rank}");
        }
        if let Some(secret) = &server.shared_key {
            let _ = write!(line, " shared-key cipher {}", secret.stored());
        }
        if server.mux_mode {
            line.push_str(" mux-mode");
        }
        line
    }
}

/// The rank that the line names; none is the primary's.
fn rank_of(words: &Words) -> Option<HwtacacsRank> {
    HwtacacsRank::ALL.into_iter().find(|rank| rank.keyword().is_some_and(|keyword| words.has(keyword)))
}
