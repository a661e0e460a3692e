//! A request's way: listener, rule, filters, upstream, and back.

use super::{Upstreams, Worker};
use crate::{
    account::Record,
    connection::Connection,
    exchange::Exchange,
    filter::{self, Filters},
    http::{Informational, Known, Reason, Request, Response, Sent, Service},
    send,
    snapshot::{Listener, Port, Rule, Snapshot},
    turn,
};
use std::{rc::Rc, sync::Arc};

impl Service for Rc<Worker> {
    async fn call(
        &self,
        connection: &Rc<Connection>,
        mut request: Request,
        early: Informational,
    ) -> Response {
        let upstreams = Upstreams { worker: Self::clone(self), snapshot: self.snapshot() };
        let record = record(connection, &request);
        let connection = Rc::clone(connection);
        let mut exchange = Exchange { connection, record, prefix_bytes: 0, early };
        let mut response = upstreams.answer(&mut exchange, &mut request).await;
        let mut record = exchange.record;
        (record.status, record.reason) = (response.status, response.reason);
        response.record = Some(record);
        response
    }

    fn finished(&self, connection: &Rc<Connection>, record: Option<Box<Record>>, sent: Sent) {
        let Some(mut record) = record else { return };
        if !sent.is_complete && record.reason.is_none() {
            record.reason = Some(Reason::ClientGone);
        }
        if let Some(stats) = &record.rule_stats {
            stats.finished(self.index, &record, sent, turn::now().into_std());
        }
        if let (Some(stats), Some(reason)) = (&record.listener_stats, record.reason) {
            stats.refused(self.index, reason);
        }
        let snapshot = self.common.snapshot.load();
        if let Some(log) = snapshot.access_log() {
            self.with_logger(|logger| logger.log(log, connection, &record, sent));
            self.flush_log_soon();
        }
    }

    fn refused(&self, connection: &Rc<Connection>, reason: Reason) {
        let snapshot = self.common.snapshot.load();
        let port = snapshot.tcp.find(connection.local);
        if let Some(listener) = port.and_then(|it| it.first()) {
            listener.stats.refused(self.index, reason);
        }
    }
}

impl Upstreams {
    async fn answer(&self, exchange: &mut Exchange, request: &mut Request) -> Response {
        let (listener, rule) = match find(&self.snapshot, &exchange.connection, request) {
            Ok(found) => found,
            Err(reason) => return Response::refusal(reason),
        };
        let record = &mut exchange.record;
        record.listener = Some(Arc::clone(&listener.name));
        record.listener_stats = Some(Arc::clone(&listener.stats));
        if self.worker.overload.refuses(record.started) {
            let mut response = Response::refusal(Reason::Overloaded);
            response.fields.set(Known::RetryAfter, send::RETRY_AFTER);
            return response;
        }
        let sender = filter::extend(request, &exchange.connection, &listener.trusted);
        record.client = sender.client;
        record.fields = logged(&self.snapshot, request);
        filter::identify(exchange, request, sender.is_trusted);
        let Some((rule, prefix_bytes)) = rule else {
            return finish(&Filters::default(), exchange, request, Reason::NoRoute);
        };
        exchange.prefix_bytes = prefix_bytes;
        exchange.record.route = Some(Arc::clone(&rule.name));
        exchange.record.rule_stats = Some(Arc::clone(&rule.stats));
        if !rule.allows(&request.method) {
            return finish(&rule.filters, exchange, request, Reason::MethodRefused);
        }
        self.run(exchange, request, rule).await
    }

    async fn run(&self, exchange: &mut Exchange, request: &mut Request, rule: &Rule) -> Response {
        let facts = rule.filters.facts(request);
        let admitted = rule.filters.request(exchange, request, self).await;
        let mut response = match admitted {
            Ok(()) => {
                let request = std::mem::take(request);
                send::dispatch(&self.worker.sender, exchange, &rule.plan, request).await
            }
            Err(answer) => answer,
        };
        rule.filters.response(exchange, &facts, &mut response);
        response
    }
}

/// What serves a request: its listener, and the rule with the bytes of the path that its prefix
/// matched.
type Serving<'a> = (&'a Arc<Listener>, Option<(&'a Rule, usize)>);

fn find<'a>(
    snapshot: &'a Snapshot,
    connection: &Connection,
    request: &Request,
) -> Result<Serving<'a>, Reason> {
    let port = snapshot.tcp.find(connection.local).ok_or(Reason::NoListener)?;
    let listener = port.listener_of(request.host()).ok_or(Reason::NoListener)?;
    if is_misdirected(port, connection, listener) {
        return Err(Reason::Misdirected);
    }
    let found = listener.routes.find(request);
    Ok((listener, found.map(|it| (&**it.value, it.prefix_bytes))))
}

/// Whether another listener took the connection's handshake (RFC 9110, section 15.5.20).
fn is_misdirected(port: &Port, connection: &Connection, listener: &Arc<Listener>) -> bool {
    let name = connection.tls.as_ref().and_then(|it| it.server_name.as_deref());
    let Some(name) = name else { return false };
    !port.listener_for(Some(name)).is_some_and(|it| Arc::ptr_eq(it, listener))
}

/// A refusal, as the filters of responses leave it.
fn finish(filters: &Filters, exchange: &Exchange, request: &Request, reason: Reason) -> Response {
    let mut response = Response::refusal(reason);
    filters.response(exchange, &filters.facts(request), &mut response);
    response
}

fn record(connection: &Connection, request: &Request) -> Box<Record> {
    Box::new(Record {
        started: turn::now().into_std(),
        method: request.method.clone(),
        version: request.version,
        scheme: request.scheme,
        authority: request.authority().into(),
        target: request.target().into(),
        client: connection.client,
        listener: None,
        route: None,
        upstream: None,
        endpoint: None,
        tries: 0,
        answered: None,
        status: 0,
        reason: None,
        request_id: None,
        trace_id: None,
        fields: Vec::new(),
        listener_stats: None,
        rule_stats: None,
    })
}

fn text(bytes: &[u8]) -> Box<str> {
    match str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => String::from_utf8_lossy(bytes).into(),
    }
}

/// The request's fields that the access log wants.
fn logged(snapshot: &Snapshot, request: &Request) -> Vec<(Box<str>, Box<str>)> {
    let value = |name: &str| {
        let value = request.field(name)?;
        Some((name.into(), text(value)))
    };
    snapshot.logged_fields.iter().filter_map(|name| value(name)).collect()
}
