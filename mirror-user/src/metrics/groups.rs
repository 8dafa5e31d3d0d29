//! The counts of shadow requests by the labels that an operator chose.

use hashbrown::HashMap;

use super::collect::{Points, Value, classes};
use super::figures::Figures;
use super::table::Metric;
use crate::origin::{Label, Labels, Names};
use crate::sink::replay::GroupFigures;

/// Adds up what the labels do not tell apart, over targets, too.
pub(super) fn put(points: &mut Points, figures: &Figures) {
    let mut places: HashMap<[String; 5], usize> = HashMap::new();
    let mut groups: Vec<([String; 5], GroupFigures)> = Vec::new();
    for target in &figures.targets {
        let name = target.account.target.as_deref().unwrap_or_default();
        for group in &target.groups {
            let labels = values(figures.labels, name, group);
            let place = places.entry(labels.clone()).or_insert(groups.len());
            match groups.get_mut(*place) {
                Some((_, known)) => known.add(group),
                None => groups.push((labels, group.clone())),
            }
        }
    }
    for (labels, GroupFigures { offered, dropped, classes: counts, response, .. }) in groups {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        points.whole(Metric::ShadowRequests, &labels, offered);
        points.whole(Metric::ShadowDropped, &labels, dropped);
        if figures.labels.has(Label::Class) {
            classes(points, Metric::ShadowResponses, &labels, counts);
        } else {
            points.whole(Metric::ShadowResponses, &labels, counts.iter().sum());
        }
        points.put(Metric::ShadowResponse, &labels, Value::Times(response));
    }
}

/// The values of the labels, in the order of the definition; empty where one was not chosen.
fn values(labels: Labels, target: &str, group: &GroupFigures) -> [String; 5] {
    let chosen = |label, value: &str| match labels.has(label) {
        true => value.to_owned(),
        false => String::new(),
    };
    let Names { namespace, workload, pod } = group.origin.clone();
    [chosen(Label::Target, target), chosen(Label::Rule, &group.rule), namespace, workload, pod]
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::super::collect::{Point, Requests, collect};
    use super::*;
    use crate::sink::replay::{Distribution, ReplayFigures};
    use crate::stats::{Account, Seam, Snapshot};

    fn group(rule: &str, number: u32, offered: u64) -> GroupFigures {
        let (namespace, workload) = (format!("n{}", number % 2), format!("w{}", number / 2));
        GroupFigures {
            rule: rule.to_owned(),
            origin: Names { namespace, workload, pod: format!("p{number}") },
            offered,
            classes: [0, offered, 0, 0, 1],
            dropped: 2,
            response: Distribution::default(),
        }
    }

    /// Two targets with two rules, to each of which four pods send.
    fn figures(labels: &[Label]) -> Figures {
        let labels = Labels::of(labels);
        let target = |name: &str| {
            let account =
                Account { target: Some(name.into()), ..Account::new(Seam::ShadowRequests) };
            let rules = ["a", "b"].into_iter();
            let groups =
                rules.flat_map(|rule| (0..4).map(move |pod| group(rule, pod, u64::from(pod) + 1)));
            let mut groups: Vec<GroupFigures> = groups.collect();
            for Names { namespace, workload, pod } in groups.iter_mut().map(|it| &mut it.origin) {
                // Who counts knows the chosen parts alone.
                for (label, name) in
                    [(Label::Namespace, namespace), (Label::Workload, workload), (Label::Pod, pod)]
                {
                    if !labels.has(label) {
                        name.clear();
                    }
                }
            }
            ReplayFigures { groups, ..ReplayFigures::new(account) }
        };
        let targets = vec![target("staging"), target("canary")];
        Figures { labels, targets, ..Figures::of_files(Snapshot::default()) }
    }

    fn series(figures: &Figures, metric: Metric) -> Vec<(String, u64)> {
        let points = collect(figures, &Requests::default());
        let whole = |Point { labels, value }: &Point| match value {
            Value::Whole(value) => (labels.join("/"), *value),
            other => panic!("{metric:?}: {other:?}"),
        };
        points.of(metric).iter().map(whole).collect()
    }

    #[test]
    fn what_is_not_chosen_is_added_up() {
        let by_namespace = figures(&[Label::Namespace]);
        let requests = series(&by_namespace, Metric::ShadowRequests);
        let wanted = [("//n0//".to_owned(), 16), ("//n1//".to_owned(), 24)];
        assert_eq!(requests, wanted, "over targets and rules, too");
        assert_eq!(series(&by_namespace, Metric::ShadowResponses)[0].1, 24, "over classes, too");
        let by_rule = series(&figures(&[Label::Rule, Label::Class]), Metric::ShadowResponses);
        assert_eq!(by_rule[0], ("/a////2xx".to_owned(), 20));
        assert_eq!(by_rule.len(), 2 * 4);
    }

    #[test]
    fn the_sums_are_the_same_whatever_is_chosen() {
        let all: Vec<Label> = Label::iter().collect();
        for chosen in 1_u32..1 << all.len() {
            let chosen: Vec<Label> = all
                .iter()
                .enumerate()
                .filter(|(place, _)| chosen >> place & 1 == 1)
                .map(|(_, label)| *label)
                .collect();
            let figures = figures(&chosen);
            let sum = |metric| series(&figures, metric).iter().map(|(_, n)| n).sum::<u64>();
            let sums = [Metric::ShadowRequests, Metric::ShadowDropped, Metric::ShadowResponses];
            assert_eq!(sums.map(sum), [40, 32, 56], "{chosen:?}");
        }
    }
}
