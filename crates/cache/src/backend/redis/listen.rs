//! The task behind a subscription: connects again as often as it must, and says that there was a
//! gap each time. Derived.

use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream as _;
use redis::aio::PubSub;
use tokio::sync::mpsc;

use super::connection::Address;
use crate::backend::{Delivery, Sender};
use crate::pace::Backoff;
use crate::{Error, Result};

/// Shortest and longest pause between attempts to connect.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// A quiet connection is asked now and then whether it still lives.
const QUIET: Duration = Duration::from_secs(2);

pub(crate) async fn connect(address: &Address, channel: &str, limit: Duration) -> Result<PubSub> {
    match tokio::time::timeout(limit, address.open_pubsub(channel)).await {
        Ok(connected) => connected,
        Err(_) => Err(Error::Timeout { limit }),
    }
}

pub(crate) async fn run(
    first: PubSub,
    address: Address,
    channel: String,
    limit: Duration,
    to: Sender,
    mut ended: mpsc::Receiver<()>,
) {
    let mut connection = Some(first);
    let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
    while to.is_open() {
        let work = async {
            match connection.take() {
                Some(connection) => {
                    backoff.reset();
                    pass_on(connection, limit, &to).await;
                    to.send(Delivery::Gap);
                }
                None => {
                    tokio::time::sleep(backoff.next()).await;
                    connection = connect(&address, &channel, limit).await.ok();
                    if connection.is_some() {
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

/// Until the connection breaks or nobody listens.
async fn pass_on(connection: PubSub, limit: Duration, to: &Sender) {
    let (mut sink, mut messages) = connection.split();
    while to.is_open() {
        let next = std::future::poll_fn(|context| Pin::new(&mut messages).poll_next(context));
        match tokio::time::timeout(QUIET, next).await {
            Ok(Some(message)) => {
                to.send(Delivery::Message(message.get_payload_bytes().to_vec().into()));
            }
            Ok(None) => return,
            Err(_) => match tokio::time::timeout(limit, sink.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return,
            },
        }
    }
}
