//! Messages of a channel as they come. Derived: hints that may be lost, and say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

/// Messages that wait for a slow reader; more are dropped, and told of as a gap.
const WAITING_MAX: usize = 1024;

/// What comes out of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// A message.
    Message(Bytes),
    /// From here on messages may be missing: the connection broke, or the reader was slow.
    Gap,
}

/// A running subscription. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    messages: mpsc::Receiver<Delivery>,
    lost: Arc<AtomicBool>,
    _alive: mpsc::Sender<()>,
}

/// The other end, for the task that listens.
#[derive(Debug)]
pub(crate) struct Sender {
    messages: mpsc::Sender<Delivery>,
    lost: Arc<AtomicBool>,
}

impl Subscription {
    /// A subscription, its sender, and what ends when it is dropped.
    pub(crate) fn new() -> (Self, Sender, mpsc::Receiver<()>) {
        let (send, messages) = mpsc::channel(WAITING_MAX);
        let (alive, ended) = mpsc::channel(1);
        let lost = Arc::new(AtomicBool::new(false));
        let sender = Sender { messages: send, lost: lost.clone() };
        (Self { messages, lost, _alive: alive }, sender, ended)
    }

    /// The next message, waiting for it; `None` when the backend was closed. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        if self.messages.is_empty() && self.lost.swap(false, Ordering::AcqRel) {
            return Some(Delivery::Gap);
        }
        let next = self.messages.recv().await;
        if next.is_none() && self.lost.swap(false, Ordering::AcqRel) {
            return Some(Delivery::Gap);
        }
        next
    }

    /// The next message, if there is one already.
    pub fn try_next(&mut self) -> Option<Delivery> {
        match self.messages.try_recv() {
            Ok(delivery) => Some(delivery),
            Err(_) if self.lost.swap(false, Ordering::AcqRel) => Some(Delivery::Gap),
            Err(_) => None,
        }
    }
}

impl Sender {
    /// Hands a message on; false when nobody listens any more. Never waits.
    pub(crate) fn send(&self, delivery: Delivery) -> bool {
        match self.messages.try_send(delivery) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.lost.store(true, Ordering::Release);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    /// Whether somebody listens.
    pub(crate) fn is_open(&self) -> bool {
        !self.messages.is_closed()
    }
}
