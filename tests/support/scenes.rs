//! The conversations behind `pcaps/`: each is a story, a capture and its expected exchanges.

use std::fs;
use std::path::{Path, PathBuf};

use super::shopping;
use super::wire::{Talk, interleaved};

/// A named capture.
pub struct Scene {
    /// The file's name without its ending.
    pub name: &'static str,
    /// What it shows; becomes its line in `pcaps/README.md`.
    pub story: &'static str,
    /// The capture.
    pub pcap: Vec<u8>,
}

fn scene(name: &'static str, story: &'static str, pcap: Vec<u8>) -> Scene {
    Scene { name, story, pcap }
}

const GET: &str = "GET /items?page=2 HTTP/1.1\r\nHost: shop.example:8080\r\nAccept: */*\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
const POST: &str = "POST /cart HTTP/1.1\r\nHost: shop.example:8080\r\nContent-Type: application/json\r\n\
                    Content-Length: 14\r\n\r\n{\"item\":\"tea\"}";
const CREATED: &str = "HTTP/1.1 201 Created\r\nLocation: /cart/1\r\nContent-Length: 0\r\n\r\n";
const CHUNKED: &str = "POST /upload HTTP/1.1\r\nHost: shop.example:8080\r\nTransfer-Encoding: chunked\r\n\
                       Trailer: Digest\r\n\r\n4;name=value\r\nWiki\r\n5\r\npedia\r\n0\r\nDigest: abc\r\n\r\n";

/// The captures of `pcaps/`, in the order of their names.
pub fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps");
    let files = fs::read_dir(folder).expect("captures").map(|entry| entry.expect("a file").path());
    let mut captures: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|it| it == "pcap")).collect();
    captures.sort();
    assert!(captures.len() > 10);
    captures
}

/// Every scene.
pub fn all() -> Vec<Scene> {
    let numbered = |n: u32| format!("GET /{n} HTTP/1.1\r\nHost: a.example\r\n\r\n");
    vec![
        scene(
            "demo",
            "a customer's session on two connections: what `mirror demo` shows where it may not capture",
            interleaved(&[
                Talk::new().open().client(GET).server(OK).client(POST).server(CREATED).close(),
                Talk::between("10.0.0.3:41000", "10.0.0.1:8080").open().client(CHUNKED).server(OK).close(),
            ]),
        ),
        scene(
            "shopping",
            "three customers of a shop that makes names up for sessions, tokens, carts and orders: for `replay --correlate`",
            shopping::capture(),
        ),
        scene(
            "get",
            "one GET and its answer; the client's sequence numbers wrap",
            Talk::new().open().client(GET).server(OK).close().pcap(),
        ),
        scene(
            "chunked",
            "a chunked request with an extension and a trailer",
            Talk::new().open().client(CHUNKED).server(OK).close().pcap(),
        ),
        scene(
            "pipelined",
            "three requests in one segment, the answers one by one",
            Talk::new()
                .open()
                .client(numbered(1) + &numbered(2) + &numbered(3))
                .server(OK)
                .server(CREATED)
                .server(OK)
                .close()
                .pcap(),
        ),
        scene(
            "out-of-order",
            "a POST whose halves arrive in the other order, one of them twice",
            Talk::new().open().client(&POST[..90]).client(&POST[90..]).swapped().repeated().server(CREATED).close().pcap(),
        ),
        scene(
            "gap",
            "the middle of three requests was not captured: it alone is lost",
            Talk::new()
                .open()
                .client(numbered(1))
                .server(OK)
                .client(numbered(2))
                .lost()
                .server(OK)
                .client(numbered(3))
                .server(OK)
                .close()
                .pcap(),
        ),
        scene(
            "midstream",
            "a connection that was open before the capture began",
            Talk::new().server(&OK[20..]).client(GET).server(OK).close().pcap(),
        ),
        scene(
            "interim",
            "Expect: 100-continue with its interim answer, then a HEAD, then a 304",
            Talk::new()
                .open()
                .client("PUT /a HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
                .server("HTTP/1.1 100 Continue\r\n\r\n")
                .client("abc")
                .server("HTTP/1.1 204 No Content\r\n\r\n")
                .client("HEAD /a HTTP/1.1\r\nHost: a.example\r\n\r\n")
                .server("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
                .client(numbered(4))
                .server("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n")
                .close()
                .pcap(),
        ),
        scene(
            "until-close",
            "an answer that ends with its connection, and one that a reset cuts",
            interleaved(&[
                Talk::new().open().client(GET).server("HTTP/1.0 200 OK\r\n\r\nas long as it lasts").close(),
                Talk::between("10.0.0.3:41000", "10.0.0.1:8080")
                    .open()
                    .client(GET)
                    .server("HTTP/1.0 200 OK\r\n\r\nas long as")
                    .reset(),
            ]),
        ),
        scene(
            "upgrade",
            "a WebSocket: read as HTTP up to the 101, then no more",
            Talk::new()
                .open()
                .client("GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                .server("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
                .client([0x81, 0x85, 1, 2, 3, 4, 5, 6, 7, 8, 9])
                .close()
                .pcap(),
        ),
        scene(
            "not-http",
            "TLS and HTTP/2 beside one plain request",
            interleaved(&[
                Talk::new().open().client([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]).close(),
                Talk::between("10.0.0.3:41000", "10.0.0.1:8080").open().client("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").close(),
                Talk::between("10.0.0.4:42000", "10.0.0.1:8080").open().client(GET).server(OK).close(),
            ]),
        ),
        scene(
            "ipv6-vlan",
            "IPv6 inside a VLAN",
            Talk::between("[2001:db8::2]:40000", "[2001:db8::1]:8080").in_vlan(7).open().client(GET).server(OK).close().pcap(),
        ),
        scene(
            "already-shadow",
            "a request that bears the mark of a shadow beside one that does not",
            Talk::new()
                .open()
                .client("GET /s HTTP/1.1\r\nHost: a.example\r\nX-Shadow-Request: 1\r\n\r\n")
                .server(OK)
                .client(GET)
                .server(OK)
                .close()
                .pcap(),
        ),
        scene(
            "ambiguous",
            "two lengths that differ: told, and not replayed",
            Talk::new()
                .open()
                .client("POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")
                .server(OK)
                .close()
                .pcap(),
        ),
    ]
}
