//! The http room, tested as conversations.

mod cases;
mod limits;
mod pairing;
mod property;
mod protocol;
mod talk;
