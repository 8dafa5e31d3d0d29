//! `shadow-sample DSN`: takes orders on a port of loopback. Requests marked
//! `X-Shadow-Mode: rollback` are carried out, answered, and rolled back.
//!
//! `docs/shadow-contract.md` says what services owe to the marks; `layer.rs` is what to copy.
#![forbid(unsafe_code)]

mod layer;

use std::error::Error;

use axum::extract::{Extension, Path};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Router, serve};
use layer::{Mode, Transaction, TransactionLayer};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let database = std::env::args().nth(1).ok_or("usage: shadow-sample DSN")?.parse()?;
    let app = Router::new()
        .route("/orders", post(order))
        .route("/orders/{id}", get(item))
        .layer(TransactionLayer::new(database));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener, app).await?;
    Ok(())
}

/// Takes an order, which is the body, and answers with its number. Nothing here asks whether the
/// database keeps it; only what a database cannot take back does.
async fn order(
    Extension(transaction): Extension<Transaction>,
    Extension(mode): Extension<Mode>,
    item: String,
) -> Result<impl IntoResponse, StatusCode> {
    let insert = "INSERT INTO orders (item) VALUES ($1) RETURNING id";
    let row = transaction.client().query_one(insert, &[&item]).await.map_err(|error| {
        eprintln!("order: {error}");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    let id: i64 = row.get(0);
    if mode == Mode::Commit {
        notify_warehouse(id);
    }
    let location = [(LOCATION, format!("/orders/{id}"))];
    Ok((StatusCode::CREATED, location, format!("order {id}\n")))
}

/// Gives the item of an order that is there.
async fn item(
    Extension(transaction): Extension<Transaction>,
    Path(id): Path<i64>,
) -> Result<String, StatusCode> {
    let select = "SELECT item FROM orders WHERE id = $1";
    let row = transaction.client().query_opt(select, &[&id]).await.map_err(|error| {
        eprintln!("order: {error}");
        StatusCode::INTERNAL_SERVER_ERROR
    })?;
    row.map(|row| row.get(0)).ok_or(StatusCode::NOT_FOUND)
}

/// Stands for a message, a mail or a payment: what no rollback takes back.
fn notify_warehouse(id: i64) {
    println!("warehouse: order {id}");
}
