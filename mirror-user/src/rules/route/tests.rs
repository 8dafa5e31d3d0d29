use super::*;
use crate::http::message::{Exchange, Moment};
use crate::rules::select::{PathKind, PathMatch};
use crate::rules::tests::asked;
use crate::rules::{NotCleared, Rules};

fn rule(name: &str, path: &str, targets: &[(usize, &str)]) -> Rule {
    let kind = PathKind::Segments(path.into());
    let one = Match { path: Some(PathMatch { kind, ignore_case: false }), ..Match::default() };
    let target = |(place, percent): &(usize, &str)| {
        (TargetId::new(*place).unwrap(), Portion::percent(percent).unwrap())
    };
    Rule {
        name: name.into(),
        matches: vec![one],
        targets: targets.iter().map(target).collect(),
        ..Rule::default()
    }
}

fn rules(list: Vec<Rule>) -> Rules {
    Rules { routes: Some(Routes::new(list, 11)), ..Rules::default() }
}

fn get(path: &str, index: u32) -> Exchange {
    asked(1, index, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
}

fn note(rules: &Rules) -> Vec<(String, u64)> {
    rules.notes().into_iter().flat_map(|note| note.counts).collect()
}

fn id(place: usize) -> TargetId {
    TargetId::new(place).unwrap()
}

#[test]
fn the_first_rule_decides_and_one_without_targets_shields() {
    let mut rules = rules(vec![
        rule("health", "/health", &[]),
        Rule { priority: Priority::High, ..rule("pay", "/pay", &[(0, "100"), (1, "100")]) },
        rule("api", "/api", &[(1, "100")]),
    ]);
    assert_eq!(rules.clear(get("/health/live", 0)).unwrap_err(), NotCleared::Shielded);
    assert_eq!(rules.clear(get("/other", 1)).unwrap_err(), NotCleared::NotMatched);
    let paid = rules.clear(get("/pay", 2)).unwrap();
    assert!(paid.goes_to(id(0)) && paid.goes_to(id(1)) && !paid.goes_to(id(2)));
    assert_eq!((paid.priority(), paid.rule()), (Priority::High, Some(1)));
    let asked = rules.clear(get("/api/x", 3)).unwrap();
    assert!(!asked.goes_to(id(0)) && asked.goes_to(id(1)));
    let counts = [("health shielded", 1), ("pay", 1), ("api", 1), ("not_matched", 1)];
    assert_eq!(note(&rules), counts.map(|(name, n)| (name.to_owned(), n)));
}

#[test]
fn without_rules_everything_goes_everywhere() {
    let cleared = Rules::default().clear(get("/", 0)).unwrap();
    assert!(cleared.goes_to(id(0)) && cleared.goes_to(id(63)));
    assert!(TargetId::new(64).is_none());
}

#[test]
fn sets_of_targets_nest_and_both_moments_agree() {
    let parts = [(0, "100"), (1, "50"), (2, "10"), (3, "0")];
    let mut rules = rules(vec![rule("all", "/", &parts)]);
    let mut counts = [0_u32; 4];
    for index in 0..2_000 {
        let exchange = get("/", index);
        let cleared = rules.clear(exchange.clone()).unwrap();
        let goes: Vec<bool> = (0..4).map(|place| cleared.goes_to(id(place))).collect();
        assert!(goes.is_sorted_by(|a, b| a >= b), "{goes:?}");
        for (count, goes) in counts.iter_mut().zip(&goes) {
            *count += u32::from(*goes);
        }
        let ended = Exchange { moment: Moment::Ended, ..exchange };
        let again = rules.clear(ended).unwrap();
        assert!((0..4).all(|place| again.goes_to(id(place)) == goes[place]));
    }
    assert_eq!((counts[0], counts[3]), (2_000, 0));
    assert!((933..=1067).contains(&counts[1]) && (160..=240).contains(&counts[2]), "{counts:?}");
    assert_eq!(note(&rules), [("all".to_owned(), 2_000)], "each request once");
}

#[test]
fn zero_percent_is_off() {
    let mut rules = rules(vec![rule("off", "/", &[(0, "0")])]);
    for index in 0..1_000 {
        assert_eq!(rules.clear(get("/", index)).unwrap_err(), NotCleared::SampledOut);
    }
    assert_eq!(note(&rules), [("off sampled_out".to_owned(), 1_000)]);
}

#[test]
fn counts_outlive_the_rules_and_the_seed_stays() {
    let mut rules = rules(vec![rule("a", "/a", &[(0, "50")]), rule("b", "/b", &[(0, "100")])]);
    let before: Vec<bool> = (0..100).map(|index| rules.clear(get("/a", index)).is_ok()).collect();
    rules.clear(get("/b", 0)).unwrap();
    let next = Routes::new(vec![rule("a", "/a", &[(0, "50")]), rule("c", "/b", &[])], 99);
    rules.routes.as_mut().unwrap().replace(next);
    let after: Vec<bool> = (0..100).map(|index| rules.clear(get("/a", index)).is_ok()).collect();
    assert_eq!(before, after);
    assert_eq!(rules.clear(get("/b", 0)).unwrap_err(), NotCleared::Shielded);
    let counts = note(&rules);
    let sent = 2 * before.iter().filter(|sent| **sent).count() as u64;
    assert!(counts.contains(&("a".to_owned(), sent)), "{counts:?}");
    assert!(
        counts.contains(&("b".to_owned(), 1)) && counts.contains(&("c shielded".to_owned(), 1))
    );
}

#[test]
fn the_kernel_may_choose_where_connections_alone_decide() {
    let by = |by: Stickiness, rule: Rule| {
        let sample = Sample { by, ..Sample::default() };
        Rule { sample, ..rule }
    };
    let threshold = |rules: Vec<Rule>| Routes::new(rules, 0).connection_threshold();
    let half = by(Stickiness::Connection, rule("half", "/a", &[(0, "50"), (1, "10")]));
    let tenth = by(Stickiness::Connection, rule("tenth", "/b", &[(0, "10")]));
    let shield = rule("shield", "/c", &[]);
    assert_eq!(threshold(vec![shield.clone(), tenth.clone(), half.clone()]), Some(1 << 31));
    let random = rule("random", "/d", &[(0, "1")]);
    assert_eq!(threshold(vec![half, random]), None);
    assert_eq!(threshold(vec![shield]), None);
}
