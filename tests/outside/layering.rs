//! Who may import whom: the one table of it, held against the source.
//!
//! A module stands above those that it imports. The table below names for each module those that it may;
//! a `crate::…` in its files that names another one fails here, with what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What every module may import: the vocabulary of all.
const BASE: &[&str] = &["logging", "packet", "stats", "units"];

/// Each module, what it may import beside [`BASE`], and what it must never know.
const LAYERS: &[(&str, &[&str], &str)] = &[
    // What has no opinion about packets.
    ("packet", &[], "it is the vocabulary of all"),
    ("logging", &[], "it writes what others report"),
    ("stats", &[], "it is the vocabulary of all"),
    ("units", &[], "it is the vocabulary of all"),
    ("syntax", &[], "it says which characters HTTP knows, wherever they stand"),
    (
        "json_path",
        &[],
        "it says which values of a document a path selects; what is done with them is above",
    ),
    ("filter", &[], "it says which connections are wanted; who asks is above it"),
    ("segment", &[], "it is what `decode` and `tcp` have in common"),
    ("privileges", &[], "it asks the kernel, and nobody else"),
    ("shutdown", &["privileges"], "it says that the run is to end, and not how"),
    ("priority", &[], "it asks the kernel, and nobody else"),
    (
        "origin",
        &[],
        "it names where requests come from, for those who see them and those who count them",
    ),
    ("descriptors", &[], "it asks the kernel, and nobody else"),
    ("command", &[], "it runs a program, whoever wants it"),
    ("psql", &["command"], "it asks a database, whoever wants to know"),
    ("hooks", &["command", "psql"], "it runs what the operator named; when, is above it"),
    ("process", &[], "it asks the kernel, and nobody else"),
    ("listener", &["privileges"], "it hands connections to whoever serves them"),
    ("pem", &[], "it reads files of certificates, whoever shows or checks them"),
    ("version", &["source"], "it says which build this is"),
    ("confine", &[], "it asks the kernel, and nobody else"),
    ("yaml", &[], "it reads and writes maps, whatever their keys mean"),
    ("files", &[], "it opens files; what is written there is above it"),
    ("recorder", &["files", "decode"], "it writes packets, whoever saw them"),
    // The way of a packet.
    (
        "source",
        &["filter", "files", "privileges", "decode", "origin"],
        "a source knows no sink and no stage after it",
    ),
    ("decode", &["segment", "filter"], "a packet is read without knowing its connection"),
    (
        "tcp",
        &["segment", "filter", "syntax"],
        "a stream is put together without knowing what is said on it",
    ),
    ("beginnings", &["tcp"], "it tells what connections begin with; who wants to know is above it"),
    ("http", &["tcp", "syntax"], "messages are read without knowing who wants them"),
    ("har", &["http", "syntax"], "entries are what was said, without knowing who asks"),
    (
        "rules",
        &["http", "tcp", "syntax", "json_path"],
        "what may leave is decided without knowing where it goes",
    ),
    (
        "broker",
        &["rules", "http", "privileges"],
        "it carries cleared exchanges between hosts, whatever gives or takes them",
    ),
    (
        "sink",
        &[
            "beginnings",
            "filter",
            "syntax",
            "rules",
            "broker",
            "http",
            "tcp",
            "segment",
            "recorder",
            "files",
            "privileges",
            "priority",
            "descriptors",
            "pem",
            "origin",
        ],
        "a sink knows no source; what both need is below them, such as `recorder` or `files`",
    ),
    (
        "guard",
        &["source", "sink", "filter", "privileges", "process", "shutdown"],
        "it slows a source down, by what the host and the targets say; neither knows of it",
    ),
    (
        "settings",
        &["yaml", "filter", "rules", "sink", "source", "guard", "psql", "origin"],
        "it says what can be set, for flags and files alike; what a run makes of it is above",
    ),
    // What joins them.
    ("progress", &["sink"], "it shows counters"),
    (
        "dashboard",
        &["sink", "admin", "metrics", "listener", "privileges"],
        "it shows a comparison, and does not know how that came about",
    ),
    (
        "stub",
        &["sink", "rules", "http", "tcp", "json_path", "syntax", "listener", "pem"],
        "it answers from what it is given, wherever that was recorded",
    ),
    ("summary", &["sink"], "it is the last look at the counters; those who count use `stats`"),
    ("report", &["summary", "files"], "it writes the summary"),
    (
        "pipeline",
        &[
            "source",
            "broker",
            "har",
            "beginnings",
            "decode",
            "tcp",
            "http",
            "rules",
            "sink",
            "filter",
            "recorder",
            "guard",
            "hooks",
            "progress",
            "summary",
            "privileges",
            "shutdown",
        ],
        "it joins stages that somebody else has opened",
    ),
    (
        "metrics",
        &[
            "pipeline", "source", "sink", "guard", "process", "summary", "shutdown", "version",
            "origin",
        ],
        "it shows what others count; they know nothing of it",
    ),
    (
        "otlp",
        &["metrics", "sink", "rules", "privileges", "version"],
        "it exports metrics and spans; who sends requests knows no collector",
    ),
    (
        "admin",
        &["metrics", "pem", "listener"],
        "it carries metrics and health over HTTP, whatever they say",
    ),
];

/// Those at the top, which put a run together out of everything: each may import all but those after it.
const TOP: &[&str] = &["cli", "config", "run", "compare", "fleet", "doctor", "demo"];

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Tests may look at what is above, as those of a sink read back what it wrote.
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            source_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
            found.push(path);
        }
    }
}

/// The modules that the code of a file names, without its comments and its tests.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let name = |rest: &str| -> String {
        rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
    };
    code.flat_map(|line| line.split("crate::").skip(1).map(name).collect::<Vec<_>>())
        .filter(|module| !module.is_empty())
        .collect()
}

/// Each source file, with its path below its crate's `src`. What `mirror-wire` cannot know by its
/// manifest, as tokio and aya, is held by the compiler.
fn all_files() -> Vec<(PathBuf, PathBuf)> {
    let user = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for root in [user.join("src"), user.join("wire/src")] {
        let mut files = Vec::new();
        source_files(&root, &mut files);
        all.extend(files.into_iter().map(|file| {
            let inner = file.strip_prefix(&root).unwrap().to_owned();
            (file, inner)
        }));
    }
    all
}

#[test]
fn no_module_imports_one_that_stands_above_it() {
    let allowed: BTreeMap<&str, (BTreeSet<&str>, &str)> = LAYERS
        .iter()
        .map(|(module, below, why)| (*module, (below.iter().chain(BASE).copied().collect(), *why)))
        .collect();
    let mut wrong = Vec::new();
    for (file, inner) in all_files() {
        let first = inner.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if matches!(module, "lib" | "main") {
            continue;
        }
        let found = imports(&fs::read_to_string(&file).unwrap());
        if let Some(place) = TOP.iter().position(|top| *top == module) {
            let above = TOP[place + 1..].iter().filter(|above| found.contains(**above));
            wrong.extend(above.map(|above| {
                format!(
                    "{}: imports crate::{above}, which puts {module} into practice: what is meant knows \
                     nothing of how it is done. Hand it in from there.",
                    inner.display()
                )
            }));
            continue;
        }
        let Some((below, why)) = allowed.get(module) else {
            wrong.push(format!(
                "{module}: stands in no layer; add it to LAYERS in tests/outside/layering.rs"
            ));
            continue;
        };
        for import in found {
            if import != module && !below.contains(import.as_str()) {
                wrong.push(format!(
                    "{}: imports crate::{import}, which does not stand below {module}: {why}. Move what \
                     both need below both, or hand it in from `run`.",
                    inner.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn one_module_alone_writes_the_log() {
    let outside = all_files().into_iter().filter(|(_, inner)| !inner.starts_with("logging"));
    for (file, _) in outside {
        let text = fs::read_to_string(&file).unwrap();
        for name in ["tracing::", "tracing_subscriber", "eprintln!"] {
            assert!(!text.contains(name), "{}: {name}: use logging::emit!", file.display());
        }
    }
}

#[test]
fn the_table_has_no_circle() {
    // A module may import those that stand before it, in some order: take away what imports nothing that
    // is left, until nothing is left.
    let mut left: BTreeMap<&str, BTreeSet<&str>> = LAYERS
        .iter()
        .map(|(module, below, _)| (*module, below.iter().copied().collect()))
        .collect();
    while !left.is_empty() {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, below)| !below.iter().any(|one| left.contains_key(one)))
            .map(|(module, _)| *module)
            .collect();
        assert!(!free.is_empty(), "these import each other: {:?}", left.keys().collect::<Vec<_>>());
        free.iter().for_each(|module| {
            left.remove(module);
        });
    }
}
