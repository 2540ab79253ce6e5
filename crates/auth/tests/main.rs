//! Each promise of the crate, by name; decisions against a naive evaluator; damage of every bit.

mod api_keys;
mod audit;
mod concurrency;
mod crossing;
mod damage;
mod flood;
mod known_answers;
mod lockout;
mod login;
mod passwords;
mod policy;
mod sealing;
mod secrecy;
mod sessions;
mod store;
mod users;
mod world;
