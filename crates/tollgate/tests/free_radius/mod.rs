//! FreeRADIUS as Debian has it, with a configuration of its own instead of Debian's: it takes accounting requests at one address.
//! The tests of the whole daemon and the benches include this; what one of them asks of the server besides stands there.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "/usr/sbin/freeradius";

/// What it says when it takes requests.
pub(crate) const READY: &str = "Ready to process requests";

/// What one of them is to do.
pub(crate) struct FreeRadiusSetup<'a> {
    /// Where its files are, the detail file among them.
    pub(crate) directory: &'a Path,
    pub(crate) listen: SocketAddr,
    /// Of whoever speaks to it from this host.
    pub(crate) secret: &'a str,
    /// Every record goes into `detail`, without these attributes; `None`: nothing is written.
    pub(crate) left_out: Option<&'a [&'a str]>,
    /// What it does with a request before it accounts for it.
    pub(crate) preacct: &'a str,
    /// Settings and blocks of the whole server.
    pub(crate) settings: &'a str,
    /// Listeners, and sections of requests.
    pub(crate) sections: &'a str,
}

impl FreeRadiusSetup<'_> {
    /// Writes its configuration; the command runs it, and its log goes to standard output.
    pub(crate) fn command(&self) -> Result<Command> {
        if !Path::new(PROGRAM).exists() {
            return Err(Error::new(ErrorKind::NotFound, format!("{PROGRAM} is missing: install freeradius")));
        }
        std::fs::create_dir_all(self.directory)?;
        let dictionary = "$INCLUDE /usr/share/freeradius/dictionary\n";
        std::fs::write(self.directory.join("dictionary"), dictionary)?;
        std::fs::write(self.directory.join("radiusd.conf"), self.configuration())?;
        let mut command = Command::new(PROGRAM);
        command.arg("-d").arg(self.directory).args(["-f", "-l", "stdout"]).env("TZ", "UTC");
        Ok(command)
    }

    fn configuration(&self) -> String {
        let FreeRadiusSetup { listen, secret, preacct, settings, sections, .. } = self;
        let (shown, ip, port) = (self.directory.display(), listen.ip(), listen.port());
        let writer = self.left_out.map(|left_out| self.writer(left_out)).unwrap_or_default();
        let accounting = if writer.is_empty() { "ok" } else { "detail\n        ok" };
        format!(
            r#"prefix = {shown}
logdir = {shown}
run_dir = {shown}
libdir = /usr/lib/freeradius
pidfile = {shown}/pid
log {{
    destination = stdout
    auth = no
}}
thread pool {{
    start_servers = 2
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 2
    max_queue_size = 65536
}}
{settings}modules {{
{writer}    always ok {{
        rcode = ok
    }}
}}
client loopback {{
    ipaddr = 127.0.0.0/8
    secret = {secret}
    require_message_authenticator = no
}}
server accounting {{
    listen {{
        type = acct
        ipaddr = {ip}
        port = {port}
    }}
    preacct {{
        {preacct}
    }}
    accounting {{
        {accounting}
    }}
{sections}}}
"#
        )
    }

    fn writer(&self, left_out: &[&str]) -> String {
        let (shown, left_out) = (self.directory.display(), left_out.join("\n            "));
        format!(
            r#"    detail {{
        filename = {shown}/detail
        header = "%t"
        permissions = 0600
        locking = no
        suppress {{
            {left_out}
        }}
    }}
"#
        )
    }
}
