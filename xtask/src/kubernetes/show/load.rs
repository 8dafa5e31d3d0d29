//! Requests to a shop, one connection each, at a steady rate.

use std::process::{Child, Stdio};

use anyhow::{Context, ensure};

use crate::kubernetes::cluster::Cluster;

/// How many are asked in a second.
const RATE: &str = "100/s";

/// Requests that are being asked.
pub(super) struct Load {
    curl: Child,
    number: usize,
}

impl Load {
    /// Asks for `URL/1` to `URL/NUMBER`, from the node.
    pub(super) fn start(cluster: &Cluster, url: &str, number: usize) -> anyhow::Result<Self> {
        let mut curl = cluster.command("curl");
        curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}\\n"]);
        curl.args(["--header", "Connection: close", "--header", "Host: shop.example"]);
        curl.args(["--rate", RATE]);
        curl.arg(format!("{url}/[1-{number}]"));
        let curl = curl.stdout(Stdio::piped()).spawn().context("curl: cannot be run")?;
        Ok(Self { curl, number })
    }

    /// How many there were, when all of them have been responded to by the shop.
    pub(super) fn end(self) -> anyhow::Result<usize> {
        let output = self.curl.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let fine = said.lines().filter(|status| *status == "200").count();
        ensure!(fine == self.number, "production responded to {fine} of {}", self.number);
        Ok(fine)
    }
}
