//! The log against its promises: order, restart, damage, retention, reading.

mod damage;
mod life;
mod reading;
mod store;
