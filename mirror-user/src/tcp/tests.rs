//! Conversations, a slow model, and hostile input.

mod conversations;
mod hostile;
mod model;
mod speed;
mod talk;
