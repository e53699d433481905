//! A version, or a layered image, as a stream of bytes: a disk image made while it is sent, in any format.

use crate::app::App;
use crate::catalog::{ImageRow, LayerRow, VersionRow};
use crate::error::{Error, Result};
use crate::requests::permitted;
use crate::stored::{StoredDisk, StoredFrames};
use crate::view::Scene;
use axum::body::Bytes;
use futures_util::Stream;
use shale_disk::{Format, Sink};
use shale_model::ImageFacts;
use shale_store::Version;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

/// Pieces that are sent, and how many may wait for a slow receiver.
const PIECE: usize = 1 << 20;
const WAITING: usize = 4;

/// An image that can be sent.
pub struct Image {
    /// What a browser would call it.
    pub file_name: String,
    /// Bytes, where that is known beforehand.
    pub length: Option<u64>,
    format: Format,
    version: Version,
}

/// The version `id` as an image in `format`.
pub async fn open_version(app: &App, id: Uuid, format: Format) -> Result<Image> {
    let mut tx = app.world.catalog.read().await?;
    let row = VersionRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("version", id))?;
    let layer = LayerRow::get(&mut tx, row.layer_id).await?;
    let layer = layer.ok_or_else(|| Error::not_found("layer", row.layer_id))?;
    let scene = Scene::read(&mut tx).await?;
    permitted(&scene.version_facts(&layer, &row, None, None).actions(), "export")?;
    drop(tx);
    open(app, id, &format!("{}-{}", layer.name, row.name), format).await
}

/// The layered image `id`, in its own format unless another is wanted.
pub async fn open_image(app: &App, id: Uuid, format: Option<Format>) -> Result<Image> {
    let mut tx = app.world.catalog.read().await?;
    let row = ImageRow::get(&mut tx, id).await?.ok_or_else(|| Error::not_found("layered image", id))?;
    drop(tx);
    let facts = ImageFacts { name: row.name.clone(), state: row.state };
    permitted(&facts.actions(), "download")?;
    let own = || {
        row.format
            .parse()
            .map_err(|e: shale_disk::Error| Error::internal("an image has no format").because(e))
    };
    let format = format.map_or_else(own, Ok)?;
    open(app, row.composition_id, &row.name, format).await
}

/// What the repository has as `id`, called `name`.
async fn open(app: &App, id: Uuid, name: &str, format: Format) -> Result<Image> {
    let repository = app.world.repository.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let version = repository.version(id.into())?;
        let length =
            shale_disk::exported_size(&StoredDisk(repository.version(id.into())?), format).ok().flatten();
        Ok::<_, shale_store::Error>((version, length))
    });
    let opened = opened.await.map_err(|e| Error::internal("opening a version failed").because(e))?;
    let (version, length) =
        opened.map_err(|e| Error::unavailable("The repository did not give the disk.").because(e))?;
    let plain = name.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' });
    let file_name = format!("{}.{}", plain.collect::<String>(), format.extension());
    Ok(Image { file_name, length, format, version })
}

impl Image {
    /// The image's bytes. An error while sending breaks the stream off, so that no receiver takes half for whole.
    pub fn stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        let (sender, receiver): (Sender<io::Result<Bytes>>, Receiver<_>) = channel(WAITING);
        let name = self.file_name.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = self.send(&sender) {
                tracing::warn!(name, error = crate::error::chain(&error), "a download broke off");
                let _ = sender.blocking_send(Err(io::Error::other(error)));
            }
        });
        ReceiverStream::new(receiver)
    }

    fn send(self, sender: &Sender<io::Result<Bytes>>) -> shale_disk::Result<()> {
        let mut sink = shale_disk::Stream(BufWriter::with_capacity(PIECE, ToBody(sender)));
        let watch = |_| if sender.is_closed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        match self.format {
            Format::Qcow2Compressed => {
                let size = self.version.size();
                shale_disk::qcow2::export_frames(size, &StoredFrames(self.version), &mut sink, &watch)?;
                sink.finish()
            }
            format => shale_disk::export(&StoredDisk(self.version), format, &mut sink, &watch),
        }
    }
}

/// Writes become pieces of an HTTP body; waits while the receiver is slow.
struct ToBody<'a>(&'a Sender<io::Result<Bytes>>);

impl Write for ToBody<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the receiver has gone");
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
