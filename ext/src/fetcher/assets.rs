//! `env.ASSETS`: the static assets of a worker answer its requests.

use isopod_assets::Assets;

use super::{FetchFuture, Fetcher};
use crate::event::{Body, Caller};

impl Fetcher for Assets {
    fn fetch(&self, request: http::Request<Body>, _caller: Caller) -> FetchFuture {
        let answer = self.answer(&request);
        Box::pin(async move {
            let response = answer.await;
            Ok(response.map(|body| match body.as_bytes() {
                Some(bytes) => bytes.into(),
                None => Body::new(body),
            }))
        })
    }
}
