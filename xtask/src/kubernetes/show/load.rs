//! Requests to a shop, one connection each, at a steady rate, until they are enough.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

use anyhow::{anyhow, ensure};

use crate::kubernetes::cluster::{Cluster, with_input};

/// How many are asked in a second.
const RATE: &str = "100/s";

/// How many are asked at a time.
const BATCH: usize = 50;

/// Requests that are being asked.
pub(super) struct Load {
    is_enough: Arc<AtomicBool>,
    asking: JoinHandle<anyhow::Result<usize>>,
}

impl Load {
    /// Asks for `URL/1`, `URL/2` and so on, from the node.
    pub(super) fn start(cluster: &Cluster, url: &str) -> Self {
        let is_enough = Arc::<AtomicBool>::default();
        let (curl, url) = (cluster.command("curl"), url.to_owned());
        let asking = std::thread::spawn({
            let is_enough = Arc::clone(&is_enough);
            move || ask(curl, &url, &is_enough)
        });
        Self { is_enough, asking }
    }

    /// How many there were; all of them have been responded to by the shop.
    pub(super) fn end(self) -> anyhow::Result<usize> {
        self.is_enough.store(true, Relaxed);
        self.asking.join().map_err(|_| anyhow!("the load ended early"))?
    }
}

fn ask(mut curl: Command, url: &str, is_enough: &AtomicBool) -> anyhow::Result<usize> {
    curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}\\n"]);
    curl.args(["--header", "Connection: close", "--header", "Host: shop.example"]);
    curl.args(["--rate", RATE, "--config", "-"]);
    let mut asked = 0;
    loop {
        let urls = format!("url = \"{url}/[{}-{}]\"\n", asked + 1, asked + BATCH);
        let output = with_input(&mut curl, &urls)?;
        let fine = output.lines().filter(|status| *status == "200").count();
        ensure!(fine == BATCH, "production responded to {fine} of {BATCH}");
        asked += fine;
        if is_enough.load(Relaxed) {
            return Ok(asked);
        }
    }
}
