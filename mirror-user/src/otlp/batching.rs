//! How spans wait and leave: the variables of OpenTelemetry's batch span processor, within bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, ensure};

/// `OTEL_BSP_MAX_QUEUE_SIZE`, in spans of some 500 bytes. 4,096 are 0.1 s at 40,000 requests/s, and 2 MiB; the most is
/// what a memory limit of a live run can bear.
const QUEUE: (u64, RangeInclusive<u64>) = (4_096, 1..=65_536);

/// `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, in spans: 512 are 100 KiB. Collectors take 4 MiB unless told otherwise, and the most
/// is less than that.
const BATCH: (u64, RangeInclusive<u64>) = (512, 1..=8_192);

/// `OTEL_BSP_SCHEDULE_DELAY`, in milliseconds: how long the first span of a batch waits for others.
const DELAY: (u64, RangeInclusive<u64>) = (1_000, 0..=60_000);

/// `OTEL_BSP_EXPORT_TIMEOUT`, in milliseconds, for the export of a batch. Longer would hold up the end of a run.
const TIMEOUT: (u64, RangeInclusive<u64>) = (30_000, 1..=300_000);

/// How spans are batched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batching {
    /// Spans that may wait.
    pub(super) queue: usize,
    /// Spans of one export request.
    pub(super) batch: usize,
    /// How long the first one of a batch waits for others.
    pub(super) delay: Duration,
    /// How long the export of a batch may take.
    pub(super) timeout: Duration,
}

impl Batching {
    /// Reads the variables; what is not set has the default.
    ///
    /// # Errors
    /// If one is no number within its bounds; the message names it.
    pub(super) fn of(variable: &dyn Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let read = |name: &str, (default, bounds): (u64, RangeInclusive<u64>)| {
            let Some(text) = variable(name) else { return anyhow::Ok(default) };
            let (least, most) = (bounds.start(), bounds.end());
            let range = || format!("{name}={text}: a number from {least} to {most}");
            let number = text.trim().parse().with_context(range)?;
            ensure!(bounds.contains(&number), range());
            Ok(number)
        };
        let spans = |name, bounds| anyhow::Ok(usize::try_from(read(name, bounds)?)?);
        let millis = |name, bounds| read(name, bounds).map(Duration::from_millis);
        let queue = spans("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE)?;
        Ok(Self {
            queue,
            // A batch is taken out of the queue (the specification asks for the same).
            batch: spans("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH)?.min(queue),
            delay: millis("OTEL_BSP_SCHEDULE_DELAY", DELAY)?,
            timeout: millis("OTEL_BSP_EXPORT_TIMEOUT", TIMEOUT)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> anyhow::Result<Batching> {
        Batching::of(&|name| {
            variables.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_read_and_have_defaults() {
        let seconds = Duration::from_secs;
        let default =
            Batching { queue: 4_096, batch: 512, delay: seconds(1), timeout: seconds(30) };
        assert_eq!(read(&[]).unwrap(), default);
        let given = read(&[
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BSP_SCHEDULE_DELAY", " 0 "),
            ("OTEL_BSP_EXPORT_TIMEOUT", "2000"),
        ]);
        let wanted = Batching { queue: 100, batch: 100, delay: seconds(0), timeout: seconds(2) };
        assert_eq!(given.unwrap(), wanted, "a batch is no larger than the queue");
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name_with_the_bounds() {
        for (name, value, bounds) in [
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "from 1 to 65536"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "99999999", "from 1 to 65536"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1", "from 1 to 8192"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon", "from 0 to 60000"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "18446744073709551616", "from 1 to 300000"),
        ] {
            let error = format!("{:#}", read(&[(name, value)]).expect_err(name));
            assert!(
                error.contains(&format!("{name}={value}")) && error.contains(bounds),
                "{error}"
            );
        }
    }
}
