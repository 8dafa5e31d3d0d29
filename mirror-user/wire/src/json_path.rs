//! Paths into JSON documents: the subset of RFC 9535 that can be decided member by member. Redaction
//! and comparison read them here, so that a path selects the same values in both.
//!
//! `$.user.ssn`, `user.ssn`, `$.cards[*].number`, `$..secret`, `$['a b'].*`. An index stands for every element.
//! As reports print them, `[]` is `[*]`, and `{}` behind a name is `.*`.
//!
//! All paths form one automaton whose states are bits: the states of a value follow from those of its
//! container, so a document costs one step per member.

/// One bit per step.
const MAX_STEPS: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// `.name`, `['name']`
    Member(Box<[u8]>),
    /// `[*]`, `[0]`: every element.
    Element,
    /// `.*`
    Any,
    /// `..`: whatever lies between.
    Deep,
    /// The end of a path.
    End,
}

/// The position of a value in all paths.
pub type States = u64;

/// The paths.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    steps: Vec<Step>,
    begin: States,
}

impl Paths {
    /// Parses paths into one automaton.
    ///
    /// # Errors
    /// The first path that is none, or too many steps in total.
    pub fn new(paths: &[String]) -> Result<Self, BadPath> {
        let mut all = Self::default();
        for path in paths {
            let place = all.steps.len();
            all.steps.extend(parse(path).ok_or_else(|| BadPath::Syntax(path.clone()))?);
            all.steps.push(Step::End);
            if all.steps.len() > MAX_STEPS {
                return Err(BadPath::TooMany);
            }
            all.begin |= 1 << place;
        }
        Ok(all)
    }

    /// The states of a document.
    #[must_use]
    pub fn begin(&self) -> States {
        self.begin
    }

    /// The states of a member (`name`) or an element of what has `states`.
    #[must_use]
    pub fn step(&self, states: States, name: Option<&[u8]>) -> States {
        let mut left = states;
        let mut next = 0;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let goes_on = match self.steps.get(at) {
                Some(Step::Member(member)) => name == Some(member),
                Some(Step::Element) => name.is_none(),
                Some(Step::Any) => true,
                Some(Step::Deep) => {
                    next |= 1 << at;
                    // It may also lie between nothing. The step behind it has a higher bit.
                    left |= 1 << (at + 1);
                    false
                }
                Some(Step::End) | None => false,
            };
            if goes_on {
                next |= 1 << (at + 1);
            }
        }
        next
    }

    /// True when a path ends here.
    #[must_use]
    pub fn is_end(&self, states: States) -> bool {
        let mut left = states;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            if self.steps.get(at) == Some(&Step::End) {
                return true;
            }
        }
        false
    }
}

/// Why paths are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// This is no path.
    Syntax(String),
    /// The paths have more than 64 steps in total.
    TooMany,
}

impl std::fmt::Display for BadPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax(path) => write!(
                f,
                "{path:?}: a JSON path looks like $.user.ssn, $.cards[*].number or $..secret"
            ),
            Self::TooMany => write!(
                f,
                "the JSON paths have more than {MAX_STEPS} steps in total; `$..name` or a field's name needs one"
            ),
        }
    }
}

impl std::error::Error for BadPath {}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    // `user.ssn` is how people begin.
    if !path.starts_with(['$', '.', '[']) {
        rest = member(rest, &mut steps)?;
    }
    while !rest.is_empty() {
        rest = if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Deep);
            if after.starts_with('[') { after } else { member(after, &mut steps)? }
        } else if let Some(after) = rest.strip_prefix('.') {
            member(after, &mut steps)?
        } else if let Some(after) = rest.strip_prefix("{}") {
            steps.push(Step::Any);
            after
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = inside
                .strip_prefix('\'')
                .and_then(|name| name.strip_suffix('\''))
                .or_else(|| inside.strip_prefix('"').and_then(|name| name.strip_suffix('"')));
            steps.push(match quoted {
                Some(name) => Step::Member(name.as_bytes().into()),
                None if inside == "*" || inside.is_empty() => Step::Element,
                None if inside.bytes().all(|b| b.is_ascii_digit()) => Step::Element,
                None => return None,
            });
            after
        };
    }
    let ends_well = !matches!(steps.last(), None | Some(Step::Deep));
    ends_well.then_some(steps)
}

fn member<'a>(text: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    let ends = [text.find(['.', '[']), text.find("{}")];
    let end = ends.into_iter().flatten().min().unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    steps.push(match name {
        "" => return None,
        "*" => Step::Any,
        name => Step::Member(name.as_bytes().into()),
    });
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(path: &str, way: &[Option<&str>]) -> bool {
        let paths = Paths::new(&[path.to_owned()]).expect("a path");
        let states = way
            .iter()
            .fold(paths.begin(), |states, name| paths.step(states, name.map(str::as_bytes)));
        paths.is_end(states)
    }

    #[test]
    fn a_path_leads_to_what_it_names() {
        assert!(ends("$.user.ssn", &[Some("user"), Some("ssn")]));
        assert!(ends("user.ssn", &[Some("user"), Some("ssn")]));
        assert!(!ends("$.user.ssn", &[Some("user")]));
        assert!(!ends("$.user.ssn", &[Some("x"), Some("user"), Some("ssn")]));
        assert!(ends("$.cards[*].number", &[Some("cards"), None, Some("number")]));
        assert!(ends("$['a b'].*", &[Some("a b"), None]));
        assert!(ends("$..ssn", &[Some("ssn")]));
        assert!(ends("$..ssn", &[Some("a"), None, Some("b"), Some("ssn")]));
        assert!(ends("$..a..b", &[Some("x"), Some("a"), Some("y"), Some("b")]));
        assert!(!ends("$..a..b", &[Some("b"), Some("a")]));
        assert!(ends("cards[].number", &[Some("cards"), None, Some("number")]));
        assert!(ends("users{}.name", &[Some("users"), Some("5001"), Some("name")]));
        assert!(!ends("users{}", &[Some("users")]));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["", "$", "$.", "$..", "$[", "$[x]", "$.a[", "a..", "$.a.[b]"] {
            let path = Paths::new(&[bad.to_owned()]).err();
            assert_eq!(path, Some(BadPath::Syntax(bad.to_owned())), "{bad}");
        }
        let many = vec!["$.a.b.c".to_owned(); 17];
        assert_eq!(Paths::new(&many).err(), Some(BadPath::TooMany));
    }
}
