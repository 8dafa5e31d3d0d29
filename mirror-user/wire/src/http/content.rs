//! The content of a kept body: its bytes without chunk framing.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::h1::{Chunks, Piece};
use super::message::{Body, BodyLength, Kept};

/// Bytes read at once from a spooled body.
const BLOCK: usize = 16 * 1024;

impl Body {
    /// Reads the content from what was kept; `None` when nothing was kept of a body that is not
    /// empty. The content of an incomplete message may end early, with an error where chunk framing
    /// breaks off in disorder. Readers do not disturb each other.
    #[must_use]
    pub fn content(&self) -> Option<Content<'_>> {
        let wire = match &self.wire {
            Kept::Memory(bytes) => Source::Memory(bytes),
            Kept::File(file) => Source::File { file, at: 0, block: Vec::new(), used: 0 },
            Kept::Nothing if self.length == 0 => Source::Memory(&[]),
            Kept::Nothing | Kept::TooLarge | Kept::Withheld(_) => return None,
        };
        let chunks = (self.framing == BodyLength::Chunked).then(Chunks::default);
        Some(Content { wire, chunks, ended: false })
    }

    /// SHA-256 of the content of what was kept; `None` when nothing was, or it cannot be read.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        let sha256 = self.digest_so_far()?;
        Some(sha256.finalize().into())
    }

    /// The same of a body whose rest is to follow.
    pub(super) fn digest_so_far(&self) -> Option<Sha256> {
        let (mut content, mut sha256, mut block) = (self.content()?, Sha256::new(), vec![0; BLOCK]);
        loop {
            match content.read(&mut block).ok()? {
                0 => return Some(sha256),
                read => sha256.update(block.get(..read)?),
            }
        }
    }
}

/// A reader of a body's content.
#[derive(Debug)]
pub struct Content<'a> {
    wire: Source<'a>,
    chunks: Option<Chunks>,
    ended: bool,
}

#[derive(Debug)]
enum Source<'a> {
    Memory(&'a [u8]),
    // `read_at` leaves the file's cursor alone, which all clones of the message share.
    File { file: &'a File, at: u64, block: Vec<u8>, used: usize },
}

impl Source<'_> {
    /// The next bytes; none at the end.
    fn peek(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Memory(bytes) => Ok(bytes),
            Self::File { file, at, block, used } => {
                if *used == block.len() {
                    block.resize(BLOCK, 0);
                    *used = 0;
                    let read = file.read_at(block, *at);
                    block.truncate(*read.as_ref().unwrap_or(&0));
                    *at += read? as u64;
                }
                Ok(block.get(*used..).unwrap_or_default())
            }
        }
    }

    fn consume(&mut self, n: usize) {
        match self {
            Self::Memory(bytes) => *bytes = bytes.get(n..).unwrap_or_default(),
            Self::File { used, .. } => *used += n,
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            let input = self.wire.peek()?;
            if input.is_empty() {
                break;
            }
            // No more than fits, so that every byte of content goes out at once.
            let input = input.get(..out.len()).unwrap_or(input);
            let (framing, content) = match &mut self.chunks {
                None => (0, input.len()),
                Some(chunks) => match chunks.next(input) {
                    Piece::Content(framing, content) => (framing, content),
                    Piece::Framing(framing) => (framing, 0),
                    Piece::End(_) => {
                        self.ended = true;
                        break;
                    }
                    Piece::Bad(_, flaw) => {
                        self.ended = true;
                        let name: &'static str = flaw.into();
                        return Err(io::Error::new(io::ErrorKind::InvalidData, name));
                    }
                },
            };
            if let (Some(to), Some(from)) =
                (out.get_mut(..content), input.get(framing..framing + content))
            {
                to.copy_from_slice(from);
            }
            self.wire.consume(framing + content);
            if content > 0 {
                return Ok(content);
            }
        }
        Ok(0)
    }
}
