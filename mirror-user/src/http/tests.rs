//! The http room, tested as conversations.

mod cases;
mod pairing;
mod talk;
