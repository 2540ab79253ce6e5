//! The thread that syncs by time and by volume, for logs that do not sync every append.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::append::Append;

#[derive(Debug, Default)]
struct Signal {
    stop: Mutex<bool>,
    changed: Condvar,
}

/// The background thread, if one runs.
#[derive(Debug, Default)]
pub(crate) struct Background {
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    /// Starts the thread; it looks every `period` whether a sync is due.
    pub(crate) fn start(append: &Arc<Append>, period: Duration) -> std::io::Result<Self> {
        let signal = Arc::new(Signal::default());
        let (seen, append) = (signal.clone(), append.clone());
        let run = move || {
            let mut stop = seen.stop.lock().unwrap_or_else(PoisonError::into_inner);
            while !*stop {
                let waited = seen.changed.wait_timeout(stop, period);
                stop = waited.unwrap_or_else(PoisonError::into_inner).0;
                if !*stop && append.sync_is_due() {
                    drop(stop);
                    // A failure poisons the log, and every later append reports it.
                    let _reported_by_appends = append.sync_behind();
                    stop = seen.stop.lock().unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        let thread = std::thread::Builder::new().name("cairn-sync".into()).spawn(run)?;
        Ok(Self { signal, thread: Mutex::new(Some(thread)) })
    }

    /// Ends the thread and waits for it.
    pub(crate) fn stop(&self) {
        *self.signal.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.signal.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ended = thread.join();
        }
    }
}
