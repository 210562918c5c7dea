//! The calls of the API.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{self, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::routing::{get, post};
use axum::{Json, Router};
use convoke::{ForceLeaveError, JoinError, LeaveError, Node, PartitionKind, Peer};
use convoke_core::output;
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::net::UnixListener;

use super::diagnosis::Diagnosis;
use super::journal::{Journal, Reader};
use super::model::{
    Details, DiscoveryAction, DiscoveryRequest, Done, FingerprintOf, Fingerprints, Forgotten,
    Member, NodeRequest, Status,
};
use super::problem::Problem;
use super::why::Account;
use crate::config::{local_name, parse_peer};
use crate::discovery::Discovery;
use crate::epmd::Epmd;

/// How long other members are given to answer a question.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// How long the engine's loop may take to answer before it counts as stuck.
const LIVENESS_WAIT: Duration = Duration::from_secs(1);
/// Between two signs of life on a stream of events.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The largest body of a request in bytes: a name fits many times.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What the calls work on.
#[derive(Clone)]
pub(crate) struct Service {
    /// The node.
    pub(crate) node: Node,
    /// What happened of late.
    pub(crate) journal: Journal,
    /// Its discovery.
    pub(crate) discovery: Arc<Discovery>,
    /// Its registration, in epmd mode.
    pub(crate) epmd: Option<Arc<Epmd>>,
    /// What does not change.
    pub(crate) details: Arc<Details>,
    /// How many commands that change the cluster are under way.
    pub(crate) changing: Arc<AtomicUsize>,
}

type Answer<T> = Result<Json<T>, Problem>;

/// The API of a node.
pub(crate) fn router(service: Service) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/node", get(node))
        .route("/v1/members", get(members))
        .route("/v1/members/{name}", get(member))
        .route("/v1/members/{name}/why", get(why))
        .route("/v1/events", get(events))
        .route("/v1/diagnose", post(diagnose))
        .route("/v1/cluster/fingerprints", get(fingerprints))
        .route("/v1/cluster/join", post(join))
        .route("/v1/cluster/leave", post(leave))
        .route("/v1/cluster/force-leave", post(force_leave))
        .route("/v1/cluster/discovery", post(discovery))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(service)
}

/// Opens a control socket that only its owner may use. A socket file that is in the way is what
/// a killed node left behind: its data directory is locked by this process.
///
/// # Errors
/// When it can't be made.
pub(crate) fn bind(socket: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn status(State(service): State<Service>) -> Json<Status> {
    Json(Status::of(&service.node))
}

async fn node(State(service): State<Service>) -> Json<Details> {
    let discovery = service.discovery.state();
    Json(Details {
        discovery,
        epmd: service.epmd.as_ref().and_then(|epmd| epmd.state()),
        ..Details::clone(&service.details)
    })
}

#[derive(Debug, Deserialize)]
struct MembersQuery {
    #[serde(default)]
    forgotten: bool,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Members {
    Known(Vec<Member>),
    Forgotten(Vec<Forgotten>),
}

async fn members(
    State(service): State<Service>,
    Query(query): Query<MembersQuery>,
) -> Json<Members> {
    Json(match query.forgotten {
        true => Members::Forgotten(service.journal.forgotten()),
        false => Members::Known(Status::of(&service.node).members),
    })
}

async fn member(
    State(service): State<Service>,
    extract::Path(name): extract::Path<String>,
) -> Answer<Member> {
    let parsed = local_name(&name).map_err(|error| malformed(error.to_string()))?;
    let view = service.node.view();
    let member = view.member(&parsed).ok_or_else(|| not_a_member(&name))?;
    Ok(Json(Member::of(member, service.node.rtt(&parsed))))
}

async fn why(
    State(service): State<Service>,
    extract::Path(name): extract::Path<String>,
) -> Answer<Account> {
    let about = local_name(&name).map_err(|error| malformed(error.to_string()))?;
    let witnesses = service.node.why(&about, ANSWER_WAIT).await;
    let view = service.node.view();
    let member = view.member(&about);
    let member = member.map(|member| Member::of(member, service.node.rtt(&about)));
    let account = Account::of(about, member, witnesses);
    Ok(Json(account.ok_or_else(|| not_a_member(&name))?))
}

async fn diagnose(
    State(service): State<Service>,
    body: Result<Json<NodeRequest>, JsonRejection>,
) -> Answer<Diagnosis> {
    let peer = parse_peer(&request(body)?.node).map_err(|error| malformed(error.to_string()))?;
    let found = service.node.diagnose(&peer).await;
    let name = match &peer {
        Peer::Name(name) => Some(name),
        Peer::Address(_) => found.answered.as_ref(),
    };
    let view = service.node.view();
    let member = name.and_then(|name| view.member(name));
    let member = member.map(|member| Member::of(member, service.node.rtt(&member.name)));
    Ok(Json(Diagnosis::of(&found, member)))
}

async fn events(
    State(service): State<Service>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<SseEvent, Infallible>>> {
    let last = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let stream = stream::unfold(service.journal.read_after(last), next_event);
    Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

async fn next_event(mut reader: Reader) -> Option<(Result<SseEvent, Infallible>, Reader)> {
    let event = reader.next().await?;
    let json = serde_json::to_string(&*event).expect("an event is plain data");
    let sent = SseEvent::default()
        .id(event.seq.to_string())
        .event(event.event.clone())
        .data(json);
    Some((Ok(sent), reader))
}

async fn fingerprints(State(service): State<Service>) -> Json<Fingerprints> {
    let answers = service.node.fingerprints(ANSWER_WAIT).await;
    let own = service.node.view().fingerprint();
    let converged = answers
        .iter()
        .all(|(_, answer)| answer.as_ref().is_ok_and(|theirs| *theirs == own));
    let of = |(name, answer): (_, Result<convoke::Fingerprint, convoke::RpcError>)| match answer {
        Ok(fingerprint) => FingerprintOf {
            name,
            fingerprint: Some(fingerprint.to_string()),
            error: None,
        },
        Err(error) => FingerprintOf {
            name,
            fingerprint: None,
            error: Some(error.to_string()),
        },
    };
    Json(Fingerprints {
        converged,
        nodes: answers.into_iter().map(of).collect(),
    })
}

async fn join(
    State(service): State<Service>,
    body: Result<Json<NodeRequest>, JsonRejection>,
) -> Answer<Done> {
    let peer = parse_peer(&request(body)?.node).map_err(|error| malformed(error.to_string()))?;
    let _changing = Changing::begin(&service);
    match service.node.join(&peer).await {
        Ok(()) => Ok(done(true, Vec::new())),
        Err(JoinError::Cluster(output::JoinError::Myself)) => Ok(done(false, Vec::new())),
        Err(error) => Err(join_problem(&error)),
    }
}

async fn leave(State(service): State<Service>) -> Answer<Done> {
    let _changing = Changing::begin(&service);
    service
        .node
        .leave()
        .await
        .map_err(|error| leave_problem(&error))?;
    Ok(done(
        true,
        service.discovery.stopped_by_leave().into_iter().collect(),
    ))
}

async fn force_leave(
    State(service): State<Service>,
    body: Result<Json<NodeRequest>, JsonRejection>,
) -> Answer<Done> {
    let name = local_name(&request(body)?.node).map_err(|error| malformed(error.to_string()))?;
    let runs = |member: &convoke::MemberView| member.state == convoke::MemberState::Alive;
    let hears = service.node.view().member(&name).is_some_and(runs);
    match service.node.force_leave(&name).await {
        // Who runs is told itself, and does not come back.
        Ok(()) if hears => Ok(done(true, Vec::new())),
        Ok(()) => Ok(done(true, unheard(&service.node).into_iter().collect())),
        Err(ForceLeaveError::Cluster(output::ForceLeaveError::Myself)) => {
            Ok(done(false, Vec::new()))
        }
        Err(ForceLeaveError::Cluster(output::ForceLeaveError::NotInCluster)) => {
            Err(not_a_member(name.as_str()))
        }
        Err(error @ ForceLeaveError::Stopped) => Err(stopped(&error.to_string())),
    }
}

/// What to say of a removal that nobody has heard of yet.
fn unheard(node: &Node) -> Option<String> {
    let view = node.view();
    let isolated = |partition: &convoke::Partition| partition.kind == PartitionKind::Isolated;
    let alone = view.size() == 1 || view.partition().is_some_and(isolated);
    let words = "The removal is noted here, and nobody else is reached to be told of it yet: it is \
                 told to the first member that is. Do not have this node leave the cluster before \
                 that, or remove the node by another member too.";
    alone.then(|| words.to_owned())
}

async fn discovery(
    State(service): State<Service>,
    body: Result<Json<DiscoveryRequest>, JsonRejection>,
) -> Answer<Done> {
    let discovery = &service.discovery;
    let outcome = match request(body)?.action {
        DiscoveryAction::Enable => discovery
            .enable()
            .await
            .map(|note| (vec![note], Vec::new())),
        DiscoveryAction::Disable => discovery
            .disable()
            .await
            .map(|note| (vec![note], Vec::new())),
        DiscoveryAction::Run => discovery.run().await,
    };
    let refused = |reason| Problem::new(StatusCode::CONFLICT, "discovery-refused", reason);
    let (notes, seeds) = outcome.map_err(refused)?;
    Ok(Json(Done {
        changed: true,
        notes,
        seeds,
    }))
}

/// A command that the engine always refuses: that it answers shows that its loop runs.
async fn live(State(service): State<Service>) -> Result<&'static str, Problem> {
    let answer = service.node.force_leave(service.node.name());
    match tokio::time::timeout(LIVENESS_WAIT, answer).await {
        Ok(Err(ForceLeaveError::Cluster(_))) => Ok("ok\n"),
        Ok(_) => Err(stopped("the node has ended")),
        Err(_) => Err(stopped(
            "the engine's loop has not answered within a second",
        )),
    }
}

async fn ready(State(service): State<Service>) -> Result<&'static str, Problem> {
    let not_yet = |reason: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", reason);
    if service.changing.load(Ordering::Relaxed) > 0 {
        return Err(not_yet("the node is joining or leaving a cluster"));
    }
    if service.node.view().down().is_some() {
        let reason = "this node is down: its side of a partition gave up (cluster.split_brain)";
        return Err(not_yet(reason));
    }
    match service.node.view().quorum() {
        true => Ok("ok\n"),
        false => Err(not_yet("this side of the cluster has no quorum")),
    }
}

async fn unknown_path() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-path",
        "the API has no such path",
    )
}

async fn wrong_method() -> Problem {
    let detail = "the path is there, but not for this method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", detail)
}

/// Counts a command while it is under way, also when its caller goes away.
struct Changing(Arc<AtomicUsize>);

impl Changing {
    fn begin(service: &Service) -> Self {
        service.changing.fetch_add(1, Ordering::Relaxed);
        Self(service.changing.clone())
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn request<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(request)| request)
        .map_err(|rejection| malformed(rejection.body_text()))
}

fn done(changed: bool, notes: Vec<String>) -> Json<Done> {
    Json(Done {
        changed,
        notes,
        seeds: Vec::new(),
    })
}

fn malformed(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", detail)
}

fn stopped(detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopped", detail)
}

fn not_a_member(name: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-in-the-cluster",
        format!("{name} is not in the cluster"),
    )
}

fn join_problem(error: &JoinError) -> Problem {
    use output::JoinError as Cause;
    let (status, slug) = match error {
        JoinError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
        JoinError::Resolve(_) => (StatusCode::BAD_GATEWAY, "unresolvable"),
        JoinError::Cluster(cause) => match cause {
            Cause::Myself => (StatusCode::CONFLICT, "myself"),
            Cause::AlreadyInCluster => (StatusCode::CONFLICT, "already-in-the-cluster"),
            Cause::Busy => (StatusCode::CONFLICT, "busy"),
            Cause::Refused { .. } => (StatusCode::CONFLICT, "refused"),
            Cause::Unreachable(_) => (StatusCode::BAD_GATEWAY, "unreachable"),
            Cause::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
            Cause::Incomplete(_) => (StatusCode::GATEWAY_TIMEOUT, "incomplete"),
        },
    };
    Problem::new(status, slug, error.to_string())
}

fn leave_problem(error: &LeaveError) -> Problem {
    use output::LeaveError as Cause;
    let (status, slug) = match error {
        LeaveError::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "stopped"),
        LeaveError::Cluster(Cause::NotInCluster) => (StatusCode::CONFLICT, "not-in-a-cluster"),
        LeaveError::Cluster(Cause::Busy) => (StatusCode::CONFLICT, "busy"),
    };
    Problem::new(status, slug, error.to_string())
}
