//! Turns the source settings into a source of packets, or of what HAR files hold.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::outputs::WatchOutcomes;
use super::stream::{self, StreamSource};
use crate::broker::address::Address;
use crate::filter::Watch;
use crate::har::{Index, Reader};
use crate::logging::emit;
use crate::origin::Origins;
use crate::settings::{SourceSettings, StreamSourceSettings};
use crate::source::again::RepeatedSource;
use crate::source::live::pods::{self, PauseSwitch};
use crate::source::live::{
    Cgroup, Control, DEFAULT_RING_BYTES, Health, Hook, KernelLog, LiveOptions, LiveSource, Meter,
    Namespace, Order, OwnSockets, PodSelection, PodSource,
};
use crate::source::pcap::FileSource;
use crate::source::{PacketSource, folder};
use crate::units::Bytes;

/// Where packets come from.
pub(crate) enum Source {
    Live {
        interfaces: Vec<String>,
        cgroup: Option<Cgroup>,
        pods: Option<PodSource>,
        namespace: Namespace,
        hook: Hook,
        order: Order,
        ring_bytes: u32,
        log: KernelLog,
        /// The sockets of the replay; `None` for other outputs.
        own: Option<OwnSockets>,
    },
    Files {
        paths: Vec<PathBuf>,
        passes: u32,
    },
    /// Files of HTTP, not of packets.
    Hars {
        paths: Vec<PathBuf>,
        passes: u32,
    },
    Reader {
        name: &'static str,
        reader: Box<dyn Read + Send>,
    },
    /// Messages of a broker.
    Stream(Box<StreamSource>),
}

/// An open source.
pub(crate) struct Opened {
    pub(crate) input: Input,
    /// For interfaces.
    pub(crate) live: Option<Live>,
}

/// What is read.
pub(crate) enum Input {
    /// Packets.
    Packets(Box<dyn PacketSource>),
    /// Entries of HAR files.
    Har(Box<Reader>),
    /// Messages of a broker.
    Stream(stream::Input),
}

/// What controls, measures and shows a live capture while it runs.
pub(crate) struct Live {
    pub(crate) control: Control,
    pub(crate) meter: Meter,
    pub(crate) health: Health,
    pub(crate) pause: PauseSwitch,
}

impl Source {
    /// Reads files `passes` times.
    pub(crate) fn new(args: &SourceSettings, passes: u32) -> anyhow::Result<Self> {
        if let Some(url) = args.from.iter().find(|from| Address::is_meant(from)) {
            ensure!(
                args.from.len() == 1,
                "--from: {url} is a stream; give one, and nothing beside it"
            );
            ensure!(passes == 1, "--loop: a stream can be read once; leave it out");
            return StreamSource::new(url, &args.stream)
                .map(|source| Self::Stream(Box::new(source)));
        }
        ensure!(
            args.stream == StreamSourceSettings::default(),
            "--group, --from-sequence, --from-nkey and the like: apply to streams only; leave them out"
        );
        let (files, interfaces): (Vec<&String>, Vec<&String>) =
            args.from.iter().partition(|from| is_file(from));
        match (files.as_slice(), interfaces.as_slice()) {
            ([], _) => Ok(Self::Live {
                cgroup: args.cgroup.as_deref().map(Cgroup::open).transpose()?,
                pods: args.pods.as_ref().map(|selection| pods(args, selection)).transpose()?,
                interfaces: interfaces.into_iter().cloned().collect(),
                namespace: namespace(args)?,
                hook: args.hook.unwrap_or_default(),
                order: args.order.unwrap_or_default(),
                ring_bytes: args.ring_size.map_or(DEFAULT_RING_BYTES, |Bytes(bytes)| {
                    u32::try_from(bytes).unwrap_or(u32::MAX)
                }),
                log: args.kernel_log.unwrap_or_default(),
                own: None,
            }),
            (_, []) => {
                let (hars, others): (Vec<&String>, Vec<&String>) =
                    files.iter().partition(|file| is_har(file));
                if let ([har, ..], [other, ..]) = (hars.as_slice(), others.as_slice()) {
                    bail!("--from: {har} is a HAR and {other} is not; give one kind at a time");
                }
                let paths = files.iter().map(PathBuf::from).collect();
                if !hars.is_empty() {
                    return Ok(Self::Hars { paths, passes });
                }
                ensure!(
                    passes == 1 || !files.iter().any(|file| *file == "-"),
                    "--loop: standard input can be read only once; write it to a file first"
                );
                Ok(Self::Files { paths, passes })
            }
            ([file, ..], [interface, ..]) => {
                bail!(
                    "--from: {file} is a file and {interface} an interface; give one kind at a time"
                )
            }
        }
    }

    /// The network namespace of the interfaces.
    pub(crate) fn namespace(&self) -> Namespace {
        match self {
            Self::Live { namespace, .. } => namespace.clone(),
            Self::Files { .. } | Self::Hars { .. } | Self::Reader { .. } | Self::Stream(_) => {
                Namespace::default()
            }
        }
    }

    /// True for files without packets.
    pub(crate) fn has_no_packets(&self) -> bool {
        matches!(self, Self::Hars { .. } | Self::Stream(_))
    }

    /// True for a stream.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// For a stream that replays are given: tells it what becomes of requests.
    pub(crate) fn watch_outcomes(&mut self) -> Option<WatchOutcomes> {
        match self {
            Self::Stream(source) => Some(source.watch()),
            _ => None,
        }
    }

    /// True for interfaces.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self, Self::Live { .. })
    }

    /// The size of the ring, for interfaces.
    pub(crate) fn ring_bytes(&self) -> Option<u64> {
        match self {
            Self::Live { ring_bytes, .. } => Some(u64::from(*ring_bytes)),
            Self::Files { .. } | Self::Hars { .. } | Self::Reader { .. } | Self::Stream(_) => None,
        }
    }

    /// The port that the source connects to, if it asks an API server.
    ///
    /// # Errors
    /// When nothing says where that is.
    pub(crate) fn connects(&self) -> anyhow::Result<Option<u16>> {
        match self {
            Self::Live { pods: Some(_), .. } => pods::api_port().map(Some),
            _ => Ok(None),
        }
    }

    /// One interface, with default options.
    pub(crate) fn live(interface: String) -> Self {
        Self::Live {
            interfaces: vec![interface],
            cgroup: None,
            pods: None,
            namespace: Namespace::default(),
            hook: Hook::default(),
            ring_bytes: DEFAULT_RING_BYTES,
            order: Order::default(),
            log: KernelLog::Off,
            own: None,
        }
    }

    /// For interfaces: the set of the replay's own sockets, whose packets are not captured.
    pub(crate) fn own_sockets(&mut self) -> Option<OwnSockets> {
        match self {
            Self::Live { own, .. } => Some(own.get_or_insert_default().clone()),
            Self::Files { .. } | Self::Hars { .. } | Self::Reader { .. } | Self::Stream(_) => None,
        }
    }

    /// With pods: they are told to these.
    pub(crate) fn tell(&mut self, to: &Origins) {
        if let Self::Live { pods: Some(pods), .. } = self {
            pods.origins = to.clone();
        }
    }

    /// True for files on disk; piped input may be live.
    pub(crate) fn is_recorded(&self) -> bool {
        match self {
            Self::Files { paths, .. } => paths.iter().all(|file| file.as_os_str() != "-"),
            Self::Hars { .. } => true,
            Self::Live { .. } | Self::Reader { .. } | Self::Stream(_) => false,
        }
    }

    /// Opens the source. A live one that `persists` retries if it cannot capture any more.
    pub(crate) fn open(self, watch: &Watch, persists: bool) -> anyhow::Result<Opened> {
        let source: Box<dyn PacketSource> = match self {
            Self::Live {
                interfaces,
                cgroup,
                pods,
                namespace,
                hook,
                order,
                ring_bytes,
                log,
                own,
            } => {
                let watch = watch.clone();
                let pause = pods.as_ref().map(|pods| pods.pause.clone()).unwrap_or_default();
                let options = LiveOptions {
                    interfaces,
                    cgroup,
                    pods,
                    namespace,
                    watch,
                    hook,
                    order,
                    ring_bytes,
                    log,
                    persists,
                    own,
                };
                let source = LiveSource::attach(&options)?;
                emit!(Attached, source = %source, "attached to {source}; Ctrl-C ends it");
                let (control, health) = (source.control(), source.health());
                let live = Live { control, meter: source.meter()?, health, pause };
                return Ok(Opened { input: Input::Packets(Box::new(source)), live: Some(live) });
            }
            Self::Stream(source) => {
                return Ok(Opened { input: Input::Stream(source.open()?), live: None });
            }
            Self::Hars { paths, passes } => {
                let input = Input::Har(Box::new(Reader::new(Index::of(&paths)?, passes)));
                return Ok(Opened { input, live: None });
            }
            Self::Files { paths, passes: 1 } => folder::open(&paths)?,
            Self::Files { paths, passes } => Box::new(RepeatedSource::open(paths, passes)?),
            Self::Reader { name, reader } => Box::new(FileSource::from_reader(name, reader)?),
        };
        Ok(Opened { input: Input::Packets(source), live: None })
    }
}

/// Opens recordings: captures and folders of them, or HAR files.
///
/// # Errors
/// If they cannot be read; the message names them.
pub(crate) fn recorded(paths: &[PathBuf]) -> anyhow::Result<Input> {
    Ok(match paths.iter().any(is_har) {
        true => Input::Har(Box::new(Reader::new(Index::of(paths)?, 1))),
        false => Input::Packets(folder::open(paths)?),
    })
}

/// The pods of the settings.
fn pods(args: &SourceSettings, selection: &PodSelection) -> anyhow::Result<PodSource> {
    let node = args.node.clone().context(
        "pods: of which node? set MIRROR_NODE to its name, as the chart does, or give --node",
    )?;
    let (pause, origins) = (PauseSwitch::default(), Origins::default());
    let (selection, own) = (selection.clone(), args.own_pod.clone());
    Ok(PodSource { node, selection, own, pause, origins })
}

/// The network namespace of the settings.
fn namespace(args: &SourceSettings) -> anyhow::Result<Namespace> {
    let process = args.pid.map(|process| process.to_string());
    let named = args.netns.as_ref().or(process.as_ref());
    named.map(|named| Namespace::open(named)).transpose().map(Option::unwrap_or_default)
}

/// True if `--from` names a file and not an interface: it exists, or it looks like a path.
pub(crate) fn is_file(from: &str) -> bool {
    let path = Path::new(from);
    let endings = ["pcap", "pcapng", "cap", "har"];
    from == "-"
        || (from.contains('/') && !Address::is_meant(from))
        || path
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| endings.contains(&ending))
        || path.exists()
}

/// True if `--from` names a HAR.
fn is_har(from: impl AsRef<Path>) -> bool {
    from.as_ref().extension().is_some_and(|ending| ending.eq_ignore_ascii_case("har"))
}
