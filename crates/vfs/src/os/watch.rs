//! Directory changes by inotify.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::{DirWatcher, Error, Op, Result};

#[derive(Debug)]
struct Inotify {
    fd: OwnedFd,
    dir: String,
}

pub(super) fn watch(place: &Path, dir: &str) -> Result<Box<dyn DirWatcher>> {
    let failed = |error: rustix::io::Errno| Error::from_io(Op::Watch, dir, error.into());
    let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
    let fd = inotify::init(flags).map_err(failed)?;
    let events = inotify::WatchFlags::MODIFY
        | inotify::WatchFlags::CREATE
        | inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::DELETE;
    inotify::add_watch(&fd, place, events).map_err(failed)?;
    Ok(Box::new(Inotify { fd, dir: dir.to_owned() }))
}

impl DirWatcher for Inotify {
    fn wait(&mut self, timeout: Duration) -> Result<bool> {
        let failed = |error: rustix::io::Errno| Error::from_io(Op::Watch, &self.dir, error.into());
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(failed(error)),
        }
        // All queued events mean the same: look again.
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.fd, &mut buffer);
        loop {
            match events.next() {
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(true),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}
