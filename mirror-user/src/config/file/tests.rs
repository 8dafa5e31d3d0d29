//! Files that are read, and all that is said of those that are not.

use super::{File, Problem};

/// Every key of the format once.
const EVERYTHING: &str = include_str!("tests/everything.yaml");

fn problems(text: &str) -> Vec<(usize, usize, String)> {
    let problems = File::parse(text).expect_err("it is wrong");
    problems.iter().map(|Problem { at, text }| (at.line, at.column, text.clone())).collect()
}

#[test]
fn every_key_is_read_and_printed_alike() {
    let file = File::parse(EVERYTHING).unwrap_or_else(|problems| panic!("{}", problems.told("it")));
    assert_eq!(file.targets.len(), 2);
    assert_eq!(file.rules.len(), 4);
    let printed = file.to_yaml();
    let again = File::parse(&printed)
        .unwrap_or_else(|problems| panic!("{printed}\n{}", problems.told("printed")));
    assert_eq!(again.to_yaml(), printed);
    assert_eq!(without_places(again), without_places(file), "{printed}");
}

/// What was read, whatever line it stood on. A map's order is that of its keys.
fn without_places(mut file: File) -> File {
    for target in &mut file.targets {
        target.at = Default::default();
        target.edits.set.sort();
        target.edits.add.sort();
    }
    file.targets.sort_by(|a, b| a.name.cmp(&b.name));
    for rule in &mut file.rules {
        rule.at = Default::default();
        rule.targets.iter_mut().for_each(|used| used.at = Default::default());
        for one in &mut rule.matches {
            one.headers.sort_by(|a, b| a.0.cmp(&b.0));
            one.query.sort_by(|a, b| a.0.cmp(&b.0));
        }
    }
    file
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let told = problems(
        "version: 2\n\
         source: { from: eth0, prots: 8080 }\n\
         targets:\n\
         \x20 staging: { url: ftp://x, answer-timeout: soon }\n\
         rules:\n\
         \x20 - name: all\n\
         \x20   sample: { by: source }\n\
         \x20   targets: [staging, canary]\n",
    );
    let places: Vec<(usize, usize)> =
        told.iter().map(|(line, column, _)| (*line, *column)).collect();
    assert_eq!(places, [(1, 10), (2, 23), (4, 19), (4, 44), (7, 13), (8, 24)], "{told:#?}");
    let has = |place: usize, text: &str| {
        assert!(told[place].2.contains(text), "{text}: {}", told[place].2);
    };
    has(1, "did you mean `ports`?");
    has(2, "http://HOST:PORT");
    has(3, "500ms");
    has(4, "percent");
    has(5, "have: staging");
}
