//! Watches this node's pods at the API server. The only file that names `kube`.
//!
//! One list, then one watch that goes on from it (`kube::runtime::watcher`): for the pods of one node
//! (`spec.nodeName`), for their metadata alone, with bookmarks so that going on after an interruption seldom
//! takes a new list. Both are answered from the API server's cache. After an error it waits 0.8 s, and each
//! time twice as long up to 30 s, with jitter, so that a thousand nodes do not ask at once.

#[cfg(feature = "kubernetes")]
pub use self::with::api_port;
#[cfg(feature = "kubernetes")]
pub(super) use self::with::{Watching, start};
#[cfg(not(feature = "kubernetes"))]
pub use self::without::api_port;
#[cfg(not(feature = "kubernetes"))]
pub(super) use self::without::{Watching, start};

#[cfg(not(feature = "kubernetes"))]
mod without {
    use anyhow::bail;

    use super::super::known::Known;

    const MISSING: &str =
        "pods: this build cannot ask an API server; build it with the feature `kubernetes`";

    pub(in super::super) struct Watching;

    pub(in super::super) fn start(_: &str, _: Known) -> anyhow::Result<Watching> {
        bail!(MISSING)
    }

    /// The port of the API server.
    ///
    /// # Errors
    /// Always: this build has no client for one.
    pub fn api_port() -> anyhow::Result<u16> {
        bail!(MISSING)
    }
}

#[cfg(feature = "kubernetes")]
mod with {
    use std::pin::pin;
    use std::thread;
    use std::time::Duration;

    use anyhow::Context;
    use futures_util::StreamExt;
    use k8s_openapi::api::core::v1::Pod;
    use kube::core::PartialObjectMeta;
    use kube::runtime::watcher::{self, DefaultBackoff, Event, watcher};
    use kube::{Api, Client, Config, Error, ResourceExt};
    use tokio::sync::oneshot;

    use super::super::WatchProblem;
    use super::super::known::Known;
    use super::super::pod::Metadata;
    use crate::logging::emit;
    use crate::privileges::{self, Duty};

    /// How long a list of the pods of one node may take.
    const LIST_TIMEOUT: Duration = Duration::from_secs(15);

    /// How long a watch goes on without a word, after which the API server ends it; what client-go does.
    const WATCH_SECONDS: u32 = 290;

    /// How long beyond that nothing may come before the connection is taken for dead.
    const WATCH_TIMEOUT: Duration = Duration::from_secs(300);

    /// How long a connection may take to be made.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    /// A watch that begins anew says nothing until something changes: after so long without an error, it
    /// goes on. More than a connection may take.
    const SILENCE: Duration = Duration::from_secs(10);

    /// Watches until it is dropped.
    pub(in super::super) struct Watching {
        stop: Option<oneshot::Sender<()>>,
        thread: Option<thread::JoinHandle<()>>,
    }

    impl Drop for Watching {
        fn drop(&mut self) {
            drop(self.stop.take());
            if let Some(thread) = self.thread.take() {
                let _ = thread.join();
            }
        }
    }

    /// The port of the API server, which a confined run connects to.
    ///
    /// # Errors
    /// When neither a service account nor a kubeconfig says where it is.
    pub fn api_port() -> anyhow::Result<u16> {
        let url = runtime()?.block_on(config())?.cluster_url;
        let is_plain = url.scheme_str() == Some("http");
        Ok(url.port_u16().unwrap_or(if is_plain { 80 } else { 443 }))
    }

    fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("pods: no event loop could be started")
    }

    /// As kubectl and programs in a cluster find it: the kubeconfig, or the pod's service account.
    async fn config() -> anyhow::Result<Config> {
        let mut config = Config::infer().await.context(
            "pods: there is no API server to ask: neither a service account is mounted nor does KUBECONFIG name a \
             file",
        )?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        Ok(config)
    }

    /// Watches the pods of a node, on a thread of its own.
    ///
    /// # Errors
    /// When nothing says where the API server is. That it does not answer is no error.
    pub(in super::super) fn start(node: &str, known: Known) -> anyhow::Result<Watching> {
        let runtime = runtime()?;
        let config = runtime.block_on(config())?;
        let (stop, stopped) = oneshot::channel();
        let node = node.to_owned();
        let watch = move || {
            if let Err(error) = privileges::keep_for(Duty::Nothing) {
                emit!(PrivilegesKept, thread = "pods", "{error:#}");
            }
            runtime.block_on(async {
                tokio::select! {
                    _ = stopped => {}
                    () = watch(config, &node, &known) => {}
                }
            });
        };
        let thread = thread::Builder::new().name("pods".into()).spawn(watch);
        let thread = thread.context("pods: no thread could be started")?;
        Ok(Watching { stop: Some(stop), thread: Some(thread) })
    }

    async fn watch(config: Config, node: &str, known: &Known) {
        let client = match Client::try_from(config) {
            Ok(client) => client,
            Err(error) => return interrupted(known, WatchProblem::Refused, &error.to_string()),
        };
        let pods: Api<PartialObjectMeta<Pod>> = Api::all(client);
        let selector = format!("spec.nodeName={node}");
        let asked =
            watcher::Config::default().fields(&selector).any_semantic().timeout(WATCH_SECONDS);
        let mut backoff = DefaultBackoff::default();
        loop {
            let mut events = pin!(watcher(pods.clone(), asked.clone()));
            let mut is_listing = true;
            loop {
                let patience = match (is_listing, known.is_up()) {
                    (true, _) => LIST_TIMEOUT,
                    (false, true) => WATCH_TIMEOUT,
                    (false, false) => SILENCE,
                };
                match tokio::time::timeout(patience, events.next()).await {
                    Ok(Some(Ok(event))) => is_listing = take(event, node, known, is_listing),
                    Ok(Some(Err(error))) => {
                        let (problem, reason) = problem(&error);
                        interrupted(known, problem, &reason);
                        tokio::time::sleep(backoff.next().unwrap_or(LIST_TIMEOUT)).await;
                    }
                    Err(_) if patience == SILENCE => drop(known.resumed()),
                    Err(_) | Ok(None) => {
                        interrupted(known, WatchProblem::Timeout, "it does not answer");
                        break;
                    }
                }
            }
        }
    }

    /// Takes an event in. True while the pods are listed.
    fn take(
        event: Event<PartialObjectMeta<Pod>>,
        node: &str,
        known: &Known,
        is_listing: bool,
    ) -> bool {
        match event {
            Event::Init => {
                known.begin_list();
                return true;
            }
            Event::InitApply(pod) => known.apply(&metadata(&pod)),
            Event::InitDone => {
                let selected = known.end_list();
                if known.resumed() {
                    emit!(PodsWatched, node, selected, "pods of {node}: {selected} are selected");
                }
                return false;
            }
            Event::Apply(pod) => {
                known.resumed();
                known.apply(&metadata(&pod));
            }
            Event::Delete(pod) => {
                known.resumed();
                known.delete(&metadata(&pod));
            }
        }
        is_listing
    }

    fn interrupted(known: &Known, problem: WatchProblem, reason: &str) {
        if known.interrupted(problem) || !known.is_listed() {
            let what = <&str>::from(problem);
            emit!(
                PodsUnwatched,
                problem = what,
                reason,
                "pods: the API server cannot be watched ({what}): {reason}; what was known last stays in effect"
            );
        }
    }

    fn problem(error: &watcher::Error) -> (WatchProblem, String) {
        use watcher::Error::{
            InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
        };
        let of_code = |code: u16| match code {
            401 | 403 => WatchProblem::Forbidden,
            410 => WatchProblem::Gone,
            408 | 504 => WatchProblem::Timeout,
            _ => WatchProblem::Refused,
        };
        match error {
            WatchError(status) => (of_code(status.code), status.message.clone()),
            NoResourceVersion => (WatchProblem::Unreadable, error.to_string()),
            InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => {
                match error {
                    Error::Api(status) => (of_code(status.code), status.message.clone()),
                    Error::SerdeError(_)
                    | Error::FromUtf8(_)
                    | Error::LinesCodecMaxLineLengthExceeded => {
                        (WatchProblem::Unreadable, error.to_string())
                    }
                    _ => (WatchProblem::Unreachable, chain(error)),
                }
            }
        }
    }

    /// An error with its causes, in one line.
    fn chain(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = error.source();
        }
        text
    }

    fn metadata(pod: &PartialObjectMeta<Pod>) -> Metadata {
        let owners = pod.owner_references().iter();
        let controller = owners.into_iter().find(|owner| owner.controller == Some(true));
        Metadata {
            uid: pod.uid().unwrap_or_default(),
            namespace: pod.namespace().unwrap_or_default(),
            name: pod.name_any(),
            labels: pod.labels().clone(),
            annotations: pod.annotations().clone(),
            owner: controller.map(|owner| (owner.kind.clone(), owner.name.clone())),
        }
    }
}
