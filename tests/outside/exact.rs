//! What arrives at a target equals what was captured, but for the marks: odd requests that RFC 9112
//! allows, as packets of every size.

use std::time::Duration;

use crate::support::target::{Behaviour, Target};
use crate::support::wire::{Talk, interleaved};
use crate::support::{Workspace, mirror};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(60);

/// Odd but legal, each with the path that names it.
fn corpus() -> Vec<Vec<u8>> {
    let mebibyte: Vec<u8> =
        (0..1_u32 << 20).map(|n: u32| (n ^ (n >> 7)).to_le_bytes()[0]).collect();
    let long_value = "v".repeat(30_000);
    let many: String = (0..90).map(|n| format!("X-{n:02}: {n}\r\n")).collect();
    let texts: Vec<Vec<u8>> = [
        // The case and the order of names, and white space around values.
        "GET /case HTTP/1.1\r\nzeta: 1\r\nhOST: shop\r\nALPHA:2\r\nbeta:\t 3 \t\r\nAccept:*/*\r\n\r\n",
        // The same name several times, next to each other and apart.
        "GET /twice HTTP/1.1\r\nHost: shop\r\nVia: 1\r\nX: a\r\nVia: 2\r\nVia: 1\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
        // Values of nothing, of white space, and of separators.
        "GET /empty HTTP/1.1\r\nHost: shop\r\nA:\r\nB: \r\nC:\t\r\nD: ,,\r\nE: \"\"\r\nF: :\r\n\r\n",
        // No host is a host (RFC 9112 §3.2).
        "GET /no-host HTTP/1.1\r\nHost:\r\n\r\n",
        // The absolute form, which a server must accept (RFC 9112 §3.2.2).
        "GET http://shop:8080/absolute?a=b;c HTTP/1.1\r\nHost: shop:8080\r\n\r\n",
        // The asterisk form.
        "OPTIONS * HTTP/1.1\r\nHost: shop\r\nX-Path: /asterisk\r\n\r\n",
        // A target with everything that one may hold.
        "GET /target/%2e%2E//;a=b/%00?q=%zz&&=&?/?:@!$'()*+,~-._ HTTP/1.1\r\nHost: shop\r\n\r\n",
        // Any token is a method and a name.
        "!#$%&'*+-.^_`|~ /token HTTP/1.1\r\nHost: shop\r\n!#$%&'*+-.^_`|~: x\r\n\r\n",
        "M-SEARCH /method HTTP/1.1\r\nHost: shop\r\n\r\n",
        "get /lower HTTP/1.1\r\nHost: shop\r\n\r\n",
        // A body where few expect one.
        "GET /body HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\nabc",
        "DELETE /zero HTTP/1.1\r\nHost: shop\r\nContent-Length: 0000\r\n\r\n",
        // A body that looks like a request.
        "POST /inner HTTP/1.1\r\nHost: shop\r\nContent-Length: 36\r\n\r\nGET /inner HTTP/1.1\r\nHost: other\r\n\r\n",
        // Chunks with extensions, zeros and capitals; trailers.
        "POST /chunks HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nTrailer: A, B\r\n\r\n\
         0004;name=value;q=\"a;b \\\" c\";flag\r\nwiki\r\nA\r\n0123456789\r\n00000f;x\r\n123456789abcdef\r\n\
         000;last\r\nA: 1\r\nb:\r\nA: 2\r\n\r\n",
        "POST /chunked-case HTTP/1.1\r\nHost: shop\r\ntRANSFER-eNCODING:  ChunKed\r\n\r\n0\r\n\r\n",
        "POST /gzip HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\n\x1f\x08\x00\r\n0\r\n\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let mut corpus = texts;
    // Bytes beyond ASCII in a value (obs-text, RFC 9110 §5.5).
    let obs_text: Vec<u8> = (0x80..=0xff).collect();
    corpus.push(
        [
            b"GET /obs-text HTTP/1.1\r\nHost: shop\r\nX-Name: ",
            &obs_text[..],
            b"\r\nX-End: 1\r\n\r\n",
        ]
        .concat(),
    );
    corpus.push(
        format!("GET /long HTTP/1.1\r\nHost: shop\r\nX-Long: {long_value}\r\n{many}\r\n")
            .into_bytes(),
    );
    // Any byte may be in a body, which here has no header but its length.
    let head = format!(
        "POST /mebibyte HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n",
        mebibyte.len()
    );
    corpus.push([head.as_bytes(), &mebibyte].concat());
    corpus
}

/// What arrived, without the lines that mark it.
fn unmarked(wire: &[u8]) -> Vec<u8> {
    const MARKS: [&[u8]; 3] =
        [b"X-Shadow-Request: 1\r\n", b"X-Shadow-Id: ", b"baggage: synthetic_request=true\r\n"];
    let end = wire.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 2;
    let (head, rest) = wire.split_at(end);
    let lines: Vec<&[u8]> = head.split_inclusive(|byte| *byte == b'\n').collect();
    let (marks, kept): (Vec<&[u8]>, Vec<&[u8]>) =
        lines.iter().partition(|line| MARKS.iter().any(|mark| line.starts_with(mark)));
    assert_eq!(marks.len(), 3, "{}", String::from_utf8_lossy(head));
    [kept.concat(), rest.to_vec()].concat()
}

/// What arrives when `pcap` is replayed, without the marks, in the order of arrival; nothing else may
/// be dropped.
fn replayed(pcap: &[u8], count: usize) -> Vec<Vec<u8>> {
    replayed_with(pcap, count, &["--fail-on", "dropped>0"])
}

fn replayed_with(pcap: &[u8], count: usize, flags: &[&str]) -> Vec<Vec<u8>> {
    let target = Target::start(Behaviour::Answer);
    let workspace = Workspace::new();
    let file = workspace.file("odd.pcap", pcap);
    let to = target.url();
    let always = ["replay", "--from", &file, "--to", &to, "--speed", "max", "--host", "keep"];
    mirror(&[&always[..], flags].concat()).exits_with(0);
    let received = target.wait_for(count, PATIENCE);
    assert_eq!(received.len(), count);
    received.iter().map(|request| unmarked(&request.wire())).collect()
}

#[track_caller]
fn same(is: &[u8], wanted: &[u8]) {
    let shown =
        |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]).into_owned();
    assert!(is == wanted, "wanted:\n{}\nis:\n{}", shown(wanted), shown(is));
}

#[test]
fn odd_requests_arrive_byte_for_byte() {
    let corpus = corpus();
    let mut talk = Talk::new().open();
    for request in &corpus {
        talk = talk.client(request).server(OK);
    }
    let received = replayed(&talk.close().pcap(), corpus.len());
    received.iter().zip(&corpus).for_each(|(is, wanted)| same(is, wanted));
}

#[test]
fn pipelined_requests_arrive_byte_for_byte_and_in_order() {
    let corpus = corpus();
    // Each packet ends somewhere in a request, and most hold parts of several.
    let mut talk = Talk::new().open().client(corpus.concat());
    for _ in &corpus {
        talk = talk.server(OK);
    }
    let received = replayed(&talk.close().pcap(), corpus.len());
    received.iter().zip(&corpus).for_each(|(is, wanted)| same(is, wanted));
}

#[test]
fn requests_in_packets_of_one_byte_arrive_byte_for_byte() {
    let corpus: Vec<_> = corpus().into_iter().filter(|request| request.len() < 1_000).collect();
    let talks: Vec<Talk> = (1_u16..)
        .zip(&corpus)
        .map(|(n, request)| {
            let talk = Talk::between(&format!("10.0.0.2:{}", 40_000 + n), "10.0.0.1:8080").open();
            request.iter().fold(talk, |talk, byte| talk.client([*byte])).server(OK).close()
        })
        .collect();
    let mut received = replayed(&interleaved(&talks), corpus.len());
    let mut wanted = corpus;
    received.sort();
    wanted.sort();
    received.iter().zip(&wanted).for_each(|(is, wanted)| same(is, wanted));
}

#[test]
fn what_was_meant_for_one_connection_stays_there_and_nothing_else_changes() {
    let request = "GET /hop HTTP/1.1\r\nA: 1\r\nConnection: keep-alive, x-hop\r\nHost: shop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nB: 2\r\n\r\n";
    let talk = Talk::new().open().client(request).server(OK).close();
    let received = replayed(&talk.pcap(), 1);
    same(&received[0], b"GET /hop HTTP/1.1\r\nA: 1\r\nHost: shop\r\nB: 2\r\n\r\n");
}

#[test]
fn http_1_0_arrives_as_it_was() {
    let request = "POST /old HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi";
    let talk = Talk::new().open().client(request).server(OK).close();
    same(&replayed(&talk.pcap(), 1)[0], request.as_bytes());
}

#[test]
fn a_request_that_is_sent_again_after_417_arrives_once_and_whole() {
    let again = "POST /up HTTP/1.1\r\nHost: shop\r\nContent-Length: 12\r\n\r\nhello, world";
    let asks =
        "POST /up HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n";
    let refused = "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n";
    let talk = Talk::new().open().client(asks).server(refused).client(again).server(OK).close();
    same(&replayed_with(&talk.pcap(), 1, &[])[0], again.as_bytes());
}

#[test]
fn what_a_proxy_puts_in_front_and_what_is_unreadable_do_not_arrive() {
    let get = |n: u32| format!("QUERY /{n} HTTP/1.1\r\nHost: shop\r\nContent-Length: 2\r\n\r\nhi");
    let proxied = "PROXY TCP4 203.0.113.9 10.0.0.1 51000 80\r\n".to_owned() + &get(0);
    let mut talk = Talk::new().open().client(proxied).server(OK);
    talk = talk.client("GET /b ad HTTP/1.1\r\nHost: shop\r\n\r\n").server(OK);
    for n in 1..50 {
        talk = talk.client(get(n)).server(OK);
    }
    let received = replayed(&talk.close().pcap(), 50);
    received.iter().zip(0..).for_each(|(is, n)| same(is, get(n).as_bytes()));
}
