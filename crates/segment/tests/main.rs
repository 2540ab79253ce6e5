//! The log against its promises: order, restart, damage, retention, cleaning, repair, reading.

mod backup;
mod cleaning;
mod damage;
mod golden;
mod handover;
mod life;
mod reading;
mod repair;
mod rotation;
mod sealed;
mod snapshot;
mod space;
mod store;
mod verified;
