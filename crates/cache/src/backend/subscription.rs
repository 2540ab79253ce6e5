//! Messages of a channel as they come. Derived: hints that may be lost, and say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

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

/// A delivery, and how many were dropped before it since the subscription began.
type Placed = (Delivery, u64);

/// A running subscription. Dropping it ends it.
#[derive(Debug)]
#[must_use = "dropping a subscription ends it"]
pub struct Subscription {
    messages: mpsc::Receiver<Placed>,
    /// Comes after the gap that was told of last.
    held: Option<Delivery>,
    /// How many dropped messages the reader was told of.
    told: u64,
    dropped: Arc<AtomicU64>,
    _alive: mpsc::Sender<()>,
}

/// The other end, for the task that listens. One task sends.
#[derive(Debug)]
pub(crate) struct Sender {
    messages: mpsc::Sender<Placed>,
    dropped: Arc<AtomicU64>,
}

impl Subscription {
    /// A subscription, its sender, and what ends when it is dropped.
    pub(crate) fn new() -> (Self, Sender, mpsc::Receiver<()>) {
        let (send, messages) = mpsc::channel(WAITING_MAX);
        let (alive, ended) = mpsc::channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let sender = Sender { messages: send, dropped: dropped.clone() };
        (Self { messages, held: None, told: 0, dropped, _alive: alive }, sender, ended)
    }

    /// The next message, waiting for it; `None` when the backend was closed. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        if let Some(delivery) = self.try_next() {
            return Some(delivery);
        }
        // Nothing is there and nothing was lost. Of what is lost from now on there is word.
        let placed = self.messages.recv().await?;
        Some(self.in_place(placed))
    }

    /// The next message, if there is one already.
    pub fn try_next(&mut self) -> Option<Delivery> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        // Together with the one in `Sender::drop_one`: when that finds no room, this sees the loss.
        fence(Ordering::SeqCst);
        // Before looking for a message: then what was dropped lies before the end that is found.
        let dropped = self.dropped.load(Ordering::SeqCst);
        match self.messages.try_recv() {
            Ok(placed) => Some(self.in_place(placed)),
            Err(_) if dropped > self.told => {
                self.told = dropped;
                Some(Delivery::Gap)
            }
            Err(_) => None,
        }
    }

    /// Tells of a gap before the message that comes after it.
    fn in_place(&mut self, (delivery, dropped): Placed) -> Delivery {
        if dropped > self.told {
            self.told = dropped;
            self.held = (delivery != Delivery::Gap).then_some(delivery);
            return Delivery::Gap;
        }
        delivery
    }
}

impl Sender {
    /// Hands a delivery on; false when nobody listens any more. Never waits: when there is no
    /// room it is dropped, and the reader is told so at the place where it would have been.
    pub(crate) fn send(&self, delivery: Delivery) -> bool {
        let dropped = self.dropped.load(Ordering::SeqCst);
        match self.messages.try_send((delivery, dropped)) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.drop_one();
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }

    fn drop_one(&self) {
        let dropped = self.dropped.fetch_add(1, Ordering::SeqCst) + 1;
        fence(Ordering::SeqCst);
        // The reader may have taken everything meanwhile and be waiting, and nothing may come for a
        // long time. When there is no room even now it has something to take, and will look.
        let _no_room = self.messages.try_send((Delivery::Gap, dropped));
    }

    /// Whether somebody listens.
    pub(crate) fn is_open(&self) -> bool {
        !self.messages.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize) -> Delivery {
        Delivery::Message(number.to_string().into())
    }

    /// What a reader gets: numbers, and `None` for a gap.
    fn drain(subscription: &mut Subscription) -> Vec<Option<usize>> {
        let text = |bytes: Bytes| std::str::from_utf8(&bytes).expect("text").parse().expect("one");
        std::iter::from_fn(|| subscription.try_next())
            .map(|delivery| match delivery {
                Delivery::Message(bytes) => Some(text(bytes)),
                Delivery::Gap => None,
            })
            .collect()
    }

    #[test]
    fn a_gap_is_told_of_where_it_is() {
        let (mut subscription, sender, _ended) = Subscription::new();
        for number in 0..WAITING_MAX + 5 {
            assert!(sender.send(message(number)));
        }
        for number in 0..10 {
            assert_eq!(subscription.try_next(), Some(message(number)));
        }
        // There is room again: the notice comes before what comes now.
        assert!(sender.send(message(5000)));
        let rest = drain(&mut subscription);
        let expected: Vec<_> = (10..WAITING_MAX).map(Some).chain([None, Some(5000)]).collect();
        assert_eq!(rest, expected);
    }

    #[test]
    fn the_last_messages_to_be_lost_are_told_of_though_none_follows() {
        let (mut subscription, sender, _ended) = Subscription::new();
        for number in 0..WAITING_MAX + 1 {
            sender.send(message(number));
        }
        let found = drain(&mut subscription);
        assert_eq!(found.len(), WAITING_MAX + 1);
        assert_eq!(found.last(), Some(&None));
        drop(subscription);
        assert!(!sender.send(message(0)), "nobody listens");
    }

    #[test]
    fn a_reader_beside_a_fast_sender_never_misses_one_unnoticed() {
        const COUNT: usize = 50_000;
        let (mut subscription, sender, _ended) = Subscription::new();
        let sending = std::thread::spawn(move || {
            (0..COUNT).for_each(|number| assert!(sender.send(message(number))));
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut expected = 0;
        let mut may_skip = false;
        while let Some(delivery) = runtime.block_on(subscription.next()) {
            match delivery {
                Delivery::Gap => may_skip = true,
                Delivery::Message(bytes) => {
                    let text = std::str::from_utf8(&bytes).expect("text");
                    let number: usize = text.parse().expect("a number");
                    assert!(number == expected || (may_skip && number > expected), "{number}");
                    (expected, may_skip) = (number + 1, false);
                }
            }
        }
        assert!(expected == COUNT || may_skip, "the end is missing: {expected}");
        sending.join().expect("no panic");
    }
}
