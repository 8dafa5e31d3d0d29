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
    /// By length, one bit for each letter that a listed name begins with: most names on the wire
    /// are none of them, and are found to be so without a look into the table.
    firsts: [u32; MAX_NAME_BYTES + 1],
}

/// A name without case, `-` and `_`.
pub(super) struct Folded {
    bytes: [u8; MAX_NAME_BYTES],
    len: usize,
}

impl Folded {
    /// `None` when it is longer than every listed name.
    pub(super) fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_NAME_BYTES];
        let mut places = bytes.iter_mut();
        // Bytes beyond ASCII count, so that a name with them is not another one without.
        for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric() || **byte >= 0x80) {
            *places.next()? = byte.to_ascii_lowercase();
        }
        let len = MAX_NAME_BYTES - places.len();
        Some(Self { bytes, len })
    }

    /// A bit for what it begins with; digits and what is beyond ASCII share some.
    fn first_bit(&self) -> u32 {
        1 << (self.bytes.first().copied().unwrap_or_default() & 31)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Default for Names {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            kept: Vec::new(),
            all_cookies: false,
            firsts: [0; MAX_NAME_BYTES + 1],
        }
    }
}

impl Names {
    pub(super) fn add(&mut self, name: &str, kind: &str, places: Places) -> Result<(), BadOption> {
        let folded = checked(name)?;
        if let Some(firsts) = self.firsts.get_mut(folded.len) {
            *firsts |= folded.first_bit();
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
        if self.firsts.get(folded.len)? & folded.first_bit() == 0 {
            return None;
        }
        let entry = self.entries.get(folded.as_bytes())?;
        (entry.places & places.0 != 0).then_some(&entry.kind)
    }

    /// The same of a header.
    pub(super) fn header(&self, name: &[u8]) -> Option<&str> {
        self.kind(&Folded::new(name)?, Places::HEADER)
    }

    /// The same of a field: of its name, or of the innermost part of `user[password]` and
    /// `user.password`.
    pub(super) fn field(&self, name: &[u8]) -> Option<&str> {
        if self.entries.is_empty() {
            return None;
        }
        let whole = Folded::new(name).and_then(|folded| self.kind(&folded, Places::FIELD));
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
