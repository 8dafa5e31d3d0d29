//! Stubs by operation: a method and a template of paths, as descriptions of an API have it.

use std::collections::BTreeMap;

use mirror_compare::endpoint::Endpoints;
use percent_encoding::percent_decode_str;

use super::{Answer, Asked, Stub};

/// Examples of one operation; with more, a description is none that people read.
pub(super) const MAX_EXAMPLES: usize = 50;

/// What of an operation was seen.
#[derive(Debug, Default)]
pub(super) struct Operation<'c> {
    pub(super) examples: Vec<Example<'c>>,
    /// Those beyond [`MAX_EXAMPLES`].
    pub(super) left_out: u64,
}

/// A request and one of its answers.
#[derive(Debug)]
pub(super) struct Example<'c> {
    /// Unique within the operation.
    pub(super) name: String,
    pub(super) asked: &'c Asked,
    pub(super) answer: &'c Answer,
    /// Names and values of the path's parameters.
    pub(super) path: Vec<(String, String)>,
}

/// Operations by template and method.
pub(super) type Operations<'c> = BTreeMap<String, BTreeMap<String, Operation<'c>>>;

/// Which answers to a request are examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// Each that differs.
    All,
    /// The one that repeats.
    Last,
}

/// How many examples were too many.
pub(super) fn left_out(operations: &Operations<'_>) -> u64 {
    operations.values().flat_map(BTreeMap::values).map(|operation| operation.left_out).sum()
}

/// Groups stubs. Segments that are told to be identifiers become parameters; those of one place have one name, as two
/// templates must not differ in names alone.
pub(super) fn of<'c>(stubs: &[Stub<'c>], answers: Answers) -> Operations<'c> {
    let mut endpoints = Endpoints::default();
    // A place where many words stand is known as one when all were seen.
    for Stub { asked, .. } in stubs {
        endpoints.name(&asked.method, &asked.path);
    }
    let mut operations = Operations::new();
    for stub in stubs {
        let named = endpoints.name(&stub.asked.method, &stub.asked.path);
        let (template, path) = template(&named, &stub.asked.path);
        let of_path = operations.entry(template).or_default();
        let operation = of_path.entry(stub.asked.method.clone()).or_default();
        let number = operation.examples.len() + 1;
        let mut told: Vec<&Answer> = Vec::new();
        let skipped = match answers {
            Answers::All => 0,
            Answers::Last => stub.answers().count().saturating_sub(1),
        };
        operation.left_out += skipped as u64;
        for answer in stub.answers().skip(skipped) {
            if told.iter().any(|known| known.is_like(answer)) {
                continue;
            }
            told.push(answer);
            if operation.examples.len() >= MAX_EXAMPLES {
                operation.left_out += 1;
                continue;
            }
            let name = match told.len() {
                1 => format!("example-{number}"),
                n => format!("example-{number}-{n}"),
            };
            let path = path.clone();
            operation.examples.push(Example { name, asked: stub.asked, answer, path });
        }
    }
    operations
}

/// The template of a path, with its parameters; the path itself where its endpoint has no template.
fn template(named: &str, path: &str) -> (String, Vec<(String, String)>) {
    let of_endpoint = named.split_once(' ').map_or("", |(_, template)| template);
    let places: Vec<&str> = of_endpoint.split('/').filter(|part| !part.is_empty()).collect();
    let parts = path.split('/').filter(|part| !part.is_empty());
    let mut parameters = Vec::new();
    let mut template = String::new();
    let is_known = places.len() == parts.clone().count() && !of_endpoint.contains("**");
    for (part, place) in parts.zip(places.iter().map(Some).chain(std::iter::repeat(None))) {
        let is_parameter = is_known && place.is_some_and(|place| place.starts_with('{'));
        template.push('/');
        if !is_parameter {
            // Braces would be a parameter.
            template.push_str(&part.replace('{', "%7B").replace('}', "%7D"));
            continue;
        }
        let name = match parameters.len() {
            0 => "id".to_owned(),
            n => format!("id{}", n + 1),
        };
        template.push_str(&format!("{{{name}}}"));
        let value = percent_decode_str(part).decode_utf8_lossy().into_owned();
        parameters.push((name, value));
    }
    if template.is_empty() || path.ends_with('/') {
        template.push('/');
    }
    (template, parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_parameters_with_names_of_their_places() {
        let of = |named: &str, path: &str| template(named, path);
        let id = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            of("GET /users/{id}/days/{date}", "/users/4%202/days/2026-11-28"),
            ("/users/{id}/days/{id2}".to_owned(), vec![id("id", "4 2"), id("id2", "2026-11-28")])
        );
        assert_eq!(of("GET /", "/"), ("/".to_owned(), vec![]));
        assert_eq!(of("(other)", "/a/{b}/"), ("/a/%7Bb%7D/".to_owned(), vec![]));
        assert_eq!(of("GET /a/**", "/a/b"), ("/a/b".to_owned(), vec![]));
    }
}
