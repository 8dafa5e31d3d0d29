//! What the cluster is to show, step by step. Each step prints what it found, and fails if that is not what it
//! should be.

mod load;
mod summary;

use std::cell::{Cell, RefCell};

use anyhow::{Context, ensure};

use self::load::Load;
use self::summary::{Followed, Summary};
use super::cluster::{Cluster, output, text, wait};
use crate::root;

/// The service of the shop whose pods ask to be shadowed, and that of the one whose pods do not.
const SHOP: &str = "http://10.96.0.10";
const OTHER: &str = "http://10.96.0.11";

/// Runs all steps.
pub(super) fn run(cluster: &Cluster) -> anyhow::Result<()> {
    let show = Show {
        cluster,
        running: RefCell::default(),
        delivered: Cell::default(),
        dropped: Cell::default(),
    };
    show.is_ready()?;
    show.install()?;
    show.arrives_marked()?;
    show.restarts()?;
    show.rolls_out()?;
    show.stops()?;
    show.is_deleted()
}

struct Show<'a> {
    cluster: &'a Cluster,
    /// The pod of mirror that runs.
    running: RefCell<Option<Followed>>,
    /// What those that ended delivered and dropped.
    delivered: Cell<u64>,
    dropped: Cell<u64>,
}

impl Show<'_> {
    fn is_ready(&self) -> anyhow::Result<()> {
        step("a node");
        wait("the node is known", || output(&mut self.cluster.kubectl("get node/n1")).ok())?;
        self.kubectl("wait node/n1 --for=condition=Ready --timeout=120s")?;
        self.kubectl("get nodes -o wide")?;
        let shops = root().join("xtask/src/kubernetes/shop.yaml");
        self.kubectl(&format!("apply -f {}", shops.display()))?;
        for name in ["shop", "other", "shadow"] {
            self.kubectl(&format!("-n shop rollout status deployment/{name} --timeout=120s"))?;
        }
        Ok(())
    }

    fn install(&self) -> anyhow::Result<()> {
        step("the chart is installed");
        self.kubectl("create namespace mirror")?;
        self.kubectl("-n mirror create secret generic mirror-admin --from-literal=token=sesame")?;
        self.helm("install", "")?;
        self.rolled_out()?;
        self.kubectl("-n mirror get daemonset,pods -o wide")?;
        let script = "grep -e CapEff -e NoNewPrivs /proc/$(pgrep -x mirror)/status";
        let status = output(self.cluster.command("sh").args(["-c", script]))?;
        print!("{status}");
        ensure!(status.contains("000000c000001000"), "not BPF, PERFMON and NET_ADMIN alone");
        wait("its programs are attached", || (self.programs().ok()? > 0).then_some(()))?;
        println!("programs that are attached to pods: {}", self.programs()?);
        self.follow()
    }

    fn arrives_marked(&self) -> anyhow::Result<()> {
        step("of two shops, one asks to be shadowed");
        // Those that ask for nothing first: when the others' shadows have arrived, theirs would have.
        let unlabelled = Load::start(self.cluster, &format!("{OTHER}/unlabelled")).end()?;
        let labelled = Load::start(self.cluster, &format!("{SHOP}/labelled")).end()?;
        println!("{unlabelled} requests to the one that does not, {labelled} to the one that does");
        let arrived = self.arrived("/labelled/", labelled)?;
        let is_marked = |line: &String| line.contains("-shadow id=") && !line.contains("id=- ");
        ensure!(arrived.iter().all(is_marked), "not every shadow is marked: {arrived:#?}");
        println!("at the shadow service: {}", arrived.first().context("no line")?);
        let unlabelled = self.shadows("/unlabelled/")?.len();
        println!(
            "{} shadows of the latter, all marked, and {unlabelled} of the former",
            arrived.len()
        );
        ensure!(arrived.len() == labelled && unlabelled == 0, "that is not what was asked for");
        let shown = ["mirror_pod_requests_total{", "mirror_shadow_requests_total{"];
        let metrics = self.metrics()?;
        for line in metrics.lines().filter(|line| shown.iter().any(|name| line.starts_with(name))) {
            println!("{line}");
        }
        Ok(())
    }

    fn restarts(&self) -> anyhow::Result<()> {
        step("a pod of mirror is deleted under load");
        let load = Load::start(self.cluster, &format!("{SHOP}/restart"));
        self.arrived("/restart/", 100)?;
        self.kubectl(&format!("-n mirror delete {}", self.pod()?))?;
        self.rolled_out()?;
        self.ended()?;
        self.follow()?;
        self.account(&["/restart/"], load)
    }

    fn rolls_out(&self) -> anyhow::Result<()> {
        step("a new configuration is rolled out under load");
        let load = Load::start(self.cluster, &format!("{SHOP}/rollout"));
        self.arrived("/rollout/", 100)?;
        self.helm("upgrade", " --set config.targets.shadow.headers.set.x-rollout=two")?;
        self.rolled_out()?;
        self.ended()?;
        self.follow()?;
        self.account(&["/rollout/"], load)?;
        let arrived = self.shadows("/rollout/")?;
        let new = arrived.iter().filter(|line| line.ends_with("rollout=two")).count();
        println!("{new} of them have the field that the new configuration sets");
        ensure!(new > 0 && new < arrived.len(), "{new} of {}", arrived.len());
        Ok(())
    }

    fn stops(&self) -> anyhow::Result<()> {
        step("a configuration makes the target fail");
        let load = Load::start(self.cluster, &format!("{SHOP}/broken"));
        let prefix = "config.targets.shadow.path-prefix";
        self.helm("upgrade", &format!(" --set {prefix}.from=/broken --set {prefix}.to=/fail"))?;
        let said = wait("it is not ready because of its target", || {
            self.get("readyz").ok().filter(|said| said.contains("target_fails"))
        })?;
        println!("/readyz: {}", said.trim());
        self.ended()?;
        self.follow()?;
        wait("Kubernetes notices", || {
            let pods = output(&mut self.cluster.kubectl("-n mirror get pods --no-headers")).ok()?;
            pods.contains("0/1").then_some(())
        })?;
        self.kubectl("-n mirror get daemonset,pods")?;
        let mut status =
            self.cluster.kubectl("-n mirror rollout status daemonset/mirror --timeout=10s");
        println!("$ {}", text(&status));
        let went_on = status.output()?;
        print!("{}", String::from_utf8_lossy(&went_on.stdout));
        print!("{}", String::from_utf8_lossy(&went_on.stderr));
        ensure!(!went_on.status.success(), "the rollout went on");
        self.run(&mut self.cluster.helm("rollback mirror --namespace mirror --server-side=false"))?;
        self.rolled_out()?;
        self.ended()?;
        self.follow()?;
        self.account(&["/broken/", "/fail/"], load)
    }

    fn is_deleted(&self) -> anyhow::Result<()> {
        step("the chart is deleted");
        self.run(&mut self.cluster.helm("uninstall mirror --namespace mirror --wait"))?;
        self.kubectl("-n mirror delete pods --all --timeout=60s")?;
        self.ended()?;
        let programs = self.programs()?;
        println!("programs that are attached to pods: {programs}");
        ensure!(programs == 0, "something was left behind");
        Ok(())
    }

    /// Production responded to everything, and what mirror's pods say that they delivered is what arrived.
    fn account(&self, paths: &[&str], load: Load) -> anyhow::Result<()> {
        let asked = load.end()?;
        let (delivered, dropped) = wait("nothing is in flight", || {
            let metrics = self.metrics().ok()?;
            let of = |name: &str| sum(&metrics, name);
            (of("mirror_in_flight") == 0)
                .then(|| (of("mirror_delivered_total"), of("mirror_dropped_total")))
        })?;
        let (delivered, dropped) = (self.delivered.get() + delivered, self.dropped.get() + dropped);
        let all = self.shadows("/")?;
        let is_here = |line: &&String| paths.iter().any(|path| line.starts_with(path));
        let (here, all) = (all.iter().filter(is_here).count(), all.len());
        println!(
            "{asked} requests, each responded to by production; {here} shadows of them arrived, the others came while \
             no pod was attached"
        );
        println!(
            "in all, mirror's pods delivered {delivered} and dropped {dropped}; {all} arrived"
        );
        let all = all as u64;
        ensure!(all >= delivered && all <= delivered + dropped, "that does not add up");
        Ok(())
    }

    /// Adds up what the pod says that has ended.
    fn ended(&self) -> anyhow::Result<()> {
        let Some(followed) = self.running.take() else { return Ok(()) };
        let pod = followed.pod.clone();
        let Summary { kernel, shadows } = followed.end()?;
        println!("{pod} said at its end:\n{}\n{}", kernel.line, shadows.line);
        self.delivered.set(self.delivered.get() + shadows.delivered);
        self.dropped.set(self.dropped.get() + shadows.dropped);
        Ok(())
    }

    /// Reads the log of the newest pod from now on.
    fn follow(&self) -> anyhow::Result<()> {
        let pod = self.pod()?;
        let logs = self.cluster.kubectl(&format!("-n mirror logs --follow {pod}"));
        let file = self.cluster.folder.join("log").join(pod.replace('/', "-"));
        self.running.replace(Some(Followed::start(pod, logs, file)?));
        Ok(())
    }

    /// The newest pod of mirror.
    fn pod(&self) -> anyhow::Result<String> {
        let list = "-n mirror get pods -o name --sort-by=.metadata.creationTimestamp";
        let pods = output(&mut self.cluster.kubectl(list))?;
        pods.lines().last().map(str::to_owned).context("no pod")
    }

    /// What the newest pod answers at its admin port.
    fn get(&self, path: &str) -> anyhow::Result<String> {
        let address = format!("-n mirror get {} -o jsonpath={{.status.podIP}}", self.pod()?);
        let address = output(&mut self.cluster.kubectl(&address))?;
        let mut curl = self.cluster.command("curl");
        curl.args(["--silent", "--max-time", "5", "--header", "Authorization: Bearer sesame"]);
        output(curl.arg(format!("http://{address}:9600/{path}")))
    }

    fn metrics(&self) -> anyhow::Result<String> {
        self.get("metrics").and_then(|said| {
            ensure!(said.contains("mirror_seen_total"), "no metrics: {said}");
            Ok(said)
        })
    }

    /// The lines of requests below `path` in the log of the shadow service.
    fn shadows(&self, path: &str) -> anyhow::Result<Vec<String>> {
        let log = output(&mut self.cluster.kubectl("-n shop logs deployment/shadow"))?;
        Ok(log.lines().filter(|line| line.starts_with(path)).map(str::to_owned).collect())
    }

    /// The same, when there are so many.
    fn arrived(&self, path: &str, number: usize) -> anyhow::Result<Vec<String>> {
        wait("shadows arrive", || self.shadows(path).ok().filter(|lines| lines.len() >= number))
    }

    /// How many programs are attached to the cgroups of the cluster's pods.
    fn programs(&self) -> anyhow::Result<usize> {
        let tree = output(
            self.cluster.command("bpftool").args(["cgroup", "tree"]).arg(self.cluster.pods()),
        )?;
        Ok(tree.lines().filter(|line| line.contains(" mirror_")).count())
    }

    fn rolled_out(&self) -> anyhow::Result<()> {
        self.kubectl("-n mirror rollout status daemonset/mirror --timeout=120s")
    }

    fn kubectl(&self, args: &str) -> anyhow::Result<()> {
        self.run(&mut self.cluster.kubectl(args))
    }

    fn helm(&self, what: &str, more: &str) -> anyhow::Result<()> {
        let (chart, values) =
            (root().join("deploy/helm/mirror"), root().join("xtask/src/kubernetes/values.yaml"));
        let args = format!(
            "{what} mirror {} --namespace mirror --server-side=false --values {}{more}",
            chart.display(),
            values.display()
        );
        self.run(&mut self.cluster.helm(&args))
    }

    /// Runs a command and shows it with what it printed, without the chart's notes.
    fn run(&self, command: &mut std::process::Command) -> anyhow::Result<()> {
        println!("$ {}", text(command));
        let said = output(command)?;
        said.lines().take_while(|line| *line != "NOTES:").for_each(|line| println!("{line}"));
        Ok(())
    }
}

fn step(what: &str) {
    println!("\n== {what}");
}

/// The sum of a metric over the series of shadows.
fn sum(metrics: &str, name: &str) -> u64 {
    let begin = format!("{name}{{seam=\"shadow_requests\"");
    let lines = metrics.lines().filter(|line| line.starts_with(&begin));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
