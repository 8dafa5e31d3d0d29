//! Each setting means the same as a flag, as a key in a file, printed, and as a layer over another.

use clap::{Arg, ArgMatches, Command};
use proptest::prelude::*;

use super::define::{Setting, Settings, Slot, Visit};
use super::{TargetSettings, flags, over, print, read};
use crate::config::file::File;
use crate::yaml::write::{self, write_map};
use crate::yaml::{self, Limits, Reader};

/// Every key of the format once.
const EVERYTHING: &str = include_str!("../config/file/tests/everything.yaml");

fn everything() -> File {
    File::parse(EVERYTHING).unwrap_or_else(|problems| panic!("{}", problems.render("it")))
}

/// The settings as a user would type them on the command line.
#[derive(Default)]
struct Typed(Vec<String>);

fn text_of(value: &write::Value) -> String {
    match value {
        write::Value::Text(text) | write::Value::Json(text) => text.clone(),
        write::Value::Raw(word) => (*word).to_owned(),
        // FROM=TO, NAME=REGEX.
        write::Value::Map(map) => {
            let texts: Vec<String> = map.iter().take(2).map(|(_, value)| text_of(value)).collect();
            texts.join("=")
        }
        write::Value::Null | write::Value::List(_) => String::new(),
    }
}

impl Visit for Typed {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, _: &S) {
        let (Some(flag), true) = (setting.flag(), own.is_given()) else { return };
        let values: Vec<String> = match own.print() {
            write::Value::Raw(_) => return self.0.push(format!("--{flag}")),
            write::Value::List(list) => list.iter().map(text_of).collect(),
            write::Value::Map(lines) if setting.value == "NAME: VALUE" => {
                lines.iter().map(|(name, value)| format!("{name}: {}", text_of(value))).collect()
            }
            write::Value::Map(lines) if ["PATH=VALUE", "NAME=VALUE"].contains(&setting.value) => {
                lines.iter().map(|(name, value)| format!("{name}={}", text_of(value))).collect()
            }
            value => vec![text_of(&value)],
        };
        self.0.extend(values.into_iter().map(|value| format!("--{flag}={value}")));
    }

    fn group<G: Settings>(&mut self, _: Option<&'static str>, own: &mut G, other: &G) {
        own.visit(other, self);
    }
}

/// Removes settings that have no flag.
struct WithFlags;

impl Visit for WithFlags {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, _: &S) {
        if setting.flag().is_none() {
            *own = S::default();
        }
    }

    fn group<G: Settings>(&mut self, _: Option<&'static str>, own: &mut G, other: &G) {
        own.visit(other, self);
    }
}

fn typed<G: Settings>(settings: &G) -> G {
    let mut args = Typed::default();
    settings.clone().visit(&G::default(), &mut args);
    let command = Command::new("mirror").no_binary_name(true);
    let command = command.arg(Arg::new("config").long("config").num_args(0));
    let command = flags::define::<G>(command);
    // As if a file gave what is required.
    let args = args.0.into_iter().chain(["--config".to_owned()]);
    let mut matches: ArgMatches =
        command.try_get_matches_from(args).unwrap_or_else(|error| panic!("{error}"));
    flags::take(&mut matches)
}

fn read_back<G: Settings>(settings: &G) -> G {
    let map = print::print(settings).0;
    if map.is_empty() {
        return G::default();
    }
    let mut text = String::new();
    write_map(&mut text, &map, 0);
    let limits = Limits { bytes: 1 << 20, values: 1 << 10, aliases: false };
    let root = yaml::parse(&text, limits).unwrap_or_else(|problem| panic!("{}", problem.text));
    let mut reader = Reader::default();
    let read = read::map(&mut reader, &root[0]);
    assert!(reader.problems.is_empty(), "{text}\n{}", reader.problems.render("it"));
    read.unwrap().0
}

/// Checks that all representations of `settings` agree; `whole` is a superset of `settings`.
fn agree<G: Settings + std::fmt::Debug>(settings: &G, whole: &G) {
    assert_eq!(&read_back(settings), settings);
    let mut sayable = settings.clone();
    sayable.visit(&G::default(), &mut WithFlags);
    assert_eq!(&typed(&sayable), &sayable);
    assert_eq!(&over(settings.clone(), &G::default()), settings);
    assert_eq!(&over(G::default(), settings), settings);
    assert_eq!(&over(settings.clone(), settings), settings);
    assert_eq!(&over(settings.clone(), whole), whole);
}

/// Removes the settings whose flag in the list is false.
struct Part<'a>(std::slice::Iter<'a, bool>);

impl Visit for Part<'_> {
    fn setting<S: Slot>(&mut self, setting: &'static Setting, own: &mut S, _: &S) {
        let stays = self.0.next().copied().unwrap_or(true);
        let is_alone = setting.required.is_empty() && setting.requires.is_empty();
        if is_alone && !stays {
            *own = S::default();
        }
    }

    fn group<G: Settings>(&mut self, _: Option<&'static str>, own: &mut G, other: &G) {
        own.visit(other, self);
    }
}

fn some_agree<G: Settings + std::fmt::Debug>(whole: &G, which: &[bool]) {
    let mut some = whole.clone();
    some.visit(&G::default(), &mut Part(which.iter()));
    agree(&some, whole);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn flags_reader_printer_and_overlay_agree(which in prop::collection::vec(any::<bool>(), 40)) {
        let mut file = everything();
        // How an expression keeps its length cannot be typed.
        file.redact.custom.clear();
        some_agree(&file.source, &which);
        some_agree(&file.pace, &which);
        some_agree(&file.noise, &which);
        some_agree(&file.bodies, &which);
        some_agree(&file.redact, &which);
        agree(&file.dashboard, &file.dashboard);
        for target in &file.targets {
            some_agree(&target.how, &which);
            if let Some(compare) = &target.compare {
                some_agree(compare, &which);
            }
        }
    }
}

#[test]
fn what_excludes_a_given_setting_gives_way() {
    let settings = |text: &str| {
        let text = format!("version: 1\ntargets: {{ a: {{ url: http://a }} }}\n{text}\n");
        File::parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render("it")))
    };
    let upper = settings("source: { from: a.pcap }\npace: { rate: 5 }").pace;
    let lower = settings("source: { from: a.pcap }\npace: { speed: 2, max-gap: 1s, loop: 3 }").pace;
    let both = over(upper.clone(), &lower);
    assert_eq!((both.rate, both.speed, both.max_gap), (upper.rate, None, None));
    assert_eq!(both.passes, lower.passes);
    let upper = settings("source: { cgroup: a, ports: 80 }").source;
    let lower = settings("source: { from: eth0, hook: xdp, side: server, ports: 81 }").source;
    let both = over(upper.clone(), &lower);
    assert!(both.from.is_empty() && both.hook.is_none());
    assert_eq!((both.filter.side, both.filter.ports), (lower.filter.side, upper.filter.ports));
}

#[test]
fn a_former_name_is_accepted_as_a_flag_and_as_a_key() {
    let file = |target: &str| {
        File::parse(&format!(
            "version: 1\nsource: {{ from: a.pcap }}\ntargets:\n  a: {{ url: http://a, {target} }}\n"
        ))
    };
    let timeout = |target: &str| {
        let file = file(target).unwrap_or_else(|problems| panic!("{}", problems.render("it")));
        file.targets[0].how.response_timeout
    };
    let five = Some(std::time::Duration::from_secs(5));
    assert_eq!(timeout("response-timeout: 5s"), five);
    assert_eq!(timeout("answer-timeout: 5s"), five);
    let both = file("response-timeout: 5s, answer-timeout: 6s").unwrap_err().render("it");
    assert!(both.contains("its former name; keep response-timeout"), "{both}");
    for flag in ["--response-timeout=5s", "--answer-timeout=5s"] {
        let command = flags::define::<TargetSettings>(Command::new("mirror").no_binary_name(true));
        let mut matches = command.try_get_matches_from([flag]).unwrap();
        assert_eq!(flags::take::<TargetSettings>(&mut matches).response_timeout, five, "{flag}");
    }
}

#[test]
fn a_change_that_has_to_wait_is_named_by_its_key() {
    let old = everything();
    let mut new = old.clone();
    new.source.guard.pause_file = None;
    new.source.hook = None;
    new.source.filter.sample = None;
    assert_eq!(
        super::changes::at_next_start("source", &old.source, &new.source),
        ["source.hook", "source.guard.pause-file"]
    );
}
