//! The address of a stream, as the user writes it: `nats://HOST:PORT/STREAM`.

use std::fmt;

use url::Url;

/// The port of NATS.
const DEFAULT_PORT: u16 = 4222;

/// Where a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The name of the stream, which is the first part of its subjects, too.
    pub stream: String,
    /// True for `tls://`: TLS from the first byte that the client sends after the server's greeting.
    pub tls: bool,
}

impl Address {
    /// True if `text` is meant as the address of a stream.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("nats://") || text.starts_with("tls://")
    }

    /// Parses `nats://HOST:PORT/STREAM`, or `tls://`, which refuses a server without TLS.
    ///
    /// # Errors
    /// What is wrong and what to write instead. A password is not repeated.
    pub fn read(text: &str) -> Result<Self, String> {
        let write = "write nats://HOST:4222/STREAM";
        let url = Url::parse(text)
            .map_err(|_| format!("the address of a stream is not a URL; {write}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("nats://: user and password stand in no address, where others could see them; give a file \
                        with an nkey or credentials"
                .to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| format!("{text}: names no host; {write}"))?.to_owned();
        let stream = url.path().trim_matches('/').to_owned();
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if stream.is_empty() || stream.len() > 64 || !stream.chars().all(is_name) {
            return Err(format!(
                "{text}: names no stream, of at most 64 letters, digits, - and _; {write}"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{text}: a stream has no query or fragment; {write}"));
        }
        let port = url.port().unwrap_or(DEFAULT_PORT);
        if port == 0 {
            return Err(format!("{text}: port 0 cannot be connected to; {write}"));
        }
        Ok(Self { host, port, stream, tls: url.scheme() == "tls" })
    }

    /// The server alone, as the client library takes it.
    #[must_use]
    pub fn server(&self) -> String {
        let scheme = if self.tls { "tls" } else { "nats" };
        format!("{scheme}://{}:{}", self.host, self.port)
    }

    /// The subject of a shard.
    #[must_use]
    pub fn shard(&self, shard: u32) -> String {
        format!("{}.shard.{shard}", self.stream)
    }

    /// The subject of what the run counted.
    #[must_use]
    pub fn report(&self, run: &str) -> String {
        format!("{}.report.{run}", self.stream)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.server(), self.stream)
    }
}

/// The shard of a connection: FNV-1a (64 bits) over the run's name and the connection's number, little-endian, by the
/// number of shards. Others can compute it, too.
#[must_use]
pub fn shard_of(run: &[u8], connection: u64, shards: u32) -> u32 {
    let number = connection.to_le_bytes();
    let hash = run.iter().chain(&number).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits of FNV-1a depend on the low bits of its input alone.
    let mixed = hash ^ (hash >> 32);
    u32::try_from(mixed % u64::from(shards.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_a_password_is_not_repeated() {
        let address = Address::read("nats://broker/prod").unwrap();
        assert_eq!((address.port, address.stream.as_str(), address.tls), (4222, "prod", false));
        assert_eq!(address.to_string(), "nats://broker:4222/prod");
        assert_eq!(address.shard(3), "prod.shard.3");
        assert!(Address::read("tls://[::1]:1/a").unwrap().tls);
        for wrong in [
            "nats://",
            "nats://broker",
            "nats://b/a.b",
            "nats://b/a/b",
            "nats://b:0/a",
            "nats://b/a?x",
        ] {
            let why = Address::read(wrong).unwrap_err();
            assert!(why.contains("nats://HOST:4222/STREAM"), "{wrong}: {why}");
        }
        let why = Address::read("nats://user:hunter2@broker/prod").unwrap_err();
        assert!(!why.contains("hunter2") && why.contains("nkey"), "{why}");
    }

    #[test]
    fn connections_spread_over_the_shards_and_stay_there() {
        let mut counts = [0_u32; 16];
        for connection in 0..16_000 {
            let shard = shard_of(b"00f1e2d3c4b5a697", connection, 16);
            assert_eq!(shard, shard_of(b"00f1e2d3c4b5a697", connection, 16));
            counts[shard as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        assert_eq!(shard_of(b"00f1e2d3c4b5a697", 7, 16), shard_of(b"00f1e2d3c4b5a697", 7, 16));
        assert_eq!(shard_of(b"a", 1, 0), 0);
    }
}
