//! The file's parts `source` and `pace`: what the flags of these headings say.

use std::str::FromStr;

use super::read::required;
use super::reader::{Fields, Reader};
use crate::cli::{
    FilterArgs, GuardArgs, PaceArgs, SourceArgs, parse_copies, parse_memory, parse_passes,
    parse_percent, parse_share,
};
use crate::config::yaml::Node;

pub(super) fn source(reader: &mut Reader, node: &Node) -> Option<SourceArgs> {
    let fields = reader.fields(node, "source")?;
    let cgroup = fields.get("cgroup");
    let from = match cgroup {
        None => required(reader, &fields, "from", "an interface, such as eth0, or a capture file"),
        Some(_) => None,
    };
    for key in ["from", "netns", "pid", "hook", "order"] {
        if let (Some(_), Some(other)) = (cgroup, fields.get(key)) {
            reader.wrong(other.at, format!("both cgroup and {key}; give one of them"));
        }
    }
    Some(SourceArgs {
        cgroup: cgroup.and_then(|node| reader.text(node)).map(Into::into),
        from: reader.list(from, |reader, node| reader.text(node).map(str::to_owned)),
        config: None,
        netns: fields.get("netns").and_then(|node| reader.text(node)).map(str::to_owned),
        pid: fields.get("pid").and_then(|node| {
            reader.typed(node, "process", |text| {
                text.parse().map_err(|_| "its number, such as 4711".to_owned())
            })
        }),
        hook: fields.get("hook").and_then(|node| reader.choice(node)),
        order: fields.get("order").and_then(|node| reader.choice(node)),
        ring_size: fields.get("ring-size").and_then(|node| reader.bytes(node)),
        kernel_log: fields.get("kernel-log").and_then(|node| reader.choice(node)),
        run_for: fields.get("for").and_then(|node| reader.duration(node)),
        filter: FilterArgs {
            ports: list(reader, &fields, "ports"),
            nets: list(reader, &fields, "nets"),
            client_nets: list(reader, &fields, "client-nets"),
            server_nets: list(reader, &fields, "server-nets"),
            direction: fields.get("direction").and_then(|node| reader.choice(node)),
            side: fields.get("side").and_then(|node| reader.choice(node)),
            sample: fields
                .get("sample")
                .and_then(|node| reader.typed(node, "sample", parse_percent)),
            requests_only: fields
                .get("requests-only")
                .and_then(|node| reader.truth(node))
                .unwrap_or_default(),
            snaplen: list(reader, &fields, "snaplen"),
        },
        guard: fields.get("guard").and_then(|node| guard(reader, node)).unwrap_or_default(),
    })
}

fn guard(reader: &mut Reader, node: &Node) -> Option<GuardArgs> {
    let fields = reader.fields(node, "guard")?;
    Some(GuardArgs {
        cpu_limit: fields
            .get("cpu-limit")
            .and_then(|node| reader.typed(node, "limit", parse_share)),
        memory_limit: fields
            .get("memory-limit")
            .and_then(|node| reader.typed(node, "limit", parse_memory)),
        pause_file: fields.get("pause-file").and_then(|node| reader.text(node)).map(Into::into),
    })
}

fn list<T: FromStr<Err = String>>(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Vec<T> {
    reader.list(fields.get(key), |reader, node| one(reader, node, key))
}

/// A text as a flag reads it.
fn one<T: FromStr<Err = String>>(reader: &mut Reader, node: &Node, key: &str) -> Option<T> {
    reader.parsed(node, |text| text.parse().map_err(|wanted| format!("{key}: {text:?}: {wanted}")))
}

pub(super) fn pace(reader: &mut Reader, node: &Node) -> Option<PaceArgs> {
    let fields = reader.fields(node, "pace")?;
    let pace = PaceArgs {
        speed: fields.get("speed").and_then(|node| one(reader, node, "speed")),
        rate: fields.get("rate").and_then(|node| one(reader, node, "rate")),
        max_gap: fields.get("max-gap").and_then(|node| reader.duration(node)),
        from_time: fields.get("from-time").and_then(|node| one(reader, node, "from-time")),
        to_time: fields.get("to-time").and_then(|node| one(reader, node, "to-time")),
        passes: fields.get("loop").and_then(|node| reader.typed(node, "loop", parse_passes)),
        copies: fields
            .get("copies")
            .and_then(|node| reader.typed(node, "number of copies", parse_copies)),
        copies_over: fields.get("copies-over").and_then(|node| reader.duration(node)),
        connections: fields.get("connections").and_then(|node| one(reader, node, "connections")),
        max_late: fields.get("max-late").and_then(|node| reader.duration(node)),
    };
    if let (Some(_), Some(rate)) = (fields.get("speed"), fields.get("rate")) {
        reader.wrong(rate.at, "both speed and rate; give one of them");
    }
    if let Some(gap) = fields.get("max-gap")
        && !pace.has_gaps()
    {
        reader.wrong(
            gap.at,
            "max-gap: there are no recorded gaps with a rate or speed max; leave it out",
        );
    }
    Some(pace)
}
