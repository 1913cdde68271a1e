//! FreeRADIUS with a configuration of its own: it writes each accounting record to a detail file.

#[path = "../../free_radius/mod.rs"]
mod setup;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{Detail, Process, SECRET, Signal, seconds, wait_until};
use setup::{FreeRadiusSetup, READY};

/// Settings of the whole server, for a few requests at a time.
const SETTINGS: &str = "max_request_time = 30
cleanup_delay = 5
max_requests = 65536
hostname_lookups = no
proxy_requests = no
security {
    max_attributes = 200
    reject_delay = 0
    status_server = yes
}
";

/// Status-Server goes this way.
const AUTHORIZE: &str = "    authorize {
        ok
    }
";

/// A running server.
pub(crate) struct FreeRadius {
    process: Process,
}

impl FreeRadius {
    /// Starts it and waits until it answers. The detail file of an earlier start is continued.
    pub(crate) fn start(directory: &Path, port: u16) -> FreeRadius {
        FreeRadius::start_with(directory, port, "", "")
    }

    /// As [`FreeRadius::start`], and it takes every record of these detail files, one after the other, as if it had come in
    /// a packet. `files`: a pattern of names. A file that was taken is removed.
    pub(crate) fn start_reading(directory: &Path, port: u16, files: &str) -> FreeRadius {
        let reader = format!(
            "    listen {{\n        type = detail\n        filename = \"{files}\"\n        load_factor = 100\n        \
             poll_interval = 1\n        retry_interval = 30\n    }}\n"
        );
        FreeRadius::start_with(directory, port, &reader, "")
    }

    /// As [`FreeRadius::start`], and it listens at another port for RADIUS over TLS: with these files, and to nobody who has no
    /// certificate of that CA. How long a connection may rest there it takes from the listener: from the limits of its clients it
    /// does not, and half a minute would be all.
    pub(crate) fn start_over_tls(directory: &Path, ports: [u16; 2], files: [&Path; 3]) -> FreeRadius {
        let [ca, cert, key] = files.map(Path::display);
        let listener = format!(
            "    listen {{\n        type = acct\n        proto = tcp\n        ipaddr = 127.0.0.1\n        port = {}\n        \
             clients = radsec\n        limit {{\n            idle_timeout = 900\n        }}\n        tls {{\n            \
             ca_file = {ca}\n            certificate_file = {cert}\n            private_key_file = {key}\n            \
             require_client_cert = yes\n            tls_min_version = \"1.2\"\n            tls_max_version = \"1.3\"\n        \
             }}\n    }}\n",
            ports[1]
        );
        let clients = "clients radsec {\n    client loopback {\n        ipaddr = 127.0.0.1\n        proto = tls\n        \
                       secret = radsec\n        limit {\n            max_connections = 64\n            lifetime = 0\n        \
                       }\n    }\n}\n";
        FreeRadius::start_with(directory, ports[0], &listener, clients)
    }

    fn start_with(directory: &Path, port: u16, listener: &str, clients: &str) -> FreeRadius {
        let setup = FreeRadiusSetup {
            directory,
            listen: ([127, 0, 0, 1], port).into(),
            secret: SECRET,
            left_out: Some(&[]),
            preacct: "ok",
            settings: &[SETTINGS, clients].concat(),
            sections: &[listener, AUTHORIZE].concat(),
        };
        let mut command = setup.command().unwrap_or_else(|error| panic!("{error}, as scripts/test does"));
        let log = directory.join("log");
        let output = std::fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stderr(output.try_clone().unwrap()).stdout(output);
        let process = Process::start(&mut command);
        let mut server = FreeRadius { process };
        wait_until("FreeRADIUS answers", seconds(30), || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = server.process.ended() {
                panic!("FreeRADIUS ended with {status}:\n{said}");
            }
            said.contains(READY)
        });
        server
    }

    /// Ends it and waits until it is gone.
    pub(crate) fn stop(mut self, signal: Signal) {
        self.process.signal(signal);
        self.process.wait(seconds(20));
    }

    /// Holds it, or lets it go on: what arrives meanwhile waits in its socket.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// How many records of a kind the server in this directory has written, one that it is writing among them.
    pub(crate) fn count(directory: &Path, kind: &str) -> usize {
        // None has come yet.
        let text = std::fs::read_to_string(detail_path(directory)).unwrap_or_default();
        text.matches(&format!("\tAcct-Status-Type = {kind}\n")).count()
    }

    /// What the server in this directory has written.
    pub(crate) fn detail(directory: &Path) -> Detail {
        Detail::read(&detail_path(directory))
    }
}

fn detail_path(directory: &Path) -> PathBuf {
    directory.join("detail")
}
