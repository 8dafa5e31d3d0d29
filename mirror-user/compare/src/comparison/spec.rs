//! A file of rules: defaults, endpoints, rules, noise and gate. Unknown keys are errors.

use serde::{Deserialize, Serialize};

use super::Options;
use crate::endpoint::Endpoints;
use crate::gate::Gate;
use crate::rules::{BadRule, Defaults, EndpointSpec, RuleSpec, Rules};
use crate::verdict::Thresholds;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// 1.
    pub version: u32,
    /// What holds where no rule says otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// Names of endpoints.
    #[serde(default)]
    pub endpoints: Vec<EndpointSpec>,
    /// The rules.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
    /// Where noise is known from, and when a field is a regression.
    #[serde(default)]
    pub noise: NoiseSpec,
    /// The gate, as `--gate` has it.
    #[serde(default)]
    pub gate: Option<String>,
}

/// Where noise is known from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoiseSpec {
    /// Production's own answers to equal requests.
    pub own: bool,
    /// Volatile shapes.
    pub shapes: bool,
    /// As [`Thresholds::relative`].
    pub relative: f64,
    /// As [`Thresholds::absolute`].
    pub absolute: f64,
    /// As [`Thresholds::alpha`].
    pub alpha: f64,
}

impl Default for NoiseSpec {
    fn default() -> Self {
        let Thresholds { relative, absolute, alpha } = Thresholds::default();
        Self { own: true, shapes: true, relative, absolute, alpha }
    }
}

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadSpec {
    /// Another version than 1.
    Version(u32),
    /// A rule.
    Rule(BadRule),
    /// The gate.
    Gate(String),
    /// A threshold that is no share.
    Threshold(&'static str),
}

impl std::fmt::Display for BadSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "version {version} is not known; write `version: 1`")
            }
            Self::Rule(why) => why.fmt(f),
            Self::Gate(why) => f.write_str(why),
            Self::Threshold(name) => write!(f, "noise.{name} is out of range"),
        }
    }
}

impl std::error::Error for BadSpec {}

impl Spec {
    /// What it means, with the rest of `options`.
    ///
    /// # Errors
    /// The first thing that is invalid.
    pub fn options(&self, options: Options) -> Result<(Options, Option<Gate>), BadSpec> {
        if self.version != 1 {
            return Err(BadSpec::Version(self.version));
        }
        let NoiseSpec { relative, absolute, alpha, .. } = self.noise;
        for (name, value, most) in
            [("relative", relative, 100.0), ("absolute", absolute, 100.0), ("alpha", alpha, 1.0)]
        {
            if !(0.0..=most).contains(&value) {
                return Err(BadSpec::Threshold(name));
            }
        }
        let gate = self.gate.as_deref().map(str::parse).transpose().map_err(BadSpec::Gate)?;
        let options = Options {
            defaults: self.defaults.clone(),
            rules: Rules::new(&self.rules).map_err(BadSpec::Rule)?,
            endpoints: Endpoints::new(&self.endpoints),
            noise: self.noise,
            thresholds: Thresholds { relative, absolute, alpha },
            ..options
        };
        Ok((options, gate))
    }
}
