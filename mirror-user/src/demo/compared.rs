//! The second part of the demo: customers ask a shop, and a candidate with three faults gets the same requests. What
//! differs and is no noise is told, and shown in a browser meanwhile.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use mirror_compare::report::Report;
use mirror_compare::verdict::Verdict;

use super::server::Server;
use super::shop::{FAULTS, Shop, targets};
use super::tap::Tap;
use crate::config::Config;
use crate::config::demo::From;
use crate::run;
use crate::shutdown::Stop;
use crate::sink::compare::Shared;

/// How long the faults may take to be found before the demo fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two requests of the customers.
const PAUSE: Duration = Duration::from_millis(15);
/// Between two looks at what was found.
const LOOK: Duration = Duration::from_millis(200);

/// Runs it; if it `stays`, customers go on and the page answers until `stop` is requested.
pub(super) fn run(
    is_live: bool,
    page: SocketAddr,
    stays: bool,
    stop: &Stop,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let shop = |has_faults| {
        let shop = Shop::new(has_faults);
        Arc::new(move |request: &Arc<_>| shop.answer(request))
    };
    let (packets, tap) = match is_live {
        true => (None, None),
        false => Tap::new().map(|(reader, tap)| (Some(reader), Some(tap)))?,
    };
    let production = Server::start(shop(false), tap)?;
    let candidate = Server::start(shop(true), None)?;
    let from = match packets {
        Some(reader) => From::Reader("production", Box::new(reader)),
        None => From::Port(production.address.port()),
    };
    let (config, comparison) = Config::for_compared_demo(from, candidate.address, page)?;
    let ended = Stop::default();
    let customers = Customers::of(production.address);
    // With a pipe its first bytes are waited for.
    customers.begin();
    let run = run::start(config, &ended)?;
    let page = run.dashboard().context("there is no page")?;
    writeln!(
        out,
        "now a candidate on {} gets what production on {} gets, and its responses are compared",
        candidate.address, production.address
    )?;
    writeln!(out, "it has three faults, and both make noise: clocks, names, counters, any order")?;
    writeln!(out, "    the page: http://{page}/\n")?;
    out.flush()?;
    let running = thread::spawn({
        let ended = ended.clone();
        move || run.to_end(&ended)
    });
    let report = found(&comparison, stop);
    tell(&report, out)?;
    if stays && !stop.requested() {
        writeln!(out, "\nhttp://{page}/ stays until Ctrl-C")?;
        out.flush()?;
        while !stop.requested() {
            thread::park_timeout(LOOK);
        }
    }
    ended.request();
    let (summary, outcome) =
        running.join().map_err(|_| anyhow::anyhow!("the pipeline ended early"))?;
    drop(customers);
    outcome?;
    ensure!(summary.balances(), "the sums do not balance");
    let missed = FAULTS.iter().find(|fault| !has(&report, fault));
    ensure!(
        missed.is_none() || stop.requested(),
        "not found within {} s: {:?}",
        PATIENCE.as_secs(),
        missed
    );
    Ok(())
}

/// The report, once all faults are in it, or when it takes too long.
fn found(comparison: &Shared, stop: &Stop) -> Report {
    let late = crossbeam_channel::after(PATIENCE);
    loop {
        let report = comparison.lock().report();
        let all = FAULTS.iter().all(|fault| has(&report, fault));
        if all || stop.requested() || late.try_recv().is_ok() {
            return report;
        }
        thread::park_timeout(LOOK);
    }
}

fn has(report: &Report, (endpoint, path, _): &(&str, &str, &str)) -> bool {
    regressions(report).any(|(name, field, _)| (name, field) == (*endpoint, *path))
}

/// Endpoint, field and cause of each regression.
fn regressions(report: &Report) -> impl Iterator<Item = (&str, &str, &str)> {
    let fails = report.fields().filter(|(_, field)| field.verdict == Verdict::Regression);
    fails.map(|(endpoint, field)| (&*endpoint.name, &*field.path, &*field.cause))
}

fn tell(report: &Report, out: &mut dyn Write) -> anyhow::Result<()> {
    let noise = report.fields().count() - regressions(report).count();
    writeln!(out, "{} pairs: {} regressions", report.pairs, regressions(report).count())?;
    for (endpoint, path, cause) in regressions(report) {
        let seeded = FAULTS.iter().find(|fault| (fault.0, fault.1) == (endpoint, path));
        let seeded = seeded.map_or("not seeded", |(_, _, what)| what);
        writeln!(out, "    {endpoint:20}  {path:14}  {cause}    ← {seeded}")?;
    }
    writeln!(out, "    {noise} other fields differ and are noise, or not enough data yet")?;
    Ok(())
}

/// Customers who ask production until this is dropped.
struct Customers {
    address: SocketAddr,
    gone: Arc<AtomicBool>,
}

impl Customers {
    fn of(address: SocketAddr) -> Self {
        Self { address, gone: Arc::default() }
    }

    /// They ask from now on.
    fn begin(&self) {
        let (address, gone) = (self.address, Arc::clone(&self.gone));
        thread::spawn(move || {
            let pauses = crossbeam_channel::tick(PAUSE);
            while !gone.load(Relaxed) && visit(address, &pauses).is_ok() {}
        });
    }
}

impl Drop for Customers {
    fn drop(&mut self) {
        self.gone.store(true, Relaxed);
    }
}

/// Asks for everything once, over one connection.
fn visit(
    address: SocketAddr,
    pauses: &crossbeam_channel::Receiver<std::time::Instant>,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut buffer = vec![0; 16 * 1024];
    for target in targets() {
        pauses.recv()?;
        let request = format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        // A response is one write, and short enough to be one read.
        ensure!(stream.read(&mut buffer)? > 0, "production closed");
    }
    Ok(())
}
