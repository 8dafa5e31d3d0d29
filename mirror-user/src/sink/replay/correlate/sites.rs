//! Finds the values of a response that a later request may have to present, each with its place.
//! Values at the same place of both responses are a pair.
//!
//! Cookies, tokens (by field name), `ETag` and `Location` are taken from every response. Other
//! identifiers are taken only if the request was to create or change something: in a list that is
//! only read, the same place may hold another item.

use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashMap};
use serde_json::Value;

use super::tokens::{
    Class, SECRET, alike, is_distinctive, is_id_name, is_secret_name, kind_of_name, resource_of,
};
use crate::http::message::Head;

/// The largest number of values of one response; later ones are ignored.
const MAX_SITES: usize = 256;

/// The longest HTML tag that is parsed, in bytes.
const MAX_TAG_BYTES: usize = 4 * 1024;

/// A value of a response.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// The hash of its place.
    pub(super) place: u64,
    pub(super) value: Box<str>,
    /// The kind of thing that it names.
    pub(super) kind: Box<str>,
    /// Values of this kind usually change.
    pub(super) renews: bool,
    /// It is a value in any form, as a cookie is.
    pub(super) any: bool,
}

impl Site {
    /// Whether both values can be a pair.
    pub(super) fn pairs_with(&self, other: &Self) -> bool {
        self.any || alike(&self.value, &other.value)
    }
}

/// The context of a response: what its request says about the values in it.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    /// The request was to create or change something: its method is not safe (RFC 9110 §9.2.1).
    pub(super) changes: bool,
    /// The resource of the request.
    pub(super) resource: String,
}

impl RequestContext {
    pub(super) fn new(method: &[u8], target: &[u8]) -> Self {
        let safe_methods = [&b"GET"[..], b"HEAD", b"OPTIONS", b"TRACE", b"QUERY"];
        let target = str::from_utf8(target).unwrap_or_default();
        Self { changes: !safe_methods.contains(&method), resource: resource_of(target) }
    }
}

/// The sites of a response. `content` is its decoded content.
pub(super) fn find(
    hasher: &DefaultHashBuilder,
    context: &RequestContext,
    head: &Head,
    content: Option<&[u8]>,
) -> Vec<Site> {
    let mut finder = Finder { hasher, context, sites: Vec::new() };
    let mut media_type: &[u8] = b"";
    for (name, value) in head.fields() {
        if name.eq_ignore_ascii_case(b"content-type") {
            media_type = value;
        }
        if let (Ok(name), Ok(value)) = (str::from_utf8(name), str::from_utf8(value)) {
            finder.header(&name.to_ascii_lowercase(), value);
        }
    }
    match content {
        Some(content) if is_json(media_type) => {
            if let Ok(document) = serde_json::from_slice(content) {
                let place = finder.place(0, "json");
                finder.json(&document, place, "");
            }
        }
        Some(content) if media_type.to_ascii_lowercase().starts_with(b"text/html") => {
            finder.html(&String::from_utf8_lossy(content));
        }
        _ => {}
    }
    finder.sites
}

/// True for the media types of JSON documents.
pub(super) fn is_json(media_type: &[u8]) -> bool {
    let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence.ends_with(b"/json") || essence.ends_with(b"+json")
}

struct Finder<'a> {
    hasher: &'a DefaultHashBuilder,
    context: &'a RequestContext,
    sites: Vec<Site>,
}

impl Finder<'_> {
    /// The place `part` within another.
    fn place(&self, outer: u64, part: impl Hash) -> u64 {
        self.hasher.hash_one((outer, part))
    }

    fn add(&mut self, site: Site) {
        if self.sites.len() < MAX_SITES {
            self.sites.push(site);
        }
    }

    fn header(&mut self, name: &str, value: &str) {
        let place = self.place(0, name);
        match name {
            "set-cookie" => {
                let pair = value.split(';').next().unwrap_or_default();
                let Some((name, value)) = pair.split_once('=') else { return };
                let (name, value) = (name.trim(), value.trim());
                if !value.is_empty() {
                    let place = self.place(place, name);
                    let kind = cookie_kind(name).into();
                    self.add(Site { place, value: value.into(), kind, renews: true, any: true });
                    if is_secret_name(name) {
                        // It may come back in another header, too.
                        let place = self.place(place, SECRET);
                        self.secret(value, place, name);
                    }
                }
            }
            "location" | "content-location" => self.reference(value, place),
            "etag" => {
                let value = value.trim_start_matches("W/").trim_matches('"');
                self.secret(value, place, "etag");
            }
            _ if is_secret_name(name) => self.secret(value, place, name),
            _ => {}
        }
    }

    /// Adds a token. A plain word is a state of something, not a token.
    fn secret(&mut self, value: &str, place: u64, name: &str) {
        let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
        if Class::of(value).is_some() && (has_digit || is_distinctive(value)) {
            let kind = kind_of_name(name, "").into();
            self.add(Site { place, value: value.into(), kind, renews: true, any: true });
        }
    }

    /// Adds the identifiers in a URL. Path segments are counted from the end, because the target
    /// may have another path prefix.
    fn reference(&mut self, reference: &str, place: u64) {
        let path = match reference.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => reference,
        };
        let path = path.split('#').next().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let segments: Vec<&str> = path.split('/').collect();
        for (from_end, at) in (0..segments.len()).rev().enumerate() {
            let Some(segment) = segments.get(at) else { continue };
            let before = at.checked_sub(1).and_then(|at| segments.get(at)).copied();
            let kind = resource_of(before.unwrap_or_default());
            let place = self.place(place, from_end);
            self.part(segment, place, &kind);
        }
        for pair in query.split('&') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let place = self.place(place, name);
            self.part(value, place, &kind_of_name(name, &self.context.resource));
        }
    }

    /// Adds a part of a URL if it has a digit. Plain words name pages.
    fn part(&mut self, value: &str, place: u64, kind: &str) {
        let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
        if has_digit && Class::of(value).is_some() {
            let (value, kind) = (value.into(), kind.into());
            self.add(Site { place, value, kind, renews: false, any: false });
        }
    }

    fn json(&mut self, value: &Value, place: u64, name: &str) {
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let place = self.place(place, name);
                    self.json(member, place, name);
                }
            }
            Value::Array(list) => {
                for (at, member) in list.iter().enumerate() {
                    // Lists of different lengths hold different items.
                    let place = self.place(place, (at, list.len()));
                    self.json(member, place, name);
                }
            }
            Value::String(text) => self.scalar(text, place, name),
            Value::Number(number) if number.is_u64() => {
                self.scalar(&number.to_string(), place, name);
            }
            Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }

    fn scalar(&mut self, value: &str, place: u64, name: &str) {
        let class = Class::of(value);
        if is_secret_name(name) {
            return self.secret(value, place, name);
        }
        if !self.context.changes {
            return;
        }
        if value.contains('/') {
            return self.reference(value, place);
        }
        if class == Some(Class::Opaque) || (class.is_some() && is_id_name(name)) {
            let kind = kind_of_name(name, &self.context.resource).into();
            self.add(Site { place, value: value.into(), kind, renews: false, any: false });
        }
    }

    /// Tokens in `<input name="csrf" value="…">` and `<meta name="csrf" content="…">`.
    fn html(&mut self, text: &str) {
        let outer = self.place(0, "html");
        let mut seen: HashMap<&str, u32> = HashMap::new();
        for tag in text.split('<').skip(1) {
            let tag = tag.get(..tag.len().min(MAX_TAG_BYTES)).unwrap_or_default();
            let is_relevant = ["input", "meta", "button"].iter().any(|kind| {
                tag.get(..kind.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(kind))
            });
            if !is_relevant {
                continue;
            }
            let value = attribute(tag, "value").or_else(|| attribute(tag, "content"));
            if let (Some(name), Some(value)) = (attribute(tag, "name"), value)
                && is_secret_name(name)
            {
                let nth = seen.entry(name).or_default();
                *nth += 1;
                let place = self.place(outer, (name, *nth));
                self.secret(value, place, name);
            }
        }
    }
}

/// The kind of a cookie's value.
pub(super) fn cookie_kind(name: &str) -> String {
    format!("cookie {name}")
}

/// The value of an attribute of a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    loop {
        let equals = rest.find('=')?;
        let (before, behind) = rest.split_at_checked(equals)?;
        let behind = behind.get(1..)?.trim_ascii_start();
        let (value, next) = match behind.chars().next()? {
            quote @ ('"' | '\'') => behind.get(1..)?.split_once(quote)?,
            _ => {
                let end = behind.find([' ', '>', '\t', '\n']).unwrap_or(behind.len());
                behind.split_at_checked(end)?
            }
        };
        let found = before.trim_ascii_end().rsplit(|char: char| char.is_ascii_whitespace()).next();
        if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return Some(value);
        }
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::http::whole;

    fn found(context: &RequestContext, response: &str) -> Vec<(String, String)> {
        let hasher = DefaultHashBuilder::default();
        let wire = Bytes::from(response.replace('\n', "\r\n"));
        let (head, body) = whole::response(&wire, false).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut body.content().unwrap(), &mut content).unwrap();
        let sites = find(&hasher, context, &head, Some(&content));
        sites.into_iter().map(|site| (site.kind.into(), site.value.into())).collect()
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(kind, value)| ((*kind).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_created_thing_is_named_in_location_and_body() {
        let context = RequestContext::new(b"POST", b"/v1/orders?x=1");
        let response = "HTTP/1.1 201 Created\nLocation: http://shop/v1/orders/5001?page=2\nSet-Cookie: cart=c7; Path=/\nContent-Type: application/json\n\n\
                      {\"id\":5001,\"customerId\":\"17\",\"total\":1250,\"state\":\"s1\",\"self\":\"/orders/5001\",\"items\":[{\"id\":9}]}";
        let wanted = [
            ("order", "5001"),
            ("v", "v1"),
            ("order", "2"),
            ("cookie cart", "c7"),
            ("customer", "17"),
            ("order", "5001"),
            ("order", "9"),
            ("order", "5001"),
            ("secret", "s1"),
        ];
        let mut found = found(&context, response);
        // The members of an object have no order.
        found.sort();
        let mut wanted = pairs(&wanted);
        wanted.sort();
        let known: Vec<_> = found.iter().filter(|pair| pair.1 != "v1" && pair.1 != "2").collect();
        assert_eq!(
            known,
            wanted.iter().filter(|pair| pair.1 != "v1" && pair.1 != "2").collect::<Vec<_>>()
        );
    }

    #[test]
    fn only_tokens_are_taken_from_what_is_only_read() {
        let context = RequestContext::new(b"GET", b"/orders");
        let list = "HTTP/1.1 200 OK\nContent-Type: application/json\n\n\
                    {\"orders\":[{\"id\":5001}],\"csrfToken\":\"t0ken\"}";
        assert_eq!(found(&context, list), pairs(&[("secret", "t0ken")]));
        let page = "HTTP/1.1 200 OK\nContent-Type: text/html; charset=utf-8\n\n\
                    <form><input type=hidden name='csrf_token' value=\"abc123\"><input name=q value=x></form>\
                    <META NAME=xsrf CONTENT=zz9>";
        assert_eq!(found(&context, page), pairs(&[("secret", "abc123"), ("secret", "zz9")]));
    }

    proptest::proptest! {
        #[test]
        fn any_page_is_safe(text in "[<>a-z='\" /\\-é]{0,200}") {
            let _ = found(&RequestContext::new(b"POST", b"/"), &format!("HTTP/1.1 200 OK\nContent-Type: text/html\n\n{text}"));
        }
    }
}
