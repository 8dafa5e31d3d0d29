//! Which pods are selected, by their metadata.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::SHADOW;
use super::pod::Metadata;

/// Which pods are selected: those for which all of this holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSelection {
    /// In one of these namespaces; empty: in any.
    pub namespaces: Vec<String>,
    /// Their labels.
    pub labels: Vec<Requirement>,
    /// One of their annotations.
    pub annotation: Option<Requirement>,
}

/// What a label or an annotation has to be: `KEY`, `!KEY`, `KEY=VALUE` or `KEY!=VALUE`, as in `kubectl -l`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    wants: Wants,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wants {
    Present,
    Absent,
    Is(String),
    /// It is another one, or absent.
    IsNot(String),
}

impl PodSelection {
    /// True if it selects something by itself: not every pod of a node is selected without a word.
    #[must_use]
    pub fn names_something(&self) -> bool {
        !self.namespaces.is_empty() || !self.labels.is_empty() || self.annotation.is_some()
    }

    pub(super) fn includes(&self, pod: &Metadata) -> bool {
        let is_off = pod.annotations.get(SHADOW).is_some_and(|value| value == "off");
        let namespace = self.namespaces.is_empty() || self.namespaces.contains(&pod.namespace);
        !is_off
            && namespace
            && self.labels.iter().all(|label| label.holds(&pod.labels))
            && self.annotation.iter().all(|annotation| annotation.holds(&pod.annotations))
    }
}

impl Requirement {
    fn holds(&self, texts: &BTreeMap<String, String>) -> bool {
        let found = texts.get(&self.key);
        match &self.wants {
            Wants::Present => found.is_some(),
            Wants::Absent => found.is_none(),
            Wants::Is(value) => found == Some(value),
            Wants::IsNot(value) => found != Some(value),
        }
    }
}

impl FromStr for Requirement {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (key, wants) = match (text.split_once("!="), text.split_once('=')) {
            (Some((key, value)), _) => (key, Wants::IsNot(value.to_owned())),
            (None, Some((key, value))) => (key, Wants::Is(value.to_owned())),
            (None, None) => match text.strip_prefix('!') {
                Some(key) => (key, Wants::Absent),
                None => (text, Wants::Present),
            },
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        let is_value = |byte: u8| byte.is_ascii_graphic() && !b",;=!".contains(&byte);
        let value = match &wants {
            Wants::Is(value) | Wants::IsNot(value) => value.as_str(),
            Wants::Present | Wants::Absent => "",
        };
        if key.is_empty() || !key.bytes().all(plain) || !value.bytes().all(is_value) {
            return Err("KEY, !KEY, KEY=VALUE or KEY!=VALUE, such as app=shop".to_owned());
        }
        Ok(Self { key: key.to_owned(), wants })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match &self.wants {
            Wants::Present => f.write_str(key),
            Wants::Absent => write!(f, "!{key}"),
            Wants::Is(value) => write!(f, "{key}={value}"),
            Wants::IsNot(value) => write!(f, "{key}!={value}"),
        }
    }
}

/// `namespaces=a,b;labels=app=shop,!canary;annotation=mirror.dev/shadow=on`, each part once.
impl FromStr for PodSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = || {
            "namespaces=NAME,…;labels=KEY=VALUE,…;annotation=KEY=VALUE, of which at least one part"
                .to_owned()
        };
        let mut selection = Self::default();
        for part in text.split(';') {
            let (key, value) = part.split_once('=').ok_or_else(wanted)?;
            let mut values = value.split(',').map(str::trim);
            match key.trim() {
                "namespaces" if selection.namespaces.is_empty() => {
                    selection.namespaces = values.map(namespace).collect::<Result<_, _>>()?;
                }
                "labels" if selection.labels.is_empty() => {
                    selection.labels = values.map(str::parse).collect::<Result<_, _>>()?;
                }
                "annotation" if selection.annotation.is_none() => {
                    selection.annotation = values.next().map(str::parse).transpose()?;
                    if values.next().is_some() {
                        return Err("one annotation".to_owned());
                    }
                }
                _ => return Err(wanted()),
            }
        }
        Ok(selection)
    }
}

impl fmt::Display for PodSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> = self.labels.iter().map(ToString::to_string).collect();
        let part = |name: &str, values: &[String]| {
            (!values.is_empty()).then(|| format!("{name}={}", values.join(",")))
        };
        let annotation = self.annotation.iter().map(|it| format!("annotation={it}"));
        let parts = [part("namespaces", &self.namespaces), part("labels", &labels)];
        let parts: Vec<String> = parts.into_iter().flatten().chain(annotation).collect();
        f.write_str(&parts.join(";"))
    }
}

/// A namespace's name (RFC 1123).
pub(crate) fn namespace(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match (1..=63).contains(&text.len()) && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("a namespace: lower-case letters, digits and dashes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pod(namespace: &str, labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Metadata {
        let map = |texts: &[(&str, &str)]| {
            texts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        Metadata {
            namespace: namespace.to_owned(),
            labels: map(labels),
            annotations: map(annotations),
            ..Metadata::default()
        }
    }

    fn selection(text: &str) -> PodSelection {
        text.parse().unwrap()
    }

    #[test]
    fn everything_that_is_asked_for_must_hold() {
        let shop = selection("namespaces=shop,billing;labels=app=shop,!canary,tier!=cache");
        assert!(shop.includes(&pod("shop", &[("app", "shop")], &[])));
        assert!(shop.includes(&pod("billing", &[("app", "shop"), ("tier", "web")], &[])));
        for other in [
            pod("other", &[("app", "shop")], &[]),
            pod("shop", &[("app", "shops")], &[]),
            pod("shop", &[("app", "shop"), ("canary", "")], &[]),
            pod("shop", &[("app", "shop"), ("tier", "cache")], &[]),
        ] {
            assert!(!shop.includes(&other), "{other:?}");
        }
        let asked = selection("annotation=mirror.dev/shadow=on");
        assert!(asked.includes(&pod("any", &[], &[(SHADOW, "on")])));
        assert!(!asked.includes(&pod("any", &[], &[])));
        assert!(selection("labels=app").includes(&pod("any", &[("app", "x")], &[])));
    }

    #[test]
    fn a_pod_that_says_off_is_never_selected() {
        let shop = selection("labels=app");
        assert!(!shop.includes(&pod("a", &[("app", "x")], &[(SHADOW, "off")])));
        assert!(shop.includes(&pod("a", &[("app", "x")], &[(SHADOW, "no-matter")])));
    }

    #[test]
    fn what_cannot_be_a_selection_is_refused() {
        for wrong in [
            "",
            "app",
            "app=shop",
            "labels=",
            "labels=a b",
            "namespaces=Shop",
            "annotation=a,b",
            "labels=a;labels=b",
            "labels==x",
            "labels=a=b=c",
        ] {
            assert!(wrong.parse::<PodSelection>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_selection_reads_back_as_it_is_written(
            namespaces in prop::collection::vec("[a-z][a-z0-9-]{0,8}", 0..3),
            labels in prop::collection::vec("!?[a-z.]{1,5}(/[a-z]{1,3})?|[a-z]{1,4}!?=[a-z0-9]{0,4}", 0..3),
            annotation in prop::option::of("[a-z.]{1,5}/[a-z]{1,3}=on"),
        ) {
            let selection = PodSelection {
                namespaces,
                labels: labels.iter().map(|label| label.parse().unwrap()).collect(),
                annotation: annotation.map(|text| text.parse().unwrap()),
            };
            if selection.names_something() {
                prop_assert_eq!(selection.to_string().parse(), Ok(selection));
            }
        }

        #[test]
        fn any_text_is_survived(text in ".{0,40}") {
            let _ = text.parse::<PodSelection>();
        }
    }
}
