//! `mirror demo`: a small production server, its clients and a shadow, all in this process, and real
//! packets between them.
//!
//! If the process may capture, packets are copied from `lo` while the clients talk to production;
//! otherwise the same conversation comes from an embedded capture file. Either way the requests pass
//! through the stages that `mirror replay` uses, and arrive at a real server. Then the same is done with a
//! candidate, whose responses are compared with production's.

mod compared;
mod server;
mod shop;
mod tap;

use std::io::{self, Cursor, IsTerminal, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use crossbeam_channel::{Receiver, unbounded};

use self::server::Server;
use crate::cli::DemoArgs;
use crate::config::Config;
use crate::doctor;
use crate::http::message::Message;
use crate::run;
use crate::shutdown::Stop;
use crate::summary::Summary;

/// The clients' session, for hosts that may not capture; see `pcaps/README.md`.
const RECORDED: &[u8] = include_bytes!("../../../pcaps/demo.pcap");

/// Requests in either form of the demo.
const REQUESTS: usize = 3;

/// How long a request may take from production to the shadow before the demo fails.
const PATIENCE: Duration = Duration::from_secs(5);

/// The clients' requests, each on its own connection.
const CLIENT_REQUESTS: [&str; REQUESTS] = [
    "GET /items?page=2 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n",
    "POST /cart HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\
     \r\n{\"item\":\"tea\"}",
    "POST /upload HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n\
     4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n",
];

const RESPONSE: &[u8; 43] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SHADOW_RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshadow";

/// Runs the demo and prints it to `out`; live if this host may capture, unless `offline`. The page of the comparison
/// listens at `dashboard`, and then stays until a signal.
///
/// # Errors
/// When loopback cannot be used, or the requests do not arrive at the shadow.
pub fn run(args: &DemoArgs, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let stop = Stop::on_signals()?;
    stop.on_hangup()?;
    let is_live = !args.offline && doctor::examine().can_capture();
    // On threads of their own, because a run gives up privileges that the next one needs.
    let summary = apart(|| match is_live {
        true => live(out),
        false => recorded(out),
    })?;
    writeln!(out, "\n{summary}")?;
    let stays = args.dashboard.is_some() || io::stdout().is_terminal();
    let page = args.dashboard.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
    apart(|| compared::run(is_live, page, stays, &stop, out))?;
    writeln!(
        out,
        "\nNext: mirror replay --from eth0 --port 8080 --to http://staging:8080\n      \
         mirror compare --from eth0 --port 8080 --to http://candidate:8080 --dashboard 127.0.0.1:8888"
    )?;
    Ok(())
}

/// Runs a part on a thread of its own.
fn apart<T: Send>(part: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    let ended = thread::scope(|scope| scope.spawn(part).join());
    ended.unwrap_or_else(|_| Err(anyhow::anyhow!("a part of the demo ended early")))
}

/// A server that gives one response to all, and what arrives at it.
fn server(response: &'static [u8]) -> anyhow::Result<(Server, Receiver<Arc<Message>>)> {
    // connections --requests--> the demo, which prints them
    let (arrived_tx, arrived_rx) = unbounded();
    let answer = move |request: &Arc<Message>| {
        // Nobody reads any more where the demo has ended.
        let _ = arrived_tx.send(Arc::clone(request));
        response.to_vec()
    };
    Ok((Server::start(Arc::new(answer), None)?, arrived_rx))
}

fn live(out: &mut dyn Write) -> anyhow::Result<Summary> {
    let (production, asked) = server(RESPONSE)?;
    let (shadow, arrived) = server(SHADOW_RESPONSE)?;
    writeln!(
        out,
        "production listens on {}, the shadow on {}",
        production.address, shadow.address
    )?;
    let stop = Stop::default();
    let run = run::start(Config::for_live_demo(production.address.port(), shadow.address)?, &stop)?;
    writeln!(
        out,
        "the kernel program is attached to lo: production's packets are copied there, none is delayed\n"
    )?;
    let running = thread::spawn({
        let stop = stop.clone();
        move || run.to_end(&stop)
    });
    for request in CLIENT_REQUESTS {
        send(production.address, request)?;
        let received = asked.recv_timeout(PATIENCE).context("production got no request")?;
        show("client → production", &received, out)?;
        show("  mirror → shadow", &*arrival(&arrived)?, out)?;
    }
    stop.request();
    let (summary, outcome) =
        running.join().map_err(|_| anyhow::anyhow!("the pipeline ended early"))?;
    outcome?;
    ensure!(summary.balances(), "the sums do not balance");
    Ok(summary)
}

fn recorded(out: &mut dyn Write) -> anyhow::Result<Summary> {
    let (shadow, arrived) = server(SHADOW_RESPONSE)?;
    writeln!(
        out,
        "the shadow listens on {}; production's packets come from a capture file",
        shadow.address
    )?;
    writeln!(out, "(to copy live packets, `mirror doctor` says what this host needs)\n")?;
    let config = Config::for_recorded_demo(Box::new(Cursor::new(RECORDED)), shadow.address)?;
    let stop = Stop::default();
    let (summary, outcome) = run::start(config, &stop)?.to_end(&stop);
    outcome?;
    for _ in 0..REQUESTS {
        show("mirror → shadow", &*arrival(&arrived)?, out)?;
    }
    ensure!(summary.balances(), "the sums do not balance");
    Ok(summary)
}

fn send(production: SocketAddr, request: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(production).context("production: cannot be reached")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut response = [0; RESPONSE.len()];
    stream.read_exact(&mut response).context("production: no response")?;
    ensure!(response == *RESPONSE, "production: the response differs from what the server sent");
    Ok(())
}

fn arrival(arrived: &Receiver<Arc<Message>>) -> anyhow::Result<Arc<Message>> {
    arrived.recv_timeout(PATIENCE).context("the shadow got no request")
}

/// Prints a request's head and points at its marks.
fn show(direction: &str, request: &Message, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{direction}")?;
    for line in String::from_utf8_lossy(&request.head.raw).lines().filter(|line| !line.is_empty()) {
        let lower = line.to_ascii_lowercase();
        let marked = lower.starts_with("x-shadow-")
            || lower.starts_with("baggage:")
            || (lower.starts_with("host:") && lower.contains("-shadow"));
        writeln!(out, "    {line}{}", if marked { "    ← mark" } else { "" })?;
    }
    writeln!(out, "    ({} bytes of body)", request.body.length)
}
