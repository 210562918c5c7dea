//! Calls and conversations with one server of etcd.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::error::{ServerFault, is_etcds};
use super::http2::Http2;
use super::proto::{Call, Conversation};
use super::server::Server;
use super::tls::TlsFiles;

/// How long a server may take to take a connection, and to answer a call. Three silent servers
/// fit into the time that a strategy has for a pass.
pub(super) const PATIENCE: Duration = Duration::from_millis(2500);
/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A connection that stands, or stood: calls over one that broke fail, it does not connect again.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    http2: Http2,
    origin: hyper::Uri,
    token: Option<MetadataValue<Ascii>>,
}

/// A conversation with a server.
pub(super) struct Talk<M: Conversation> {
    /// What is said next. Dropping it ends the conversation.
    pub(super) say: mpsc::Sender<M>,
    /// What is heard.
    pub(super) hear: Streaming<M::Answer>,
}

/// How a call failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// The server can't be spoken to.
    Server(ServerFault),
    /// What the server answered.
    Status(Status),
}

impl Connection {
    /// Connects; who has a user gives the token later.
    pub(super) async fn open(
        server: &Server,
        files: Option<&TlsFiles>,
    ) -> Result<Self, ServerFault> {
        Ok(Self {
            http2: Http2::connect(server, files).await?,
            origin: server.to_string().parse().expect("a server is a URL"),
            token: None,
        })
    }

    /// The same, with the token of a user.
    pub(super) fn with_token(self, token: &str) -> Result<Self, ServerFault> {
        let token = token
            .parse()
            .map_err(|_| ServerFault::NoEtcd("its token is none".into()))?;
        Ok(Self {
            token: Some(token),
            ..self
        })
    }

    /// Asks, and waits for the answer.
    pub(super) async fn call<M: Call>(&self, message: M) -> Result<M::Answer, CallError> {
        let mut grpc = self.grpc();
        let codec = ProstCodec::<M, M::Answer>::default();
        let path = M::PATH.parse().expect("it is a path");
        let answered = timeout(PATIENCE, async {
            ready(&mut grpc).await?;
            grpc.unary(self.request(message), path, codec).await
        });
        self.outcome(answered.await).await
    }

    /// Opens a conversation with its first words; etcd answers them.
    pub(super) async fn talk<M: Conversation>(&self, first: M) -> Result<Talk<M>, CallError> {
        let mut grpc = self.grpc();
        let codec = ProstCodec::<M, M::Answer>::default();
        let path = M::PATH.parse().expect("it is a path");
        let (say, said) = mpsc::channel(1);
        let next = |mut said: mpsc::Receiver<M>| async move { Some((said.recv().await?, said)) };
        let words = stream::once(async { first }).chain(stream::unfold(said, next));
        let mut request = self.request(words);
        // A server that lost its leader ends the conversation, and another can be asked.
        request
            .metadata_mut()
            .insert("hasleader", MetadataValue::from_static("true"));
        let opened = timeout(PATIENCE, async {
            ready(&mut grpc).await?;
            grpc.streaming(request, path, codec).await
        });
        let hear = self.outcome(opened.await).await?;
        Ok(Talk { say, hear })
    }

    fn grpc(&self) -> Grpc<Http2> {
        Grpc::with_origin(self.http2.clone(), self.origin.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("token", token.clone());
        }
        request
    }

    /// A failure that etcd does not explain may be explained by how the connection ended.
    async fn outcome<T>(
        &self,
        answered: Result<Result<Response<T>, Status>, Elapsed>,
    ) -> Result<T, CallError> {
        match answered {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Err(_) => Err(CallError::Server(ServerFault::Timeout(PATIENCE))),
            Ok(Err(status)) if is_etcds(&status) => Err(CallError::Status(status)),
            Ok(Err(status)) => Err(match self.http2.fault().await {
                Some(fault) => CallError::Server(fault),
                None => CallError::Status(status),
            }),
        }
    }
}

async fn ready(grpc: &mut Grpc<Http2>) -> Result<(), Status> {
    grpc.ready()
        .await
        .map_err(|error| Status::from_error(Box::new(error)))
}
