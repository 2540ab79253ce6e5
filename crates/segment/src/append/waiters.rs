//! Threads that wait for a watermark while another thread leads the I/O.

use std::thread::Thread;

use cairn_types::Lsn;

/// How far a batch must have come before its caller may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Handed to the operating system.
    Written,
    /// On the disk.
    Durable,
}

#[derive(Debug)]
struct Waiter {
    end: Lsn,
    reach: Reach,
    thread: Thread,
}

/// Parked threads, woken one by one so that nobody wakes for nothing.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    list: Vec<Waiter>,
}

impl Waiters {
    pub(crate) fn add(&mut self, end: Lsn, reach: Reach) {
        self.list.push(Waiter { end, reach, thread: std::thread::current() });
    }

    /// Forgets the calling thread, which woke for another reason.
    pub(crate) fn remove_current(&mut self) {
        let me = std::thread::current().id();
        self.list.retain(|waiter| waiter.thread.id() != me);
    }

    pub(crate) fn wants_durable(&self) -> bool {
        self.list.iter().any(|waiter| waiter.reach == Reach::Durable)
    }

    /// Takes out everyone whose watermark is reached and, if others remain, one of them to
    /// lead the next round. That one comes last: woken first it would sync before the others
    /// have submitted again, with less to share.
    pub(crate) fn take_ready(&mut self, written: Lsn, durable: Lsn, ready: &mut Vec<Thread>) {
        self.list.retain(|waiter| {
            let reached = match waiter.reach {
                Reach::Written => waiter.end <= written,
                Reach::Durable => waiter.end <= durable,
            };
            if reached {
                ready.push(waiter.thread.clone());
            }
            !reached
        });
        if let Some(next) = self.list.pop() {
            ready.push(next.thread);
        }
    }

    /// Takes out everyone, after a failure.
    pub(crate) fn take_all(&mut self, ready: &mut Vec<Thread>) {
        ready.extend(self.list.drain(..).map(|waiter| waiter.thread));
    }
}
