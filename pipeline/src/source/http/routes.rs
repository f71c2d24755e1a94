//! Requests to answers.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;

use crate::source::intake::Intake;
use crate::spool::SourceKind;
use crate::telemetry::{Refused, Telemetry};

use super::auth::{Access, Refusal, Way};
use super::clients::Place;
use super::ingest::{Busy, Ingested, Sender, drain, ingest};
use super::limits::{HttpLimits, NAME_CHARS_MAX};
use super::tls::PeerName;
use crate::source::Ready;

/// What every request needs.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) intake: Intake,
    pub(super) access: Access,
    pub(super) limits: HttpLimits,
    pub(super) ready: Arc<Ready>,
    pub(super) telemetry: Arc<Telemetry>,
}

/// Who sends.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) place: Place,
    pub(super) peer: Option<PeerName>,
    /// Whether it has sent a whole head yet.
    pub(super) has_asked: AtomicBool,
}

type Answer = Response<Full<Bytes>>;

/// Answers a request.
pub(super) async fn answer(
    request: Request<Incoming>,
    context: &Context,
    caller: &Caller,
) -> Answer {
    let path = request.uri().path().to_owned();
    let is_get = request.method() == Method::GET || request.method() == Method::HEAD;
    match path.as_str() {
        "/healthz" if is_get => text(StatusCode::OK, "ok\n"),
        "/readyz" if is_get => readiness(&context.ready),
        "/metrics" if is_get => metrics(&request, context, caller),
        "/healthz" | "/readyz" | "/metrics" => text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n"),
        _ => match target(&path) {
            Some((way, sender)) => receive(request, way, sender, context, caller).await,
            None => text(
                StatusCode::NOT_FOUND,
                "there is /v1/audit/<cluster>/<apiserver>, /v1/firehose/<cluster>/<stream>, /v1/pubsub/<cluster>/<subscription>, \
                 /healthz, /readyz and /metrics; names have letters, digits, '.', '-', '_' and ':'\n",
            ),
        },
    }
}

/// `/v1/audit/prod/api-1`: the way, the cluster, and which of its API servers.
fn target(path: &str) -> Option<(Way, Sender)> {
    let mut parts = path.strip_prefix("/v1/")?.trim_end_matches('/').split('/');
    let (way, source) = match parts.next()? {
        "audit" => (Way::Webhook, SourceKind::Webhook),
        "firehose" => (Way::Firehose, SourceKind::Firehose),
        "pubsub" => (Way::Pubsub, SourceKind::Pubsub),
        _ => return None,
    };
    let cluster = name(parts.next()?)?;
    let origin = name(parts.next().unwrap_or("default"))?;
    parts.next().is_none().then_some((
        way,
        Sender {
            source,
            cluster,
            origin,
        },
    ))
}

fn name(text: &str) -> Option<String> {
    let fits = (1..=NAME_CHARS_MAX).contains(&text.len());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    (fits && text.bytes().all(plain)).then(|| text.to_owned())
}

async fn receive(
    request: Request<Incoming>,
    way: Way,
    sender: Sender,
    context: &Context,
    caller: &Caller,
) -> Answer {
    let (head, body) = request.into_parts();
    let telemetry = &context.telemetry;
    let say = |status, message: &str| reply(way, &head.headers, status, message);
    if head.method != Method::POST {
        return say(StatusCode::METHOD_NOT_ALLOWED, "use POST");
    }
    if head.headers.contains_key(ORIGIN) {
        // A page in somebody's browser, which reaches loopback like any program.
        telemetry.refused(Refused::Unauthorized);
        return say(StatusCode::FORBIDDEN, "not from a web page");
    }
    let peer = caller.peer.as_ref();
    if let Err(refusal) = context
        .access
        .check(way, &head.headers, peer, &sender.cluster)
    {
        telemetry.refused(Refused::Unauthorized);
        drain(body).await;
        return match refusal {
            Refusal::Unknown => say(
                StatusCode::UNAUTHORIZED,
                "show a bearer token, an access key, or a client certificate that is configured here",
            ),
            Refusal::OtherCluster => say(
                StatusCode::FORBIDDEN,
                "this credential is not for this cluster",
            ),
        };
    }
    if !caller.place.may_ask() {
        telemetry.refused(Refused::Rate);
        drain(body).await;
        return say(
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests of this client",
        );
    }
    let Some(_on_its_way) = caller.place.body() else {
        telemetry.refused(Refused::Rate);
        drain(body).await;
        return say(
            StatusCode::TOO_MANY_REQUESTS,
            "too many bodies of this client at once",
        );
    };
    let begun = std::time::Instant::now();
    let (source, cluster, origin) = (sender.source, sender.cluster.clone(), sender.origin.clone());
    match ingest(body, sender, &context.intake, &context.limits).await {
        Ingested::Durable { bytes, left_out } => {
            telemetry.received(source, &cluster, &origin, bytes, left_out, begun.elapsed());
            reply(way, &head.headers, StatusCode::OK, "")
        }
        Ingested::Busy(why) => {
            telemetry.refused(Refused::Busy(why.as_str()));
            say(StatusCode::TOO_MANY_REQUESTS, busy(why))
        }
        Ingested::TooSlow => {
            telemetry.refused(Refused::Slow);
            say(StatusCode::REQUEST_TIMEOUT, "the body took too long")
        }
        Ingested::Broken => {
            telemetry.refused(Refused::Broken);
            say(StatusCode::BAD_REQUEST, "the body ended early")
        }
        Ingested::Endless => {
            telemetry.refused(Refused::Endless);
            say(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is far beyond the limit",
            )
        }
    }
}

fn busy(why: Busy) -> &'static str {
    match why {
        Busy::Behind => "evaluation is behind; come again",
        Busy::DiskFull => "the disk is full; come again",
        Busy::Memory => "too many bodies at once; come again",
        Busy::Log => "the log cannot be written; come again",
        Busy::Brokers => "no Kafka broker can be reached; come again",
    }
}

/// An answer in the form that the sender reads: Firehose wants its request's id back.
fn reply(way: Way, headers: &HeaderMap, status: StatusCode, message: &str) -> Answer {
    let content = match way {
        Way::Firehose => {
            let id = headers.get("x-amz-firehose-request-id");
            let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
            let at = crate::clock::Clock::wall().now_us() / 1000;
            let mut answer = json!({ "requestId": id, "timestamp": at });
            if !message.is_empty() {
                answer["errorMessage"] = json!(message);
            }
            answer
        }
        Way::Webhook | Way::Pubsub if message.is_empty() => json!({}),
        Way::Webhook | Way::Pubsub => json!({ "error": message }),
    };
    let mut answer = respond(status, "application/json", format!("{content}\n"));
    let headers = answer.headers_mut();
    if status == StatusCode::TOO_MANY_REQUESTS {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn readiness(ready: &Ready) -> Answer {
    let faults = ready.faults();
    if faults.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    let lines: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    text(StatusCode::SERVICE_UNAVAILABLE, &lines)
}

fn metrics(request: &Request<Incoming>, context: &Context, caller: &Caller) -> Answer {
    let headers = request.headers();
    if !context.access.may_look(headers, caller.peer.as_ref()) {
        return text(
            StatusCode::UNAUTHORIZED,
            "show a credential that is configured here\n",
        );
    }
    let page = context.telemetry.page();
    respond(
        StatusCode::OK,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        page,
    )
}

fn text(status: StatusCode, content: &str) -> Answer {
    respond(status, "text/plain; charset=utf-8", content.to_owned())
}

fn respond(status: StatusCode, kind: &'static str, content: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(content)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_cluster_and_api_server() {
        let of =
            |path: &str| target(path).map(|(way, sender)| (way, sender.cluster, sender.origin));
        let found =
            |way, cluster: &str, origin: &str| Some((way, cluster.to_owned(), origin.to_owned()));
        assert_eq!(
            of("/v1/audit/prod/api-1"),
            found(Way::Webhook, "prod", "api-1")
        );
        assert_eq!(
            of("/v1/audit/prod/"),
            found(Way::Webhook, "prod", "default")
        );
        assert_eq!(of("/v1/pubsub/a/b"), found(Way::Pubsub, "a", "b"));
        for wrong in [
            "/v1/audit",
            "/v1/audit/",
            "/v1/audit/a/b/c",
            "/v1/audit/a%2f/b",
            "/v2/audit/a/b",
            "/",
            "/v1/audit/é",
        ] {
            assert!(target(wrong).is_none(), "{wrong}");
        }
    }
}
