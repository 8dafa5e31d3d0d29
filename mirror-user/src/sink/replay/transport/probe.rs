//! Whether a target can be reached: one connection, through its proxy and with its TLS, before the run
//! starts.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, bail};

use super::target::{Endpoint, Target};

impl Target {
    /// Connects once and closes the connection, so that a run to an unreachable target fails before
    /// it starts.
    ///
    /// # Errors
    /// If the target has no address, or no address accepts a connection within `timeout` each.
    pub fn probe(&self, timeout: Duration) -> anyhow::Result<()> {
        if let Endpoint::Unix(path) = self.endpoint() {
            return match UnixStream::connect(path) {
                Ok(_) => Ok(()),
                Err(why) => {
                    bail!("{}: {}; is the target running?", path.display(), plain(&why))
                }
            };
        }
        if let (Endpoint::Tcp { host, .. }, []) = (self.endpoint(), self.addresses()) {
            let host = self.proxy().map_or(host, |proxy| &proxy.host);
            bail!("{host}: no address found; is the name right?");
        }
        let mut last = None;
        for address in self.addresses() {
            let connected = self.socket(*address).and_then(|socket| {
                socket.connect_timeout(&(*address).into(), timeout).map(|()| socket.into())
            });
            match connected {
                Ok(stream) => return self.probe_behind(stream, timeout),
                Err(why) => last = Some(why),
            }
        }
        let why = last.map_or_else(|| "no address".to_owned(), |why| plain(&why));
        match self.proxy() {
            None => bail!("{}: {why}; is the target running?", self.authority()),
            Some(proxy) => bail!(
                "{}: {why} at the proxy {proxy}, which the environment names; is it running?",
                self.authority()
            ),
        }
    }

    fn probe_behind(&self, mut stream: TcpStream, timeout: Duration) -> anyhow::Result<()> {
        if let Some(proxy) = self.proxy() {
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))?;
            proxy.tunnel_blocking(&mut stream).with_context(|| {
                format!(
                    "{}: no tunnel through the proxy {proxy}, which the environment names",
                    self.authority()
                )
            })?;
        }
        self.probe_tls(stream, timeout)
    }

    fn probe_tls(&self, stream: TcpStream, timeout: Duration) -> anyhow::Result<()> {
        let Some(tls) = self.tls() else { return Ok(()) };
        tls.probe(stream, timeout).with_context(|| {
            format!(
                "{}: the TLS handshake failed; does it speak TLS, and is its authority trusted (--tls-ca)?",
                self.authority()
            )
        })
    }
}

fn plain(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::TimedOut => "no response to a connection attempt".to_owned(),
        _ => why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Target;

    /// Far longer than loopback needs.
    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn probe_names_the_target_that_refuses() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let target = Target::parse(&format!("http://{free}")).unwrap();
        let why = target.probe(LONGEST).unwrap_err().to_string();
        assert_eq!(why, format!("{free}: connection refused; is the target running?"));
    }
}
