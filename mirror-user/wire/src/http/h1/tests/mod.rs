//! HTTP/1, tested as conversations.

mod accounts;
mod cases;
mod early;
mod limits;
mod omitted;
mod pairing;
mod property;
mod protocol;
mod recovery;
mod request;
mod response;
mod talk;
mod unseen_head;
