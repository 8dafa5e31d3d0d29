//! Path segments that are replaced: `/reset/{token}`.

use super::options::BadOption;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<[u8]>),
    /// `*`
    Any,
    /// `{kind}`
    Replace(Box<str>),
}

/// The paths, each with its segments.
#[derive(Default)]
pub(super) struct Segments {
    paths: Vec<Vec<Segment>>,
}

/// Letters of the name in braces, which becomes the kind of the token.
const MAX_KIND: usize = 32;

impl Segments {
    pub(super) fn new(paths: &[String]) -> Result<Self, BadOption> {
        let parsed =
            paths.iter().map(|path| parse(path).ok_or_else(|| BadOption::Segments(path.clone())));
        Ok(Self { paths: parsed.collect::<Result<_, _>>()? })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The kind of the token for a segment of a path, if it is to be replaced. `path` has the decoded
    /// segments, without the empty one before the first `/`.
    pub(super) fn kind(&self, path: &[Vec<u8>], at: usize) -> Option<&str> {
        self.paths.iter().find_map(|segments| {
            let Some(Segment::Replace(kind)) = segments.get(at) else { return None };
            let fits = segments.iter().zip(path).all(|(segment, have)| match segment {
                Segment::Literal(text) => **text == **have,
                Segment::Any | Segment::Replace(_) => true,
            });
            // More segments may follow: `/reset/{token}` also matches `/reset/abc/confirm`.
            (fits && segments.len() <= path.len()).then_some(&**kind)
        })
    }
}

fn parse(path: &str) -> Option<Vec<Segment>> {
    let segments: Option<Vec<Segment>> = path
        .strip_prefix('/')?
        .split('/')
        .map(|segment| {
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            Some(match name {
                Some(name) => {
                    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                    let fits = (1..=MAX_KIND).contains(&name.len()) && name.bytes().all(plain);
                    fits.then(|| {
                        Segment::Replace(name.to_ascii_lowercase().replace('_', "-").into())
                    })?
                }
                None if segment == "*" => Segment::Any,
                None if segment.is_empty() || segment.contains(['{', '}', '?', '#', ' ', '*']) => {
                    return None;
                }
                None => Segment::Literal(segment.as_bytes().into()),
            })
        })
        .collect();
    segments.filter(|it| it.iter().any(|segment| matches!(segment, Segment::Replace(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_segments_in_braces() {
        let segments =
            Segments::new(&["/reset/{token}".into(), "/a/*/{Key_1}".into()]).expect("paths");
        let kind = |path: &str, at| {
            let path: Vec<Vec<u8>> = path.split('/').map(|it| it.as_bytes().to_vec()).collect();
            segments.kind(&path, at).map(str::to_owned)
        };
        assert_eq!(kind("reset/abc", 1).as_deref(), Some("token"));
        assert_eq!(kind("reset/abc/now", 1).as_deref(), Some("token"));
        assert_eq!(kind("a/b/c", 2).as_deref(), Some("key-1"));
        assert_eq!((kind("reset", 0), kind("other/abc", 1), kind("a/b/c", 1)), (None, None, None));
        for bad in ["", "reset/{a}", "/reset", "/reset/{}", "/{a b}", "/a{b}", "//{a}", "/x?{a}"] {
            assert!(Segments::new(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
