//! Filters of mirror beside those of other programs on one clsact qdisc: nobody's but mirror's are ever
//! removed, and mirror sees to its own.

use aya::EbpfLoader;
use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, ProgramInfo};
use mirror_common::names;

use super::*;

/// What other programs put, by `replace`, at the place that they take for theirs.
const THEIRS: &str = "pref 1 handle 0x1 bpf";

/// A filter that takes every packet and decides of it, so that none behind it sees any.
const DECIDES: &str = "bytecode 1,6,0,0,4294967295 flowid 1:1";

const SIDES: [&str; 2] = ["ingress", "egress"];

fn tc(line: &str) -> String {
    // The code of a classic program is one argument with blanks.
    let line = line.replace("1,6,0,0,4294967295", "1,6%0%0%4294967295");
    let words = line.split(' ').map(|word| word.replace('%', " "));
    let output = succeed(Command::new("tc").args(words));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn replace(device: &str, side: &str, place: &str) {
    tc(&format!("filter replace dev {device} {side} protocol all {place} {DECIDES}"));
}

/// The filters of a side, in the order in which they are asked.
fn filters(side: &str) -> Vec<String> {
    listed(&format!("filter show dev {CABLE} {side}"))
}

fn listed(by: &str) -> Vec<String> {
    tc(by).lines().filter(|line| line.contains("handle")).map(str::to_owned).collect()
}

fn of_mirror(side: &str) -> usize {
    filters(side).iter().filter(|line| line.contains("mirror_")).count()
}

/// Where the first filter of mirror is among these.
fn place_of_mirror(filters: &[String]) -> String {
    let line = filters.iter().find(|line| line.contains("mirror_")).expect("a filter of mirror");
    let word = |name: &str| line.split(' ').skip_while(|word| *word != name).nth(1).unwrap();
    format!("pref {} handle {} bpf", word("pref"), word("handle"))
}

fn ask(lab: &Lab) {
    let answer = lab.curl(&["http://10.77.0.1:8080/1"]);
    assert_eq!(answer.stdout, b"hello\n", "production goes on");
}

/// How many filters were attached again for this reason.
fn attached_again(summary: &Value, why: &str) -> u64 {
    let notes = summary["notes"].as_array().unwrap();
    let note = notes.iter().find(|note| note["name"] == "attached again");
    let counts = note.and_then(|note| note["counts"].as_array()).into_iter().flatten();
    counts.filter(|count| count[0] == why).map(|count| count[1].as_u64().unwrap()).sum()
}

#[track_caller]
fn says_once(mirror: &Mirror, what: &str) {
    until(what, || mirror.said().contains(what));
    assert_eq!(mirror.said().matches(what).count(), 1, "{}", mirror.said());
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_others_put_by_replace_stays_and_hides_nothing() {
    for order in ["first", ""] {
        Lab::run(move |lab| {
            lab.start_nginx();
            let flags = if order.is_empty() { vec![] } else { vec!["--order", order] };
            let args = [&count_by("clsact")[..], &flags].concat();
            let mirror = Mirror::start(lab, &args);
            SIDES.iter().for_each(|side| replace(CABLE, side, THEIRS));
            says_once(&mirror, "another program put a filter before mirror's; attached again");
            until("mirror is first again", || {
                SIDES.iter().all(|side| filters(side)[0].contains("mirror_"))
            });
            ask(lab);
            let summary = mirror.summary();
            assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");
            assert_eq!(account(&summary, "responses").1, 1, "{summary:#}");
            assert_eq!(attached_again(&summary, "overtaken"), 2, "{summary:#}");
            for side in SIDES {
                assert_eq!(filters(side).len(), 1, "theirs alone: {:?}", filters(side));
                assert_eq!(of_mirror(side), 0);
            }
        });
    }
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_tcx_program_that_goes_before_mirrors_is_noticed_and_is_first_no_more() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mirror = Mirror::start(lab, &[&count_by("tc")[..], &["--order", "first"]].concat());
        // Another mirror may be before it, and is left there.
        let second = Mirror::start(lab, &[&count_by("tc")[..], &["--order", "first"]].concat());
        let ids = || -> Vec<u32> {
            let programs = SchedClassifier::query_tcx(CABLE, TcAttachType::Ingress).unwrap().1;
            programs.iter().map(ProgramInfo::id).collect()
        };
        let mirrors = ids();
        assert_eq!(mirrors.len(), 2);
        // A program that passes every packet on, of nobody that mirror knows.
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../mirror-ebpf/mirror-ebpf.o");
        let mut object = EbpfLoader::new()
            .map_max_entries(names::PACKETS, 512 * 1024)
            .map_max_entries(names::SCRATCH, 64)
            .load(&std::fs::read(file).unwrap())
            .unwrap();
        let theirs: &mut SchedClassifier =
            object.program_mut(names::INGRESS).unwrap().try_into().unwrap();
        theirs.load().unwrap();
        let first = TcAttachOptions::TcxOrder(LinkOrder::first());
        theirs.attach_with_options(CABLE, TcAttachType::Ingress, first).unwrap();
        assert_eq!(ids().len(), 3);
        until("both mirrors are before it again", || {
            let now = ids();
            now.len() == 3 && !mirrors.contains(&now[2])
        });
        says_once(&mirror, "another program put a filter before mirror's; attached again");
        ask(lab);
        for mirror in [mirror, second] {
            let summary = mirror.summary();
            assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");
            assert_eq!(attached_again(&summary, "overtaken"), 1, "{summary:#}");
        }
        assert_eq!(ids().len(), 1, "theirs alone");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_filter_that_takes_mirrors_very_place_stays_there() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mirror = Mirror::start(lab, &count_by("clsact"));
        SIDES.iter().for_each(|side| replace(CABLE, side, &place_of_mirror(&filters(side))));
        says_once(&mirror, "another program put a filter in the place of mirror's; attached again");
        until("both are attached again", || SIDES.iter().all(|side| of_mirror(side) == 1));
        ask(lab);
        let summary = mirror.summary();
        assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");
        assert_eq!(attached_again(&summary, "filter_replaced"), 2, "{summary:#}");
        SIDES.iter().for_each(|side| assert_eq!((filters(side).len(), of_mirror(side)), (1, 0)));
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_filter_or_a_qdisc_that_is_removed_is_put_there_again() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mirror = Mirror::start(lab, &count_by("clsact"));
        let is_whole = || SIDES.iter().all(|side| of_mirror(side) == 1);
        for round in 1..=2 {
            for side in SIDES {
                tc(&format!("filter del dev {CABLE} {side} {}", place_of_mirror(&filters(side))));
            }
            until("the filters are there again", is_whole);
            tc(&format!("qdisc del dev {CABLE} clsact"));
            until("the qdisc is there again", is_whole);
            ask(lab);
            assert!(round == 1 || mirror.said().matches("attached again").count() == 2);
        }
        says_once(&mirror, "another program removed mirror's filter; attached again");
        says_once(
            &mirror,
            "another program removed the clsact qdisc, and mirror's filters with it",
        );
        let summary = mirror.summary();
        assert_eq!(account(&summary, "requests").1, 2, "{summary:#}");
        assert_eq!(attached_again(&summary, "filter_removed"), 4, "{summary:#}");
        assert_eq!(attached_again(&summary, "qdisc_removed"), 4, "{summary:#}");
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn what_a_killed_mirror_left_is_removed_beside_one_that_runs() {
    Lab::run(|lab| {
        lab.start_nginx();
        let runs = Mirror::start(lab, &count_by("clsact"));
        // Also by one that needs no filters, where the kernel has TCX.
        for hook in ["clsact", "tc"] {
            Mirror::start(lab, &count_by("clsact")).kill();
            assert_eq!(SIDES.map(of_mirror), [2, 2]);
            Mirror::start(lab, &count_by(hook)).summary();
            assert_eq!(SIDES.map(of_mirror), [1, 1], "{hook}");
        }
        ask(lab);
        let summary = runs.summary();
        assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");
        assert_eq!(SIDES.map(of_mirror), [0, 0]);
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_place_before_all_others_is_had_or_refused() {
    Lab::run(|lab| {
        lab.start_nginx();
        tc(&format!("qdisc add dev {CABLE} clsact"));
        tc(&format!(
            "filter add dev {CABLE} ingress pref 1 protocol ip u32 match u32 0 0 flowid 1:1"
        ));
        support::mirror(&count_at("clsact", "first")).exits_with(2).complains(&[
            CABLE,
            "priority 1 is taken",
            "u32",
            "leave --order out",
        ]);
        assert_eq!(SIDES.map(of_mirror), [0, 0], "not on one side alone");
        let mirror = Mirror::start(lab, &count_by("clsact"));
        says_once(&mirror, "a filter of another kind (u32) stands before mirror's, at priority 1");
        ask(lab);
        let summary = mirror.summary();
        assert!(summary["warnings"].to_string().contains("what it decides of is not seen"));
        assert!(
            filters("ingress").iter().all(|line| line.contains("u32")),
            "{:?}",
            filters("ingress")
        );
    });
}

/// Puts an ingress qdisc, which has no egress, in the place of the clsact qdisc.
fn take_the_qdisc(mirror: &mut Mirror) {
    // Whoever looks cannot be faster.
    mirror.signal("-STOP");
    tc(&format!("qdisc del dev {CABLE} clsact"));
    tc(&format!("qdisc add dev {CABLE} ingress"));
    mirror.signal("-CONT");
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn a_run_whose_place_cannot_be_had_again_ends_and_a_service_goes_on_without() {
    Lab::run(|lab| {
        lab.start_nginx();
        let mut mirror = Mirror::start(lab, &count_by("clsact"));
        take_the_qdisc(&mut mirror);
        let said = mirror.ends_with(2);
        assert!(said.contains("srv: not captured any more"), "{said}");
        assert!(said.contains("has an ingress qdisc"), "{said}");
        support::mirror(&count_by("clsact")).exits_with(2).complains(&[CABLE, "ingress qdisc"]);
        tc(&format!("qdisc del dev {CABLE} ingress"));

        let target = Target::start(Behaviour::Answer);
        let config = lab.path("mirror.yaml");
        let file = format!(
            "version: 1\nsource: {{ from: {CABLE}, ports: 8080, hook: clsact }}\n\
             targets: {{ only: {{ url: \"{}\" }} }}\n",
            target.url()
        );
        std::fs::write(&config, file).unwrap();
        let args = ["run", "--json", "--config", config.to_str().unwrap()];
        let mut service = Mirror::start(lab, &args);
        take_the_qdisc(&mut service);
        says_once(&service, "not ready: srv: not captured any more");
        tc(&format!("qdisc del dev {CABLE} ingress"));
        says_once(&service, "srv: captured again; ready");
        ask(lab);
        target.wait_for(1, patience());
        service.summary();
    });
}

#[test]
#[ignore = "needs root: cargo xtask test"]
fn filters_of_another_namespace_are_removed_there_and_nowhere_else() {
    Lab::run(|lab| {
        lab.start_nginx();
        // The same number here and there is another device.
        let client = lab.client_name();
        for (namespace, peer) in [(lab.server(), "twin1"), (client.clone(), "twin2")] {
            let line =
                format!("-n {namespace} link add twin index 1000 type veth peer name {peer}");
            succeed(Command::new("ip").args(line.split(' ')));
        }
        tc("qdisc add dev twin clsact");
        let args = [
            "inspect",
            "--from",
            "twin",
            "--from",
            "cli",
            "--netns",
            &client,
            "--port",
            "8080",
            "--summary",
            "--json",
            "--hook",
            "clsact",
        ];
        let mirror = Mirror::start(lab, &args);
        let there = |device: &str, side: &str| {
            listed(&format!("-n {client} filter show dev {device} {side}"))
        };
        for side in SIDES {
            replace("twin", side, &place_of_mirror(&there("twin", side)));
        }
        ask(lab);
        let summary = mirror.summary();
        assert_eq!(account(&summary, "requests").1, 1, "{summary:#}");
        for side in SIDES {
            let here = listed(&format!("filter show dev twin {side}"));
            assert_eq!(here.len(), 1, "theirs stays: {here:?}");
            for device in ["twin", "cli"] {
                assert!(there(device, side).is_empty(), "mirror's are gone");
            }
        }
    });
}
