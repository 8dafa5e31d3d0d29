//! Names whose values are replaced, whatever the values look like.
//!
//! A name is recognized by its ending: `userPassword`, `DB-PASSWORD` and `password2` end in a credential
//! word. Names are compared without case, `-`, `_` and `.`; a separator, a digit or a capital letter starts
//! a word. The longest matching entry decides, so `max_tokens` is a counter and `page_token` a position in
//! a list.
//!
//! For most names, the last letters suffice to rule out all known words.

mod endings;
mod glob;
mod lists;
mod ordinary;
mod word;

use std::borrow::Cow;

use self::endings::Endings;
use self::glob::Glob;
use self::ordinary::Ordinary;
use self::word::Folded;
pub(super) use self::word::MAX_NAME_BYTES;
use super::options::{BadOption, Preset};
use crate::syntax::is_token_char;

/// The places in which a name is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places(u8);

impl Places {
    pub(super) const HEADER: Self = Self(1);
    /// Multipart, JSON, and similar documents.
    pub(super) const FIELD: Self = Self(2);
    pub(super) const COOKIE: Self = Self(4);
    /// Queries and forms, where names are shorter and fewer than in documents.
    pub(super) const PAIR: Self = Self(8);
    pub(super) const FIELDS: Self = Self(2 | 8);
    pub(super) const ALL: Self = Self(15);

    fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Which part of a name an entry matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    /// All of it, or all of the innermost part: `user[pin]`, `user.pin`.
    Whole,
    /// Its last words.
    Word,
    /// Its last letters, even within a word: `dbpassword`.
    End,
}

/// How the value of a name is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment<'a> {
    /// Scanned by the detectors.
    Look,
    /// Scanned, but not for numbers, because random digits may look like them.
    Identifier,
    /// Replaced by a token of this kind.
    Replace(&'a str),
    /// Left unchanged.
    Keep,
}

#[derive(Clone, Debug)]
enum Role {
    Replace(Cow<'static, str>),
    Identifier,
    /// Not a secret, although it ends in a credential word.
    Exempt,
    /// A word that may follow a credential word: `password_confirmation`, `token_value`.
    Carrier,
    Keep,
}

#[derive(Debug)]
struct Entry {
    text: Cow<'static, [u8]>,
    anchor: Anchor,
    places: Places,
    role: Role,
    /// Given by the user; takes precedence over the presets.
    own: bool,
}

impl Entry {
    /// Of the entries that match a name, the one of the highest rank decides.
    fn rank(&self) -> (usize, bool, bool) {
        (self.text.len(), self.own, matches!(self.role, Role::Keep))
    }
}

/// A kind whose values are secrets if they are texts, and counts if they are numbers: `"tokens": 17`.
pub(super) const COUNTED: &str = "tokens";

/// Maximum number of words after a credential word.
const MAX_CARRIERS: usize = 4;

/// The set of listed names.
pub(super) struct Names {
    /// By the last two letters, those of the highest rank first.
    buckets: Vec<Vec<Entry>>,
    endings: Endings,
    ordinary: Ordinary,
    globs: Vec<(Glob, Places, Role)>,
    /// Every cookie is listed.
    all_cookies: bool,
    /// True if there are entries given by the user.
    has_own: bool,
}

const BUCKETS: usize = 1 << 10;

/// Letters without case fall into 31 classes.
fn class(byte: Option<&u8>) -> usize {
    usize::from(byte.copied().unwrap_or_default() & 31)
}

/// The bucket of names with this ending.
fn bucket(text: &[u8]) -> usize {
    let mut last = text.iter().rev();
    let last_one = class(last.next());
    class(last.next()) << 5 | last_one
}

impl Default for Names {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| Vec::new()).collect();
        Self {
            buckets,
            endings: Endings::default(),
            ordinary: Ordinary::default(),
            globs: Vec::new(),
            all_cookies: false,
            has_own: false,
        }
    }
}

impl Names {
    /// The names of a preset.
    pub(super) fn preset(preset: Preset) -> Self {
        let mut names = Self::default();
        if preset == Preset::None {
            return names;
        }
        names.all_cookies = true;
        for list in lists::LISTS.iter().filter(|list| list.preset <= preset) {
            for text in list.names.split_ascii_whitespace() {
                let role = list.role.into();
                names.insert(Entry {
                    text: Cow::Borrowed(text.as_bytes()),
                    anchor: list.anchor,
                    places: list.places,
                    role,
                    own: false,
                });
            }
        }
        names
    }

    fn insert(&mut self, entry: Entry) {
        let bucket = bucket(&entry.text);
        self.endings.add(&entry.text);
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            // The first that fits decides.
            let at = bucket.partition_point(|other| other.rank() > entry.rank());
            bucket.insert(at, entry);
        }
    }

    /// Adds a name or a pattern whose values are replaced.
    pub(super) fn add(&mut self, name: &str, kind: &str, places: Places) -> Result<(), BadOption> {
        self.add_own(name, places, Role::Replace(kind.to_owned().into()))
    }

    /// Adds a name or a pattern whose values are never replaced.
    pub(super) fn keep(&mut self, name: &str) -> Result<(), BadOption> {
        self.add_own(name, Places::ALL, Role::Keep)
    }

    fn add_own(&mut self, name: &str, places: Places, role: Role) -> Result<(), BadOption> {
        check(name, places)?;
        self.has_own = true;
        if Glob::is(name) {
            let glob = Glob::new(name).ok_or_else(|| BadOption::Name(name.to_owned()))?;
            self.globs.push((glob, places, role));
            return Ok(());
        }
        let folded = Folded::new(name.as_bytes());
        if folded.is_empty() || folded.is_cut() {
            return Err(BadOption::Name(name.to_owned()));
        }
        let text = folded.as_bytes().to_owned().into();
        self.insert(Entry { text, anchor: Anchor::Whole, places, role, own: true });
        Ok(())
    }

    /// Notes which common headers are not listed. Names that are added later are not regarded.
    pub(super) fn note_ordinary(&mut self) {
        self.ordinary = Ordinary::new(|name| self.header(name) == Treatment::Look);
    }

    /// True for a common header that is not listed and has no syntax of its own.
    pub(super) fn is_ordinary(&self, header: &[u8]) -> bool {
        self.ordinary.has(header)
    }

    /// How the value of a header is treated.
    pub(super) fn header(&self, name: &[u8]) -> Treatment<'_> {
        self.treatment(name, Places::HEADER)
    }

    /// The same for a member of a document.
    pub(super) fn field(&self, name: &[u8]) -> Treatment<'_> {
        self.treatment(name, Places::FIELD)
    }

    /// The same for a parameter of a query or a form.
    pub(super) fn pair(&self, name: &[u8]) -> Treatment<'_> {
        self.treatment(name, Places::PAIR)
    }

    /// The same for a cookie.
    pub(super) fn cookie(&self, name: &[u8]) -> Treatment<'_> {
        if self.all_cookies && !self.has_own {
            return Treatment::Replace("cookie");
        }
        match self.treatment(name, Places::COOKIE) {
            Treatment::Keep => Treatment::Keep,
            Treatment::Replace(_) => Treatment::Replace("cookie"),
            _ if self.all_cookies => Treatment::Replace("cookie"),
            treatment => treatment,
        }
    }

    fn treatment(&self, name: &[u8], place: Places) -> Treatment<'_> {
        if !self.may_be_known(name) {
            return Treatment::Look;
        }
        let folded = Folded::new(name);
        let mut treatment = self.listed(&folded, place);
        for (glob, places, role) in &self.globs {
            if places.meet(place) && glob.matches(&folded) {
                match role {
                    Role::Keep => return Treatment::Keep,
                    Role::Replace(kind) if treatment != Treatment::Keep => {
                        treatment = Treatment::Replace(kind)
                    }
                    _ => {}
                }
            }
        }
        treatment
    }

    /// False for most texts that do not end in a listed name.
    pub(super) fn may_be_known(&self, text: &[u8]) -> bool {
        !self.globs.is_empty() || !self.endings.is_empty() && self.endings.may_end(text)
    }

    fn listed(&self, name: &Folded, place: Places) -> Treatment<'_> {
        let mut end = name.len();
        for _ in 0..=MAX_CARRIERS {
            let Some(entry) = self.longest(name, end, place) else {
                match name.without_number(end) {
                    Some(shorter) => {
                        end = shorter;
                        continue;
                    }
                    None => return Treatment::Look,
                }
            };
            match &entry.role {
                Role::Replace(kind) => return Treatment::Replace(kind),
                Role::Identifier => return Treatment::Identifier,
                Role::Keep => return Treatment::Keep,
                Role::Exempt => return Treatment::Look,
                Role::Carrier => end -= entry.text.len(),
            }
        }
        Treatment::Look
    }

    /// The longest entry that matches the end of the first `end` letters.
    fn longest(&self, name: &Folded, end: usize, place: Places) -> Option<&Entry> {
        let text = name.as_bytes().get(..end)?;
        let fits = |entry: &&Entry| {
            if !entry.places.meet(place) || !text.ends_with(&entry.text) {
                return false;
            }
            let start = end - entry.text.len();
            match entry.anchor {
                Anchor::Whole => {
                    end == name.len()
                        && (start == 0 || place != Places::HEADER && name.begins_part(start))
                }
                Anchor::Word => name.begins_word(start),
                Anchor::End => true,
            }
        };
        self.buckets.get(bucket(text))?.iter().find(fits)
    }
}

/// Refuses a name that cannot occur on the wire.
fn check(name: &str, places: Places) -> Result<(), BadOption> {
    // `?` is a wildcard here.
    let is_part = |byte: u8| is_token_char(byte) || byte == b'?';
    let never = match places {
        Places::HEADER => {
            let framing = ["content-length", "transfer-encoding"];
            !name.bytes().all(is_part) || framing.iter().any(|it| name.eq_ignore_ascii_case(it))
        }
        Places::COOKIE => name.bytes().any(|byte| byte <= b' ' || b";=,\"".contains(&byte)),
        _ => name.trim() != name,
    };
    match never {
        true => Err(BadOption::Never(name.to_owned())),
        false => Ok(()),
    }
}

/// Checks a name or pattern.
pub(super) fn check_name(name: &str, places: Places) -> Result<(), BadOption> {
    Names::default().add(name, "value", places)
}
