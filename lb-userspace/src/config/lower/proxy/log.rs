//! The access log.

use super::{
    Context, field,
    names::{Kind, values},
};
use crate::{
    config::{located::Located, lower::scalar, schema},
    model::{AccessLog, LogField},
};
use std::collections::HashMap;

/// Status codes (RFC 9110, section 15).
const STATUS_MIN: std::ops::RangeInclusive<u16> = 100..=599;

pub(super) fn lower(file: &schema::AccessLog, cx: &mut Context<'_>) -> AccessLog {
    if let Some(path) = file.file.as_ref().filter(|path| path.value.is_empty()) {
        cx.report.error(path.at, "an empty path", "leave `file` out for standard output");
    }
    AccessLog {
        file: file.file.as_ref().map(|path| path.value.clone()),
        fields: fields(super::list(file.fields.as_ref()), cx),
        status_min: scalar::count(
            "status code",
            file.status_min.as_ref(),
            STATUS_MIN,
            0,
            cx.report,
        ),
        one_in: cx.count("`one_in`", file.one_in.as_ref(), 1),
        listeners: values(cx.references(Kind::Listener, super::list(file.listeners.as_ref()))),
    }
}

fn fields(list: &[Located<schema::LogField>], cx: &mut Context<'_>) -> Vec<LogField> {
    let mut places = HashMap::new();
    let mut fields = Vec::new();
    for field in list {
        let Some(valid) = lower_field(&field.value, cx) else { continue };
        if let Some(other) = places.insert(valid.clone(), field.at) {
            cx.report.error(field.at, "this field is listed twice", scalar::other_at(other));
        }
        fields.push(valid);
    }
    fields
}

fn lower_field(file: &schema::LogField, cx: &mut Context<'_>) -> Option<LogField> {
    use schema::LogField as File;
    Some(match file {
        File::Time => LogField::Time,
        File::Listener => LogField::Listener,
        File::Route => LogField::Route,
        File::Upstream => LogField::Upstream,
        File::Endpoint => LogField::Endpoint,
        File::ClientAddress => LogField::ClientAddress,
        File::PeerAddress => LogField::PeerAddress,
        File::Method => LogField::Method,
        File::Scheme => LogField::Scheme,
        File::Host => LogField::Host,
        File::Path => LogField::Path,
        File::Protocol => LogField::Protocol,
        File::Status => LogField::Status,
        File::Reason => LogField::Reason,
        File::RequestBytes => LogField::RequestBytes,
        File::ResponseBytes => LogField::ResponseBytes,
        File::DurationMs => LogField::DurationMs,
        File::BackendMs => LogField::BackendMs,
        File::Tries => LogField::Tries,
        File::RequestId => LogField::RequestId,
        File::TraceId => LogField::TraceId,
        File::Tls => LogField::Tls,
        File::ServerName => LogField::ServerName,
        File::Referer => LogField::Referer,
        File::UserAgent => LogField::UserAgent,
        File::RequestHeader(name) => LogField::RequestHeader(field::name(name, cx.report)?),
        File::ResponseHeader(name) => LogField::ResponseHeader(field::name(name, cx.report)?),
    })
}
