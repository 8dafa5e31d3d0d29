//! The Helm chart and the kustomize base: what they render, checked in and judged by helm, kubectl and the
//! schemas of Kubernetes; the configuration inside is judged by mirror.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{self, mirror_with_input};

/// The oldest that the schemas know, one in the middle, and the newest.
const VERSIONS: [&str; 3] = ["1.25", "1.31", "1.37"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn chart() -> PathBuf {
    root().join("deploy/helm/mirror")
}

/// A program that `cargo xtask test` installs.
fn tool(name: &str) -> Command {
    Command::new(root().join("target/tools/charts/bin").join(name))
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}\n{}{said}", String::from_utf8_lossy(&stdout));
    String::from_utf8(stdout).unwrap()
}

fn template(values: &Path) -> Command {
    let mut helm = tool("helm");
    helm.args(["template", "mirror"]).arg(chart()).args(["--namespace", "mirror"]);
    helm.arg("--values").arg(values);
    helm
}

/// The folders below `examples`, each with `values.yaml` and `rendered.yaml`.
fn examples() -> Vec<PathBuf> {
    let folders = fs::read_dir(chart().join("examples")).unwrap();
    let mut folders: Vec<_> = folders.map(|folder| folder.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 4);
    folders
}

/// Compares a checked-in file with what it is made of; with `UPDATE_RENDERED` it is written.
fn is_as_checked_in(file: &Path, rendered: &str) {
    if std::env::var_os("UPDATE_RENDERED").is_some() {
        fs::write(file, rendered).unwrap();
    }
    let checked_in = fs::read_to_string(file).unwrap_or_default();
    assert!(
        checked_in == rendered,
        "{}: not what the chart renders; run the test with UPDATE_RENDERED=1 and look at the difference",
        file.display()
    );
}

/// The file `mirror.yaml` inside a rendered ConfigMap.
fn configuration(rendered: &str) -> String {
    let indented = rendered.split_once("  mirror.yaml: |\n").expect("a ConfigMap").1;
    let lines = indented.lines().map_while(|line| line.strip_prefix("    "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_configuration_in_every_example_is_valid() {
    for example in examples() {
        let rendered = fs::read_to_string(example.join("rendered.yaml")).unwrap();
        let run = mirror_with_input(&["config", "check", "-"], configuration(&rendered).as_bytes());
        run.exits_with(0).says("valid; 1 targets");
    }
}

#[test]
fn no_preset_is_privileged_and_the_default_shares_nothing_with_the_node() {
    for example in examples() {
        let rendered = fs::read_to_string(example.join("rendered.yaml")).unwrap();
        for line in ["privileged: false", "drop: [ALL]", "readOnlyRootFilesystem: true"] {
            assert!(rendered.contains(line), "{}: no {line}", example.display());
        }
        let is_default = example.ends_with("default");
        for line in ["hostNetwork", "hostPID", "SYS_ADMIN"] {
            assert!(!(is_default && rendered.contains(line)), "{line}");
        }
        // Who is not asked for pods has no token.
        let asks = example.ends_with("pods");
        assert_eq!(rendered.contains("automountServiceAccountToken: true"), asks);
        assert_eq!(
            rendered.contains("verbs: [get, list, watch]") || rendered.contains("- watch"),
            asks
        );
    }
}

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_is_without_complaint() {
    let values = chart().join("examples/default/values.yaml");
    succeeds(tool("helm").args(["lint", "--strict"]).arg(chart()).arg("--values").arg(values));
}

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_renders_what_is_checked_in_and_kubernetes_knows_all_of_it() {
    for example in examples() {
        let rendered = succeeds(&mut template(&example.join("values.yaml")));
        let file = example.join("rendered.yaml");
        is_as_checked_in(&file, &rendered);
        for version in VERSIONS {
            let mut validate = tool("kubernetes-validate");
            let said = succeeds(validate.args(["--strict", "-k", version]).arg(&file));
            assert!(said.contains("passed for resource daemonset/mirror"), "{said}");
        }
    }
}

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_refuses_values_that_it_does_not_know() {
    let values = chart().join("examples/default/values.yaml");
    for (wrong, named) in [
        ("preset=everything", "preset"),
        ("config.source.from=eth0", "source"),
        ("memory.ring=63", "ring"),
        ("admin.tokenSecret=", "tokenSecret"),
        ("tolerated=yes", "tolerated"),
        ("cgroup=", "cgroup"),
        ("preset=pods,pods.annotation=", "pods"),
        ("config.source.pods=all", "source"),
        ("health.errors=some", "errors"),
        ("minReadySeconds=-1", "minReadySeconds"),
    ] {
        let output = template(&values).args(["--set", wrong]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(named), "{wrong}: {said}");
    }
}

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_has_the_dashboard() {
    let values = chart().join("examples/default/values.yaml");
    let rendered = succeeds(template(&values).args(["--set", "dashboard.enabled=true"]));
    assert!(rendered.contains("  mirror.json: |\n    {"), "{rendered}");
}

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_sends_nowhere_that_was_not_named() {
    let output = tool("helm").args(["template", "mirror"]).arg(chart()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("targets"), "{said}");
}

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_rolled_out_by_configuration_names_a_new_config_map() {
    let values = chart().join("examples/host/values.yaml");
    let name = |more: &str| {
        let rendered = succeeds(template(&values).args(["--set", more]));
        let line = rendered.lines().find(|line| line.contains("name: mirror-config-"));
        line.expect("a ConfigMap").trim().to_owned()
    };
    assert_eq!(name("cpu.request=60"), name("cpu.request=70"));
    assert_ne!(name("memory.ring=64"), name("memory.ring=32"));
}

#[test]
fn every_example_rolls_out_node_by_node_and_holds_its_targets_to_a_limit() {
    for example in examples() {
        let rendered = fs::read_to_string(example.join("rendered.yaml")).unwrap();
        for line in ["      maxUnavailable: 1\n", "  minReadySeconds: 30\n"] {
            assert!(rendered.contains(line), "{}: no {line}", example.display());
        }
        let has_endpoint = rendered.contains("MIRROR_ADMIN");
        assert_eq!(rendered.contains("path: /readyz"), has_endpoint, "{}", example.display());
        let config = configuration(&rendered);
        assert!(config.contains("health:") && config.contains("errors: 20%"), "{config}");
    }
}

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_leaves_a_target_the_limit_of_its_own() {
    let values = chart().join("examples/default/values.yaml");
    let config = |more: &str| configuration(&succeeds(template(&values).args(["--set", more])));
    let own = config("config.targets.shadow.health.errors=3%");
    assert!(own.contains("errors: 3%") && !own.contains("20%"), "{own}");
    assert!(config("health.errors=off").contains("errors: \"off\""));
    let run = mirror_with_input(&["config", "check", "-"], config("health.errors=off").as_bytes());
    run.exits_with(0);
}

#[test]
#[ignore = "needs helm and kubernetes-validate: cargo xtask test"]
fn chart_is_the_source_of_the_kustomize_base() {
    let base = root().join("deploy/kustomize/base");
    let rendered = succeeds(&mut template(&chart().join("examples/default/values.yaml")));
    is_as_checked_in(&base.join("mirror.yaml"), &rendered);
    let built =
        succeeds(tool("kubectl").arg("kustomize").arg(root().join("deploy/kustomize/example")));
    assert!(built.contains("kind: DaemonSet") && built.contains("namespace: shadowing"), "{built}");
    let file = support::Workspace::new();
    let file_name = file.file("built.yaml", built.as_bytes());
    for version in VERSIONS {
        succeeds(tool("kubernetes-validate").args(["--strict", "-k", version, &file_name]));
    }
    // The configuration of the overlay takes the base's place.
    let run = mirror_with_input(&["config", "check", "-"], configuration(&built).as_bytes());
    run.exits_with(0).says("valid; 1 targets, 0 rules");
}
