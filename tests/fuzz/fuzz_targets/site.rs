//! A site that answers everything.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use lb_proxy::{
    account::Record,
    connection::Connection,
    http::{Informational, Method, Reason, Request, Response, Sent, Service},
};

/// Answers everything, tells what was asked, and counts what is under way.
#[derive(Default)]
pub struct Site {
    /// What was asked, in order.
    pub asked: RefCell<Vec<String>>,
    under_way: Cell<i32>,
}

struct UnderWay<'a>(&'a Site);

impl Site {
    /// Nothing is left of the connections.
    pub fn assert_idle(&self) {
        assert_eq!(self.under_way.get(), 0, "something is left of the connection");
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(self.0.under_way.get() - 1);
    }
}

impl Service for Site {
    async fn call(&self, _: &Rc<Connection>, request: Request, early: Informational) -> Response {
        self.under_way.set(self.under_way.get() + 1);
        let _under_way = UnderWay(self);
        let (authority, target) = (request.authority(), request.target());
        assert!(!target.is_empty());
        let text = |it| String::from_utf8_lossy(it);
        let asked = format!("{:?} {} {}", request.method, text(authority), text(target));
        self.asked.borrow_mut().push(asked);
        early.send(103, &request.fields);
        let mut response = Response::new(200);
        response.fields = request.fields;
        match request.method {
            Method::Put => std::future::pending().await,
            Method::Post => response.body = request.body,
            _ => {}
        }
        response
    }

    fn finished(&self, _: &Rc<Connection>, _: Option<Box<Record>>, _: Sent) {}

    fn refused(&self, _: &Rc<Connection>, reason: Reason) {
        self.asked.borrow_mut().push(reason.name().to_owned());
    }
}
