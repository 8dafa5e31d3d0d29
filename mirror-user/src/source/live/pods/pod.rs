//! A pod as its metadata describe it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::origin::Names;

/// Identifies a pod: two pods that have one name after the other differ in it.
pub(super) type Uid = Arc<str>;

/// The annotation of a pod that the kubelet runs from a file: its cgroup bears this name, and not the UID
/// of the object that stands for it at the API server.
const STATIC_UID: &str = "kubernetes.io/config.hash";

/// A label that the controllers of a ReplicaSet give its pods; it is the end of the ReplicaSet's name.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Longer names than Kubernetes allows are cut: they become labels of metrics.
const MAX_NAME_BYTES: usize = 253;

/// What is read of a pod's metadata.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata {
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// The kind and the name of the controller that owns it.
    pub(super) owner: Option<(String, String)>,
}

/// A pod that is selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) uid: Uid,
    /// What its cgroup is named by.
    pub(super) cgroup: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// What it is one of: the name of its Deployment, StatefulSet, DaemonSet or Job.
    pub(super) workload: String,
    /// It came after the pods of this node were first listed.
    pub(super) is_new: bool,
}

impl Pod {
    pub(super) fn new(metadata: &Metadata, is_new: bool) -> Self {
        let cgroup = metadata.annotations.get(STATIC_UID).unwrap_or(&metadata.uid);
        Self {
            uid: metadata.uid.as_str().into(),
            cgroup: cgroup.clone(),
            namespace: cut(&metadata.namespace),
            name: cut(&metadata.name),
            workload: cut(&workload(metadata)),
            is_new,
        }
    }

    /// What its requests are counted by.
    pub(super) fn names(&self) -> Names {
        let Self { namespace, workload, name, .. } = self;
        Names { namespace: namespace.clone(), workload: workload.clone(), pod: name.clone() }
    }

    /// `namespace/name`: the name of the interface that its packets were seen on.
    pub(super) fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn workload(pod: &Metadata) -> String {
    let Some((kind, owner)) = &pod.owner else { return pod.name.clone() };
    let before = |end: &str| owner.strip_suffix(end)?.strip_suffix('-').map(str::to_owned);
    let above = match kind.as_str() {
        "ReplicaSet" => pod.labels.get(TEMPLATE_HASH).and_then(|hash| before(hash)),
        // The Job of a CronJob ends with the time that it was due, in minutes.
        "Job" => owner
            .rsplit_once('-')
            .filter(|(_, end)| end.len() >= 8 && end.bytes().all(|byte| byte.is_ascii_digit()))
            .map(|(name, _)| name.to_owned()),
        _ => None,
    };
    above.unwrap_or_else(|| owner.clone())
}

fn cut(text: &str) -> String {
    text.chars()
        .scan(0_usize, |bytes, c| {
            *bytes = bytes.saturating_add(c.len_utf8());
            (*bytes <= MAX_NAME_BYTES).then_some(c)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(kind: &str, owner: &str) -> Metadata {
        let labels = [(TEMPLATE_HASH.to_owned(), "5d4f".to_owned())].into();
        let owner = Some((kind.to_owned(), owner.to_owned()));
        Metadata { name: "shop-5d4f-x2".to_owned(), labels, owner, ..Metadata::default() }
    }

    #[test]
    fn the_workload_is_what_people_deploy() {
        for (kind, owner, workload) in [
            ("ReplicaSet", "shop-5d4f", "shop"),
            ("ReplicaSet", "made-by-hand", "made-by-hand"),
            ("StatefulSet", "db", "db"),
            ("DaemonSet", "agent", "agent"),
            ("Job", "report-29012345", "report"),
            ("Job", "once", "once"),
        ] {
            assert_eq!(Pod::new(&owned(kind, owner), false).workload, workload, "{kind} {owner}");
        }
        let alone = Metadata { owner: None, ..owned("", "") };
        assert_eq!(Pod::new(&alone, false).workload, "shop-5d4f-x2");
    }

    #[test]
    fn a_static_pod_is_found_by_the_hash_of_its_file() {
        let annotations = [(STATIC_UID.to_owned(), "abc".to_owned())].into();
        let metadata = Metadata { uid: "u1".to_owned(), annotations, ..Metadata::default() };
        let pod = Pod::new(&metadata, true);
        assert_eq!((&*pod.uid, pod.cgroup.as_str()), ("u1", "abc"));
    }

    #[test]
    fn a_name_of_any_length_is_survived() {
        let name = "ä".repeat(200);
        let pod = Pod::new(&Metadata { name, ..Metadata::default() }, false);
        assert_eq!(pod.name.len(), 252);
    }
}
