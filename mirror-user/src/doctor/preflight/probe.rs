//! Whether the target rolls back what it is asked to: the test endpoint of the shadow contract creates something with
//! `X-Shadow-Mode: rollback`, and then it is asked for.

use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::time::timeout;
use url::Url;

use super::{Finding, PATIENCE};
use crate::config::Preflight;
use crate::http::{ResponseProgress, ResponseReader};
use crate::packet::Timestamp;
use crate::sink::replay::Dialer;

const WHAT: &str = "rollback";

/// Of the response's body, of which nothing is needed.
const MAX_BODY: usize = 4 * 1024;

const TO_CONNECT: Duration = Duration::from_secs(5);

/// What is said of a response.
struct Response {
    status: u16,
    location: Option<String>,
}

pub(super) fn look(preflight: &Preflight) -> Finding {
    let Some(path) = &preflight.probe else {
        let advice = "name the contract's test endpoint: --probe /orders (docs/shadow-contract.md)";
        return Finding::not_known(WHAT, "not asked", advice);
    };
    let path = format!("{}{path}", preflight.edits.base_path);
    match asked(preflight, &path) {
        Ok(finding) => finding,
        Err(error) => Finding::not_known(WHAT, format!("not known: {error:#}"), "is it running?"),
    }
}

fn asked(preflight: &Preflight, path: &str) -> anyhow::Result<Finding> {
    let probe = Probe { preflight, dialer: Dialer::new(preflight.target.clone()) };
    let created = probe.ask("POST", path)?;
    let location = created.location.as_deref().and_then(|location| resolve(path, location));
    let (201, Some(location)) = (created.status, location) else {
        return Ok(Finding::not_known(
            WHAT,
            format!("POST {path}: {}, not 201 with a Location", created.status),
            "this is no test endpoint as docs/shadow-contract.md has it",
        ));
    };
    let there = probe.ask("GET", &location)?.status;
    Ok(match there {
        404 | 410 => {
            Finding::good(WHAT, format!("what POST {path} created is not there ({there})"))
        }
        200..=299 => Finding::warning(
            WHAT,
            format!("what POST {path} created is there: GET {location}: {there}"),
            "the target ignores X-Shadow-Mode: rollback; shadows would change its data",
        ),
        _ => Finding::not_known(
            WHAT,
            format!("GET {location}: {there}"),
            "the test endpoint says 404 to what was rolled back, and 200 to what was kept",
        ),
    })
}

/// Path and query of a `Location`, which may be relative (RFC 9110 §10.2.2).
fn resolve(path: &str, location: &str) -> Option<String> {
    let base = Url::parse("http://target").ok()?.join(path).ok()?;
    let url = base.join(location).ok()?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{query}", url.path()))
}

struct Probe<'p> {
    preflight: &'p Preflight,
    dialer: Dialer,
}

impl Probe<'_> {
    fn ask(&self, method: &str, path: &str) -> anyhow::Result<Response> {
        let target = &self.preflight.target;
        let body = if method == "POST" { "mirror doctor" } else { "" };
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Shadow-Request: 1\r\nX-Shadow-Id: doctor-0-0\r\n\
             X-Shadow-Mode: rollback\r\nConnection: close\r\n",
            target.authority()
        );
        for (name, value) in &self.preflight.edits.set {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            let length = body.len();
            request.push_str(&format!("Content-Type: text/plain\r\nContent-Length: {length}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime
            .block_on(async { timeout(PATIENCE, self.exchange(request.as_bytes())).await })
            .map_err(|_| anyhow!("no response within {} s", PATIENCE.as_secs()))
            .flatten()
            .with_context(|| format!("{method} {path}"))
    }

    async fn exchange(&self, request: &[u8]) -> anyhow::Result<Response> {
        let stream = self.dialer.connect(0, TO_CONNECT).await;
        let mut stream = stream.map_err(|why| anyhow!("{}", <&str>::from(why)))?;
        stream.write_all(request).await?;
        stream.flush().await?;
        let mut reader = ResponseReader::default();
        reader.expect(false, Some(MAX_BODY));
        let mut block = [0; 4096];
        loop {
            let length = stream.read(&mut block).await?;
            let progress = match length {
                0 => reader.end().context("the response is not whole")?,
                _ => reader
                    .push(block.get(..length).unwrap_or_default())
                    .map_err(|_| anyhow!("the response is not HTTP/1"))?,
            };
            if let ResponseProgress::Complete { .. } = progress {
                break;
            }
        }
        let message = reader.take(Timestamp::default(), Timestamp::default());
        let message = message.context("the response has no head")?;
        let location = message.head.field("location");
        Ok(Response {
            status: message.head.status().unwrap_or_default(),
            location: location.and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_absolute_or_relative() {
        for (location, path) in [
            ("/orders/7", "/orders/7"),
            ("7", "/api/7"),
            ("http://elsewhere:1/orders/7?x=1", "/orders/7?x=1"),
            ("?id=7", "/api/orders?id=7"),
        ] {
            assert_eq!(resolve("/api/orders", location).as_deref(), Some(path), "{location}");
        }
        assert_eq!(resolve("/orders", "http://["), None);
    }
}
