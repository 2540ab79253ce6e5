//! The batch format against a plain model, and against damage.

mod damage;
mod model;
mod ring;
mod round_trip;
mod seal;
