//! A small shop that makes its names up: sessions, tokens, carts, orders. Two of them answer the same
//! customer with different ones, and each refuses those of the other.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

/// What a shop is asked.
pub struct Asked<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Names in small letters.
    pub headers: HashMap<String, String>,
    pub body: &'a str,
}

impl<'a> Asked<'a> {
    /// Reads a request that lies in memory as a whole.
    pub fn read(wire: &'a str) -> Option<Self> {
        let (head, body) = wire.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { method, target, headers: lines.filter_map(header).collect(), body })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let mut pairs =
            self.header("cookie").split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
    }

    /// A field of a form or of a flat JSON object.
    fn field(&self, name: &str) -> Option<String> {
        if self.header("content-type") == "application/json" {
            let value: serde_json::Value = serde_json::from_str(self.body).ok()?;
            let field = value.get(name)?;
            return Some(field.as_str().map_or_else(|| field.to_string(), str::to_owned));
        }
        let mut pairs = self.body.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(given, _)| *given == name).map(|(_, value)| value.to_owned())
    }
}

/// A shop with an empty database.
pub struct Shop {
    /// Makes its names differ from those of another shop.
    salt: String,
    next_order: u64,
    made: u64,
    /// What a change must show, by the session's cookie.
    sessions: HashMap<String, String>,
    /// The tokens of apps, which outlive sessions.
    bearers: HashSet<String>,
    /// What is in each cart, by the cart's name.
    carts: HashMap<String, Vec<String>>,
    /// Each order's payment token.
    orders: HashMap<u64, String>,
}

impl Shop {
    /// Its first order has this number.
    pub fn new(salt: &str, first_order: u64) -> Self {
        Self {
            salt: salt.to_owned(),
            next_order: first_order,
            made: 0,
            sessions: HashMap::new(),
            bearers: HashSet::new(),
            carts: HashMap::new(),
            orders: HashMap::new(),
        }
    }

    /// One that any number of connections may ask: a request in, the answer out.
    pub fn open(salt: &str, first_order: u64) -> Arc<dyn Fn(&str) -> String + Send + Sync> {
        let shop = Mutex::new(Self::new(salt, first_order));
        Arc::new(move |request| match Asked::read(request) {
            Some(asked) => shop.lock().expect("no thread panicked").answer(&asked),
            None => "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_owned(),
        })
    }

    /// Its whole answer.
    pub fn answer(&mut self, asked: &Asked<'_>) -> String {
        let path = asked.target.split('?').next().unwrap_or_default();
        let path: Vec<&str> = path.split('/').skip(1).collect();
        let told = match (asked.method, path.as_slice()) {
            ("GET", ["login"]) => Ok(self.sign_in_page()),
            ("POST", ["login"]) => self.sign_in(asked),
            _ => self.serve(asked, &path),
        };
        told.unwrap_or_else(|why| format!("HTTP/1.1 {why}\r\nContent-Length: 0\r\n\r\n"))
    }

    fn sign_in_page(&mut self) -> String {
        let (sid, csrf) = (self.name(32), self.name(24));
        let page = format!(
            "<form method=post><input type=\"hidden\" name=\"csrf_token\" value=\"{csrf}\"></form>"
        );
        self.sessions.insert(sid.clone(), csrf);
        answer("200 OK", &format!("Set-Cookie: sid={sid}; HttpOnly\r\n"), "text/html", &page)
    }

    fn sign_in(&mut self, asked: &Asked<'_>) -> Result<String, &'static str> {
        let sid = asked.cookie("sid").unwrap_or_default();
        let csrf = self.sessions.remove(sid).ok_or("401 No Such Session")?;
        if asked.field("csrf_token") != Some(csrf) {
            return Err("403 Wrong Token");
        }
        // Signing in renews the session.
        let (sid, csrf, bearer) = (self.name(32), self.name(24), self.name(40));
        let body =
            format!("{{\"csrfToken\":\"{csrf}\",\"access_token\":\"{bearer}\",\"name\":\"Ann\"}}");
        self.sessions.insert(sid.clone(), csrf);
        self.bearers.insert(bearer);
        Ok(answer(
            "200 OK",
            &format!("Set-Cookie: sid={sid}; HttpOnly\r\n"),
            "application/json",
            &body,
        ))
    }

    /// What takes a session, and for changes its token.
    fn serve(&mut self, asked: &Asked<'_>, path: &[&str]) -> Result<String, &'static str> {
        match asked.header("authorization").strip_prefix("Bearer ") {
            Some(bearer) if self.bearers.contains(bearer) => {}
            Some(_) => return Err("401 No Such Token"),
            None => {
                let csrf = asked.cookie("sid").and_then(|sid| self.sessions.get(sid));
                let csrf = csrf.ok_or("401 No Such Session")?;
                if asked.method != "GET" && asked.header("x-csrf-token") != csrf {
                    return Err("403 Wrong Token");
                }
            }
        }
        match (asked.method, path) {
            ("POST", ["carts"]) => {
                let cart = self.name(32);
                self.carts.insert(cart.clone(), Vec::new());
                Ok(created(
                    &format!("/carts/{cart}"),
                    &format!("{{\"id\":\"{cart}\",\"items\":[]}}"),
                ))
            }
            ("POST", ["carts", cart, "items"]) => {
                let item = asked.field("product").zip(asked.field("quantity"));
                let (product, quantity) = item.ok_or("400 What Product")?;
                let items = self.carts.get_mut(*cart).ok_or("404 No Such Cart")?;
                items.push(format!("{quantity} of {product}"));
                Ok(created(
                    &format!("/carts/{cart}/items/{}", items.len()),
                    &format!(
                        "{{\"cartId\":\"{cart}\",\"product\":{product},\"quantity\":{quantity}}}"
                    ),
                ))
            }
            ("POST", ["orders"]) => {
                let cart = asked.field("cartId").unwrap_or_default();
                let items = self.carts.remove(&cart).ok_or("404 No Such Cart")?;
                let (order, token) = (self.next_order, self.name(20));
                self.next_order += 1;
                self.orders.insert(order, token.clone());
                let items = serde_json::json!(items);
                Ok(created(
                    &format!("/orders/{order}"),
                    &format!("{{\"id\":{order},\"paymentToken\":\"{token}\",\"items\":{items}}}"),
                ))
            }
            ("PUT", ["orders", order, "payment"]) => {
                let token = self.order(order)?;
                let same = asked.field("orderId").as_deref() == Some(*order);
                if !same || asked.field("payment_token").as_ref() != Some(token) {
                    return Err("403 Wrong Token");
                }
                Ok(answer("200 OK", "", "application/json", "{\"state\":\"paid\"}"))
            }
            ("GET", ["orders", order]) => {
                self.order(order)?;
                let body = format!("{{\"order\":{{\"id\":{order}}}}}");
                Ok(answer("200 OK", "", "application/json", &body))
            }
            ("DELETE", ["session"]) => {
                self.sessions.remove(asked.cookie("sid").unwrap_or_default());
                Ok("HTTP/1.1 204 No Content\r\n\r\n".to_owned())
            }
            _ => Err("404 No Such Page"),
        }
    }

    fn order(&self, number: &str) -> Result<&String, &'static str> {
        number.parse().ok().and_then(|n: u64| self.orders.get(&n)).ok_or("404 No Such Order")
    }

    /// So many hexadecimal digits that no other shop makes.
    fn name(&mut self, digits: usize) -> String {
        self.made += 1;
        let hash = Sha256::digest(format!("{} {}", self.salt, self.made));
        hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>()[..digits].to_owned()
    }
}

fn answer(status: &str, headers: &str, media_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: {media_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn created(location: &str, body: &str) -> String {
    answer("201 Created", &format!("Location: {location}\r\n"), "application/json", body)
}
