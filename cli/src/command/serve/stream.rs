//! Events from the server to a viewer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

use super::answer::{text, typed};
use super::frame::ProgramFrame;
use super::live::{Live, View, Wanted};

/// The type of a stream.
pub(super) const KIND: &str = "text/event-stream";
/// Time between comments on a stream without events.
const BEAT: Duration = Duration::from_secs(15);

/// The frames of one view. It keeps only the version that was sent last, so a slow reader leaves frames
/// out.
pub(super) struct Events {
    live: Arc<Live>,
    versions: watch::Receiver<u64>,
    views: Vec<Sent>,
    _permit: OwnedSemaphorePermit,
}

/// A view, and what was sent of it.
struct Sent {
    view: View,
    /// Id of the program.
    id: String,
    version: u64,
    /// Lines from before the stream are not sent.
    lines: Option<u64>,
}

impl Events {
    pub(super) fn new(
        live: Arc<Live>,
        views: impl IntoIterator<Item = (View, String)>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let sent = |(view, id)| Sent { view, id, version: 0, lines: None };
        let (versions, views) = (live.versions(), views.into_iter().map(sent).collect());
        Self { live, versions, views, _permit: permit }
    }

    pub(super) fn response(self) -> Response {
        let stream = unfold(self, async |mut events| {
            let text = events.next().await?;
            Some((Ok::<_, std::convert::Infallible>(text), events))
        });
        typed(Body::from_stream(stream), KIND)
    }

    /// The next events; `None` at the end of the server.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.live.has_ended() {
                return None;
            }
            self.versions.borrow_and_update();
            let mut all = String::new();
            // Frames are locked while they are made, for some milliseconds.
            tokio::task::block_in_place(|| {
                for sent in &mut self.views {
                    sent.events(&self.live, &mut all);
                }
            });
            if !all.is_empty() {
                return Some(all);
            }
            match timeout(BEAT, self.versions.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(": beat\n\n".to_owned()),
            }
        }
    }
}

impl Sent {
    /// Adds what is new since the last call.
    fn events(&mut self, live: &Live, all: &mut String) {
        match &self.view.wanted {
            Wanted::Home => live.home_frame(|home| {
                if home.version > self.version {
                    event(all, "home", home.time, &home.since(self.version));
                    self.version = home.version;
                }
            }),
            Wanted::Program { key, .. } => {
                let key = *key;
                live.frame(key, |frame| {
                    if frame.version > self.version {
                        self.program(frame, all);
                        self.version = frame.version;
                    }
                });
            }
        }
    }

    fn program(&mut self, frame: &ProgramFrame, all: &mut String) {
        let head = format!("{{\"time\":{},\"program\":{}", frame.time, text(&self.id));
        if let Some(state) = frame.state_since(self.version) {
            event(all, "state", frame.time, &format!("{head},{state}}}"));
        }
        let values = frame.values_since(self.version);
        if !values.is_empty() {
            let data = format!("{head},\"values\":{{{}}}}}", values.join(","));
            event(all, "values", frame.time, &data);
        }
        let lines = frame.lines_since(self.lines.unwrap_or(frame.version));
        if !lines.is_empty() {
            event(all, "lines", frame.time, &format!("{head},\"lines\":[{}]}}", lines.join(",")));
        }
        self.lines = Some(frame.version);
    }
}

/// JSON has no line end inside, so the data is one line.
fn event(all: &mut String, name: &str, time: f64, data: &str) {
    *all += &format!("event: {name}\nid: {time}\ndata: {data}\n\n");
}
