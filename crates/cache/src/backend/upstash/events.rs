//! Messages as server-sent events: `data: message,CHANNEL,TEXT`. Derived.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::sync::mpsc;

use super::http::Http;
use crate::backend::{Delivery, Sender, VALUE_LEN_MAX};
use crate::pace::Backoff;

/// Shortest and longest pause between attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// A stream that is silent for so long is opened anew.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// Longest event: a message and its channel.
const EVENT_LEN_MAX: usize = VALUE_LEN_MAX + 4096;

pub(crate) async fn run(
    first: Response,
    http: Arc<Http>,
    channel: String,
    to: Sender,
    mut ended: mpsc::Receiver<()>,
) {
    let mut stream = Some(first);
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    while to.is_open() {
        let work = async {
            match stream.take() {
                Some(open) => {
                    pass_on(open, &channel, &to).await;
                    to.send(Delivery::Gap);
                    backoff.reset();
                    tokio::time::sleep(backoff.next()).await;
                }
                None => {
                    tokio::time::sleep(backoff.next()).await;
                    stream = http.listen(&channel).await.ok();
                    if stream.is_some() {
                        // Whoever read everything at the first gap missed what came since.
                        to.send(Delivery::Gap);
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            _ = ended.recv() => return,
        }
    }
}

async fn pass_on(mut stream: Response, channel: &str, to: &Sender) {
    let mut events = Events::default();
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(SILENCE_MAX, stream.chunk()).await {
        let Ok(found) = events.feed(&chunk) else { return };
        for event in found {
            if let Some(message) = message_of(&event, channel)
                && !to.send(Delivery::Message(message))
            {
                return;
            }
        }
    }
}

/// The message of an event, if it is one of this channel.
fn message_of(event: &[u8], channel: &str) -> Option<Bytes> {
    let rest = event.strip_prefix(b"message,")?.strip_prefix(channel.as_bytes())?;
    rest.strip_prefix(b",").map(Bytes::copy_from_slice)
}

/// Puts events together from pieces of a stream.
#[derive(Debug, Default)]
struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

/// An event over the limit.
#[derive(Debug, PartialEq, Eq)]
struct TooLong;

impl Events {
    /// The data of the events that end in this piece. Lines end with LF, CR or both.
    fn feed(&mut self, piece: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut events = Vec::new();
        for byte in piece {
            let after_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => events.extend(self.line_done()),
                _ if self.line.len() + self.data.len() >= EVENT_LEN_MAX => return Err(TooLong),
                _ => self.line.push(*byte),
            }
        }
        Ok(events)
    }

    fn line_done(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(data);
        }
        if let Some(data) = line.strip_prefix(b"data:") {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
            self.has_data = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_come_out_whole_however_they_are_cut() {
        let text =
            b": hello\ndata: subscribe,c,1\n\ndata: message,c,a,b\r\n\r\ndata:x\ndata: y\n\n";
        for piece in 1..text.len() {
            let mut events = Events::default();
            let found: Vec<Vec<u8>> =
                text.chunks(piece).flat_map(|piece| events.feed(piece).expect("short")).collect();
            assert_eq!(found, [&b"subscribe,c,1"[..], b"message,c,a,b", b"x\ny"], "{piece}");
        }
    }

    #[test]
    fn only_messages_of_the_channel_are_taken() {
        assert_eq!(message_of(b"message,c,a,b", "c").as_deref(), Some(&b"a,b"[..]));
        assert_eq!(message_of(b"message,cc,a", "c"), None);
        assert_eq!(message_of(b"subscribe,c,1", "c"), None);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut events = Events::default();
        let piece = vec![b'a'; 1 << 20];
        assert!((0..32).any(|_| events.feed(&piece) == Err(TooLong)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_a_panic(
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..8),
        ) {
            let mut events = Events::default();
            for piece in pieces {
                let _either = events.feed(&piece);
            }
        }
    }
}
