//! What all test programs of a run said, added up.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// Which tests passed, failed and were left out, over all programs and stages.
#[derive(Default)]
pub(super) struct Outcome {
    passed: usize,
    /// By name, the program's in front.
    failed: Vec<String>,
    /// Ignored so far, with the reason: a later stage may run them.
    left_out: BTreeMap<String, String>,
    /// How long each part took, in the order in which they ended.
    took: Vec<(String, Duration)>,
}

/// A line of libtest's output that matters here.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Ignored {
        test: &'a str,
        reason: &'a str,
    },
    /// A name in the list behind `failures:`.
    ListedFailure(&'a str),
    /// The heading of that list, or of the output that failed tests left.
    Failures,
    Result {
        passed: usize,
        failed: usize,
    },
    Other,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        if line == "failures:" {
            return Self::Failures;
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            let count = |kind: &str| {
                let counts = result.split(['.', ';']).map(str::trim);
                let number = counts.filter_map(|count| count.strip_suffix(kind)).next();
                number.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
            };
            return Self::Result { passed: count("passed"), failed: count("failed") };
        }
        if let Some((test, outcome)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
            && let Some(reason) = outcome.strip_prefix("ignored")
        {
            return Self::Ignored { test, reason: reason.trim_start_matches([',', ' ']) };
        }
        match line.strip_prefix("    ") {
            Some(name) if !name.is_empty() && !name.starts_with(' ') => Self::ListedFailure(name),
            _ => Self::Other,
        }
    }
}

impl Outcome {
    /// Runs one test program to its end, shows what it says, and adds it up. A program that ends
    /// without a result has failed, however it ended.
    #[expect(clippy::disallowed_methods, reason = "how long a part took is wall time")]
    pub(super) fn run(&mut self, program: &str, command: &mut Command) -> anyhow::Result<()> {
        let args = command.get_args().map(|arg| format!(" {}", arg.display()));
        let part = format!("{program}{}", args.collect::<String>());
        println!("\n== {part}");
        let start = Instant::now();
        let cannot = || format!("{program}: cannot be run");
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(cannot)?;
        let stdout = child.stdout.take().with_context(cannot)?;
        let mut results = 0;
        let mut listed = Vec::new();
        let mut expected = 0;
        // Not `lines`: a test may print bytes that are no UTF-8.
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            match Line::read(&line) {
                Line::Ignored { test, reason } => {
                    self.left_out.insert(format!("{program} {test}"), reason.to_owned());
                }
                Line::Failures => listed.clear(),
                Line::ListedFailure(name) => listed.push(format!("{program} {name}")),
                Line::Result { passed, failed } => {
                    results += 1;
                    self.passed += passed;
                    expected += failed;
                    self.failed.append(&mut listed);
                }
                Line::Other => {}
            }
        }
        let status = child.wait()?;
        self.took.push((part, start.elapsed()));
        if results == 0 || status.success() != (expected == 0) {
            self.failed.push(format!("{program}: {status}, {results} results"));
        }
        Ok(())
    }

    /// Does something beside the test programs, and notes how long it took.
    #[expect(clippy::disallowed_methods, reason = "how long a part took is wall time")]
    pub(super) fn time<T>(&mut self, part: &str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.took.push((part.to_owned(), start.elapsed()));
        result
    }

    /// Something beside the test programs that failed.
    pub(super) fn fail(&mut self, what: &anyhow::Error) {
        eprintln!("{what:#}");
        self.failed.push(format!("{what:#}"));
    }

    /// The tests of `program` whose names contain `filter` run now, though ignored before.
    pub(super) fn takes_up(&mut self, program: &str, filter: &str) {
        let begin = format!("{program} ");
        self.left_out.retain(|test, _| {
            let name = test.strip_prefix(&begin);
            !name.is_some_and(|name| name.contains(filter))
        });
    }

    /// True when nothing failed.
    pub(super) fn is_good(&self) -> bool {
        self.failed.is_empty()
    }
}

/// What each part took, what was left out and why, what failed, and one line with the sums.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, took) in &self.took {
            writeln!(f, "took {:6.1} s: {part}", took.as_secs_f64())?;
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in self.left_out.values() {
            *reasons.entry(reason).or_default() += 1;
        }
        for (reason, number) in reasons {
            writeln!(f, "left out: {number}: {reason}")?;
        }
        for name in &self.failed {
            writeln!(f, "failed: {name}")?;
        }
        let (passed, failed) = (self.passed, self.failed.len());
        write!(f, "{passed} passed, {failed} failed, {} skipped", self.left_out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_of_libtest_are_read() {
        assert_eq!(
            Line::read("test a::b ... ignored, needs root"),
            Line::Ignored { test: "a::b", reason: "needs root" }
        );
        assert_eq!(
            Line::read("test result: FAILED. 17 passed; 1 failed; 2 ignored; 0 measured"),
            Line::Result { passed: 17, failed: 1 }
        );
        assert_eq!(Line::read("test a ... ok"), Line::Other);
    }

    #[test]
    fn every_program_counts_whatever_became_of_the_one_before() {
        let mut outcome = Outcome::default();
        outcome.run("dies", &mut shell("kill -9 $$")).unwrap();
        let script = "printf 'test a ... FAILED\\ntest b ... ignored, needs root\\n\\nfailures:\\n\\n---- a stdout ----\\n    told\\n\\nfailures:\\n    a\\n\\ntest result: FAILED. 2 passed; 1 failed; 1 ignored\\n'; exit 101";
        outcome.run("fails", &mut shell(script)).unwrap();
        outcome
            .run("lies", &mut shell("echo 'test result: ok. 1 passed; 0 failed'; exit 3"))
            .unwrap();
        let text = outcome.to_string();
        assert!(!outcome.is_good());
        assert_eq!(text.lines().last(), Some("3 passed, 3 failed, 1 skipped"), "{text}");
        for line in ["left out: 1: needs root", "failed: fails a"] {
            assert!(text.lines().any(|it| it == line), "no {line:?} in {text}");
        }
    }

    #[test]
    fn an_ignored_test_that_a_later_stage_runs_is_not_left_out() {
        let mut outcome = Outcome::default();
        let script = "printf 'test x::tshark_agrees ... ignored, needs tshark\\ntest slow ... ignored, a measurement\\ntest result: ok. 0 passed; 0 failed\\n'";
        outcome.run("lib", &mut shell(script)).unwrap();
        outcome.takes_up("lib", "tshark_");
        let text = outcome.to_string();
        let end = "left out: 1: a measurement\n0 passed, 0 failed, 1 skipped";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn what_each_part_took_is_listed_with_its_arguments() {
        let mut outcome = Outcome::default();
        outcome.time("build", || ());
        outcome.run("sh", &mut shell("echo 'test result: ok. 1 passed; 0 failed'")).unwrap();
        let text = outcome.to_string();
        let parts: Vec<_> = text.lines().filter_map(|line| line.split_once(" s: ")).collect();
        assert_eq!(parts.first().map(|(_, part)| *part), Some("build"), "{text}");
        let shell = parts.get(1).map(|(_, part)| *part).unwrap_or_default();
        assert!(shell.starts_with("sh -c echo"), "{text}");
    }
}
