//! The metrics as plain series, for forms that know no histograms of others' making: a histogram is its count and its sum.

use strum::IntoEnumIterator;

use super::collect::{Point, Points, Requests, Value, collect};
use super::figures::Figures;
use super::table::{Kind, Metric, Unit};

/// A metric, or a part of a histogram.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    metric: Metric,
    part: Part,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Count,
    Sum,
}

impl Family {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Metric::iter().flat_map(|metric| {
            let parts: &[Part] = match metric.definition().kind {
                Kind::Histogram => &[Part::Count, Part::Sum],
                Kind::Counter | Kind::Gauge => &[Part::Whole],
            };
            parts.iter().map(move |part| Self { metric, part: *part })
        })
    }

    /// Its name as it is scraped.
    #[must_use]
    pub fn name(self) -> String {
        let name = self.metric.definition().name();
        match self.part {
            Part::Whole => name,
            Part::Count => name + "_count",
            Part::Sum => name + "_sum",
        }
    }

    /// What it says.
    #[must_use]
    pub fn help(self) -> &'static str {
        self.metric.definition().help
    }

    /// Its unit by the Unified Code for Units of Measure.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match (self.part, self.metric.definition().unit) {
            (Part::Count, _) | (_, Unit::Count | Unit::Ratio) => "1",
            (_, Unit::Seconds) => "s",
            (_, Unit::Bytes) => "By",
        }
    }

    /// True unless it also goes down.
    #[must_use]
    pub fn only_grows(self) -> bool {
        self.metric.definition().kind != Kind::Gauge
    }
}

/// The values of one moment.
#[derive(Debug)]
pub struct Families(Points);

impl Families {
    /// Those of these figures.
    #[must_use]
    pub fn of(figures: &Figures) -> Self {
        Self(collect(figures, &Requests::default()))
    }

    /// Calls `each` with the labels and the value of each series of a family.
    pub fn each(&self, family: Family, mut each: impl FnMut(&[(&'static str, &str)], f64)) {
        let names = family.metric.definition().labels;
        for Point { labels, value } in self.0.of(family.metric) {
            let labels: Vec<_> = names
                .iter()
                .zip(labels)
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let value = match (value, family.part) {
                (Value::Whole(value), _) => *value as f64,
                (Value::Real(value), _) => *value,
                (Value::Times(times), Part::Sum) => times.sum.as_secs_f64(),
                (Value::Times(times), _) => times.count() as f64,
            };
            each(&labels, value);
        }
    }
}
