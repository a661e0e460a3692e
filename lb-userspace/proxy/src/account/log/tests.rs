use super::*;
use crate::http::{Method, Reason, Scheme, Version};
use std::fs;

fn record(status: u16) -> Record {
    Record {
        started: Instant::now(),
        method: Method::Get,
        version: Version::Http11,
        scheme: Scheme::Http,
        authority: "shop.example".into(),
        target: "/a?\"b\"".into(),
        client: "192.0.2.1:7".parse().unwrap(),
        listener: Some("web".into()),
        route: None,
        upstream: None,
        endpoint: None,
        tries: 0,
        answered: None,
        status,
        reason: Some(Reason::NoRoute),
        request_id: None,
        trace_id: None,
        fields: vec![("user-agent".into(), "curl".into())],
        listener_stats: None,
        rule_stats: None,
    }
}

fn connection() -> Connection {
    let any = "192.0.2.1:7".parse().unwrap();
    Connection { local: any, peer: any, client: any, tls: None }
}

fn log(file: &std::path::Path) -> AccessLog {
    AccessLog {
        file: Some(file.display().to_string()),
        fields: Vec::new(),
        status_min: 0,
        one_in: 1,
        listeners: BTreeSet::new(),
    }
}

/// The log's lines, once there are `count`.
fn lines(file: &std::path::Path, count: usize) -> Vec<serde_json::Value> {
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() >= count {
            return text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        }
        thread::yield_now();
    }
}

#[test]
fn a_line_holds_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let log = log(&file);
    let logger = AccessLogger::new(LogWriter::start(&log).unwrap());
    let sent = Sent { request_bytes: 1, response_bytes: 2, is_complete: true };
    logger.log(&log, &connection(), &record(404), sent);
    logger.flush();
    let line = &lines(&file, 1)[0];
    assert_eq!(line["status"], 404);
    assert_eq!(line["path"], "/a?\"b\"");
    assert_eq!(line["reason"], "no_route");
    assert_eq!(line["user_agent"], "curl");
    assert_eq!(line["client_address"], "192.0.2.1");
    assert_eq!((&line["request_bytes"], &line["response_bytes"]), (&1.into(), &2.into()));
    assert!(line.get("upstream").is_none() && line.get("referer").is_none());
}

#[test]
fn only_what_the_log_wants_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let fields = vec![LogField::Status, LogField::RequestHeader("user-agent".to_owned())];
    let log = AccessLog { status_min: 400, one_in: 2, fields, ..log(&file) };
    let logger = AccessLogger::new(LogWriter::start(&log).unwrap());
    for status in [200, 400, 399, 500, 404, 503] {
        logger.log(&log, &connection(), &record(status), Sent::default());
    }
    let others = AccessLog { listeners: ["other".to_owned()].into(), ..log };
    logger.log(&others, &connection(), &record(500), Sent::default());
    logger.flush();
    let lines = lines(&file, 2);
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [500, 503]);
    assert_eq!(lines[0].as_object().unwrap().len(), 2);
}

#[test]
fn a_renamed_file_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (file, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = log(&file);
    let writer = LogWriter::start(&log).unwrap();
    let logger = AccessLogger::new(Arc::clone(&writer));
    logger.log(&log, &connection(), &record(200), Sent::default());
    logger.flush();
    lines(&file, 1);
    fs::rename(&file, &old).unwrap();
    writer.reopen();
    logger.log(&log, &connection(), &record(500), Sent::default());
    logger.flush();
    assert_eq!(lines(&file, 1)[0]["status"], 500);
    assert_eq!(lines(&old, 1).len(), 1);
}
