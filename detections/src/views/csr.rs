//! Which identity a certificate request asks for, and whether somebody approved it.
//!
//! The name that the certificate will carry stands inside the request: base64 of PEM of DER. It is
//! read as leniently as the API server reads it, because what the reader refuses and the signer
//! accepts is a way around every rule.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use serde_json::{Map, Value};
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::name::Name;
use x509_cert::request::CertReq;

use super::{Root, View, object, strings};
use crate::event::Event;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANISATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

const BEGIN: &str = "-----BEGIN CERTIFICATE REQUEST-----";
const END: &str = "-----END CERTIFICATE REQUEST-----";

/// Unpadded text and stray bits are what a lenient decoder takes.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn csr(event: &Event) -> View {
    if event.text(&["objectRef", "resource"]) != Some("certificatesigningrequests") {
        return View::absent();
    }
    let object = event.view(Root::Object);
    if object.value.is_none() {
        return View {
            value: None,
            blind: object.blind.clone(),
        };
    }
    let mut view = View::known(Map::new());
    set_spec(event, object.get("spec").unwrap_or(&Value::Null), &mut view);
    if object::subresource(event) == "approval" {
        view.set("approved", is_approved(object));
    }
    view
}

fn set_spec(event: &Event, spec: &Value, view: &mut View) {
    if let Some(signer) = spec.get("signerName").and_then(Value::as_str) {
        view.set("signer", signer);
    }
    if let Some(usages) = spec.get("usages") {
        view.set("usages", strings(usages));
    }
    // The API server writes the name in; before its answer the requestor is whoever creates.
    let creator = || {
        event
            .view(Root::Effective)
            .text("name")
            .filter(|_| event.text(&["verb"]) == Some("create"))
    };
    if let Some(requestor) = spec
        .get("username")
        .and_then(Value::as_str)
        .or_else(creator)
    {
        view.set("requestor", requestor);
    }
    match spec
        .get("request")
        .map(|request| request.as_str().and_then(subject))
    {
        Some(Some(name)) => set_subject(&name, view),
        Some(None) => view.blind.extend(["subject", "subject_text"]),
        None => {}
    }
}

fn is_approved(object: &View) -> bool {
    let conditions = object
        .get("status")
        .and_then(|status| status.get("conditions"))
        .and_then(Value::as_array);
    let has = |kind: &str| {
        let is_kind =
            |condition: &Value| condition.get("type").and_then(Value::as_str) == Some(kind);
        conditions.is_some_and(|conditions| conditions.iter().any(is_kind))
    };
    has("Approved") && !has("Denied")
}

fn subject(request: &str) -> Option<Name> {
    let pem = general_purpose::STANDARD
        .decode(request.split_whitespace().collect::<String>())
        .ok()?;
    let pem = String::from_utf8_lossy(&pem);
    let (_, rest) = pem.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    // Headers (`Proc-Type: …`) may stand before the body.
    let lines = body.lines().filter(|line| !line.contains(':'));
    let der = LENIENT
        .decode(lines.flat_map(str::split_whitespace).collect::<String>())
        .ok()?;
    CertReq::from_der(&der)
        .ok()
        .map(|request| request.info.subject)
}

fn set_subject(name: &Name, view: &mut View) {
    let values = |oid| -> Vec<String> {
        name.iter()
            .filter(|attribute| attribute.oid == oid)
            .filter_map(|attribute| text(&attribute.value))
            .collect()
    };
    let mut fields = Map::new();
    let mut names = values(COMMON_NAME);
    // Several common names are several chances for a rule: which one counts depends on who reads
    // the certificate.
    match names.len() {
        0 => {}
        1 => drop(fields.insert("cn".into(), names.swap_remove(0).into())),
        _ => drop(fields.insert("cn".into(), names.into())),
    }
    fields.insert("o".into(), values(ORGANISATION).into());
    view.set("subject", Value::Object(fields));
    view.set("subject_text", name.to_string());
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::BmpString => {
            let units: Vec<_> = value
                .value()
                .chunks_exact(2)
                .map(|pair| {
                    pair.iter()
                        .fold(0, |unit, byte| unit << 8 | u16::from(*byte))
                })
                .collect();
            Some(String::from_utf16_lossy(&units))
        }
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::TeletexString
        | Tag::NumericString
        | Tag::GeneralString => Some(String::from_utf8_lossy(value.value()).into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::event;
    use super::*;
    use serde_json::json;

    const REQUEST: &str = "MIHoMIGOAgEAMCwxFzAVBgNVBAoMDnN5c3RlbTptYXN0ZXJzMREwDwYDVQQDDAhiYWNrZG9vcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN/iiVhbxpM7KeJXnvdW5OKZThPRy6RlvVwkh+GRywFDllPu8Z204y1C7ZSrrVJ98F1kMKTdNcZ7+mWyineF1NigADAKBggqhkjOPQQDAgNJADBGAiEAvctsQpyW82PFTZ0tsyfqTdFBNCRpZKY3DA+bFEP2BVwCIQD41CnGLWNRJPWzN7B9y6khbidW4QffDCwQdTFzErRozw==";

    fn write(verb: &str, subresource: &str, object: &Value) -> Event {
        let reference =
            json!({"resource": "certificatesigningrequests", "subresource": subresource});
        event(json!({
            "level": "RequestResponse", "verb": verb, "objectRef": reference, "responseStatus": {"code": 200},
            "user": {"username": "mallory"}, "requestObject": object, "responseObject": object,
        }))
    }

    fn request(request: &str) -> Value {
        let spec = json!({"request": request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]});
        json!({"kind": "CertificateSigningRequest", "spec": spec})
    }

    fn pem(text: &str) -> String {
        general_purpose::STANDARD.encode(text)
    }

    #[track_caller]
    fn check(encoded: &str) {
        let expected = json!({
            "signer": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "requestor": "mallory",
            "subject": {"cn": "backdoor", "o": ["system:masters"]}, "subject_text": "CN=backdoor,O=system:masters",
        });
        assert_eq!(
            csr(&write("create", "", &request(encoded))).value,
            Some(expected)
        );
    }

    #[test]
    fn the_subject_is_read_out_of_the_request() {
        check(&pem(&format!("{BEGIN}\n{REQUEST}\n{END}\n")));
    }

    #[test]
    fn text_before_headers_and_odd_line_breaks_hide_nothing() {
        let (head, tail) = REQUEST.split_at(7);
        check(&pem(&format!(
            "hello\n{BEGIN}\r\nA: b\r\n\r\n{head} \n\n{tail}\r\n{END}"
        )));
    }

    #[test]
    fn a_request_that_cannot_be_read_is_a_blind_spot() {
        for encoded in [
            "",
            "%%",
            "aGVsbG8=",
            &pem(&format!("{BEGIN}\nAAAA\n{END}")),
            &pem(&format!("{END}{BEGIN}")),
        ] {
            assert_eq!(
                csr(&write("create", "", &request(encoded))).blind,
                ["subject", "subject_text"],
                "{encoded}"
            );
        }
        let wrong = json!({"kind": "CertificateSigningRequest", "spec": {"request": 7, "usages": 3, "signerName": []}});
        assert_eq!(
            csr(&write("create", "", &wrong)).blind,
            ["subject", "subject_text"]
        );
    }

    #[test]
    fn approvals_and_denials() {
        for (condition, expected) in [("Approved", true), ("Denied", false)] {
            let object = json!({"kind": "CertificateSigningRequest", "spec": {"username": "eve"}, "status": {"conditions": [{"type": condition}]}});
            let view = csr(&write("update", "approval", &object));
            assert_eq!(view.get("approved"), Some(&json!(expected)));
            assert_eq!(view.text("requestor"), Some("eve"));
        }
        assert_eq!(
            csr(&write("create", "", &request(""))).get("approved"),
            None
        );
    }
}
