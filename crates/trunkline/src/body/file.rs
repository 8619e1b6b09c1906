//! Files as bodies: by their path, which can be sent again, and open ones, which cannot.

use std::io::{self, SeekFrom};
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::source::{KnownError, Measuring, Piece, Source};
use super::stream::Streamed;
use super::{Body, NotReplayable};
use crate::error::{Error, Kind, Result};

/// The size of a read: each read is a trip to a blocking thread and back.
const PIECE: usize = 256 * 1024;

/// A file by its path.
pub(super) struct Named {
    path: Arc<Path>,
    /// The first byte, and the one behind the last if that was said.
    start: u64,
    end: Option<u64>,
    /// Once it is known.
    length: Option<u64>,
    reading: Option<Streamed<Reader>>,
}

impl Named {
    pub(super) fn new(path: &Path, range: impl RangeBounds<u64>) -> Self {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => Some(last.saturating_add(1)),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => None,
        };
        Self { path: path.into(), start, end, length: None, reading: None }
    }

    async fn look(&mut self) -> Result<()> {
        let (start, path) = (self.start, &self.path);
        let unusable = |why: String| Error::input(format!("the file {} cannot be sent: {why}", path.display()));
        let size = size(path.clone()).await.map_err(|error| unusable("see the cause".into()).because(error))?;
        let Some(size) = size else {
            return Err(unusable("it is no regular file; open it and send what it yields (Body::from)".into()));
        };
        let end = self.end.unwrap_or(size);
        if start > end || end > size {
            return Err(unusable(format!("it has {size} bytes, and those from {start} to {end} were asked for")));
        }
        self.length = Some(end - start);
        Ok(())
    }
}

/// The size of a regular file that can be read.
async fn size(path: Arc<Path>) -> io::Result<Option<u64>> {
    let looked = tokio::task::spawn_blocking(move || {
        // Before it is opened: to open a pipe may take for ever.
        if !std::fs::metadata(&path)?.is_file() {
            return Ok(None);
        }
        let mut file = std::fs::File::open(&path)?;
        let size = file.metadata()?.len();
        // A file that the kernel makes up as it is read (`/proc`) has a size of 0 and yet a
        // content.
        let made_up = size == 0 && io::Read::read(&mut file, &mut [0])? > 0;
        Ok((!made_up).then_some(size))
    });
    looked.await.map_err(io::Error::other)?
}

impl Source for Named {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        let reading = self.reading.get_or_insert_with(|| {
            let name = format!("file {}", self.path.display());
            let reader = Reader::opening(&self.path, self.start, self.end, name.clone());
            let mut reading = Streamed::new(reader, "file").named(name);
            if let Some(length) = self.length {
                reading.announce(length);
            }
            reading
        });
        reading.poll_piece(cx)
    }

    fn has_ended(&self) -> bool {
        match &self.reading {
            Some(reading) => reading.has_ended(),
            None => self.length == Some(0),
        }
    }

    fn length(&self) -> SizeHint {
        match (&self.reading, self.length) {
            (Some(reading), _) => reading.length(),
            (None, Some(length)) => SizeHint::with_exact(length),
            (None, None) => SizeHint::new(),
        }
    }

    fn announce(&mut self, length: u64) {
        self.length = Some(length);
        if let Some(reading) = &mut self.reading {
            reading.announce(length);
        }
    }

    fn again(&self) -> Result<Body, NotReplayable> {
        let Self { path, start, end, length, reading: _ } = self;
        let again = Self { path: path.clone(), start: *start, end: *end, length: *length, reading: None };
        Ok(Body::from(Box::new(again)))
    }

    fn is_to_be_measured(&self) -> bool {
        self.length.is_none() && self.reading.is_none()
    }

    fn measure(&mut self) -> Measuring<'_> {
        Box::pin(self.look())
    }

    fn what(&self) -> &'static str {
        "file"
    }
}

/// An open file.
pub(super) struct Handle {
    reading: Streamed<Reader>,
    measured: bool,
}

impl Handle {
    pub(super) fn new(file: std::fs::File) -> Self {
        let state = ReadState::Open(File::from_std(file));
        let reader = Reader { state, name: "open file".into(), left: None, buffer: BytesMut::new() };
        Self { reading: Streamed::new(reader, "open file"), measured: false }
    }

    async fn look(&mut self) -> Result<()> {
        self.measured = true;
        let ReadState::Open(file) = &mut self.reading.pieces_mut().state else { return Ok(()) };
        let unusable = |error: io::Error| Error::input("the open file cannot be sent").because(error);
        let metadata = file.metadata().await.map_err(unusable)?;
        // A file that the kernel makes up as it is read (`/proc`) has a size of 0 and yet a
        // content.
        if metadata.is_file() && metadata.len() > 0 {
            let from = file.stream_position().await.map_err(unusable)?;
            self.reading.announce(metadata.len().saturating_sub(from));
        }
        Ok(())
    }
}

impl Source for Handle {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Piece> {
        self.reading.poll_piece(cx)
    }

    fn has_ended(&self) -> bool {
        self.reading.has_ended()
    }

    fn length(&self) -> SizeHint {
        self.reading.length()
    }

    fn announce(&mut self, length: u64) {
        self.measured = true;
        self.reading.announce(length);
    }

    fn again(&self) -> Result<Body, NotReplayable> {
        Err(NotReplayable::new("open file"))
    }

    fn is_to_be_measured(&self) -> bool {
        !self.measured && self.reading.announced().is_none()
    }

    fn measure(&mut self) -> Measuring<'_> {
        Box::pin(self.look())
    }

    fn what(&self) -> &'static str {
        "open file"
    }
}

/// The content of a file, read in pieces.
struct Reader {
    state: ReadState,
    name: String,
    /// The number of bytes still to read. None reads to the end of the file.
    left: Option<u64>,
    buffer: BytesMut,
}

enum ReadState {
    Opening(Pin<Box<dyn Future<Output = io::Result<File>> + Send>>),
    Open(File),
}

impl Reader {
    fn opening(path: &Arc<Path>, start: u64, end: Option<u64>, name: String) -> Self {
        let path = path.clone();
        let opening = async move {
            let mut file = File::open(&path).await?;
            if start > 0 {
                file.seek(SeekFrom::Start(start)).await?;
            }
            Ok(file)
        };
        let left = end.map(|end| end.saturating_sub(start));
        Self { state: ReadState::Opening(Box::pin(opening)), name, left, buffer: BytesMut::new() }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match &mut self.state {
                ReadState::Opening(opening) => self.state = ReadState::Open(ready!(opening.as_mut().poll(cx))?),
                ReadState::Open(file) => {
                    let most = self.left.and_then(|left| usize::try_from(left).ok()).map_or(PIECE, |n| n.min(PIECE));
                    self.buffer.reserve(PIECE);
                    // Nothing is lost with this future: the file keeps what it has begun to read.
                    let mut part = bytes::BufMut::limit(&mut self.buffer, most);
                    let read = ready!(pin!(file.read_buf(&mut part)).poll(cx))?;
                    self.left = self.left.map(|left| left.saturating_sub(read as u64));
                    return Poll::Ready(Ok((read > 0).then(|| self.buffer.split().freeze())));
                }
            }
        }
    }
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = KnownError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, KnownError>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let read = ready!(self.poll_read(cx)).map_err(|error| {
            let detail = format!("the {} could not be read", self.name);
            KnownError(Error::new(Kind::Body).detail(detail).because(error))
        });
        Poll::Ready(read.transpose().map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }
}
