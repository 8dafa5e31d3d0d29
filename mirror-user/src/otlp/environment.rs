//! What the environment says: the standard variables of OpenTelemetry, as far as they name collectors. Samplers,
//! intervals, headers and the resource are read by the crates.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};

use super::batching::Batching;
use crate::sink::replay::{Target, TargetUrl, TlsOptions};

/// How long an export request may take unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The collectors of a run.
#[derive(Debug)]
pub struct Plan {
    pub(super) traces: Option<Target>,
    pub(super) metrics: Option<Target>,
    pub(super) timeout: Duration,
    /// How spans wait and leave.
    pub(super) batching: Batching,
}

impl Plan {
    /// Reads the environment; `None` unless it names an endpoint.
    ///
    /// # Errors
    /// If a variable asks for what mirror does not do, or cannot be read; the message names it.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        Self::of(&|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Option<Self>> {
        if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let traces = collector(variable, "TRACES")?;
        let metrics = collector(variable, "METRICS")?;
        if traces.is_none() && metrics.is_none() {
            return Ok(None);
        }
        let timeout = match variable("OTEL_EXPORTER_OTLP_TIMEOUT") {
            Some(millis) => Duration::from_millis(
                millis
                    .trim()
                    .parse()
                    .context("OTEL_EXPORTER_OTLP_TIMEOUT: not a number of milliseconds")?,
            ),
            None => TIMEOUT,
        };
        let batching = Batching::of(variable)?;
        Ok(Some(Self { traces, metrics, timeout, batching }))
    }

    /// The ports that are connected to.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        [&self.traces, &self.metrics].into_iter().flatten().filter_map(Target::port)
    }

    pub(super) fn targets_mut(&mut self) -> impl Iterator<Item = &mut Target> {
        [&mut self.traces, &mut self.metrics].into_iter().flatten()
    }
}

/// The collector of a signal, if it has an endpoint.
fn collector(
    variable: &dyn Fn(&str) -> Option<String>,
    signal: &str,
) -> anyhow::Result<Option<Target>> {
    let exporter = format!("OTEL_{signal}_EXPORTER");
    match variable(&exporter).as_deref().map(str::trim) {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            bail!("{exporter}={other}: mirror exports by `otlp`, or not at all by `none`")
        }
    }
    // A variable of the signal wins over that of all.
    let either = |part: &str| {
        [format!("OTEL_EXPORTER_OTLP_{signal}_{part}"), format!("OTEL_EXPORTER_OTLP_{part}")]
            .into_iter()
            .find_map(|name| Some((variable(&name)?, name)))
    };
    let Some((endpoint, name)) = either("ENDPOINT") else { return Ok(None) };
    if let Some((protocol, name)) = either("PROTOCOL")
        && protocol.trim() != "http/protobuf"
    {
        bail!("{name}={protocol}: mirror exports by http/protobuf alone, usually at port 4318");
    }
    let file = |part: &str| either(part).map(|(path, _)| PathBuf::from(path));
    let tls = TlsOptions {
        authorities: file("CERTIFICATE"),
        certificate: file("CLIENT_CERTIFICATE"),
        key: file("CLIENT_KEY"),
        ..TlsOptions::default()
    };
    let url = TargetUrl::read(endpoint.trim()).map_err(|why| anyhow::anyhow!("{name}: {why}"))?;
    Target::open(url, &tls).with_context(|| name).map(Some)
}

#[cfg(test)]
mod tests {
    use super::Plan;

    fn plan(variables: &[(&str, &str)]) -> anyhow::Result<Option<Plan>> {
        Plan::of(&|name| {
            variables.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn ports(variables: &[(&str, &str)]) -> Vec<u16> {
        plan(variables).unwrap().map(|plan| plan.ports().collect()).unwrap_or_default()
    }

    const ALL: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn nothing_is_exported_unless_an_endpoint_is_named() {
        assert!(ports(&[]).is_empty());
        assert_eq!(ports(&[ALL]), [4318, 4318]);
        assert!(ports(&[ALL, ("OTEL_SDK_DISABLED", "true")]).is_empty());
        assert_eq!(ports(&[ALL, ("OTEL_METRICS_EXPORTER", "none")]), [4318]);
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:9/v1/traces");
        assert_eq!(ports(&[ALL, traces]), [9, 4318]);
        assert_eq!(ports(&[traces]), [9]);
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_the_variables_name() {
        for (variables, part) in [
            ([ALL, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
            ([ALL, ("OTEL_TRACES_EXPORTER", "zipkin")], "OTEL_TRACES_EXPORTER=zipkin"),
            ([ALL, ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")], "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ([ALL, ("OTEL_EXPORTER_OTLP_ENDPOINT", "")], ""),
            (
                [("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"), ("", "")],
                "OTEL_EXPORTER_OTLP_ENDPOINT",
            ),
        ] {
            if part.is_empty() {
                continue;
            }
            let error = plan(&variables).expect_err(part);
            assert!(format!("{error:#}").contains(part), "{error:#}");
        }
    }
}
