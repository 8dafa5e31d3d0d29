//! Which requests are of one kind: a method and a template of paths.
//!
//! The operator's patterns come first. Else identifiers in a path, told by their shape, are placeholders, and so is a
//! segment that had more than [`MAX_NAMES`] values: then what was counted before under each is put together.

use hashbrown::{HashMap, HashSet};

use crate::rules::EndpointSpec;
use crate::shape::Shape;

/// Different words at one place of a path; with more, it is a name.
pub const MAX_NAMES: usize = 50;
/// Endpoints; requests of more are counted under [`OTHER`].
pub const MAX_ENDPOINTS: usize = 500;
/// The endpoint of requests beyond [`MAX_ENDPOINTS`].
pub const OTHER: &str = "(other)";
/// Segments of a path that tell endpoints apart; what follows is `**`.
const MAX_SEGMENTS: usize = 12;
/// Bytes of a segment that is a word.
const MAX_WORD: usize = 40;
/// Places of paths that are remembered; words at others stay words, up to the endpoints' limit.
const MAX_PLACES: usize = 10_000;

/// Names the endpoints of requests.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    patterns: Vec<Pattern>,
    /// The words at each place, by what is before it; `None`: it is a name.
    places: HashMap<String, Option<HashSet<Box<str>>>>,
    names: HashSet<String>,
    /// True when a place became a name, and earlier endpoints have another one now.
    renamed: bool,
}

#[derive(Clone, Debug)]
struct Pattern {
    method: Option<String>,
    segments: Vec<Segment>,
    rest: bool,
    name: Option<String>,
    path: String,
}

#[derive(Clone, Debug)]
enum Segment {
    Word(String),
    Any,
}

impl Endpoints {
    /// With patterns that come first, in their order.
    #[must_use]
    pub fn new(specs: &[EndpointSpec]) -> Self {
        let pattern = |spec: &EndpointSpec| {
            let mut segments: Vec<&str> = segments(&spec.matches.path).collect();
            let rest = segments.last() == Some(&"**");
            if rest {
                segments.pop();
            }
            let segment =
                |text: &str| match text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                    Some(_) => Segment::Any,
                    None => Segment::Word(text.to_owned()),
                };
            Pattern {
                method: spec.matches.method.clone(),
                segments: segments.into_iter().map(segment).collect(),
                rest,
                name: spec.name.clone(),
                path: spec.matches.path.clone(),
            }
        };
        Self { patterns: specs.iter().map(pattern).collect(), ..Self::default() }
    }

    /// The endpoint of a request.
    pub fn name(&mut self, method: &str, target: &str) -> String {
        let path = path_of(target);
        let found = self.patterns.iter().find(|pattern| pattern.fits(method, path));
        let name = match found {
            Some(Pattern { name: Some(name), .. }) => name.clone(),
            Some(Pattern { path, .. }) => format!("{method} {path}"),
            None => self.template(method, path),
        };
        if !self.names.contains(&name) {
            if self.names.len() >= MAX_ENDPOINTS {
                return OTHER.to_owned();
            }
            self.names.insert(name.clone());
        }
        name
    }

    /// The same without the method: the template of the request's path, or the name that a pattern gives.
    pub fn path(&mut self, method: &str, target: &str) -> String {
        let mut name = self.name(method, target);
        let method = name.strip_prefix(method).and_then(|path| path.strip_prefix(' '));
        let start = method.map_or(0, |path| name.len() - path.len());
        name.split_off(start)
    }

    /// True once after names changed; [`renamed`](Self::renamed) says which.
    pub fn take_renamed(&mut self) -> bool {
        std::mem::take(&mut self.renamed)
    }

    /// The name that an endpoint has now.
    pub fn renamed(&mut self, name: &str) -> String {
        let Some((method, path)) = name.split_once(' ').filter(|(_, path)| path.starts_with('/'))
        else {
            return name.to_owned();
        };
        let now = self.template(method, path);
        if now != name && self.names.remove(name) {
            self.names.insert(now.clone());
        }
        now
    }

    fn template(&mut self, method: &str, path: &str) -> String {
        let mut name = format!("{method} ");
        let start = name.len();
        for (at, segment) in segments(path).enumerate() {
            if at == MAX_SEGMENTS {
                name.push_str("/**");
                break;
            }
            let shown = match placeholder(segment) {
                Some(placeholder) => placeholder,
                None if self.is_name(&name, segment) => "{name}",
                None => segment,
            };
            name.push('/');
            name.push_str(shown);
        }
        if name.len() == start {
            name.push_str(if path == "*" { "*" } else { "/" });
        }
        name
    }

    fn is_name(&mut self, before: &str, word: &str) -> bool {
        if self.places.len() >= MAX_PLACES && !self.places.contains_key(before) {
            return false;
        }
        let place = self.places.entry_ref(before).or_insert_with(|| Some(HashSet::new()));
        let Some(words) = place else { return true };
        if !words.contains(word) {
            words.insert(word.into());
        }
        if words.len() <= MAX_NAMES {
            return false;
        }
        *place = None;
        self.renamed = true;
        true
    }
}

impl Pattern {
    fn fits(&self, method: &str, path: &str) -> bool {
        let mut have = segments(path);
        self.method.as_deref().is_none_or(|wanted| wanted == method)
            && self.segments.iter().all(|segment| match (segment, have.next()) {
                (Segment::Word(word), Some(have)) => word == have,
                (Segment::Any, have) => have.is_some(),
                (Segment::Word(_), None) => false,
            })
            && (self.rest || have.next().is_none())
    }
}

/// The path of a target in origin form or absolute form (RFC 9112 §3.2).
fn path_of(target: &str) -> &str {
    let target = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    };
    target.split(['?', '#']).next().unwrap_or_default()
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// What a segment that is no word stands for.
fn placeholder(segment: &str) -> Option<&'static str> {
    if segment.starts_with('{') {
        return None;
    }
    if Shape::is_key(segment) {
        let is_date = segment.len() == 10 && segment.contains('-');
        return Some(if is_date { "{date}" } else { "{id}" });
    }
    if Shape::of_text(segment, None).is_some() {
        return Some("{token}");
    }
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let version = segment.starts_with(['v', 'V']) && segment.len() <= 4;
    // `order-10023`, `AB12345678`, `ada%40example.com`
    let numbered = !version && digits >= 3 && digits * 3 >= segment.len();
    (numbered || segment.len() > MAX_WORD || segment.contains(['%', '@', ','])).then_some("{id}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::EndpointMatch;

    #[test]
    fn identifiers_are_placeholders_and_words_are_not() {
        let mut endpoints = Endpoints::default();
        for (target, name) in [
            ("/orders/5001/items?x=1", "GET /orders/{id}/items"),
            ("/orders/0190163d-8694-739b-aea5-966c26f8ad91", "GET /orders/{id}"),
            ("/v1/users/me", "GET /v1/users/me"),
            ("/reports/2026-11-28", "GET /reports/{date}"),
            ("http://shop.example/a/b?c", "GET /a/b"),
            ("/", "GET /"),
            ("", "GET /"),
            ("*", "GET /*"),
            ("/s/order-10023", "GET /s/{id}"),
            ("/u/ada%40example.com", "GET /u/{id}"),
        ] {
            assert_eq!(endpoints.name("GET", target), name, "{target}");
            assert_eq!(format!("GET {}", endpoints.path("GET", target)), name, "{target}");
        }
    }

    #[test]
    fn patterns_come_first_and_in_their_order() {
        let spec = |method: Option<&str>, path: &str, name: Option<&str>| EndpointSpec {
            matches: EndpointMatch { method: method.map(Into::into), path: path.into() },
            name: name.map(Into::into),
        };
        let mut endpoints = Endpoints::new(&[
            spec(Some("POST"), "/v1/users", Some("create-user")),
            spec(None, "/users/{name}/posts", None),
            spec(None, "/static/**", Some("static")),
        ]);
        assert_eq!(endpoints.name("POST", "/v1/users"), "create-user");
        assert_eq!(endpoints.path("POST", "/v1/users"), "create-user");
        assert_eq!(endpoints.name("GET", "/v1/users"), "GET /v1/users");
        assert_eq!(endpoints.name("GET", "/users/ada/posts"), "GET /users/{name}/posts");
        assert_eq!(endpoints.name("GET", "/static/a/b.css"), "static");
    }

    #[test]
    fn a_place_with_many_words_becomes_a_name_and_the_endpoints_are_bounded() {
        let mut endpoints = Endpoints::default();
        let word = |n: usize| {
            let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
            format!("u{}{}{}", letter(n / 676), letter(n / 26), letter(n))
        };
        for n in 0..MAX_NAMES {
            assert_eq!(
                endpoints.name("GET", &format!("/u/{}", word(n))),
                format!("GET /u/{}", word(n))
            );
        }
        assert!(!endpoints.take_renamed());
        assert_eq!(endpoints.name("GET", &format!("/u/{}", word(MAX_NAMES))), "GET /u/{name}");
        assert!(endpoints.take_renamed());
        assert_eq!(endpoints.renamed(&format!("GET /u/{}", word(0))), "GET /u/{name}");
        for n in 0..20_000 {
            endpoints.name("GET", &format!("/{}/{}/{}", word(n), word(n / 7), word(n / 3)));
        }
        assert!(endpoints.names.len() <= MAX_ENDPOINTS);
    }
}
