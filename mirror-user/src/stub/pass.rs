//! Requests without a stub that go to a real server after all, where the operator allows it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::http::target::RequestTarget;
use crate::http::{ReadRequest, ResponseProgress, ResponseReader};

/// For a connection to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the next bytes of the response.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes that are read at once.
const BLOCK: usize = 16 * 1024;

/// A server that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// `HOST:PORT`.
    pub address: String,
    /// The operator chose it; otherwise it is the host of the request.
    pub is_named: bool,
}

/// A request as it is passed on.
pub(super) struct Passed {
    bytes: Vec<u8>,
    is_head: bool,
    upstream: Upstream,
}

/// Fields that belong to one connection (RFC 9110 §7.6.1), and those of framing and waiting, which are made anew.
const OF_CONNECTION: [&str; 10] = [
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "te",
    "upgrade",
    "transfer-encoding",
    "content-length",
    "expect",
    "trailer",
];

impl Passed {
    /// The same request in origin form, on a connection of its own.
    pub(super) fn new(request: &ReadRequest<'_>, upstream: Upstream) -> Self {
        let target = RequestTarget::parse(request.method, request.target);
        let mut bytes = [request.method, b" ", target.path()].concat();
        if !target.query().is_empty() {
            bytes.push(b'?');
            bytes.extend_from_slice(target.query());
        }
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        let field = |bytes: &mut Vec<u8>, name: &[u8], value: &[u8]| {
            [name, b": ", value, b"\r\n"].iter().for_each(|part| bytes.extend_from_slice(part));
        };
        // A client may name more that belong to its connection.
        let options: Vec<&[u8]> = request
            .fields()
            .filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"))
            .flat_map(|(_, value)| value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
            .collect();
        for (name, value) in request.fields() {
            let is_left_out =
                OF_CONNECTION.iter().any(|left_out| name.eq_ignore_ascii_case(left_out.as_bytes()))
                    || options.iter().any(|option| name.eq_ignore_ascii_case(option));
            if !is_left_out {
                field(&mut bytes, name, value);
            }
        }
        let has_length = request.field("content-length").is_some()
            || request.field("transfer-encoding").is_some();
        if has_length {
            field(&mut bytes, b"Content-Length", request.content.len().to_string().as_bytes());
        }
        bytes.extend_from_slice(b"Connection: close\r\n\r\n");
        bytes.extend_from_slice(request.content);
        Self { bytes, is_head: request.method == b"HEAD", upstream }
    }

    /// Sends it, and hands the response to the client as it comes. The client's connection ends with it.
    ///
    /// # Errors
    /// If the server could not be reached or broke off, and whether the client has got a part of the response.
    pub(super) async fn relay(self, client: &mut (impl AsyncWrite + Unpin)) -> Result<(), Broken> {
        let mut sent = false;
        let relayed = self.copy(client, &mut sent).await;
        relayed.map_err(|_| if sent { Broken::Midway } else { Broken::AtOnce })
    }

    async fn copy(self, client: &mut (impl AsyncWrite + Unpin), sent: &mut bool) -> io::Result<()> {
        let mut server =
            timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.upstream.address)).await??;
        timeout(READ_TIMEOUT, server.write_all(&self.bytes)).await??;
        let mut reader = ResponseReader::default();
        reader.expect(self.is_head, None);
        let mut block = vec![0; BLOCK];
        loop {
            let length = timeout(READ_TIMEOUT, server.read(&mut block)).await??;
            let bytes = block.get(..length).unwrap_or_default();
            let progress = match length {
                0 => reader.end().ok_or(io::ErrorKind::UnexpectedEof)?,
                _ => reader.push(bytes).map_err(|_| io::ErrorKind::InvalidData)?,
            };
            timeout(READ_TIMEOUT, client.write_all(bytes)).await??;
            *sent |= length > 0;
            if let ResponseProgress::Complete { .. } = progress {
                return Ok(());
            }
        }
    }
}

/// The response did not come whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The client has got nothing yet.
    AtOnce,
    /// It has got a part.
    Midway,
}
