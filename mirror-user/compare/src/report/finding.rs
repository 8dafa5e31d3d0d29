//! What was found in one pair.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::Sides;
use crate::details::Details;
use crate::difference::{Class, Difference, Forgiven, Hint};
use crate::rules::Rules;

/// What was found in one pair.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Finding {
    /// [`VERSION`](super::VERSION).
    pub v: u32,
    /// The pair's name within the run.
    pub id: String,
    /// When production's response was made.
    #[serde(rename = "ts", serialize_with = "time")]
    pub at: Option<i64>,
    /// The endpoint.
    pub endpoint: String,
    /// The request's method.
    pub method: String,
    /// The request's target, redacted.
    pub target: String,
    /// A command that sends the redacted request to the candidate again; empty without a difference that counts.
    pub curl: String,
    /// The status codes; `null` where there was no response.
    pub status: Sides<Option<u64>>,
    /// How long the responses took, in microseconds.
    pub latency_us: Sides<Option<u64>>,
    /// The differences, forgiven ones included.
    #[serde(rename = "diffs")]
    pub differences: Vec<Shown>,
    /// Differences that are not listed.
    pub more: u64,
    /// The messages, where somebody may look at them.
    #[serde(skip)]
    pub details: Option<Details>,
    /// The same for pairs of an endpoint in which the same fields differ, forgiven or not, and with the control.
    #[serde(skip)]
    pub kind: u64,
}

impl Finding {
    /// True if there is a difference that nothing forgave.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.more > 0 || self.differences.iter().any(|one| one.forgiven_by.is_none())
    }

    /// Bytes that it takes, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let texts = |one: &Shown| {
            let sides = [&one.production, &one.candidate].into_iter().flatten().map(String::len);
            one.path.len() + one.pointer.len() + sides.sum::<usize>() + size_of::<Shown>()
        };
        let own = self.id.len() + self.endpoint.len() + self.target.len() + self.curl.len();
        let details = self.details.as_ref().map_or(0, Details::size);
        own + details + self.differences.iter().map(texts).sum::<usize>() + size_of::<Self>()
    }
}

/// A difference, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The field.
    pub path: Arc<str>,
    /// Where in the body.
    #[serde(rename = "ptr", skip_serializing_if = "String::is_empty")]
    pub pointer: String,
    /// How it differs.
    #[serde(rename = "kind")]
    pub class: Class,
    /// What the values suggest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// Production's value.
    #[serde(rename = "p")]
    pub production: Option<String>,
    /// The candidate's.
    #[serde(rename = "c")]
    pub candidate: Option<String>,
    /// What shows for this very request that it is noise: `control`, `double_send` or `own_noise` differs here, too.
    pub noise: Option<&'static str>,
    /// What forgave it.
    pub forgiven_by: Option<&'static str>,
    /// The rule that forgave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
}

impl Shown {
    pub(crate) fn new(difference: Difference, noise: Option<&'static str>, rules: &Rules) -> Self {
        let Difference { path, pointer, class, hint, left, right, forgiven } = difference;
        let rule = match forgiven {
            Some(Forgiven::Rule(rule)) => Some(rules.text(rule)),
            _ => None,
        };
        let forgiven_by = forgiven.map(Forgiven::name);
        Self {
            path,
            pointer,
            class,
            hint,
            production: left,
            candidate: right,
            noise,
            forgiven_by,
            rule,
        }
    }
}

fn time<S: Serializer>(at: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    let at = at.and_then(|at| jiff::Timestamp::from_nanosecond(at.into()).ok());
    match at {
        Some(at) => serializer.collect_str(&format_args!("{at:.3}")),
        None => serializer.serialize_none(),
    }
}
