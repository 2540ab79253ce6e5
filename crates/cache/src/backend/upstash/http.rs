//! Requests with their token, time limits, bounds and repetitions. Derived.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use super::UpstashConfig;
use super::answer::refusal;
use crate::backend::tls;
use crate::pace::Backoff;
use crate::{Error, Result};

/// Most bytes of one answer: the longest value in base64, and some.
const BODY_LEN_MAX: usize = 32 << 20;
/// Pauses between attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// The endpoint.
pub(crate) struct Http {
    client: Client,
    base: Url,
    token: HeaderValue,
    config: UpstashConfig,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No token.
        f.debug_struct("Http").field("target", &self.target()).finish_non_exhaustive()
    }
}

impl Http {
    pub(crate) fn new(url: &str, token: &str, config: UpstashConfig) -> Result<Self> {
        let invalid = |reason: &str| Error::InvalidUrl { reason: reason.to_owned() };
        let base = Url::parse(url).map_err(|_| invalid("it is no address"))?;
        let host = base.host_str().ok_or_else(|| invalid("it names no host"))?;
        let is_local = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        match base.scheme() {
            "https" => {}
            "http" if is_local => {}
            "http" => return Err(invalid("the token would travel in the open: use https")),
            _ => return Err(invalid("its scheme is not https")),
        }
        if base.cannot_be_a_base() || !base.username().is_empty() || base.query().is_some() {
            return Err(invalid("it is not https://host"));
        }
        let token = HeaderValue::try_from(format!("Bearer {token}"));
        let mut token = token.map_err(|_| invalid("the token is no header's value"))?;
        token.set_sensitive(true);
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls::client_config()?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.timeout);
        if is_local {
            builder = builder.no_proxy();
        }
        let client = builder.build();
        let client = client.map_err(|error| Error::Unsupported { what: error.to_string() })?;
        Ok(Self { client, base, token, config })
    }

    /// Host and port.
    pub(crate) fn target(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        match self.base.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    fn request(&self, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let request = self.client.request(Method::POST, url);
        request.header(AUTHORIZATION, self.token.clone())
    }

    fn failed(&self, error: &reqwest::Error) -> Error {
        if error.is_timeout() {
            return Error::Timeout { limit: self.config.timeout };
        }
        // Without the address, which a key may be part of.
        let mut reason = "the request failed".to_owned();
        let mut cause = std::error::Error::source(error);
        while let Some(next) = cause {
            reason = next.to_string();
            cause = next.source();
        }
        Error::Connect { target: self.target(), reason }
    }

    async fn once(&self, path: &[&str], body: Bytes, query: &[(&str, &str)]) -> Result<Vec<u8>> {
        let mut request = self.request(path).header("Upstash-Encoding", "base64").body(body);
        if !query.is_empty() {
            let (client, built) = request.build_split();
            let mut built = built.map_err(|error| self.failed(&error))?;
            built.url_mut().query_pairs_mut().extend_pairs(query);
            request = RequestBuilder::from_parts(client, built);
        }
        let mut response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(&error))? {
            if body.len() + chunk.len() > BODY_LEN_MAX {
                return Err(Error::protocol("an answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        self.check(status, &body)?;
        Ok(body)
    }

    fn check(&self, status: StatusCode, body: &[u8]) -> Result<()> {
        let busy = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        if busy {
            let reason = format!("the server answers {status}");
            return Err(Error::Connect { target: self.target(), reason });
        }
        if status.is_success() {
            return Ok(());
        }
        let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let error = said.as_ref().and_then(|said| said.get("error")?.as_str());
        match error {
            Some(error) => Err(refusal(error)),
            None if status == StatusCode::UNAUTHORIZED => Err(refusal("Unauthorized")),
            None => Err(Error::protocol(format!("the server answers {status}"))),
        }
    }

    /// Sends a body and gives the answer's. With `again` the call may be made more than once.
    pub(crate) async fn post(
        &self,
        path: &[&str],
        body: Bytes,
        query: &[(&str, &str)],
        again: bool,
    ) -> Result<Vec<u8>> {
        let attempts = async {
            let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
            for _ in 1..if again { self.config.attempts_max } else { 1 } {
                match self.once(path, body.clone(), query).await {
                    Err(Error::Connect { .. }) => tokio::time::sleep(backoff.next()).await,
                    answer => return answer,
                }
            }
            self.once(path, body.clone(), query).await
        };
        let limit = self.config.timeout;
        tokio::time::timeout(limit, attempts).await.unwrap_or(Err(Error::Timeout { limit }))
    }

    /// Opens a stream of events.
    pub(crate) async fn listen(&self, channel: &str) -> Result<Response> {
        let request = self.request(&["subscribe", channel]).header(ACCEPT, "text/event-stream");
        let limit = self.config.timeout;
        let sent = tokio::time::timeout(limit, request.send()).await;
        let response = sent.map_err(|_| Error::Timeout { limit })?;
        let response = response.map_err(|error| self.failed(&error))?;
        self.check(response.status(), &[])?;
        Ok(response)
    }
}
