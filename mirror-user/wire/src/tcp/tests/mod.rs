//! Conversations, a slow model, and hostile input.

mod contest;
mod conversations;
mod hostile;
mod model;
mod roles;
mod speed;
mod talk;
mod tenants;
mod twins;
