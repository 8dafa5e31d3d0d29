//! What metrics tell apart.

use super::define::settings;
use crate::origin::{Label, Labels};

settings! {
    /// Labels of metrics.
    pub struct MetricsSettings under "Admin", changed AtNextStart {
        /// What the metrics of shadow requests tell apart, mirror_shadow_…. Those of pods have names for 128 pods at a time, the others are `other`
        setting labels: Vec<Label> {
            key: "labels",
            flag: "metric-label",
            with_commas: true,
            default: "target, rule, class",
        }
    }
}

impl MetricsSettings {
    /// The chosen labels.
    #[must_use]
    pub fn chosen(&self) -> Labels {
        Labels::of(&self.labels)
    }

    /// What is wrong with them, for flags and file alike, where pods are not captured; `None` if nothing is.
    #[must_use]
    pub fn problem_without_pods(&self) -> Option<String> {
        let label: &str = self.chosen().of_pods()?.into();
        Some(format!(
            "metrics.labels: {label}: known where pods are captured alone; add `source.pods` (--pods), or leave it out"
        ))
    }
}
