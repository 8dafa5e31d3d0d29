//! Names whose values are replaced, whatever they look like.

use hashbrown::HashMap;

use super::options::BadOption;

/// Letters and digits of a name that is listed; a longer one on the wire is none of them.
pub(super) const MAX_NAME_BYTES: usize = 48;

/// Where a name counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places(u8);

impl Places {
    pub(super) const HEADER: Self = Self(1);
    /// Query, form, multipart, JSON.
    pub(super) const FIELD: Self = Self(2);
    pub(super) const COOKIE: Self = Self(4);
    pub(super) const ALL: Self = Self(7);
}

struct Entry {
    kind: Box<str>,
    places: u8,
}

/// The names, without case, `-` and `_`.
pub(super) struct Names {
    entries: HashMap<Box<[u8]>, Entry>,
    kept: Vec<Box<[u8]>>,
    /// Every cookie is listed.
    pub(super) all_cookies: bool,
    /// By the letter that a listed name begins with, one bit for each that it may end with: most
    /// names on the wire are none of them, and are found to be so without being folded.
    ends: [u32; 32],
}

/// A name without case, `-` and `_`.
pub(super) struct Folded {
    bytes: [u8; MAX_NAME_BYTES],
    len: usize,
}

/// Whether a name differs from one without this byte; of what is beyond ASCII all counts, so that a
/// name with it is not another one without.
fn counts(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The first and the last letter, without case, in 32 classes; `None` where folding would take one of
/// them away.
fn ends(name: &[u8]) -> Option<(usize, u32)> {
    let class = |byte: &u8| counts(*byte).then(|| byte.to_ascii_lowercase() & 31);
    Some((class(name.first()?)?.into(), class(name.last()?)?.into()))
}

impl Folded {
    /// `None` when it is longer than every listed name.
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_NAME_BYTES];
        let mut places = bytes.iter_mut();
        for byte in name.iter().filter(|byte| counts(**byte)) {
            *places.next()? = byte.to_ascii_lowercase();
        }
        let len = MAX_NAME_BYTES - places.len();
        Some(Self { bytes, len })
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Default for Names {
    fn default() -> Self {
        Self { entries: HashMap::new(), kept: Vec::new(), all_cookies: false, ends: [0; 32] }
    }
}

impl Names {
    pub(super) fn add(&mut self, name: &str, kind: &str, places: Places) -> Result<(), BadOption> {
        let folded = checked(name)?;
        if let Some((first, last)) = ends(folded.as_bytes())
            && let Some(lasts) = self.ends.get_mut(first)
        {
            *lasts |= 1 << last;
        }
        let entry = self
            .entries
            .entry(folded.as_bytes().into())
            .or_insert_with(|| Entry { kind: kind.into(), places: 0 });
        entry.places |= places.0;
        Ok(())
    }

    pub(super) fn keep(&mut self, name: &str) -> Result<(), BadOption> {
        let folded = checked(name)?;
        self.entries.remove(folded.as_bytes());
        self.kept.push(folded.as_bytes().into());
        Ok(())
    }

    /// The kind of the tokens that replace the value of this name.
    pub(super) fn kind(&self, folded: &Folded, places: Places) -> Option<&str> {
        let entry = self.entries.get(folded.as_bytes())?;
        (entry.places & places.0 != 0).then_some(&entry.kind)
    }

    /// The same of a header.
    pub(super) fn header(&self, name: &[u8]) -> Option<&str> {
        if !self.may_be_listed(name) {
            return None;
        }
        self.kind(&Folded::new(name)?, Places::HEADER)
    }

    /// False for most names that are not listed.
    fn may_be_listed(&self, name: &[u8]) -> bool {
        let Some((first, last)) = ends(name) else { return true };
        self.ends.get(first).is_some_and(|lasts| lasts & 1 << last != 0)
    }

    /// The same of a field: of its name, or of the innermost part of `user[password]` and
    /// `user.password`.
    pub(super) fn field(&self, name: &[u8]) -> Option<&str> {
        if self.entries.is_empty() {
            return None;
        }
        let whole = self.may_be_listed(name).then(|| Folded::new(name)).flatten();
        let whole = whole.and_then(|folded| self.kind(&folded, Places::FIELD));
        let innermost = || {
            let bare = name.trim_ascii().strip_suffix(b"]").unwrap_or(name);
            let bare = bare.strip_suffix(b"[").unwrap_or(bare);
            let bare = bare.strip_suffix(b"]").unwrap_or(bare);
            let last = bare.iter().rposition(|byte| matches!(byte, b'[' | b'.' | b':' | b'$'))?;
            self.kind(&Folded::new(bare.get(last + 1..)?)?, Places::FIELD)
        };
        whole.or_else(innermost)
    }

    /// True when the value of this cookie is replaced.
    pub(super) fn cookie(&self, name: &[u8]) -> bool {
        if self.all_cookies && self.kept.is_empty() {
            return true;
        }
        let Some(folded) = Folded::new(name) else { return self.all_cookies };
        match self.all_cookies {
            true => !self.is_kept(&folded),
            false => self.kind(&folded, Places::COOKIE).is_some(),
        }
    }

    fn is_kept(&self, folded: &Folded) -> bool {
        self.kept.iter().any(|kept| **kept == *folded.as_bytes())
    }
}

fn checked(name: &str) -> Result<Folded, BadOption> {
    Folded::new(name.as_bytes())
        .filter(|folded| folded.len > 0)
        .ok_or_else(|| BadOption::Name(name.to_owned()))
}
