//! Histograms of how late requests were sent and how long their responses took. The only file that
//! uses `hdrhistogram`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use super::buckets::{Buckets, Distribution};

/// Longer times are recorded as this. Longer than any timeout.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// Significant digits of each recorded time: an error of at most 0.1 %.
const DIGITS: u8 = 3;

/// Quantiles of one kind of time; zeros if nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Half are at most this.
    #[serde(rename = "p50_us", serialize_with = "micros")]
    pub p50: Duration,
    /// 9 of 10 are at most this.
    #[serde(rename = "p90_us", serialize_with = "micros")]
    pub p90: Duration,
    /// 99 of 100 are at most this.
    #[serde(rename = "p99_us", serialize_with = "micros")]
    pub p99: Duration,
    /// 999 of 1000 are at most this.
    #[serde(rename = "p999_us", serialize_with = "micros")]
    pub p999: Duration,
    /// The longest one.
    #[serde(rename = "max_us", serialize_with = "micros")]
    pub max: Duration,
}

fn micros<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(as_micros(*time))
}

fn as_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The histograms of one target, written by its engine and read by other threads.
pub(in crate::sink::replay) struct Times {
    histograms: Mutex<Histograms>,
    late: Buckets,
    service: Buckets,
    response: Buckets,
}

struct Histograms {
    late: Histogram<u64>,
    service: Histogram<u64>,
    response: Histogram<u64>,
}

/// A snapshot of [`Times`].
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::sink::replay) struct TimesNow {
    pub(in crate::sink::replay) late: Quantiles,
    pub(in crate::sink::replay) service: Quantiles,
    pub(in crate::sink::replay) response: Quantiles,
}

impl Times {
    pub(in crate::sink::replay) fn new() -> Self {
        let empty = || {
            Histogram::new_with_bounds(1, LONGEST_MICROS, DIGITS)
                .expect("the bounds are in order and three digits are allowed")
        };
        let (late, service, response) = (empty(), empty(), empty());
        Self {
            histograms: Mutex::new(Histograms { late, service, response }),
            late: Buckets::default(),
            service: Buckets::default(),
            response: Buckets::default(),
        }
    }

    /// A request is sent at `begun`.
    pub(in crate::sink::replay) fn sent(&self, due: Option<Instant>, begun: Instant) {
        if let Some(due) = due {
            let late = begun.saturating_duration_since(due);
            self.histograms().late.saturating_record(as_micros(late));
            self.late.record(late);
        }
    }

    /// A response was read to its end at `ended`. The service time counts from when the request was
    /// sent. The response time counts from when it was due, as a client would have waited, so that
    /// a target which delays later requests cannot hide that (coordinated omission).
    pub(in crate::sink::replay) fn completed(
        &self,
        due: Option<Instant>,
        begun: Instant,
        ended: Instant,
    ) {
        let since = |start| ended.saturating_duration_since(start);
        let (service, response) = (since(begun), since(due.unwrap_or(begun)));
        let mut histograms = self.histograms();
        histograms.service.saturating_record(as_micros(service));
        histograms.response.saturating_record(as_micros(response));
        drop(histograms);
        self.service.record(service);
        self.response.record(response);
    }

    /// The times so far in buckets: late, service, response.
    pub(in crate::sink::replay) fn distributions(&self) -> [Distribution; 3] {
        [&self.late, &self.service, &self.response].map(Buckets::now)
    }

    pub(in crate::sink::replay) fn now(&self) -> TimesNow {
        let histograms = self.histograms();
        TimesNow {
            late: quantiles(&histograms.late),
            service: quantiles(&histograms.service),
            response: quantiles(&histograms.response),
        }
    }

    fn histograms(&self) -> MutexGuard<'_, Histograms> {
        self.histograms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    if histogram.is_empty() {
        return Quantiles::default();
    }
    let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
    Quantiles {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: Duration::from_micros(histogram.max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::replay::clock::now;

    #[test]
    fn response_time_counts_from_the_schedule_and_service_time_from_the_sending() {
        let times = Times::new();
        assert_eq!(times.now().late, Quantiles::default());
        let due = now();
        let begun = due + Duration::from_millis(5);
        times.sent(Some(due), begun);
        times.completed(Some(due), begun, begun + Duration::from_millis(2));
        let near = |is: Duration, millis| {
            let wanted = Duration::from_millis(millis);
            assert!(is >= wanted && is < wanted + wanted / 500, "{is:?}, not {wanted:?}");
        };
        near(times.now().late.p99, 5);
        near(times.now().service.p50, 2);
        near(times.now().response.p50, 7);
    }

    #[test]
    fn request_without_a_time_is_never_late() {
        let times = Times::new();
        times.sent(None, now());
        assert_eq!(times.now().late, Quantiles::default());
    }
}
