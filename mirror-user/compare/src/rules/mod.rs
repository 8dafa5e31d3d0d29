//! What the operator says about places in responses: what may differ there, and how lists are aligned.
//!
//! A rule's path is `status`, `header.NAME`, `trailer.NAME` (`NAME` may end with `*`), or `body` with a JSON path of the
//! grammar that redaction uses ([`mirror_wire::json_path`]): `body.items[].price`, `body..updatedAt`. For one place the
//! first rule that matches decides, alone. Each rule counts what it decided; one that decided nothing is told.

mod correlate;
mod spec;

use std::sync::Arc;

use mirror_wire::json_path::{BadPath, Paths, States};
use regex::Regex;

pub use self::correlate::Correlations;
pub use self::spec::{
    ArraySpec, Defaults, Embedded, EndpointMatch, EndpointSpec, HeaderMode, Ignore, Numbers,
    RuleSpec, Tolerance,
};

/// Rules of one comparison.
pub const MAX_RULES: usize = 256;

/// Why rules are refused; the number is that of the rule, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRule {
    /// More than [`MAX_RULES`].
    TooMany,
    /// Its path is none.
    Path(usize, String),
    /// It says nothing, or more than one thing.
    Effect(usize),
    /// An invalid regular expression.
    Regex(usize, String),
    /// An invalid duration.
    Duration(usize, String),
    /// A rule about a list names its elements.
    Elements(usize, String),
}

impl std::fmt::Display for BadRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooMany => write!(f, "there are more than {MAX_RULES} rules"),
            Self::Path(rule, why) => write!(f, "rule {rule}: {why}"),
            Self::Effect(rule) => write!(
                f,
                "rule {rule}: it says exactly one of ignore, array, tolerance, time_tolerance, both_match, type_only, \
                 correlate, embedded, and allow_new with or without only"
            ),
            Self::Regex(rule, why) => write!(f, "rule {rule}: {why}"),
            Self::Duration(rule, text) => {
                write!(f, "rule {rule}: {text:?} is no duration; write 2s or 500ms")
            }
            Self::Elements(rule, list) => {
                write!(f, "rule {rule}: the path of an array rule is that of the list: {list:?}")
            }
        }
    }
}

impl std::error::Error for BadRule {}

/// What a rule does.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Ignore(Ignore),
    Array(ArraySpec),
    Tolerance(Tolerance),
    /// Nanoseconds.
    TimeTolerance(u128),
    BothMatch(Regex),
    TypeOnly,
    Correlate(Box<str>),
    Embedded(spec::Embedded),
    /// Members that production has not are no difference; with a list, only those members are compared.
    Members {
        allow_new: bool,
        only: Option<Vec<String>>,
    },
}

/// Where a rule applies.
#[derive(Clone, Debug)]
enum Place {
    /// Outside the body: a path, or its start if it ends with `*`.
    Outside(Box<str>),
    Root,
    Body(Paths),
}

/// One rule.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    endpoint: Option<Box<str>>,
    place: Place,
    pub(crate) effect: Effect,
    text: Arc<str>,
}

/// All rules, in their order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    hits: Vec<u64>,
}

/// What a rule did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RuleHits {
    /// The rule, as it was given.
    pub rule: String,
    /// Differences and lists that it decided.
    pub hits: u64,
}

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    /// The first that is invalid.
    pub fn new(specs: &[RuleSpec]) -> Result<Self, BadRule> {
        if specs.len() > MAX_RULES {
            return Err(BadRule::TooMany);
        }
        let rules: Vec<Rule> = specs
            .iter()
            .enumerate()
            .map(|(at, spec)| {
                let effect = spec.effect(at + 1)?;
                if matches!(effect, Effect::Array(_))
                    && let Some(list) =
                        spec.path.strip_suffix("[]").or(spec.path.strip_suffix("[*]"))
                {
                    return Err(BadRule::Elements(at + 1, list.to_owned()));
                }
                let place = place(&spec.path).map_err(|why| BadRule::Path(at + 1, why))?;
                let endpoint = spec.endpoint.as_deref().map(Into::into);
                Ok(Rule { endpoint, place, effect, text: spec.to_string().into() })
            })
            .collect::<Result<_, _>>()?;
        let hits = vec![0; rules.len()];
        Ok(Self { rules, hits })
    }

    /// The same behind others, which decide first; nothing is counted yet.
    ///
    /// # Errors
    /// The first of the others that is invalid, or that they are too many together.
    pub fn behind(&self, first: &[RuleSpec]) -> Result<Self, BadRule> {
        let Self { mut rules, .. } = Self::new(first)?;
        rules.extend(self.rules.iter().cloned());
        if rules.len() > MAX_RULES {
            return Err(BadRule::TooMany);
        }
        let hits = vec![0; rules.len()];
        Ok(Self { rules, hits })
    }

    /// Those that apply to an endpoint.
    pub(crate) fn of<'r>(&'r self, endpoint: &str) -> Active<'r> {
        let applies = |rule: &&Rule| rule.endpoint.as_deref().is_none_or(|name| name == endpoint);
        let numbered = self.rules.iter().enumerate();
        Active {
            rules: numbered
                .filter(|(_, rule)| applies(rule))
                .map(|(at, rule)| (at as u16, rule))
                .collect(),
        }
    }

    /// Counts that a rule decided something.
    pub(crate) fn hit(&mut self, rule: u16) {
        if let Some(hits) = self.hits.get_mut(usize::from(rule)) {
            *hits += 1;
        }
    }

    /// Counts from zero again.
    pub(crate) fn forget_hits(&mut self) {
        self.hits.fill(0);
    }

    /// The text of a rule.
    #[must_use]
    pub fn text(&self, rule: u16) -> Arc<str> {
        self.rules.get(usize::from(rule)).map_or_else(Arc::default, |rule| Arc::clone(&rule.text))
    }

    /// What each did.
    #[must_use]
    pub fn hits(&self) -> Vec<RuleHits> {
        let each = self.rules.iter().zip(&self.hits);
        each.map(|(rule, hits)| RuleHits { rule: rule.text.to_string(), hits: *hits }).collect()
    }
}

fn place(path: &str) -> Result<Place, String> {
    if let Some(rest) = path.strip_prefix("body") {
        return match rest {
            "" => Ok(Place::Root),
            rest if rest.starts_with(['.', '[', '{']) => {
                // JSON paths begin at their `$`.
                let paths = Paths::new(&[format!("${rest}")]);
                paths.map(Place::Body).map_err(|why| match why {
                    BadPath::Syntax(_) => format!(
                        "{path:?}: a path into a body looks like body.user.name, body.cards[].number or body..updatedAt"
                    ),
                    BadPath::TooMany => why.to_string(),
                })
            }
            _ => Err(format!("{path:?}: a path into a body begins with `body.`")),
        };
    }
    let name = path.strip_prefix("header.").or(path.strip_prefix("trailer."));
    let good = matches!(path, "status" | "failure")
        || name.is_some_and(|name| !name.is_empty() && !name.trim_end_matches('*').contains('*'));
    if good {
        Ok(Place::Outside(path.to_ascii_lowercase().into()))
    } else {
        Err(format!(
            "{path:?}: a path is status, header.NAME, trailer.NAME or body with a JSON path"
        ))
    }
}

/// The rules for one pair.
pub(crate) struct Active<'r> {
    rules: Vec<(u16, &'r Rule)>,
}

impl<'r> Active<'r> {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule for a place outside the body; its path may go on behind a dot.
    pub(crate) fn outside(&self, path: &str) -> Option<(u16, &'r Effect)> {
        let fits = |place: &str| match place.strip_suffix('*') {
            Some(start) => path.starts_with(start),
            None => path
                .strip_prefix(place)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
        };
        self.rules.iter().find_map(|(at, rule)| match &rule.place {
            Place::Outside(place) => fits(place).then_some((*at, &rule.effect)),
            Place::Root | Place::Body(_) => None,
        })
    }

    /// The states of a body's root, one for each rule.
    pub(crate) fn begin(&self, states: &mut Vec<States>) {
        states.extend(self.rules.iter().map(|(_, rule)| match &rule.place {
            Place::Body(paths) => paths.begin(),
            Place::Outside(_) | Place::Root => 0,
        }));
    }

    /// Adds the states of a member (`name`) or an element of what has the last ones.
    pub(crate) fn step(&self, states: &mut Vec<States>, name: Option<&str>) {
        let from = states.len().saturating_sub(self.rules.len());
        for (at, (_, rule)) in self.rules.iter().enumerate() {
            let state = states.get(from + at).copied().unwrap_or_default();
            states.push(match &rule.place {
                Place::Body(paths) if state != 0 => paths.step(state, name.map(str::as_bytes)),
                _ => 0,
            });
        }
    }

    /// Takes the last ones away.
    pub(crate) fn back(&self, states: &mut Vec<States>) {
        states.truncate(states.len().saturating_sub(self.rules.len()));
    }

    /// The rule for the value that has the last states.
    pub(crate) fn inside(&self, states: &[States], is_root: bool) -> Option<(u16, &'r Effect)> {
        let from = states.len().saturating_sub(self.rules.len());
        let states = states.get(from..).unwrap_or_default();
        self.rules.iter().zip(states).find_map(|((at, rule), state)| {
            let fits = match &rule.place {
                Place::Body(paths) => *state != 0 && paths.is_end(*state),
                Place::Root => is_root,
                Place::Outside(_) => false,
            };
            fits.then_some((*at, &rule.effect))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<Rules, String> {
        let spec: RuleSpec = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Rules::new(&[spec]).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_no_rule_is_refused_with_a_reason() {
        for (text, why) in [
            (r#"{"path": "body.a", "ignroe": "all"}"#, "unknown field `ignroe`"),
            (r#"{"path": "body.a"}"#, "exactly one"),
            (r#"{"path": "body.a", "ignore": "all", "type_only": true}"#, "exactly one"),
            (r#"{"path": "bodya", "ignore": "all"}"#, "begins with `body.`"),
            (r#"{"path": "body.a..", "ignore": "all"}"#, "a path into a body looks like"),
            (r#"{"path": "cookie.a", "ignore": "all"}"#, "a path is status"),
            (r#"{"path": "body.a", "both_match": "("}"#, "unclosed group"),
            (r#"{"path": "body.a", "time_tolerance": "soon"}"#, "no duration"),
            (r#"{"path": "body.a[]", "array": "set"}"#, "that of the list: \"body.a\""),
        ] {
            let error = rule(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_header_is_named_in_whole_or_by_its_start() {
        let rules = rule(r#"{"path": "header.X-B3-*", "ignore": "all"}"#).unwrap();
        let active = rules.of("e");
        assert!(active.outside("header.x-b3-traceid").is_some());
        assert!(active.outside("header.x-b2").is_none());
        let rules = rule(r#"{"path": "header.date", "ignore": "all"}"#).unwrap();
        let active = rules.of("e");
        assert!(active.outside("header.date").is_some());
        assert!(
            active.outside("header.x-candidate-id").is_none()
                && active.outside("header.date2").is_none()
        );
    }
}
