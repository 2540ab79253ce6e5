//! What earlier projects claimed and broke, shown to hold here: one module for each.

mod hightower;
mod kawa;
mod kimberlite;
mod kotoba;
mod rusd;

#[path = "../../cache/tests/redis_server.rs"]
#[expect(dead_code, reason = "here it need not be killed or paused")]
mod redis_server;

use std::sync::Arc;

use cairn_engine::Engine;
use cairn_segment::{Log, LogConfig};
use cairn_vfs::{ManualClock, MemVfs, SeededRng, Vfs};

fn log_options(vfs: &MemVfs) -> cairn_segment::LogOptions {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    Log::options()
        .vfs(Arc::new(vfs.clone()) as Arc<dyn Vfs>)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(1)))
        .config(config)
}

fn engine(vfs: &MemVfs) -> Engine {
    Engine::options().log(log_options(vfs)).open().expect("opens")
}
