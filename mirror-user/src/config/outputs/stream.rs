//! Output that publishes requests to streams.

use std::net::ToSocketAddrs;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::{Opened, Opening, OutputPlan, keep, outlet};
use crate::broker::nats::{Link, Publisher, PublisherOptions};
use crate::rules::route::TargetId;
use crate::sink::broker::BrokerSink;

/// Bodies of responses up to this many bytes are published; of longer ones, head and length.
const MAX_RESPONSE_BODY: u64 = 8 << 20;

/// A stream, and how it is published to.
pub(crate) struct StreamTarget {
    /// Its name in rules and summaries; `None` if it is the only target.
    pub(crate) name: Option<Arc<str>>,
    /// Its place among the targets that rules name.
    pub(crate) place: usize,
    pub(crate) link: Link,
    pub(crate) options: PublisherOptions,
}

/// The output, and streams beside it.
pub(crate) fn beside(plan: OutputPlan, streams: Vec<StreamTarget>) -> OutputPlan {
    if streams.is_empty() {
        return plan;
    }
    let OutputPlan { mut http, mut connects, open, .. } = plan;
    if streams.iter().any(|stream| stream.options.responses) {
        http.response_body = keep(MAX_RESPONSE_BODY);
    }
    connects.extend(streams.iter().map(|stream| stream.link.address.port));
    let open = move |opening: &Opening| {
        let mut opened = open(opening)?;
        for stream in streams {
            opened.add(stream.start(opening)?);
        }
        Ok(opened)
    };
    OutputPlan { http, connects, open: Box::new(open), ..plan }
}

impl StreamTarget {
    /// Connects, and starts the thread that publishes.
    ///
    /// # Errors
    /// If the broker cannot be reached or used, or what is sent to it is captured.
    fn start(self, opening: &Opening) -> anyhow::Result<Opened> {
        let Self { name, place, link, options } = self;
        if let Some(is_captured) = &opening.is_captured {
            let (host, port) = (link.address.host.trim_matches(['[', ']']), link.address.port);
            let server = link.address.server();
            let addresses = (host, port).to_socket_addrs();
            for address in
                addresses.with_context(|| format!("{server}: the name has no address"))?
            {
                if is_captured(address)? {
                    bail!(
                        "{server}: is captured itself ({address}), so that what is published would be, too; capture other ports"
                    );
                }
            }
        }
        let responses = options.responses;
        let publisher = Publisher::start(link, options, opening.stop.flag())?;
        let sink = BrokerSink::new(publisher, responses);
        let outlets = vec![outlet(name, TargetId::new(place), Box::new(sink))];
        Ok(Opened { outlets, ..Opened::default() })
    }
}
